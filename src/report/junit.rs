//! `junit.xml`, as GitHub, GitLab and Jenkins read it.
//!
//! One test case an expectation. The monitoring falling short is a *failure*; what can't be told is an
//! *error*, since a skipped test would pass in silence.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::words;
use crate::event::{Ending, Outcome, Report, Verdict};

/// The report as JUnit XML.
pub fn junit(report: &Report) -> String {
    junit_of_all(&[(report.outline.scenario.as_str(), Ok(report))])
}

/// Several runs, each under a name of its own with its report or why it could not begin, as one JUnit XML.
pub fn junit_of_all(runs: &[(&str, Result<&Report, &str>)]) -> String {
    let mut junit = Junit::new("canard");
    junit.add_test_suites(runs.iter().map(|(name, report)| match report {
        Ok(report) => suite(name, report),
        Err(why) => no_run(name, why),
    }));
    junit.to_string().unwrap_or_default()
}

/// A run that could not begin: one case that is an error.
fn no_run(name: &str, why: &str) -> TestSuite {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(format!("could not begin: {why}"));
    let mut suite = TestSuite::new(name);
    suite.add_test_case(TestCase::new("run", status));
    suite
}

fn suite(name: &str, report: &Report) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.set_time(seconds(report.ended.since(report.started)));
    suite.add_property(("seed", report.outline.seed.to_string().as_str()));
    suite.add_property(("stage", report.outline.stage.as_str()));
    suite.add_test_cases(report.outcomes.iter().map(|outcome| case(report, outcome)));
    if report.outcomes.is_empty() || report.ending != Ending::Completed {
        let mut run = TestCase::new("run", ending(report));
        run.set_classname(report.outline.scenario.as_str());
        suite.add_test_case(run);
    }
    suite
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}

fn ending(report: &Report) -> TestCaseStatus {
    if report.exit_code == 0 {
        return TestCaseStatus::success();
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(words::headline(report));
    status
}

fn case(report: &Report, outcome: &Outcome) -> TestCase {
    let mut status = match outcome.verdict {
        Verdict::Met => TestCaseStatus::success(),
        Verdict::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
        _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    if outcome.verdict != Verdict::Met {
        let advice = outcome.advice.as_deref().map_or(String::new(), |advice| format!("\n{advice}"));
        status.set_type(words::verdict(outcome));
        let why = outcome.cause.as_deref().map_or(String::new(), |cause| format!(" ({})", words::why(cause)));
        let in_full = outcome.cause.as_deref();
        let in_full = in_full.map_or(String::new(), |cause| format!("\n{}", words::why_in_full(cause)));
        status.set_message(format!("{}: {}{why}", words::verdict(outcome), outcome.detail));
        status.set_description(format!("{}{advice}{in_full}", outcome.detail));
    }
    let mut case = TestCase::new(words::expectation(outcome), status);
    case.set_classname(format!("{}.{}", report.outline.scenario, outcome.phase));
    if let Some(time) = outcome.time {
        case.set_time(seconds(time.seconds));
    }
    case
}
