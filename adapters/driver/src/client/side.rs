//! How a client's driver handles events.

use std::sync::Arc;

use halfclose::{Client, Event, Time};

use crate::driver::{Driver, RoleHooks};
use crate::foreign::Foreign;
use crate::shared::{Shared, State};

/// The driver of a client's connection: a future that has to be polled until it ends, usually in its own task.
pub type ClientDriver<I, K> = Driver<I, K, ClientSide>;

/// The client's hooks, which do nothing: a client's driver only wakes calls, which it does for either role.
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
