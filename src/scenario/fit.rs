//! Does a scenario fit a stage?

use super::{
    check::path,
    document::{Document, Expectation},
    guard::{Guard, Question},
    permit, phases,
    problem::{Problem, nearest, one_of},
    shadow_check,
    source::{Diagnostic, Source},
    stage::{Monitor, StageDocument, default_stage},
    tree::{Node, Path},
};
use crate::{
    clock::{self, Timestamp},
    fault::StaleModel,
};

/// What a scenario asks of a stage that the stage can't give: monitors and probes that it does not have, PromQL asked
/// of one that answers none, alerts that none of its monitors can know; and what the stage does not let it do.
pub fn check_against_stage(document: &Document, source: &Source, stage: &StageDocument) -> Vec<Diagnostic> {
    check_against_stage_since(document, source, stage, clock::now())
}

/// The same for a run that goes on since then.
pub fn check_against_stage_since(
    document: &Document,
    source: &Source,
    stage: &StageDocument,
    begun: Timestamp,
) -> Vec<Diagnostic> {
    let Ok(tree) = Node::parse(source) else { return Vec::new() };
    let mut asked = Asked { stage, problems: permit::objections(document, stage, begun) };
    for (index, phase) in document.phases.iter().enumerate() {
        for (number, expectation) in phase.expect.iter().enumerate() {
            let at = path(["phases"]).then(index).then("expect").then(number);
            asked.expectation(&at.then(phases::kind(expectation)), expectation);
        }
    }
    for (at, upstream, _) in document.release.iter().flat_map(|release| release.upstreams()) {
        asked.candidate(&at, upstream);
    }
    if let Some((at, mirror)) = document.release.as_ref().and_then(|release| release.mirror()) {
        asked.candidate(&at, mirror);
    }
    asked.problems.extend(shadow_check::check_against_stage(document, stage));
    for (index, guard) in document.abort.iter().enumerate() {
        let at = path(["abort"]).then(index);
        match guard {
            Guard::Query(_) => asked.question(&at.then("query"), guard.question()),
            Guard::Probe(_) => asked.probe_named(&at.then("probe").then("name"), guard.question()),
            Guard::Alert(alert) => {
                let at = at.then("alert");
                asked.alert(&at, &at.then("name"), &alert.name, alert.monitor.as_ref());
            }
            Guard::Observed(_) | Guard::Budget(_) => {}
        }
    }
    let mut list: Vec<Diagnostic> =
        asked.problems.into_iter().filter_map(|p| p.place(source, &tree)).collect();
    list.sort_by_key(|d| d.span.start);
    list
}

struct Asked<'a> {
    stage: &'a StageDocument,
    problems: Vec<Problem>,
}

impl<'a> Asked<'a> {
    fn expectation(&mut self, at: &Path, expectation: &Expectation) {
        let (alert, monitor) = match expectation {
            Expectation::Fires(e) => (&e.alert, &e.monitor),
            Expectation::Silent(e) => (&e.alert, &e.monitor),
            Expectation::Clears(e) => (&e.alert, &e.monitor),
            Expectation::Holds(check) => return self.question(at, check.question()),
        };
        self.alert(at, &at.then("alert"), alert, monitor.as_ref());
    }

