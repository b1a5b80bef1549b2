//! Recognises other protocols than HTTP/2 by the first bytes of an answer.

use std::fmt;

/// A protocol that was recognised in place of the one that was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Foreign {
    /// HTTP/1.x: a web server, or a proxy that does not forward HTTP/2.
    Http1,
    /// HTTP/2 without TLS.
    Http2,
    /// TLS.
    Tls,
    /// SSH.
    Ssh,
    /// A protocol that greets with a number, such as mail and file transfer.
    Greeting,
}

impl Foreign {
    /// Returns the protocol that begins with `first`. Two bytes may be enough.
    pub(crate) fn recognise(first: &[u8]) -> Option<Self> {
        const METHODS: [&[u8]; 6] = [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT "];
        let begins = |with: &[u8]| first.starts_with(with);
        if begins(b"HTTP/1") || METHODS.into_iter().any(begins) {
            return Some(Self::Http1);
        }
        if begins(b"PRI * HTTP/2.0") {
            return Some(Self::Http2);
        }
        if begins(b"SSH-") {
            return Some(Self::Ssh);
        }
        match *first {
            // A record: its type, alert or handshake, and a version from 3.0 to 3.4 (RFC 8446 §5.1).
            [21 | 22, 3, 0..=4, ..] => Some(Self::Tls),
            // "220 mail.example.org ESMTP"
            [b'2', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', ..] => Some(Self::Greeting),
            // The SETTINGS of a server.
            [0, _, _, 4, 0, 0, 0, 0, 0, ..] => Some(Self::Http2),
            _ => None,
        }
    }

    /// Returns the protocol as it appears in an error message.
    #[cfg(feature = "tls")]
    pub(crate) fn describe(found: Option<&Self>) -> String {
        found.map(|found| format!(" but {found}")).unwrap_or_default()
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "HTTP/1",
            Self::Http2 => "HTTP/2 without TLS",
            Self::Tls => "TLS",
            Self::Ssh => "SSH",
            Self::Greeting => "a protocol with a numbered greeting, such as SMTP or FTP",
        })
    }
}
