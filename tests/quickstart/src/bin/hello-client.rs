//! A client.
mod proto {
    halfclose_tokio::include_protos!();
}
use std::time::Duration;

use halfclose_tokio::Config;
use proto::hello::{GreeterClient, HelloRequest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:50051".to_owned());
    let client = GreeterClient::new(halfclose_tokio::connect(address, Config::client()).await?);

    let request = HelloRequest { name: "half".to_owned() };
    let reply = client.say_hello(request).timeout(Duration::from_secs(5)).await?;
    println!("{}", reply.message.text);

    let mut greetings = client.greet_all().metadata("x-mood", "good").await?;
    for name in ["close", "world"] {
        greetings.send(&HelloRequest { name: name.to_owned() }).await?;
    }
    greetings.close_send()?;
    while let Some(greeting) = greetings.recv().await? {
        println!("{}", greeting.text);
    }
    Ok(())
}
