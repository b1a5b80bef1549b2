//! The two roles on a connection.

/// The role of this end of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RoleKind {
    Client,
    Server,
}
