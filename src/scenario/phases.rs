//! The phases of a document: their timeline, what they inject, what they expect.

use std::time::Duration;

use super::{
    check::{Checker, path},
    document::{Document, Expectation, InjectionDocument, PhaseDocument},
    exposure_check, guard_check,
    plan::{Injection, Phase, PlacedExpectation},
    problem::Problem,
    release_check, rows,
    shape::Shape,
    tree::Path,
};
use crate::{
    draw::Key,
    fault::{self, CheckContext, Fault},
    unit::{Share, Span},
    wire::Labels,
};

/// Checks and compiles the phases.
pub(super) fn build(checker: &mut Checker<'_>, document: &Document, labels: &Labels) -> Vec<Phase> {
    let all = path(["phases"]);
    if document.phases.is_empty() {
        checker.push(Problem::at(all, "a scenario needs at least one phase").at_key());
        return Vec::new();
    }
    let (timeline, known) = timeline(checker, document);
    let ends = timeline.last().map_or(Duration::ZERO, |last| last.1);
    let mut phases = Vec::new();
    for (index, (phase, (start, end))) in document.phases.iter().zip(timeline).enumerate() {
        let at = all.then(index);
        checker.name(&at.then("name"), "name of the phase", &phase.name);
        if document.phases[..index].iter().any(|p| p.name == phase.name) {
            let message = format!("another phase is called `{}` already", phase.name);
            checker.push(Problem::at(at.then("name"), message).label("must be unique"));
        }
        share(checker, document, phase, &at);
        if phase.warm_up && !(phase.inject.is_empty() && phase.expect.is_empty()) {
            let message = format!("phase `{}` warms up, and it injects or expects something", phase.name);
            let problem = Problem::at(at.then("warm-up"), message);
            checker.push(problem.help("what is to be judged belongs in a phase after it"));
        }
        let injections = injections(checker, document, phase, &at, labels);
        let left = known.then(|| Span::from(ends.saturating_sub(start)));
        let expectations = expectations(checker, phase, &at, left);
        phases.push(Phase {
            name: phase.name.clone(),
            start,
            end,
            warm_up: phase.warm_up,
            share: phase.share,
            injections,
            expectations,
        });
    }
    phases
}

/// Start and end of each phase, and whether they are all the author's own.
fn timeline(checker: &mut Checker<'_>, document: &Document) -> (Vec<(Duration, Duration)>, bool) {
    let mut known = true;
    let mut times: Vec<(Duration, Duration)> = Vec::new();
    for (index, phase) in document.phases.iter().enumerate() {
        let at = path(["phases"]).then(index);
        let previous = times.last().map_or(Duration::ZERO, |last| last.1);
        let start = phase.at.map_or(previous, Span::duration);
        if start < previous && known && checker.sound(&at.then("at")) {
            let before = &document.phases[index - 1].name;
            let message = format!(
                "phase `{}` begins at {}, before `{before}` ends at {}",
                phase.name,
                Span::from(start),
                Span::from(previous)
            );
            let help = format!(
                "phases follow one another: leave `at` out, or begin at {} or later",
                Span::from(previous)
            );
            checker.push(Problem::at(at.then("at"), message).label("overlaps").help(help));
        }
        if phase.lasts.is_zero() {
            let problem = Problem::at(at.then("lasts"), "a phase of no length does nothing");
            checker.push(problem.help("give it a length, such as 30s"));
        }
        known &= checker.sound(&at.then("lasts")) && checker.sound(&at.then("at"));
        let start = start.max(previous);
        times.push((start, start.saturating_add(phase.lasts.duration())));
    }
    (times, known)
}

/// The share of a phase that has one of its own.
fn share(checker: &mut Checker<'_>, document: &Document, phase: &PhaseDocument, at: &Path) {
    let Some(share) = phase.share else { return };
    let whole = document.exposure.widest();
    let at = at.then("share");
    let written = checker.sound(&path(["exposure", "share"]));
    if whole == Share::NONE && ![Share::NONE, Share::ALL].contains(&share) && written {
        let problem = Problem::at(at, format!("there is nobody to treat {share} of"));
        checker.push(problem.label("only listed units are treated").help(
            "give it 100% to treat the units under `exposure.always`, 0% to treat nobody, or raise `exposure.share`",
        ));
    } else if share > whole && whole != Share::NONE && written {
        let message = format!("{share} is more than the blast radius of {whole}");
        let problem = Problem::at(at, message).label("more than `exposure.share`");
        checker.push(problem.help(
            "a phase treats all of the exposure's units or some of them: lower this share or raise `exposure.share`",
        ));
    } else if share == Share::NONE && !phase.inject.is_empty() {
        let problem = Problem::at(at, format!("nobody is treated in phase `{}`, and it injects", phase.name));
        checker.push(problem.help("give it a share above 0%, or inject nothing"));
    }
}

