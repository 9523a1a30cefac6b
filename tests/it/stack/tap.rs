//! A wire tap: passes bytes between a client and a server and keeps them, so that a test can compare what one
//! side sent with what the other got.
//!
//! It knows nothing of HTTP while it passes bytes, so it can't correct what it should witness; a reset arrives as
//! a reset.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::message::{Exchange, exchanges, requests};

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
    patient: bool,
    wires: Arc<Mutex<Vec<Wire>>>,
    changed: watch::Sender<()>,
}

impl Tap {
    /// Listens in front of a server, for as long as the test's runtime lives. When a client hangs up, so does it.
    pub(crate) async fn before(server: SocketAddr) -> Tap {
        Tap::listen(server, false).await
    }

    /// One that still reads the rest of an answer when its client has hung up, as clients of event streams do
    /// at `[DONE]`.
    pub(crate) async fn patient(server: SocketAddr) -> Tap {
        Tap::listen(server, true).await
    }

    async fn listen(server: SocketAddr, patient: bool) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let tap = Tap { addr, patient, wires: Arc::default(), changed: watch::Sender::new(()) };
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

    /// How many requests there were since the last look; what is still on its way stays out of sight.
    pub(crate) fn requests(&self) -> usize {
        let mut wires = self.wires.lock().unwrap();
        let count = wires.iter().map(requests).sum();
        for wire in wires.iter_mut() {
            wire.to_server.clear();
            wire.to_client.clear();
        }
        count
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

    async fn carry(self, wire: usize, mut client: TcpStream, server: SocketAddr) {
        let Ok(mut server) = TcpStream::connect(server).await else {
            self.note(wire, |wire| wire.ended = true);
            return;
        };
        let (mut asked, mut told) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        let mut listens = true;
        while listens || self.waits(wire) {
            tokio::select! {
                read = client.read(&mut asked), if listens => match read {
                    Ok(length @ 1..) => {
                        self.note(wire, |wire| wire.to_server.extend_from_slice(&asked[..length]));
                        listens = server.write_all(&asked[..length]).await.is_ok();
                    }
                    Ok(0) | Err(_) => listens = false,
                },
                read = server.read(&mut told) => {
                    let length = read.as_ref().copied().unwrap_or_default();
                    self.note(wire, |wire| {
                        wire.to_client.extend_from_slice(&told[..length]);
                        wire.ended = length == 0;
                    });
                    match read {
                        // A reset arrives as a reset: closed without lingering.
                        Err(_) => return drop(client.set_zero_linger()),
                        Ok(0) => return,
                        Ok(_) if listens => listens = client.write_all(&told[..length]).await.is_ok(),
                        Ok(_) => {}
                    }
                }
            }
        }
        self.note(wire, |wire| wire.ended = true);
    }

    /// Whether an answer is to be read to its end although the client has left.
    fn waits(&self, wire: usize) -> bool {
        self.patient && exchanges(&self.wires.lock().unwrap()[wire]).is_none()
    }
}
