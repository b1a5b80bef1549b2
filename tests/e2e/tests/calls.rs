//! The four call types on every pair of runtimes: messages, metadata, trailers, errors, halves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use halfclose_driver::halfclose::grpc::compress::{CompressError, DecompressError, MessageCodec};
use halfclose_driver::halfclose::grpc::encoding::Encoding;
use halfclose_driver::halfclose::{Cause, Code, Config, Metadata, Status};
use halfclose_driver::{
    CallError, CallOptions, Channel, Codec, Context, Many, Method, Raw, Response, Router, SendError, Sink,
};
use halfclose_e2e::{Runtime, Serving, on_every_pair};

const SAY: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Test/Say");
const COUNT: Method<Many<Bytes>, Bytes, Raw> = Method::new("/e2e.Test/Count");
const LIST: Method<Bytes, Many<Bytes>, Raw> = Method::new("/e2e.Test/List");
const CHAT: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/e2e.Test/Chat");
const NOWHERE: Method<Bytes, Bytes, Raw> = Method::new("/e2e.Test/Nowhere");

on_every_pair! {
    unary_carries_the_message_metadata_and_trailers
    client_streaming_ends_with_one_response
    server_streaming_ends_with_none_and_trailers
    bidi_answers_each_message_and_sees_the_half_close_once
    an_error_carries_code_message_details_and_trailers
    an_error_after_messages_comes_behind_them
    every_error_has_the_headers_the_trailers_and_the_http_status
    header_comes_before_the_messages
    bidi_returns_before_the_servers_headers
    the_halves_run_on_different_tasks
    sending_after_the_servers_end_says_so_and_receiving_has_the_status
    a_handler_that_panics_ends_its_call_with_internal_and_no_other
    an_unknown_method_is_unimplemented
    an_unknown_method_of_any_type_is_unimplemented
    a_message_that_cannot_be_encoded_is_not_sent
    a_message_that_cannot_be_decoded_ends_its_call
    compression_by_every_encoding
    large_metadata_go_both_ways
    metadata_over_the_limit_end_their_call_only
    a_client_streaming_server_may_answer_before_the_half_close
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).expect("a text")
}

fn metadata(key: &str, value: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append(key, value).expect("a legal value");
    metadata.append_bin(&format!("{key}-bin"), &[0, 255, 7]).expect("a legal value");
    metadata
}

fn check_metadata(metadata: &Metadata, key: &str, value: &str) {
    assert_eq!(metadata.get_str(key), Some(value));
    assert_eq!(metadata.get_bin(&format!("{key}-bin")), Some(&[0, 255, 7][..]));
}

fn unary_carries_the_message_metadata_and_trailers<S: Runtime, C: Runtime>() {
    let router = Router::new().unary(&SAY, |request| async move {
        check_metadata(request.context.metadata(), "ask", "x");
        let mut response = Response::new(request.message);
        response.headers = metadata("head", "a");
        response.trailers = metadata("tail", "b");
        Ok(response)
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        for size in [0, 1, 100, 16_384, 70_000, 1 << 20] {
            let message = Bytes::from(vec![7; size]);
            let options = CallOptions::new().metadata(metadata("ask", "x"));
            let response = channel.unary(&SAY, &message, options).await.expect("OK");
            assert_eq!(response.message, message);
            check_metadata(&response.headers, "head", "a");
            check_metadata(&response.trailers, "tail", "b");
        }
    });
}

fn client_streaming_ends_with_one_response<S: Runtime, C: Runtime>() {
    let router = Router::new().client_streaming(&COUNT, |mut call| async move {
        check_metadata(call.metadata(), "ask", "x");
        let (mut messages, mut bytes) = (0, 0);
        while let Some(message) = call.recv().await? {
            messages += 1;
            bytes += message.len();
        }
        // The half-close is reported each time.
        assert_eq!(call.recv().await?, None);
        call.context().add_trailers(&metadata("tail", "b"));
        Ok(call.send_and_close(Bytes::from(format!("{messages}/{bytes}"))))
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        for messages in [0, 1, 10, 200] {
            let options = CallOptions::new().metadata(metadata("ask", "x"));
            let mut call = channel.client_streaming(&COUNT, options).expect("a call");
            for size in 0..messages {
                call.send(&Bytes::from(vec![1; size])).await.expect("room");
            }
            let response = call.close_and_recv().await.expect("OK");
            let bytes: usize = (0..messages).sum();
            assert_eq!(text(&response.message), format!("{messages}/{bytes}"));
            check_metadata(&response.trailers, "tail", "b");
        }
    });
}

