use http::HeaderMap;
use http::header::HeaderValue;
use proptest::prelude::*;

use super::*;

fn wire(metadata: &Metadata) -> Vec<(String, String, bool)> {
    let mut out = Vec::new();
    metadata.for_each_wire(&mut Vec::new(), |name, value, sensitive| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        out.push((text(name), text(value), sensitive));
    });
    out
}

#[test]
fn a_new_map_is_empty_and_small() {
    let metadata = Metadata::new();
    assert!(metadata.is_empty() && metadata.list_size() == 0 && metadata.get("a").is_none());
    assert!(size_of::<Metadata>() <= 64, "{}", size_of::<Metadata>());
}

#[test]
fn equal_is_what_has_the_same_entries_in_the_same_order() {
    let made = |entries: &[(&str, &str)]| {
        let mut metadata = Metadata::new();
        for (name, value) in entries {
            metadata.append(name, value).unwrap();
        }
        metadata
    };
    let one = made(&[("a", "1"), ("b", "2")]);
    assert_eq!(one, made(&[("a", "1"), ("b", "2")]));
    for other in [&[("b", "2"), ("a", "1")][..], &[("a", "1")], &[("a", "1"), ("b", "3")], &[]] {
        assert_ne!(one, made(other));
    }
    let mut sensitive = made(&[("a", "1")]);
    sensitive.append_sensitive("b", "2").unwrap();
    assert_eq!(one, sensitive);
}

#[test]
fn values_by_kind() {
    for (value, bytes, text) in [
        (Value::Ascii(b"ab"), b"ab", Some("ab")),
        (Value::Ascii(b"a\xff"), b"a\xff", None),
        (Value::Binary(b"ab"), b"ab", None),
    ] {
        assert_eq!((value.as_bytes(), value.as_str()), (&bytes[..], text));
    }
}

#[test]
fn order_and_duplicates() {
    let mut metadata = Metadata::new();
    for (name, value) in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "")] {
        metadata.append(name, value).unwrap();
    }
    let entries: Vec<_> = metadata.iter().map(|(name, value)| (name, value.as_str().unwrap())).collect();
    assert_eq!(entries, [("b", "1"), ("a", "2"), ("b", "3"), ("c", "")]);
    assert_eq!(metadata.get_all("b").collect::<Vec<_>>(), [b"1", b"3"]);
    assert_eq!(metadata.get_str("b"), Some("1"));
    assert_eq!(metadata.get_str("c"), Some(""));
    assert_eq!(metadata.get("B"), None);
    metadata.insert("b", "4").unwrap();
    assert_eq!(metadata.get_all("b").collect::<Vec<_>>(), [b"4"]);
    assert_eq!(metadata.len(), 3);
    assert_eq!(metadata.remove("a"), 1);
    assert_eq!(metadata.remove("a"), 0);
    let mut other = Metadata::new();
    other.append("b", "5").unwrap();
    metadata.merge(&other);
    assert_eq!(metadata.get_all("b").collect::<Vec<_>>(), [b"4", b"5"]);
    assert_eq!(metadata.len(), 3);
    metadata.clear();
    assert!(metadata.is_empty() && metadata.iter().next().is_none());
}

#[test]
fn names() {
    let long = "x".repeat(MAX_NAME_LEN + 1);
    let table = [
        ("a", Ok(())),
        ("0_-.z", Ok(())),
        ("-", Ok(())),
        ("grpc-previous-rpc-attempts", Ok(())),
        ("grpc-retry-pushback-ms", Ok(())),
        ("grpcx", Ok(())),
        ("", Err(MetadataError::EmptyName)),
        ("A", Err(MetadataError::NameByte(b'A'))),
        (":path", Err(MetadataError::NameByte(b':'))),
        ("a b", Err(MetadataError::NameByte(b' '))),
        ("a!", Err(MetadataError::NameByte(b'!'))),
        ("é", Err(MetadataError::NameByte(0xc3))),
        ("grpc-status", Err(MetadataError::Reserved)),
        ("grpc-anything", Err(MetadataError::Reserved)),
        ("te", Err(MetadataError::Reserved)),
        ("user-agent", Err(MetadataError::Reserved)),
        ("content-type", Err(MetadataError::Reserved)),
        ("connection", Err(MetadataError::Reserved)),
        ("a-bin", Err(MetadataError::Kind)),
        (&long, Err(MetadataError::LongName(MAX_NAME_LEN + 1))),
        (&long[1..], Ok(())),
    ];
    for (name, expected) in table {
        let mut metadata = Metadata::new();
        assert_eq!(metadata.append(name, "v"), expected, "{name}");
        assert_eq!(metadata.append_sensitive(name, "v"), expected, "{name}");
        assert_eq!(metadata.insert(name, "v"), expected, "{name}");
        assert_eq!(metadata.len(), usize::from(expected.is_ok()));
    }
    for reserved in RESERVED {
        assert_eq!(Metadata::new().append(reserved, ""), Err(MetadataError::Reserved));
    }
    let mut metadata = Metadata::new();
    assert_eq!(metadata.append_bin("grpc-status-details-bin", b""), Err(MetadataError::Reserved));
    assert_eq!(metadata.append_bin("grpc-trace-bin", b""), Ok(()));
    assert_eq!(metadata.append_bin("a", b""), Err(MetadataError::Kind));
    assert_eq!(metadata.insert_bin("A-bin", b""), Err(MetadataError::NameByte(b'A')));
}

