//! The server's side: four handlers, each an async function whose return value is the call's status.

use halfclose_tokio::{
    BidiStreamingServer, ClientStreamingServer, Context, Metadata, Prost, Request, Response, Router,
    ServerStreamingServer, Status,
};

use crate::messages::{Count, Word, Words, WordsServer, letters, word};

pub(crate) fn router() -> Router {
    WordsServer::new(Demo).into_router()
}

/// The service. It has no state; what it had would be here, shared by all calls.
struct Demo;

/// Prints what happened, and the states of both halves of the call.
fn say(call: &Context, what: &str) {
    let states = call.states().map_or_else(|| "over".to_owned(), |states| states.to_string());
    println!("  server {what:<36} {states}");
}

impl Words for Demo {
    async fn measure(&self, request: Request<Word>) -> Result<Response<Count>, Status> {
        say(&request.context, &format!("gets {:?}, half-closed", request.message.text));
        Ok(Response::new(Count { letters: letters(&request.message) }))
    }

    async fn sum(
        &self,
        mut call: ClientStreamingServer<Word, Count, Prost>,
    ) -> Result<Response<Count>, Status> {
        let mut sum = 0;
        while let Some(word) = call.recv().await? {
            say(call.context(), &format!("gets {:?}", word.text));
            sum += letters(&word);
        }
        say(call.context(), "hears the half-close");
        let mut trailer = Metadata::new();
        trailer
            .append("words-note", "counted by hand")
            .map_err(|error| Status::internal(error.to_string()))?;
        call.context().add_trailers(&trailer);
        Ok(call.send_and_close(Count { letters: sum }))
    }

    async fn spell(
        &self,
        request: Request<Word>,
        mut call: ServerStreamingServer<Word, Prost>,
    ) -> Result<(), Status> {
        for letter in request.message.text.chars() {
            call.send(&word(&letter.to_string())).await?;
            say(call.context(), &format!("sends {letter:?}"));
        }
        Ok(())
    }

    /// Answers each word at once, and does not know the word `quit`.
    async fn shout(&self, mut call: BidiStreamingServer<Word, Word, Prost>) -> Result<(), Status> {
        while let Some(next) = call.recv().await? {
            say(call.context(), &format!("gets {:?}", next.text));
            if next.text == "quit" {
                return Err(Status::invalid_argument("quit is no word to shout"));
            }
            call.send(&word(&next.text.to_uppercase())).await?;
        }
        Ok(())
    }
}