fn server_streaming_ends_with_none_and_trailers<S: Runtime, C: Runtime>() {
    let router = Router::new().server_streaming(&LIST, |request, mut call| async move {
        let count: usize =
            text(&request.message).parse().map_err(|_| Status::invalid_argument("a number"))?;
        call.context()
            .send_headers(metadata("head", "a"))
            .map_err(|misuse| Status::internal(misuse.to_string()))?;
        for size in 0..count {
            call.send(&Bytes::from(vec![9; size])).await?;
        }
        call.context().add_trailers(&metadata("tail", "b"));
        Ok(())
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        for count in [0, 1, 300] {
            let request = Bytes::from(count.to_string());
            let mut call =
                channel.server_streaming(&LIST, &request, CallOptions::new()).await.expect("a call");
            assert!(call.trailers().is_none());
            let mut seen = 0;
            while let Some(message) = call.recv().await.expect("OK") {
                assert_eq!(message, vec![9; seen]);
                seen += 1;
            }
            assert_eq!(seen, count);
            assert_eq!(call.recv().await.expect("the end stays the end"), None);
            check_metadata(call.headers().await.expect("headers"), "head", "a");
            check_metadata(call.trailers().expect("the call ended"), "tail", "b");
            assert_eq!(call.outcome().expect("the call ended").cause, Cause::Trailers);
        }
        let request = Bytes::from_static(b"x");
        let mut call = channel.server_streaming(&LIST, &request, CallOptions::new()).await.expect("a call");
        assert_eq!(call.recv().await.expect_err("no number").code(), Code::InvalidArgument);
        assert_eq!(call.outcome().expect("the call ended").cause, Cause::TrailersOnly);
    });
}

/// Echoes, and reports at the end how often it saw the half-close.
fn chat() -> Router {
    Router::new().bidi_streaming(&CHAT, |mut call| async move {
        while let Some(message) = call.recv().await? {
            call.send(&message).await?;
        }
        Ok(call.send(&Bytes::from_static(b"half-closed")).await?)
    })
}

fn bidi_answers_each_message_and_sees_the_half_close_once<S: Runtime, C: Runtime>() {
    Serving::<S>::start(chat()).run::<C, _>(|channel| async move {
        let mut call = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
        for size in 0..100 {
            let message = Bytes::from(vec![3; size * 10]);
            call.send(&message).await.expect("room");
            assert_eq!(call.recv().await.expect("OK"), Some(message));
        }
        call.close_send().expect("an open call");
        assert!(matches!(call.send(&Bytes::new()).await, Err(SendError::Misuse(_))));
        assert_eq!(call.recv().await.expect("OK"), Some(Bytes::from_static(b"half-closed")));
        assert_eq!(call.recv().await.expect("OK"), None);
    });
}

fn an_error_carries_code_message_details_and_trailers<S: Runtime, C: Runtime>() {
    let router = Router::new().unary(&SAY, |request| async move {
        request.context.add_trailers(&metadata("tail", "b"));
        let number = request.message.first().copied().unwrap_or_default();
        let status = Status::new(Code::from_u32(number.into()), "100 % \u{e4} \n\u{1f600}");
        Err(status.with_details(Bytes::from_static(&[8, 5, 0, 255])))
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        for code in Code::ALL.into_iter().filter(|code| *code != Code::Ok) {
            let request = Bytes::from(vec![code as u8]);
            let error = channel.unary(&SAY, &request, CallOptions::new()).await.expect_err("an error");
            assert_eq!(error.code(), code);
            assert_eq!(error.status().message(), "100 % \u{e4} \n\u{1f600}");
            assert_eq!(error.status().details(), &Bytes::from_static(&[8, 5, 0, 255]));
            check_metadata(error.trailers(), "tail", "b");
            assert_eq!(error.cause(), &Cause::TrailersOnly);
            assert!(!error.not_processed());
        }
    });
}

