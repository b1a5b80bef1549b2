//! A client and a server core joined without a network, in virtual time, for long runs of honest use.

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
    /// Bytes in flight to the server and to the client.
    on_way: [BytesMut; 2],
}

impl Duet {
    /// Returns two cores that have exchanged their SETTINGS.
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

    /// Delivers the output of both. Returns whether there was any.
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

    /// Takes the client's output, without delivering it yet.
    pub fn depart(&mut self) {
        collect(&mut self.client, &mut self.on_way[0], self.now);
    }

    /// Advances to `until`, firing timers on the way and delivering what they send.
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
    /// If the core refuses the call.
    pub fn start(&mut self, call_type: CallType) -> CallId {
        self.client.start(self.now, Request::new("/sim.Service/Method", call_type)).expect("calls are taken")
    }

    /// Returns the client's events.
    pub fn client_events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    /// Returns the server's events.
    pub fn server_events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.server.poll_event()).collect()
    }

    /// Returns the calls that have arrived at the server since the last request for them.
    pub fn requests(&mut self) -> Vec<CallId> {
        let requests = self.server_events().into_iter();
        requests.filter_map(|event| if let Event::Request(id) = event { Some(id) } else { None }).collect()
    }

    /// Returns whether neither limits nor timers have ended the connection.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.client.is_closed() && !self.server.is_closed()
    }

    /// Receives the client's messages of a call. Returns their number.
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
    // What one turn leaves is read in the next one.
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
