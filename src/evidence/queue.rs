//! Samples that wait to be read, bounded in number and in bytes.
//!
//! The reader is not woken for every sample, because that would cost more than reading one: it wakes with the
//! first, and then lets others come for a while or until the queue is half full. Samples are numbered, so that
//! a snapshot can wait for those that were there when it began, and for no more.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Cohort, Observer, Sample};

const SAMPLES: usize = 1024;
const BYTES: usize = 64 << 20;
/// How long a sample waits at most.
const READ_EVERY: Duration = Duration::from_millis(100);

/// Who sees the predictions of a sample.
type Seen = Option<Arc<dyn Observer>>;

/// Samples and where they count.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    samples: VecDeque<(Cohort, Sample, Seen)>,
    bytes: usize,
    closed: bool,
    /// Samples taken so far, which is the number of the next one.
    taken: u64,
    /// Numbers of those that are being read.
    in_hand: Vec<u64>,
}

/// A sample that is being read; dropped, it counts as read.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    pub(super) cohort: Cohort,
    pub(super) sample: Sample,
    pub(super) seen: Seen,
    number: u64,
    queue: &'a Queue,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.queue.locked().in_hand.retain(|number| *number != self.number);
        self.queue.settled.notify_all();
    }
}

impl Waiting {
    fn is_half_full(&self) -> bool {
        self.samples.len() >= SAMPLES / 2 || self.bytes >= BYTES / 2
    }
}

impl Queue {
    /// Adds a sample; `false` when it does not fit.
    pub(super) fn push(&self, cohort: Cohort, sample: Sample, seen: Seen) -> bool {
        let mut waiting = self.locked();
        let bytes = waiting.bytes + sample.kept();
        if waiting.samples.len() >= SAMPLES || bytes > BYTES {
            return false;
        }
        waiting.bytes = bytes;
        waiting.samples.push_back((cohort, sample, seen));
        if waiting.samples.len() == 1 || waiting.is_half_full() {
            self.changed.notify_one();
        }
        true
    }

    /// The number that the next sample to come will have.
    pub(super) fn end(&self) -> u64 {
        let waiting = self.locked();
        waiting.taken + waiting.samples.len() as u64
    }

    /// Takes the oldest, if its number is below `end`.
    pub(super) fn take_before(&self, end: u64) -> Option<Taken<'_>> {
        let mut waiting = self.locked();
        let number = waiting.taken;
        let (cohort, sample, seen) = (number < end).then(|| waiting.samples.pop_front()).flatten()?;
        waiting.bytes -= sample.kept();
        waiting.taken += 1;
        waiting.in_hand.push(number);
        Some(Taken { cohort, sample, seen, number, queue: self })
    }

    /// Waits until none with a number below `end` is in hand.
    pub(super) fn settle(&self, end: u64) {
        let reading = |waiting: &mut Waiting| waiting.in_hand.iter().any(|number| *number < end);
        drop(self.settled.wait_while(self.locked(), reading).unwrap_or_else(PoisonError::into_inner));
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
    use crate::{evidence::sample::CHUNK_OVERHEAD, exposure::Arm};

    const CONTROL: Cohort = Cohort { phase: 0, arm: Arm::Control, group: None };

    fn tiny() -> Sample {
        Sample {
            method: Method::POST,
            uri: Uri::default(),
            status: None,
            whole: true,
            latency: Duration::ZERO,
            arm: None,
            version: None,
            headers: HeaderMap::new(),
            body: Ok(Vec::new()),
            passed: Vec::new(),
        }
    }

    #[test]
    fn bytes_count_as_well_as_samples() {
        let mebibytes = vec![Bytes::from_static(&[0; (1 << 20) - CHUNK_OVERHEAD]); 16];
        let sample = || Sample { body: Ok(mebibytes.clone()), ..tiny() };
        let queue = Queue::default();
        assert_eq!((0..9).filter(|_| queue.push(CONTROL, sample(), None)).count(), 4);
        assert!(queue.wait(), "there is work");
        while queue.take_before(queue.end()).is_some() {}
        assert!(queue.push(CONTROL, sample(), None));
        queue.close();
        assert!(!queue.wait());
    }

    #[test]
    fn what_comes_later_is_not_waited_for() {
        let queue = Queue::default();
        let sample = || Sample { body: Err(super::super::Unread::TooLarge), ..tiny() };
        assert!(queue.push(CONTROL, sample(), None));
        let end = queue.end();
        assert!(queue.push(CONTROL, sample(), None));
        let first = queue.take_before(end).unwrap();
        assert!(queue.take_before(end).is_none(), "the second came after");
        drop(first);
        let _second = queue.take_before(queue.end()).unwrap();
        queue.settle(end);
    }
}
