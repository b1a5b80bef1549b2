//! The settings of a connection: every limit, its default, and the attack that it stops.

use std::time::Duration;

use bytes::Bytes;

use crate::frame::{DEFAULT_MAX_FRAME_SIZE, DEFAULT_WINDOW, MAX_MAX_FRAME_SIZE, MAX_WINDOW};
use crate::grpc::compress::Codecs;
use crate::grpc::field;
use crate::grpc::status::Code;
use crate::grpc::user_agent;
use crate::http2::memory::Ledger;

/// The seed of a connection's only source of variation, the jitter of its maximum age ([P-100](crate::manual::rules#p-100)). The core holds no
/// entropy of its own: the same seed, inputs and times give the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seed(pub u64);

/// The settings of one connection.
///
/// A value out of its range counts as the nearest value in it, so that no setting can break the protocol or stop the
/// connection's work; each field states its range. Settings of the other role are ignored.
///
/// ```
/// use halfclose::Config;
///
/// let mut config = Config::server();
/// config.limits.max_concurrent_streams = 1_000;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Every limit on what the peer may make this side hold or do.
    pub limits: Limits,
    /// The receive window of a new stream, in bytes: 65,535, the value of RFC 9113 §6.9.2, by default; 1 to 2^31-1. A
    /// window of less than 261, a prefix and a padding, grows to that when a message begins.
    pub initial_stream_window: u32,
    /// The size to which the window of a stream grows while its reader keeps up, in bytes: 32 MiB by default; from
    /// the initial window to 2^31-1. Beyond 1 MiB it grows as far as the bandwidth-delay product of the path
    /// requires, measured by PINGs; if both maxima are 1 MiB or less no PING is sent (docs/decisions/windows.md).
    pub max_stream_window: u32,
    /// The initial receive window of the connection, in bytes: 1 MiB by default; 65,535 to 2^31-1. It grows with the
    /// path as that of a stream does, and shrinks again after a pause. Its credit is returned on receipt, so that one
    /// unread stream does not starve the others ([P-102](crate::manual::rules#p-102)).
    pub connection_window: u32,
    /// The size to which the receive window of the connection grows, in bytes: 32 MiB by default; from
    /// `connection_window` to 2^31-1. It bounds the bytes in flight; the windows of the streams bound the bytes held.
    pub max_connection_window: u32,
    /// The status of a call with too few or too many messages ([P-70](crate::manual::rules#p-70) to [P-73](crate::manual::rules#p-73)).
    pub cardinality: CardinalityPolicy,
    /// PINGs that check whether the peer still answers.
    pub keepalive: Keepalive,
    /// The message encodings that this side can read and write, beside identity.
    pub codecs: Codecs,
    /// Server: whether a request without `te: trailers` is refused ([P-6](crate::manual::rules#p-6)). Lenient by default, as C-core is.
    pub require_te: bool,
    /// Client: the `:authority` of requests that name none; empty by default, which sends none. If it is empty, the
    /// adapters set it to the host and port that they connect to.
    pub authority: Bytes,
    /// Client: the `:scheme` of requests.
    pub scheme: Scheme,
    /// Client: the `user-agent` of requests ([P-12](crate::manual::rules#p-12)). An invalid field value is replaced
    /// by the default.
    pub user_agent: Bytes,
    /// Server: a connection without calls for this long is shut down gracefully ([P-100](crate::manual::rules#p-100)). Never, by default.
    pub max_idle: Option<Duration>,
    /// Server: a connection this old is shut down gracefully, give or take a tenth ([P-100](crate::manual::rules#p-100)). Never, by default.
    pub max_age: Option<Duration>,
    /// The time that calls get after a graceful shutdown before they are cancelled. Unlimited by default.
    pub drain_timeout: Option<Duration>,
}

impl Config {
    fn common(keepalive: Keepalive, limits: Limits) -> Self {
        Self {
            limits,
            initial_stream_window: 65_535,
            max_stream_window: 32 << 20,
            connection_window: 1 << 20,
            max_connection_window: 32 << 20,
            cardinality: CardinalityPolicy::default(),
            keepalive,
            codecs: Codecs::default(),
            require_te: false,
            authority: Bytes::new(),
            scheme: Scheme::Http,
            user_agent: Bytes::from_static(user_agent::DEFAULT.as_bytes()),
            max_idle: None,
            max_age: None,
            drain_timeout: None,
        }
    }