/// Who can have what has this share: no more than the exposure's widest rule lets be treated.
pub(super) fn share_within(document: &Document, share: Option<Share>) -> Share {
    let widest = document.exposure.widest();
    share.filter(|share| *share < widest).unwrap_or(widest)
}

fn injections(
    checker: &mut Checker<'_>,
    document: &Document,
    phase: &PhaseDocument,
    at: &Path,
    labels: &Labels,
) -> Vec<Injection> {
    let mut compiled: Vec<Injection> = Vec::new();
    for (index, injection) in phase.inject.iter().enumerate() {
        let place = at.then("inject").then(index);
        self::injection(checker, document, phase, &place, injection, labels);
        // With another `where`, group or shape they act on other requests, or at other times.
        let together = |other: &&InjectionDocument| {
            (&other.only, &other.group, &other.shape, other.ramp)
                == (&injection.only, &injection.group, &injection.shape, injection.ramp)
        };
        let contradiction = phase.inject[..index].iter().filter(together).find_map(|other| {
            let why = injection.fault.contradicts(&other.fault)?;
            Some(format!(
                "`{}` and `{}` contradict each other: {why}",
                other.fault.name(),
                injection.fault.name()
            ))
        });
        if let Some(message) = contradiction {
            let help = "put them into phases of their own";
            checker.push(Problem::at(place.then("fault"), message).at_key().help(help));
        }
        let fault = injection.fault.name();
        let same = phase.inject[..index].iter().filter(|i| i.fault.name() == fault).count();
        let suffix = if same == 0 { String::new() } else { format!("#{}", same + 1) };
        // A name that can't stand in a header was refused above; the plan is thrown away then.
        let mark = http::HeaderValue::from_str(&format!("{}/{fault}", document.name))
            .unwrap_or(http::HeaderValue::from_static("canard"));
        compiled.push(Injection {
            id: format!("{}/{fault}{suffix}", phase.name),
            mark,
            fault: injection.fault.clone(),
            shape: injection.shape.unwrap_or_else(|| Shape::from_ramp(injection.ramp)),
            only: rows::only(checker, &document.target.protocol, &place, injection),
            group: rows::group(checker, &document.target.protocol, &place, &injection.fault),
            share: share_within(document, injection.share.or(phase.share)),
            for_group: exposure_check::group_number(&document.exposure, injection.group.as_deref()),
            of_release: false,
            key: Key::new(document.seed, &format!("{}/{index}/{fault}", phase.name)),
        });
    }
    compiled.extend(release_check::routes(document, phase));
    compiled.sort_by_key(|injection| injection.fault.stage());
    compiled
}

fn injection(
    checker: &mut Checker<'_>,
    document: &Document,
    phase: &PhaseDocument,
    at: &Path,
    injection: &InjectionDocument,
    labels: &Labels,
) {
    let InjectionDocument { fault, ramp, share, group, only: _, shape } = injection;
    exposure_check::group(checker, at, &document.exposure, group.as_deref());
    let settings = at.then("fault").then(fault.name());
    check_fault(checker, document, &settings, fault, labels);
    if let Some(ramp) = ramp {
        let lasts = at_phase_lasts(at);
        if shape.is_some() {
            let problem =
                Problem::at(at.then("ramp"), "a `ramp` beside a `shape` says two things about one size");
            checker.push(problem.help("keep one of them; as a shape it is `ramp: { over: 15s }`"));
        } else if ramp.is_zero() {
            checker.push(Problem::at(at.then("ramp"), "a ramp of no length is none").help("leave it out"));
        } else if *ramp > phase.lasts && checker.sound(&lasts) {
            let message = format!("the ramp of {ramp} is longer than its phase of {}", phase.lasts);
            let problem = Problem::at(at.then("ramp"), message).label("never reaches full size");
            checker.push(problem.help("shorten the ramp or lengthen the phase"));
        }
    }
    if let Some(shape) = shape
        && checker.sound(&at_phase_lasts(at))
    {
        let found = shape.check(phase.lasts, document.exposure.unit.is_some());
        push_all(checker, &at.then("shape"), found);
    }
    if let Some(share) = share {
        let whole = document.exposure.widest();
        let step = phase.share.filter(|step| *step < *share && *step != Share::NONE);
        if *share == Share::NONE {
            checker.push(Problem::at(at.then("share"), "a share of 0% treats nobody"));
        } else if let Some(step) = step {
            let message = format!("{share} is more than the {step} of its phase");
            let problem = Problem::at(at.then("share"), message).label("more than the phase's `share`");
            checker.push(problem.help("lower this share, or raise that of the phase"));
        } else if *share > whole && whole != Share::NONE && checker.sound(&path(["exposure", "share"])) {
            let message = format!("{share} is more than the blast radius of {whole}");
            let problem = Problem::at(at.then("share"), message).label("more than `exposure.share`");
            checker.push(problem.help(
                "the units that get a fault are among the treated: lower this share or raise `exposure.share`",
            ));
        }
    }
}

