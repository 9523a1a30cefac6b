//! What a run has learnt so far, and what follows from it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Events, Truth,
    guards::{Answer, Asker},
    inquiry::Place,
    panel::Panel,
    references::References,
    watchers::Heard,
};
use crate::{
    clock::{self, Timestamp},
    event::{
        ArmNumbers, Delivery, Ending, FORMAT_VERSION, Kind, Measured, Outcome, Outline, PhaseRecord,
        Progress, Report,
    },
    evidence::{ArmEvidence, Evidence},
    monitor::{
        History,
        findings::{Findings, Question},
    },
    scenario::{Expectation, Plan},
    verify::{self, Facts, Looks, MonitorFacts, Window},
};

pub(super) struct Notebook {
    plan: Arc<Plan>,
    /// The plans of the phases that were over before the last one took its place.
    former: Vec<Arc<Plan>>,
    truth: Arc<Truth>,
    events: Events,
    started: Timestamp,
    monitors: BTreeMap<String, MonitorFacts>,
    history: History,
    evidence: Evidence,
    deliveries: Vec<Delivery>,
    panel: Panel,
    windows: Vec<Window>,
    early: Vec<bool>,
    /// Decided expectations by (phase, number).
    outcomes: BTreeMap<(usize, usize), Outcome>,
    looks: HashMap<(usize, usize), Looks>,
    /// When each `holds` was answered last, in seconds from the start of its phase.
    answered_s: HashMap<(usize, usize), f64>,
    references: References,
    silent: BTreeSet<String>,
    /// Has injection stopped because it could not be recorded?
    unrecorded: bool,
    notices: Vec<String>,
}

impl Notebook {
    pub(super) fn new(
        plan: Arc<Plan>,
        truth: Arc<Truth>,
        events: Events,
        monitors: BTreeMap<String, MonitorFacts>,
    ) -> Notebook {
        let panel = Panel::new(plan.guards.clone());
        Notebook {
            plan,
            former: Vec::new(),
            truth,
            events,
            started: clock::now(),
            monitors,
            history: History::new(),
            evidence: Evidence::default(),
            deliveries: Vec::new(),
            panel,
            windows: Vec::new(),
            early: Vec::new(),
            outcomes: BTreeMap::new(),
            looks: HashMap::new(),
            answered_s: HashMap::new(),
            references: References::default(),
            silent: BTreeSet::new(),
            unrecorded: false,
            notices: Vec::new(),
        }
    }

