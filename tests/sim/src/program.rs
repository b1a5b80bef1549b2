//! Programs: what both callers and the network do in one run, decoded from bytes.
//!
//! A fuzzer provides the bytes, or a seed does ([`Program::from_seed`]). Any bytes are a program; after their end
//! every choice is the calmest one.

use std::time::Duration;

use arbitrary::Unstructured;
use halfclose::CallType;

/// Bytes that a seed is expanded to: enough for the largest program.
const SEED_OCTETS: usize = 4096;

/// Pairs of metadata whose block is longer than the smallest SETTINGS_MAX_FRAME_SIZE.
const MANY: u8 = 38;

/// One end of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The end that starts calls.
    Client,
    /// The end that answers them.
    Server,
}

impl Side {
    /// Both, the client first.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// Returns the other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// Returns 0 or 1, to index pairs by side.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Memory that no program uses up.
pub(crate) const AMPLE: u64 = 1 << 30;

/// The settings of one end.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// `Config::initial_stream_window`.
    pub initial_window: u32,
    /// `Config::max_stream_window`.
    pub max_window: u32,
    /// `Config::connection_window`.
    pub connection_window: u32,
    /// `Limits::send_buffer`.
    pub send_buffer: u32,
    /// `Limits::max_concurrent_streams`.
    pub max_streams: u32,
    /// `Limits::max_receive_message`.
    pub max_receive: u32,
    /// `Limits::memory`.
    pub memory: u64,
    /// `Limits::max_frame_size`.
    pub max_frame: u32,
    /// `Limits::decoder_table` and `Limits::encoder_table`.
    pub table: u32,
    /// `Limits::frames_per_turn`.
    pub frames_per_turn: u32,
    /// `Limits::queued_replies`.
    pub queued_replies: u32,
    /// `Keepalive::interval`, with `without_calls` set.
    pub keepalive: Option<Duration>,
    /// Whether the message codec is registered.
    pub codec: bool,
}

/// How the network treats bytes.
#[derive(Clone, Debug)]
pub struct Net {
    /// The least time that a byte takes.
    pub latency: Duration,
    /// The most that is added, drawn for each piece; order is kept.
    pub jitter: Duration,
    /// Bytes per millisecond; 0 means unlimited.
    pub bandwidth: u32,
    /// The most bytes in flight before the sender's transport accepts no more.
    pub capacity: u32,
    /// The largest piece that a transport accepts or delivers at once; 0 means everything.
    pub piece: u32,
    /// Whether what arrives at once is given to the core in new pieces.
    pub resplit: bool,
    /// Stalls: nothing arrives in this direction from this time for this long.
    pub stalls: Vec<(Side, Duration, Duration)>,
    /// How the connection breaks, if it does.
    pub fault: Fault,
}

impl Net {
    /// Bounds the delays by what is to be sent: on a network so slow that SETTINGS and PINGs arrive late the
    /// connection breaks, and bytes one by one cost a turn each.
    fn keep_up<'a>(&mut self, sends: impl Iterator<Item = &'a Send>) {
        let bytes: u64 = sends.map(|send| u64::from(send.size)).sum();
        if self.latency + self.jitter > Duration::from_millis(1) {
            self.capacity = self.capacity.max(64 * 1024);
        }
        if bytes > 20_000 && self.piece > 0 {
            self.piece = self.piece.max(1_000);
        }
        if bytes > 20_000 {
            self.capacity = self.capacity.max(5_000);
        }
    }
}

/// How a connection breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The connection does not break.
    None,
    /// Both ends see the end of the transport; what is in flight is lost.
    Cut(Duration),
    /// What this side sends is lost from then on, and neither end sees it.
    HalfOpen(Side, Duration),
}

/// One message that a caller sends.
#[derive(Clone, Copy, Debug)]
pub struct Send {
    /// The time since the previous message.
    pub delay: Duration,
    /// Bytes.
    pub size: u32,
    /// Whether it is to be compressed.
    pub compress: bool,
}

/// How a caller reads.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The wait before each batch.
    pub delay: Duration,
    /// Messages at once; 0 means all that have arrived.
    pub batch: u8,
}

