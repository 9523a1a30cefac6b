//! `canard sidecar` as an operator starts, signals and misconfigures it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

fn canard(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canard"));
    command.arg("sidecar").args(args).env("NO_COLOR", "1").env_remove("CANARD_TOKEN").env_remove("RUST_LOG");
    command
}

/// Starts one that can't, and gives what it said.
fn refused(args: &[&str]) -> String {
    let output = canard(args).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    // Long lines are wrapped at the terminal's width.
    text.split_whitespace().filter(|word| *word != "│" && *word != "|").collect::<Vec<_>>().join(" ")
}

/// A running sidecar; killed if the test fails.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    listen: SocketAddr,
    admin: SocketAddr,
}

impl Running {
    fn start(upstream: SocketAddr, more: &[&str]) -> Running {
        let upstream = format!("http://{upstream}");
        let args = ["--upstream", &upstream, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut child = canard(&[&args, more].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let nowhere = ([127, 0, 0, 1], 0).into();
        let mut running = Running { child, lines, listen: nowhere, admin: nowhere };
        let callers = running.line();
        assert!(callers.ends_with(&format!("-> {upstream}")), "{callers}");
        running.listen = address(&callers);
        running.admin = address(&running.line());
        let arm = running.line();
        assert!(arm.contains(&format!("--sidecar http://{}", running.admin)), "{arm}");
        running
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn exit(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line such as `admin     http://127.0.0.1:9900 (…)`.
fn address(line: &str) -> SocketAddr {
    let address = line.split_once("http://").unwrap().1.split(' ').next().unwrap();
    address.parse().unwrap_or_else(|_| panic!("{line}"))
}

fn get(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// An upstream that takes one request; the answer is up to the test.
fn asked(upstream: &TcpListener) -> TcpStream {
    let (mut stream, _) = upstream.accept().unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    stream
}

fn upstream() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn it_says_where_it_is_and_sigterm_drains_it() {
    let (upstream, address) = upstream();
    let mut sidecar = Running::start(address, &[]);
    assert!(rest(get(sidecar.admin, "/readyz")).ends_with("ready\n"));
    let caller = get(sidecar.listen, "/");
    let mut answer = asked(&upstream);
    sidecar.signal(Signal::TERM);
    assert!(sidecar.line().starts_with("draining"));
    assert!(rest(get(sidecar.admin, "/readyz")).contains("503"));
    answer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole").unwrap();
    assert!(rest(caller).ends_with("whole"));
    assert_eq!((sidecar.line().as_str(), sidecar.exit()), ("drained", Some(0)));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (upstream, address) = upstream();
    let mut sidecar = Running::start(address, &[]);
    let mut caller = get(sidecar.listen, "/");
    let _never_answered = asked(&upstream);
    sidecar.signal(Signal::INT);
    assert!(sidecar.line().starts_with("draining"));
    sidecar.signal(Signal::INT);
    assert!(sidecar.line().starts_with("ended"));
    assert_eq!(sidecar.exit(), Some(130));
    let mut nothing = Vec::new();
    let _ = caller.read_to_end(&mut nothing);
    assert!(nothing.is_empty());
}

#[test]
fn a_port_in_use_is_named() {
    let (_taken, address) = upstream();
    let address = address.to_string();
    for flags in
        [["--listen", &address, "--admin", "127.0.0.1:0"], ["--listen", "127.0.0.1:0", "--admin", &address]]
    {
        let text = refused(&[&["--upstream", "http://127.0.0.1:1"][..], &flags].concat());
        assert!(text.contains(&address) && text.contains("choose another port"), "{text}");
    }
}

#[test]
fn an_admin_api_that_others_can_reach_needs_a_token() {
    let flags = ["--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"];
    let text = refused(&flags);
    assert!(text.contains("0.0.0.0:0") && text.contains("CANARD_TOKEN"), "{text}");
}

#[test]
fn the_view_reads_any_json_api_that_it_is_shown() {
    let (upstream, address) = upstream();
    let paths = ["--label-path", "$.results[*].label", "--scores-path", "$.results[*].scores"];
    let sidecar = Running::start(address, &[&["--protocol", "json"][..], &paths].concat());
    let mut caller = TcpStream::connect(sidecar.listen).unwrap();
    let question = "POST /classify HTTP/1.1\r\nHost: m\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    caller.write_all(question.as_bytes()).unwrap();
    let results =
        r#"{"results": [{"label": "ham", "scores": [0.9, 0.1]}, {"label": "spam", "scores": [0.2, 0.8]}]}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{results}", results.len());
    asked(&upstream).write_all(answer.as_bytes()).unwrap();
    assert!(rest(caller).ends_with(results));
    // Read after the caller has its answer.
    loop {
        let page = rest(get(sidecar.admin, "/metrics"));
        let count = |label| {
            page.contains(&format!(
                "model_predictions_total{{model=\"\",label=\"{label}\",canard_arm=\"control\"}} 1\n"
            ))
        };
        if count("ham")
            && count("spam")
            && page.contains("model_prediction_score_count{model=\"\",canard_arm=\"control\"} 2\n")
        {
            break;
        }
        assert!(!page.contains("canard_view_unread_total{"), "{page}");
    }
}

#[test]
fn paths_and_protocol_json_go_together() {
    let refused = |flags: &[&str]| refused(&[&["--upstream", "http://127.0.0.1:1"], flags].concat());
    let text = refused(&["--protocol", "json"]);
    assert!(text.contains("does not say where") && text.contains("--label-path"), "{text}");
    for path in ["--label-path", "--scores-path"] {
        let text = refused(&[path, "$.results[*].x"]);
        assert!(text.contains("--protocol auto") && text.contains("--protocol json"), "{text}");
    }
    let text = refused(&["--protocol", "json", "--label-path", "$..label"]);
    assert!(text.contains("descendants (`..`) are not supported"), "{text}");
}

#[test]
fn a_bad_file_of_authorities_is_named() {
    let text = refused(&["--upstream", "https://127.0.0.1:1", "--upstream-ca", "/dev/null"]);
    assert!(text.contains("/dev/null") && text.contains("no PEM certificate"), "{text}");
}