    /// Returns the defaults of a client.
    #[must_use]
    pub fn client() -> Self {
        Self::common(Keepalive::client(), Limits::client())
    }

    /// Returns the defaults of a server.
    #[must_use]
    pub fn server() -> Self {
        Self::common(Keepalive::server(), Limits::server())
    }
}

impl Config {
    /// Returns the settings with smaller bounds on everything that a peer can make this side hold: at most 2.3 MiB
    /// per connection (docs/limits.md), for servers with very many connections of unknown clients. In return they
    /// allow 50 calls at once, received messages of 128 KiB and header lists of 8 KiB (gRPC's suggestion), and need
    /// one more round trip for each message larger than 4 KiB.
    ///
    /// ```
    /// use halfclose::Config;
    ///
    /// let config = Config::server().strict();
    /// assert_eq!(config.limits.max_receive_message, 128 * 1024);
    /// ```
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.initial_stream_window = 4 * 1024;
        self.max_stream_window = self.initial_stream_window;
        self.connection_window = DEFAULT_WINDOW;
        self.max_connection_window = self.connection_window;
        self.limits = Limits {
            max_concurrent_streams: 50,
            max_header_list: 8 * 1024,
            max_header_block: 16 * 1024,
            max_receive_message: 128 * 1024,
            memory: 230 * 1024,
            kept_buffers: 0,
            send_buffer: 16 * 1024,
            ..self.limits
        };
        self
    }
}

/// The least value of `queued_replies`. An honest peer may cause a few replies at once: for SETTINGS twice, and for
/// the PINGs of keepalive, of a graceful shutdown and of measuring the path. Two ends that stopped reading at those
/// could wait for each other for ever.
const LEAST_REPLIES: u32 = 8;
/// Bytes of the headers of an ordinary call, with a long `user-agent`, a deadline and a little metadata.
const LEAST_HEADERS: u32 = 1_024;
/// The settings that RFC 9113 §6.5.2 defines, and two of extensions: no honest peer sends more at once.
const LEAST_SETTINGS: u32 = 8;
/// The shortest keepalive interval; with more frequent PINGs the connection would do nothing else.
const LEAST_KEEPALIVE: Duration = Duration::from_millis(1);
/// The shortest timeout, which also bounds how often memory is checked; a peer needs some time to answer.
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);

impl Config {
    /// Returns the same settings with every value in its range.
    pub(crate) fn in_range(mut self, is_client: bool) -> Self {
        self.initial_stream_window = self.initial_stream_window.clamp(1, MAX_WINDOW);
        self.max_stream_window = self.max_stream_window.clamp(self.initial_stream_window, MAX_WINDOW);
        self.connection_window = self.connection_window.clamp(DEFAULT_WINDOW, MAX_WINDOW);
        self.max_connection_window = self.max_connection_window.clamp(self.connection_window, MAX_WINDOW);
        self.keepalive.interval = self.keepalive.interval.map(|interval| interval.max(LEAST_KEEPALIVE));
        if !self.user_agent.is_ascii() || field::check_value(&self.user_agent).is_err() {
            self.user_agent = Bytes::from_static(user_agent::DEFAULT.as_bytes());
        }
        if is_client {
            (self.max_idle, self.max_age) = (None, None);
        }
        self.keepalive.timeout = self.keepalive.timeout.max(LEAST_TIMEOUT);
        self.limits.raise();
        self
    }
}

