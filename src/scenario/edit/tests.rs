use super::*;
use crate::scenario::compile;

const SCENARIO: &str = "# a comment stays
name: sizes
target: { protocol: open-inference }
exposure: { share: \"50%\" } # quoted
phases:
  - name: slow
    lasts: 10s
    inject:
      - fault: { latency: { lognormal: { median: 300ms, p99: 900ms } } }
      - fault: { mislabel: { rate: 10%, to: versicolor } }
  - name: confused
    lasts: 10s
    inject:
      - fault:
          mislabel:
            rate: '20%'    # more
            to: versicolor
      - fault: { hang: {} }
";

fn source(text: &str) -> Source {
    Source::new("s.yaml", text)
}

fn set(text: &str, path: &str, range: &str, value: &str) -> Result<(String, Option<Vec<String>>), String> {
    let (source, range) = (source(text), SizeRange::new(range, None).unwrap());
    let told = |wrong: Diagnostics| {
        let help = wrong.list[0].help.clone().unwrap_or_default();
        format!("{wrong}{help}")
    };
    let places = find_setting(&source, &Setting::new(path).unwrap(), &range).map_err(told)?;
    let changed = places.with(&source, value, 9).map_err(told)?;
    Ok((changed.text.to_string(), places.phases))
}

#[test]
fn only_the_value_changes_and_no_line_moves() {
    type Changes<'a> = &'a [(&'a str, &'a str)];
    type Case<'a> = (&'a str, &'a str, &'a str, Changes<'a>, Option<&'a [&'a str]>);
    let cases: [Case<'_>; 5] = [
        (
            "faults.mislabel.rate",
            "1%..5%",
            "4.22%",
            &[("rate: 10%", "rate: 4.22%"), ("rate: '20%'", "rate: 4.22%")],
            Some(&["slow", "confused"]),
        ),
        (
            "phases.confused.faults.mislabel.rate",
            "1%..5%",
            "2%",
            &[("rate: '20%'", "rate: 2%")],
            Some(&["confused"]),
        ),
        (
            "faults.latency.lognormal.median",
            "1ms..5s",
            "12.5ms",
            &[("median: 300ms", "median: 12.5ms")],
            Some(&["slow"]),
        ),
        ("exposure.share", "1%..50%", "7%", &[("share: \"50%\"", "share: 7%")], None),
        (
            "phases.slow.lasts",
            "1s..1m",
            "1m",
            &[("slow\n    lasts: 10s", "slow\n    lasts: 1m")],
            Some(&["slow"]),
        ),
    ];
    for (path, range, value, changes, phases) in cases {
        let (text, touched) = set(SCENARIO, path, range, value).unwrap();
        let wanted = changes.iter().fold(SCENARIO.to_owned(), |text, (from, to)| text.replace(from, to));
        assert_eq!(text, format!("{wanted}\nseed: 9\n"), "{path}");
        assert_eq!(touched, phases.map(|phases| phases.iter().map(|&phase| phase.to_owned()).collect()));
        let plan = compile(&source(&text)).unwrap_or_else(|errors| panic!("{path}: {errors}"));
        assert_eq!(plan.document.seed, 9);
    }
}

#[test]
fn a_seed_that_is_there_is_replaced_and_flow_style_keeps_its_line() {
    let (text, _) =
        set(&SCENARIO.replace("target:", "seed: 7\ntarget:"), "exposure.share", "1%..5%", "3%").unwrap();
    assert!(text.contains("\nseed: 9\ntarget:") && !text.contains("seed: 7"));
    let flow =
        "{ name: a, target: { protocol: http }, exposure: { share: 10% }, phases: [{ name: b, lasts: 5s }] }";
    let (text, _) = set(flow, "exposure.share", "1%..5%", "3%").unwrap();
    assert_eq!(text, flow.replace("10%", "3%").replace("{ name: a", "{ seed: 9, name: a"));
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let wrong = |path: &str, range: &str| set(SCENARIO, path, range, "1").unwrap_err();
    let cases = [
        ("faults.mislable.rate", "1%..5%", "no phase injects `mislable`", "did you mean `mislabel`?"),
        (
            "faults.xyzzy.rate",
            "1%..5%",
            "no phase injects `xyzzy`",
            "there is `hang`, `latency` and `mislabel`",
        ),
        (
            "phases.confused.faults.latency.fixed",
            "1s..5s",
            "this phase injects no `latency`",
            "`hang` and `mislabel`",
        ),
        (
            "phases.lost.faults.latency.fixed",
            "1s..5s",
            "no phase with faults is called `lost`",
            "`slow` and `confused`",
        ),
        (
            "faults.mislabel.rat",
            "1%..5%",
            "s.yaml:10:18: `mislabel` has no `rat` here",
            "did you mean `rate`?",
        ),
        ("faults.hang.rate", "1%..5%", "`hang` has no `rate` here", "a default can't be swept over"),
        ("faults.latency.lognormal", "1s..5s", "is no single value", "`faults.latency.lognormal.median` or"),
        ("faults.mislabel.rate", "1s..5s", "its sizes are each a span of time", ""),
        ("faults.mislabel.to", "1s..5s", "can't be swept over: `versicolor` is no size", ""),
        ("exposure.sare", "1%..5%", "`exposure` has no `sare` here", "did you mean `share`?"),
        ("traffic.rate", "1/s..5/s", "has no `traffic` here", "write `traffic:`"),
    ];
    for (path, range, message, help) in cases {
        let told = wrong(path, range);
        assert!(told.contains(message) && told.contains(help), "{path}: {told}");
    }
    assert!(wrong("faults.mislabel.rate", "1s..5s").starts_with("s.yaml:10:"), "in its place");
}

#[test]
fn a_value_behind_an_anchor_is_never_changed_in_silence() {
    let shared = SCENARIO.replace("\"50%\"", "&half 50%").replace("rate: 10%", "rate: *half");
    let told = set(&shared, "phases.slow.faults.mislabel.rate", "1%..5%", "2%").unwrap_err();
    assert!(told.contains("without changing something else") && told.contains("without an anchor"), "{told}");
}
