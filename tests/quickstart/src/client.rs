//! The client's side: one call of each type.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use halfclose_smol::{Channel, Code, Config, halfclose::HalfStates};

use crate::messages::{WordsClient, word};

type Outcome = Result<(), Box<dyn Error>>;

pub(crate) async fn run(address: SocketAddr) -> Outcome {
    let channel = halfclose_smol::connect(address, Config::client()).await?;
    println!("client is connected, on smol");
    let client = WordsClient::new(channel);
    unary(&client).await?;
    client_streaming(&client).await?;
    server_streaming(&client).await?;
    bidi_streaming(&client).await
}

/// Returns the options of every call: its deadline.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Prints what happened, and the states of both halves of the call.
fn say(what: &str, states: Option<HalfStates>) {
    let states = states.map_or_else(|| "over".to_owned(), |states| states.to_string());
    println!("  client {what:<36} {states}");
}

async fn unary(client: &WordsClient<Channel>) -> Outcome {
    println!("\nunary: one request, one response");
    let reply = client.measure(word("hippopotamus")).timeout(TIMEOUT).await?;
    say(&format!("gets {} and status OK", reply.message.letters), None);
    Ok(())
}

async fn client_streaming(client: &WordsClient<Channel>) -> Outcome {
    println!("\nclient streaming: many requests, one response");
    let mut call = client.sum().timeout(TIMEOUT).await?;
    for text in ["half", "close"] {
        call.send(&word(text)).await?;
        say(&format!("sends {text:?}"), call.states());
    }
    let reply = call.close_and_recv().await?;
    say(&format!("half-closes, gets {} and status OK", reply.message.letters), None);
    println!("  client has the trailers {:?}", reply.trailers);
    Ok(())
}

async fn server_streaming(client: &WordsClient<Channel>) -> Outcome {
    println!("\nserver streaming: one request, many responses");
    let mut call = client.spell(word("abc")).timeout(TIMEOUT).await?;
    say("sends \"abc\", half-closes", call.states());
    while let Some(letter) = call.recv().await? {
        say(&format!("gets {:?}", letter.text), call.states());
    }
    say("hears the end: status OK", call.states());
    Ok(())
}

async fn bidi_streaming(client: &WordsClient<Channel>) -> Outcome {
    println!("\nbidirectional: many requests, many responses, and an error at the end");
    let mut call = client.shout().timeout(TIMEOUT).await?;
    for text in ["ready", "steady"] {
        call.send(&word(text)).await?;
        say(&format!("sends {text:?}"), call.states());
        let reply = call.recv().await?.ok_or("the server ended early")?;
        say(&format!("gets {:?}", reply.text), call.states());
    }
    call.send(&word("quit")).await?;
    call.close_send()?;
    say("sends \"quit\", half-closes", call.states());
    match call.recv().await {
        Err(error) if error.code() == Code::InvalidArgument => {
            say(&format!("gets the status {}", error.status()), call.states());
            Ok(())
        }
        other => Err(format!("the server should have refused that word, and gave {other:?}").into()),
    }
}
