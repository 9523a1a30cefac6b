//! What a document means: every check that types alone can't make, and the plan it compiles to.
//!
//! Checks and compilation are one pass, so that nothing is compiled that was not checked. All mistakes are
//! collected; a plan comes out only if there are none.

use std::path::PathBuf;

use super::{
    document::{Document, TargetDocument, TrafficDocument},
    exposure_check,
    expression::{Condition, ExpressionError},
    guard_check, phases,
    plan::{Plan, Target},
    problem::Problem,
    release_check,
    source::Source,
    tree::{Node, Path, Step},
};
use crate::{
    unit::{Comparison, Rate},
    wire::{Labels, Outputs, Protocol},
};

/// The text that a document came from.
#[derive(Debug)]
pub(super) struct Places<'a> {
    source: &'a Source,
    tree: &'a Node,
}

impl<'a> Places<'a> {
    pub(super) fn in_source(source: &'a Source, tree: &'a Node) -> Places<'a> {
        Places { source, tree }
    }
}

/// A campaign has no more runs than this.
pub const MOST_RUNS: u32 = 1000;

/// Collects what is wrong.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    places: Option<&'a Places<'a>>,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(places: Option<&'a Places<'a>>) -> Checker<'a> {
        Checker { places, problems: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<Problem> {
        self.problems
    }

    /// Did what stands at `path` come from a variable?
    pub(super) fn hidden(&self, path: &Path) -> bool {
        self.places.is_none_or(|places| places.tree.find(path).node.hidden)
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Is what stands at `path` the author's own?
    pub(super) fn sound(&self, path: &Path) -> bool {
        self.places.is_none_or(|places| !places.tree.find(path).made_up)
    }

    /// The line of a path.
    pub(super) fn line(&self, path: &Path) -> Option<usize> {
        self.places.map(|p| p.source.diagnostic(p.tree.find(path).span, "", "").line)
    }

    /// A name that becomes part of ids, headers and file names.
    pub(super) fn name(&mut self, path: &Path, what: &str, name: &str) {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let problem = if name.is_empty() {
            Problem::at(path.clone(), format!("the {what} is empty"))
        } else if let Some(wrong) = name.chars().find(|c| !fine(*c)) {
            Problem::at(path.clone(), format!("the {what} `{name}` holds {wrong:?}"))
        } else if name.len() > 64 {
            Problem::at(path.clone(), format!("the {what} is longer than 64 characters"))
        } else {
            return;
        };
        self.push(
            problem
                .help("it becomes part of ids, headers and file names: use a-z, A-Z, 0-9, `-`, `_` and `.`"),
        );
    }

    /// A text that must say something.
    pub(super) fn not_blank(&mut self, path: Path, what: &str, text: &str) {
        if text.trim().is_empty() {
            self.push(Problem::at(path, format!("the {what} is empty")));
        }
    }

    pub(super) fn expression<T>(
        &mut self,
        path: Path,
        text: &str,
        compiled: Result<T, ExpressionError>,
    ) -> Option<T> {
        let help = "CEL over `request.method`, `request.path`, `request.headers[\"…\"]` and `request.body`, such as \
                    `request.path.startsWith(\"/v2/\")`";
        self.expression_with(path, text, compiled, help)
    }

    /// An expression that may look at features too.
    pub(super) fn row_expression<T>(
        &mut self,
        path: Path,
        text: &str,
        compiled: Result<T, ExpressionError>,
    ) -> Option<T> {
        let help = "CEL over `features` and `request`, such as `features[\"age\"] >= 65`, `features[0] < 0.5` or \
                    `request.headers[\"x-tenant\"] == \"a\"`";
        self.expression_with(path, text, compiled, help)
    }

    /// An expression over the answer of a probe.
    pub(super) fn answer_expression<T>(
        &mut self,
        path: Path,
        text: &str,
        compiled: Result<T, ExpressionError>,
    ) -> Option<T> {
        let help = "CEL over `status` and `body`, such as `body.status == \"ok\"` or `status == 200`";
        self.expression_with(path, text, compiled, help)
    }

    pub(super) fn expression_with<T>(
        &mut self,
        path: Path,
        text: &str,
        compiled: Result<T, ExpressionError>,
        help: &str,
    ) -> Option<T> {
        let told = compiled.map_err(|error| {
            let offset =
                error.offset.and_then(|o| text.char_indices().map(|(i, _)| i).chain([text.len()]).nth(o));
            let problem = Problem::at(path, format!("this expression can't be used: {}", error.message));
            self.push(problem.inside(text, offset).label("here").help(help));
        });
        told.ok()
    }
}

/// A path from the root.
pub(super) fn path<const N: usize>(steps: [&str; N]) -> Path {
    Path(steps.into_iter().map(Step::from).collect())
}

/// Checks a document and compiles it. There is a plan only if there are no problems.
pub(super) fn build(document: Document, places: Option<&Places<'_>>) -> (Option<Plan>, Vec<Problem>) {
    let mut checker = Checker::new(places);
    checker.name(&path(["name"]), "name of the scenario", &document.name);
    for (key, count, least) in [("repeat", document.repeat, 1), ("null-runs", document.null_runs, 0)] {
        if let Some(count) = count.filter(|count| !(least..=MOST_RUNS).contains(count)) {
            let message = format!("{count} is no number of runs");
            checker.push(Problem::at(path([key]), message).help(format!("from {least} to {MOST_RUNS}")));
        }
    }
    let target = target(&mut checker, &document.target);
    let exposure = exposure_check::build(&mut checker, &document);
    let traffic = document.traffic.as_ref().map(|t| traffic(&mut checker, t));
    let labels = target.as_ref().map(|t| t.labels.clone()).unwrap_or_default();
    let phases = phases::build(&mut checker, &document, &labels);
    let release = release_check::build(&mut checker, &document);
    for (index, guard) in document.abort.iter().enumerate() {
        guard_check::guard(&mut checker, path(["abort"]).then(index), guard);
    }
    if !checker.problems.is_empty() {
        return (None, checker.problems);
    }
    let plan = target.zip(exposure).map(|(target, exposure)| Plan {
        target,
        exposure,
        release,
        traffic,
        phases,
        guards: document.abort.clone(),
        document,
    });
    (plan, checker.problems)
}

fn target(checker: &mut Checker<'_>, target: &TargetDocument) -> Option<Target> {
    let when = match &target.when {
        Some(text) => checker.expression(path(["target", "when"]), text, Condition::compile(text)),
        None => Some(Condition::default()),
    };
    for (index, label) in target.labels.iter().enumerate() {
        if target.labels[..index].contains(label) {
            let place = path(["target", "labels"]).then(index);
            checker.push(Problem::at(place, format!("label `{label}` stands twice")));
        }
    }
    match &target.protocol {
        Protocol::Json(api) if api.label.is_none() && api.scores.is_none() => {
            let problem = Problem::at(path(["target", "protocol", "json"]), "no path leads to a prediction");
            checker.push(problem.help(
                "give `label: $.…` or `scores: $.…`; for a service without predictions write `protocol: http`",
            ));
        }
        Protocol::Json(_) | Protocol::Http if target.outputs != Outputs::default() => {
            let message = format!("protocol `{}` has no named outputs", target.protocol.name());
            checker.push(Problem::at(path(["target", "outputs"]), message));
        }
        _ => {}
    }
    Some(Target {
        codec: target.protocol.codec(&target.outputs),
        protocol: target.protocol.clone(),
        labels: Labels::new(target.labels.iter().cloned()),
        when: when?,
    })
}

fn traffic(checker: &mut Checker<'_>, traffic: &TrafficDocument) -> (Rate, PathBuf) {
    if let Some(places) = checker.places {
        let file = places.source.folder.join(&traffic.requests);
        let problem = match std::fs::metadata(&file) {
            Ok(metadata) if metadata.is_file() => None,
            Ok(_) => Some(format!("`{}` is no file", traffic.requests.display())),
            Err(error) => Some(format!("`{}` can't be read: {error}", traffic.requests.display())),
        };
        if let Some(message) = problem {
            checker.push(Problem::at(path(["traffic", "requests"]), message).help(
                "the file of recorded requests, one JSON object a line; its path starts at the scenario's folder",
            ));
        }
    }
    (traffic.rate, traffic.requests.clone())
}

/// A limit on something that is a share.
pub(super) fn share_limit(checker: &mut Checker<'_>, at: Path, limit: &Comparison) {
    if !(0.0..=1.0).contains(&limit.limit()) || limit.to_string().ends_with(|c: char| c.is_ascii_alphabetic())
    {
        let problem = Problem::at(at, format!("`{limit}` is no limit on a share"));
        checker.push(problem.help("write it in percent, such as `> 20%`"));
    }
}

/// A limit on something that is a time.
pub(super) fn time_limit(checker: &mut Checker<'_>, at: Path, limit: &Comparison) {
    if !limit.to_string().ends_with(|c: char| c.is_ascii_alphabetic()) {
        let problem = Problem::at(at, format!("`{limit}` is no limit on a time"));
        checker.push(problem.help("write it with its unit, such as `> 250ms` or `> 2s`"));
    }
}
