use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::grpc::encoding::{Encoding, EncodingSet};
use crate::grpc::field::FieldError;
use crate::grpc::status::Code;

type RequestField<'a> = (&'a str, &'a str);

const BASE: [RequestField<'static>; 6] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/pkg.S/M"),
    (":authority", "host:1"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
];

fn build(fields: &[RequestField<'_>], end_stream: bool) -> Result<RequestHeaders, RequestError> {
    let mut builder = RequestHeadersBuilder::new(8192);
    for (name, value) in fields {
        builder.field(name.as_bytes(), value.as_bytes());
    }
    builder.finish(end_stream)
}

/// Returns the base request with one more field at the end.
fn plus(field: RequestField<'_>) -> Result<RequestHeaders, RequestError> {
    build(&[&BASE[..], &[field]].concat(), false)
}

/// Returns the base request with the field `name` replaced.
fn with(name: &str, value: &str) -> Result<RequestHeaders, RequestError> {
    build(&BASE.map(|field| if field.0 == name { (field.0, value) } else { field }), false)
}

fn without(name: &str) -> Result<RequestHeaders, RequestError> {
    build(&BASE.into_iter().filter(|field| field.0 != name).collect::<Vec<_>>(), false)
}

fn malformed(result: Result<RequestHeaders, RequestError>) -> MalformedReason {
    match result {
        Err(RequestError::Malformed(reason)) => reason,
        other => panic!("not malformed: {other:?}"),
    }
}

fn refused(result: Result<RequestHeaders, RequestError>) -> (u16, Code) {
    match result {
        Err(RequestError::Refused { http_status, status, .. }) => (http_status, status.code),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_whole_request() {
    let more = [
        ("user-agent", "grpc-go/1"),
        ("grpc-timeout", "100m"),
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "identity, gzip"),
        ("grpc-accept-encoding", "x-own"),
        ("grpc-message-type", "pkg.M"),
        ("content-length", "17"),
        ("x-a", "1"),
        ("x-b-bin", "Zg==,Zm8"),
        ("cookie", "a=b"),
        ("cookie", "c=d"),
    ];
    let headers = build(&[&BASE[..], &more].concat(), false).unwrap();
    assert_eq!(headers.path(), "/pkg.S/M");
    assert_eq!((headers.service(), headers.method()), (Some("pkg.S"), Some("M")));
    assert_eq!((headers.scheme(), headers.authority()), ("http", Some("host:1")));
    assert_eq!(headers.content_subtype(), None);
    assert_eq!(headers.encoding(), Some(Encoding::Gzip));
    assert_eq!(headers.accept, EncodingSet::parse(b"identity,gzip"));
    assert_eq!(headers.accept_names(), Some(&b"identity, gzip,x-own"[..]));
    assert_eq!(headers.timeout, Some(Duration::from_millis(100)));
    assert_eq!(headers.content_length, Some(17));
    assert!(headers.te_trailers);
    let names: Vec<_> = headers.metadata.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["user-agent", "x-a", "x-b-bin", "x-b-bin", "cookie", "cookie"]);
    assert_eq!(headers.metadata.get_all("x-b-bin").collect::<Vec<_>>(), [&b"f"[..], b"fo"]);
    assert_eq!(headers.clone(), headers);
}

#[test]
fn a_bare_request() {
    let headers =
        build(&[BASE[0], BASE[1], BASE[2], ("content-type", "application/grpc+json")], true).unwrap();
    assert_eq!(headers.authority(), None);
    assert_eq!(headers.content_subtype(), Some("json"));
    assert_eq!((headers.encoding(), headers.encoding_name(), headers.timeout), (None, None, None));
    assert_eq!((headers.accept, headers.accept_names()), (EncodingSet::EMPTY, None));
    assert!(headers.metadata.is_empty() && !headers.te_trailers && headers.content_length.is_none());
    assert_eq!(plus(("grpc-encoding", "br")).unwrap().encoding_name(), Some(&b"br"[..]));
}

#[test]
fn malformed_fields() {
    use MalformedReason as M;
    let table = [
        (("X", "1"), M::Field(FieldError::UpperCase(b'X')), "RFC 9113 §8.2.1"),
        (("Content-Type", "1"), M::Field(FieldError::UpperCase(b'C')), "RFC 9113 §8.2.1"),
        (("", "1"), M::Field(FieldError::EmptyName), "RFC 9113 §8.2.1"),
        (("a b", "1"), M::Field(FieldError::NameByte(b' ')), "RFC 9113 §8.2.1"),
        (("a:b", "1"), M::Field(FieldError::NameByte(b':')), "RFC 9113 §8.2.1"),
        (("a", "x\0"), M::Field(FieldError::ValueByte(0)), "RFC 9113 §8.2.1"),
        (("a", "x\r\ny: z"), M::Field(FieldError::ValueByte(b'\r')), "RFC 9113 §8.2.1"),
        (("te", "trailers\n"), M::Field(FieldError::ValueByte(b'\n')), "RFC 9113 §8.2.1"),
        (("te", "trailers "), M::Field(FieldError::Whitespace), "RFC 9113 §8.2.1"),
        (("host", " a"), M::Field(FieldError::Whitespace), "RFC 9113 §8.2.1"),
        (("content-length", "1\t"), M::Field(FieldError::Whitespace), "RFC 9113 §8.2.1"),
        (("a", " x\0"), M::Field(FieldError::ValueByte(0)), "RFC 9113 §8.2.1"),
        (("a", "\u{1b}x"), M::Field(FieldError::ValueByte(0x1b)), "RFC 9113 §8.2.1"),
        ((":path", "/a "), M::Field(FieldError::Whitespace), "RFC 9113 §8.2.1"),
        (("connection", "close"), M::ConnectionSpecific, "RFC 9113 §8.2.2"),
        (("proxy-connection", "x"), M::ConnectionSpecific, "RFC 9113 §8.2.2"),
        (("keep-alive", "x"), M::ConnectionSpecific, "RFC 9113 §8.2.2"),
        (("transfer-encoding", "chunked"), M::ConnectionSpecific, "RFC 9113 §8.2.2"),
        (("upgrade", "h2c"), M::ConnectionSpecific, "RFC 9113 §8.2.2"),
        (("te", "gzip"), M::Te, "RFC 9113 §8.2.2"),
        (("te", "trailers, deflate"), M::Te, "RFC 9113 §8.2.2"),
        (("te", ""), M::Te, "RFC 9113 §8.2.2"),
        ((":authority", "x"), M::PseudoOrder, "RFC 9113 §8.3"),
        ((":unknown", "x"), M::PseudoOrder, "RFC 9113 §8.3"),
        (("content-length", ""), M::ContentLength, "RFC 9113 §8.1.1"),
        (("content-length", "-1"), M::ContentLength, "RFC 9113 §8.1.1"),
        (("content-length", "1, 1"), M::ContentLength, "RFC 9113 §8.1.1"),
        (("content-length", "18446744073709551616"), M::ContentLength, "RFC 9113 §8.1.1"),
        (("host", "a@b"), M::InvalidPseudo(":authority"), "RFC 9113 §8.3.1"),
    ];
    for (field, reason, section) in table {
        let met = malformed(plus(field));
        assert_eq!(met, reason, "{field:?}");
        assert_eq!(met.section(), section, "{field:?}");
    }
}

#[test]
fn malformed_pseudo_header_fields() {
    use MalformedReason as M;
    for (name, value) in [
        (":method", ""),
        (":scheme", ""),
        (":scheme", "1http"),
        (":scheme", "ht tp"),
        (":path", ""),
        (":path", "pkg.S/M"),
        (":path", "*"),
        (":path", "/a b"),
        (":path", "/é"),
        (":authority", "user@host"),
        (":authority", "a/b"),
    ] {
        let reason = malformed(with(name, value));
        assert_eq!(reason, M::InvalidPseudo(name), "{name} {value:?}");
        assert_eq!(reason.section(), "RFC 9113 §8.3.1");
    }
    for name in [":method", ":scheme", ":path"] {
        assert_eq!(malformed(without(name)), M::MissingPseudo(name));
        let twice = [&BASE[..4], &[(name, BASE.iter().find(|field| field.0 == name).unwrap().1)], &BASE[4..]];
        assert_eq!(malformed(build(&twice.concat(), false)), M::DuplicatePseudo(name));
    }
    for name in [":status", ":protocol", ":", ":Path"] {
        let fields = [&[(name, "200")][..], &BASE].concat();
        assert_eq!(malformed(build(&fields, false)), M::UnknownPseudo, "{name}");
    }
    assert_eq!(malformed(build(&[], true)), M::MissingPseudo(":method"));
}

#[test]
fn connect_is_refused_and_must_be_well_formed() {
    let connect =
        |rest: &[RequestField<'static>]| build(&[&[(":method", "CONNECT")][..], rest].concat(), false);
    assert_eq!(refused(connect(&[(":authority", "a:1")])), (405, Code::Internal));
    assert_eq!(malformed(connect(&[])), MalformedReason::MissingPseudo(":authority"));
    assert_eq!(malformed(connect(&BASE[1..2])), MalformedReason::ConnectPseudo(":scheme"));
    assert_eq!(malformed(connect(&BASE[2..4])), MalformedReason::ConnectPseudo(":path"));
}

#[test]
fn content_length_must_agree() {
    assert_eq!(plus(("content-length", "0")).unwrap().content_length, Some(0));
    let both = |a, b| build(&[&BASE[..], &[("content-length", a), ("content-length", b)]].concat(), false);
    assert_eq!(both("7", "7").unwrap().content_length, Some(7));
    assert_eq!(malformed(both("7", "8")), MalformedReason::ContentLength);
    for (length, fits) in [("0", true), ("1", false), ("18446744073709551615", false)] {
        let fields = [&BASE[..], &[("content-length", length)]].concat();
        assert_eq!(build(&fields, true).is_ok(), fits, "{length}");
        assert!(build(&fields, false).is_ok());
    }
}

#[test]
fn refusals() {
    // P-2.
    for method in ["GET", "PUT", "post", "OPTIONS", "DELETE"] {
        assert_eq!(refused(with(":method", method)), (405, Code::Internal), "{method}");
    }
    let options: Vec<_> = [(":method", "OPTIONS"), BASE[1], (":path", "*")].to_vec();
    assert_eq!(refused(build(&options, true)), (405, Code::Internal));
    // P-8.
    for content_type in ["", "text/html", "application/grpcx", "application/grpc-web", "application/json"] {
        assert_eq!(refused(with("content-type", content_type)), (415, Code::Unknown), "{content_type}");
    }
    assert_eq!(refused(without("content-type")), (415, Code::Unknown));
    assert_eq!(refused(plus(("content-type", "text/html"))), (415, Code::Unknown));
    // P-7.
    for timeout in ["", "1", "S", "123456789S", "1x", "-1S", "1.5S"] {
        assert_eq!(refused(plus(("grpc-timeout", timeout))), (400, Code::Internal), "{timeout}");
    }
    assert_eq!(plus(("grpc-timeout", "0n")).unwrap().timeout, Some(Duration::ZERO));
    // P-30.
    assert_eq!(refused(plus(("x-bin", "*"))), (200, Code::Internal));
}

#[test]
fn authority_and_host() {
    // P-5: alone, both, several.
    let host = build(&[&BASE[..3], &BASE[4..], &[("host", "h")]].concat(), false).unwrap();
    assert_eq!(host.authority(), Some("h"));
    assert_eq!(host.metadata.get("host"), None);
    let both = plus(("host", "other")).unwrap();
    assert_eq!(both.authority(), Some("host:1"));
    assert_eq!(both.metadata.get("host"), None);
    let hosts = [&BASE[..], &[("host", "a"), ("host", "a")]].concat();
    assert_eq!(refused(build(&hosts, false)), (400, Code::Internal));
    let authorities = [&BASE[..4], &[(":authority", "x")], &BASE[4..]].concat();
    assert_eq!(refused(build(&authorities, false)), (400, Code::Internal));
    assert_eq!(with(":authority", "").unwrap().authority(), None);
}

#[test]
fn malformed_wins_over_refused_and_refusals_have_an_order() {
    let mut fields = vec![(":method", "GET"), BASE[1], BASE[2], ("grpc-timeout", "x"), ("x-bin", "*")];
    assert_eq!(refused(build(&fields, false)), (200, Code::Internal));
    fields.pop();
    assert_eq!(refused(build(&fields, false)), (405, Code::Internal));
    fields[0] = BASE[0];
    assert_eq!(refused(build(&fields, false)), (415, Code::Unknown));
    fields.push(BASE[5]);
    assert_eq!(refused(build(&fields, false)), (400, Code::Internal));
    fields.push(("Upper", ""));
    assert!(matches!(malformed(build(&fields, false)), MalformedReason::Field(_)));
}

#[test]
fn paths_that_lead_nowhere_are_left_to_the_router() {
    for path in ["/", "/s", "/s/", "//m"] {
        let headers = with(":path", path).unwrap();
        assert_eq!((headers.path(), headers.service(), headers.method()), (path, None, None));
    }
}

#[test]
fn the_limit_at_its_edges() {
    let size: usize = BASE.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    for (limit, fits) in [(size - 1, false), (size, true), (size + 1, true)] {
        let mut builder = RequestHeadersBuilder::new(limit);
        for (name, value) in BASE {
            builder.field(name.as_bytes(), value.as_bytes());
        }
        match builder.finish(false) {
            Ok(headers) => assert!(fits && headers.path() == "/pkg.S/M"),
            refusal => {
                assert!(!fits);
                assert_eq!(refused(refusal), (200, Code::ResourceExhausted));
            }
        }
    }
}

#[test]
fn beyond_the_limit_fields_are_checked_and_not_kept() {
    let mut builder = RequestHeadersBuilder::new(1000);
    let feed = |builder: &mut RequestHeadersBuilder| {
        for (name, value) in BASE {
            builder.field(name.as_bytes(), value.as_bytes());
        }
        let value = [b'x'; 500];
        for name in ["a", "b-bin", "user-agent", "grpc-encoding", "grpc-accept-encoding", "host"] {
            (0..100).for_each(|_| builder.field(name.as_bytes(), &value));
        }
    };
    feed(&mut builder);
    assert!(format!("{builder:?}").len() < 10_000, "grew");
    assert_eq!(refused(builder.finish(false)), (200, Code::ResourceExhausted));
    feed(&mut builder);
    builder.field(b"Bad", b"");
    assert!(matches!(malformed(builder.finish(false)), MalformedReason::Field(_)));
    // The builder can be used again.
    for (name, value) in BASE {
        builder.field(name.as_bytes(), value.as_bytes());
    }
    assert_eq!(builder.finish(false), build(&BASE, false));
}

#[test]
fn arbitrary_name_lengths_do_not_break_metadata() {
    let mut builder = RequestHeadersBuilder::new(usize::MAX);
    for (name, value) in BASE {
        builder.field(name.as_bytes(), value.as_bytes());
    }
    builder.field(&vec![b'x'; 70_000], b"");
    assert_eq!(refused(builder.finish(false)), (200, Code::ResourceExhausted));
}

/// Checks a value of commas under a long name, which would otherwise be kept as one entry per comma, each with the
/// whole name.
#[test]
fn each_part_of_a_bin_value_counts_as_an_entry() {
    let limit = 16 * 1024;
    let name = format!("{}-bin", "n".repeat(2000));
    for (commas, fits) in [(0, true), (6, true), (7, false), (8000, false)] {
        let mut builder = RequestHeadersBuilder::new(limit);
        BASE.iter().for_each(|(name, value)| builder.field(name.as_bytes(), value.as_bytes()));
        builder.field(name.as_bytes(), ",".repeat(commas).as_bytes());
        match builder.finish(false) {
            Ok(headers) => {
                assert!(fits, "{commas}");
                let entries = headers.metadata.iter().filter(|(met, _)| *met == name).count();
                assert_eq!(entries, commas + 1);
            }
            Err(RequestError::Refused { status, .. }) => {
                assert!(!fits, "{commas}");
                assert_eq!(status.code, Code::ResourceExhausted);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Checks that the list is kept once, however many fields form it and whatever is between them.
#[test]
fn accepted_encodings_in_many_lines_cost_what_they_have() {
    let mut builder = RequestHeadersBuilder::new(16 * 1024);
    BASE.iter().for_each(|(name, value)| builder.field(name.as_bytes(), value.as_bytes()));
    let mut fields = 0;
    for _ in 0..100 {
        builder.field(b"grpc-accept-encoding", b"x-some-encoding");
        builder.field(b"grpc-encoding", b"gzip");
        fields += 1;
    }
    let headers = builder.finish(false).unwrap();
    assert_eq!(headers.accept_names().map(<[u8]>::len), Some(fields * 16 - 1));
    // The text is private; the debug output has every byte of it.
    assert!(format!("{headers:?}").len() < 4_000);
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    let known = proptest::sample::select(vec![
        ":method",
        ":scheme",
        ":path",
        ":authority",
        ":status",
        "te",
        "host",
        "content-type",
        "content-length",
        "grpc-timeout",
        "grpc-encoding",
        "grpc-accept-encoding",
        "grpc-status",
        "grpc-message",
        "x-bin",
        "grpc-status-details-bin",
        "x",
    ]);
    prop_oneof![
        4 => known.prop_map(|name| name.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #[test]
    fn arbitrary_blocks_never_panic(
        fields in proptest::collection::vec((names(), proptest::collection::vec(any::<u8>(), 0..12)), 0..12),
        limit in 0..600_usize,
        end in any::<bool>(),
    ) {
        let mut request = RequestHeadersBuilder::new(limit);
        let mut response = ResponseHeadersBuilder::new(limit);
        let mut trailers = TrailersBuilder::new(limit);
        for (name, value) in &fields {
            request.field(name, value);
            response.field(name, value);
            trailers.field(name, value);
        }
        let _ = request.finish(end);
        let _ = response.finish(end);
        let _ = trailers.finish();
    }

    #[test]
    fn a_builder_is_as_new_after_every_block(
        first in proptest::collection::vec((names(), "[ -~]{0,12}"), 0..12),
        second in proptest::collection::vec((names(), "[ -~]{0,12}"), 0..12),
    ) {
        let mut used = RequestHeadersBuilder::new(400);
        let mut fresh = RequestHeadersBuilder::new(400);
        first.iter().for_each(|(name, value)| used.field(name, value.as_bytes()));
        let _ = used.finish(false);
        for (name, value) in BASE.iter().map(|(n, v)| (n.as_bytes().to_vec(), (*v).to_owned())).chain(second) {
            used.field(&name, value.as_bytes());
            fresh.field(&name, value.as_bytes());
        }
        prop_assert_eq!(used.finish(false), fresh.finish(false));
    }
}
