//! A wire tap: passes bytes between a client and a server and keeps them, so that a test can compare what one
//! side sent with what the other got.
//!
//! It knows nothing of HTTP while it passes bytes, so it can't correct what it should witness. A client that
//! hangs up early (as those of event streams do at `[DONE]`) does not end the other side: the rest is still
//! read and kept.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    time::timeout,
};

use super::message::{Exchange, exchanges};

const SETTLE: Duration = Duration::from_secs(20);

/// Both directions of one connection since the last look.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) to_server: Vec<u8>,
    pub(super) to_client: Vec<u8>,
    /// The server has ended the connection, or broken it.
    pub(super) ended: bool,
}

#[derive(Clone)]
pub(crate) struct Tap {
    addr: SocketAddr,
    wires: Arc<Mutex<Vec<Wire>>>,
    changed: watch::Sender<()>,
}

impl Tap {
    /// Listens in front of a server, for as long as the test's runtime lives.
    pub(crate) async fn before(server: SocketAddr) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let tap = Tap { addr, wires: Arc::default(), changed: watch::Sender::new(()) };
        let listening = tap.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let wire = {
                    let mut wires = listening.wires.lock().unwrap();
                    wires.push(Wire::default());
                    wires.len() - 1
                };
                tokio::spawn(listening.clone().carry(wire, client, server));
            }
        });
        tap
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The exchanges since the last look, once every request has its whole answer or a broken connection.
    pub(crate) async fn exchanges(&self) -> Vec<Exchange> {
        let mut changes = self.changed.subscribe();
        let settled = async {
            loop {
                if let Some(found) = self.look() {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        let found = timeout(SETTLE, settled).await;
        found.unwrap_or_else(|_| {
            panic!("{} requests stay without an answer", self.wires.lock().unwrap().len())
        })
    }

    fn look(&self) -> Option<Vec<Exchange>> {
        let mut wires = self.wires.lock().unwrap();
        let found: Option<Vec<_>> = wires.iter().map(exchanges).collect();
        let found = found?;
        for wire in wires.iter_mut() {
            wire.to_server.clear();
            wire.to_client.clear();
        }
        Some(found.into_iter().flatten().collect())
    }

    fn note(&self, wire: usize, change: impl FnOnce(&mut Wire)) {
        change(&mut self.wires.lock().unwrap()[wire]);
        self.changed.send_replace(());
    }

    async fn carry(self, wire: usize, client: TcpStream, server: SocketAddr) {
        let Ok(server) = TcpStream::connect(server).await else {
            self.note(wire, |wire| wire.ended = true);
            return;
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::join!(self.requests(wire, from_client, to_server), self.answers(wire, from_server, to_client));
    }

    async fn requests(&self, wire: usize, mut client: OwnedReadHalf, mut server: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = client.read(&mut buffer).await {
            self.note(wire, |wire| wire.to_server.extend_from_slice(&buffer[..length]));
            if server.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
        // Until the answer is whole: only then does the server learn that the client has left.
        let mut changes = self.changed.subscribe();
        while exchanges(&self.wires.lock().unwrap()[wire]).is_none() {
            if changes.changed().await.is_err() {
                return;
            }
        }
        let _ = server.shutdown().await;
    }

    async fn answers(&self, wire: usize, mut server: OwnedReadHalf, mut client: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 << 10];
        let mut hears = true;
        let broken = loop {
            match server.read(&mut buffer).await {
                Ok(0) => break false,
                Err(_) => break true,
                Ok(length) => {
                    self.note(wire, |wire| wire.to_client.extend_from_slice(&buffer[..length]));
                    hears = hears && client.write_all(&buffer[..length]).await.is_ok();
                }
            }
        };
        self.note(wire, |wire| wire.ended = true);
        match broken {
            // A reset arrives as a reset.
            true => drop(client.as_ref().set_zero_linger()),
            false => drop(client.shutdown().await),
        }
    }
}
