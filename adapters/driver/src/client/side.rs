//! What a client's driver does with events.

use std::sync::Arc;

use halfclose::{Client, Event, Time};

use crate::driver::{Driver, RoleHooks};
use crate::foreign::Foreign;
use crate::shared::{Shared, State};

/// The driver of a client's connection: a future that must be polled, in a task of its own as a rule, until it ends.
pub type ClientDriver<I, K> = Driver<I, K, ClientSide>;

/// A client's driver has nothing to do but to wake the calls, and that needs no knowledge of the role.
#[derive(Debug)]
pub struct ClientSide;

impl RoleHooks for ClientSide {
    type Role = Client;

    fn on_event(&mut self, _: &mut State<Client>, _: &Event) {}

    fn refuses(&self, first: &[u8]) -> Option<String> {
        let remedy = match Foreign::recognise(first)? {
            Foreign::Http2 => return None,
            Foreign::Tls => "; connect with TLS",
            Foreign::Http1 => "; it is a web server, or a proxy that is not set up for HTTP/2 (h2c)",
            _ => "; is that the right port?",
        };
        let found = Foreign::recognise(first)?;
        Some(format!("the peer speaks {found} and not HTTP/2 without TLS{remedy}"))
    }

    fn run(&mut self, _: &Arc<Shared<Client>>, _: Time) -> bool {
        false
    }

    fn settle(&mut self, _: &mut State<Client>) {}

    fn shrink(&mut self) {}

    fn has_work(&self) -> bool {
        false
    }
}
