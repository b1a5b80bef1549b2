//! A client and a server core joined without a network, in virtual time: for long runs of honest use.

use bytes::{Buf, BytesMut};
use halfclose::{
    CallId, CallType, Client, Config, Connection, Event, Recv, Request, Role, Seed, Server, Time,
};

/// Two cores and a clock.
pub struct Duet {
    /// The client's core.
    pub client: Connection<Client>,
    /// The server's core.
    pub server: Connection<Server>,
    /// The time.
    pub now: Time,
    /// Bytes on their way to the server and to the client.
    on_way: [BytesMut; 2],
}

impl Duet {
    /// Two cores that have exchanged their SETTINGS.
    #[must_use]
    pub fn new(client: Config, server: Config) -> Self {
        let now = Time::ZERO;
        let client = Connection::new(client, Seed(1), now);
        let server = Connection::new(server, Seed(2), now);
        let mut duet = Self { client, server, now, on_way: Default::default() };
        duet.exchange();
        let _ = duet.client_events();
        let _ = duet.server_events();
        duet
    }

    /// Lets all that both have to say arrive. Whether anything did.
    pub fn exchange(&mut self) -> bool {
        let mut any = false;
        loop {
            let up = carry(&mut self.client, &mut self.server, &mut self.on_way[0], self.now);
            let down = carry(&mut self.server, &mut self.client, &mut self.on_way[1], self.now);
            if !up && !down {
                return any;
            }
            any = true;
        }
    }

    /// What the client has to say leaves it, and does not arrive yet.
    pub fn depart(&mut self) {
        collect(&mut self.client, &mut self.on_way[0], self.now);
    }

    /// Goes to `until`, firing timers on the way and delivering what they send.
    pub fn wait_until(&mut self, until: Time) {
        loop {
            let timers = [self.client.poll_timeout(), self.server.poll_timeout()];
            let next = timers.into_iter().flatten().map(|(at, _)| at).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.exchange();
        }
        self.now = self.now.max(until);
    }

    /// Starts a call of `call type`.
    ///
    /// # Panics
    /// When the core refuses.
    pub fn start(&mut self, call_type: CallType) -> CallId {
        self.client.start(self.now, Request::new("/sim.Service/Method", call_type)).expect("calls are taken")
    }

    /// The client's events.
    pub fn client_events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    /// The server's events.
    pub fn server_events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.server.poll_event()).collect()
    }

    /// The calls that have come to the server since it was last asked.
    pub fn requests(&mut self) -> Vec<CallId> {
        let requests = self.server_events().into_iter();
        requests.filter_map(|event| if let Event::Request(id) = event { Some(id) } else { None }).collect()
    }

    /// Whether neither limits nor timers have ended the connection.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.client.is_closed() && !self.server.is_closed()
    }

    /// Reads what the client has for a call; the number of messages.
    pub fn read(&mut self, call: CallId) -> usize {
        let messages = std::iter::from_fn(|| self.client.recv(call).ok());
        messages.take_while(|it| matches!(it, Recv::Message(_))).count()
    }
}

fn carry<A: Role, B: Role>(
    from: &mut Connection<A>,
    to: &mut Connection<B>,
    on_way: &mut BytesMut,
    now: Time,
) -> bool {
    collect(from, on_way, now);
    let before = on_way.len();
    // What a turn leaves is read in the next one.
    let _ = to.receive(now, on_way);
    before != on_way.len()
}

fn collect<A: Role>(from: &mut Connection<A>, on_way: &mut BytesMut, now: Time) {
    while let Some(mut transmit) = from.poll_transmit(now) {
        while transmit.has_remaining() {
            let chunk = transmit.chunk();
            on_way.extend_from_slice(chunk);
            let taken = chunk.len();
            transmit.advance(taken);
        }
    }
}
