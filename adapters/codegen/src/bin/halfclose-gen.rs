//! Generates the code that a build script would, for code that is checked in: `halfclose-gen --help`.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use halfclose_build::{Generated, Generator};

const HELP: &str = "\
Generates clients, servers and messages of halfclose.

usage: halfclose-gen [OPTIONS] FILE.proto...
       halfclose-gen [OPTIONS] --descriptor-set FILE

  -I, --include FOLDER     look for imports here; may be given several times (.)
  -o, --out FOLDER         write NAME.rs and NAME.bin there (.)
      --name NAME          the name of both files (protos)
      --runtime CRATE      the crate that the code stands on (halfclose_tokio)
      --descriptor-set F   take what protoc or buf made, in place of files
      --default-methods    methods that are not implemented answer UNIMPLEMENTED
      --check              write nothing; fail where the files there differ
  -h, --help               say this
";

/// The command line.
#[derive(Default)]
struct Options {
    include: Vec<PathBuf>,
    files: Vec<PathBuf>,
    out: Option<PathBuf>,
    name: Option<String>,
    runtime: Option<String>,
    descriptor_set: Option<PathBuf>,
    default_methods: bool,
    check: bool,
    help: bool,
}

fn main() -> ExitCode {
    match parse(env::args_os().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("halfclose-gen: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let name = argument.to_string_lossy().into_owned();
        let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value; see --help"));
        match name.as_str() {
            "-I" | "--include" => options.include.push(value()?.into()),
            "-o" | "--out" => options.out = Some(value()?.into()),
            "--name" => options.name = Some(value()?.to_string_lossy().into_owned()),
            "--runtime" => options.runtime = Some(value()?.to_string_lossy().into_owned()),
            "--descriptor-set" => options.descriptor_set = Some(value()?.into()),
            "--default-methods" => options.default_methods = true,
            "--check" => options.check = true,
            "-h" | "--help" => options.help = true,
            other if other.starts_with('-') => return Err(format!("unknown option {other}; see --help")),
            _ => options.files.push(argument.into()),
        }
    }
    Ok(options)
}

fn run(options: Options) -> Result<(), String> {
    if options.help {
        print!("{HELP}");
        return Ok(());
    }
    let name = options.name.unwrap_or_else(|| "protos".to_owned());
    let mut generator = Generator::new().name(name.clone()).default_methods(options.default_methods);
    if let Some(runtime) = options.runtime {
        generator = generator.runtime(runtime);
    }
    if let Some(set) = options.descriptor_set {
        if !options.files.is_empty() {
            return Err("either a descriptor set or .proto files; see --help".to_owned());
        }
        generator = generator.descriptor_set(set);
    }
    let include = if options.include.is_empty() { vec![PathBuf::from(".")] } else { options.include };
    let made = generator.generate(&include, &options.files).map_err(|error| error.to_string())?;
    let out = options.out.unwrap_or_else(|| PathBuf::from("."));
    if options.check { compare(&out, &name, &made) } else { write(&out, &name, &made) }
}

/// Returns the generated files by their paths.
fn files<'a>(out: &Path, name: &str, made: &'a Generated) -> [(PathBuf, &'a [u8]); 2] {
    let file = |extension| out.join(format!("{name}.{extension}"));
    [(file("rs"), made.code.as_bytes()), (file("bin"), &made.descriptor_set)]
}

fn write(out: &Path, name: &str, made: &Generated) -> Result<(), String> {
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    for (path, bytes) in files(out, name, made) {
        fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn compare(out: &Path, name: &str, made: &Generated) -> Result<(), String> {
    for (path, bytes) in files(out, name, made) {
        let there = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if there != bytes {
            return Err(format!(
                "{} is not what these files make; run halfclose-gen without --check",
                path.display()
            ));
        }
    }
    Ok(())
}
