//! What a stage lets a run do: where, how many units, how long, and in production who agreed.
//!
//! The file of the stage says so, not the command line: it is reviewed, and an option is quickly typed.

use serde::{Deserialize, Serialize};

use super::{
    check::{Checker, path},
    document::Document,
    problem::{Problem, one_of},
    stage::StageDocument,
};
use crate::{
    clock::{self, Timestamp},
    unit::{Date, Share, Span},
};

/// The most that a run may do in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RunLimits {
    /// Largest share of units that may be treated, by all scenarios together that a sidecar has armed at once (the sum
    /// of their shares); 80% if left out, which leaves a control group to compare with.
    pub share: Share,
    /// Longest run, all phases together; 1h if left out.
    pub lasts: Span,
}

impl Default for RunLimits {
    fn default() -> Self {
        RunLimits { share: Share::ALL.scaled(0.8), lasts: Span::from_secs(3600) }
    }
}

impl RunLimits {
    pub(super) fn is_default(&self) -> bool {
        *self == RunLimits::default()
    }
}

/// Marks an environment as production: nothing runs there without consent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Production {
    /// Who agreed to what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
}

/// What somebody agreed to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Consent {
    /// Who agreed.
    pub by: String,
    /// Largest share of units that may be treated, by all scenarios together that a sidecar has armed at once (the sum
    /// of their shares).
    pub share: Share,
    /// Most units that these scenarios may list under `always`, which no share counts; none if left out.
    #[serde(default, skip_serializing_if = "is_none")]
    pub units: u64,
    /// Longest run.
    pub lasts: Span,
    /// The last day (UTC) on which a run may end, such as `2026-12-31`.
    pub until: Date,
}

fn is_none(units: &u64) -> bool {
    *units == 0
}

/// Checks what a stage file says of it.
pub(super) fn check(checker: &mut Checker<'_>, stage: &StageDocument) {
    for (key, zero, what) in [
        ("share", stage.limits.share == Share::NONE, "a limit of 0% lets nobody be treated"),
        ("lasts", stage.limits.lasts.is_zero(), "a limit of no length lets nothing run"),
    ] {
        if zero {
            checker.push(Problem::at(path(["limits", key]), what));
        }
    }
    match &stage.production {
        Some(Production { consent: None }) => {
            let problem = Problem::at(path(["production"]), "nobody has agreed to runs in production");
            checker.push(problem.at_key().help(
                "write who did: `production: { consent: { by: Ada Lovelace, share: 1%, lasts: 10m, until: 2026-12-31 } }`",
            ));
        }
        Some(Production { consent: Some(consent) }) => {
            let at = path(["production", "consent"]);
            checker.not_blank(at.then("by"), "name of who agreed", &consent.by);
            if let Some(message) = expired(consent, clock::now()) {
                checker.push(
                    Problem::at(at.then("until"), message)
                        .label("is over")
                        .help("ask again, and write it here"),
                );
            }
        }
        None => {}
    }
}

fn expired(consent: &Consent, now: Timestamp) -> Option<String> {
    let over = now.unix_s() >= consent.until.ends_unix_s();
    over.then(|| format!("the consent of {} ended with {}", consent.by, consent.until))
}

