//! Content subtypes over TCP (P-8): each codec's own, in the four call types, on both runtimes.

use bytes::Bytes;
use halfclose_driver::halfclose::Code;
use halfclose_driver::halfclose::Status;
use halfclose_driver::halfclose::grpc::content_type::ContentSubtypes;
use halfclose_driver::{CallOptions, Channel, Codec, Many, Method, Prost, Raw, Response, Router, Sink};
use halfclose_e2e::{Runtime, Serving, on_both};
use halfclose_tokio::Json;

on_both! {
    a_call_in_a_subtype_that_its_method_takes_is_answered
    a_call_in_another_subtype_is_refused
    raw_bytes_have_any_subtype
}

/// Makes a codec of texts with these subtypes.
macro_rules! codec {
    ($name:ident, $subtypes:expr) => {
        struct $name;

        impl Codec<Bytes> for $name {
            const CONTENT_SUBTYPES: ContentSubtypes = $subtypes;

            fn encode(message: &Bytes, sink: &mut Sink) -> Result<(), Status> {
                <Raw as Codec<Bytes>>::encode(message, sink)
            }

            fn decode(payload: Bytes) -> Result<Bytes, Status> {
                <Raw as Codec<Bytes>>::decode(payload)
            }
        }
    };
}

codec!(Proto, ContentSubtypes::PROTO);
codec!(NamedProto, ContentSubtypes::named(&["proto"]).unwrap());
codec!(Text, ContentSubtypes::JSON);
codec!(Foo, ContentSubtypes::named(&["foo"]).unwrap());

/// Serves the four call types with one codec, under a path of its own.
macro_rules! serve {
    ($router:expr, $codec:ty) => {
        $router
            .unary(&method::<Bytes, Bytes, $codec>("/e2e.Types/Unary"), |request| async move {
                Ok(Response::new(request.message))
            })
            .server_streaming(
                &method::<Bytes, Many<Bytes>, $codec>("/e2e.Types/Server"),
                |request, mut call| async move { Ok(call.send(&request.message).await?) },
            )
            .client_streaming(
                &method::<Many<Bytes>, Bytes, $codec>("/e2e.Types/Client"),
                |mut call| async move { Ok(Response::new(call.recv().await?.unwrap_or_default())) },
            )
            .bidi_streaming(
                &method::<Many<Bytes>, Many<Bytes>, $codec>("/e2e.Types/Bidi"),
                |mut call| async move {
                    while let Some(message) = call.recv().await? {
                        call.send(&message).await?;
                    }
                    Ok(())
                },
            )
    };
}

fn method<Req, Res, C>(path: &'static str) -> Method<Req, Res, C> {
    Method::new(path)
}

/// Makes a call of each type, each of which must end with this code and HTTP status.
async fn calls<C: Codec<Bytes>>(channel: &Channel, code: Code, http_status: u16) {
    let (message, options) = (Bytes::from_static(b"message"), CallOptions::new);
    let mut ends = Vec::new();
    ends.push(
        channel.unary(&method::<Bytes, Bytes, C>("/e2e.Types/Unary"), &message, options()).await.map(drop),
    );
    let path = method::<Bytes, Many<Bytes>, C>("/e2e.Types/Server");
    let mut call = channel.server_streaming(&path, &message, options()).await.expect("a call");
    ends.push(loop {
        match call.recv().await {
            Ok(Some(answer)) => assert_eq!(answer, message),
            other => break other.map(drop),
        }
    });
    let mut call = channel
        .client_streaming(&method::<Many<Bytes>, Bytes, C>("/e2e.Types/Client"), options())
        .expect("a call");
    // A call that is over by now accepts no message.
    let _ = call.send(&message).await;
    ends.push(call.close_and_recv().await.map(drop));
    let mut call = channel
        .bidi_streaming(&method::<Many<Bytes>, Many<Bytes>, C>("/e2e.Types/Bidi"), options())
        .expect("a call");
    let _ = call.send(&message).await;
    let _ = call.close_send();
    ends.push(loop {
        match call.recv().await {
            Ok(Some(answer)) => assert_eq!(answer, message),
            other => break other.map(drop),
        }
    });
    for end in ends {
        let met = end.map_or_else(|error| (error.code(), error.http_status()), |()| (Code::Ok, Some(200)));
        assert_eq!(met, (code, Some(http_status)));
    }
}

fn a_call_in_a_subtype_that_its_method_takes_is_answered<R: Runtime>() {
    Serving::<R>::start(serve!(Router::new(), Proto)).run::<R, _>(|channel| async move {
        calls::<Proto>(&channel, Code::Ok, 200).await;
        calls::<NamedProto>(&channel, Code::Ok, 200).await;
        calls::<Raw>(&channel, Code::Ok, 200).await;
    });
    Serving::<R>::start(serve!(Router::new(), Text)).run::<R, _>(|channel| async move {
        calls::<Text>(&channel, Code::Ok, 200).await;
    });
}

fn a_call_in_another_subtype_is_refused<R: Runtime>() {
    Serving::<R>::start(serve!(Router::new(), Proto)).run::<R, _>(|channel| async move {
        calls::<Text>(&channel, Code::Unknown, 415).await;
        calls::<Foo>(&channel, Code::Unknown, 415).await;
        // The connection stays open.
        calls::<Proto>(&channel, Code::Ok, 200).await;
    });
    Serving::<R>::start(serve!(Router::new(), Text)).run::<R, _>(|channel| async move {
        for _ in 0..3 {
            calls::<Raw>(&channel, Code::Unknown, 415).await;
            calls::<Proto>(&channel, Code::Unknown, 415).await;
            calls::<Text>(&channel, Code::Ok, 200).await;
        }
    });
}

fn raw_bytes_have_any_subtype<R: Runtime>() {
    Serving::<R>::start(serve!(Router::new(), Raw)).run::<R, _>(|channel| async move {
        calls::<Foo>(&channel, Code::Ok, 200).await;
        calls::<Text>(&channel, Code::Ok, 200).await;
        calls::<Proto>(&channel, Code::Ok, 200).await;
        calls::<Raw>(&channel, Code::Ok, 200).await;
    });
}

#[test]
fn each_codec_names_its_subtypes() {
    assert_eq!(<Raw as Codec<Bytes>>::CONTENT_SUBTYPES, ContentSubtypes::ANY);
    assert_eq!(<Prost as Codec<()>>::CONTENT_SUBTYPES, ContentSubtypes::PROTO);
    assert_eq!(<Json as Codec<String>>::CONTENT_SUBTYPES, ContentSubtypes::JSON);
}
