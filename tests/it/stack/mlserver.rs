//! MLServer with the iris model as a scikit-learn object.

use std::net::SocketAddr;

use super::server::{Kind, Server};

pub(crate) struct MlServer(&'static Server);

impl MlServer {
    /// The server with one model, `iris`.
    pub(crate) async fn start() -> MlServer {
        MlServer(Kind::MlServer.get().await)
    }

    /// Where the Open Inference Protocol is served.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.http()
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.http())
    }

    /// Where its own `/metrics` are.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.0.metrics()
    }
}
