//! Limited concurrency: so many requests are with the model at once, the others wait, and give up in the end.
//!
//! Depends on the order of arrival, as every queue does; each sidecar and each embedded layer has its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Gate, Memory, Parameter, Problem, Promise, Stage,
};
use crate::{
    unit::{Share, Span, Status},
    wire::{Failure, FailureKind},
};

/// Lets only so many requests be with the model at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Queue {
    /// How many requests are with the model at once, 1 to 100000.
    pub slots: u32,
    /// How long a request waits for a slot before it fails.
    #[serde(default = "second")]
    pub patience: Span,
    /// The status of a request that waited in vain.
    #[serde(default = "unavailable")]
    pub status: Status,
}

const SLOTS: std::ops::RangeInclusive<u32> = 1..=100_000;

fn second() -> Span {
    Span::from_secs(1)
}

fn unavailable() -> Status {
    Status::try_from(503).unwrap_or_else(|_| unreachable!("503 is an error status"))
}

static ENTRY: Entry = Entry {
    name: "queue",
    summary: "Lets only so many requests be with the model at once; the others wait, and fail in the end.",
    effect: "At most `slots` treated requests are with the upstream at once, each until its response has passed \
             (with what other faults delay behind the upstream). The others wait in the order of their arrival, \
             and after `patience` are answered `status`. With a mean service time S the throughput is at most \
             slots / S (Little's law); offered more than that, the wait grows to `patience` and the share 1 − \
             slots / (S · offered rate) fails. Depends on arrival; each sidecar has a queue of its own. A ramp \
             scales the share of requests that have to queue.",
    parameters: &[
        Parameter {
            name: "slots",
            values: "1 to 100000",
            default: "required",
            meaning: "how many requests are with the model at once",
        },
        Parameter {
            name: "patience",
            values: "span of time, 0s or more",
            default: "1s",
            meaning: "how long a request waits for a slot",
        },
        Parameter {
            name: "status",
            values: "400 to 599",
            default: "503",
            meaning: "the status of a request that waited in vain",
        },
    ],
    example: "- fault: { queue: { slots: 4, patience: 500ms } }",
    seen_by: "Latency quantiles and error rates of the caller together, requests in flight and queue lengths, \
              saturation alerts; the model server's request rate, which levels off.",
    blind: "CPU and memory alerts (nothing is busy); the model server's own latency, which stays as it was; any \
            monitor, while the traffic is below slots / service time.",
};

impl Queue {
    fn otherwise(&self) -> Failure {
        let failure = Failure::new(self.status.into(), "The model is at capacity.");
        Failure { kind: (self.status == unavailable()).then_some(FailureKind::Overloaded), ..failure }
    }
}

impl Behaviour for Queue {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Refuse
    }

    fn rate(&self) -> Share {
        Share::ALL
    }

    fn promise(&self) -> Promise {
        Promise::Unknown { because: "how long requests wait depends on the traffic" }
    }

    fn describe(&self) -> String {
        let Queue { slots, patience, status } = self;
        format!("{slots} at once, {} after {patience}", status.code())
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let wrong = (!SLOTS.contains(&self.slots)).then(|| {
            let message = format!("`slots` ({}) is not between 1 and 100000", self.slots);
            Problem::new("slots", message).help("write how many requests the model takes at once")
        });
        wrong.into_iter().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        matches!(other, Fault::Queue(_)).then_some("a request stands in one queue")
    }

    fn memory(&self) -> Memory {
        let slots = self.slots.min(*SLOTS.end()) as usize;
        Memory::of(Gate(Arc::new(Semaphore::new(slots))))
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        let gate = context.memory.get::<Gate>()?.clone();
        let (patience, otherwise) = (self.patience.duration(), self.otherwise());
        context.acts(Share::ALL).then_some(Action::Enter { gate, patience, otherwise })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        fault::testing::{assert_page, assert_rate, check, dice},
        wire::{Labels, Protocol},
    };

    fn parse(text: &str) -> Queue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn all_requests_share_one_gate_with_so_many_slots() {
        let fault = parse(r#"{"slots": 3, "patience": "250ms"}"#);
        let memory = fault.memory();
        let gates: Vec<Gate> = (0..10)
            .map(|i| match fault.decide(&Decide::of(dice(1, i), 1.0, &memory)) {
                Some(Action::Enter { gate, patience, otherwise }) => {
                    assert_eq!(patience, Duration::from_millis(250));
                    assert_eq!(
                        (otherwise.status.as_u16(), otherwise.kind),
                        (503, Some(FailureKind::Overloaded))
                    );
                    gate
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let held: Vec<_> = gates.iter().filter_map(|gate| gate.0.try_acquire().ok()).collect();
        assert_eq!(held.len(), 3);
        assert_eq!(fault.describe(), "3 at once, 503 after 250ms");
    }

    #[test]
    fn a_ramp_scales_the_share_that_has_to_queue() {
        let fault = parse(r#"{"slots": 3}"#);
        let memory = fault.memory();
        let queued = |i: &u64| fault.decide(&Decide::of(dice(2, *i), 0.3, &memory)).is_some();
        assert_rate((0..10_000).filter(queued).count(), 10_000, 0.3);
    }

    #[test]
    fn a_queue_without_slots_is_refused() {
        for slots in [0, 100_001] {
            let found =
                check(&Queue { slots, ..parse(r#"{"slots": 1}"#) }, &Protocol::Http, &Labels::default());
            assert_eq!(found[0].key, "slots");
        }
    }

    #[test]
    fn its_page_can_be_pasted() {
        assert_page("queue");
    }
}