impl Limits {
    /// Raises values below the least with which a connection works to that least. Limits whose zero has a meaning are
    /// left unchanged.
    fn raise(&mut self) {
        self.max_frame_size = self.max_frame_size.clamp(DEFAULT_MAX_FRAME_SIZE, MAX_MAX_FRAME_SIZE);
        for (limit, least) in [
            (&mut self.max_concurrent_streams, 1),
            (&mut self.queued_calls, 1),
            (&mut self.pending_resets, 1),
            (&mut self.frames_per_turn, 1),
            (&mut self.bytes_per_turn, 1),
            (&mut self.max_header_list, LEAST_HEADERS),
            (&mut self.max_header_block, LEAST_HEADERS),
            (&mut self.settings_entries, LEAST_SETTINGS),
            (&mut self.queued_replies, LEAST_REPLIES),
            (&mut self.control_frames.burst, LEAST_REPLIES),
            (&mut self.resets.burst, 1),
            (&mut self.internal_resets.burst, 1),
            (&mut self.empty_data.burst, 1),
            (&mut self.small_data.burst, 1),
            (&mut self.glitches.burst, 1),
        ] {
            *limit = (*limit).max(least);
        }
        self.memory = self.memory.max(Ledger::least(self.max_receive_message));
        for timeout in [
            &mut self.memory_timeout,
            &mut self.stall_timeout,
            &mut self.preface_timeout,
            &mut self.settings_timeout,
            &mut self.header_block_timeout,
        ] {
            *timeout = (*timeout).max(LEAST_TIMEOUT);
        }
    }
}

/// `:scheme` ([P-3](crate::manual::rules#p-3)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// Plaintext.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// Returns the value on the wire.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Http => b"http",
            Self::Https => b"https",
        }
    }
}

/// The status that answers a wrong number of messages.
///
/// The gRPC status code document says UNIMPLEMENTED; grpc-go and tonic send INTERNAL, and the document may follow
/// them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum CardinalityPolicy {
    /// UNIMPLEMENTED, as the document and C-core have it.
    #[default]
    Unimplemented,
    /// INTERNAL, as grpc-go.
    Internal,
}

impl CardinalityPolicy {
    /// Returns the policy's status code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Unimplemented => Code::Unimplemented,
            Self::Internal => Code::Internal,
        }
    }
}

/// The keepalive policy of one side ([P-96](crate::manual::rules#p-96) to [P-99](crate::manual::rules#p-99)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Keepalive {
    /// The time without a frame from the peer after which a PING is sent, at least a millisecond. Client: never by
    /// default, and servers that follow gRPC's defaults close connections that send PINGs more often than every 5
    /// minutes; server: 2 hours.
    pub interval: Option<Duration>,
    /// The time to wait for the answer, after which the connection is dead: 20 seconds; at least a millisecond.
    pub timeout: Duration,
    /// Whether PINGs are sent while no call is open. Client: no; server: yes.
    pub without_calls: bool,
    /// Client: the most PINGs without a HEADERS or DATA frame sent between them: 2, as C-core
    /// ([P-99](crate::manual::rules#p-99)); 0 means any number.
    pub max_pings_without_data: u32,
    /// Server: the interval below which a PING after the previous one is a strike: 5 minutes
    /// ([P-98](crate::manual::rules#p-98)).
    pub min_ping_interval: Duration,
    /// Server: the same while no call is open: 2 hours. Set it to `min_ping_interval` to permit PINGs without calls.
    pub min_ping_interval_idle: Duration,
    /// Server: the number of strikes beyond which the connection ends with `too_many_pings`: 2. Strikes are reset
    /// whenever the server sends HEADERS or DATA. `None` never counts.
    pub max_strikes: Option<u32>,
}

impl Keepalive {
    const fn client() -> Self {
        Self { interval: None, without_calls: false, max_strikes: None, ..Self::server() }
    }

    const fn server() -> Self {
        Self {
            interval: Some(Duration::from_secs(2 * 60 * 60)),
            timeout: Duration::from_secs(20),
            without_calls: true,
            max_pings_without_data: 2,
            min_ping_interval: Duration::from_secs(5 * 60),
            min_ping_interval_idle: Duration::from_secs(2 * 60 * 60),
            max_strikes: Some(2),
        }
    }
}

/// A token bucket: a burst, and a rate at which it refills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// The tokens of a full bucket: at least 1.
    pub burst: u32,
    /// The tokens added each second.
    pub per_second: u32,
}

