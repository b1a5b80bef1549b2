//! Rust names of names in `.proto` files. They follow prost's rules, so that both parts of the code agree.

use std::collections::BTreeSet;

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};

/// Keywords that can be written as raw identifiers.
const RAW: [&str; 47] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try",
    "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
/// Keywords that cannot be raw identifiers.
const NEVER: [&str; 6] = ["_", "super", "self", "Self", "extern", "crate"];

/// Returns a name that is a valid identifier in Rust.
fn identifier(name: String) -> String {
    if RAW.contains(&name.as_str()) {
        format!("r#{name}")
    } else if name.is_empty() {
        // For a name that is nothing but underscores.
        "__".to_owned()
    } else if NEVER.contains(&name.as_str()) {
        format!("{name}_")
    } else if name.starts_with(|c: char| c.is_numeric()) {
        format!("_{name}")
    } else {
        name
    }
}

/// Returns the name of a function or a module.
pub(crate) fn snake(name: &str) -> String {
    identifier(name.to_snake_case())
}

/// Returns the name of a type.
pub(crate) fn camel(name: &str) -> String {
    identifier(name.to_upper_camel_case())
}

/// Returns the name of a type with a suffix.
pub(crate) fn camel_with(name: &str, suffix: &str) -> String {
    identifier(format!("{}{suffix}", name.to_upper_camel_case()))
}

/// Returns the name of a constant.
pub(crate) fn shouty(name: &str) -> String {
    identifier(name.to_shouty_snake_case())
}

/// The names of one kind that are in use in one scope.
#[derive(Debug, Default)]
pub(crate) struct Taken(BTreeSet<String>);

impl Taken {
    pub(crate) fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// Returns `name`, with as many `_` after it as needed if it is in use, and marks the result as used.
    pub(crate) fn free(&mut self, name: String) -> String {
        let mut free = name;
        while !self.0.insert(free.clone()) {
            // `r#type_` is a name as well, but an unusual one.
            free = format!("{}_", free.strip_prefix("r#").unwrap_or(&free));
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_prost() {
        for (name, expected) in [
            ("SayHello", "say_hello"),
            ("sayHELLO", "say_hello"),
            ("Type", "r#type"),
            ("Self", "self_"),
            ("HTTP2Get", "http2_get"),
            ("Get_2x", "get_2x"),
            ("_", "__"),
        ] {
            assert_eq!(snake(name), expected, "{name}");
        }
        for (name, expected) in
            [("greeter", "Greeter"), ("self", "Self_"), ("route_guide", "RouteGuide"), ("2D", "_2d")]
        {
            assert_eq!(camel(name), expected, "{name}");
        }
        assert_eq!(camel_with("self", "Client"), "SelfClient");
        assert_eq!(shouty("SayHello"), "SAY_HELLO");
    }

    #[test]
    fn a_name_that_is_taken_gets_an_underscore() {
        let mut taken = Taken::new(["new", "r#type"]);
        let free: Vec<_> = ["new", "new", "r#type", "say"].map(|name| taken.free(name.to_owned())).into();
        assert_eq!(free, ["new_", "new__", "type_", "say"]);
    }
}
