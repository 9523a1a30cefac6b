//! Conditions that tell the rows of a batch apart: `where` of an injection, and the `group` of a fault.

use super::{
    check::Checker, document::InjectionDocument, expression::Condition, problem::Problem, tree::Path,
};
use crate::{
    fault::{Fault, Stage},
    wire::{Content, Protocol},
};

/// Which rows an injection may touch; `None`: all of them.
pub(super) fn only(
    checker: &mut Checker<'_>,
    protocol: &Protocol,
    at: &Path,
    injection: &InjectionDocument,
) -> Option<Condition> {
    let text = injection.only.as_ref()?;
    let at = at.then("where");
    let condition = checker.row_expression(at.clone(), text, Condition::compile_for_rows(text))?;
    if condition.needs_features() {
        features(checker, protocol, at, &injection.fault);
    }
    Some(condition)
}

/// Which rows are the group of a fault, if it knows one.
pub(super) fn group(
    checker: &mut Checker<'_>,
    protocol: &Protocol,
    at: &Path,
    fault: &Fault,
) -> Option<Condition> {
    let text = fault.behaviour().group()?;
    let at = at.then("fault").then(fault.name()).then("group");
    let condition = checker.row_expression(at.clone(), text, Condition::compile_for_rows(text))?;
    if condition.is_everything() {
        let problem = Problem::at(at, "everybody is in this group, and nobody is left to compare it with");
        checker.push(problem.help("tell the group by a feature or a header"));
    } else if condition.needs_features() {
        features(checker, protocol, at, fault);
    }
    Some(condition)
}

/// Can this target tell features to this fault?
fn features(checker: &mut Checker<'_>, protocol: &Protocol, at: Path, fault: &Fault) {
    if !protocol.carries(Content::Features) {
        let message = format!("canard reads no features from protocol `{}`", protocol.name());
        let help = "tell rows apart by `request.headers[\"…\"]` or `request.body`, or name the protocol that the model \
                    server speaks";
        checker.push(Problem::at(at, message).label("reads features").help(help));
    } else if !matches!(fault.stage(), Stage::Request | Stage::Prediction) {
        let message = format!(
            "`{}` acts on whole requests, which the features of one row don't tell apart",
            fault.name()
        );
        let help = "use `request.…` here; features tell rows apart for faults on predictions and on features";
        checker.push(Problem::at(at, message).label("reads features").help(help));
    }
}
