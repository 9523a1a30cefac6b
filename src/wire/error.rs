//! Why a body could not be read or written.

use super::ScanError;

/// Why the predictions of a body could not be read or written. Such a body passes untouched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes are not what the protocol says.
    #[error("the body is not what the protocol says: {0}")]
    Malformed(String),
    /// The body holds no prediction (an error body, another route's answer).
    #[error("the body holds no prediction")]
    NoPrediction,
    /// The protocol allows this form, and canard does not read it.
    #[error("this form is not read: {0}")]
    Unsupported(&'static str),
    /// The body is coded in a way canard does not read.
    #[error("content-encoding `{0}` is not read")]
    Encoding(String),
    /// The body is larger than the limit, as sent or once decompressed.
    #[error("the body is over the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A changed value can't be written where the original stood.
    #[error("{0}")]
    Unwritable(String),
}

impl WireError {
    /// A short, stable name for counters and reports.
    pub const fn reason(&self) -> &'static str {
        match self {
            WireError::Malformed(_) => "malformed-body",
            WireError::NoPrediction => "no-prediction",
            WireError::Unsupported(_) => "unsupported-form",
            WireError::Encoding(_) => "content-encoding",
            WireError::TooLarge { .. } => "body-too-large",
            WireError::Unwritable(_) => "unwritable",
        }
    }
}

impl From<ScanError> for WireError {
    fn from(error: ScanError) -> WireError {
        WireError::Malformed(error.to_string())
    }
}