    fn facts(&self, ending: Option<Ending>) -> Facts<'_> {
        Facts {
            plan: &self.plan,
            windows: &self.windows,
            history: &self.history,
            monitors: &self.monitors,
            deliveries: &self.deliveries,
            now: clock::now(),
            ending,
        }
    }

    /// The plan that is armed.
    pub(super) fn plan(&self) -> Arc<Plan> {
        self.plan.clone()
    }

    /// Another plan of the same structure is armed in its place.
    pub(super) fn replaced(&mut self, plan: Arc<Plan>) {
        let over = self.windows.iter().filter(|window| window.ended.is_some()).count();
        self.former.resize(over, self.plan.clone());
        self.plan = plan;
        let during =
            self.plan.phases.get(self.windows.len().saturating_sub(1)).filter(|_| !self.windows.is_empty());
        let during = during.map_or_else(String::new, |phase| format!(" during phase `{}`", phase.name));
        self.notice(format!(
            "the plan was replaced{during}: what comes is judged by the new one, and so is what that phase did before"
        ));
    }

    /// The plan by which a phase is told of: the last that it had.
    fn plan_of(&self, phase: usize) -> &Arc<Plan> {
        self.former.get(phase).unwrap_or(&self.plan)
    }

    /// What became of the faults of each phase, by the plan that it had.
    fn delivered(&self, evidence: &Evidence) -> Vec<Delivery> {
        let accuracy = self.truth.accuracy();
        let mut all = Vec::new();
        let mut plans: Vec<&Arc<Plan>> = self.former.iter().collect();
        plans.push(&self.plan);
        plans.dedup_by(|one, other| Arc::ptr_eq(one, other));
        for plan in plans {
            let phases = self.plan.phases.iter().enumerate();
            let its: Vec<&str> = phases
                .filter(|(index, _)| Arc::ptr_eq(self.plan_of(*index), plan))
                .map(|(_, phase)| phase.name.as_str())
                .collect();
            let deliveries = verify::deliveries(plan, evidence, &accuracy).into_iter();
            all.extend(deliveries.filter(|delivery| its.contains(&delivery.phase.as_str())));
        }
        all
    }

    /// A phase begins.
    pub(super) fn enter(&mut self, index: usize) {
        self.windows.push(Window { started: clock::now(), ended: None });
        self.truth.enter(index);
        let phase = &self.plan.phases[index];
        let lasts_s = (phase.end - phase.start).as_secs_f64();
        self.events.say(Kind::PhaseStarted { phase: phase.name.clone(), index, lasts_s });
    }

    /// The phase that runs is over.
    pub(super) fn leave(&mut self, early: bool) {
        if let Some(window) = self.windows.last_mut() {
            window.ended = Some(clock::now());
            self.early.push(early);
            let phase = self.plan.phases[self.windows.len() - 1].name.clone();
            self.events.say(Kind::PhaseEnded { phase, early });
        }
    }

    /// A monitor said something, or nothing; a reading is given back when a guard ends the run.
    pub(super) fn heard(&mut self, heard: Heard) -> Option<String> {
        for notice in heard.notices {
            self.notice(format!("monitor `{}`: {notice}", heard.monitor));
        }
        let facts = self.monitors.get_mut(&heard.monitor)?;
        match heard.answer {
            Ok(reading) => {
                if facts.error.take().is_some() {
                    self.events.say(Kind::MonitorRecovered { monitor: heard.monitor.clone() });
                }
                for change in self.history.apply(&heard.monitor, &reading) {
                    self.events.say(Kind::AlertChanged(change));
                }
                let tripped = self.panel.heard(&heard.monitor, Ok(&reading), &self.history);
                facts.rules = reading.rules;
                facts.scrape_interval = reading.scrape_interval;
                tripped
            }
            Err(error) => {
                self.history.unreachable(&heard.monitor, heard.at);
                let tripped = self.panel.heard(&heard.monitor, Err(&error), &self.history);
                let error = error.to_string();
                if facts.error.is_none() {
                    self.events.say(Kind::MonitorUnreachable {
                        monitor: heard.monitor.clone(),
                        error: error.clone(),
                    });
                }
                facts.error = Some(error);
                tripped
            }
        }
    }

    /// A query was answered; a reading is given back when a guard ends the run.
    pub(super) fn answered(&mut self, answer: Answer) -> Option<String> {
        match answer.asker {
            Asker::Guard(number) => self.panel.answered(number, answer.result),
            Asker::Condition(phase, number) => {
                let runs = self.windows.len() == phase + 1 && self.windows[phase].ended.is_none();
                if runs {
                    let looks = self.looks.entry((phase, number)).or_default();
                    let seconds = clock::now().since(self.windows[phase].started);
                    let before = self.answered_s.insert((phase, number), seconds).unwrap_or_default();
                    match answer.result {
                        Ok((true, _)) => {
                            looks.held += 1;
                            let uncertainty_s = seconds - before;
                            looks.first = looks.first.or(Some(Measured { seconds, uncertainty_s }));
                        }
                        Ok((false, reading)) => looks.failed = looks.failed.take().or(Some(reading)),
                        Err(error) => looks.unanswered = Some(error.to_string()),
                    }
                }
                None
            }
        }
    }

    /// What callers saw until now, and which sidecars did not answer. Evidence that is not whole is not looked
    /// at: a sum that drops and comes back would look like traffic. A reading is given back when a guard ends the
    /// run.
    pub(super) fn see(&mut self, evidence: &Evidence, silent: &[String]) -> Option<String> {
        for sidecar in silent {
            if self.silent.insert(sidecar.clone()) {
                self.notice(format!("no evidence from {sidecar}"));
            }
        }
        if !silent.is_empty() {
            return self.panel.see(None);
        }
        let faults = evidence.phases.iter().flat_map(|phase| &phase.faults);
        if !self.unrecorded && faults.into_iter().any(|fault| fault.skipped.contains_key("ledger-broken")) {
            self.unrecorded = true;
            self.notice("the ledger can't be written (is the disk full?): injection has stopped".into());
        }
        if !evidence.phases.is_empty() {
            self.evidence = evidence.clone();
            self.deliveries = self.delivered(evidence);
            self.references.look(&self.plan, &self.windows, evidence);
        }
        self.panel.see(Some(evidence))
    }

    /// Something was armed: nobody has seen anything of it yet.
    pub(super) fn armed(&mut self) {
        self.panel.armed();
    }

    /// May the run start, or does a guard forbid it?
    pub(super) fn ready(&mut self) -> Result<bool, String> {
        let monitors: Vec<String> = self.monitors.keys().cloned().collect();
        self.panel.ready(&monitors)
    }

    /// The guard that ended the run, as it is written.
    pub(super) fn tripped(&self) -> Option<String> {
        self.panel.tripped()
    }

    /// How long the monitors may take to tell everything.
    pub(super) fn patience(&self) -> std::time::Duration {
        self.facts(None).patience()
    }

    pub(super) fn notice(&mut self, message: String) {
        self.events.notice(message.clone());
        self.notices.push(message);
    }

    pub(super) fn progress(&self) {
        let Some(index) = self.windows.len().checked_sub(1) else { return };
        let phase = &self.plan.phases[index];
        let seen = self.evidence.phases.get(index).cloned().unwrap_or_default();
        self.events.say(Kind::Progress(Progress {
            elapsed_s: clock::now().since(self.started),
            total_s: self.plan.lasts().as_secs_f64(),
            phase: phase.name.clone(),
            treated: numbers(&seen.treated),
            control: numbers(&seen.control),
            firing: self.history.firing_now(),
        }));
    }

    /// Decides what can be decided now; with an ending, everything.
    pub(super) fn judge(&mut self, ending: Option<Ending>) {
        let mut fresh = Vec::new();
        for (index, phase) in self.plan.phases.iter().enumerate() {
            for (number, placed) in phase.expectations.iter().enumerate() {
                if self.outcomes.contains_key(&(index, number)) {
                    continue;
                }
                let facts = self.facts(ending);
                let outcome = match &placed.expectation {
                    Expectation::Holds(_) if index < self.windows.len() => {
                        let over = ending.is_some() || self.windows[index].ended.is_some();
                        let aborted = ending.is_some_and(|ending| ending != Ending::Completed);
                        let none = Looks::default();
                        let looks = self.looks.get(&(index, number)).unwrap_or(&none);
                        verify::judge_condition(placed, &phase.name, looks, over, aborted)
                    }
                    _ => verify::judge(placed, index, facts),
                };
                let outcome = outcome.map(|outcome| self.references.beside(index, outcome, &self.monitors));
                fresh.extend(outcome.map(|outcome| ((index, number), outcome)));
            }
        }
        for (place, outcome) in fresh {
            self.events.say(Kind::Decided(outcome.clone()));
            self.outcomes.insert(place, outcome);
        }
    }

    /// Has the phase that runs nothing left to show? Only a phase that expects something can end early, and
    /// not before its faults have been seen to act.
    pub(super) fn phase_is_decided(&self) -> bool {
        let Some(index) = self.windows.len().checked_sub(1) else { return false };
        let phase = &self.plan.phases[index];
        let decided = |number| self.outcomes.contains_key(&(index, number));
        let ramps_over = phase.injections.iter().all(|injection| {
            clock::now().since(self.windows[index].started) >= injection.shape.grows_for().as_secs_f64()
        });
        !phase.expectations.is_empty()
            && (0..phase.expectations.len()).all(decided)
            && ramps_over
            && verify::all_delivered(&self.deliveries, &phase.name)
    }

    /// Is every expectation decided?
    pub(super) fn all_decided(&self) -> bool {
        self.outcomes.len() == self.plan.phases.iter().map(|phase| phase.expectations.len()).sum::<usize>()
    }

    /// What to ask the monitors about what was missed or late, once everything is decided.
    pub(super) fn questions(&self) -> Vec<(Place, Question)> {
        let ask = |(place, outcome): (&Place, &Outcome)| {
            let (phase, number) = *place;
            let placed = self.plan.phases.get(phase)?.expectations.get(number)?;
            Some((*place, verify::question(placed, phase, outcome, self.facts(None))?))
        };
        self.outcomes.iter().filter_map(ask).collect()
    }

    /// What the monitors answered to that.
    pub(super) fn explain(
        &mut self,
        questions: &[(Place, Question)],
        found: &BTreeMap<Place, Vec<(String, Findings)>>,
    ) {
        for (place, question) in questions {
            let Some(outcome) = self.outcomes.get_mut(place) else { continue };
            let findings = found.get(place).map_or(&[][..], Vec::as_slice);
            outcome.cause = verify::cause(outcome, question, findings).map(Box::new);
        }
    }

    /// The report: everything that is still open is decided now.
    pub(super) fn report(mut self, mut outline: Outline, ending: Ending, detail: Option<String>) -> Report {
        self.judge(Some(ending));
        let phases = 0..self.plan.phases.len();
        outline.phases = phases.filter_map(|i| self.plan_of(i).outline().into_iter().nth(i)).collect();
        let shares = self.former.iter().chain([&self.plan]).map(|plan| plan.exposure.widest().fraction());
        outline.exposure_share = shares.fold(0.0, f64::max);
        if self.windows.is_empty() && ending == Ending::Failed {
            self.notices.extend(detail.clone());
        }
        let unknown = self.evidence.without_identity;
        if unknown > 0 {
            self.notice(format!(
                "{unknown} requests carried no x-request-id or traceparent: what happened to them can't be repeated"
            ));
        }
        let unexpected = verify::unexpected(self.facts(Some(ending)));
        for outcome in &unexpected {
            self.events.say(Kind::Decided(outcome.clone()));
        }
        // It may have noticed since an outcome was decided.
        let last = |((index, _), outcome): ((usize, usize), Outcome)| {
            self.references.beside(index, outcome, &self.monitors)
        };
        let decided = std::mem::take(&mut self.outcomes);
        let outcomes: Vec<Outcome> = decided.into_iter().map(last).chain(unexpected).collect();
        let mut deliveries = std::mem::take(&mut self.deliveries);
        let ran = |phase: &str| self.plan.phases.iter().zip(&self.windows).any(|(ran, _)| ran.name == phase);
        deliveries.retain(|delivery| ran(&delivery.phase));
        let mut comparisons = verify::comparisons(&self.plan, &self.evidence, &self.truth.accuracy());
        comparisons.retain(|comparison| ran(&comparison.phase));
        let now = clock::now();
        let records =
            self.plan.phases.iter().zip(&self.windows).enumerate().map(|(index, (phase, window))| {
                PhaseRecord {
                    phase: phase.name.clone(),
                    started: window.started,
                    ended: window.ended.unwrap_or(now),
                    early: self.early.get(index).copied().unwrap_or_default(),
                }
            });
        Report {
            format_version: FORMAT_VERSION,
            canard_version: env!("CARGO_PKG_VERSION").to_owned(),
            outline,
            started: self.started,
            ended: now,
            ending,
            ending_detail: detail,
            phases: records.collect(),
            score: verify::score(&outcomes, &deliveries),
            exit_code: verify::exit_code(&outcomes, ending),
            deliveries,
            shadows: verify::shadows(&self.evidence),
            comparisons,
            outcomes,
            alerts: self.history.changes().to_vec(),
            rules: rules(&self.monitors),
            not_assigned: self.evidence.not_assigned,
            notices: self.notices,
            ledger: None,
        }
    }
}

/// The alerts that each monitor has a rule for.
fn rules(monitors: &BTreeMap<String, MonitorFacts>) -> BTreeMap<String, Vec<String>> {
    let names = |facts: &MonitorFacts| {
        let names: BTreeSet<&String> = facts.rules.as_ref()?.iter().map(|rule| &rule.alert).collect();
        Some(names.into_iter().cloned().collect())
    };
    monitors.iter().filter_map(|(name, facts)| Some((name.clone(), names(facts)?))).collect()
}

fn numbers(arm: &ArmEvidence) -> ArmNumbers {
    ArmNumbers {
        requests: arm.requests(),
        error_share: arm.error_share(),
        p50_s: arm.latency.quantile(0.5),
        p99_s: arm.latency.quantile(0.99),
    }
}
