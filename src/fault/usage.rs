//! Token counts that are missing or false.

use serde::{Deserialize, Serialize};

use super::{
    Action, Answers, Behaviour, CheckContext, Decide, Edited, Entry, Fault, Parameter, Piece, Problem,
    Promise, Stage, Step, StreamContext, StreamEdit,
    prediction::check_rate,
    streams::{acts, all, share_of_answers},
    unfit::NO_USAGE,
};
use crate::{
    unit::Share,
    wire::{Moment, Role, Value},
};

const LARGEST: f64 = 1_000.0;

/// Leaves token counts out, or multiplies them. Exactly one of `missing` and `factor` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Usage {
    /// The counts are not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing: bool,
    /// The counts are so many times what they should be, 0 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Share of the answers that it acts on.
    #[serde(default = "all")]
    pub rate: Share,
}

static ENTRY: Entry = Entry {
    name: "usage",
    summary: "Leaves out the token counts of answers, or makes them false.",
    effect: "In a share `rate` of the answers each count of prompt, completion and all tokens is multiplied by \
             `factor` and rounded; or, with `missing`, a chunk that brings only the counts is left out, and \
             elsewhere they are null. An answer without counts is skipped as `no-usage`. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "missing",
            values: "true or false",
            default: "false",
            meaning: "the counts are not there",
        },
        Parameter {
            name: "factor",
            values: "number, 0 to 1000, not 1",
            default: "—",
            meaning: "the counts are so many times what they should be",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the answers",
        },
    ],
    example: "- fault: { usage: { factor: 2.5, rate: 50% } }",
    seen_by: "Token counters (`gen_ai.client.token.usage`), cost per request, gap between counted and reported \
              tokens, rate of answers without counts.",
    blind: "Latency, errors and quality; the model server's own token counters.",
};

impl Behaviour for Usage {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Text
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        match self.factor {
            Some(factor) => Promise::TokenCount { factor, share: self.rate.fraction() },
            None => Promise::Answers { are: Answers::Uncounted, share: self.rate.fraction() },
        }
    }

    fn describe(&self) -> String {
        let share = share_of_answers(self.rate);
        match self.factor {
            Some(factor) => format!("{share} counts {factor} times its tokens"),
            None => format!("{share} counts no tokens"),
        }
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        if self.missing == self.factor.is_some() {
            let help = "write `missing: true`, or `factor: 2.5`";
            problems.push(Problem::new("", "`usage` needs either `missing` or `factor`").help(help));
        }
        if let Some(factor) = self.factor.filter(|factor| !(0.0..=LARGEST).contains(factor) || *factor == 1.0)
        {
            problems.push(Problem::new("factor", format!("`factor` is {factor}; it is 0 to 1000 and not 1")));
        }
        problems
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        let multiplies = matches!(other, Fault::Usage(usage) if usage.factor.is_some());
        let left_out = self.missing && self.rate == Share::ALL;
        (left_out && multiplies).then_some("counts that are left out can't be false")
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        acts(self.rate, context)
    }

    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        Some(Box::new(Counts { factor: self.factor, met: false, changed: 0 }))
    }
}

struct Counts {
    factor: Option<f64>,
    met: bool,
    changed: usize,
}

impl StreamEdit for Counts {
    fn piece(&mut self, mut piece: Piece, out: &mut Vec<Step>) {
        let is_count = |role| matches!(role, Role::PromptTokens | Role::CompletionTokens | Role::TotalTokens);
        let counts: Vec<(usize, f64)> = (0..piece.parts().len())
            .filter(|index| is_count(piece.parts()[*index].role))
            .filter_map(|index| piece.value(index).as_f64().map(|count| (index, count)))
            .collect();
        self.met |= !counts.is_empty();
        if !counts.is_empty() && self.factor.is_none() && piece.moment() == Moment::Usage {
            self.changed += counts.len();
            return;
        }
        for (index, count) in counts {
            let new = self.factor.map_or(Value::Null, |factor| Value::Int((count * factor).round() as i64));
            if !piece.value(index).is_same(&new) {
                self.changed += 1;
                piece.set(index, new);
            }
        }
        out.push(Step::Send(piece));
    }

    fn edited(&self) -> Edited {
        Edited { changed: self.changed, unfit: (!self.met).then_some(NO_USAGE) }
    }
}

#[cfg(test)]
mod tests;
