//! Plain TCP on tokio that answers as many bytes as a small unary call does: the lower bound for the servers.
#![forbid(unsafe_code)]

use std::io::Result;

use clap::Parser;
use halfclose_bench::floor;
use tokio::net::TcpListener;

/// Answers as many bytes as a small unary call does; prints `LISTENING <port>` when it is ready.
#[derive(Parser)]
struct Options {
    /// The port; 0 picks one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", Options::parse().port)).await?;
    println!("LISTENING {}", listener.local_addr()?.port());
    loop {
        tokio::spawn(floor::serve(listener.accept().await?.0));
    }
}
