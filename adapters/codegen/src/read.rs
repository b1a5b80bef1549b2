//! From descriptors to the model of services, and to comments that rustdoc accepts.

use std::collections::BTreeMap;

use prost_types::method_options::IdempotencyLevel;
use prost_types::source_code_info::Location;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};

use crate::error::Error;
use crate::messages::{Messages, RustType};
use crate::model::{MessageType, MethodModel, Package, ServiceModel};
use crate::names;

/// The tags of `service` in a file, and of `method` in a service, which identify locations.
const SERVICE: i32 = 6;
const METHOD: i32 = 2;

/// Reads the services of every file into its package.
pub(crate) fn services(
    set: &FileDescriptorSet,
    messages: &dyn Messages,
    codegen: &str,
) -> Result<BTreeMap<String, Package>, Error> {
    let mut packages = BTreeMap::<String, Package>::new();
    for file in &set.file {
        let package = packages.entry(file.package().to_owned()).or_default();
        for message in &file.message_type {
            package.taken.push(names::snake(message.name()));
            package.taken.push(names::camel(message.name()));
        }
        package.taken.extend(file.enum_type.iter().map(|enumeration| names::camel(enumeration.name())));
        for (service, index) in file.service.iter().zip(0..) {
            let reader = Reader { file, messages, codegen };
            package.services.push(reader.service(service, index)?);
        }
    }
    Ok(packages)
}

struct Reader<'a> {
    file: &'a FileDescriptorProto,
    messages: &'a dyn Messages,
    codegen: &'a str,
}

impl Reader<'_> {
    fn service(&self, service: &ServiceDescriptorProto, index: i32) -> Result<ServiceModel, Error> {
        let name = service.name().to_owned();
        let package = self.file.package();
        let full_name = if package.is_empty() { name.clone() } else { format!("{package}.{name}") };
        let methods = service.method.iter().zip(0..);
        let methods =
            methods.map(|(method, at)| self.method(&full_name, method, &[SERVICE, index, METHOD, at]));
        Ok(ServiceModel {
            comments: self.comments(&[SERVICE, index]),
            deprecated: service.options.as_ref().is_some_and(|options| options.deprecated()),
            methods: methods.collect::<Result<_, _>>()?,
            name,
            full_name,
        })
    }

    fn method(
        &self,
        service: &str,
        method: &MethodDescriptorProto,
        path: &[i32],
    ) -> Result<MethodModel, Error> {
        let message = |name: &str, streams| {
            let name = name.trim_start_matches('.');
            let known = self.messages.rust_type(self.file.package(), name, self.codegen);
            let path = match known.ok_or_else(|| self.unknown(service, method, name, path))? {
                RustType::Absolute(path) => path,
                RustType::InPackage(path) => format!("super::{path}"),
            };
            Ok::<_, Error>(MessageType { path, streams })
        };
        let options = method.options.as_ref();
        Ok(MethodModel {
            name: method.name().to_owned(),
            comments: self.comments(path),
            deprecated: options.is_some_and(|options| options.deprecated()),
            idempotency: match options.map(|options| options.idempotency_level()) {
                Some(IdempotencyLevel::NoSideEffects) => Some("NoSideEffects"),
                Some(IdempotencyLevel::Idempotent) => Some("Idempotent"),
                Some(IdempotencyLevel::IdempotencyUnknown) | None => None,
            },
            request: message(method.input_type(), method.client_streaming())?,
            response: message(method.output_type(), method.server_streaming())?,
        })
    }

    fn unknown(&self, service: &str, method: &MethodDescriptorProto, message: &str, path: &[i32]) -> Error {
        let line = self.location(path).and_then(|location| location.span.first());
        let line = line.map_or_else(String::new, |line| format!(":{}", line + 1));
        let name = method.name();
        Error::new(format!("{}{line}: {service}.{name}: the message {message} is unknown", self.file.name()))
            .remedy("a descriptor set needs its imports too: protoc --include_imports, buf build without --exclude-imports")
    }

    fn location(&self, path: &[i32]) -> Option<&Location> {
        self.file.source_code_info.as_ref()?.location.iter().find(|location| location.path == path)
    }

    fn comments(&self, path: &[i32]) -> Vec<String> {
        let Some(location) = self.location(path) else { return Vec::new() };
        let mut lines: Vec<String> = location.leading_comments().lines().map(str::to_owned).collect();
        if location.trailing_comments.is_some() {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.extend(location.trailing_comments().lines().map(str::to_owned));
        }
        lines
    }
}

/// Changes every comment so that rustdoc reads it as text: indented text is not code, and no test is run.
pub(crate) fn tame_comments(set: &mut FileDescriptorSet) {
    let locations = set.file.iter_mut().filter_map(|file| file.source_code_info.as_mut());
    for location in locations.flat_map(|info| &mut info.location) {
        for comment in [&mut location.leading_comments, &mut location.trailing_comments].into_iter().flatten()
        {
            *comment = tame(comment);
        }
    }
}

fn tame(comment: &str) -> String {
    let mut tamed = String::with_capacity(comment.len());
    // The end of the block that a line is in.
    let mut inside = None::<&str>;
    let mut blank = true;
    for line in comment.lines() {
        let text = line.trim();
        let indented = line.starts_with("     ") || line.starts_with('\t') || line.starts_with(" \t");
        if inside == Some("") && !indented && !text.is_empty() {
            tamed.push_str(" ```\n");
            inside = None;
        }
        let fence = text.get(..3).filter(|fence| ["```", "~~~"].contains(fence));
        match (inside, fence) {
            (None, Some(fence)) => {
                inside = Some(fence);
                // A block without a language would count as Rust.
                let language = text[3..].trim();
                let language =
                    if language.is_empty() || language.starts_with("rust") { "text" } else { language };
                tamed.push_str(&format!(" {fence}{language}\n"));
                continue;
            }
            (Some(open), Some(fence)) if open == fence => inside = None,
            (None, None) if indented && blank && !text.is_empty() => {
                tamed.push_str(" ```text\n");
                inside = Some("");
            }
            _ => {}
        }
        blank = text.is_empty();
        tamed.push_str(line.trim_end());
        tamed.push('\n');
    }
    if let Some(fence) = inside {
        tamed.push_str(&format!(" {}\n", if fence.is_empty() { "```" } else { fence }));
    }
    tamed
}

#[cfg(test)]
mod tests {
    use super::tame;

    #[test]
    fn a_comment_holds_no_test() {
        for (comment, expected) in [
            (" Says hello.\n", " Says hello.\n"),
            (
                " As so:\n\n     let x = 1;\n\n Done.\n",
                " As so:\n\n ```text\n     let x = 1;\n\n ```\n Done.\n",
            ),
            (" ```\n x\n ```\n", " ```text\n x\n ```\n"),
            (" ```json\n x\n", " ```json\n x\n ```\n"),
            (" ```rust\n x\n ```\n", " ```text\n x\n ```\n"),
            ("     x", " ```text\n     x\n ```\n"),
            ("     x\n\n ~~~\n y\n", " ```text\n     x\n\n ```\n ~~~text\n y\n ~~~\n"),
            // The second line of an item of a list.
            (" - one\n      two\n", " - one\n      two\n"),
        ] {
            assert_eq!(tame(comment), expected);
        }
    }
}
