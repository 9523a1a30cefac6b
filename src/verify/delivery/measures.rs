//! Which measures are taken for a fault: those that it is made for first.

use super::{Arms, labels};
use crate::{
    event::Effect,
    evidence::FaultEvidence,
    fault::{Fault, Stage},
    scenario::Injection,
    wire::Content,
};

impl Arms<'_> {
    /// What is measured for a fault, the measure that decides first.
    pub(super) fn effects(&self, injection: &Injection, fault: &FaultEvidence) -> Vec<Effect> {
        let measures = match &injection.fault {
            // Callers that gave up have no latency; that they were held still shows.
            Fault::Latency(_) => match self.mean_latency() {
                Some(mean) => vec![
                    Some(mean),
                    self.latency_quantile(0.5),
                    self.latency_quantile(0.99),
                    self.touched(fault),
                    self.latency_quantile(0.9),
                    self.latency_ratio(),
                ],
                None => vec![self.touched(fault), self.error_share()],
            },
            Fault::Error(_) => {
                let told = self.failure_status(&injection.fault).and_then(|status| self.status_share(status));
                vec![told, self.error_share(), self.touched(fault)]
            }
            Fault::RateLimit(_) => vec![self.status_share(429), self.error_share(), self.touched(fault)],
            Fault::Queue(queue) => vec![
                self.mean_latency(),
                self.status_share(queue.status.code()),
                self.latency_quantile(0.5),
                self.latency_quantile(0.99),
                self.touched(fault),
            ],
            // A start is over before most requests come: the mean may not show what the slowest do.
            Fault::ColdStart(_) => vec![
                self.mean_latency(),
                self.slower_than_all_control(),
                self.latency_quantile(0.99),
                self.latency_quantile(0.999),
                self.touched(fault),
            ],
            Fault::Bandwidth(_) => vec![
                self.mean_latency(),
                self.error_share(),
                self.latency_quantile(0.99),
                self.touched(fault),
            ],
            // Without an end of its own it may still hold them: nobody has a latency then.
            Fault::Hang(hang) if hang.lasts.is_some() => {
                vec![self.mean_latency(), self.error_share(), self.touched(fault)]
            }
            Fault::Refuse(_) | Fault::BlackHole(_) | Fault::Reset(_) => {
                vec![self.error_share(), self.touched(fault)]
            }
            Fault::ParityGap(_) | Fault::OpportunityGap(_) => {
                let gaps = [labels::gap(&fault.groups), labels::positives(&fault.groups)];
                let known = gaps[0].is_some();
                let changed = self.changed_predictions(fault);
                let others = [self.mean_score(), self.label_shift(), self.accuracy()];
                let first = if known { gaps.to_vec() } else { Vec::new() };
                first.into_iter().chain([changed]).chain(others).collect()
            }
            Fault::Corrupt(_) => vec![self.invalid_share(), self.changed_predictions(fault)],
            Fault::Mislabel(_) => vec![self.changed_predictions(fault), self.label_shift(), self.accuracy()],
            text if matches!(text.stage(), Stage::Text | Stage::Timing) => self.of_text(text, fault),
            // What a worse request, order or vector does to predictions is the model's affair, or the index's.
            other
                if other.stage() == Stage::Request
                    || other.behaviour().needs() == Some(Content::Ranking)
                    || other.behaviour().needs() == Some(Content::Embeddings) =>
            {
                vec![
                    self.touched(fault),
                    self.moved(other.behaviour().needs(), fault),
                    self.label_shift(),
                    self.mean_score(),
                    self.accuracy(),
                    self.error_share(),
                ]
            }
            other if other.stage() == Stage::Prediction => {
                vec![self.changed_predictions(fault), self.mean_score(), self.label_shift(), self.accuracy()]
            }
            _ => vec![self.touched(fault), self.error_share()],
        };
        let distances = if may_change_answers(&injection.fault) { self.distances() } else { Vec::new() };
        measures.into_iter().chain(distances).flatten().collect()
    }

    /// How far apart the answers of the arms are, and how good they are where the truth is known.
    fn distances(&self) -> Vec<Option<Effect>> {
        let mut all = self.of_truth();
        all.push(self.label_psi());
        all.extend(self.score_distances());
        all
    }

    /// What is measured for two versions, whatever the faults.
    pub(in crate::verify) fn of_versions(&self) -> Vec<Effect> {
        let first = [
            self.error_share(),
            self.mean_latency(),
            self.latency_quantile(0.5),
            self.latency_quantile(0.99),
            self.invalid_share().filter(|invalid| invalid.control + invalid.treated > 0.0),
        ];
        let last = [self.mean_score(), self.accuracy()];
        first.into_iter().flatten().chain(self.label_shares()).chain(last.into_iter().flatten()).collect()
    }
}

/// May predictions be others than without the fault?
fn may_change_answers(fault: &Fault) -> bool {
    let needs = fault.behaviour().needs();
    match fault.stage() {
        Stage::Prediction => needs == Some(Content::Predictions),
        Stage::Request => needs == Some(Content::Features),
        _ => false,
    }
}
