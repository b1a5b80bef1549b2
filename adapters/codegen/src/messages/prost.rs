//! Messages by prost.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use prost::Message;
use prost_build::{Config, Module, ServiceGenerator};
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use super::{Messages, RustType};
use crate::descriptors::EDITIONS;
use crate::error::Error;
use crate::names;

/// The types by package and message.
type Types = BTreeMap<(String, String), RustType>;

/// A callback that configures prost's own generator.
type Configure = Box<dyn FnMut(&mut Config)>;

/// Messages of the prost crate: the default. `bytes` fields are `Bytes`, which are decoded without a copy.
#[derive(Default)]
pub struct Prost {
    configure: Vec<Configure>,
    types: Types,
}

impl Prost {
    /// Creates messages with prost's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Configures prost's own generator: attributes, maps, types of other crates.
    ///
    /// ```
    /// use halfclose_build::messages::Prost;
    ///
    /// let messages = Prost::new().configure(|config| {
    ///     config.type_attribute(".shop.Item", "#[derive(Eq, Hash)]");
    /// });
    /// # let _ = messages;
    /// ```
    #[must_use]
    pub fn configure(mut self, configure: impl FnMut(&mut Config) + 'static) -> Self {
        self.configure.push(Box::new(configure));
        self
    }

    fn config(&mut self, codegen: &str) -> Config {
        let mut config = Config::new();
        config.prost_path(format!("{codegen}::prost"));
        config.prost_types_path(format!("{codegen}::prost_types"));
        config.bytes(["."]);
        for configure in &mut self.configure {
            configure(&mut config);
        }
        config
    }
}

impl fmt::Debug for Prost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prost").finish_non_exhaustive()
    }
}

impl Messages for Prost {
    fn generate(&mut self, descriptor_set: &[u8], codegen: &str) -> Result<BTreeMap<String, String>, Error> {
        let set = FileDescriptorSet::decode(descriptor_set)
            .map_err(|error| Error::new(format!("the descriptor set cannot be decoded: {error}")))?;
        let mut files = Vec::new();
        let mut names = BTreeMap::new();
        for file in set.file {
            check_syntax(&file)?;
            check_names(&file, &mut names)?;
            files.push((Module::from_parts([file.package().to_owned()]), file));
        }
        let recorder = Recorder::default();
        let types = Rc::clone(&recorder.types);
        let mut config = self.config(codegen);
        config.service_generator(Box::new(recorder));
        // prost panics if two values of an enumeration would have one name, and says which.
        let made = catch_unwind(AssertUnwindSafe(|| config.generate(files)));
        let made = made.map_err(|panic| refusal(panic.as_ref()))?;
        let made = made.map_err(|error| Error::new(format!("prost: {error}")))?;
        self.types = types.take();
        let packages = made.into_iter().map(|(module, text)| (module.parts().collect::<String>(), text));
        Ok(packages.filter(|(_, text)| has_items(text)).collect())
    }

    fn rust_type(&self, package: &str, message: &str, _: &str) -> Option<RustType> {
        self.types.get(&(package.to_owned(), message.to_owned())).cloned()
    }

    fn codec(&self, codegen: &str) -> String {
        format!("{codegen}::Prost")
    }
}

/// Refuses a syntax that prost does not support.
fn check_syntax(file: &FileDescriptorProto) -> Result<(), Error> {
    match file.syntax() {
        "" | "proto2" | "proto3" => Ok(()),
        other => {
            Err(Error::new(format!("{}: prost does not know the syntax {other:?}", file.name()))
                .remedy(EDITIONS))
        }
    }
}

/// Refuses two types of a package that prost would give one name.
fn check_names(file: &FileDescriptorProto, names: &mut BTreeMap<String, String>) -> Result<(), Error> {
    let messages = file.message_type.iter().zip(0..).map(|(message, at)| (message.name(), vec![MESSAGE, at]));
    let enums = file.enum_type.iter().zip(0..).map(|(kind, at)| (kind.name(), vec![ENUM, at]));
    for (name, path) in messages.chain(enums) {
        let place = format!("{}{}", file.name(), line(file, &path));
        let rust = names::camel(name);
        let full = format!("{}.{rust}", file.package());
        if let Some(other) = names.insert(full, format!("{name} ({place})")) {
            return Err(Error::new(format!("{place}: {name} and {other} are both `{rust}` in Rust"))
                .remedy("rename one of them, or give it a package of its own"));
        }
    }
    Ok(())
}

/// The tags of `message_type` and `enum_type` in a file, which identify locations.
const MESSAGE: i32 = 4;
const ENUM: i32 = 5;

/// Returns `:line` of the item at `path`, if it is known.
fn line(file: &FileDescriptorProto, path: &[i32]) -> String {
    let mut locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let location = locations.find(|location| location.path == path);
    location
        .and_then(|location| location.span.first())
        .map_or_else(String::new, |line| format!(":{}", line + 1))
}

fn refusal(panic: &(dyn std::any::Any + Send)) -> Error {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::new(format!("prost: {}", text.unwrap_or("it gave up without saying why")))
        .remedy("rename one of them, or leave the file out and use its package as it is by `extern_path`")
}

/// Returns whether there is anything but comments.
fn has_items(text: &str) -> bool {
    text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
}

/// Records prost's names of the messages of services.
#[derive(Default)]
struct Recorder {
    types: Rc<RefCell<Types>>,
}

impl ServiceGenerator for Recorder {
    fn generate(&mut self, service: prost_build::Service, text: &mut String) {
        for method in service.methods {
            for (message, path) in
                [(method.input_proto_type, method.input_type), (method.output_proto_type, method.output_type)]
            {
                let message = message.trim_start_matches('.').to_owned();
                let known = rust_type(&message, path);
                self.types.borrow_mut().insert((service.package.clone(), message), known);
            }
        }
        // prost takes an empty package for none, and gives up on its services.
        text.push('\n');
    }
}

/// Returns the kind of prost's `path`. Of the types that prost does not generate, the well-known ones are primitive
/// types or belong to a crate.
fn rust_type(message: &str, path: String) -> RustType {
    let absolute = path.starts_with("::") || path.starts_with("crate::");
    if absolute || message.starts_with("google.protobuf.") && !path.contains("::") {
        RustType::Absolute(path)
    } else {
        RustType::InPackage(path)
    }
}