/// `phases[n].lasts` for `phases[n].inject[m]`.
fn at_phase_lasts(injection: &Path) -> Path {
    Path(injection.0[..2].to_vec()).then("lasts")
}

fn check_fault(
    checker: &mut Checker<'_>,
    document: &Document,
    settings: &Path,
    fault: &Fault,
    labels: &Labels,
) {
    if fault.rate() == Share::NONE {
        let problem = Problem::at(settings.then("rate"), "a fault with a rate of 0% never acts");
        checker.push(problem.help("give it a rate, or leave the fault out"));
    }
    let found = fault.check(&CheckContext { protocol: &document.target.protocol, labels });
    push_all(checker, settings, found);
}

/// Mistakes in settings that stand at `place`.
fn push_all(checker: &mut Checker<'_>, place: &Path, problems: Vec<fault::Problem>) {
    for problem in problems {
        let place = match problem.key {
            "" => place.clone(),
            key => key.split('.').fold(place.clone(), |path, step| path.then(step)),
        };
        let mistake = Problem::at(place, problem.message).maybe_help(problem.help).always(problem.always);
        checker.push(if problem.key.is_empty() { mistake.at_key() } else { mistake });
    }
}

fn expectations(
    checker: &mut Checker<'_>,
    phase: &PhaseDocument,
    at: &Path,
    left: Option<Span>,
) -> Vec<PlacedExpectation> {
    let mut placed = Vec::new();
    for (index, expectation) in phase.expect.iter().enumerate() {
        let place = at.then("expect").then(index);
        let place = place.then(kind(expectation));
        if let Some(alert) = alert(expectation) {
            checker.not_blank(place.then("alert"), "name of the alert", alert);
        }
        match expectation {
            Expectation::Fires(e) => {
                within(checker, place.then("within"), e.within, left);
                let silent = |other: &&Expectation| matches!(other, Expectation::Silent(s) if s.alert == e.alert && s.monitor == e.monitor);
                if phase.expect.iter().any(|other| silent(&other)) {
                    let message = format!("`{}` can't both fire and stay silent in one phase", e.alert);
                    checker
                        .push(Problem::at(place.then("alert"), message).label("expected to be silent too"));
                }
            }
            Expectation::Clears(e) => within(checker, place.then("within"), e.within, left),
            Expectation::Holds(check) => guard_check::holds(checker, &place, check, phase.lasts),
            Expectation::Silent(_) => {}
        }
        placed.push(PlacedExpectation { expectation: expectation.clone(), line: checker.line(&place) });
    }
    placed
}

fn within(checker: &mut Checker<'_>, at: Path, within: Span, left: Option<Span>) {
    if within.is_zero() {
        checker.push(Problem::at(at, "no alert is as fast as that").help("give a time, such as 30s"));
    } else if let Some(left) = left.filter(|left| within > *left) {
        let message = format!("the run ends {left} after this phase begins, before the {within} are over");
        let problem = Problem::at(at, message).label("could not be told");
        checker.push(problem.help("shorten `within`, lengthen the phase, or add a recovery phase behind it"));
    }
}

/// The key that an expectation is written under.
pub(super) fn kind(expectation: &Expectation) -> &'static str {
    match expectation {
        Expectation::Fires(_) => "fires",
        Expectation::Silent(_) => "silent",
        Expectation::Clears(_) => "clears",
        Expectation::Holds(_) => "holds",
    }
}

/// The alert that an expectation is about.
pub(super) fn alert(expectation: &Expectation) -> Option<&str> {
    match expectation {
        Expectation::Fires(e) => Some(&e.alert),
        Expectation::Silent(e) => Some(&e.alert),
        Expectation::Clears(e) => Some(&e.alert),
        Expectation::Holds(_) => None,
    }
}
