use super::*;
use crate::grpc::encoding::{Encoding, EncodingSet};
use crate::grpc::field::FieldError;
use crate::grpc::status::{Code, Status};

type ResponseField<'a> = (&'a str, &'a str);

const OK: ResponseField<'static> = (":status", "200");
const GRPC: ResponseField<'static> = ("content-type", "application/grpc");

fn block(fields: &[ResponseField<'_>], end_stream: bool) -> Result<ResponseBlock, MalformedReason> {
    let mut builder = ResponseHeadersBuilder::new(1000);
    for (name, value) in fields {
        builder.field(name.as_bytes(), value.as_bytes());
    }
    builder.finish(end_stream)
}

fn headers(fields: &[ResponseField<'_>]) -> ResponseHeaders {
    match block(fields, false) {
        Ok(ResponseBlock::Headers(headers)) => headers,
        other => panic!("not Response-Headers: {other:?}"),
    }
}

fn only(fields: &[ResponseField<'_>]) -> Status {
    match block(fields, true) {
        Ok(ResponseBlock::TrailersOnly(only)) => only.trailers.status.unwrap(),
        other => panic!("not Trailers-Only: {other:?}"),
    }
}

fn trailers(fields: &[ResponseField<'_>]) -> Result<Trailers, MalformedReason> {
    let mut builder = TrailersBuilder::new(1000);
    for (name, value) in fields {
        builder.field(name.as_bytes(), value.as_bytes());
    }
    builder.finish()
}

#[test]
fn response_headers() {
    let headers = headers(&[
        OK,
        ("content-type", "application/grpc+proto"),
        ("grpc-encoding", "zstd"),
        ("grpc-accept-encoding", "gzip"),
        ("grpc-accept-encoding", "zstd"),
        ("content-length", "12"),
        ("x-bin", "Zg"),
        // P-23: ignored here.
        ("grpc-status", "5"),
        ("grpc-message", "ignored"),
    ]);
    assert_eq!((headers.http_status, headers.failure.clone()), (200, None));
    assert_eq!(headers.content_subtype(), Some("proto"));
    assert_eq!((headers.encoding(), headers.encoding_name()), (Some(Encoding::Zstd), Some(&b"zstd"[..])));
    assert_eq!(headers.accept, EncodingSet::parse(b"gzip,zstd"));
    assert_eq!(headers.content_length, Some(12));
    assert_eq!(headers.metadata.len(), 1);
    assert_eq!(headers.metadata.get_bin("x-bin"), Some(&b"f"[..]));
}

#[test]
fn interim_responses() {
    for status in [100, 102, 103, 199] {
        let text = status.to_string();
        let fields = [(":status", text.as_str()), ("link", "x")];
        assert_eq!(block(&fields, false), Ok(ResponseBlock::Informational(status)));
        assert_eq!(block(&fields, true), Err(MalformedReason::InterimEnd));
    }
    for end in [false, true] {
        assert_eq!(block(&[(":status", "101")], end), Err(MalformedReason::SwitchingProtocols));
    }
}

#[test]
fn malformed_responses() {
    use MalformedReason as M;
    let table: [(&[ResponseField<'_>], M, &str); 13] = [
        (&[], M::MissingPseudo(":status"), "RFC 9113 §8.3.2"),
        (&[GRPC], M::MissingPseudo(":status"), "RFC 9113 §8.3.2"),
        (&[OK, OK], M::DuplicatePseudo(":status"), "RFC 9113 §8.3"),
        (&[GRPC, OK], M::PseudoOrder, "RFC 9113 §8.3"),
        (&[(":status", "")], M::InvalidPseudo(":status"), "RFC 9113 §8.3.2"),
        (&[(":status", "20")], M::InvalidPseudo(":status"), "RFC 9113 §8.3.2"),
        (&[(":status", "2000")], M::InvalidPseudo(":status"), "RFC 9113 §8.3.2"),
        (&[(":status", "099")], M::InvalidPseudo(":status"), "RFC 9113 §8.3.2"),
        (&[(":status", "2x0")], M::InvalidPseudo(":status"), "RFC 9113 §8.3.2"),
        (&[OK, (":path", "/")], M::UnknownPseudo, "RFC 9113 §8.3"),
        (&[OK, ("connection", "close")], M::ConnectionSpecific, "RFC 9113 §8.2.2"),
        (&[OK, ("A", "")], M::Field(FieldError::UpperCase(b'A')), "RFC 9113 §8.2.1"),
        (&[OK, ("te", "x")], M::Te, "RFC 9113 §8.2.2"),
    ];
    for (fields, reason, section) in table {
        for end in [false, true] {
            assert_eq!(block(fields, end), Err(reason), "{fields:?}");
        }
        assert_eq!(reason.section(), section);
    }
    assert_eq!(block(&[OK, GRPC, ("content-length", "5")], true), Err(M::ContentLength));
    assert!(block(&[OK, GRPC, ("content-length", "0")], true).is_ok());
}

#[test]
fn http_statuses() {
    // Section 1.3, both with and without the end of the stream.
    let table =
        [("400", 13), ("401", 16), ("403", 7), ("404", 12), ("418", 2), ("503", 14), ("800", 2), ("204", 2)];
    for (http, code) in table {
        let fields = [(":status", http), ("content-type", "text/html")];
        assert_eq!(headers(&fields).failure.unwrap().code.as_u32(), code, "{http}");
        let status = only(&fields);
        assert_eq!(status.code.as_u32(), code, "{http}");
        assert!(status.message().contains(http), "{status}");
        // P-29: a grpc-status wins.
        assert_eq!(only(&[fields[0], fields[1], ("grpc-status", "5")]).code, Code::NotFound);
    }
}

#[test]
fn content_types_of_answers() {
    // P-28.
    let failure = headers(&[OK, ("content-type", "text/html")]).failure.unwrap();
    assert_eq!(failure.code, Code::Unknown);
    assert!(failure.message().contains("200") && failure.message().contains("text/html"), "{failure}");
    assert_eq!(headers(&[OK]).failure.unwrap().code, Code::Unknown);
    assert_eq!(only(&[OK, ("content-type", "text/html")]).code, Code::Unknown);
    assert_eq!(only(&[OK, ("content-type", "text/html"), ("grpc-status", "0")]), Status::ok());
    assert_eq!(only(&[OK, GRPC]).code, Code::Unknown);
    // The message contains no text of unbounded length.
    let long = "x".repeat(900);
    assert!(headers(&[OK, ("content-type", &long)]).failure.unwrap().message().len() < 200);
}

#[test]
fn trailers_only() {
    let fields = [
        OK,
        GRPC,
        ("grpc-status", "12"),
        ("grpc-message", "no %E2%98%BA"),
        ("grpc-accept-encoding", "gzip"),
        ("x", "1"),
    ];
    let Ok(ResponseBlock::TrailersOnly(only)) = block(&fields, true) else { panic!() };
    assert_eq!(only.http_status, 200);
    assert_eq!(only.accept, EncodingSet::parse(b"gzip"));
    assert_eq!(only.trailers.metadata.get_str("x"), Some("1"));
    assert_eq!(only.trailers.metadata.len(), 1);
    assert_eq!(only.trailers.into_status(), Status::unimplemented("no ☺"));
}

#[test]
fn a_status_from_trailers() {
    let status = |fields: &[ResponseField<'_>]| trailers(fields).unwrap().status;
    assert_eq!(status(&[("grpc-status", "0")]), Some(Status::ok()));
    assert_eq!(status(&[("grpc-status", "16"), ("grpc-message", "m")]), Some(Status::unauthenticated("m")));
    // P-26: absent.
    assert_eq!(status(&[("grpc-message", "m")]), None);
    assert_eq!(trailers(&[]).unwrap().into_status().code, Code::Unknown);
    // P-27: not a number, and a number without a code; the peer's message is kept.
    for text in ["", "x", "-1", "1.0"] {
        let met = status(&[("grpc-status", text)]).unwrap();
        assert!(met.code == Code::Unknown && met.message().contains("not a number"), "{met}");
    }
    let met = status(&[("grpc-status", "17")]).unwrap();
    assert!(met.code == Code::Unknown && met.message().contains("17"), "{met}");
    assert_eq!(status(&[("grpc-status", "17"), ("grpc-message", "own")]), Some(Status::unknown("own")));
    assert_eq!(status(&[("grpc-status", "2")]), Some(Status::unknown("")));
    // Bad UTF-8 in the message does not change the code.
    let met = status(&[("grpc-status", "5"), ("grpc-message", "a%FFb%")]);
    assert_eq!(met, Some(Status::not_found("a\u{fffd}b%")));
    // The last error of several statuses counts.
    assert_eq!(status(&[("grpc-status", "x"), ("grpc-status", "5")]).unwrap(), Status::not_found(""));
    assert_eq!(status(&[("grpc-status", "5"), ("grpc-status", "0")]).unwrap(), Status::not_found(""));
}

#[test]
fn details_and_metadata_of_trailers() {
    let met = trailers(&[
        ("grpc-status", "9"),
        ("grpc-status-details-bin", "Zm9v"),
        ("content-type", "application/grpc"),
        ("x", "1"),
        ("x", "2"),
    ])
    .unwrap();
    assert_eq!(met.metadata.get_all("x").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(met.metadata.len(), 2);
    assert_eq!(met.into_status().details().as_ref(), b"foo");
    // P-30: unreadable metadata is reported, and does not change the code of an error.
    for (name, ok) in [("grpc-status-details-bin", Code::Ok), ("x-bin", Code::Internal)] {
        for (code, status) in [("0", ok), ("9", Code::FailedPrecondition)] {
            let met = trailers(&[("grpc-status", code), (name, "*")]).unwrap();
            assert_eq!(met.into_status().code, status, "{name}");
            assert_eq!(only(&[OK, GRPC, ("grpc-status", code), (name, "*")]).code, status, "{name}");
        }
        let failure = headers(&[OK, GRPC, (name, "*")]).failure;
        assert_eq!(failure.is_some_and(|status| status.code == Code::Internal), ok != Code::Ok, "{name}");
        let foreign = headers(&[(":status", "503"), (name, "*")]).failure.unwrap();
        assert_eq!(foreign.code, Code::Unavailable, "{name}");
    }
}

#[test]
fn what_is_too_large_says_what_the_status_was() {
    let long = "m".repeat(2_000);
    let met = trailers(&[("grpc-status", "5"), ("grpc-message", &long)]).unwrap().into_status();
    assert_eq!(met.code, Code::ResourceExhausted);
    assert!(met.message().ends_with("over the limit of 1000; the server's status was NOT_FOUND"), "{met}");
}

#[test]
fn malformed_trailers() {
    for name in [":status", ":path", ":x", ":"] {
        let result = trailers(&[("grpc-status", "0"), (name, "200")]);
        assert_eq!(result, Err(MalformedReason::PseudoInTrailers), "{name}");
    }
    assert_eq!(trailers(&[("upgrade", "x")]), Err(MalformedReason::ConnectionSpecific));
    assert_eq!(trailers(&[("te", "x")]), Err(MalformedReason::Te));
    assert_eq!(trailers(&[("X", "x")]), Err(MalformedReason::Field(FieldError::UpperCase(b'X'))));
    let nul = trailers(&[("grpc-message", "a\0b")]);
    assert_eq!(nul, Err(MalformedReason::Field(FieldError::ValueByte(0))));
}

#[test]
fn fields_of_a_status_beyond_the_limit_are_not_kept() {
    for (name, value, kept) in [
        ("grpc-message", "some text", "some text"),
        ("grpc-status-details-bin", "Zm9v", "foo"),
        ("grpc-encoding", "some-codec", "some-codec"),
    ] {
        for (limit, fits) in [(200, true), (199, false)] {
            let filler = "v".repeat(200 - 33 - name.len() - 32 - value.len());
            let mut builder = ResponseHeadersBuilder::new(limit);
            builder.field(b"x", filler.as_bytes());
            builder.field(name.as_bytes(), value.as_bytes());
            assert_eq!(format!("{builder:?}").contains(kept), fits, "{name}");
            builder.field(b":status", b"200");
            assert_eq!(builder.finish(true), Err(MalformedReason::PseudoOrder));
        }
    }
}

#[test]
fn the_limit_at_its_edges() {
    // grpc-status: 0 counts 44 bytes.
    for (len, fits) in [(922, true), (923, true), (924, false)] {
        let value = "v".repeat(len);
        let met = trailers(&[("grpc-status", "0"), ("x", &value)]).unwrap();
        let code = if fits { Code::Ok } else { Code::ResourceExhausted };
        assert_eq!(met.status.unwrap().code, code, "{len}");
        assert_eq!(met.metadata.is_empty(), !fits);
    }
    let value = "v".repeat(2000);
    assert_eq!(headers(&[OK, GRPC, ("x", &value)]).failure.unwrap().code, Code::ResourceExhausted);
}
