//! Samples that wait to be read, bounded in number and in bytes.
//!
//! The reader is not woken for every sample, because that would cost more than reading one: it wakes with the
//! first, and then lets others come for a while or until the queue is half full.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Sample;
use crate::exposure::Arm;

const SAMPLES: usize = 1024;
const BYTES: usize = 64 << 20;
/// How long a sample waits at most.
const READ_EVERY: Duration = Duration::from_millis(100);

/// Samples and where they count.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    samples: VecDeque<(usize, Arm, Sample)>,
    bytes: usize,
    closed: bool,
}

impl Waiting {
    fn is_half_full(&self) -> bool {
        self.samples.len() >= SAMPLES / 2 || self.bytes >= BYTES / 2
    }
}

impl Queue {
    /// Adds a sample; `false` when it does not fit.
    pub(super) fn push(&self, phase: usize, arm: Arm, sample: Sample) -> bool {
        let mut waiting = self.locked();
        let bytes = waiting.bytes + sample.kept();
        if waiting.samples.len() >= SAMPLES || bytes > BYTES {
            return false;
        }
        waiting.bytes = bytes;
        waiting.samples.push_back((phase, arm, sample));
        if waiting.samples.len() == 1 || waiting.is_half_full() {
            self.changed.notify_one();
        }
        true
    }

    /// Takes the oldest.
    pub(super) fn pop(&self) -> Option<(usize, Arm, Sample)> {
        let mut waiting = self.locked();
        let next = waiting.samples.pop_front()?;
        waiting.bytes -= next.2.kept();
        Some(next)
    }

    /// Waits for work, and a little longer for more of it; `false` when there will be none.
    pub(super) fn wait(&self) -> bool {
        let empty = |waiting: &mut Waiting| waiting.samples.is_empty() && !waiting.closed;
        let waiting = self.changed.wait_while(self.locked(), empty).unwrap_or_else(PoisonError::into_inner);
        let idle = |waiting: &mut Waiting| !waiting.is_half_full() && !waiting.closed;
        let waited = self.changed.wait_timeout_while(waiting, READ_EVERY, idle);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Lets the reader go.
    pub(super) fn close(&self) {
        self.locked().closed = true;
        self.changed.notify_all();
    }

    fn locked(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method, Uri};

    use super::*;

    #[test]
    fn bytes_count_as_well_as_samples() {
        let sample = || Sample {
            method: Method::POST,
            uri: Uri::default(),
            status: None,
            whole: true,
            latency: Duration::ZERO,
            arm: None,
            headers: HeaderMap::new(),
            body: Ok(vec![Bytes::from_static(&[0; 1 << 20]); 16]),
        };
        let queue = Queue::default();
        assert_eq!((0..9).filter(|_| queue.push(0, Arm::Control, sample())).count(), 4);
        assert!(queue.wait(), "there is work");
        while queue.pop().is_some() {}
        assert!(queue.push(0, Arm::Control, sample()));
        queue.close();
        assert!(!queue.wait());
    }
}
