//! The tables of cases, all of them.

use halfclose_conformance::Case;

use crate::{floods, hpack, http2, malformed, requests, responses, roles};

/// A table and its place.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    /// The module of its tests, up to the side.
    pub(crate) module: &'static str,
    pub(crate) sides: &'static [&'static str],
    pub(crate) rows: &'static [fn() -> Case],
}

/// The connections that a row is for.
pub(crate) const SERVER: &[&str] = &["server"];
const CLIENT: &[&str] = &["client"];
const BOTH: &[&str] = &["server", "client"];

/// Every table, in the order of the page.
pub(crate) const TABLES: &[Table] = &[
    Table { title: "What neither side may do", module: "http2::both", sides: BOTH, rows: http2::both::ROWS },
    Table {
        title: "What a client may not do",
        module: "roles::to_a_server",
        sides: SERVER,
        rows: roles::to_a_server::ROWS,
    },
    Table {
        title: "What a server may not do",
        module: "roles::to_a_client",
        sides: CLIENT,
        rows: roles::to_a_client::ROWS,
    },
    Table { title: "Header blocks", module: "hpack::both", sides: BOTH, rows: hpack::both::ROWS },
    Table {
        title: "Header blocks of requests",
        module: "hpack::requests",
        sides: SERVER,
        rows: hpack::requests::ROWS,
    },
    Table {
        title: "Header blocks of responses",
        module: "hpack::responses",
        sides: CLIENT,
        rows: hpack::responses::ROWS,
    },
    Table {
        title: "Malformed requests",
        module: "malformed::requests",
        sides: SERVER,
        rows: malformed::requests::ROWS,
    },
    Table {
        title: "Malformed responses",
        module: "malformed::responses",
        sides: CLIENT,
        rows: malformed::responses::ROWS,
    },
    Table { title: "Floods", module: "floods::both", sides: BOTH, rows: floods::both::ROWS },
    Table {
        title: "Floods of a client",
        module: "floods::to_a_server",
        sides: SERVER,
        rows: floods::to_a_server::ROWS,
    },
    Table {
        title: "Floods of a server",
        module: "floods::to_a_client",
        sides: CLIENT,
        rows: floods::to_a_client::ROWS,
    },
    Table {
        title: "gRPC requests",
        module: "requests::requests",
        sides: SERVER,
        rows: requests::requests::ROWS,
    },
    Table {
        title: "gRPC answers",
        module: "responses::answers",
        sides: CLIENT,
        rows: responses::answers::ROWS,
    },
    Table {
        title: "HTTP statuses without a gRPC status",
        module: "responses::http_statuses",
        sides: CLIENT,
        rows: responses::http_statuses::ROWS,
    },
    Table { title: "Reset codes", module: "responses::resets", sides: CLIENT, rows: responses::resets::ROWS },
    Table {
        title: "Servers that keep a call waiting",
        module: "responses::waits",
        sides: CLIENT,
        rows: responses::waits::ROWS,
    },
    Table {
        title: "Connections that end before the call",
        module: "responses::cuts",
        sides: CLIENT,
        rows: responses::cuts::ROWS,
    },
];
