//! A copy of a response body, for reading predictions after the caller has them.

/// A sampled exchange.
#[derive(Debug)]
pub struct Sample {}

/// A body that keeps a bounded copy of what passes.
#[derive(Debug)]
pub struct SampledBody {}
