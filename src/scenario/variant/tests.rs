use super::*;
use crate::scenario::{Source, compile};

const TEXT: &str = "
name: three
seed: 7
repeat: 5
null-runs: 2
target: { protocol: http }
exposure: { share: 50% }
phases:
  - { name: steady, lasts: 5s }
  - name: slow
    lasts: 10s
    inject: [{ fault: { latency: { fixed: 20ms } } }]
    expect:
      - fires: { alert: HighLatency, within: 8s }
  - name: failing
    lasts: 12s
    inject: [{ fault: { error: { status: 503 } } }]
    expect:
      - fires: { alert: HighErrorRate, within: 8s }
      - clears: { alert: HighLatency, within: 9s }
  - name: hanging
    at: 30s
    lasts: 6s
    inject: [{ fault: { hang: {} } }]
    expect:
      - fires: { alert: Hanging, within: 5s }
      - silent: { alert: HighErrorRate }
      - clears: { alert: HighErrorRate, within: 5s }
  - name: recovery
    lasts: 12s
    expect:
      - clears: { alert: Hanging, within: 10s }
";

fn plan(text: &str) -> Plan {
    compile(&Source::new("t.yaml", text)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.phases.iter().map(|phase| phase.name.as_str()).collect()
}

/// `phase: kind alert [line]`, for each expectation.
fn expected(plan: &Plan) -> Vec<String> {
    let of = |phase: &crate::scenario::Phase| -> Vec<String> {
        let text = |placed: &crate::scenario::PlacedExpectation| {
            let line = placed.line.map_or(String::new(), |line| format!(" [{line}]"));
            let (kind, alert) = match &placed.expectation {
                Expectation::Fires(it) => ("fires", &it.alert),
                Expectation::Silent(it) => ("silent", &it.alert),
                Expectation::Clears(it) => ("clears", &it.alert),
                Expectation::Holds(_) => unreachable!(),
            };
            format!("{}: {kind} {alert}{line}", phase.name)
        };
        phase.expectations.iter().map(text).collect()
    };
    plan.phases.iter().flat_map(of).collect()
}

#[test]
fn repeats_have_seeds_of_their_own_and_the_first_has_the_scenarios() {
    let seeds: BTreeSet<u64> = (0..100).map(|repeat| seed_of_repeat(7, repeat)).collect();
    assert_eq!((seed_of_repeat(7, 0), seeds.len()), (7, 100));
    assert_eq!(seed_of_repeat(7, 3), seed_of_repeat(7, 3));
    assert!(seeds.iter().all(|seed| *seed <= u64::from(u32::MAX)), "they survive JSON's doubles");
}

#[test]
fn the_same_seed_gives_the_same_order_and_every_order_comes() {
    let written = plan(TEXT);
    let mut orders = BTreeSet::new();
    for seed in 0..200 {
        let (shuffled, moved) = written.shuffled(seed).unwrap();
        assert!(moved);
        assert_eq!(names(&shuffled), names(&written.shuffled(seed).unwrap().0));
        assert_eq!((names(&shuffled)[0], names(&shuffled)[4]), ("steady", "recovery"), "they stay");
        assert_eq!(shuffled.document.seed, seed);
        assert_eq!((shuffled.document.repeat, shuffled.document.null_runs), (None, None), "as it travels");
        let ends: Vec<_> = shuffled.phases.windows(2).map(|p| p[1].start >= p[0].end).collect();
        assert!(ends.iter().all(|apart| *apart));
        let pause = shuffled.phases[3].start - shuffled.phases[2].end;
        assert_eq!(pause.as_secs(), 3, "the pause belongs to the place");
        orders.insert(names(&shuffled).join(" "));
    }
    assert_eq!(orders.len(), 6, "{orders:?}");
}

#[test]
fn clears_follows_the_fault_that_it_is_about() {
    let written = plan(TEXT);
    for seed in 0..50 {
        let (shuffled, _) = written.shuffled(seed).unwrap();
        let expected = expected(&shuffled);
        assert_eq!(expected.len(), 7, "{expected:?}");
        for (phase, alert, line) in
            [("slow", "HighLatency", 20), ("failing", "HighErrorRate", 28), ("hanging", "Hanging", 32)]
        {
            let at = shuffled.phases.iter().position(|p| p.name == phase).unwrap();
            let after = &shuffled.phases[at + 1].name;
            let clears = format!("{after}: clears {alert} [");
            let found = expected.iter().find(|text| text.starts_with(&clears));
            let found = found.unwrap_or_else(|| panic!("{clears} in {expected:?}"));
            let of: usize = found[clears.len()..].trim_end_matches(']').parse().unwrap();
            assert_eq!(of, line, "{found}");
        }
        assert!(expected.iter().any(|text| text.starts_with("hanging: silent HighErrorRate [")));
    }
}

#[test]
fn faults_that_one_alert_should_notice_do_not_come_next_to_each_other() {
    let text = TEXT.replace("alert: Hanging", "alert: HighLatency");
    let written = plan(&text);
    for seed in 0..100 {
        let (shuffled, moved) = written.shuffled(seed).unwrap();
        assert!(moved);
        assert_eq!(names(&shuffled)[2], "failing", "it keeps the two apart");
    }
}

#[test]
fn an_order_that_means_something_is_kept() {
    let release = TEXT.replace(
        "target: { protocol: http }",
        "target: { protocol: http }\nrelease: { blue-green: { baseline: v1, candidate: v2 } }",
    );
    let release = release.replace("    lasts:", "    share: 50%\n    lasts:");
    let release = release.replace("lasts: 5s }", "lasts: 5s, share: 0% }");
    let written = plan(&release);
    let (same, moved) = written.shuffled(11).unwrap();
    assert!(!moved);
    assert_eq!(names(&same), names(&written));
    let alone = TEXT
        .replace("inject: [{ fault: { hang: {} } }]", "")
        .replace("inject: [{ fault: { error: { status: 503 } } }]", "");
    assert!(!plan(&alone).shuffled(11).unwrap().1, "one fault has no order");
}

#[test]
fn a_null_run_injects_nothing_and_expects_silence() {
    let null = plan(TEXT).null(3).unwrap();
    assert!(null.phases.iter().all(|phase| phase.injections.is_empty()));
    let expected = expected(&null);
    assert!(expected.iter().all(|text| text.contains(": silent ") && text.ends_with(']')), "{expected:?}");
    assert_eq!(expected.len(), 6, "each alert once a phase: {expected:?}");
    assert_eq!(null.lasts(), plan(TEXT).lasts());
}

#[test]
fn another_seed_changes_nothing_else() {
    let other = plan(TEXT).with_seed(99).unwrap();
    assert_eq!(other.document.seed, 99);
    assert_eq!(expected(&other), expected(&plan(TEXT)));
    assert_eq!(other.traffic, plan(TEXT).traffic);
}
