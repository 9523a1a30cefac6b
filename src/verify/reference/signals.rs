//! What the service shows of a fault, as yes-or-no questions about requests, predictions and texts.
//!
//! The questions of a watch are fixed before it begins: what its faults could show in, cut into shares. A signal that
//! a fault can't show in is left out, since a service's latency moves for many reasons that are no fault.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    evidence::{ArmEvidence, NO_REASON},
    fault::Stage,
    scenario::{Injection, Plan},
    stats::{Counts, Histogram, Question, SCORE_BINS},
};

/// Latencies are cut at two places in each power of two: 1.5 ms, 2 ms, 3 ms and so on.
const CUTS_PER_OCTAVE: usize = 2;
/// Most labels, and finish reasons, with a question of their own.
const NAMES: usize = 50;
/// A name that was seen less often before has no question of its own: which of the rare ones were seen is chance, and the
/// others would seem to grow by all that this chance left out.
const OFTEN: u64 = 20;

/// Changes of the odds by smaller factors are no news.
const OF_FAILURES: f64 = 1.1;
const OF_MIXES: f64 = 1.25;
const OF_TIMES: f64 = 2.0;

/// One kind of thing that a service shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Failures,
    Latency,
    Labels,
    Scores,
    Invalid,
    Unread,
    FirstToken,
    OutputToken,
    LongestGap,
    FinishReasons,
    Texts,
}

impl Family {
    /// What a fault can show in.
    fn of(stage: Stage) -> &'static [Family] {
        use Family::{
            Failures, FinishReasons, FirstToken, Invalid, Labels, Latency, LongestGap, OutputToken, Scores,
            Texts, Unread,
        };
        match stage {
            Stage::Request => &[Labels, Scores, Invalid, Failures, Unread],
            Stage::Before | Stage::Refuse | Stage::After | Stage::Transport => {
                &[Failures, Latency, Unread, FirstToken, OutputToken, LongestGap]
            }
            Stage::Prediction => &[Labels, Scores, Invalid, Unread],
            Stage::Text => &[FinishReasons, Texts, Unread, Failures],
            Stage::Timing => &[FirstToken, OutputToken, LongestGap, Latency, FinishReasons, Texts, Failures],
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Family::Failures => "failures",
            Family::Latency => "latency",
            Family::Labels => "labels",
            Family::Scores => "scores",
            Family::Invalid => "invalid predictions",
            Family::Unread => "unreadable answers",
            Family::FirstToken => "time to first token",
            Family::OutputToken => "time per output token",
            Family::LongestGap => "gaps in streams",
            Family::FinishReasons => "finish reasons",
            Family::Texts => "empty, failed, malformed and uncounted answers",
        }
    }

    fn tolerance(self) -> f64 {
        match self {
            Family::Failures | Family::Invalid | Family::Unread | Family::Texts => OF_FAILURES,
            Family::Labels | Family::Scores | Family::FinishReasons => OF_MIXES,
            Family::Latency | Family::FirstToken | Family::OutputToken | Family::LongestGap => OF_TIMES,
        }
    }
}

/// The questions of one watch.
#[derive(Debug, Clone)]
pub(super) struct Signals {
    families: Vec<Family>,
    labels: Vec<String>,
    reasons: Vec<String>,
}

impl Signals {
    /// What the faults of a phase could show in; labels and finish reasons are those of the plan and those seen often before.
    pub(super) fn of(plan: &Plan, injections: &[Injection], before: &ArmEvidence) -> Signals {
        let stages = injections.iter().map(|injection| injection.fault.stage());
        let families: BTreeSet<Family> = stages.flat_map(Family::of).copied().collect();
        let labels: BTreeSet<&String> =
            plan.document.target.labels.iter().chain(often(&before.labels)).collect();
        Signals {
            families: families.into_iter().collect(),
            labels: labels.into_iter().take(NAMES).cloned().collect(),
            reasons: often(&before.text.finish_reasons).take(NAMES).cloned().collect(),
        }
    }

    /// What it looks at, in words.
    pub(super) fn looked_at(&self) -> Vec<String> {
        self.families.iter().map(|family| family.in_words().to_owned()).collect()
    }

    /// One for each of [`counts`](Signals::counts): the weight is the same for each kind of signal.
    pub(super) fn questions(&self) -> Vec<Question> {
        let blank = ArmEvidence::default();
        let of_family = |family: &Family| {
            let answers = self.answers(*family, &blank).len();
            let weight = 1.0 / (self.families.len() * answers.max(1)) as f64;
            vec![Question { weight, tolerance: family.tolerance() }; answers]
        };
        self.families.iter().flat_map(of_family).collect()
    }

