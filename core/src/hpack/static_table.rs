//! The static table (RFC 7541 appendix A).
// The functions that index run at compile time, where an index out of range fails the build.
#![allow(clippy::indexing_slicing)]

/// The number of entries of the static table; the indices of the dynamic table follow.
pub(super) const LEN: u32 = 61;

/// Name and value of each entry, beginning with index 1.
#[rustfmt::skip]
static ENTRIES: [(&[u8], &[u8]); LEN as usize] = TABLE;

#[rustfmt::skip]
const TABLE: [(&[u8], &[u8]); LEN as usize] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// Returns name and value of the entry with this index, 1 to [`LEN`].
#[inline]
pub(super) fn get(index: u32) -> Option<(&'static [u8], &'static [u8])> {
    ENTRIES.get(index.wrapping_sub(1) as usize).copied()
}

/// The result of a look-up in the static table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The entry with this index has the field's name and value.
    Field(u32),
    /// The entry with this index, the first of one or more, has the field's name.
    Name(u32),
    /// No entry has the field's name.
    Nothing,
}

/// Looks up a field.
#[inline]
pub(super) fn find(name: &[u8], value: &[u8]) -> Found {
    let Some(&NameEntries { first, len }) = SLOTS.groups.get(slot(name, SLOTS.multiplier)) else {
        return Found::Nothing;
    };
    let (first, len) = (usize::from(first), usize::from(len));
    let entries = ENTRIES.get(first..).and_then(|rest| rest.get(..len)).unwrap_or_default();
    match entries.first() {
        Some((same, _)) if *same == name => {
            let found = entries.iter().position(|(_, known)| *known == value);
            let index = |nth| (first + nth + 1) as u32;
            found.map_or(Found::Name(index(0)), |nth| Found::Field(index(nth)))
        }
        _ => Found::Nothing,
    }
}

/// A perfect hash of the names: each name has its own slot.
struct NameSlots {
    /// A multiplier that puts all names into different slots.
    multiplier: u32,
    /// The entries of the name in each slot.
    groups: [NameEntries; 256],
}

/// The entries of one name, which are adjacent; none in an empty slot.
#[derive(Clone, Copy)]
struct NameEntries {
    /// The index of the first one in [`ENTRIES`].
    first: u8,
    len: u8,
}

static SLOTS: NameSlots = slots();

/// Returns the slot of a name, from its length and three of its bytes.
#[inline]
const fn slot(name: &[u8], multiplier: u32) -> usize {
    let len = name.len();
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return 0 };
    let middle = name[len / 2];
    let key = first as u32 | (middle as u32) << 8 | (last as u32) << 16 | (len as u32) << 24;
    (key.wrapping_mul(multiplier) >> 24) as usize
}

/// Tries multipliers until one puts all names into different slots.
const fn slots() -> NameSlots {
    let mut multiplier = 0x9e37_79b1;
    loop {
        if let Some(groups) = parted(multiplier) {
            return NameSlots { multiplier, groups };
        }
        multiplier = multiplier.wrapping_mul(0x2c92_77b5) | 1;
    }
}

const fn parted(multiplier: u32) -> Option<[NameEntries; 256]> {
    let mut groups = [NameEntries { first: 0, len: 0 }; 256];
    let mut at = 0;
    while at < TABLE.len() {
        let group = &mut groups[slot(TABLE[at].0, multiplier)];
        if group.len == 0 {
            group.first = at as u8;
        } else if !same(TABLE[group.first as usize].0, TABLE[at].0) {
            return None;
        }
        group.len += 1;
        at += 1;
    }
    Some(groups)
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_entry_and_every_name() {
        for index in 1..=LEN {
            let (name, value) = get(index).unwrap();
            assert_eq!(find(name, value), Found::Field(index));
            let first = (1..=LEN).find(|&other| get(other).unwrap().0 == name).unwrap();
            assert_eq!(find(name, b"nowhere in the table"), Found::Name(first));
        }
        assert_eq!(get(0), None);
        assert_eq!(get(LEN + 1), None);
    }

    #[test]
    fn finds_nothing_else() {
        for index in 1..=LEN {
            let (name, value) = get(index).unwrap();
            for at in 0..name.len() {
                let mut other = name.to_vec();
                other[at] ^= 1;
                let known = (1..=LEN).any(|index| get(index).unwrap().0 == other);
                assert!(known || find(&other, value) == Found::Nothing);
            }
            let longer = [name, b"x"].concat();
            assert_eq!(find(&longer, value), Found::Nothing);
            let shorter = &name[..name.len() - 1];
            let known = (1..=LEN).any(|index| get(index).unwrap().0 == shorter);
            assert!(known || find(shorter, value) == Found::Nothing);
        }
        assert_eq!(find(b"", b""), Found::Nothing);
        assert_eq!(find(b"x", b""), Found::Nothing);
    }

    /// Runs the builder at run time as the compiler does at compile time.
    #[test]
    fn every_name_has_a_slot_of_its_own() {
        let NameSlots { multiplier, groups } = slots();
        for (at, (name, _)) in TABLE.iter().enumerate() {
            let group = groups[slot(name, multiplier)];
            let (first, len) = (usize::from(group.first), usize::from(group.len));
            let same = |entry: &(&[u8], &[u8])| entry.0 == *name;
            assert!((first..first + len).contains(&at));
            assert_eq!(TABLE.iter().position(same), Some(first));
            assert_eq!(TABLE.iter().filter(|entry| same(entry)).count(), len);
        }
        let taken: usize = groups.iter().map(|group| usize::from(group.len)).sum();
        assert_eq!(taken, TABLE.len());
        assert!(parted(0).is_none(), "all names in one slot");
    }

    #[test]
    fn names_are_the_same_byte_by_byte() {
        for (one, other, equal) in [
            (&b""[..], &b""[..], true),
            (b"abc", b"abc", true),
            (b"abc", b"abd", false),
            (b"abc", b"xbc", false),
            (b"abc", b"ab", false),
        ] {
            assert_eq!(same(one, other), equal);
        }
    }

    #[test]
    fn ends_of_the_appendix() {
        assert_eq!(get(1), Some((&b":authority"[..], &b""[..])));
        assert_eq!(get(61), Some((&b"www-authenticate"[..], &b""[..])));
    }
}
