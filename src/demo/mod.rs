//! The embedded demo models: a real classifier behind the Open Inference Protocol, and small stand-ins for the
//! other kinds of model (credit decisions, house prices, chat, embeddings, reranking, feedback).
//!
//! The classifier: multinomial logistic regression on Fisher's iris data, fitted by `scripts/fit_demo_model.py`. It gives a
//! game day something true to distort on a machine with nothing installed: labels that are right for 93 % of
//! the flowers it has never seen, and calibrated probabilities, not a constant.

mod model;
mod server;
mod tables;
mod text;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use model::{Classifier, FEATURES, Prediction};

/// Name of the model in its URLs.
pub const MODEL: &str = "iris";

/// A running demo model; dropping it stops it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let demo = canard::demo::Demo::start().await?;
/// assert!(demo.addr().ip().is_loopback());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Demo {
    addr: SocketAddr,
    _stop: DropGuard,
}

impl Demo {
    /// Serves the model on a free port of the loopback interface, in tasks of the current runtime.
    pub async fn start() -> io::Result<Demo> {
        Demo::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?)
    }

    /// Serves the model on a listener, in tasks of the current runtime.
    pub fn serve(listener: TcpListener) -> io::Result<Demo> {
        let addr = listener.local_addr()?;
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(listener, stop.clone()));
        Ok(Demo { addr, _stop: stop.drop_guard() })
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

#[cfg(test)]
mod tests;
