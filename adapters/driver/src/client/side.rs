//! How a client's driver handles events.

use std::sync::Arc;

use halfclose::frame::ErrorCode;
use halfclose::{Client, Event, Time};

use super::watch::LinkWatch;
use crate::driver::{Driver, RoleHooks};
use crate::foreign::Foreign;
use crate::shared::{Shared, State};

/// The driver of a client's connection: a future that has to be polled until it ends, usually in its own task.
pub type ClientDriver<I, K> = Driver<I, K, ClientSide>;

/// The client's hooks: they notify the owner of the connection of its beginning and its end. A driver wakes calls for
/// either role.
#[derive(Debug)]
pub struct ClientSide {
    pub(super) watch: Arc<LinkWatch>,
}

impl RoleHooks for ClientSide {
    type Role = Client;

    fn on_event(&mut self, state: &mut State<Client>, event: &Event) {
        let owner = match event {
            Event::PeerSettings => self.watch.heard_settings(),
            Event::GoAway { code, debug, .. } => {
                let pings = *code == ErrorCode::ENHANCE_YOUR_CALM && debug.as_ref() == b"too_many_pings";
                self.watch.heard_goaway(pings)
            }
            _ => None,
        };
        if owner.is_some() {
            state.wake_later(owner);
        }
    }

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
