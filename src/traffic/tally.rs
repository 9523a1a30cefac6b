//! What became of the requests, in numbers.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::exchange::{Failure, Outcome};
use crate::stats::Histogram;

/// Counts of a run of traffic. Every due request is in exactly one of `answered`, `failed`, `dropped` and
/// [`unfinished`](Tally::unfinished).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that left.
    pub sent: u64,
    /// Answers by HTTP status.
    pub answered: BTreeMap<u16, u64>,
    /// Requests without a whole answer, by what went wrong.
    pub failed: BTreeMap<Failure, u64>,
    /// Requests that were due but not sent, because too many were still waiting for their answers.
    pub dropped: u64,
    /// From the moment a request was due to the last byte of its answer, failed ones included.
    pub latency: Histogram,
}

impl Tally {
    /// Counts one finished exchange.
    pub(super) fn record(&mut self, outcome: &Outcome, latency: Duration) {
        match outcome {
            Outcome::Answered(response) => *self.answered.entry(response.status.as_u16()).or_default() += 1,
            Outcome::Failed(failure) => *self.failed.entry(*failure).or_default() += 1,
        }
        self.latency.record(latency);
    }

    /// Requests that became due.
    pub fn due(&self) -> u64 {
        self.sent + self.dropped
    }

    /// Requests that got an answer or failed.
    pub fn finished(&self) -> u64 {
        self.answered.values().sum::<u64>() + self.failed.values().sum::<u64>()
    }

    /// Requests that still wait, or that waited when the traffic was stopped.
    pub fn unfinished(&self) -> u64 {
        self.sent - self.finished()
    }

    /// Answers with a 5xx status and failures, as a share of what is finished; `None` before the first.
    /// Requests for which this process had no socket count on neither side.
    pub fn error_share(&self) -> Option<f64> {
        let unsent = self.failed.get(&Failure::NoSocket).copied().unwrap_or(0);
        let tried = self.finished() - unsent;
        let failed = self.failed.values().sum::<u64>() - unsent;
        let errors = self.answered.range(500..).map(|(_, n)| n).sum::<u64>() + failed;
        (tried > 0).then(|| errors as f64 / tried as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_share_is_of_what_could_be_sent() {
        let mut tally = Tally { sent: 10, ..Tally::default() };
        assert_eq!(tally.error_share(), None);
        tally.answered = [(200, 5), (404, 1), (503, 1)].into();
        tally.failed = [(Failure::Broken, 1), (Failure::NoSocket, 1)].into();
        assert_eq!((tally.error_share(), tally.unfinished()), (Some(0.25), 1));
    }

    #[test]
    fn a_tally_survives_json() {
        let tally = Tally {
            sent: 2,
            answered: [(200, 1)].into(),
            failed: [(Failure::NoSocket, 1)].into(),
            ..Tally::default()
        };
        let json = serde_json::to_string(&tally).unwrap();
        assert!(json.contains(r#""failed":{"no-socket":1}"#), "{json}");
        assert_eq!(serde_json::from_str::<Tally>(&json).unwrap(), tally);
    }
}
