//! Recorders of evidence.

/// Records what callers saw under one armed plan.
#[derive(Debug)]
pub struct Recorder {}
