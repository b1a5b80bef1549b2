//! The definition, the server and the client that stand in README.md are these, and they run.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_pages_code_is_the_code_that_runs() {
    let page = read("../../README.md");
    for (language, file) in [
        ("proto", "proto/hello.proto"),
        ("rust,ignore", "src/bin/hello-server.rs"),
        ("rust,ignore", "src/bin/hello-client.rs"),
    ] {
        let text = read(file);
        assert!(page.contains(&format!("```{language}\n{text}```")), "README.md does not hold {file}");
        assert!(text.lines().count() <= 40, "{file} has more than 40 lines");
    }
}

#[test]
fn the_pages_programs_run() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_hello-server"));
    let mut server = Running(server.arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("the server"));
    let mut line = String::new();
    let stdout = server.0.stdout.take().expect("its output");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("listening on ").expect("where it listens");
    let client = Command::new(env!("CARGO_BIN_EXE_hello-client")).arg(address).output().expect("the client");
    assert!(client.status.success(), "{client:?}");
    assert_eq!(String::from_utf8_lossy(&client.stdout), "Hello, half!\nHello, close!\nHello, world!\n");
}

#[test]
fn the_code_for_those_who_come_from_tonic_runs() {
    let (page, program) = (read("../../docs/from-tonic.md"), read("src/bin/from-tonic.rs"));
    let blocks: Vec<&str> =
        page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 6, "{} blocks", blocks.len());
    for block in blocks {
        assert!(program.contains(block), "not in the program:\n{block}");
    }
    let ran = Command::new(env!("CARGO_BIN_EXE_from-tonic")).output().expect("the program");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{ran:?}");
    assert!(said.starts_with("Hello, tonic!\nHello, world!\ntoo late: DEADLINE_EXCEEDED"), "{said}");
}