fn an_error_after_messages_comes_behind_them<S: Runtime, C: Runtime>() {
    let router = Router::new().server_streaming(&LIST, |_, mut call| async move {
        for size in 0..50 {
            call.send(&Bytes::from(vec![9; size])).await?;
        }
        Err(Status::aborted("enough"))
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        let mut call =
            channel.server_streaming(&LIST, &Bytes::new(), CallOptions::new()).await.expect("a call");
        for size in 0..50 {
            assert_eq!(call.recv().await.expect("a message"), Some(Bytes::from(vec![9; size])));
        }
        for _ in 0..2 {
            let error = call.recv().await.expect_err("an error, as often as it is asked");
            assert_eq!((error.code(), error.status().message()), (Code::Aborted, "enough"));
        }
    });
}

/// A codec whose messages never decode, and whose failure is OK if the message says so.
struct Undecodable;

impl Codec<Bytes> for Undecodable {
    fn encode(message: &Bytes, sink: &mut Sink) -> Result<(), Status> {
        sink.put_slice(message);
        Ok(())
    }

    fn decode(payload: Bytes) -> Result<Bytes, Status> {
        Err(if payload == "ok" { Status::ok() } else { Status::data_loss("no message") })
    }
}

/// Checks a call that the server answered with initial and trailing metadata.
fn check_error(error: &CallError, code: Code) {
    assert_eq!((error.code(), error.http_status()), (code, Some(200)), "{error}");
    assert_eq!(error.cause(), &Cause::Trailers, "{error}");
    check_metadata(error.headers(), "head", "a");
    check_metadata(error.trailers(), "tail", "b");
}

/// Answers each method with initial metadata, a message unless an error is asked for, and trailing metadata.
fn answering() -> Router {
    fn about(context: &Context) -> Result<(), Status> {
        context.add_trailers(&metadata("tail", "b"));
        context.set_headers(metadata("head", "a")).map_err(|misuse| Status::unknown(misuse.to_string()))
    }
    fn refuse(message: &Bytes) -> Result<(), Status> {
        if message == "no" { Err(Status::aborted("no")) } else { Ok(()) }
    }
    Router::new()
        .unary(&SAY, |request| async move {
            about(&request.context)?;
            refuse(&request.message)?;
            Ok(Response::new(request.message))
        })
        .client_streaming(&COUNT, |mut call| async move {
            about(call.context())?;
            let message = call.recv().await?.unwrap_or_default();
            refuse(&message)?;
            Ok(call.send_and_close(message))
        })
        .server_streaming(&LIST, |request, mut call| async move {
            about(call.context())?;
            refuse(&request.message)?;
            Ok(call.send(&request.message).await?)
        })
        .bidi_streaming(&CHAT, |mut call| async move {
            about(call.context())?;
            let message = call.recv().await?.unwrap_or_default();
            refuse(&message)?;
            Ok(call.send(&message).await?)
        })
}

/// Returns how each of the four methods fails with a request, if the client's codec is `Undecodable`.
async fn failures(channel: &Channel, request: &Bytes) -> [CallError; 4] {
    const SAY: Method<Bytes, Bytes, Undecodable> = Method::new(self::SAY.path());
    const COUNT: Method<Many<Bytes>, Bytes, Undecodable> = Method::new(self::COUNT.path());
    const LIST: Method<Bytes, Many<Bytes>, Undecodable> = Method::new(self::LIST.path());
    const CHAT: Method<Many<Bytes>, Many<Bytes>, Undecodable> = Method::new(self::CHAT.path());
    let options = CallOptions::new;
    let unary = channel.unary(&SAY, request, options()).await.expect_err("unary");
    let mut counting = channel.client_streaming(&COUNT, options()).expect("a call");
    counting.send(request).await.expect("room");
    let counting = counting.close_and_recv().await.expect_err("client streaming");
    let mut list = channel.server_streaming(&LIST, request, options()).await.expect("a call");
    let listing = list.recv().await.expect_err("server streaming");
    let mut chat = channel.bidi_streaming(&CHAT, options()).expect("a call");
    chat.send(request).await.expect("room");
    let chatting = chat.recv().await.expect_err("bidirectional");
    // The end of the call stays, and is the same from every function.
    assert_eq!(chat.recv().await.expect_err("again").code(), chatting.code());
    let outcome = chat.outcome().expect("the call ended");
    assert_eq!((outcome.status, outcome.cause), (chatting.status().clone(), chatting.cause().clone()));
    check_metadata(chat.headers().await.expect("headers"), "head", "a");
    let status = chatting.status().clone();
    assert_eq!(chat.send(request).await, Err(SendError::CallFailed(status)));
    [unary, counting, listing, chatting]
}

