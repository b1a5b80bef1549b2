//! A server that runs out of file descriptors cannot accept (CVE-2023-4785, CVE-2024-47609): it goes on serving who is
//! there, and accepts again when it can.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use halfclose_driver::CallOptions;
use halfclose_driver::halfclose::Config;
use halfclose_e2e::{Runtime, Smol, Tokio, within};
use halfclose_security::socket::SAY;

/// How many descriptors the server may have: the runtime's own and a few connections.
const DESCRIPTORS: &str = "24";

fn survives<S: Runtime, C: Runtime>() {
    let shell = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" --serve {}", S::NAME);
    let mut command = Command::new("sh");
    command.args(["-c", &shell, env!("CARGO_BIN_EXE_report")]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = command.spawn().expect("a shell");
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut line).expect("an address");
    let address: SocketAddr = line.trim().parse().expect("an address");

    let message = Bytes::from_static(b"ping");
    C::block_on(within::<C, _>(Duration::from_secs(30), async {
        let early = C::connect(address, Config::client()).await.expect("there is room");
        early.unary(&SAY, &message, CallOptions::new()).await.expect("served");
        // The kernel accepts them; the server cannot take all of them.
        let crowd: Vec<TcpStream> =
            (0..40).map(|_| TcpStream::connect(address).expect("a backlog")).collect();
        let late = C::connect(address, Config::client()).await.expect("a backlog");
        let timeout = CallOptions::new().timeout(Duration::from_millis(200));
        let refused = late.unary(&SAY, &message, timeout).await;
        assert!(refused.is_err(), "{}: there was room for everybody", S::NAME);
        // Who is there is served, and who comes when there is room again too.
        early.unary(&SAY, &message, CallOptions::new()).await.expect("served");
        drop(crowd);
        late.unary(&SAY, &message, CallOptions::new()).await.expect("served after all");
    }));

    drop(server.stdin.take());
    assert!(server.wait().expect("it ends").success());
}

#[test]
fn a_tokio_server_without_descriptors() {
    survives::<Tokio, Smol>();
}

#[test]
fn a_smol_server_without_descriptors() {
    survives::<Smol, Tokio>();
}
