//! Metadata and whole header sections: fields in, values out, and back.

use std::time::Duration;

use halfclose::Metadata;
use halfclose::grpc::encoding::EncodingSet;
use halfclose::grpc::field;
use halfclose::grpc::{self, Value};
use halfclose::internals::{
    RequestError, RequestFields, RequestHeadersBuilder, ResponseBlock, ResponseFields,
    ResponseHeadersBuilder, TrailersBuilder, write_request, write_response_headers, write_trailers,
    write_trailers_only,
};
use halfclose::{Code, Status};
use http::HeaderMap;

/// Checks fields as a peer sends them, one per line, with name and value separated by the first space.
///
/// As metadata, request headers, response headers and trailers: nothing panics, what a builder accepts fits its
/// limit, and what was accepted is read back the same after our writer has written it.
pub fn metadata_and_heads(data: &[u8]) {
    let Some((&limit, lines)) = data.split_first() else { return };
    let fields: Vec<(&[u8], &[u8])> = lines.split(|&byte| byte == b'\n').map(split_field).collect();
    let taken = received(&fields);
    sent(&fields);
    heads(&fields, usize::from(limit) * 16);
    written_heads(&taken, &fields);
}

fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
    (&line[..end], line.get(end + 1..).unwrap_or_default())
}

/// Checks metadata from the wire, which may hold more than an application may write.
fn received(fields: &[(&[u8], &[u8])]) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in fields {
        let before = (metadata.len(), metadata.list_size());
        if metadata.push_received(name, value).is_err() {
            assert_eq!((metadata.len(), metadata.list_size()), before, "an error adds nothing");
        }
    }
    assert_eq!(metadata.iter().count(), metadata.len());
    let again = rewritten(&metadata);
    assert_eq!(again, metadata, "as it travels, it is read back");
    again
}

/// Returns metadata that was written and read again, and checks that its sizes agree (P-45).
fn rewritten(metadata: &Metadata) -> Metadata {
    let mut again = Metadata::new();
    let mut size = 0;
    metadata.for_each_wire(&mut Vec::new(), |name, value, _| {
        size += name.len() + value.len() + grpc::FIELD_OVERHEAD;
        assert_eq!(field::check_value(value), Ok(()), "what leaves is a field value (RFC 9113 §8.2.1)");
        again.push_received(name, value).expect("a valid field stays valid");
    });
    assert_eq!(size, metadata.list_size());
    again
}

/// Checks metadata from the application, through a header map and back.
fn sent(fields: &[(&[u8], &[u8])]) {
    let mut metadata = Metadata::new();
    for (name, value) in fields {
        let Ok(name) = str::from_utf8(name) else { continue };
        let accepted = if name.ends_with("-bin") {
            metadata.append_bin(name, value).is_ok()
        } else {
            str::from_utf8(value).is_ok_and(|value| metadata.append(name, value).is_ok())
        };
        if accepted {
            assert!(!grpc::is_reserved(name));
            assert_eq!(metadata.get_all(name).last(), Some(*value));
        }
    }
    assert_eq!(rewritten(&metadata), metadata);
    let map = metadata.to_header_map().expect("an application's metadata fits a header map");
    assert_eq!(map.len(), metadata.len());
    let back = Metadata::try_from(&map).expect("and comes back");
    // A map groups the values of a name.
    assert_eq!(sorted(&back), sorted(&metadata));
    for name in map.keys().map(http::HeaderName::as_str) {
        assert!(back.get_all(name).eq(metadata.get_all(name)));
    }
    received_map(fields);
}

fn received_map(fields: &[(&[u8], &[u8])]) {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) =
            (http::HeaderName::from_bytes(name), http::HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    if let Ok(metadata) = Metadata::try_from(&map) {
        assert!(metadata.to_header_map().is_ok());
    }
}

fn sorted(metadata: &Metadata) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = metadata.iter().map(|(n, v)| (n.to_owned(), v.as_bytes().to_vec())).collect();
    all.sort();
    all
}

fn heads(fields: &[(&[u8], &[u8])], limit: usize) {
    for end_stream in [false, true] {
        let mut builder = RequestHeadersBuilder::new(limit);
        fields.iter().for_each(|(name, value)| builder.field(name, value));
        match builder.finish(end_stream) {
            Ok(head) => {
                assert!(head.metadata.list_size() <= limit.max(size_of_fields(fields)));
                assert_eq!(head.service().is_some(), head.method().is_some());
                assert!(head.path().starts_with('/'), "RFC 9113 §8.3.1: {:?}", head.path());
            }
            Err(RequestError::Refused { http_status, status, .. }) => {
                assert!((200..500).contains(&http_status) && !status.is_ok());
            }
            Err(RequestError::Malformed(reason)) => assert!(reason.section().starts_with("RFC 9113 §8")),
        }
        let mut builder = ResponseHeadersBuilder::new(limit);
        fields.iter().for_each(|(name, value)| builder.field(name, value));
        if let Ok(ResponseBlock::TrailersOnly(only)) = builder.finish(end_stream) {
            assert!(end_stream && only.trailers.status.is_some(), "a Trailers-Only answer has a status");
        }
    }
    let mut builder = TrailersBuilder::new(limit);
    fields.iter().for_each(|(name, value)| builder.field(name, value));
    // P-21: the status is in the field or derived from its absence, and never OK by default.
    if let Ok(trailers) = builder.finish() {
        let named = fields.iter().any(|(name, _)| *name == b"grpc-status");
        assert!(named || !trailers.into_status().is_ok());
    }
}

