//! Services as the generator sees them, independent of any message library.

/// A package, and the code generated for it.
#[derive(Debug, Default)]
pub(crate) struct Package {
    /// The text of its messages.
    pub(crate) messages: String,
    pub(crate) services: Vec<ServiceModel>,
    /// The names of modules and types that its messages use.
    pub(crate) taken: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct ServiceModel {
    /// The name in the `.proto` file.
    pub(crate) name: String,
    /// The name with its package.
    pub(crate) full_name: String,
    pub(crate) comments: Vec<String>,
    pub(crate) deprecated: bool,
    pub(crate) methods: Vec<MethodModel>,
}

#[derive(Clone, Debug)]
pub(crate) struct MethodModel {
    /// The name in the `.proto` file.
    pub(crate) name: String,
    pub(crate) comments: Vec<String>,
    pub(crate) deprecated: bool,
    pub(crate) idempotency: Option<&'static str>,
    pub(crate) request: MessageType,
    pub(crate) response: MessageType,
}

/// One side of a method.
#[derive(Clone, Debug)]
pub(crate) struct MessageType {
    /// Its Rust type, as the module of the service names it.
    pub(crate) path: String,
    /// Whether any number of messages is sent in this direction.
    pub(crate) streams: bool,
}
