//! What the two applications do over a pair of pipes, drawn from a seed.

use std::time::Duration;

use halfclose::{CallType, Config, Rate};

/// Memory that is enough for everything in a plan.
const AMPLE: u64 = 128 << 20;

/// How a call ends, apart from its deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Everything is sent and received.
    Whole,
    /// The client cancels it at this time.
    Cancel(Duration),
    /// The server ends it early, after this many requests.
    Early(usize),
    /// The server cancels it, after this many requests.
    Abort(usize),
    /// The client's deadline, and with it the server's, passes at this time.
    Deadline(Duration),
}

/// One call: what is sent each way, independent of the other way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallPlan {
    /// Sizes of the requests.
    pub requests: Vec<usize>,
    /// Sizes of the responses.
    pub responses: Vec<usize>,
    /// How it ends.
    pub ending: Ending,
    /// Whether the server's application asks for buffer space before it makes a message, or sends and is refused.
    pub asks: bool,
}

impl CallPlan {
    /// All calls carry any number of messages both ways.
    pub const SHAPE: CallType = CallType::BIDI;
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of the choices made during the run.
    pub seed: u64,
    /// The bytes that each pipe holds, the client's first.
    pub capacity: [usize; 2],
    /// The bytes that a call may queue before its sender waits.
    pub send_buffer: u32,
    /// The memory of each connection.
    pub memory: u64,
    /// The server's bound on streams.
    pub streams: u32,
    /// A stream's first window.
    pub window: u32,
    /// The frames that one `receive` handles.
    pub frames_per_turn: u32,
    /// The replies that may wait.
    pub queued_replies: u32,
    /// Whether both ends send a PING whenever they have received nothing for a millisecond.
    pub pings: bool,
    /// The calls.
    pub calls: Vec<CallPlan>,
}

impl Plan {
    /// Returns the plan of a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        let capacity = [capacity(&mut rng), capacity(&mut rng)];
        // A byte at a time costs a turn, so the bytes through the narrowest pipe are bounded.
        let most = capacity.iter().min().map_or(0, |narrow| (narrow * 60_000).clamp(150_000, 1_500_000));
        // Occasionally many calls, most of which end at one instant.
        let crowd = rng.u8(..8) == 0;
        let count = if crowd { rng.usize(100..=400) } else { rng.usize(1..=40) };
        let instant = Duration::from_micros(rng.u64(1..60_000));
        let mut budget = [most, most];
        let calls = (0..count).map(|_| call(&mut rng, &mut budget, instant, crowd)).collect();
        Self {
            seed,
            capacity,
            send_buffer: *pick(&mut rng, &[1, 16_000, 65_536]),
            memory: *pick(&mut rng, &[1 << 19, AMPLE, AMPLE]),
            streams: if crowd { 1_000 } else { *pick(&mut rng, &[1, 3, 100, 200]) },
            window: *pick(&mut rng, &[1, 300, 65_535, 65_535, 1 << 20]),
            frames_per_turn: *pick(&mut rng, &[1, 64]),
            queued_replies: *pick(&mut rng, &[0, 64]),
            pings: rng.bool(),
            calls,
        }
    }

    /// Returns whether calls may have to wait for memory, and end without it.
    pub(crate) const fn is_short_of_memory(&self) -> bool {
        self.memory < AMPLE
    }

    /// Returns the settings of the client and of the server.
    #[must_use]
    pub fn configs(&self) -> (Config, Config) {
        let (mut client, mut server) = (Config::client(), Config::server());
        for config in [&mut client, &mut server] {
            config.initial_stream_window = self.window;
            config.limits.send_buffer = self.send_buffer;
            config.limits.memory = self.memory;
            config.limits.max_receive_message = 400_000;
            config.limits.max_concurrent_streams = self.streams;
            config.limits.frames_per_turn = self.frames_per_turn;
            config.limits.queued_replies = self.queued_replies;
            // Other tests cover the guards; this one covers the loop.
            config.limits.resets = Rate { burst: 1 << 20, per_second: 0 };
            config.keepalive.max_strikes = None;
            config.keepalive.max_pings_without_data = 0;
            config.keepalive.interval =
                (self.pings && !self.is_short_of_memory()).then_some(Duration::from_millis(1));
            config.keepalive.without_calls = true;
        }
        (client, server)
    }
}

fn pick<'a, T>(rng: &mut fastrand::Rng, values: &'a [T]) -> &'a T {
    &values[rng.usize(..values.len())]
}

/// Returns one byte to 4 KiB, and occasionally as much as a socket holds.
fn capacity(rng: &mut fastrand::Rng) -> usize {
    match rng.usize(..10) {
        0 => 1,
        1 => 7,
        2 => 65_536,
        _ => 1 << rng.usize(3..=12),
    }
}

fn call(rng: &mut fastrand::Rng, budget: &mut [usize; 2], instant: Duration, crowd: bool) -> CallPlan {
    let [requests, responses] = budget.each_mut().map(|budget| messages(rng, budget));
    let ending = match rng.usize(..10) {
        _ if crowd && rng.u8(..4) > 0 => Ending::Deadline(instant),
        0 => Ending::Cancel(Duration::from_micros(rng.u64(..100_000))),
        1 => Ending::Early(rng.usize(..=requests.len())),
        2 => Ending::Abort(rng.usize(..=requests.len())),
        // Many at one instant.
        3 | 4 => Ending::Deadline(instant),
        _ => Ending::Whole,
    };
    CallPlan { requests, responses, ending, asks: rng.bool() }
}

fn messages(rng: &mut fastrand::Rng, budget: &mut usize) -> Vec<usize> {
    let most = [40, 3_000, 70_000, 300_000][rng.usize(..4)];
    let sizes: Vec<usize> = (0..rng.usize(..6)).map(|_| rng.usize(..=most)).collect();
    let total: usize = sizes.iter().sum();
    if total > *budget {
        return vec![1];
    }
    *budget -= total;
    sizes
}
