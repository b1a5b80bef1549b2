//! The first program to run: a server on tokio in one thread, a client on smol in another, a real socket between them,
//! and one call of each of the four types. Every line that begins with `client` or `server` was printed by that side;
//! the states are those of docs/machines.md.
#![forbid(unsafe_code)]

mod client;
mod messages;
mod server;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use halfclose_tokio::Shutdown;

fn main() -> Result<(), Box<dyn Error>> {
    let (ready, started) = mpsc::channel();
    let server = thread::spawn(move || serve(&ready).map_err(|error| error.to_string()));
    let (address, shutdown) = match started.recv() {
        Ok(started) => started,
        // The server ended before it listened; its thread has the reason.
        Err(_) => return Err(join(server).err().unwrap_or_else(|| "the server did not start".into())),
    };
    println!("server listens on {address}, on tokio");

    let result = smol::block_on(client::run(address));
    shutdown.trigger();
    join(server)?;
    result?;
    println!("\nboth sides are done");
    Ok(())
}

/// Runs the server until its shutdown is triggered, and sends its address.
fn serve(ready: &mpsc::Sender<(SocketAddr, Shutdown)>) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = halfclose_tokio::Server::bind("127.0.0.1:0", server::router()).await?;
        ready.send((server.local_addr()?, server.shutdown_handle()))?;
        server.serve().await;
        Ok(())
    })
}

fn join(server: thread::JoinHandle<Result<(), String>>) -> Result<(), Box<dyn Error>> {
    match server.join() {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err("the server panicked".into()),
    }
}
