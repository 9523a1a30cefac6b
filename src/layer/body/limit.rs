//! How much of a body passes, and how fast.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::layer::{
    Abort,
    lease::{Lease, Nap},
};

/// Where a body ends before its time.
#[derive(Debug)]
pub(in crate::layer) struct Limit {
    pub(super) left: u64,
    breaks: bool,
    abort: Option<Abort>,
}

/// What a limit makes of a frame.
#[derive(Debug)]
pub(super) enum Cut {
    Pass(Frame<Bytes>),
    End,
    Break,
}

impl Limit {
    /// The connection breaks after so many bytes.
    pub(in crate::layer) const fn cuts(left: u64, abort: Option<Abort>) -> Limit {
        Limit { left, breaks: true, abort }
    }

    /// The body ends after so many bytes.
    pub(in crate::layer) const fn ends(left: u64) -> Limit {
        Limit { left, breaks: false, abort: None }
    }

    pub(in crate::layer) const fn breaks(&self) -> bool {
        self.breaks
    }

    /// What comes when nothing more may pass.
    pub(super) fn end(&self) -> Cut {
        if !self.breaks {
            return Cut::End;
        }
        self.abort.iter().for_each(Abort::abort);
        Cut::Break
    }

    /// Cuts a frame to what may still pass.
    pub(super) fn cut(&mut self, frame: Option<Frame<Bytes>>) -> Cut {
        match frame.map(Frame::into_data) {
            Some(Ok(mut data)) => {
                data.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= data.len() as u64;
                Cut::Pass(Frame::data(data))
            }
            Some(Err(trailers)) if !self.breaks => Cut::Pass(trailers),
            Some(Err(_)) | None => self.end(),
        }
    }

    pub(super) fn size_hint(&self, whole: SizeHint) -> SizeHint {
        if self.breaks {
            // Nothing may pass: without a promise the server has to poll, and finds the error.
            return if self.left == 0 { SizeHint::default() } else { whole };
        }
        let mut size = SizeHint::new();
        size.set_upper(whole.upper().map_or(self.left, |upper| upper.min(self.left)));
        size.set_lower(whole.lower().min(self.left));
        size
    }
}

/// A body passes in slices, with a pause after each.
#[derive(Debug)]
pub(in crate::layer) struct Pace {
    bytes_per_second: f64,
    nap: Option<Pin<Box<Nap>>>,
}

/// Slices a second, as far as a byte can be no smaller.
const SLICES: f64 = 20.0;

impl Pace {
    pub(in crate::layer) const fn new(bytes_per_second: f64) -> Pace {
        Pace { bytes_per_second, nap: None }
    }

    /// Ready when the next slice may pass.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(nap) = &mut self.nap {
            ready!(nap.as_mut().poll(cx));
            self.nap = None;
        }
        Poll::Ready(())
    }

    /// Cuts a slice off, and begins the time that it takes; what is left comes after it.
    pub(super) fn slice(&mut self, mut data: Bytes, lease: &Arc<Lease>) -> (Bytes, Option<Bytes>) {
        let most = (self.bytes_per_second / SLICES).max(1.0) as usize;
        let rest = (data.len() > most).then(|| data.split_off(most));
        let takes = Duration::try_from_secs_f64(data.len() as f64 / self.bytes_per_second);
        self.nap = Some(Box::pin(Nap::lasting(lease.clone(), takes.unwrap_or(Duration::MAX))));
        (data, rest)
    }
}
