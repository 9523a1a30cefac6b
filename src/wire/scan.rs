//! A lenient JSON scanner that keeps where every value stands.

use std::ops::Range;

/// A JSON value and the bytes that it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// From its first to past its last byte.
    pub span: Range<usize>,
}

/// Why bytes are no JSON, even leniently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {message}")]
pub struct ScanError {
    /// Offset of the first wrong byte.
    pub at: usize,
    /// What was expected.
    pub message: &'static str,
}

/// Scans one JSON document.
pub fn scan(_body: &[u8]) -> Result<Node, ScanError> {
    Err(ScanError { at: 0, message: "stub" })
}
