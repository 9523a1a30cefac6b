//! A server that answers what a test wants, byte by byte.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Requests seen, head and body.
pub(super) type Seen = Arc<Mutex<Vec<String>>>;

/// Serves `answer(request)` on a port of the system's choice until the test ends; the connection closes after
/// each.
pub(super) async fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (String, Seen) {
    start(answer, true).await
}

/// Serves the beginning of an answer and then waits.
pub(super) async fn stall_after(begun: &'static str) -> String {
    start(|_| begun.into(), false).await.0
}

async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static, closes: bool) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (seen, answer) = (Seen::default(), Arc::new(answer));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            tokio::spawn(async move {
                let request = read(&mut stream).await;
                let bytes = answer(&request);
                log.lock().unwrap().push(request);
                let _ = stream.write_all(&bytes).await;
                if !closes {
                    std::future::pending::<()>().await;
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    (base, seen)
}

async fn read(stream: &mut TcpStream) -> String {
    let (mut request, mut chunk) = (String::new(), [0; 4096]);
    while !is_whole(&request) {
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => request.push_str(&String::from_utf8_lossy(&chunk[..n])),
            _ => break,
        }
    }
    request
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.is_none_or(|length| body.len() >= length.trim().parse::<usize>().unwrap())
}

/// A whole answer, dated now by this machine's clock.
pub(super) fn answer(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let now = jiff::Timestamp::from_second(crate::clock::now().unix_s() as i64).unwrap();
    let headers = [
        format!("HTTP/1.1 {status}"),
        format!("content-type: {content_type}"),
        format!("date: {}", now.strftime("%a, %d %b %Y %H:%M:%S GMT")),
        format!("content-length: {}", body.len()),
        "connection: close\r\n\r\n".to_owned(),
    ];
    [headers.join("\r\n").as_bytes(), body.as_bytes()].concat()
}

/// An answer of 200 with JSON.
pub(super) fn json(body: &str) -> Vec<u8> {
    answer("200 OK", "application/json", body)
}