fn every_error_has_the_headers_the_trailers_and_the_http_status<S: Runtime, C: Runtime>() {
    Serving::<S>::start(answering()).run::<C, _>(|channel| async move {
        for error in failures(&channel, &Bytes::from_static(b"no")).await {
            check_error(&error, Code::Aborted);
        }
        for (message, code) in [("nonsense", Code::DataLoss), ("ok", Code::Internal)] {
            let [unary, counting, listing, chatting] = failures(&channel, &message.into()).await;
            check_error(&unary, code);
            check_error(&counting, code);
            // The trailers of a stream may have arrived by then, or not.
            for error in [listing, chatting] {
                assert_eq!((error.code(), error.http_status()), (code, Some(200)), "{error}");
                check_metadata(error.headers(), "head", "a");
                assert!(matches!(error.cause(), Cause::Trailers | Cause::Cancelled), "{error}");
                if *error.cause() == Cause::Trailers {
                    check_metadata(error.trailers(), "tail", "b");
                }
            }
        }
        let error = channel.unary(&NOWHERE, &Bytes::new(), CallOptions::new()).await.expect_err("nowhere");
        assert_eq!((error.http_status(), error.headers().is_empty()), (Some(200), true));
        channel.close();
        let error = channel.unary(&SAY, &Bytes::new(), CallOptions::new()).await.expect_err("closed");
        assert_eq!((error.http_status(), error.headers().is_empty()), (None, true));
        assert_eq!(error.cause(), &Cause::NeverSent);
    });
}

fn header_comes_before_the_messages<S: Runtime, C: Runtime>() {
    let router = Router::new().bidi_streaming(&CHAT, |mut call| async move {
        call.context()
            .send_headers(metadata("head", "a"))
            .map_err(|misuse| Status::internal(misuse.to_string()))?;
        assert!(call.context().send_headers(Metadata::new()).is_err(), "headers go once");
        let message = call.recv().await?.unwrap_or_default();
        Ok(call.send(&message).await?)
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        let mut call = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
        // Nothing was sent yet, so no message can have arrived.
        check_metadata(call.headers().await.expect("headers"), "head", "a");
        call.send(&Bytes::from_static(b"now")).await.expect("room");
        assert_eq!(call.recv().await.expect("OK"), Some(Bytes::from_static(b"now")));
        assert_eq!(call.recv().await.expect("OK"), None);
    });
}

fn bidi_returns_before_the_servers_headers<S: Runtime, C: Runtime>() {
    // The server sends nothing before it has received three messages and the half-close.
    let router = Router::new().bidi_streaming(&CHAT, |mut call| async move {
        let mut count = 0_u8;
        while call.recv().await?.is_some() {
            count += 1;
        }
        Ok(call.send(&Bytes::from(vec![count])).await?)
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        let mut call = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
        for _ in 0..3 {
            call.send(&Bytes::from_static(b"hello")).await.expect("room");
        }
        call.close_send().expect("an open call");
        assert_eq!(call.recv().await.expect("OK"), Some(Bytes::from_static(&[3])));
        assert_eq!(call.recv().await.expect("OK"), None);
    });
}

fn the_halves_run_on_different_tasks<S: Runtime, C: Runtime>() {
    // On the server too, the receiving half feeds a task that sends.
    let router = Router::new().bidi_streaming(&CHAT, |call| async move {
        let (mut sender, mut receiver) = call.split();
        let (queue, queued) = smol::channel::bounded::<Bytes>(4);
        let (done, ended) = smol::channel::bounded(1);
        S::spawn(async move {
            while let Ok(message) = queued.recv().await {
                sender.send(&message).await.expect("the client reads");
            }
            done.send(()).await.expect("the handler waits");
        });
        while let Some(message) = receiver.recv().await? {
            queue.send(message).await.expect("the task sends");
        }
        drop(queue);
        ended.recv().await.expect("the task ends");
        Ok(())
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        let (mut sender, mut receiver) =
            channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call").split();
        C::spawn(async move {
            for size in 0..500 {
                sender.send(&Bytes::from(vec![5; size * 7])).await.expect("the server reads");
            }
            sender.close_send().expect("an open call");
        });
        for size in 0..500 {
            assert_eq!(receiver.recv().await.expect("OK"), Some(Bytes::from(vec![5; size * 7])));
        }
        assert_eq!(receiver.recv().await.expect("OK"), None);
    });
}

