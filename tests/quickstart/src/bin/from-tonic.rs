//! The code of docs/from-tonic.md.
mod proto {
    halfclose_tokio::include_protos!();
}
use std::time::Duration;

use halfclose_tokio::{BidiStreamingServer, Code, Config, Prost, Request, Response, Router, Server, Status};
use proto::hello::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest};

struct Polite;

impl Greeter for Polite {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let name = request.message.name;
        Ok(Response::new(HelloReply { text: format!("Hello, {name}!") }))
    }

    async fn greet_all(
        &self,
        mut call: BidiStreamingServer<HelloRequest, HelloReply, Prost>,
    ) -> Result<(), Status> {
        while let Some(HelloRequest { name }) = call.recv().await? {
            call.send(&HelloReply { text: format!("Hello, {name}!") }).await?;
        }
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::new().add_service(GreeterServer::new(Polite));
    let server = Server::bind("127.0.0.1:0", router).await?;
    let (address, shutdown) = (server.local_addr()?, server.shutdown_handle());
    let serving = tokio::spawn(server.serve());

    let client = GreeterClient::new(halfclose_tokio::connect(address, Config::client()).await?);
    let request = HelloRequest { name: "tonic".to_owned() };
    let reply = client.say_hello(request).timeout(Duration::from_secs(5)).metadata("x-mood", "good").await?;
    println!("{}", reply.message.text);

    let mut greetings = client.greet_all().await?;
    greetings.send(&HelloRequest { name: "world".to_owned() }).await?;
    let greeting = greetings.recv().await?;
    greetings.close_send()?;
    println!("{}", greeting.ok_or("no greeting")?.text);
    drop(greetings);

    match client.say_hello(HelloRequest::default()).timeout(Duration::ZERO).await {
        Err(error) if error.code() == Code::DeadlineExceeded => println!("too late: {error}"),
        other => println!("{other:?}"),
    }

    drop(client);
    shutdown.trigger();
    serving.await?;
    Ok(())
}
