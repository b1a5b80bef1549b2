//! Output that the peer has caused and not read yet: replies, WINDOW_UPDATEs, and resets of calls that it started.

/// Counts the output that the peer has caused until the transport has accepted it.
///
/// Two groups make the count nearly exact. The older group is forgotten when its last reply has been written, and the
/// newer one takes its place. The output as a whole is no measure, since calls that always have something to send may
/// never let it become empty.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    older: ReplyGroup,
    newer: ReplyGroup,
}

/// The output appended while the group before it waited, with the position at which it ends in all bytes ever
/// written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ReplyGroup {
    /// Replies to frames; a peer that follows the rules causes only a few at a time.
    pub(crate) replies: u32,
    /// Bytes of the replies and of all other output that the peer has caused.
    pub(crate) bytes: usize,
    end: u64,
}

impl Replies {
    /// Counts a reply of `bytes` bytes that ends at the position `end` of the output.
    pub(crate) fn add_reply(&mut self, bytes: usize, end: u64) {
        self.add(1, bytes, end);
    }

    /// Counts `bytes` bytes of other output that the peer has caused.
    pub(crate) fn add_bytes(&mut self, bytes: usize, end: u64) {
        self.add(0, bytes, end);
    }

    fn add(&mut self, replies: u32, bytes: usize, end: u64) {
        let group = if self.older.bytes == 0 { &mut self.older } else { &mut self.newer };
        group.replies = group.replies.saturating_add(replies);
        group.bytes = group.bytes.saturating_add(bytes);
        group.end = end;
    }

    /// Returns what waits once `written` bytes have been written.
    #[inline]
    pub(crate) fn waiting(&mut self, written: u64) -> ReplyGroup {
        while self.older.bytes > 0 && written >= self.older.end {
            self.older = std::mem::take(&mut self.newer);
        }
        let (older, newer) = (&self.older, &self.newer);
        ReplyGroup {
            replies: older.replies.saturating_add(newer.replies),
            bytes: older.bytes.saturating_add(newer.bytes),
            end: newer.end.max(older.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Replies;

    /// Returns the number of replies and bytes that wait.
    fn waiting(replies: &mut Replies, written: u64) -> (u32, usize) {
        let waiting = replies.waiting(written);
        (waiting.replies, waiting.bytes)
    }

    #[test]
    fn they_are_forgotten_when_they_have_been_written() {
        let mut replies = Replies::default();
        assert_eq!(waiting(&mut replies, 0), (0, 0));
        replies.add_reply(5, 10);
        assert_eq!((waiting(&mut replies, 9), waiting(&mut replies, 10)), ((1, 5), (0, 0)));
        replies.add_bytes(6, 20);
        replies.add_reply(7, 30);
        replies.add_reply(8, 40);
        assert_eq!(waiting(&mut replies, 19), (2, 21));
        assert_eq!(waiting(&mut replies, 20), (2, 15), "the first is a group of its own");
        assert_eq!(waiting(&mut replies, 39), (2, 15), "the others go together");
        assert_eq!(waiting(&mut replies, 40), (0, 0));
    }

    #[test]
    fn one_always_behind_the_other_does_not_add_up() {
        let mut replies = Replies::default();
        for n in 0..10_000_u64 {
            replies.add_reply(13, n * 100 + 1_000);
            let (count, bytes) = waiting(&mut replies, n * 100);
            assert!(count <= 21 && bytes <= 21 * 13, "{n}");
        }
    }
}
