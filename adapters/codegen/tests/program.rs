//! The program `halfclose-gen`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_halfclose-gen")).args(arguments).output().expect("the program")
}

#[test]
fn code_is_written_and_checked() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("program");
    fs::create_dir_all(&folder).expect("a folder");
    let proto = folder.join("hello.proto");
    fs::write(
        &proto,
        "syntax = \"proto3\"; package hello; message M {} service S { rpc Say(M) returns (M); }",
    )
    .expect("a file");
    let (folder, proto) = (folder.to_str().expect("a path"), proto.to_str().expect("a path"));
    let arguments = ["-I", folder, "-o", folder, "--runtime", "halfclose_smol", proto];
    let written = run(&arguments);
    assert!(written.status.success(), "{written:?}");
    let code = fs::read_to_string(format!("{folder}/protos.rs")).expect("the code");
    assert!(code.contains("pub struct SClient<C>") && code.contains("::halfclose_smol::codegen"), "{code}");
    let check = || run(&[&["--check"], arguments.as_slice()].concat());
    assert!(check().status.success());
    fs::write(format!("{folder}/protos.rs"), code + "// more\n").expect("a file");
    let differs = check();
    assert!(!differs.status.success());
    assert!(String::from_utf8_lossy(&differs.stderr).contains("without --check"), "{differs:?}");
}

#[test]
fn mistakes_are_told() {
    for (arguments, expected) in [
        (vec!["--nonsense"], "unknown option --nonsense"),
        (vec!["--out"], "--out needs a value"),
        (vec!["nowhere.proto"], "nowhere.proto"),
        (vec!["--descriptor-set", "a", "b.proto"], "either a descriptor set or .proto files"),
    ] {
        let output = run(&arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(expected), "{arguments:?}: {error}");
    }
    let help = run(&["--help"]);
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("usage:"));
}