fn sending_after_the_servers_end_says_so_and_receiving_has_the_status<S: Runtime, C: Runtime>() {
    let router = Router::new().bidi_streaming(&CHAT, |mut call| async move {
        call.recv().await?;
        Err(Status::failed_precondition("no more"))
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        let mut call = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
        // The sender fills its buffer and waits there until the server's end frees it.
        let error = loop {
            if let Err(error) = call.send(&Bytes::from(vec![1; 10_000])).await {
                break error;
            }
        };
        let failed = SendError::CallFailed(Status::failed_precondition("no more"));
        assert_eq!(error, failed);
        // A handler that forwards the call returns what the server said.
        assert_eq!(Status::from(error), Status::failed_precondition("no more"));
        let error = call.recv().await.expect_err("an error");
        assert_eq!((error.code(), error.status().message()), (Code::FailedPrecondition, "no more"));
        assert_eq!(call.send(&Bytes::new()).await, Err(failed));
    });
}

fn a_handler_that_panics_ends_its_call_with_internal_and_no_other<S: Runtime, C: Runtime>() {
    let router = chat().unary(&SAY, |request| async move {
        assert_ne!(request.message, "panic", "on purpose");
        Ok(Response::new(request.message))
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        let mut other = channel.bidi_streaming(&CHAT, CallOptions::new()).expect("a call");
        for _ in 0..5 {
            let error = channel.unary(&SAY, &Bytes::from_static(b"panic"), CallOptions::new()).await;
            assert_eq!(error.expect_err("an error").code(), Code::Internal);
            let fine = channel.unary(&SAY, &Bytes::from_static(b"fine"), CallOptions::new()).await;
            assert_eq!(fine.expect("OK").message, "fine");
            other.send(&Bytes::from_static(b"on")).await.expect("room");
            assert_eq!(other.recv().await.expect("OK"), Some(Bytes::from_static(b"on")));
        }
    });
}

fn an_unknown_method_is_unimplemented<S: Runtime, C: Runtime>() {
    Serving::<S>::start(chat()).run::<C, _>(|channel| async move {
        let error = channel.unary(&NOWHERE, &Bytes::from(vec![0; 100_000]), CallOptions::new()).await;
        let error = error.expect_err("no such method");
        assert_eq!(error.code(), Code::Unimplemented);
        assert!(error.status().message().contains("/e2e.Test/Nowhere"), "{error}");
    });
}

fn an_unknown_method_of_any_type_is_unimplemented<S: Runtime, C: Runtime>() {
    const UPLOAD: Method<Many<Bytes>, Bytes, Raw> = Method::new(NOWHERE.path());
    const DOWNLOAD: Method<Bytes, Many<Bytes>, Raw> = Method::new(NOWHERE.path());
    const BOTH: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new(NOWHERE.path());
    Serving::<S>::start(chat()).run::<C, _>(|channel| async move {
        let call = channel.client_streaming(&UPLOAD, CallOptions::new()).expect("a call");
        assert_eq!(call.close_and_recv().await.expect_err("no such method").code(), Code::Unimplemented);
        let call = channel.server_streaming(&DOWNLOAD, &Bytes::new(), CallOptions::new()).await;
        let error = call.expect("a call").recv().await.expect_err("no such method");
        assert_eq!(error.code(), Code::Unimplemented);
        let mut call = channel.bidi_streaming(&BOTH, CallOptions::new()).expect("a call");
        assert!(call.headers().await.is_none());
        assert_eq!(call.recv().await.expect_err("no such method").code(), Code::Unimplemented);
    });
}

/// A codec that refuses "bad" in one direction and "worse" in the other.
struct Picky;