/// Every bound on what a peer may make this side hold or do. docs/limits.md has the formula for the most memory that
/// one connection can hold.
///
/// Values that are too small, 0 among them, follow one rule. If a connection could not work with a value, the limit
/// counts as the least with which it can, which its field states. If a field states no least, 0 allows none of what
/// it bounds (no table, no CONTINUATION frames, no message but an empty one), and everything else works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Server: calls open at once, announced and enforced from the first byte: 200; at least 1. More are refused with
    /// REFUSED_STREAM (rapid reset, CVE-2023-44487).
    pub max_concurrent_streams: u32,
    /// Bytes of one frame's payload: 16,384, the least that RFC 9113 §4.2 allows; at most 2^24-1.
    pub max_frame_size: u32,
    /// Bytes of one header list, including 32 for each field: 16 KiB; at least 1 KiB. A call over it ends with
    /// RESOURCE_EXHAUSTED, and nothing of the list is kept. A list over four times the limit ends the connection if
    /// it is also more than three times as long as its encoded block (HPACK bomb, CVE-2016-1544); any other has cost
    /// the peer as much as this side.
    pub max_header_list: u32,
    /// CONTINUATION frames of one block: 8, and one more for each 8 KiB of the block (CVE-2024-28182 and its kin).
    pub max_continuations: u32,
    /// Bytes of one encoded block; one over it ends the connection. Server: 64 KiB; client: 1 MiB; at
    /// least 1 KiB.
    pub max_header_block: u32,
    /// Bytes of the HPACK table that the peer's encoder may use: 4,096.
    pub decoder_table: u32,
    /// Bytes of the HPACK table that our encoder uses, even if the peer allows more: 4,096.
    pub encoder_table: u32,
    /// Entries of one SETTINGS frame: 32; at least 8 (CVE-2020-11080).
    pub settings_entries: u32,
    /// Replies that may wait for the transport before reading stops: 64; at least 8, more than an honest peer causes
    /// at once. They are those to PING, SETTINGS, refused streams and broken rules; this side's own resets and credit
    /// do not count.
    pub queued_replies: u32,
    /// Frames that require a reply, PING and SETTINGS (CVE-2019-9512, CVE-2019-9515): 1,000, at least 8, and 1,000 a
    /// second, and one more for each HEADERS or DATA frame sent and each useful DATA frame received. A SETTINGS frame
    /// that changes the windows of streams costs one more for every eight open streams.
    pub control_frames: Rate,
    /// Server: calls that their client resets sooner than an honest one would (CVE-2023-44487): 500 and 1,000 a
    /// second, and one more for each call that ended with its status. A call counts if it has no response headers
    /// yet, is younger than a second and had more than an eighth of its time left: fully if it is younger than 5 ms,
    /// and a quarter otherwise. A call younger than 5 ms whose time had run out also counts a quarter.
    pub resets: Rate,
    /// Server: calls reset by the client whose end the caller has not received: 100; at least 1. Beyond that a
    /// [`receive`](crate::Connection::receive) returns, so that their handlers end before more are started.
    pub pending_resets: u32,
    /// Streams that this side reset because of the peer's mistakes (CVE-2025-8671, CVE-2019-9514): 100 and 100 a
    /// second, and one more for each call that ended with its status.
    pub internal_resets: Rate,
    /// DATA frames without any byte and without END_STREAM (CVE-2019-9518): 100 and 1,000 a second, and one more for
    /// each HEADERS or DATA frame sent and each useful DATA frame received.
    pub empty_data: Rate,
    /// DATA frames of fewer than 5 bytes, too short for any message, that complete none and do not end the stream; on
    /// a closed stream, DATA over the window that it had when it was closed (CVE-2019-9518). Server: 10,000 and 1,000
    /// a second; client: 100,000 and 10,000 a second, because some servers send a large answer in tiny frames. One
    /// more for each HEADERS or DATA frame sent, for each useful DATA frame received, and for every 256 bytes of
    /// these, and 4 for every stream that ends.
    pub small_data: Rate,
    /// Useless frames: unknown types, 1xx answers, GOAWAY, refused streams, HEADERS and RST_STREAM for closed
    /// streams, WINDOW_UPDATE for closed streams over what was sent on them: 10,000 and 1,000 a second, one more for
    /// each HEADERS or DATA frame sent and each useful DATA frame received, and 4 for every stream that ends.
    pub glitches: Rate,
    /// Bytes of one received message, also after decompression: 4 MiB ([P-54](crate::manual::rules#p-54)).
    pub max_receive_message: u32,
    /// Bytes of one sent message: no limit by default ([P-55](crate::manual::rules#p-55)).
    pub max_send_message: u32,
    /// Bytes of messages that the connection may hold: received ones that the caller has not read, parts of messages,
    /// and what is queued for sending, which leaves half of it for receiving. 128 MiB on a server, thirty messages of
    /// the largest size; 1 GiB on a client, which queues what its own caller sends. Never less than one message. A
    /// caller that shares memory among connections takes back what they do not need and grants it again
    /// ([`Connection::memory`](crate::Connection::memory)).
    pub memory: u64,
    /// How long a message that is larger than its stream's window may wait for memory before its call ends with
    /// RESOURCE_EXHAUSTED: 20 seconds; at least a millisecond.
    pub memory_timeout: Duration,
    /// The time without progress, because the peer neither sends nor reads, after which a call that holds memory is
    /// ended with RESOURCE_EXHAUSTED if memory is short: 2 seconds; at least a millisecond.
    pub stall_timeout: Duration,
    /// Read buffers that unread messages may keep alive: 16. A message of 2 KiB or more that arrived in a frame of 4
    /// KiB or more shares the buffer that it was read into; beyond this number it is copied.
    pub kept_buffers: u32,
    /// Bytes queued for sending on one call, including 48 for each message, beyond which its sender waits: 64 KiB
    /// (CVE-2019-9517). One message of any size may exceed it, and a call with an empty queue may always queue one.
    pub send_buffer: u32,
    /// Client: calls that wait for a stream ([P-19](crate::manual::rules#p-19)): 65,536; at least 1.
    pub queued_calls: u32,
    /// Frames handled by one [`receive`](crate::Connection::receive): 64, so that a flood on one connection does not
    /// delay the others; at least 1.
    pub frames_per_turn: u32,
    /// Bytes handled by one `receive`: 64 KiB, at least 1; the frame that exceeds them is finished.
    pub bytes_per_turn: u32,
    /// The time for the peer's preface and first SETTINGS: 10 seconds; at least a millisecond.
    pub preface_timeout: Duration,
    /// The time for the peer to acknowledge our SETTINGS: 10 seconds; at least a millisecond.
    pub settings_timeout: Duration,
    /// The time for the peer to finish a header block: 10 seconds; at least a millisecond.
    pub header_block_timeout: Duration,
    /// Client: bytes of the body of a response that is not gRPC (a proxy's or a web server's page) that are read for
    /// the message of the call's status; then the call ends: 1,024, as grpc-go ([P-28](crate::manual::rules#p-28)). 0
    /// reads none and ends the call with the body's first byte.
    pub non_grpc_body: u32,
    /// Client: the time for such a body from its headers on; then the call ends with what has arrived of it: 3
    /// seconds, as grpc-go.
    pub non_grpc_body_timeout: Duration,
    /// The time for which the peer may read nothing while replies wait for it and it has sent more frames: 20
    /// seconds.
    pub unread_timeout: Duration,
    /// Server: the time for answering calls whose requests are complete once the client has ended its direction of
    /// the transport: 20 seconds. A client that has gone entirely looks the same, so with 0 such calls end at once.
    pub half_close_timeout: Duration,
}

