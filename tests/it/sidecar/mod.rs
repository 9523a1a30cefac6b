//! The sidecar as callers, upstreams and operators see it: real sockets, on free ports.

mod admin;
mod breaking;
mod drain;
mod events;
mod grpc;
mod ledger;
mod limits;
mod passing;
mod process;
mod shadow;
mod stop;
mod support;
mod tls;
