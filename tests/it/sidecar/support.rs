//! Upstreams that do exactly what a test says, and callers that see every byte.

use std::{future::Future, net::SocketAddr};

use axum::Router;
use canard::sidecar::{Config, Sidecar};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Configuration of a sidecar in front of `upstream`, with one worker.
pub(super) fn config(upstream: SocketAddr) -> Config {
    let mut config = Config::new(format!("http://{upstream}").parse().unwrap());
    config.workers = Some(1);
    config
}

pub(super) fn start(upstream: SocketAddr) -> Sidecar {
    Sidecar::start(config(upstream)).unwrap()
}

/// An upstream that serves an axum router over HTTP/1.1 and HTTP/2.
pub(super) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// An upstream whose every connection runs `script`.
pub(super) async fn scripted<F, S>(script: S) -> SocketAddr
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(stream));
        }
    });
    address
}

/// Reads until the end of a head.
pub(super) async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Sends bytes and reads to the end of the connection.
pub(super) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    String::from_utf8(response).unwrap()
}

/// The body of a raw response, or all of it.
pub(super) fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or(response, |(_, body)| body)
}
