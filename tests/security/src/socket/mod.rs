//! Attacks over TCP on servers and clients of both runtimes, while an honest client makes its calls beside them.
//!
//! The attacker is a raw peer that attacks as fast as it can for a given time, and connects again when it is
//! disconnected: [`floods`] holds the floods of clients, [`hostile`] the hostile servers; [`attacker`] drives them;
//! [`bystander`] measures how long the calls of another client take in the meantime.

pub mod attacker;
pub mod bystander;
pub mod floods;
pub mod honest;
pub mod hostile;

use std::future::pending;

use bytes::Bytes;
use halfclose::{Code, Status};
use halfclose_driver::{Many, Method, Raw, Response, Router};

/// A unary echo, which the honest client calls.
pub const SAY: Method<Bytes, Bytes, Raw> = Method::new("/demo.Echo/Say");
/// A bidirectional echo, which most attacks call.
const CALL: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new(halfclose_wire::PATH);
/// A method that answers with messages of 100 bytes, as many as the request says in decimal digits; hostile servers
/// are compared with it.
pub const ANSWERS: Method<Bytes, Many<Bytes>, Raw> = Method::new("/demo.Echo/Answers");
/// A method that never answers.
const HANG: Method<Many<Bytes>, Many<Bytes>, Raw> = Method::new("/demo.Echo/Hang");

/// The services of the attacked server.
#[must_use]
pub fn router() -> Router {
    Router::new()
        .unary(&SAY, |request| async move { Ok(Response::new(request.message)) })
        .server_streaming(&ANSWERS, |request, mut call| async move {
            let digits = String::from_utf8_lossy(&request.message);
            let count: usize = digits.parse().map_err(|_| Status::new(Code::InvalidArgument, "no number"))?;
            for _ in 0..count {
                // A client that has gone accepts no more.
                let _ = call.send(&Bytes::from_static(&[7; 100])).await;
            }
            Ok(())
        })
        .bidi_streaming(&CALL, |mut call| async move {
            while let Some(message) = call.recv().await? {
                // `recv` reports that a client has gone.
                let _ = call.send(&message).await;
            }
            Ok(())
        })
        .bidi_streaming(&HANG, |_call| async move { pending().await })
}