/// What forbids a run of a scenario in a stage, now; the places are those of the scenario.
pub(super) fn objections(document: &Document, stage: &StageDocument, now: Timestamp) -> Vec<Problem> {
    let mut problems = Vec::new();
    environment(document, stage, &mut problems);
    let within = |share: Share, lasts: Span, by: &str, help: &str, problems: &mut Vec<Problem>| {
        if document.exposure.widest() > share {
            let message = format!("a share of {} is more than {by}: {share}", document.exposure.widest());
            let problem = Problem::at(path(["exposure", "share"]), message).label("over the limit");
            problems.push(problem.help(format!("treat {share} of the units at most, or {help}")));
        }
        let length = length(document);
        if length > lasts {
            let message = format!("the run lasts {length}, longer than {by}: {lasts}");
            let problem = Problem::at(path(["phases"]), message).at_key().label("all phases together");
            problems.push(problem.help(format!("shorten the phases, or {help}")));
        }
    };
    let limits = stage.limits;
    let help = format!(
        "raise `limits: {{ share: {}, lasts: {} }}` in the stage",
        if document.exposure.widest() > limits.share { document.exposure.widest() } else { limits.share },
        length(document).max(limits.lasts)
    );
    within(limits.share, limits.lasts, "the stage allows", &help, &mut problems);
    match &stage.production {
        Some(Production { consent: None }) => {
            let problem =
                Problem::at(path(["name"]), "the stage is production, and nobody has agreed to runs there");
            problems.push(problem.help("write the consent into the stage: `production: { consent: … }`"));
        }
        Some(Production { consent: Some(consent) }) => {
            let by = format!("{} agreed to", consent.by);
            within(
                consent.share,
                consent.lasts,
                &by,
                "ask for more, and write it into the stage",
                &mut problems,
            );
            let listed = document.exposure.always.len() as u64;
            if listed > consent.units {
                let message =
                    format!("{listed} units are listed, and {} agreed to {}", consent.by, consent.units);
                let problem = Problem::at(path(["exposure", "always"]), message).at_key();
                problems.push(problem.help(format!(
                    "list fewer, or ask for `units: {listed}` and write it into the stage's consent"
                )));
            }
            let end = now + length(document).duration();
            if let Some(message) = expired(consent, now) {
                let problem = Problem::at(path(["name"]), message).label("may not run any more");
                problems.push(problem.help("ask again, and write it into the stage"));
            } else if expired(consent, end).is_some() {
                let message =
                    format!("the consent of {} ends with {}, before this run", consent.by, consent.until);
                problems.push(
                    Problem::at(path(["phases"]), message)
                        .at_key()
                        .help("run it on another day, or ask again"),
                );
            }
        }
        None => {}
    }
    problems
}

fn environment(document: &Document, stage: &StageDocument, problems: &mut Vec<Problem>) {
    let wanted = &document.environments;
    if wanted.is_empty() || stage.environment.as_ref().is_some_and(|here| wanted.contains(here)) {
        return;
    }
    let at = path(["environments"]);
    problems.push(match &stage.environment {
        Some(here) => {
            Problem::at(at, format!("this scenario may run in {} only, and this is `{here}`", one_of(wanted)))
                .label("not here")
                .help(format!("name another stage with --stage, or add `{here}` if it may run there"))
        }
        None => Problem::at(
            at,
            format!("this scenario may run in {} only, and the stage has no name", one_of(wanted)),
        )
        .label("can't be told")
        .help("name the stage's file with --stage, and write `environment: …` into it"),
    });
}

/// Length of the whole run.
fn length(document: &Document) -> Span {
    let end = document.phases.iter().fold(std::time::Duration::ZERO, |end, phase| {
        let start = phase.at.map_or(end, Span::duration).max(end);
        start.saturating_add(phase.lasts.duration())
    });
    Span::from(end)
}

/// Why a scenario may not run in a stage now, if it may not: its environment, the share of units or the length are not
/// what the stage or the consent written there allows. One line each.
pub fn forbidden(document: &Document, stage: &StageDocument) -> Vec<String> {
    objections(document, stage, clock::now()).into_iter().map(Problem::in_words).collect()
}

/// The same for a run that goes on since then.
pub fn forbidden_since(document: &Document, stage: &StageDocument, begun: Timestamp) -> Vec<String> {
    objections(document, stage, begun).into_iter().map(Problem::in_words).collect()
}