fn size_of_fields(fields: &[(&[u8], &[u8])]) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.len() + grpc::FIELD_OVERHEAD).sum()
}

/// Checks that our builders read what our writers write of received metadata.
fn written_heads(metadata: &Metadata, fields: &[(&[u8], &[u8])]) {
    let (code, text) = fields.first().copied().unwrap_or_default();
    let message = String::from_utf8_lossy(text).into_owned();
    let code = Code::from_u32(u32::try_from(code.len()).unwrap_or(0));
    let status = Status::new(code, message).with_details(bytes::Bytes::copy_from_slice(text));
    trailers(&status, metadata);
    for limit in [0, 100, text.len() * 2 + 200] {
        within(&status, metadata, limit);
    }
    let own = |name: &str| name.starts_with("grpc-") || grpc::is_reserved(name);
    if !metadata.iter().any(|(name, _)| own(name)) {
        request(metadata);
        response(metadata);
    }
}

fn trailers(status: &Status, metadata: &Metadata) {
    let mut builder = TrailersBuilder::new(usize::MAX);
    let mut scratch = Vec::new();
    let whole = write_trailers(status, metadata, usize::MAX, &mut scratch, |n, v, _| builder.field(n, v));
    assert!(whole && scratch.is_empty());
    let own = |name: &str| name.starts_with("grpc-") || grpc::is_reserved(name);
    if let Ok(trailers) = builder.finish()
        && !metadata.iter().any(|(name, _)| own(name))
    {
        assert_eq!(trailers.metadata, *metadata);
        let met = trailers.into_status();
        assert_eq!((met.code, met.details()), (status.code, status.details()));
        if !status.message().is_empty() {
            assert_eq!(met.message(), status.message());
        }
    }
}

/// Checks P-45: within the peer's limit the status code is always sent.
fn within(status: &Status, metadata: &Metadata, limit: usize) {
    let fields = ResponseFields::default();
    let mut size = 0;
    let mut codes = 0;
    let mut count = |name: &[u8], value: &[u8]| {
        size += name.len() + value.len() + grpc::FIELD_OVERHEAD;
        codes += usize::from(name == b"grpc-status");
    };
    let both = (status, metadata);
    write_trailers_only(200, &fields, both, limit, &mut Vec::new(), |name, value, _| count(name, value));
    let least = ":status200content-typeapplication/grpcgrpc-status16".len() + 3 * grpc::FIELD_OVERHEAD;
    assert!(size <= limit.max(least), "{size} bytes, the limit is {limit}");
    assert!(codes >= 1);
}

fn request(metadata: &Metadata) {
    let written = RequestFields {
        scheme: "https",
        path: "/demo.Echo/Unary",
        authority: Some("localhost:50051"),
        content_subtype: Some("proto"),
        user_agent: "grpc-rust-halfclose/0.1.0",
        timeout: Some(Duration::from_millis(1500)),
        encoding: Some("gzip"),
        accept_encoding: Some("identity,gzip"),
        metadata,
    };
    let mut builder = RequestHeadersBuilder::new(usize::MAX);
    write_request(&written, &mut Vec::new(), |name, value, _| builder.field(name, value));
    let head = builder.finish(false).expect("what we write is a request");
    assert_eq!((head.path(), head.authority()), (written.path, written.authority));
    assert_eq!((head.timeout, head.content_subtype()), (written.timeout, written.content_subtype));
    assert_eq!(head.accept, EncodingSet::parse(b"identity,gzip"));
    let custom: Vec<_> = head.metadata.iter().filter(|(name, _)| *name != "user-agent").collect();
    assert!(custom.into_iter().eq(metadata.iter()));
}

fn response(metadata: &Metadata) {
    let written =
        ResponseFields { content_subtype: None, encoding: Some("zstd"), accept_encoding: Some("identity") };
    let mut builder = ResponseHeadersBuilder::new(usize::MAX);
    write_response_headers(&written, metadata, &mut Vec::new(), |name, value, _| builder.field(name, value));
    let Ok(ResponseBlock::Headers(head)) = builder.finish(false) else { panic!("what we write is a head") };
    let same = head.metadata.iter().map(|(name, value)| (name, Value::as_bytes(value)));
    assert!(same.eq(metadata.iter().map(|(name, value)| (name, Value::as_bytes(value)))));
    assert_eq!(head.failure, None);
}
