//! The sidecar as callers, upstreams and operators see it: real sockets, on free ports.

mod breaking;
mod grpc;
mod passing;
mod support;