/// The same for a run that begins or began then, beside others that are armed in one place: what the stage and the consent allow is for all together.
pub fn forbidden_beside(
    document: &Document,
    stage: &StageDocument,
    begun: Timestamp,
    others: &[&Document],
) -> Vec<String> {
    let mut told = forbidden_since(document, stage, begun);
    if others.is_empty() || !told.is_empty() {
        return told;
    }
    let all = || others.iter().copied().chain([document]);
    let share = all().fold(Share::NONE, |sum, one| sum.plus(one.exposure.widest()).unwrap_or(Share::ALL));
    let listed = all().map(|one| one.exposure.always.len() as u64).sum::<u64>();
    let what = |amount: String| format!("with what is armed already, {amount}, more than");
    let consent = stage.production.as_ref().and_then(|production| production.consent.as_ref());
    if share > stage.limits.share {
        let most = stage.limits.share;
        told.push(format!("{} the stage allows: {most}", what(format!("{share} of units would be treated"))));
    }
    if let Some(consent) = consent.filter(|consent| share > consent.share) {
        let what = what(format!("{share} of units would be treated"));
        told.push(format!("{what} {} agreed to: {}", consent.by, consent.share));
    }
    if let Some(consent) = consent.filter(|consent| listed > consent.units) {
        let what = what(format!("{listed} units would be listed"));
        told.push(format!("{what} {} agreed to: {}", consent.by, consent.units));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Source, check_against_stage, check_against_stage_since, compile, compile_stage};

    fn scenario(share: &str, lasts: &str, more: &str) -> (Document, Source) {
        let text = format!(
            "name: t\n{more}target: {{ protocol: http }}\nexposure: {{ share: {share} }}\n\
             phases:\n  - {{ name: a, lasts: 1m }}\n  - {{ name: b, lasts: {lasts} }}\n"
        );
        let source = Source::new("t.yaml", text);
        (compile(&source).unwrap().document, source)
    }

    fn stage(text: &str) -> StageDocument {
        compile_stage(&Source::new("stage.yaml", text), &|_| None).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// Line and message of each objection.
    fn told((document, source): &(Document, Source), stage: &StageDocument) -> Vec<(usize, String)> {
        check_against_stage(document, source, stage).into_iter().map(|d| (d.line, d.message)).collect()
    }

    const CONSENT: &str = "environment: production\nproduction:\n  consent: { by: Ada, share: 5%, lasts: 10m, until: 2099-12-31 }\n";

    #[test]
    fn a_scenario_runs_only_where_it_may() {
        let only = scenario("10%", "1m", "environments: [staging, ci]\n");
        assert!(told(&only, &stage("environment: ci\n")).is_empty());
        let wrong = told(&only, &stage("environment: production-eu\n"));
        let message = "this scenario may run in `staging` or `ci` only, and this is `production-eu`";
        assert_eq!(wrong, [(2, message.to_owned())]);
        assert_eq!(told(&only, &stage("upstream: http://127.0.0.1:1\n")).len(), 1, "no name is no match");
        assert!(told(&scenario("10%", "1m", ""), &stage("environment: anything\n")).is_empty());
    }

    #[test]
    fn listed_units_need_consent_of_their_own() {
        let (mut document, _) = scenario("1%", "1m", "");
        let plain = stage(CONSENT);
        assert!(forbidden(&document, &plain).is_empty());
        document.exposure.always = vec!["ada".into(), "bob".into()];
        let told = forbidden(&document, &plain).join("\n");
        assert!(told.contains("2 units are listed, and Ada agreed to 0"), "{told}");
        let one = stage(&CONSENT.replace("lasts: 10m", "lasts: 10m, units: 1"));
        assert_eq!(forbidden(&document, &one).len(), 1);
        let two = stage(&CONSENT.replace("lasts: 10m", "lasts: 10m, units: 2"));
        assert!(forbidden(&document, &two).is_empty());
    }

    #[test]
    fn share_and_length_have_limits_that_the_stage_may_raise() {
        let plain = stage("environment: e\n");
        assert!(told(&scenario("80%", "59m", ""), &plain).is_empty());
        let over = told(&scenario("90%", "60m", ""), &plain);
        assert_eq!(over[0], (3, "a share of 90% is more than the stage allows: 80%".to_owned()));
        assert_eq!(over[1], (4, "the run lasts 1h1m, longer than the stage allows: 1h".to_owned()));
        let raised = stage("environment: e\nlimits: { share: 100%, lasts: 2h }\n");
        assert!(told(&scenario("100%", "60m", ""), &raised).is_empty());
        let lowered = stage("environment: e\nlimits: { share: 1% }\n");
        assert_eq!(told(&scenario("2%", "1m", ""), &lowered).len(), 1);
    }

    #[test]
    fn production_wants_consent_and_keeps_to_it() {
        let agreed = stage(CONSENT);
        assert!(told(&scenario("5%", "9m", ""), &agreed).is_empty());
        let over = told(&scenario("6%", "10m", ""), &agreed);
        assert_eq!(over[0], (3, "a share of 6% is more than Ada agreed to: 5%".to_owned()));
        assert_eq!(over[1], (4, "the run lasts 11m, longer than Ada agreed to: 10m".to_owned()));
        let mut nobody = agreed.clone();
        nobody.production = Some(Production::default());
        assert!(forbidden(&scenario("1%", "1m", "").0, &nobody)[0].contains("nobody has agreed"));
    }

    #[test]
    fn what_is_armed_beside_it_counts_too() {
        let (mut one, agreed) = (scenario("2%", "1m", "").0, stage(CONSENT));
        assert!(forbidden_beside(&one, &agreed, clock::now(), &[&one]).is_empty());
        let message = "with what is armed already, 6% of units would be treated, more than Ada agreed to: 5%";
        assert_eq!(forbidden_beside(&one, &agreed, clock::now(), &[&one, &one]), [message]);
        let half = scenario("50%", "1m", "").0;
        let message =
            "with what is armed already, 100% of units would be treated, more than the stage allows: 80%";
        assert_eq!(
            forbidden_beside(&half, &stage("environment: e\n"), clock::now(), &[&half, &half]),
            [message]
        );
        one.exposure.always = vec!["ada".into()];
        let listed = stage(&CONSENT.replace("lasts: 10m", "lasts: 10m, units: 1"));
        let message = "with what is armed already, 2 units would be listed, more than Ada agreed to: 1";
        assert_eq!(forbidden_beside(&one, &listed, clock::now(), &[&one]), [message]);
    }

    #[test]
    fn consent_is_over_when_its_day_is() {
        let (document, agreed) = (scenario("1%", "4m", "").0, stage(CONSENT));
        let end = "2099-12-31".parse::<Date>().unwrap().ends_unix_s();
        let told = |before_s: f64| objections(&document, &agreed, Timestamp::from_unix_s(end - before_s));
        assert!(told(301.0).is_empty());
        assert!(told(299.0)[0].message.contains("ends with 2099-12-31, before this run"));
        assert!(told(0.0)[0].message.contains("the consent of Ada ended with 2099-12-31"));
        // A run that goes on is counted from when it began.
        let (document, source) = scenario("1%", "4m", "");
        let since = |before_s: f64| {
            check_against_stage_since(&document, &source, &agreed, Timestamp::from_unix_s(end - before_s))
                .len()
        };
        assert_eq!((since(301.0), since(299.0)), (0, 1));
    }

    #[test]
    fn a_stage_file_without_consent_or_with_an_old_one_is_refused_at_its_line() {
        let wrong = |text: &str| {
            let errors = compile_stage(&Source::new("stage.yaml", text), &|_| None).unwrap_err().list;
            (errors[0].line, errors[0].message.clone())
        };
        let (line, message) = wrong("environment: live\nproduction: {}\n");
        assert_eq!((line, message.as_str()), (2, "nobody has agreed to runs in production"));
        let (line, message) = wrong(&CONSENT.replace("2099", "2020"));
        assert_eq!((line, message.as_str()), (3, "the consent of Ada ended with 2020-12-31"));
        assert_eq!(wrong(&CONSENT.replace("2099-12-31", "soon")).0, 3);
    }
}
