use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::grpc::metadata::Metadata;
use crate::grpc::status::{Code, Status};

#[derive(Default)]
struct Block(Vec<(String, String, Hint)>);

impl Block {
    fn sink(&mut self) -> impl FnMut(&[u8], &[u8], Hint) {
        |name, value, hint| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            self.0.push((text(name), text(value), hint));
        }
    }

    fn size(&self) -> usize {
        self.0.iter().map(|(name, value, _)| name.len() + value.len() + 32).sum()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }

    fn has(&self, name: &str, value: &str, hint: Hint) {
        assert!(self.0.contains(&(name.to_owned(), value.to_owned(), hint)), "{name}: {:?}", self.0);
    }
}

fn sample() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append("short", &"s".repeat(64)).unwrap();
    metadata.append("long", &"l".repeat(65)).unwrap();
    metadata.append_sensitive("authorization", "Bearer x").unwrap();
    metadata.append_bin("x-bin", b"\xab\xab\xab").unwrap();
    metadata
}

fn request(metadata: &Metadata) -> RequestFields<'_> {
    RequestFields {
        scheme: "https",
        path: "/s/m",
        authority: Some("a:1"),
        content_subtype: Some("json"),
        user_agent: "ua",
        timeout: Some(Duration::from_secs(2)),
        encoding: Some("gzip"),
        accept_encoding: Some("identity,gzip"),
        metadata,
    }
}

#[test]
fn a_request_in_its_order() {
    let metadata = sample();
    let mut block = Block::default();
    let mut scratch = Vec::new();
    write_request(&request(&metadata), &mut scratch, block.sink());
    assert!(scratch.is_empty());
    let names: Vec<_> = block.0.iter().map(|field| field.0.as_str()).collect();
    let expected = [
        ":method",
        ":scheme",
        ":path",
        ":authority",
        "te",
        "content-type",
        "user-agent",
        "grpc-encoding",
        "grpc-accept-encoding",
        "grpc-timeout",
        "short",
        "long",
        "authorization",
        "x-bin",
    ];
    assert_eq!(names, expected);
    block.has(":method", "POST", Hint::Index);
    block.has("te", "trailers", Hint::Index);
    block.has("content-type", "application/grpc+json", Hint::Index);
    block.has("grpc-timeout", "2000000u", Hint::NoIndex);
    block.has("short", &"s".repeat(64), Hint::Index);
    block.has("long", &"l".repeat(65), Hint::NoIndex);
    block.has("authorization", "Bearer x", Hint::Never);
    block.has("x-bin", "q6ur", Hint::Index);
}

#[test]
fn what_is_not_set_is_not_written() {
    let none = Metadata::new();
    let mut block = Block::default();
    let bare = RequestFields {
        authority: None,
        content_subtype: None,
        timeout: None,
        encoding: None,
        accept_encoding: None,
        ..request(&none)
    };
    write_request(&bare, &mut Vec::new(), block.sink());
    let names: Vec<_> = block.0.iter().map(|field| field.0.as_str()).collect();
    assert_eq!(names, [":method", ":scheme", ":path", "te", "content-type", "user-agent"]);
    block.has("content-type", "application/grpc", Hint::Index);
}

#[test]
fn what_is_written_is_read() {
    let metadata = sample();
    let mut builder = RequestHeadersBuilder::new(8192);
    write_request(&request(&metadata), &mut Vec::new(), |name, value, _| builder.field(name, value));
    let headers = builder.finish(false).unwrap();
    assert_eq!((headers.scheme(), headers.path(), headers.authority()), ("https", "/s/m", Some("a:1")));
    assert_eq!(headers.content_subtype(), Some("json"));
    assert_eq!(headers.timeout, Some(Duration::from_secs(2)));
    assert_eq!(headers.metadata.get_str("user-agent"), Some("ua"));
    assert_eq!(headers.metadata.len(), 5);

    let fields =
        ResponseFields { content_subtype: Some("proto"), encoding: Some("gzip"), accept_encoding: None };
    let mut builder = ResponseHeadersBuilder::new(8192);
    write_response_headers(&fields, &metadata, &mut Vec::new(), |name, value, _| builder.field(name, value));
    let Ok(ResponseBlock::Headers(headers)) = builder.finish(false) else { panic!() };
    assert_eq!((headers.failure.clone(), headers.content_subtype()), (None, Some("proto")));
    assert_eq!(headers.metadata, metadata);

    let status = Status::aborted("é").with_details(Bytes::from_static(b"d"));
    let mut builder = TrailersBuilder::new(8192);
    let sink = |name: &[u8], value: &[u8], _| builder.field(name, value);
    assert!(write_trailers(&status, &metadata, usize::MAX, &mut Vec::new(), sink));
    let met = builder.finish().unwrap();
    assert_eq!((met.status, met.metadata), (Some(status.clone()), metadata.clone()));

    let mut builder = ResponseHeadersBuilder::new(8192);
    let sink = |name: &[u8], value: &[u8], _| builder.field(name, value);
    write_trailers_only(415, &fields, (&status, &metadata), usize::MAX, &mut Vec::new(), sink);
    let Ok(ResponseBlock::TrailersOnly(only)) = builder.finish(true) else { panic!() };
    assert_eq!((only.http_status, only.trailers.status), (415, Some(status)));
    assert_eq!(only.trailers.metadata, metadata);
}