impl Codec<Bytes> for Picky {
    fn encode(message: &Bytes, sink: &mut Sink) -> Result<(), Status> {
        sink.put_bytes(message.clone());
        // Bytes that are in the buffer already are not sent.
        if message == "bad" { Err(Status::internal("cannot encode")) } else { Ok(()) }
    }

    fn decode(payload: Bytes) -> Result<Bytes, Status> {
        if payload == "worse" { Err(Status::internal("cannot decode")) } else { Ok(payload) }
    }
}

const PICKY_SAY: Method<Bytes, Bytes, Picky> = Method::new(SAY.path());
const PICKY_CHAT: Method<Many<Bytes>, Many<Bytes>, Picky> = Method::new(CHAT.path());

fn echo_raw() -> Router {
    chat().unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
}

fn a_message_that_cannot_be_encoded_is_not_sent<S: Runtime, C: Runtime>() {
    let bad = Bytes::from_static(b"bad");
    let served = chat().unary(&PICKY_SAY, |_| async move { Ok(Response::new(Bytes::from_static(b"bad"))) });
    Serving::<S>::start(served).run::<C, _>(|channel| async move {
        let error = channel.unary(&PICKY_SAY, &bad, CallOptions::new()).await.expect_err("cannot encode");
        assert_eq!((error.code(), error.cause()), (Code::Internal, &Cause::NeverSent));
        // The server's answer cannot be encoded either.
        let error = channel.unary(&SAY, &Bytes::new(), CallOptions::new()).await.expect_err("cannot encode");
        assert_eq!((error.code(), error.status().message()), (Code::Internal, "cannot encode"));
        // A stream stays open.
        let mut call = channel.bidi_streaming(&PICKY_CHAT, CallOptions::new()).expect("a call");
        assert!(matches!(call.send(&bad).await, Err(SendError::Encode(_))));
        call.send(&Bytes::from_static(b"good")).await.expect("room");
        assert_eq!(call.recv().await.expect("OK"), Some(Bytes::from_static(b"good")));
    });
}

fn a_message_that_cannot_be_decoded_ends_its_call<S: Runtime, C: Runtime>() {
    let worse = Bytes::from_static(b"worse");
    Serving::<S>::start(echo_raw()).run::<C, _>(|channel| async move {
        let error = channel.unary(&PICKY_SAY, &worse, CallOptions::new()).await.expect_err("cannot decode");
        assert_eq!((error.code(), error.status().message()), (Code::Internal, "cannot decode"));
        let mut call = channel.bidi_streaming(&PICKY_CHAT, CallOptions::new()).expect("a call");
        call.send(&worse).await.expect("room");
        for _ in 0..2 {
            assert_eq!(call.recv().await.expect_err("cannot decode").code(), Code::Internal);
        }
        assert!(matches!(call.send(&worse).await, Err(SendError::CallFailed(status)) if status.code == Code::Internal));
    });
    let picky = Router::new().unary(&PICKY_SAY, |request| async move { Ok(Response::new(request.message)) });
    Serving::<S>::start(picky).run::<C, _>(|channel| async move {
        let error = channel.unary(&SAY, &Bytes::from_static(b"worse"), CallOptions::new()).await;
        assert_eq!(error.expect_err("the server cannot decode").code(), Code::Internal);
        channel.unary(&SAY, &Bytes::from_static(b"good"), CallOptions::new()).await.expect("OK");
    });
}

/// A codec under a name of its own that inverts every byte.
#[derive(Debug)]
struct Flip;

impl MessageCodec for Flip {
    fn name(&self) -> &str {
        "x-flip"
    }

    fn compress(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        out.extend(payload.iter().map(|byte| !byte));
        Ok(())
    }

    fn decompress(&self, payload: &[u8], _: usize) -> Result<Bytes, DecompressError> {
        Ok(payload.iter().map(|byte| !byte).collect())
    }
}

