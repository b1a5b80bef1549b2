//! Where a case runs: what joins the connection under test and the peer that provokes it.

use std::time::Duration;

use halfclose::{CallType, Code, Config};
use halfclose_wire::Frame;

/// The method of the calls that a server leaves alone: its handler neither reads nor answers.
pub const HOLD: &str = halfclose_wire::PATH;
/// The unary method that gives its request back.
pub const ECHO: &str = "/demo.Echo/Say";

/// How long a call with a deadline may take.
pub const DEADLINE: Duration = Duration::from_millis(100);

/// The provoking peer's end of a connection.
pub trait Line {
    /// Writes bytes. A connection that has closed meanwhile takes none, and that is no failure here: what it has said
    /// is read behind it.
    fn write(&mut self, bytes: &[u8]);

    /// The next frame that the connection under test sends, or `None` at its end. A connection that neither sends nor
    /// ends fails the test.
    fn read(&mut self) -> Option<Frame>;

    /// Ends the peer's direction, or all of the connection.
    fn close(&mut self);

    /// The frames up to the first that `last` is true for, and that one; or all up to the end.
    fn read_until(&mut self, mut last: impl FnMut(&Frame) -> bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.read() {
            let done = last(&frame);
            frames.push(frame);
            if done {
                break;
            }
        }
        frames
    }
}

/// How a client's call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Its status.
    pub code: Code,
    /// The messages that its caller took.
    pub messages: Vec<Vec<u8>>,
}

/// A client under test, and its server, which is the peer.
pub trait Caller: Line {
    /// A call.
    type Call;

    /// Starts a call to [`ECHO`]: unary calls are sent whole, of the others nothing but their headers and, where `ends`
    /// says so, the half-close. Nothing is read before its end is asked for.
    fn start(&mut self, call_type: CallType, ends: bool) -> Self::Call;

    /// Starts a unary call that may take [`DEADLINE`].
    fn start_timed(&mut self) -> Self::Call;

    /// How the call ended. A call that does not end fails the test.
    fn end(&mut self, call: Self::Call) -> End;
}

/// What joins the connection under test and the peer.
pub trait Transport {
    /// Its name on the page.
    const NAME: &'static str;

    /// A server under test, with the methods [`HOLD`] and [`ECHO`].
    type Server;
    /// A client's end of a connection to it.
    type Line: Line;
    /// A client under test.
    type Caller: Caller;

    /// Starts a server.
    fn serve(config: Config) -> Self::Server;

    /// Connects to it; nothing is sent.
    fn connect(server: &Self::Server) -> Self::Line;

    /// Starts a client and accepts its connection; nothing is sent.
    fn client(config: Config) -> Self::Caller;
}