    fn alert(&mut self, at: &Path, place: &Path, alert: &str, monitor: Option<&String>) {
        let asked: Vec<&'a Monitor> = match monitor {
            Some(name) => match self.monitor(at, name) {
                Some(monitor) => vec![monitor],
                None => return,
            },
            None => self.stage.monitors.values().collect(),
        };
        let mut known: Vec<&str> = Vec::new();
        for monitor in &asked {
            match monitor {
                Monitor::Builtin(settings) => known.extend(settings.rules.keys().map(String::as_str)),
                // Only asking it tells which rules it has.
                _ => return,
            }
        }
        if known.contains(&alert) {
            return;
        }
        let problem = Problem::at(place.clone(), format!("no monitor of {} knows `{alert}`", self.name()));
        let problem = match nearest(alert, &known) {
            Some(right) => problem.label(format!("did you mean `{right}`?")),
            None => problem.label("can never fire"),
        };
        self.problems.push(match known.as_slice() {
            [] => problem.help("give the stage a monitor"),
            known => problem.help(format!("its rules are {}", one_of(known))),
        });
    }

    fn question(&mut self, at: &Path, question: Option<Question<'_>>) {
        let Some(Question::Promql { monitor, .. }) = question else {
            return self.probe_named(&at.then("probe"), question);
        };
        match self.monitor(at, monitor) {
            Some(Monitor::Prometheus(_)) | None => {}
            Some(_) => {
                let message = format!("monitor `{monitor}` answers no PromQL");
                let problem = Problem::at(at.then("monitor"), message);
                self.problems.push(problem.help("name a `prometheus` monitor of the stage"));
            }
        }
    }

    fn probe_named(&mut self, at: &Path, question: Option<Question<'_>>) {
        let Some(Question::Probe { probe, .. }) = question else { return };
        if self.stage.probes.contains_key(probe) {
            return;
        }
        let names: Vec<&str> = self.stage.probes.keys().map(String::as_str).collect();
        let problem = Problem::at(at.clone(), format!("{} has no probe `{probe}`", self.name()));
        let problem = match nearest(probe, &names) {
            Some(right) => problem.label(format!("did you mean `{right}`?")),
            None => problem.label("not there"),
        };
        self.problems.push(match names.as_slice() {
            [] => problem.help(format!("give the stage one: `probes: {{ {probe}: {{ url: http://… }} }}`")),
            names => problem.help(format!("its probes are {}", one_of(names))),
        });
    }

    /// Another upstream, by its name or its address. A sidecar that `run` hosts has the stage's candidates and no
    /// other; what those elsewhere have, they tell when they are armed.
    fn candidate(&mut self, at: &Path, name: &str) {
        let candidates = &self.stage.candidates;
        let built_in = *self.stage == default_stage();
        let hosted = self.stage.sidecars.is_empty() && (self.stage.upstream.is_some() || built_in);
        let is = |(known, address): (&String, &String)| {
            StaleModel::means(name, Some(known), &address.trim().parse().unwrap_or_default())
        };
        if !hosted || candidates.iter().any(is) {
            return;
        }
        let problem = Problem::at(at.clone(), format!("{} has no candidate `{name}`", self.name()));
        let names: Vec<&str> = candidates.keys().map(String::as_str).collect();
        let one =
            if name.contains("://") { format!("next: {name:?}") } else { format!("{name}: http://…") };
        self.problems.push(match names.as_slice() {
            [] if built_in => problem.help(format!(
                "name a stage that has an `upstream` and this one with --stage: `candidates: {{ {one} }}`"
            )),
            [] => problem.help(format!("give the stage one: `candidates: {{ {one} }}`")),
            names => problem.help(format!("its candidates are {}", one_of(names))),
        });
    }

    fn monitor(&mut self, at: &Path, name: &str) -> Option<&'a Monitor> {
        let stage = self.stage;
        let found = stage.monitors.get(name);
        if found.is_none() {
            let names: Vec<&str> = stage.monitors.keys().map(String::as_str).collect();
            let problem = Problem::at(at.then("monitor"), format!("{} has no monitor `{name}`", self.name()));
            let problem = match nearest(name, &names) {
                Some(right) => problem.label(format!("did you mean `{right}`?")),
                None => problem.label("not there"),
            };
            self.problems.push(match names.as_slice() {
                [] => problem.help("it has no monitors at all"),
                names => problem.help(format!("its monitors are {}", one_of(names))),
            });
        }
        found
    }

    fn name(&self) -> String {
        match &self.stage.environment {
            Some(name) => format!("the stage `{name}`"),
            None => "the stage".to_owned(),
        }
    }
}
