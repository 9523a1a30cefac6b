//! When each request is due, and which one it is: pure functions of seed, rate and number.
//!
//! Arrivals are evenly spaced, not Poisson: a window of a rule then always holds the same number of
//! requests, so a change in what a monitor counts comes from the fault and not from the traffic. The order
//! is a fresh permutation of the recording for each pass through it, so every request is sent equally
//! often and two of them never stay neighbours.

use std::time::Duration;

use tokio::{
    task::consume_budget,
    time::{Instant, sleep_until},
};

use crate::{
    draw::{Key, UnitHash},
    unit::Rate,
};

/// Which request is due when.
///
/// ```
/// use canard::traffic::Schedule;
/// let mut schedule = Schedule::new("200/s".parse()?, 7, 3);
/// assert_eq!(schedule.due(40).as_millis(), 200);
/// let mut first_pass: Vec<_> = (0..3).map(|n| schedule.request(n)).collect();
/// first_pass.sort();
/// assert_eq!(first_pass, [0, 1, 2]);
/// # Ok::<(), canard::unit::UnitError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schedule {
    per_second: f64,
    key: Key,
    pass: Option<u64>,
    order: Vec<usize>,
}

impl Schedule {
    /// A schedule over a recording of `requests` requests, which must not be zero.
    pub fn new(rate: Rate, seed: u64, requests: usize) -> Schedule {
        let key = Key::new(seed, "traffic/order");
        Schedule { per_second: rate.per_second(), key, pass: None, order: (0..requests).collect() }
    }

    /// How long after the start the request with this number (from 0) is due.
    pub fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.per_second)
    }

    /// The index in the recording of the request with this number.
    pub fn request(&mut self, number: u64) -> usize {
        let requests = self.order.len() as u64;
        let pass = number / requests;
        if self.pass != Some(pass) {
            self.shuffle(pass);
        }
        self.order[(number % requests) as usize]
    }

    /// Fisher-Yates, from the draws of this pass.
    fn shuffle(&mut self, pass: u64) {
        self.order.sort_unstable();
        for last in (1..self.order.len()).rev() {
            let draw = self.key.draw(UnitHash::from_u64(pass), last as u64);
            self.order.swap(last, draw.index(last + 1));
        }
        self.pass = Some(pass);
    }

    /// Calls `send(number, index in the recording, due)` for each request when it is due, for ever.
    ///
    /// A timer that wakes up late sends everything that has become due, so the rate holds on average.
    pub(super) async fn pace(mut self, start: Instant, mut send: impl FnMut(u64, usize, Instant)) {
        for number in 0.. {
            let due = start + self.due(number);
            if due > Instant::now() {
                sleep_until(due).await;
            }
            // A rate beyond what the machine can send must not starve the tasks that send.
            consume_budget().await;
            send(number, self.request(number), due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(rate: &str, requests: usize) -> Schedule {
        Schedule::new(rate.parse().unwrap(), 7, requests)
    }

    #[tokio::test(start_paused = true)]
    async fn requests_leave_when_they_are_due() {
        let start = Instant::now();
        let mut sent = Vec::new();
        let pace = schedule("200/s", 10).pace(start, |number, _, due| {
            let late = Instant::now() - due;
            assert!(late < Duration::from_millis(2), "{late:?}");
            sent.push((number, (due - start).as_millis()));
        });
        let _ = tokio::time::timeout(Duration::from_secs(10), pace).await;
        assert!((2000..=2001).contains(&sent.len()), "{}", sent.len());
        assert_eq!(sent[..3], [(0, 0), (1, 5), (2, 10)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_missed_is_sent_at_once() {
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut sent = 0;
        let pace = schedule("1000/s", 10).pace(start, |_, _, _| sent += 1);
        let _ = tokio::time::timeout(Duration::from_micros(1), pace).await;
        assert!((1000..=1003).contains(&sent), "{sent}");
    }

    #[test]
    fn each_pass_holds_every_request_once_in_its_own_order() {
        let mut schedule = schedule("1/s", 50);
        let passes: Vec<Vec<usize>> =
            (0..3).map(|pass| (0..50).map(|n| schedule.request(pass * 50 + n)).collect()).collect();
        for pass in &passes {
            let mut sorted = pass.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        }
        assert_ne!(passes[0], passes[1]);
        assert_eq!(schedule.request(3), passes[0][3], "a pure function of the number");
        let other: Vec<usize> = {
            let mut other = Schedule::new("1/s".parse().unwrap(), 8, 50);
            (0..50).map(|n| other.request(n)).collect()
        };
        assert_ne!(passes[0], other);
    }
}
