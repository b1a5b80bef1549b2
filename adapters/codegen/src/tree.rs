//! Packages as modules in modules.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::Package;
use crate::names::{self, Taken};
use crate::service::{Codegen, write_service};

/// A module: the package of its name, and the packages below.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    packages: Vec<Package>,
    below: BTreeMap<String, Tree>,
}

impl Tree {
    pub(crate) fn new(packages: BTreeMap<String, Package>) -> Self {
        let mut root = Self::default();
        for (name, package) in packages {
            if package.messages.is_empty() && package.services.is_empty() {
                continue;
            }
            let parts = name.split('.').filter(|part| !part.is_empty());
            let module =
                parts.fold(&mut root, |tree, part| tree.below.entry(names::snake(part)).or_default());
            module.packages.push(package);
        }
        root
    }

    /// Writes the content of the module.
    pub(crate) fn write(&self, text: &mut String, codegen: &Codegen) {
        let below = self.below.keys().cloned();
        let mut taken =
            Taken::new(self.packages.iter().flat_map(|package| package.taken.iter().cloned()).chain(below));
        for package in &self.packages {
            text.push_str(&package.messages);
            for service in &package.services {
                write_service(text, service, codegen, &mut taken);
            }
        }
        for (name, tree) in &self.below {
            // A package has no comment of its own.
            let _ = writeln!(text, "pub mod {name} {{");
            tree.write(text, codegen);
            text.push_str("}\n");
        }
    }
}
