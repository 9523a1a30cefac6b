//! What the admin API keeps of those who follow its events.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::sidecar::view;

#[tokio::test]
async fn a_follower_that_goes_away_leaves_nothing_behind() {
    let mut config = Config::new("http://127.0.0.1:1".parse().unwrap());
    (config.admin, config.workers) = (None, Some(1));
    let sidecar = Sidecar::start(config.clone()).unwrap();
    let admin = Arc::new(Admin::new(&config, &sidecar, view(&config, None)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let end = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, admin.clone(), end.clone()));

    let follow = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut seen = Vec::new();
        while !seen.windows(6).any(|bytes| bytes == b"data: ") {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
        }
        stream
    };
    // Each connection has a share of the router, and so of `admin`; what counts is that it goes away.
    let first = follow().await;
    let with_one = Arc::strong_count(&admin);
    let others = futures_util::future::join_all((0..20).map(|_| follow())).await;
    assert!(Arc::strong_count(&admin) >= with_one + 20);
    drop(others);
    let gone = async {
        while Arc::strong_count(&admin) > with_one {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    drop(first);
    end.cancel();
    serving.await.unwrap().unwrap();
    assert_eq!(Arc::strong_count(&admin), 1);
}