#[test]
fn text_values() {
    for byte in 0..=0x7f_u8 {
        let value = String::from_utf8(vec![b'a', byte, b'a']).unwrap();
        let expected = if matches!(byte, 0x20..=0x7e) { Ok(()) } else { Err(MetadataError::ValueByte(byte)) };
        assert_eq!(Metadata::new().append("a", &value), expected);
    }
    assert_eq!(Metadata::new().append("a", "é"), Err(MetadataError::ValueByte(0xc3)));
    assert_eq!(Metadata::new().append("a", " a"), Err(MetadataError::Whitespace));
    assert_eq!(Metadata::new().append("a", "a "), Err(MetadataError::Whitespace));
}

/// Checks that the length alone decides, so that no test has to hold 2 GiB.
#[test]
fn a_value_has_31_bits_of_length() {
    for (len, fits) in
        [(0, true), (MAX_VALUE_LEN - 1, true), (MAX_VALUE_LEN, true), (MAX_VALUE_LEN + 1, false)]
    {
        let expected = if fits { Ok(()) } else { Err(MetadataError::LongValue(len)) };
        assert_eq!(check_value_len(len), expected);
    }
}

#[test]
fn binary_values_travel_in_base64() {
    let mut metadata = Metadata::new();
    metadata.append_bin("x-bin", &[0xab, 0xab, 0xab]).unwrap();
    metadata.append_bin("x-bin", b"").unwrap();
    metadata.append_sensitive("key", "secret").unwrap();
    assert_eq!(metadata.get_bin("x-bin"), Some(&[0xab, 0xab, 0xab][..]));
    assert_eq!(metadata.get_str("x-bin"), None);
    assert_eq!(metadata.get_bin("key"), None);
    let expected = [("x-bin", "q6ur", false), ("x-bin", "", false), ("key", "secret", true)];
    assert_eq!(wire(&metadata), expected.map(|(name, value, s)| (name.to_owned(), value.to_owned(), s)));
    assert_eq!(metadata.list_size(), (5 + 4 + 32) + (5 + 32) + (3 + 6 + 32));
    let debug = format!("{metadata:?}");
    assert!(debug.contains("\\xab") && !debug.contains("secret"), "{debug}");
}

#[test]
fn received_fields() {
    let mut metadata = Metadata::new();
    // P-42: not ASCII, but a valid field value.
    metadata.push_received(b"x", b"caf\xe9").unwrap();
    assert_eq!((metadata.get("x"), metadata.get_str("x")), (Some(&b"caf\xe9"[..]), None));
    // P-43: padded and unpadded, split first.
    metadata.push_received(b"y-bin", b"Zg==, Zm8,,Zm9v").unwrap();
    assert_eq!(metadata.get_all("y-bin").collect::<Vec<_>>(), [&b"f"[..], b"fo", b"", b"foo"]);
    // Names that only HTTP allows and reserved names are kept, because a header section keeps them.
    metadata.push_received(b"a!b", b"").unwrap();
    metadata.push_received(b"user-agent", b"\tua ").unwrap();
    assert_eq!(metadata.get_str("user-agent"), Some("ua"));
    let before = metadata.clone();
    let table: [(&[u8], &[u8], ReceivedError); 5] = [
        (b"", b"", ReceivedError::Field(FieldError::EmptyName)),
        (b"Up", b"", ReceivedError::Field(FieldError::UpperCase(b'U'))),
        (b"a", b"\r\n", ReceivedError::Field(FieldError::ValueByte(b'\r'))),
        (b"a-bin", b"Zg==,*", ReceivedError::Base64(Base64Error::Length(1))),
        (b"a-bin", b"Zg==,**", ReceivedError::Base64(Base64Error::Byte { byte: b'*', index: 0 })),
    ];
    for (name, value, error) in table {
        assert_eq!(metadata.push_received(name, value), Err(error));
        assert_eq!(metadata, before);
        assert_eq!(metadata.len(), before.len());
    }
    let long = vec![b'x'; MAX_NAME_LEN + 1];
    assert_eq!(metadata.push_received(&long, b""), Err(ReceivedError::TooLong));
    assert_eq!(metadata.push_received(&long[1..], b""), Ok(()));
}