    /// The answers that an arm gives.
    pub(super) fn counts(&self, seen: &ArmEvidence) -> Vec<Counts> {
        self.families.iter().flat_map(|family| self.answers(*family, seen)).collect()
    }

    /// A question in words, by its number.
    pub(super) fn name(&self, number: usize) -> String {
        let blank = ArmEvidence::default();
        let mut left = number;
        for family in &self.families {
            let answers = self.answers(*family, &blank).len();
            if left < answers {
                return self.in_words(*family, left);
            }
            left -= answers;
        }
        String::new()
    }

    fn answers(&self, family: Family, seen: &ArmEvidence) -> Vec<Counts> {
        let text = &seen.text;
        let one = |hits: u64, of: u64| vec![Counts { hits: hits.min(of), of }];
        match family {
            Family::Failures => [seen.failed(), seen.refused()]
                .into_iter()
                .flat_map(|hits| one(hits, seen.requests()))
                .collect(),
            Family::Invalid => one(seen.invalid.values().sum(), seen.predictions),
            Family::Unread => one(seen.unread.values().sum(), seen.requests()),
            Family::Latency => times(&seen.latency),
            Family::FirstToken => times(&text.time_to_first_token),
            Family::OutputToken => times(&text.time_per_output_token),
            Family::LongestGap => times(&text.longest_gap),
            Family::Labels => named(&self.labels, |label| seen.labels.get(label), seen.labels.values().sum()),
            Family::FinishReasons => named(
                &self.reasons,
                |reason| text.finish_reasons.get(reason),
                text.finish_reasons.values().sum(),
            ),
            Family::Scores => {
                let of = seen.scores.count();
                let above = |bin: usize| Counts { hits: seen.scores.bins[bin..].iter().sum(), of };
                (1..SCORE_BINS).map(above).collect()
            }
            Family::Texts => {
                let flags = [text.empty, text.failed, text.malformed, text.uncounted];
                flags.map(|hits| Counts { hits: hits.min(text.answers), of: text.answers }).into()
            }
        }
    }

    fn in_words(&self, family: Family, number: usize) -> String {
        let above = |what: &str| format!("{what} above {}", seconds(Histogram::cut(number, CUTS_PER_OCTAVE)));
        let name = |what: &str, names: &[String]| match names.get(number) {
            Some(name) => format!("{what} `{name}`"),
            None => format!("a {what} rarely or never seen before"),
        };
        match family {
            Family::Failures if number == 0 => "failed requests".to_owned(),
            Family::Failures => "requests refused as wrong (4xx)".to_owned(),
            Family::Invalid => "invalid predictions".to_owned(),
            Family::Unread => "answers that can't be read".to_owned(),
            Family::Latency => above("latency"),
            Family::FirstToken => above("time to first token"),
            Family::OutputToken => above("time per output token"),
            Family::LongestGap => above("longest gap in a stream"),
            Family::Labels => name("label", &self.labels),
            Family::FinishReasons if self.reasons.get(number).is_some_and(|reason| reason == NO_REASON) => {
                "answers without a finish reason".to_owned()
            }
            Family::FinishReasons => name("finish reason", &self.reasons),
            Family::Scores => format!("scores above {:.2}", (number + 1) as f64 / SCORE_BINS as f64),
            Family::Texts => {
                let words =
                    ["empty answers", "answers with an error", "malformed answers", "uncounted answers"];
                words.get(number).copied().unwrap_or_default().to_owned()
            }
        }
    }
}

/// Names that were seen often enough for a question of their own.
fn often(seen: &BTreeMap<String, u64>) -> impl Iterator<Item = &String> {
    seen.iter().filter(|(_, count)| **count >= OFTEN).map(|(name, _)| name)
}

/// How many of so many took longer than each cut.
fn times(histogram: &Histogram) -> Vec<Counts> {
    let of = histogram.count();
    histogram.above_cuts(CUTS_PER_OCTAVE).into_iter().map(|hits| Counts { hits, of }).collect()
}

/// How many had each name, and how many one of none of them.
fn named<'a>(names: &'a [String], count: impl Fn(&'a String) -> Option<&'a u64>, of: u64) -> Vec<Counts> {
    let known: Vec<Counts> =
        names.iter().map(|name| Counts { hits: count(name).copied().unwrap_or(0), of }).collect();
    let others = of - known.iter().map(|counts| counts.hits).sum::<u64>().min(of);
    known.into_iter().chain([Counts { hits: others, of }]).collect()
}

fn seconds(seconds: f64) -> String {
    match seconds * 1e3 {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        _ => format!("{seconds:.1} s"),
    }
}
