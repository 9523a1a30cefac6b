//! Feedback late: labels that arrive when nobody waits for them any more.
//!
//! Either really, by holding the request back (the caller waits as long, so no longer than ten minutes), or on
//! paper, by moving the body's own timestamp into the past: days of lag in a test of a minute, for every monitor
//! that takes the label's word for its age.

mod timestamp;

use serde::{Deserialize, Serialize};

use super::{
    Action, Amended, Behaviour, CheckContext, Decide, EditContext, Entry, Parameter, Problem, Promise,
    Scales, Stage, Touched,
    feedback::{check_path, is_feedback, rewrite, select},
    prediction::check_rate,
    unfit::NOT_A_TIME,
};
use crate::{
    unit::{Share, Span},
    wire::{Content, JsonPath},
};

const LONGEST_HOLD: Span = Span::from_secs(600);

/// Makes labels late. Exactly one of `hold` and `backdate` is given.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "feedback-late": { "path": "/feedback", "hold": "20s" } }"#)?;
/// assert_eq!(fault.describe(), "100% of the labels to /feedback held for 20s");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeedbackLate {
    /// Path of the endpoint that takes labels back; what is below it counts too.
    pub path: String,
    /// For how long a label is held back; the one who sends it waits. At most 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// The label's own timestamp moves into the past instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backdate: Option<Backdate>,
    /// Share of the requests.
    #[serde(default = "all")]
    pub rate: Share,
}

/// A timestamp that moves into the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Backdate {
    /// JSONPath to the timestamp, or timestamps: RFC 3339, or Unix time in s, ms, µs or ns.
    pub field: JsonPath,
    /// How far, in whole seconds.
    pub by: Span,
}

const fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "feedback-late",
    summary: "Makes labels that are sent back late: held back, or backdated.",
    effect: "A share `rate` of the requests to the feedback endpoint is held back before the upstream gets it \
             (`hold`): label lag grows by that, and so does the wait of the sender, so it is at most 10 minutes. \
             With `backdate` nobody waits: the timestamp in the body moves `by` into the past, in its own format \
             (RFC 3339 with its offset and fraction; Unix time of less than 12 digits is in seconds, of 12 to 14 \
             in ms, of 15 to 17 in µs, of more in ns), so the lag that a monitor computes from it grows by exactly \
             that. Only the timestamp's own bytes change. A ramp grows the time. The scenario's target has to \
             match the endpoint. Composes with other faults on feedback (a label is flipped, then held or \
             swallowed) and with latency, whose delay comes on top; excludes nothing.",
    parameters: &[
        Parameter {
            name: "path",
            values: "path of a request, such as /feedback",
            default: "none; it is needed",
            meaning: "the endpoint that takes labels back, and what is below it",
        },
        Parameter {
            name: "hold",
            values: "span of time, above 0s to 10m",
            default: "none; either `hold` or `backdate` is needed",
            meaning: "for how long a label is held back; its sender waits",
        },
        Parameter {
            name: "backdate",
            values: "{ field: JSONPath, by: span of whole seconds }",
            default: "none",
            meaning: "how far the timestamp in the body moves into the past",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the requests",
        },
    ],
    example: "- fault: { feedback-late: { path: /feedback, backdate: { field: $.labelled_at, by: 48h } } }",
    seen_by: "Label lag (p50, p99), age of the newest label, share of predictions with a label after a day.",
    blind: "Label volume in the long run; quality monitors, which are right about the past; input and prediction \
            drift monitors.",
};

impl Behaviour for FeedbackLate {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        if self.hold.is_some() { Stage::Before } else { Stage::Request }
    }

    fn needs(&self) -> Option<Content> {
        None
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        match self.hold {
            Some(hold) => Promise::delay(|_| hold.as_secs_f64(), true, self.rate.fraction()),
            None => Promise::Touch { of: Touched::Requests, share: self.rate.fraction() },
        }
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        let how = match (&self.hold, &self.backdate) {
            (Some(hold), _) => format!("held for {hold}"),
            (None, Some(backdate)) => format!("backdated by {}", backdate.by),
            (None, None) => "late".to_owned(),
        };
        format!("{} of the labels to {} {how}", self.rate, self.path)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let size = match (self.hold, &self.backdate) {
            (Some(hold), None) => (hold.is_zero() || hold > LONGEST_HOLD).then(|| {
                let help = "give up to 10m; for more lag, `backdate` the timestamp in the body";
                Problem::new("hold", format!("a label can't be held for {hold}")).help(help)
            }),
            (None, Some(Backdate { by, .. })) => (by.as_secs_f64() < 1.0 || by.as_secs_f64().fract() != 0.0)
                .then(|| {
                    let help = "give whole seconds, such as 90s or 48h";
                    Problem::new("backdate.by", format!("a timestamp can't move by {by}")).help(help)
                }),
            (None, None) | (Some(_), Some(_)) => {
                let help = "write `hold: 20s`, or `backdate: { field: $.labelled_at, by: 48h }`";
                Some(Problem::new("", "either `hold` or `backdate` says how late").help(help))
            }
        };
        [check_rate(self.rate), check_path(&self.path), size].into_iter().flatten().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        let chosen = context.dice.at(super::purpose::ACT, 0).within(self.rate);
        if !chosen || context.intensity <= 0.0 || !is_feedback(&self.path, context.path) {
            return None;
        }
        let held =
            self.hold.map(|hold| Action::DelayBefore(hold.duration().mul_f64(context.intensity.min(1.0))));
        held.or(Some(Action::Amend))
    }

    fn amend_body(&self, body: &[u8], context: &EditContext<'_>) -> Result<Amended, &'static str> {
        let Some(Backdate { field, by }) = &self.backdate else { return Ok(Amended::Unchanged) };
        let seconds = (by.as_secs_f64() * context.intensity).round() as i64;
        let earlier = |(span, value)| Some((span, timestamp::earlier(&value, seconds)?));
        let edits: Option<Vec<_>> = select(body, field)?.into_iter().map(earlier).collect();
        let edits = edits.ok_or(NOT_A_TIME)?;
        Ok(if seconds == 0 { Amended::Unchanged } else { Amended::Body(rewrite(body, &edits)) })
    }
}

#[cfg(test)]
mod tests;
