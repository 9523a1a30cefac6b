//! A rate limit: a token bucket in front of the model, for all callers or for each unit.
//!
//! Depends on the order of arrival, as every rate limit does; each sidecar and each embedded layer has buckets
//! of its own.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Fault, Memory, Parameter, Problem, Promise, Stage,
};
use crate::{
    draw::UnitHash,
    unit::{Rate, Share},
    wire::{Failure, FailureKind},
};

/// Units with a bucket of their own.
const MOST_UNITS: usize = 65_536;

/// Refuses what comes faster than a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RateLimit {
    /// Requests that pass in the long run, such as `10/s` or `60/m`.
    pub limit: Rate,
    /// Requests that may come at once after a pause; left out, those of one second, at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Is the limit one for all, or one for each unit?
    #[serde(default)]
    pub per: LimitPer,
}

/// Whose requests share a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LimitPer {
    /// Those of all treated units.
    #[default]
    All,
    /// Those of each unit.
    Unit,
}

static ENTRY: Entry = Entry {
    name: "rate-limit",
    summary: "Refuses what comes faster than a limit, with 429 and Retry-After.",
    effect: "A token bucket: `limit` tokens a second flow in, up to `burst`; a request takes one, or is answered \
             429 in the provider's own shape, with a Retry-After that counts down to the next token. Of T \
             seconds of faster traffic, burst + limit·T requests pass, to within one (fewer with a \
             burst of 1, which keeps no part of a token). Only treated requests \
             count. Depends on arrival, and each sidecar counts on its own. At most 65536 units have a bucket; \
             those beyond pass. A ramp scales the share of the requests over the limit that are refused.",
    parameters: &[
        Parameter {
            name: "limit",
            values: "rate, such as 10/s, 60/m or 500/h",
            default: "required",
            meaning: "requests that pass in the long run",
        },
        Parameter {
            name: "burst",
            values: "1 or more",
            default: "those of one second, at least 1",
            meaning: "requests that may come at once after a pause",
        },
        Parameter {
            name: "per",
            values: "all | unit",
            default: "all",
            meaning: "one limit for all treated units, or one for each",
        },
    ],
    example: "- fault: { rate-limit: { limit: 10/s, burst: 20 } }",
    seen_by: "Rate of status 429, retry counters and back-off time of the caller, queue lengths in front of it, a \
              fall of the model server's request rate.",
    blind: "Error-rate rules that count 5xx only; latency (a refusal is fast, and pulls the mean down); the model \
            server's own metrics.",
};

impl RateLimit {
    fn burst(&self) -> f64 {
        self.burst.map_or_else(|| self.limit.per_second().ceil().max(1.0), f64::from)
    }

    fn refusal(&self, wait: Duration) -> Action {
        // Whole seconds, rounded up: who comes back earlier is refused again.
        let seconds = Duration::from_secs(wait.as_secs_f64().ceil().max(1.0) as u64);
        let message = format!("Rate limit reached: {} requests.", self.limit);
        let failure = Failure {
            kind: Some(FailureKind::RateLimited),
            retry_after: Some(seconds),
            ..Failure::new(StatusCode::TOO_MANY_REQUESTS, message)
        };
        Action::Respond { failure, after_upstream: false }
    }
}

/// Tokens at a time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// Takes a token, or tells how long until there is one.
    fn take(&mut self, now: Instant, per_second: f64, burst: f64) -> Result<(), Duration> {
        self.fill(now, per_second, burst);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::try_from_secs_f64((1.0 - self.tokens) / per_second).unwrap_or(Duration::MAX))
    }

    fn fill(&mut self, now: Instant, per_second: f64, burst: f64) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * per_second).min(burst);
        self.at = self.at.max(now);
    }
}

/// The buckets; `None` stands for all units.
#[derive(Debug, Default)]
struct Buckets(Mutex<HashMap<Option<UnitHash>, Bucket>>);

impl Buckets {
    fn take(
        &self,
        unit: Option<UnitHash>,
        now: Instant,
        per_second: f64,
        burst: f64,
    ) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_UNITS && !buckets.contains_key(&unit) {
            // A full bucket says no more than none.
            buckets.retain(|_, bucket| {
                bucket.fill(now, per_second, burst);
                bucket.tokens < burst
            });
            if buckets.len() >= MOST_UNITS {
                return Ok(());
            }
        }
        buckets.entry(unit).or_insert(Bucket { tokens: burst, at: now }).take(now, per_second, burst)
    }
}

impl Behaviour for RateLimit {
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
        Promise::Unknown { because: "how many requests come over the limit depends on the traffic" }
    }

    fn describe(&self) -> String {
        let per = if self.per == LimitPer::Unit { " for each unit" } else { "" };
        format!("at most {} requests{per}, {} at once", self.limit, self.burst())
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let none = self.burst.filter(|burst| *burst == 0);
        let none =
            none.map(|_| Problem::new("burst", "a burst of 0 lets nothing pass").help("write 1 or more"));
        none.into_iter().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        matches!(other, Fault::RateLimit(other) if other.per == self.per)
            .then_some("the lower of two limits on the same callers is the only one that is seen")
    }

    fn memory(&self) -> Memory {
        Memory::of(Buckets::default())
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        let unit = (self.per == LimitPer::Unit).then_some(context.unit);
        let buckets = context.memory.get::<Buckets>()?;
        let wait = buckets.take(unit, context.now, self.limit.per_second(), self.burst()).err()?;
        context.acts(Share::ALL).then(|| self.refusal(wait))
    }
}

#[cfg(test)]
mod tests;
