//! The gap is the wanted one, and a compensated one leaves the overall rate.

use proptest::prelude::*;

use super::*;
use crate::fault::{
    testing::{assert_page, iris, problems},
    traffic::{Run, Stream, class, run, run_at, told},
};

const N: usize = 40_000;

fn fault(yaml: &str) -> ParityGap {
    serde_saphyr::from_str(yaml).unwrap()
}

/// Rows with these rates of class 1, and who is in the group.
fn traffic(seed: u64, size: f64, group: f64, others: f64) -> (Vec<Row>, Vec<bool>) {
    let mut stream = Stream::new(seed);
    let members: Vec<bool> = (0..N).map(|_| stream.uniform() < size).collect();
    let positive = |member: &bool| usize::from(stream.uniform() < if *member { group } else { others });
    (told(members.iter().map(positive).collect::<Vec<_>>()), members)
}

/// Rates of class 1 in the group, among the others and of all.
fn rates(rows: &[Row], members: &[bool]) -> [f64; 3] {
    let rate = |of: &dyn Fn(bool) -> bool| {
        let own: Vec<usize> =
            rows.iter().zip(members).filter(|(_, m)| of(**m)).map(|(row, _)| class(row)).collect();
        own.iter().sum::<usize>() as f64 / own.len() as f64
    };
    [rate(&|member| member), rate(&|member| !member), rate(&|_| true)]
}

/// Five standard errors of the difference of two rates.
fn tolerance(size: f64) -> f64 {
    5.0 * (0.25 / (N as f64 * size) + 0.25 / (N as f64 * (1.0 - size))).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_wanted_gap_is_reached(
        seed: u64, size in 0.15..0.6, group in 0.3..0.8, others in 0.3..0.8, gap in 0.05..0.25,
        compensate: bool, given: bool,
    ) {
        prop_assume!(others - group < gap);
        let (rows, members) = traffic(seed, size, group, others);
        let share = |x: f64| Share::new(x).unwrap();
        let rates_given = GivenRates { group: share(group), others: share(others), size: Some(share(size)) };
        let fault = ParityGap {
            gap: share(gap), compensate, rates: given.then_some(rates_given), ..fault("{ group: x, gap: 1% }")
        };
        let run = run(&fault, &rows, &members, &Labels::default(), seed);
        let ([_, others_before, all_before], [told_group, told_others, all]) =
            (rates(&rows, &members), rates(&run.rows, &members));
        let off = told_others - told_group - gap;
        prop_assert!(off.abs() < tolerance(size), "{off}");
        if compensate {
            prop_assert!((all - all_before).abs() < 0.015, "{all} {all_before}");
        } else {
            prop_assert_eq!(told_others, others_before);
        }
    }
}

#[test]
fn the_gap_of_the_catalogue() {
    let (rows, members) = traffic(5, 0.3, 0.5, 0.5);
    for (intensity, gap) in [(1.0, 0.15), (0.5, 0.075)] {
        let run = run_at(&fault("{ group: x, gap: 15% }"), &rows, &members, &Labels::default(), 5, intensity);
        let [group, others, _] = rates(&run.rows, &members);
        assert!((others - group - gap).abs() < 0.012, "{}", others - group);
    }
}

#[test]
fn what_the_traffic_does_not_allow_is_told() {
    let of = |yaml: &str, size, group, others| -> Run {
        let (rows, members) = traffic(5, size, group, others);
        run(&fault(yaml), &rows, &members, &Labels::default(), 5)
    };
    assert_eq!(of("{ group: x, gap: 10% }", 0.3, 0.0, 0.05).unfit, Some(NO_POSITIVES));
    assert_eq!(of("{ group: x, gap: 10% }", 0.3, 0.3, 0.6).unfit, Some(ALREADY_THERE));
    assert_eq!(of("{ group: x, gap: 60% }", 0.3, 0.5, 0.5).unfit, Some(OUT_OF_REACH));
    assert_eq!(of("{ group: x, gap: 10% }", 0.001, 0.5, 0.5).unfit, Some(STILL_LEARNING));
    let named = of("{ group: x, gap: 10%, positive: approve, negative: deny }", 0.3, 0.5, 0.5);
    assert_eq!(named.unfit, Some(UNKNOWN_CLASS));
}

#[test]
fn a_ramp_below_the_gap_that_there_is_waits() {
    let (rows, members) = traffic(5, 0.3, 0.5, 0.6);
    let early = run_at(&fault("{ group: x, gap: 30% }"), &rows, &members, &Labels::default(), 5, 0.2);
    assert_eq!((early.changed, early.unfit), (0, None));
}

#[test]
fn two_classes_need_not_be_named() {
    let labels = Labels::new(["deny", "approve"].map(str::to_owned));
    let poles = Poles { positive: None, negative: None };
    let text = |name: &str| Row { label: Some(crate::wire::Value::Text(name.into())), scores: Vec::new() };
    assert_eq!(poles.is_positive(&text("approve"), &labels), Some(true));
    assert_eq!(poles.other(&text("approve"), true, &labels), "deny");
    let turned = Poles { positive: Some("deny"), negative: None };
    assert_eq!(turned.is_positive(&text("approve"), &labels), Some(false));
    assert_eq!(turned.other(&text("deny"), true, &labels), "approve");
    let truth = Row { label: Some(crate::wire::Value::Bool(true)), scores: Vec::new() };
    assert_eq!(poles.is_positive(&truth, &Labels::default()), Some(true));
    assert_eq!(poles.other(&truth, true, &Labels::default()), "false");
}

#[test]
fn what_cannot_be_is_told() {
    let none = Labels::default();
    let poles = "positive: virginica, negative: setosa";
    for (yaml, labels, message) in [
        ("group: x, gap: 0%", &none, "a gap of 0% is none"),
        ("group: x, gap: 5%, positive: approve", &none, "what `negative` is, is not known"),
        (
            "group: x, gap: 5%, positive: setosa",
            &iris(),
            "with more than two classes, `negative` has to be named",
        ),
        (
            "group: x, gap: 5%, positive: a, negative: a",
            &none,
            "`positive` and `negative` are the same class",
        ),
        (
            &format!("group: x, gap: 60%, {poles}, rates: {{ group: 50%, others: 50% }}"),
            &iris(),
            "a gap of 60% can't be reached with 50% in the group and 50% among the others",
        ),
        (
            &format!("group: x, gap: 5%, {poles}, rates: {{ group: 0%, others: 50% }}"),
            &iris(),
            "a group that is told no positives can't be told fewer",
        ),
        (
            &format!("group: x, gap: 5%, {poles}, rates: {{ group: 40%, others: 50% }}"),
            &iris(),
            "with 40% in the group and 50% among the others there is a gap of 10% already",
        ),
        (
            &format!("group: x, gap: 5%, {poles}, compensate: true, rates: {{ group: 50%, others: 50% }}"),
            &iris(),
            "to compensate, the group's share of all is needed",
        ),
    ] {
        assert_eq!(problems(&format!("{{ parity-gap: {{ {yaml} }} }}"), labels), [message], "{yaml}");
    }
}

#[test]
fn it_says_what_it_does() {
    assert_page("parity-gap");
}
