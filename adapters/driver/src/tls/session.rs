//! One TLS session without its transport: records in, records out. Only this file knows how rustls moves bytes:
//! rustls 0.24 uses buffers instead of readers and writers, which will change only `receive`, `handshake`, `send` and
//! `take_records`.

use std::io::{self, BufRead, ErrorKind, IoSlice, Read, Write};

use bytes::{Buf, BytesMut};
use rustls::pki_types::CertificateDer;
use rustls::{Connection, HandshakeKind, ProtocolVersion};

/// A session of either side.
pub(super) struct Session {
    tls: Connection,
    /// Whether the peer has ended its direction with close_notify.
    ended: bool,
}

impl Session {
    pub(super) const fn new(tls: Connection) -> Self {
        Self { tls, ended: false }
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Returns whether the peer has ended its direction with close_notify, and everything before that was received.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Decrypts `records`, as many as `plaintext` has spare capacity for, and appends the content. Returns the number
    /// of bytes appended; the rest of `records` waits for more space.
    pub(super) fn receive(
        &mut self,
        records: &mut BytesMut,
        plaintext: &mut BytesMut,
    ) -> (usize, Result<(), rustls::Error>) {
        let mut count = 0;
        loop {
            count += self.take_plaintext(plaintext);
            if self.ended {
                records.clear();
            }
            if records.is_empty() || plaintext.len() == plaintext.capacity() {
                return (count, Ok(()));
            }
            if let Err(error) = self.feed(records) {
                // Data before the fault is returned before the fault.
                count += self.take_plaintext(plaintext);
                return (count, Err(error));
            }
        }
    }

    /// Processes `records` until the handshake is over.
    pub(super) fn handshake(&mut self, records: &mut BytesMut) -> Result<(), rustls::Error> {
        while self.is_handshaking() && !records.is_empty() {
            self.feed(records)?;
        }
        Ok(())
    }

    /// Passes the next part of `records` to rustls, which accepts 4 KiB at a time.
    fn feed(&mut self, records: &mut BytesMut) -> Result<(), rustls::Error> {
        let mut rest = &records[..];
        let read = self.tls.read_tls(&mut rest);
        let taken = records.len().saturating_sub(rest.len());
        records.advance(taken);
        match read {
            // Nothing is read after close_notify.
            Ok(0) => self.ended = true,
            Ok(_) => {}
            // A handshake message or a record larger than rustls's buffer.
            Err(error) => return Err(rustls::Error::General(error.to_string())),
        }
        self.tls.process_new_packets().map(drop)
    }

    fn take_plaintext(&mut self, into: &mut BytesMut) -> usize {
        let before = into.len();
        let mut reader = self.tls.reader();
        loop {
            let room = into.capacity().saturating_sub(into.len());
            match reader.fill_buf() {
                Ok([]) => {
                    self.ended = true;
                    break;
                }
                Ok(chunk) if room > 0 => {
                    let some = chunk.get(..room).unwrap_or(chunk);
                    into.extend_from_slice(some);
                    let taken = some.len();
                    reader.consume(taken);
                }
                _ => break,
            }
        }
        into.len().saturating_sub(before)
    }

    /// Encrypts the front of `slices` and appends it to `records`. Returns the number of bytes encrypted, at most 64
    /// KiB.
    pub(super) fn send(&mut self, slices: &[IoSlice<'_>], records: &mut BytesMut) -> usize {
        // Writing to rustls' own buffer does not fail.
        let taken = match slices {
            [one] => self.tls.writer().write(one),
            _ => self.tls.writer().write_vectored(slices),
        };
        self.take_records(records);
        taken.unwrap_or(0)
    }

    /// Appends the session's own records: its handshake, tickets, alerts. Returns whether there were any.
    pub(super) fn take_records(&mut self, records: &mut BytesMut) -> bool {
        let any = self.tls.wants_write();
        while self.tls.wants_write() {
            // Writing to memory does not fail.
            if self.tls.write_tls(&mut Appending(records)).is_err() {
                break;
            }
        }
        any
    }

    /// Ends our direction with close_notify.
    pub(super) fn close(&mut self, records: &mut BytesMut) {
        self.tls.send_close_notify();
        self.take_records(records);
    }

    /// Frees memory that only serves speed, which a record of full size needed.
    pub(super) fn shrink(&mut self) {
        // rustls shrinks its buffer before it reads.
        let _ = self.tls.read_tls(&mut Nothing);
    }

    pub(super) fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    pub(super) fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.tls.peer_certificates().unwrap_or_default()
    }

    pub(super) fn version(&self) -> Option<ProtocolVersion> {
        self.tls.protocol_version()
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Returns the name that a client asked for; `None` on a client.
    pub(super) fn server_name(&self) -> Option<&str> {
        match &self.tls {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        }
    }
}

/// A writer that appends.
struct Appending<'a>(&'a mut BytesMut);

impl Write for Appending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        slices.iter().for_each(|slice| self.0.extend_from_slice(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that has nothing to read for now.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}