impl Limits {
    /// Makes a server's defaults.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            max_concurrent_streams: 200,
            max_frame_size: 16_384,
            max_header_list: 16 * 1024,
            max_continuations: 8,
            max_header_block: 64 * 1024,
            decoder_table: 4_096,
            encoder_table: 4_096,
            settings_entries: 32,
            queued_replies: 64,
            control_frames: Rate { burst: 1_000, per_second: 1_000 },
            resets: Rate { burst: 500, per_second: 1_000 },
            pending_resets: 100,
            internal_resets: Rate { burst: 100, per_second: 100 },
            empty_data: Rate { burst: 100, per_second: 1_000 },
            small_data: Rate { burst: 10_000, per_second: 1_000 },
            glitches: Rate { burst: 10_000, per_second: 1_000 },
            max_receive_message: 4 << 20,
            max_send_message: u32::MAX,
            memory: 128 << 20,
            memory_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(2),
            kept_buffers: 16,
            send_buffer: 64 * 1024,
            queued_calls: 65_536,
            frames_per_turn: 64,
            bytes_per_turn: 64 * 1024,
            preface_timeout: Duration::from_secs(10),
            settings_timeout: Duration::from_secs(10),
            header_block_timeout: Duration::from_secs(10),
            non_grpc_body: 1_024,
            non_grpc_body_timeout: Duration::from_secs(3),
            unread_timeout: Duration::from_secs(20),
            half_close_timeout: Duration::from_secs(20),
        }
    }

    /// Makes a client's defaults.
    #[must_use]
    pub const fn client() -> Self {
        Self {
            max_header_block: 1 << 20,
            // Most of it is what the caller's own requests queue: a thousand large ones at once are its own choice.
            memory: 1 << 30,
            small_data: Rate { burst: 100_000, per_second: 10_000 },
            ..Self::server()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_brought_into_their_ranges() {
        // The windows of a stream and of the connection with their maxima, as given and as used.
        for (given, taken) in [
            ([0, 0, 0, 0], [1, 1, 65_535, 65_535]),
            ([1, 0, 65_534, 65_535], [1, 1, 65_535, 65_535]),
            ([70_000, 60_000, 65_536, 65_535], [70_000, 70_000, 65_536, 65_536]),
            ([60_000, 60_001, 65_536, 65_537], [60_000, 60_001, 65_536, 65_537]),
            ([u32::MAX; 4], [MAX_WINDOW; 4]),
        ] {
            let mut config = Config::server();
            [
                config.initial_stream_window,
                config.max_stream_window,
                config.connection_window,
                config.max_connection_window,
            ] = given;
            let config = config.in_range(false);
            let met = [
                config.initial_stream_window,
                config.max_stream_window,
                config.connection_window,
                config.max_connection_window,
            ];
            assert_eq!(met, taken, "{given:?}");
        }
    }

    #[test]
    fn limits_that_would_stop_everything_are_at_least_one() {
        for (given, taken, replies, frame) in [
            (0, 1, 8, 16_384),
            (1, 1, 8, 16_384),
            (7, 7, 8, 16_384),
            (9, 9, 9, 16_384),
            (20_000, 20_000, 20_000, 20_000),
        ] {
            let mut config = Config::server();
            config.limits.max_frame_size = given;
            config.limits.queued_replies = given;
            config.limits.frames_per_turn = given;
            config.limits.bytes_per_turn = given;
            let limits = config.in_range(false).limits;
            assert_eq!(limits.max_frame_size, frame);
            let met = [limits.frames_per_turn, limits.bytes_per_turn];
            assert_eq!((met, limits.queued_replies), ([taken; 2], replies));
        }
        let mut config = Config::server();
        config.limits.max_frame_size = u32::MAX;
        assert_eq!(config.in_range(false).limits.max_frame_size, (1 << 24) - 1);
    }

    #[test]
    fn a_user_agent_that_is_no_field_value_gives_way_to_the_default() {
        for (given, kept) in [("mine/1.0", true), ("", true), ("two\nlines", false), ("caf\u{e9}", false)] {
            let mut config = Config::client();
            config.user_agent = given.into();
            let expected = if kept { given } else { user_agent::DEFAULT };
            assert_eq!(config.in_range(true).user_agent, expected, "{given:?}");
        }
    }

    #[test]
    fn only_servers_end_connections_for_their_age() {
        for is_client in [false, true] {
            let mut config = Config::server();
            config.keepalive.interval = Some(Duration::from_micros(999));
            (config.max_idle, config.max_age) = (Some(Duration::ZERO), Some(Duration::MAX));
            let config = config.in_range(is_client);
            assert_eq!((config.max_idle.is_none(), config.max_age.is_none()), (is_client, is_client));
            assert_eq!(config.keepalive.interval, Some(Duration::from_millis(1)));
        }
        let mut config = Config::client();
        config.keepalive.interval = Some(Duration::from_millis(2));
        assert_eq!(config.in_range(true).keepalive.interval, Some(Duration::from_millis(2)));
    }

    #[test]
    fn what_stands_on_the_wire_for_the_settings() {
        assert_eq!((Scheme::Http.as_bytes(), Scheme::Https.as_bytes()), (&b"http"[..], &b"https"[..]));
        let codes = [CardinalityPolicy::default(), CardinalityPolicy::Internal].map(CardinalityPolicy::code);
        assert_eq!(codes, [Code::Unimplemented, Code::Internal]);
    }
}
