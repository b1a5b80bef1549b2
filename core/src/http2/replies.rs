//! Replies that wait for the transport.

/// Counts replies until the transport has taken them.
///
/// Two groups are enough to be about exact: the older one is forgotten when its last reply has been written, whatever
/// stands behind it, and the newer one takes its place. With calls that always have something to send the output may
/// never be empty, so its emptiness is no measure.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    older: ReplyGroup,
    newer: ReplyGroup,
}

/// Some replies, and where the last of them ends in the run of all bytes ever to be written.
#[derive(Clone, Copy, Debug, Default)]
struct ReplyGroup {
    count: u32,
    end: u64,
}

impl Replies {
    /// A reply was appended to the output and ends there.
    pub(crate) fn add(&mut self, end: u64) {
        let group = if self.older.count == 0 { &mut self.older } else { &mut self.newer };
        group.count = group.count.saturating_add(1);
        group.end = end;
    }

    /// How many wait, when so many bytes have ever been written.
    #[inline]
    pub(crate) fn waiting(&mut self, written: u64) -> u32 {
        while self.older.count > 0 && written >= self.older.end {
            self.older = std::mem::take(&mut self.newer);
        }
        self.older.count.saturating_add(self.newer.count)
    }
}

#[cfg(test)]
mod tests {
    use super::Replies;

    #[test]
    fn they_are_forgotten_when_they_have_been_written() {
        let mut replies = Replies::default();
        assert_eq!(replies.waiting(0), 0);
        replies.add(10);
        assert_eq!((replies.waiting(9), replies.waiting(10)), (1, 0));
        replies.add(20);
        replies.add(30);
        replies.add(40);
        assert_eq!(replies.waiting(19), 3);
        assert_eq!(replies.waiting(20), 2, "the first is a group of its own");
        assert_eq!(replies.waiting(39), 2, "the others go together");
        assert_eq!(replies.waiting(40), 0);
    }

    #[test]
    fn one_always_behind_the_other_does_not_add_up() {
        let mut replies = Replies::default();
        for n in 0..10_000_u64 {
            replies.add(n * 100 + 1_000);
            assert!(replies.waiting(n * 100) <= 21, "{n}");
        }
    }
}