/// How the server's caller handles a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The call type given to `accept`; `None` does not call it.
    pub accept: Option<CallType>,
    /// Whether messages may be compressed.
    pub encoding: bool,
    /// Response headers before the first message, with this many metadata entries.
    pub headers: Option<u8>,
    /// The responses.
    pub responses: Vec<Send>,
    /// How requests are read.
    pub read: Pace,
    /// Whether the status waits for the client's half-close.
    pub wait: bool,
    /// The status code.
    pub code: u32,
    /// Trailing metadata.
    pub trailers: u8,
    /// The time after its arrival when the call is cancelled.
    pub cancel: Option<Duration>,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it starts.
    pub start: Duration,
    /// The call type that the client declares.
    pub call_type: CallType,
    /// One of a few paths.
    pub path: u8,
    /// The number of metadata entries.
    pub metadata: u8,
    /// Its deadline, from its start.
    pub deadline: Option<Duration>,
    /// Whether requests may be compressed.
    pub encoding: bool,
    /// The requests.
    pub requests: Vec<Send>,
    /// How responses are read.
    pub read: Pace,
    /// The time after its start when the call is cancelled.
    pub cancel: Option<Duration>,
    /// Whether the cancel is a `release`.
    pub release: bool,
    /// The server's part.
    pub answer: Answer,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Program {
    /// The seed of jitter and splits.
    pub seed: u64,
    /// The settings, by [`Side::index`].
    pub tuning: [Tuning; 2],
    /// The network.
    pub net: Net,
    /// The calls.
    pub calls: Vec<Call>,
    /// A graceful shutdown by this side.
    pub shutdown: Option<(Side, Duration)>,
    /// `close` by this side.
    pub close: Option<(Side, Duration)>,
    /// `Config::max_age` of the server.
    pub max_age: Option<Duration>,
    /// `Config::drain_timeout` of both.
    pub drain_timeout: Option<Duration>,
    /// Whether both cores are told to free memory whenever nothing moves.
    pub shrink: bool,
    /// Whether illegal commands are tried between the legal ones.
    pub misuse: bool,
}

impl Program {
    /// Returns the program of a seed, the same one on every machine.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut bytes = vec![0; SEED_OCTETS];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        Self::from_bytes(&bytes)
    }

    /// Returns the program that the bytes represent. Any bytes represent one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        ProgramReader(Unstructured::new(bytes)).program()
    }

    /// Returns whether only the callers' own commands can end a call early.
    #[must_use]
    pub fn is_fair(&self) -> bool {
        let orders = [self.shutdown, self.close].iter().any(Option::is_some);
        self.net.fault == Fault::None && !orders && self.max_age.is_none()
    }
}

/// Converts bytes to choices. After their end, the first of each range.
struct ProgramReader<'a>(Unstructured<'a>);