#[test]
fn shared_records_are_copied_when_they_change() {
    let mut source = Metadata::new();
    source.append("a", "1").unwrap();
    let bytes = source.records_mut().writer().0.clone();
    let mut shared = Metadata::from_records(Bytes::from(bytes), 1);
    let kept = shared.clone();
    shared.append("b", "2").unwrap();
    assert_eq!((shared.len(), kept.len()), (2, 1));
    assert_eq!(kept, source);
    assert_eq!((shared.get_str("a"), shared.get_str("b")), (Some("1"), Some("2")));
    assert!(Metadata::from_records(Bytes::new(), 0).records.is_none());
    let mut cleared = kept.clone();
    cleared.clear();
    assert!(cleared.is_empty() && kept.len() == 1);
}

#[test]
fn header_maps() {
    let mut metadata = Metadata::new();
    metadata.append("a", "1").unwrap();
    metadata.append("a", "2").unwrap();
    metadata.append_sensitive("s", "3").unwrap();
    metadata.append_bin("b-bin", b"f").unwrap();
    let map = metadata.to_header_map().unwrap();
    assert_eq!(map.get_all("a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert!(map["s"].is_sensitive());
    assert_eq!(map["b-bin"], "Zg");
    let back = Metadata::try_from(&map).unwrap();
    assert_eq!(back.len(), 4);
    assert_eq!(back.get_bin("b-bin"), Some(&b"f"[..]));
    assert!(wire(&back).contains(&("s".to_owned(), "3".to_owned(), true)));

    // White space that another parser left at the ends of a value is no part of it.
    let spaced = HeaderMap::from_iter([("x".parse().unwrap(), HeaderValue::from_static("\t a b "))]);
    assert_eq!(Metadata::try_from(&spaced).unwrap().get_str("x"), Some("a b"));

    let refused = |name: &'static str, value: &'static [u8]| {
        let map = HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap())]);
        Metadata::try_from(&map).unwrap_err()
    };
    assert_eq!(refused("te", b"trailers"), MetadataError::Reserved);
    assert_eq!(refused("x", b"\xff"), MetadataError::ValueByte(0xff));
    assert_eq!(refused("x", b"a\tb"), MetadataError::ValueByte(b'\t'));
    assert_eq!(refused("x-bin", b"*"), MetadataError::Base64(Base64Error::Length(1)));
}

#[test]
fn a_header_map_has_an_end() {
    let mut metadata = Metadata::new();
    for i in 0..40_000 {
        metadata.append(&format!("n{i}"), "").unwrap();
    }
    assert_eq!(metadata.to_header_map(), Err(MetadataError::TooMany));
}

proptest! {
    #[test]
    fn what_is_sent_is_what_is_received(
        entries in proptest::collection::vec(("[a-z0-9_.-]{1,12}", "[!-~]{0,20}", proptest::collection::vec(any::<u8>(), 0..20)), 0..10)
    ) {
        let mut sent = Metadata::new();
        for (name, text, bytes) in &entries {
            let _ = sent.append(name, text);
            let _ = sent.append_bin(&format!("{name}-bin"), bytes);
        }
        let mut received = Metadata::new();
        let mut size = 0;
        sent.for_each_wire(&mut Vec::new(), |name, value, _| {
            received.push_received(name, value).unwrap();
            size += name.len() + value.len() + 32;
        });
        prop_assert_eq!(&received, &sent);
        prop_assert_eq!(sent.list_size(), size);
        prop_assert_eq!(received.len(), sent.iter().count());
    }

    #[test]
    fn arbitrary_fields_never_panic(name in proptest::collection::vec(any::<u8>(), 0..12), value in proptest::collection::vec(any::<u8>(), 0..20)) {
        let mut metadata = Metadata::new();
        let _ = metadata.push_received(&name, &value);
        let _ = metadata.push_received(b"x-bin", &value);
        let _ = metadata.to_header_map();
    }
}
