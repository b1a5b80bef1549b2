//! From files to descriptors: by protox, or from a file that another compiler wrote.

use std::fs;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, SourceSpan};
use prost::Message;
use prost_types::FileDescriptorSet;
use protox::Compiler;

use crate::error::Error;

/// Descriptors, and the files that they come from.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    pub(crate) set: FileDescriptorSet,
    /// The encoded set, including options that are not standard.
    pub(crate) encoded: Vec<u8>,
    /// The files that a build script has to watch.
    pub(crate) read: Vec<PathBuf>,
}

/// Compiles files. Imports are searched in `folders`.
pub(crate) fn compile(folders: &[PathBuf], files: &[PathBuf]) -> Result<Descriptors, Error> {
    for folder in folders {
        if !folder.is_dir() {
            return Err(Error::new(format!("{}: there is no such folder", folder.display()))
                .remedy("imports are looked for in it; name the folder that holds your .proto files"));
        }
    }
    if files.is_empty() {
        return Err(Error::new("no .proto file was named").remedy("name one at least"));
    }
    let mut compiler = Compiler::new(folders).map_err(|error| explain(&error))?;
    compiler.include_imports(true).include_source_info(true);
    for file in files {
        compiler.open_file(file).map_err(|error| explain(&error))?;
    }
    let read = compiler.files().filter_map(|file| file.path().map(Path::to_path_buf)).collect();
    let set = compiler.file_descriptor_set();
    // The descriptor set is for programs, so it needs no comments.
    let encoded = compiler.include_source_info(false).encode_file_descriptor_set();
    Ok(Descriptors { set, encoded, read })
}

/// Reads a descriptor set.
pub(crate) fn read(path: &Path) -> Result<Descriptors, Error> {
    let bytes = fs::read(path).map_err(|error| {
        Error::io("read", path, &error).remedy(
            "make it with protoc --include_imports --include_source_info --descriptor_set_out, or buf build -o",
        )
    })?;
    let set = FileDescriptorSet::decode(bytes.as_slice()).map_err(|error| {
        Error::new(format!("{}: no descriptor set: {error}", path.display()))
            .remedy("protoc writes one with --descriptor_set_out, buf with build -o")
    })?;
    Ok(Descriptors { set, encoded: bytes, read: vec![path.to_path_buf()] })
}

/// Describes the place of an error, as `file:line:column`.
fn explain(error: &protox::Error) -> Error {
    let place = place(error).or_else(|| error.file().map(str::to_owned));
    let text = error.to_string();
    let message = match place {
        Some(place) if !text.contains(&place) => format!("{place}: {text}"),
        _ => text.clone(),
    };
    let explained = Error::new(message);
    match remedy(error, &text) {
        Some(remedy) => explained.remedy(remedy),
        None => explained,
    }
}

fn place(error: &protox::Error) -> Option<String> {
    // Of two places the second is the mistake: the first one was valid.
    let span = error.labels()?.last().map(|label| *label.inner());
    let span = span.unwrap_or_else(|| SourceSpan::from(0));
    let contents = error.source_code()?.read_span(&span, 0, 0).ok()?;
    let name = contents.name().or_else(|| error.file())?;
    Some(format!("{name}:{}:{}", contents.line() + 1, contents.column() + 1))
}

fn remedy(error: &protox::Error, text: &str) -> Option<String> {
    if text.contains("edition") {
        return Some(EDITIONS.to_owned());
    }
    if error.is_file_not_found() {
        return Some(
            "imports and files are looked for in the folders that were named; name the one that it is in"
                .into(),
        );
    }
    error.help().map(|help| help.to_string())
}

/// The advice for a file of an edition.
pub(crate) const EDITIONS: &str = "editions are compiled by protoc or buf: make a descriptor set with protoc \
     --include_imports --include_source_info --descriptor_set_out, and name it by Generator::descriptor_set \
     (halfclose-gen --descriptor-set)";