impl ProgramReader<'_> {
    fn range(&mut self, from: u32, to: u32) -> u32 {
        self.0.int_in_range(from..=to).unwrap_or(from)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.range(0, 99) >= 100 - percent
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let last = u32::try_from(choices.len() - 1).unwrap_or(0);
        choices[self.range(0, last) as usize]
    }

    fn micros(&mut self, most: u32) -> Duration {
        Duration::from_micros(self.range(0, most).into())
    }

    fn maybe(&mut self, percent: u32, most: u32) -> Option<Duration> {
        self.chance(percent).then(|| self.micros(most))
    }

    fn side(&mut self) -> Side {
        self.one_of(&Side::BOTH)
    }

    fn program(&mut self) -> Program {
        let seed = u64::from(self.range(0, u32::MAX));
        let tuning = [self.tuning(), self.tuning()];
        let mut net = self.net();
        let shutdown = self.chance(12).then(|| (self.side(), self.micros(400_000)));
        let misuse = self.chance(30);
        let most = self.one_of(&[1, 3, 8, 20]);
        let count = self.range(1, most);
        let mut calls: Vec<Call> = (0..count).map(|_| self.call()).collect();
        net.keep_up(calls.iter().flat_map(|it| it.requests.iter().chain(&it.answer.responses)));
        let close = self.chance(4).then(|| (self.side(), self.micros(500_000)));
        let max_age = self.maybe(8, 400_000);
        let drain_timeout = self.maybe(8, 300_000);
        let shrink = self.chance(15);
        if self.chance(15) {
            self.grow_metadata(&mut calls);
        }
        Program { seed, tuning, net, calls, shutdown, close, max_age, drain_timeout, shrink, misuse }
    }

    /// Adds more metadata than one frame holds, so that CONTINUATION follows.
    fn grow_metadata(&mut self, calls: &mut [Call]) {
        for call in calls {
            match self.range(0, 5) {
                0 => call.metadata = MANY,
                1 => call.answer.trailers = MANY,
                2 => call.answer.headers = Some(MANY),
                _ => {}
            }
        }
    }

    fn tuning(&mut self) -> Tuning {
        Tuning {
            initial_window: self.one_of(&[
                65_535,
                65_535,
                65_535,
                1 << 20,
                16_384,
                1_000,
                100,
                5,
                1,
                (1 << 31) - 1,
            ]),
            max_window: self.one_of(&[1 << 20, 65_535, 0, 1 << 24]),
            connection_window: self.one_of(&[1 << 20, 65_535, 100_000, 16 << 20]),
            send_buffer: self.one_of(&[64 * 1024, 64 * 1024, 1, 0, 1_000, 1 << 20]),
            max_streams: self.one_of(&[200, 200, 1, 2, 5]),
            max_receive: self.one_of(&[4 << 20, 4 << 20, 4 << 20, 150_000, 3_000]),
            memory: self.one_of(&[AMPLE, AMPLE, AMPLE, AMPLE, 16 << 20, 300_000, 0]),
            max_frame: self.one_of(&[16_384, 16_384, 65_536, (1 << 24) - 1]),
            table: self.one_of(&[4_096, 4_096, 0, 100, 16_384]),
            frames_per_turn: self.one_of(&[64, 64, 1, 3]),
            queued_replies: self.one_of(&[64, 64, 8, 9]),
            keepalive: self.chance(20).then(|| Duration::from_secs(u64::from(self.range(300, 3_600)))),
            codec: self.chance(70),
        }
    }

    fn net(&mut self) -> Net {
        let latency = self.one_of(&[0, 50, 1_000, 40_000, 300_000]);
        let jitter = self.one_of(&[0, 0, 100, 20_000]);
        let stalls = self.range(0, 2).saturating_sub(self.range(0, 2));
        Net {
            latency: Duration::from_micros(latency),
            jitter: Duration::from_micros(jitter),
            bandwidth: self.one_of(&[0, 0, 10_000, 1_000, 200]),
            capacity: self.one_of(&[1 << 20, 64 * 1024, 64 * 1024, 5_000, 100]),
            piece: self.one_of(&[0, 0, 16_384, 1_000, 100, 7, 1]),
            resplit: self.chance(30),
            stalls: (0..stalls)
                .map(|_| (self.side(), self.micros(500_000), self.micros(3_000_000)))
                .collect(),
            fault: match self.range(0, 99) {
                0..=84 => Fault::None,
                85..=92 => Fault::Cut(self.micros(800_000)),
                _ => Fault::HalfOpen(self.side(), self.micros(800_000)),
            },
        }
    }

    fn size(&mut self) -> u32 {
        match self.range(0, 99) {
            0..=9 => 0,
            10..=59 => self.range(1, 100),
            60..=84 => self.range(100, 5_000),
            85..=94 => self.range(5_000, 50_000),
            _ => self.range(50_000, 200_000),
        }
    }

    fn sends(&mut self, one: bool) -> Vec<Send> {
        let most = self.one_of(&[0, 1, 2, 4, 12]);
        let count = if one { 1 } else { self.range(0, most) };
        let slow = self.one_of(&[0, 0, 1_000, 100_000]);
        (0..count)
            .map(|_| Send { delay: self.micros(slow), size: self.size(), compress: self.chance(30) })
            .collect()
    }

    fn pace(&mut self) -> Pace {
        let slow = self.one_of(&[0, 0, 0, 500, 50_000]);
        Pace { delay: self.micros(slow), batch: self.one_of(&[0, 0, 1, 2]) }
    }

    fn call(&mut self) -> Call {
        let call_type = self.one_of(&[
            CallType::UNARY,
            CallType::CLIENT_STREAMING,
            CallType::SERVER_STREAMING,
            CallType::BIDI,
        ]);
        // Occasionally the two sides disagree on what the method carries (P-70 to P-73).
        let said = if self.chance(4) { CallType::BIDI } else { call_type };
        let sent = if self.chance(4) { CallType::BIDI } else { call_type };
        let one = halfclose::Cardinality::One;
        Call {
            start: self.micros(300_000),
            call_type: said,
            path: self.one_of(&[0, 0, 1, 2, 3]),
            metadata: self.one_of(&[0, 0, 1, 2, 9]),
            deadline: self.maybe(10, 2_000_000),
            encoding: self.chance(25),
            requests: self.sends(said.requests == one),
            read: self.pace(),
            cancel: self.maybe(10, 600_000),
            release: self.chance(25),
            answer: Answer {
                accept: if sent == CallType::BIDI && self.chance(50) { None } else { Some(sent) },
                encoding: self.chance(30),
                headers: self.chance(30).then(|| self.one_of(&[0, 1, 9])),
                responses: self.sends(sent.responses == one),
                read: self.pace(),
                wait: !self.chance(25),
                code: if self.chance(25) { self.range(1, 16) } else { 0 },
                trailers: self.one_of(&[0, 0, 1, 9]),
                cancel: self.maybe(6, 600_000),
            },
        }
    }
}
