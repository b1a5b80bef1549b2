//! The two programs as they are started from a shell.

mod common;

use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

use common::{RUNTIMES, Server, client, load, server};
use halfclose_interop::messages::{Empty, ResponseParameters, StreamingOutputCallRequest};
use halfclose_interop::methods::{EMPTY_CALL, FULL_DUPLEX_CALL};
use halfclose_tokio::{CallOptions, Code, Config};

const CORE: &str = "empty_unary,large_unary,client_compressed_unary,server_compressed_unary,client_streaming,\
                    client_compressed_streaming,server_streaming,server_compressed_streaming,ping_pong,empty_stream,\
                    custom_metadata,status_code_and_message,special_status_message,unimplemented_method,\
                    unimplemented_service,cancel_after_begin,cancel_after_first_response,\
                    timeout_on_sleeping_server,rpc_soak,channel_soak";

#[test]
fn every_case_holds_between_our_own_programs_on_every_pair_of_runtimes() {
    for serving in RUNTIMES {
        let mut running = Server::start(serving);
        for calling in RUNTIMES {
            let port = running.port.to_string();
            let cases = format!("--test_case={CORE}");
            let arguments = ["--server_host=127.0.0.1", "--server_port", &port, &cases, "--runtime", calling];
            let done = client(&arguments);
            let said = String::from_utf8_lossy(&done.stdout);
            assert!(
                done.status.success(),
                "{calling} to {serving}: {said}{}",
                lines(&done.stderr).join("\n")
            );
            let passed = said.lines().filter(|line| line.starts_with("PASS ")).count();
            assert_eq!(passed, 20, "{said}");
        }
        running.terminate();
        assert!(running.wait().success());
    }
}

#[test]
fn every_load_holds_between_our_own_programs_on_every_pair_of_runtimes() {
    const LOADS: &str = "uploads:4x1000000,downloads:4x1000000,bidi:4x100000x1,turns:4x100000x1,four_types:8x48,\
                         trailers_only:2,spaces:2,metadata:7500,deadlines:20x60,cancels:20x200,reload:4x1,\
                         refused:4x4194295,ended_early:4x40,dropped_early:4x40";
    for serving in RUNTIMES {
        let running = Server::start(serving);
        for calling in RUNTIMES {
            let port = running.port.to_string();
            let loads = format!("--load={LOADS}");
            let arguments = ["--server_host=127.0.0.1", "--server_port", &port, &loads, "--runtime", calling];
            let done = load(&arguments);
            let said = lines(&done.stdout).join("\n");
            assert!(done.status.success(), "{calling} to {serving}: {said}");
            let passed = said.lines().filter(|line| line.starts_with("PASS ")).count();
            assert_eq!(passed, 14, "{said}");
        }
    }
}

#[test]
fn a_load_that_meets_nothing_of_what_it_is_for_is_a_failure() {
    let running = Server::start("tokio");
    let port = running.port.to_string();
    let done = load(&["--server_host=127.0.0.1", "--server_port", &port, "--load=restart:4x1"]);
    assert_eq!(done.status.code(), Some(1));
    let said = lines(&done.stdout);
    assert_eq!(said.last().unwrap(), "FAIL restart:4x1: nothing was cut: was there an outage?");
}

#[tokio::test]
async fn sigterm_lets_an_open_call_go_on_to_its_end_and_takes_no_more() {
    for runtime in RUNTIMES {
        let mut running = Server::start(runtime);
        let address = ("127.0.0.1", running.port);
        let channel = halfclose_tokio::connect(address, Config::client()).await.unwrap();
        let options = CallOptions::new().timeout(Duration::from_secs(20));
        let mut call = channel.bidi_streaming(&FULL_DUPLEX_CALL, options.clone()).unwrap();
        let parameters = ResponseParameters { size: 3, ..ResponseParameters::default() };
        let request =
            StreamingOutputCallRequest { response_parameters: vec![parameters], ..Default::default() };
        call.send(&request).await.unwrap();
        call.recv().await.unwrap().expect("a response before the signal");

        running.terminate();
        // GOAWAY shows that the signal has arrived.
        while channel.is_open() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        call.send(&request).await.unwrap();
        call.recv().await.unwrap().expect("a response after the signal");
        let late = channel.unary(&EMPTY_CALL, &Empty {}, options).await.unwrap_err();
        assert_eq!((late.code(), late.not_processed()), (Code::Unavailable, true));
        call.close_send().unwrap();
        assert!(call.recv().await.unwrap().is_none(), "status OK");
        assert!(running.wait().success());
    }
}

#[test]
fn a_bad_command_line_is_one_line_and_a_failure() {
    for arguments in [
        &["--server_port=1", "--test_case=no_such_case"][..],
        &["--server_port=1", "--runtime=none"],
        &["--server_port=port"],
        &["--server_port=1", "--use_tls=perhaps"],
        &["--no_such_flag"],
        &[],
    ] {
        refused(&client(arguments), 2);
    }
    for arguments in [&["--port=70000"][..], &["--runtime", "none"], &["--use_tls"], &["extra"]] {
        refused(&server(arguments), 2);
    }
    for arguments in
        [&["--server_port=1"][..], &["--server_port=1", "--load=uploads:1"], &["--load=uploads:1x1"]]
    {
        refused(&load(arguments), 2);
    }
}

#[test]
fn a_server_that_cannot_be_reached_and_a_port_that_is_taken_are_one_line_and_a_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for runtime in RUNTIMES {
        refused(&server(&["--port", &port.to_string(), "--runtime", runtime]), 1);
    }
    drop(taken);
    for runtime in RUNTIMES {
        let nobody = ["--server_host", "127.0.0.1", "--server_port", &port.to_string(), "--runtime", runtime];
        let said = refused(&client(&nobody), 1);
        assert!(said.contains("no connection to 127.0.0.1:"), "{said}");
    }
}

fn refused(done: &Output, code: i32) -> String {
    let said = lines(&done.stderr);
    assert_eq!((done.status.code(), said.len()), (Some(code), 1), "{said:?}");
    assert!(done.stdout.is_empty());
    said.concat()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}