fn compression_by_every_encoding<S: Runtime, C: Runtime>() {
    const ENCODINGS: [Encoding; 4] =
        [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd, Encoding::Custom("x-flip")];
    let [server, client] = [Config::server(), Config::client()].map(|mut config| {
        config.codecs = config.codecs.with(Arc::new(Flip)).expect("a good name");
        config
    });
    let router = Router::new().bidi_streaming(&CHAT, |mut call| async move {
        let encoding =
            ENCODINGS.into_iter().find(|encoding| call.metadata().get_str("use") == Some(encoding.as_str()));
        assert!(encoding.is_some_and(|encoding| call.context().accepts_encoding(encoding)));
        call.context().set_encoding(encoding).map_err(|misuse| Status::internal(misuse.to_string()))?;
        while let Some(message) = call.recv().await? {
            // A message that arrived compressed is returned compressed.
            call.set_compress(call.was_compressed());
            call.send(&message).await?;
        }
        Ok(())
    });
    Serving::<S>::with(router, server).run_with::<C, _>(client, |channel| async move {
        for encoding in ENCODINGS {
            let options = CallOptions::new().encoding(encoding).metadata(metadata("use", encoding.as_str()));
            let mut call = channel.bidi_streaming(&CHAT, options).expect("a call");
            for (size, compressed) in
                [(0, true), (10, false), (100_000, true), (300_000, false), (1 << 20, true)]
            {
                let message: Bytes = (0..size).map(|index| (index / 100) as u8).collect();
                call.set_compress(compressed);
                call.send(&message).await.expect("room");
                assert_eq!(call.recv().await.expect("OK"), Some(message));
                assert_eq!(call.was_compressed(), compressed, "{encoding:?} {size}");
            }
            call.close_send().expect("an open call");
            assert_eq!(call.recv().await.expect("OK"), None);
        }
    });
}

fn large_metadata_go_both_ways<S: Runtime, C: Runtime>() {
    let router = Router::new().unary(&SAY, |request| async move {
        let mut response = Response::new(request.message);
        response.headers.merge(request.context.metadata());
        response.trailers.merge(request.context.metadata());
        Ok(response)
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        for round in 0..20 {
            let value: String =
                (0..7_000).map(|index| char::from(b'a' + ((index * round) % 23) as u8)).collect();
            let mut metadata = Metadata::new();
            metadata.append("large", &value).expect("a legal value");
            metadata.append_bin("large-bin", &value.as_bytes()[..4_000]).expect("a legal value");
            let options = CallOptions::new().metadata(metadata);
            let response = channel.unary(&SAY, &Bytes::new(), options).await.expect("OK");
            for received in [&response.headers, &response.trailers] {
                assert_eq!(received.get_str("large"), Some(&*value));
                assert_eq!(received.get_bin("large-bin"), Some(&value.as_bytes()[..4_000]));
            }
        }
    });
}

fn metadata_over_the_limit_end_their_call_only<S: Runtime, C: Runtime>() {
    let mut config = Config::server();
    config.limits.max_header_list = 2_048;
    Serving::<S>::with(echo_raw(), config).run::<C, _>(|channel| async move {
        // The server's limit is known to the client only once it has answered.
        channel.unary(&SAY, &Bytes::new(), CallOptions::new()).await.expect("OK");
        let mut metadata = Metadata::new();
        metadata.append("large", &"x".repeat(4_000)).expect("a legal value");
        let error = channel.unary(&SAY, &Bytes::new(), CallOptions::new().metadata(metadata)).await;
        let error = error.expect_err("too much");
        // P-15: the call fails here and is not sent.
        assert_eq!((error.code(), error.cause()), (Code::Internal, &Cause::NeverSent));
        channel.unary(&SAY, &Bytes::new(), CallOptions::new()).await.expect("the connection lives");
    });
}

fn a_client_streaming_server_may_answer_before_the_half_close<S: Runtime, C: Runtime>() {
    let handled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&handled);
    let router = Router::new().client_streaming(&COUNT, move |mut call| {
        let counter = Arc::clone(&counter);
        async move {
            call.recv().await?;
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(call.send_and_close(Bytes::from_static(b"early")))
        }
    });
    Serving::<S>::start(router).run::<C, _>(|channel| async move {
        let mut call = channel.client_streaming(&COUNT, CallOptions::new()).expect("a call");
        while call.send(&Bytes::from(vec![0; 50_000])).await.is_ok() {}
        let response = call.close_and_recv().await.expect("OK");
        assert_eq!(response.message, "early");
        C::sleep(Duration::from_millis(1)).await;
        assert_eq!(handled.load(Ordering::SeqCst), 1);
    });
}
