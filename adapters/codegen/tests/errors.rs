//! Errors give file, line and a remedy.

use std::fs;
use std::path::PathBuf;

use halfclose_build::{Generated, Generator};

/// A folder that is removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("errors-{name}"));
        fs::create_dir_all(&path).expect("a folder");
        for (name, text) in files {
            fs::write(path.join(name), text).expect("a file");
        }
        Self(path)
    }

    fn generate(&self, files: &[&str]) -> Result<Generated, String> {
        let files: Vec<PathBuf> = files.iter().map(|file| self.0.join(file)).collect();
        let folders = [self.0.clone()];
        Generator::new().generate(&folders, &files).map_err(|error| error.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refused(name: &str, text: &str) -> String {
    let folder = Folder::new(name, &[("a.proto", text)]);
    folder.generate(&["a.proto"]).expect_err("an error")
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_line() {
    for (name, text, expected) in [
        ("syntax", "syntax = \"proto3\";\nmessage A {\n  string = 1;\n}\n", "a.proto:3:"),
        (
            "unknown",
            "syntax = \"proto3\";\n\nservice S { rpc M(Nothing) returns (Nothing); }\n",
            "a.proto:3:",
        ),
        ("twice", "syntax = \"proto3\";\nmessage A {}\nmessage A {}\n", "a.proto:3:"),
        ("import", "syntax = \"proto3\";\nimport \"nowhere.proto\";\n", "a.proto:2:"),
        (
            "case",
            "syntax = \"proto3\";\nmessage a_b {}\nmessage A_B {}\n",
            "a.proto:3: A_B and a_b (a.proto:2) are both `AB`",
        ),
    ] {
        let error = refused(name, text);
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn what_to_do_is_said() {
    let error = refused("import-help", "syntax = \"proto3\";\nimport \"nowhere.proto\";\n");
    assert!(error.contains("nowhere.proto") && error.contains("help: "), "{error}");
    let error = refused("edition", "edition = \"2023\";\nmessage A {}\n");
    assert!(error.contains("--descriptor_set_out"), "{error}");
    let folder = Folder::new("missing", &[]);
    let error = folder.generate(&["nowhere.proto"]).expect_err("an error");
    assert!(error.contains("nowhere.proto") && error.contains("help: "), "{error}");
    let error = folder.generate(&[]).expect_err("an error");
    assert!(error.contains("no .proto file was named"), "{error}");
    let error =
        Generator::new().generate(&[folder.0.join("none")], &["a.proto".into()]).expect_err("an error");
    assert!(error.to_string().contains("there is no such folder"), "{error}");
    let error = Generator::new().build().expect_err("an error");
    assert!(error.to_string().contains("no descriptor set was named"), "{error}");
}

#[test]
fn a_descriptor_set_must_be_one_and_be_whole() {
    let folder =
        Folder::new("set", &[("set.bin", "no set"), ("a.proto", "syntax = \"proto3\"; message A {}")]);
    let read = |name: &str| Generator::new().descriptor_set(folder.0.join(name)).generate(&[], &[]);
    let error = read("set.bin").expect_err("an error").to_string();
    assert!(error.contains("no descriptor set") && error.contains("protoc"), "{error}");
    let error = read("nowhere.bin").expect_err("an error").to_string();
    assert!(error.contains("nowhere.bin") && error.contains("help: "), "{error}");
    // One run reads what another has written.
    let made = folder.generate(&["a.proto"]).expect("code");
    fs::write(folder.0.join("set.bin"), &made.descriptor_set).expect("a file");
    let again = read("set.bin").expect("code");
    assert_eq!(made.code, again.code);
    assert_eq!(made.descriptor_set, again.descriptor_set);
}

#[test]
fn two_values_of_one_name_are_an_error_and_no_panic() {
    let text = "syntax = \"proto3\";\nenum E { E_A_B = 0; EAB = 1; E_AB = 2; e_a_b = 3; }\n";
    let error = refused("values", text);
    assert!(error.contains("overlap") || error.contains("E"), "{error}");
}
