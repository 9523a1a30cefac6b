//! What is measured for a fault on generated text: a table of measures, the one that decides first.

use super::delivery::{
    Arms, LEVEL,
    labels::moved,
    shares::{effect, proportions},
};
use crate::{
    event::Effect,
    evidence::{ArmEvidence, FaultEvidence, Sums, TextEvidence},
    fault::{EndMark, Ending, Fault},
    stats::{self, Histogram},
};

pub(super) const FIRST_TOKEN: &str = "mean time to first token";
pub(super) const PER_TOKEN: &str = "mean time per output token";

impl Arms<'_> {
    /// The measures of a fault on text or on the timing of streams; none for other faults.
    pub(super) fn of_text(&self, fault: &Fault, seen: &FaultEvidence) -> Vec<Option<Effect>> {
        let touched = || self.touched(seen);
        match fault {
            Fault::StreamLatency(slow) => {
                let first = self.mean_time(FIRST_TOKEN, |text| &text.time_to_first_token);
                let later = self.mean_time(PER_TOKEN, |text| &text.time_per_output_token);
                let (decides, other) =
                    if slow.first_token.is_some() { (first, later) } else { (later, first) };
                vec![
                    decides,
                    other,
                    self.quantile("time to first token", 0.5, |text| &text.time_to_first_token),
                    self.quantile("time per output token", 0.5, |text| &text.time_per_output_token),
                    self.quantile("time to first token", 0.99, |text| &text.time_to_first_token),
                    self.tail_between_tokens(),
                    touched(),
                    self.quantile("time to first token", 0.9, |text| &text.time_to_first_token),
                    self.quantile("time per output token", 0.9, |text| &text.time_per_output_token),
                    self.quantile("time per output token", 0.99, |text| &text.time_per_output_token),
                ]
            }
            Fault::StreamStall(_) => {
                vec![
                    self.mean_time("mean longest gap", |text| &text.longest_gap),
                    touched(),
                    self.quantile("longest gap", 0.99, |text| &text.longest_gap),
                ]
            }
            Fault::StreamCut(cut) if cut.how == Ending::Reset => vec![self.error_share(), touched()],
            Fault::StreamCut(_) => vec![self.without_reason(), touched(), self.length()],
            Fault::StreamError(_) => vec![self.share("answers with an error", |text| text.failed), touched()],
            Fault::StreamMalformed(_) => {
                vec![self.share("answers that do not parse", |text| text.malformed), touched()]
            }
            Fault::MissingDone(missing) if missing.what == EndMark::Done => vec![touched()],
            Fault::MissingDone(_) => vec![self.without_reason(), touched()],
            Fault::TextLoop(_) => vec![self.length(), touched()],
            Fault::EmptyAnswer(_) => vec![self.share("empty answers", |text| text.empty), touched()],
            Fault::Usage(usage) if usage.missing => {
                vec![self.share("answers without token counts", |text| text.uncounted), touched()]
            }
            Fault::Usage(_) => vec![self.mean("reported tokens", |text| text.tokens), touched()],
            Fault::FinishReason(_) | Fault::Refusal(_) => {
                vec![touched(), self.length(), self.reasons(), self.without_reason()]
            }
            _ => vec![touched(), self.length()],
        }
    }

    fn quantile(&self, what: &str, q: f64, of: impl Fn(&TextEvidence) -> &Histogram) -> Option<Effect> {
        let (control, treated) = (of(&self.control.text), of(&self.treated.text));
        let difference = stats::difference_of_quantiles(control, treated, q, LEVEL);
        let name = format!("p{} {what}", q * 100.0);
        Some(effect(&name, "s", control.quantile(q)?, treated.quantile(q)?, difference))
    }

    /// Gaps of one stream are not independent of each other: no interval.
    fn tail_between_tokens(&self) -> Option<Effect> {
        let of = |arm: &ArmEvidence| arm.text.between_tokens.quantile(0.99);
        Some(effect("p99 time between tokens", "s", of(self.control)?, of(self.treated)?, None))
    }

    fn mean_time(&self, what: &str, of: impl Fn(&TextEvidence) -> &Histogram) -> Option<Effect> {
        let of = |arm: &ArmEvidence| {
            let times = of(&arm.text);
            times.moments(|seconds| seconds).map(|(mean, variance)| (mean, variance, times.count()))
        };
        let (control, treated) = (of(self.control)?, of(self.treated)?);
        Some(effect(what, "s", control.0, treated.0, stats::welch(control, treated, LEVEL)))
    }

    fn mean(&self, what: &str, of: impl Fn(&TextEvidence) -> Sums) -> Option<Effect> {
        let (control, treated) = (of(&self.control.text).moments()?, of(&self.treated.text).moments()?);
        Some(effect(what, "", control.0, treated.0, stats::welch(control, treated, LEVEL)))
    }

    fn length(&self) -> Option<Effect> {
        self.mean("mean length in characters", |text| text.characters)
    }

    fn share(&self, what: &str, of: impl Fn(&TextEvidence) -> u64) -> Option<Effect> {
        let of = |arm: &ArmEvidence| (of(&arm.text), arm.text.answers);
        proportions(what, of(self.control), of(self.treated))
    }

    fn without_reason(&self) -> Option<Effect> {
        self.share("answers without a finish reason", TextEvidence::without_reason)
    }

    fn reasons(&self) -> Option<Effect> {
        let (control, treated) = (&self.control.text.finish_reasons, &self.treated.text.finish_reasons);
        moved("finish reasons (total variation)", control, treated)
    }
}

#[cfg(test)]
mod tests;