#[test]
fn trailers_and_their_hints() {
    let mut block = Block::default();
    let mut metadata = Metadata::new();
    metadata.append("x", "1").unwrap();
    let status = Status::internal("50%").with_details(Bytes::from_static(b"foo"));
    write_trailers(&status, &metadata, usize::MAX, &mut Vec::new(), block.sink());
    let hints = [
        ("grpc-status", "13", Hint::Index),
        ("grpc-message", "50%25", Hint::NoIndex),
        ("grpc-status-details-bin", "Zm9v", Hint::NoIndex),
        ("x", "1", Hint::Index),
    ];
    assert_eq!(block.0, hints.map(|(name, value, hint)| (name.to_owned(), value.to_owned(), hint)));
    let mut ok = Block::default();
    write_trailers(&Status::ok(), &Metadata::new(), 0, &mut Vec::new(), ok.sink());
    ok.has("grpc-status", "0", Hint::Index);
    assert_eq!(ok.0.len(), 1);
}

#[test]
fn http_statuses_have_three_digits() {
    for (http, text) in [(200, "200"), (405, "405"), (99, "500"), (1000, "500"), (999, "999")] {
        let mut block = Block::default();
        let end = (&Status::internal(""), &Metadata::new());
        write_trailers_only(http, &ResponseFields::default(), end, usize::MAX, &mut Vec::new(), block.sink());
        assert_eq!(block.get(":status"), Some(text));
    }
}

#[test]
fn trailers_shrink_to_the_limit_one_part_after_the_other() {
    let mut metadata = Metadata::new();
    metadata.append("x", "1").unwrap();
    let status = Status::aborted("a☺b").with_details(Bytes::from_static(b"foo"));
    // grpc-status 45, message 44 + 11, details 55 + 4, metadata 34.
    let table = [
        (193, true, Some("a%E2%98%BAb"), true, true),
        (192, false, Some("a%E2%98%BAb"), false, true),
        (134, false, Some("a%E2%98%BAb"), false, true),
        (133, false, Some("a%E2%98%BA"), false, true),
        (132, false, Some("a"), false, true),
        (124, false, Some("a"), false, true),
        (123, false, None, false, true),
        (79, false, None, false, true),
        (78, false, None, false, false),
        (0, false, None, false, false),
    ];
    for (limit, all, message, details, with_metadata) in table {
        let mut block = Block::default();
        assert_eq!(write_trailers(&status, &metadata, limit, &mut Vec::new(), block.sink()), all, "{limit}");
        assert_eq!(block.get("grpc-status"), Some("10"));
        assert_eq!(block.get("grpc-message"), message, "{limit}");
        assert_eq!(block.get("grpc-status-details-bin").is_some(), details, "{limit}");
        assert_eq!(block.get("x").is_some(), with_metadata, "{limit}");
    }
}

proptest! {
    #[test]
    fn trailers_never_exceed_the_limit(
        message in any::<String>(),
        details in proptest::collection::vec(any::<u8>(), 0..50),
        value in "[!-~]{0,40}",
        limit in 45..400_usize,
    ) {
        let mut metadata = Metadata::new();
        metadata.append("x", &value).unwrap();
        let status = Status::new(Code::DataLoss, message).with_details(Bytes::from(details));
        let mut block = Block::default();
        let all = write_trailers(&status, &metadata, limit, &mut Vec::new(), block.sink());
        prop_assert!(block.size() <= limit);
        let mut whole = Block::default();
        prop_assert!(write_trailers(&status, &metadata, usize::MAX, &mut Vec::new(), whole.sink()));
        prop_assert_eq!(all, whole.size() <= limit);
        let mut only = Block::default();
        let fields = ResponseFields::default();
        // :status and content-type count too.
        write_trailers_only(200, &fields, (&status, &metadata), limit + 102, &mut Vec::new(), only.sink());
        prop_assert!(only.size() <= limit + 102);
        prop_assert_eq!(only.0.len(), block.0.len() + 2);
    }
}
