//! The transport of a case: what joins the connection under test and the provoking peer.

use std::time::Duration;

use halfclose::{CallType, Code, Config};
use halfclose_wire::Frame;

/// The method of the calls that a server ignores: its handler neither reads nor answers.
pub const HOLD: &str = halfclose_wire::PATH;
/// The unary method that returns its request.
pub const ECHO: &str = "/demo.Echo/Say";

/// The deadline of a call that has one.
pub const DEADLINE: Duration = Duration::from_millis(100);

/// The provoking peer's end of a connection.
pub trait Line {
    /// Writes bytes. A connection that has closed meanwhile accepts none, which is no failure here: its frames are
    /// read afterwards.
    fn write(&mut self, bytes: &[u8]);

    /// Returns the next frame that the connection under test sends, or `None` at its end. A connection that neither
    /// sends nor ends fails the test.
    fn read(&mut self) -> Option<Frame>;

    /// Ends the peer's direction, or all of the connection.
    fn close(&mut self);

    /// Returns the frames up to and including the first for which `last` is true, or all up to the end.
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
    /// The messages that its caller received.
    pub messages: Vec<Vec<u8>>,
}

/// A client under test, and its server, which is the peer.
pub trait Caller: Line {
    /// A call.
    type Call;

    /// Starts a call to [`ECHO`]. A unary call is sent whole; of the others only the headers are sent and, if `ends`,
    /// the half-close. The caller reads nothing until its end is asked for.
    fn start(&mut self, call_type: CallType, ends: bool) -> Self::Call;

    /// Starts a unary call with the timeout [`DEADLINE`].
    fn start_timed(&mut self) -> Self::Call;

    /// Returns how the call ended. A call that does not end fails the test.
    fn end(&mut self, call: Self::Call) -> End;
}

/// Joins the connection under test and the peer.
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
