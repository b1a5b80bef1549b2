//! Connections and streams that do nothing, to see what a server keeps for them.

use std::io::{Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

use halfclose::frame::{FRAME_HEADER_LEN, Flags, FrameHeader, FrameType, PREFACE, StreamId};
use halfclose::hpack::{Encoder, Indexing};

use crate::service::STREAMING_CALL;

/// One settled connection, with calls of `StreamingCall` that have sent their headers and nothing more.
#[derive(Debug)]
pub struct Idle {
    socket: TcpStream,
}

fn frame(out: &mut Vec<u8>, kind: FrameType, flags: Flags, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0);
    FrameHeader { length, kind, flags, stream: StreamId::new(stream) }.write(out);
    out.extend_from_slice(payload);
}

impl Idle {
    /// Connects, opens the streams, and waits until the server has seen them.
    ///
    /// # Errors
    ///
    /// If the socket fails, or the server does not answer.
    pub fn connect(address: SocketAddr, streams: u32) -> Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        let mut out = PREFACE.to_vec();
        frame(&mut out, FrameType::Settings, Flags::NONE, 0, &[]);
        let mut encoder = Encoder::new(4096);
        for nth in 0..streams {
            let mut block = Vec::new();
            encoder.begin(&mut block);
            for (name, value) in [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", STREAMING_CALL),
                (":authority", "localhost"),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
            ] {
                encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Incremental, &mut block);
            }
            frame(&mut out, FrameType::Headers, Flags::END_HEADERS, 2 * nth + 1, &block);
        }
        frame(&mut out, FrameType::Settings, Flags::ACK, 0, &[]);
        // The answer to this PING arrives after everything before it has been read.
        frame(&mut out, FrameType::Ping, Flags::NONE, 0, b"settled?");
        socket.write_all(&out)?;
        let mut idle = Self { socket };
        idle.await_pong()?;
        Ok(idle)
    }

    fn await_pong(&mut self) -> Result<()> {
        loop {
            let mut header = [0; FRAME_HEADER_LEN];
            self.socket.read_exact(&mut header)?;
            let header = FrameHeader::parse(&header);
            let mut payload = vec![0; header.length as usize];
            self.socket.read_exact(&mut payload)?;
            match header.kind {
                FrameType::Ping if header.flags.contains(Flags::ACK) && payload == b"settled?" => {
                    return Ok(());
                }
                FrameType::GoAway | FrameType::RstStream => {
                    return Err(Error::other(format!("the server refuses: {header:?} {payload:?}")));
                }
                _ => {}
            }
        }
    }
}
