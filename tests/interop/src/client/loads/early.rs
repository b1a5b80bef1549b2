//! Calls that end while messages of ten bytes are in flight.

use std::future::pending;
use std::pin::pin;

use futures_util::future::{Either, select};
use halfclose_driver::halfclose::Code;
use halfclose_driver::{Channel, ClientReceiver, ClientSender, Prost};

use super::super::failure::{Failure, equal, fails_with};
use super::super::payloads::{check_payload, duplex_request};
use super::super::target::{Target, options};
use super::{TINY, small};
use crate::messages::{EchoStatus, StreamingOutputCallRequest, StreamingOutputCallResponse};
use crate::methods::FULL_DUPLEX_CALL;

type Sender = ClientSender<StreamingOutputCallRequest, Prost>;
type Receiver = ClientReceiver<StreamingOutputCallResponse, Prost>;

/// Messages that are sent, and asked for, of each call that ends early.
const UNDER_WAY: usize = 400;

/// Lets the server end each call at once, while messages are in flight to it.
pub(crate) async fn ended_early(target: &Target) -> Result<String, Failure> {
    let load = target.load;
    target
        .session(async |channel: &Channel| load.run("calls", async |_| ended_by_server(channel).await).await)
        .await
}

async fn ended_by_server(channel: &Channel) -> Result<(), Failure> {
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options())?;
    let wanted = EchoStatus { code: 9, message: "early".to_owned() };
    let request = StreamingOutputCallRequest { response_status: Some(wanted), ..duplex_request(0, &[]) };
    call.send(&request).await?;
    let (mut sender, mut receiver) = call.split();
    keep_sending(&mut sender).await;
    let error = fails_with(receiver.recv().await, Code::FailedPrecondition)?;
    equal("status message", error.status().message(), "early")
}

/// Sends until everything is sent or the call has ended.
async fn keep_sending(sender: &mut Sender) {
    let tiny = duplex_request(TINY, &[]);
    for _ in 0..UNDER_WAY {
        if sender.send(&tiny).await.is_err() {
            return;
        }
    }
}

/// Drops each call at the client while messages are in flight both ways.
pub(crate) async fn dropped_early(target: &Target) -> Result<String, Failure> {
    let load = target.load;
    target
        .session(async |channel: &Channel| {
            let said = load.run("calls", async |_| dropped(channel).await).await?;
            small(channel).await?;
            Ok(said)
        })
        .await
}

async fn dropped(channel: &Channel) -> Result<(), Failure> {
    let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options())?;
    call.send(&duplex_request(0, &[TINY; UNDER_WAY])).await?;
    let (mut sender, mut receiver) = call.split();
    let sending = async {
        keep_sending(&mut sender).await;
        pending::<()>().await;
    };
    match select(pin!(sending), pin!(first_three(&mut receiver))).await {
        Either::Left(((), _)) => Ok(()),
        Either::Right((result, _)) => result,
    }
}

async fn first_three(receiver: &mut Receiver) -> Result<(), Failure> {
    for _ in 0..3 {
        let missing = || Failure::Check("the stream ended without its responses".to_owned());
        let response = receiver.recv().await?.ok_or_else(missing)?;
        check_payload(response.payload.as_ref(), TINY)?;
    }
    Ok(())
}
