//! The generator, as a build script and the program use it.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;

use crate::descriptors::{self, Descriptors};
use crate::error::Error;
use crate::messages::{Messages, Prost};
use crate::read;
use crate::service::{Codegen, RT};
use crate::tree::Tree;

/// Generates clients, servers and messages.
///
/// ```no_run
/// // build.rs
/// use halfclose_build::{Error, Generator};
///
/// fn main() -> Result<(), Error> {
///     Generator::new().runtime("halfclose_smol").compile("proto", ["proto/greeter.proto"])
/// }
/// ```
pub struct Generator {
    runtime: String,
    name: String,
    messages: Box<dyn Messages>,
    default_methods: bool,
    descriptor_set: Option<PathBuf>,
}

/// The output of the generator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Generated {
    /// The Rust code, formatted: modules for a file of their own, or for `include!`.
    pub code: String,
    /// The descriptor set, which the code includes by its name.
    pub descriptor_set: Vec<u8>,
    /// The files that it was generated from.
    pub read: Vec<PathBuf>,
}

impl Default for Generator {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator")
            .field("runtime", &self.runtime)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Generator {
    /// Creates a generator for `halfclose_tokio`, with messages of prost.
    #[must_use]
    pub fn new() -> Self {
        Self {
            runtime: "halfclose_tokio".to_owned(),
            name: "protos".to_owned(),
            messages: Box::new(Prost::new()),
            default_methods: false,
            descriptor_set: None,
        }
    }

    /// Sets the crate that the generated code depends on: `halfclose_tokio`, `halfclose_smol`, or `halfclose_driver`
    /// for code that several runtimes share. A path that begins with `crate::` works too.
    #[must_use]
    pub fn runtime(mut self, runtime: impl Into<String>) -> Self {
        self.runtime = runtime.into();
        self
    }

    /// Sets the name of the output, for a crate with several trees: `include_protos!("name")`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the source of the types of messages.
    #[must_use]
    pub fn messages(mut self, messages: impl Messages + 'static) -> Self {
        self.messages = Box::new(messages);
        self
    }

    /// Sets whether methods that a server does not implement answer UNIMPLEMENTED; otherwise it must implement them all.
    #[must_use]
    pub const fn default_methods(mut self, on: bool) -> Self {
        self.default_methods = on;
        self
    }

    /// Takes a descriptor set that `protoc` or `buf` made, in place of files.
    ///
    /// ```no_run
    /// // build.rs
    /// use halfclose_build::{Error, Generator};
    ///
    /// fn main() -> Result<(), Error> {
    ///     Generator::new().descriptor_set("proto/greeter.binpb").build()
    /// }
    /// ```
    #[must_use]
    pub fn descriptor_set(mut self, file: impl Into<PathBuf>) -> Self {
        self.descriptor_set = Some(file.into());
        self
    }

    /// Generates code for some files in a build script, which `include_protos!` includes. The files are in `folder`,
    /// which is also searched for imports.
    ///
    /// # Errors
    ///
    /// [`Error`] names the file, the line where there is one, and what to do.
    pub fn compile<P: AsRef<Path>>(
        self,
        folder: impl AsRef<Path>,
        files: impl IntoIterator<Item = P>,
    ) -> Result<(), Error> {
        let folder = folder.as_ref().to_path_buf();
        let files: Vec<PathBuf> = files.into_iter().map(|file| file.as_ref().to_path_buf()).collect();
        // The files are watched before any error, so that cargo tries again when one of them changes.
        watch(&files);
        watch(std::slice::from_ref(&folder));
        self.build_from(&[folder], &files)
    }

    /// Generates code for the descriptor set that was named, in a build script.
    ///
    /// # Errors
    ///
    /// [`Error`] names the file and what to do.
    pub fn build(self) -> Result<(), Error> {
        match &self.descriptor_set {
            Some(set) => watch(std::slice::from_ref(set)),
            None => {
                return Err(Error::new("no descriptor set was named")
                    .remedy("name one by Generator::descriptor_set, or files by Generator::compile"));
            }
        }
        self.build_from(&[], &[])
    }

    fn build_from(self, folders: &[PathBuf], files: &[PathBuf]) -> Result<(), Error> {
        let out = env::var_os("OUT_DIR").ok_or_else(|| {
            Error::new("OUT_DIR is not set").remedy(
                "cargo sets it for build scripts; elsewhere use Generator::generate, or halfclose-gen",
            )
        })?;
        let name = self.name.clone();
        let made = self.generate(folders, files)?;
        watch(&made.read);
        let out = Path::new(&out);
        write(&out.join(format!("{name}.rs")), made.code.as_bytes())?;
        write(&out.join(format!("{name}.bin")), &made.descriptor_set)
    }

    /// Generates code and returns it: from the descriptor set, if one was named, and otherwise from `files`, whose
    /// imports are searched in `folders`.
    ///
    /// # Errors
    ///
    /// [`Error`] names the file, the line where there is one, and what to do.
    pub fn generate(self, folders: &[PathBuf], files: &[PathBuf]) -> Result<Generated, Error> {
        let Self { runtime, name, mut messages, default_methods, descriptor_set } = self;
        let Descriptors { mut set, encoded, read } = match descriptor_set {
            Some(file) => descriptors::read(&file)?,
            None => descriptors::compile(folders, files)?,
        };
        read::tame_comments(&mut set);
        let path = codegen_path(&runtime);
        let texts = messages.generate(&set.encode_to_vec(), &path)?;
        let mut packages = read::services(&set, messages.as_ref(), &path)?;
        for (package, text) in texts {
            packages.entry(package).or_default().messages = text;
        }
        let codec = messages.codec(RT);
        let code = root(&Tree::new(packages), &Codegen { path, codec, default_methods }, &name)?;
        Ok(Generated { code, descriptor_set: encoded, read })
    }
}

/// Returns the path of the runtime's module `codegen`, the same from everywhere.
fn codegen_path(runtime: &str) -> String {
    let absolute = runtime.starts_with("::") || runtime.starts_with("crate");
    format!("{}{}::codegen", if absolute { "" } else { "::" }, runtime.replace('-', "_"))
}

/// Lints that generated code is exempt from.
const ALLOWED: &str = "#[allow(clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction, deprecated, missing_docs, \
     missing_debug_implementations, rust_2018_idioms, rustdoc::all, unreachable_pub, unused, unused_qualifications)]";

/// Returns the whole code, formatted.
fn root(tree: &Tree, codegen: &Codegen, name: &str) -> Result<String, Error> {
    let mut text = String::new();
    tree.write(&mut text, codegen);
    let unreadable = |error| Error::new(format!("what was generated is no Rust: {error}; please report it"));
    let mut file = syn::parse_file(&text).map_err(unreadable)?;
    let allowed = syn::parse_file(&format!("{ALLOWED}\nmod none {{}}")).map_err(unreadable)?;
    let allowed = allowed.items.first().map(attributes).unwrap_or_default();
    for item in &mut file.items {
        add_attributes(item, &allowed);
    }
    let rt = &codegen.path;
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    Ok(format!(
        "// Made by halfclose-build {}; changes are lost when it is made again.\n\n\
         const _: () = {rt}::made_by({major}, {minor});\n\n\
         /// An encoded `google.protobuf.FileDescriptorSet`: the files that this was made of, with all that they import.\n\
         #[allow(dead_code, unreachable_pub)]\n\
         pub const FILE_DESCRIPTOR_SET: &[u8] = ::core::include_bytes!(\"{name}.bin\");\n\n{}",
        env!("CARGO_PKG_VERSION"),
        prettyplease::unparse(&file)
    ))
}

fn attributes(item: &syn::Item) -> Vec<syn::Attribute> {
    match item {
        syn::Item::Mod(module) => module.attrs.clone(),
        _ => Vec::new(),
    }
}

/// Adds attributes to an item of those that are generated.
fn add_attributes(item: &mut syn::Item, attributes: &[syn::Attribute]) {
    let own = match item {
        syn::Item::Mod(item) => &mut item.attrs,
        syn::Item::Struct(item) => &mut item.attrs,
        syn::Item::Enum(item) => &mut item.attrs,
        syn::Item::Impl(item) => &mut item.attrs,
        syn::Item::Use(item) => &mut item.attrs,
        syn::Item::Const(item) => &mut item.attrs,
        syn::Item::Type(item) => &mut item.attrs,
        syn::Item::Trait(item) => &mut item.attrs,
        syn::Item::Fn(item) => &mut item.attrs,
        _ => return,
    };
    own.splice(0..0, attributes.iter().cloned());
}

/// Tells cargo to run the build script again when one of these changes.
fn watch(paths: &[PathBuf]) {
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// Writes a file unless it is the same already, so that its dependents are not rebuilt.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).map_err(|error| Error::io("written", path, &error))
}
