//! What can't be under `release: shadow`, because no caller sees what the faults do.

use super::{
    check::{Checker, path},
    document::{Document, Expectation},
    phases,
    problem::Problem,
    release::ShadowDocument,
    stage::{Monitor, StageDocument},
};
use crate::fault::{Stage, StaleModel};

/// Checks a document with shadows.
pub(super) fn check(checker: &mut Checker<'_>, document: &Document, shadow: &ShadowDocument) {
    let mirror = shadow.mirror.as_deref();
    if let Some(problem) = mirror.and_then(StaleModel::no_upstream) {
        let at = path(["release", "shadow", "mirror"]);
        checker.push(Problem::at(at, problem.message).maybe_help(problem.help));
    }
    for (index, phase) in document.phases.iter().enumerate() {
        let at = path(["phases"]).then(index);
        for (number, injection) in phase.inject.iter().enumerate() {
            let fault = &injection.fault;
            if mirror.is_none() && fault.stage() == Stage::Request {
                let message = format!("nobody would answer the request that `{}` changed", fault.name());
                let place = at.then("inject").then(number).then("fault");
                let problem = Problem::at(place, message).at_key().label("the true answer is played again");
                checker.push(
                    problem.help("name an upstream that answers the copies: `shadow: { mirror: NAME }`"),
                );
            }
        }
        for (number, expectation) in phase.expect.iter().enumerate() {
            if monitor(expectation) == Some(None) {
                let place = at.then("expect").then(number).then(phases::kind(expectation));
                let problem =
                    Problem::at(place, "callers see nothing of a shadow, nor does a monitor of theirs");
                checker.push(
                    problem.at_key().label("which monitor could see it?").help(
                        "name the `monitor` that reads the mirror or the payload log, or expect `silent`",
                    ),
                );
            }
        }
    }
}

/// The monitor that has to see a fault, if one has to.
fn monitor(expectation: &Expectation) -> Option<Option<&String>> {
    match expectation {
        Expectation::Fires(e) => Some(e.monitor.as_ref()),
        Expectation::Clears(e) => Some(e.monitor.as_ref()),
        Expectation::Silent(_) | Expectation::Holds(_) => None,
    }
}

