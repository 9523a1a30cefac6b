//! What one fault does to one request, and when in its life.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::{unit::Share, wire::Failure};

/// When in the life of a request a fault acts; faults of one phase act in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The request changes.
    Request,
    /// The request is delayed before the upstream is asked.
    Before,
    /// The upstream is not asked at all, or another one is.
    Refuse,
    /// The predictions of the response change.
    Prediction,
    /// The generated text of the response changes.
    Text,
    /// The pieces of a streamed response come at other times, or not all of them.
    Timing,
    /// The response is held back after the upstream answered.
    After,
    /// The connection, or what goes over it, breaks.
    Transport,
}

/// What the intensity of a fault (0 to 1, by its ramp or shape) scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scales {
    /// How often it acts.
    Rate,
    /// How much it does; it acts as often at any intensity above 0.
    Size,
}

/// What one fault does to one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Edit the request. Of a fault that [`needs`](super::Behaviour::needs) features its
    /// [`amend`](super::Behaviour::amend) is called with them, of another its
    /// [`amend_body`](super::Behaviour::amend_body) with the whole decoded body, on any route.
    Amend,
    /// Wait before the upstream is asked.
    DelayBefore(Duration),
    /// Wait with the response.
    DelayAfter(Duration),
    /// Wait with the response, so long for each of its predictions.
    DelayPerRow(Duration),
    /// Answer with an error.
    Respond {
        /// The error.
        failure: Failure,
        /// Ask the upstream first (it does the work, the caller gets the error).
        after_upstream: bool,
    },
    /// Answer in the upstream's place.
    Answer {
        /// The status.
        status: StatusCode,
        /// The headers.
        headers: HeaderMap,
        /// The body.
        body: Bytes,
    },
    /// Don't answer; hold no upstream connection.
    Hang {
        /// For how long, after which the upstream is asked; `None`: until the phase ends.
        lasts: Option<Duration>,
    },
    /// Don't answer, hold no upstream connection, and break the connection in the end.
    BlackHole {
        /// For how long; `None`: until the phase ends.
        lasts: Option<Duration>,
    },
    /// Break the connection before the upstream is asked.
    Refuse,
    /// Let only so many requests in at once.
    Enter {
        /// A permit for each; held until the response has passed.
        gate: Gate,
        /// How long a request waits for one.
        patience: Duration,
        /// What it gets then.
        otherwise: Failure,
    },
    /// Ask another upstream.
    Route {
        /// Its base URL.
        upstream: String,
    },
    /// Edit the predictions of the response (the fault's [`edit`](super::Behaviour::edit) is called with them).
    Edit,
    /// Edit the response as a stream (what the fault's [`stream`](super::Behaviour::stream) gives does it).
    Stream,
    /// Edit the head of the response (the fault's [`head`](super::Behaviour::head) is called with it).
    Head,
    /// Break the coded body of the response, so that it can't be decoded.
    CorruptCoding,
    /// Let the body of the response pass no faster.
    Throttle {
        /// Bytes per second.
        bytes_per_second: f64,
    },
    /// End the body of the response early.
    Truncate {
        /// How much still passes.
        after: Extent,
        /// Is the shorter body well framed? Otherwise its length is promised and not kept.
        clean: bool,
    },
    /// Break the connection, before the head or in the body.
    Reset {
        /// Bytes of the body that still pass; `None` breaks before the head.
        after_bytes: Option<u64>,
    },
}

/// How much of a body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Extent {
    /// So many bytes.
    Bytes(u64),
    /// A share of its bytes, rounded down, if their number is told beforehand.
    Share(Share),
}

impl Extent {
    /// In bytes, of a body of this length; `None` when it depends on a length that is not known.
    pub fn of(self, length: Option<u64>) -> Option<u64> {
        match self {
            Extent::Bytes(bytes) => Some(bytes),
            Extent::Share(share) => length.map(|length| (length as f64 * share.fraction()) as u64),
        }
    }
}

/// Lets only so many in at once. The clones are one gate.
#[derive(Debug, Clone)]
pub struct Gate(pub Arc<Semaphore>);

impl PartialEq for Gate {
    fn eq(&self, other: &Gate) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What a fault makes of the body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Amended {
    /// It stays as it is.
    Unchanged,
    /// It is another, and goes to the upstream.
    Body(Vec<u8>),
    /// The upstream never sees it; the caller gets this answer.
    Swallowed {
        /// The status.
        status: StatusCode,
        /// The headers.
        headers: HeaderMap,
        /// The body.
        body: Bytes,
    },
}
