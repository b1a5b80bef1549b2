//! Whole services, and routers composed of several.

use std::fmt;

use super::router::Router;

/// All methods of a service with their implementation: `GreeterServer` of a generated `Greeter`.
pub trait Service {
    /// The name of the service, `package.Service`.
    const NAME: &'static str;

    /// Adds the service's methods to a router.
    #[must_use]
    fn add_to(self, router: Router) -> Router;
}

/// An error: methods were added to a router twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddedTwice {
    paths: Vec<&'static str>,
}

impl AddedTwice {
    pub(super) const fn new(paths: Vec<&'static str>) -> Self {
        Self { paths }
    }

    /// Returns the paths of the methods.
    #[must_use]
    pub fn paths(&self) -> &[&'static str] {
        &self.paths
    }
}

impl fmt::Display for AddedTwice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "added to the router twice: {}; leave one of them out", self.paths.join(", "))
    }
}

impl std::error::Error for AddedTwice {}

impl From<AddedTwice> for std::io::Error {
    fn from(error: AddedTwice) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}