/// Expectations that no monitor of the stage can meet: the built-in one sees what callers see.
pub(super) fn check_against_stage(document: &Document, stage: &StageDocument) -> Vec<Problem> {
    let mut problems = Vec::new();
    if document.release.as_ref().is_none_or(|release| release.shadow().is_none()) {
        return problems;
    }
    for (index, phase) in document.phases.iter().enumerate() {
        for (number, expectation) in phase.expect.iter().enumerate() {
            let Some(Some(name)) = monitor(expectation) else { continue };
            if matches!(stage.monitors.get(name), Some(Monitor::Builtin(_))) {
                let at = path(["phases"]).then(index).then("expect").then(number);
                let place = at.then(phases::kind(expectation)).then("monitor");
                let message = format!("monitor `{name}` sees what callers see, and nothing of a shadow");
                problems.push(
                    Problem::at(place, message)
                        .help("name one that reads the mirror or the payload log, or expect `silent`"),
                );
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use crate::scenario::{
        Source, StageDocument, check_against_stage, compile, compile_stage, default_stage, unnamed_stage,
    };

    fn scenario(shadow: &str, fault: &str, expect: &str) -> String {
        format!(
            "name: t\ntarget: {{ protocol: open-inference }}\nrelease: {{ shadow: {shadow} }}\nphases:\n  - name: p\n    \
             lasts: 1m\n    inject: [{{ fault: {fault} }}]\n    expect: [{expect}]\n"
        )
    }

    const MISLABEL: &str = "{ mislabel: { rate: 30%, to: setosa } }";

    #[test]
    fn what_nobody_could_see_or_answer_is_refused() {
        const NOISE: &str = "{ feature-zero: { columns: [0], rate: 100% } }";
        const FIRES: &str = "fires: { alert: Drift, within: 10s";
        let wrong = |shadow: &str, fault: &str, expect: &str| {
            let text = scenario(shadow, fault, expect);
            let list = compile(&Source::new("t.yaml", text)).map_or_else(|e| e.list, |_| Vec::new());
            list.into_iter().map(|mistake| (mistake.line, mistake.message)).collect::<Vec<_>>()
        };
        for (shadow, fault, expect) in [
            ("{}", MISLABEL, "silent: { alert: Drift }"),
            ("{}", MISLABEL, "fires: { alert: Drift, within: 10s, monitor: evidently }"),
            ("{ mirror: next }", NOISE, ""),
        ] {
            assert_eq!(wrong(shadow, fault, expect), []);
        }
        let changed = "nobody would answer the request that `feature-zero` changed".to_owned();
        assert_eq!(wrong("{}", NOISE, ""), [(7, changed)]);
        let unseen = "callers see nothing of a shadow, nor does a monitor of theirs".to_owned();
        assert_eq!(wrong("{}", MISLABEL, &format!("{FIRES} }}")), [(8, unseen)]);
        let no_name = "`a b` is neither a URL nor the name of a candidate".to_owned();
        assert_eq!(wrong("{ mirror: a b }", MISLABEL, ""), [(3, no_name)]);
    }

    #[test]
    fn a_stage_has_the_mirror_and_a_monitor_that_sees_it() {
        const STAGE: &str = "upstream: http://127.0.0.1:1\ncandidates: { next: 'http://127.0.0.1:2' }\nmonitors: { here: { \
                             builtin: { rules: { Drift: { signal: error-share, fires: '> 1%', window: 5s } } } } }\n";
        let stage = compile_stage(&Source::new("s.yaml", STAGE), &|_| None).unwrap();
        let fires = "fires: { alert: Drift, within: 10s, monitor: here }";
        let problems = |shadow: &str| {
            let source = Source::new("t.yaml", scenario(shadow, MISLABEL, fires));
            let document = compile(&source).unwrap().document;
            let list = check_against_stage(&document, &source, &stage);
            list.into_iter().map(|mistake| mistake.message).collect::<Vec<_>>()
        };
        let unseen = "monitor `here` sees what callers see, and nothing of a shadow";
        assert_eq!(problems("{ mirror: next }"), [unseen]);
        let absent = "the stage has no candidate `last`";
        assert_eq!(problems("{ mirror: last }"), [absent, unseen]);
        // By its address it has to be one of the stage's, too.
        assert_eq!(problems("{ mirror: 'http://127.0.0.1:2/' }"), [unseen]);
        let absent = "the stage has no candidate `http://127.0.0.1:3`";
        assert_eq!(problems("{ mirror: 'http://127.0.0.1:3' }"), [absent, unseen]);
    }

    #[test]
    fn only_sidecars_elsewhere_may_have_what_the_stage_does_not_name() {
        let canary = "name: t\ntarget: { protocol: http }\nrelease: { canary: { baseline: v1, candidate: v2, upstream: \
                      next } }\nphases: [{ name: p, lasts: 1m, share: 5% }]\n";
        let elsewhere =
            compile_stage(&Source::new("s.yaml", "sidecars: [{ url: 'http://10.0.0.7:9900' }]\n"), &|_| None);
        let elsewhere = elsewhere.unwrap();
        for text in [canary.to_owned(), scenario("{ mirror: next }", MISLABEL, "")] {
            let source = Source::new("t.yaml", text);
            let document = compile(&source).unwrap().document;
            let told = |stage: &StageDocument| {
                let list = check_against_stage(&document, &source, stage);
                list.into_iter().map(|mistake| (mistake.line, mistake.message)).collect::<Vec<_>>()
            };
            let absent = (3, "the stage `built-in` has no candidate `next`".to_owned());
            assert_eq!(told(&default_stage()), [absent]);
            assert_eq!(told(&unnamed_stage()), []);
            assert_eq!(told(&elsewhere), []);
        }
    }
}
