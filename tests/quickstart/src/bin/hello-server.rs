//! A server.
mod proto {
    halfclose_tokio::include_protos!();
}
use halfclose_tokio::{BidiStreamingServer, Prost, Request, Response, Server, Status};
use proto::hello::{Greeter, GreeterServer, HelloReply, HelloRequest};

struct Polite;

impl Greeter for Polite {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let name = request.message.name;
        if name.is_empty() {
            return Err(Status::invalid_argument("say who you are"));
        }
        Ok(Response::new(HelloReply { text: format!("Hello, {name}!") }))
    }

    async fn greet_all(
        &self,
        mut call: BidiStreamingServer<HelloRequest, HelloReply, Prost>,
    ) -> Result<(), Status> {
        // `None` is the client's half-close; what the handler returns is the status.
        while let Some(HelloRequest { name }) = call.recv().await? {
            call.send(&HelloReply { text: format!("Hello, {name}!") }).await?;
        }
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:50051".to_owned());
    let server = Server::bind(address, GreeterServer::new(Polite).into_router()).await?;
    println!("listening on {}", server.local_addr()?);
    server.serve().await;
    Ok(())
}
