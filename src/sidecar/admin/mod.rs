//! The admin API: arm, renew, disarm, read. On a thread of its own, so that busy workers don't delay a
//! disarm.

mod guard;
mod metrics;
mod routes;

use std::{
    future::IntoFuture as _,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post, put},
};
use tokio_util::sync::CancellationToken;

use super::{
    Sidecar,
    config::{Config, Token},
    crew::Crew,
    payload::PayloadLog,
    worker::Ending,
};
use crate::{
    layer::{Rack, view::View},
    scenario::StageDocument,
};

/// The OpenAPI document that `/openapi.json` serves.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// Time for answers in flight once the workers are gone.
const GOODBYE: Duration = Duration::from_secs(1);

/// What the admin API works on.
#[derive(Debug)]
pub(super) struct Admin {
    rack: Rack,
    view: View,
    payloads: Option<Arc<PayloadLog>>,
    ending: Ending,
    crew: Crew,
    token: Option<Token>,
    loopback: bool,
    arm_label: bool,
    stage: Option<Arc<ArcSwap<StageDocument>>>,
    /// Held from asking what the stage permits beside what is armed until it is armed.
    arming: Mutex<()>,
    upstream: String,
    listen: SocketAddr,
    body_limit: usize,
}

impl Admin {
    pub(super) fn new(config: &Config, sidecar: &Sidecar, view: View) -> Admin {
        Admin {
            rack: sidecar.rack.clone(),
            view,
            payloads: sidecar.payloads.clone(),
            ending: sidecar.ending.clone(),
            crew: sidecar.crew.clone(),
            token: config.admin_token.clone(),
            loopback: sidecar.admin.is_some_and(|address| address.ip().is_loopback()),
            arm_label: config.arm_label,
            stage: config.stage.clone(),
            arming: Mutex::default(),
            upstream: config.upstream.to_string(),
            listen: sidecar.listen,
            body_limit: config.limits.admin_body,
        }
    }
}

/// Every path and its methods; `docs/openapi.json` has the same.
fn router(admin: Arc<Admin>) -> Router {
    let v1 = Router::new()
        .route("/v1/status", get(routes::status))
        .route("/v1/events", get(routes::events))
        .route("/v1/leases", post(routes::arm))
        .route("/v1/leases/{id}", put(routes::renew).delete(routes::disarm))
        .route("/v1/leases/{id}/evidence", get(routes::lease_evidence))
        .route("/v1/stop", post(routes::stop))
        .route("/v1/evidence", get(routes::evidence))
        .route("/v1/ledger", get(routes::ledger))
        .route_layer(middleware::from_fn_with_state(admin.clone(), guard::token));
    Router::new()
        .merge(v1)
        .route("/healthz", get(routes::healthy))
        .route("/readyz", get(routes::ready))
        .route("/metrics", get(routes::metrics))
        .route("/openapi.json", get(routes::openapi))
        .fallback(routes::unknown)
        .method_not_allowed_fallback(routes::wrong_method)
        .layer(DefaultBodyLimit::max(admin.body_limit))
        .layer(middleware::from_fn_with_state(admin.clone(), guard::origin))
        .with_state(admin)
}

/// Serves until `end`.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    admin: Arc<Admin>,
    end: CancellationToken,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let told = end.clone();
    let serving = axum::serve(listener, router(admin)).with_graceful_shutdown(told.cancelled_owned());
    let late = async {
        end.cancelled().await;
        tokio::time::sleep(GOODBYE).await;
    };
    tokio::select! {
        ended = serving.into_future() => ended,
        () = late => Ok(()),
    }
}

#[cfg(test)]
mod tests;
