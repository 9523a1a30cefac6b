//! Two classes are mixed up, and the mix of predictions stays.

use proptest::prelude::*;

use super::*;
use crate::fault::{
    testing::{assert_page, assert_rate, edit_one, iris, problems, row},
    traffic::{class, classes, count, run, run_at},
};

fn fault(yaml: &str) -> Swap {
    serde_saphyr::from_str(yaml).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn as_many_go_either_way(seed: u64, a in 0.05..0.45, b in 0.05..0.45, rate in 0.1..1.0, given: bool) {
        let n = 20_000;
        let rows = classes(seed, n, &[a, b, 1.0 - a - b]);
        let share = |x: f64| Share::new(x).unwrap();
        let marginals = given.then(|| [("0".to_owned(), share(a)), ("1".to_owned(), share(b))].into());
        let fault = Swap { between: ["0".into(), "1".into()], rate: share(rate), marginals };
        let run = run(&fault, &rows, &[], &Labels::default(), seed);
        let went = |from, to| rows.iter().zip(&run.rows).filter(|(b, a)| class(b) == from && class(a) == to).count();
        let rarer = a.min(b);
        if given {
            assert_rate(went(0, 1), n, rate * rarer);
            assert_rate(went(1, 0), n, rate * rarer);
        } else {
            // Learnt from these very rows: the rates of both balance exactly, but for the draws.
            let (own, other) = (count(&rows, 0), count(&rows, 1));
            let least = own.min(other) as f64;
            assert_rate(went(0, 1), own, rate * least / own as f64);
            assert_rate(went(1, 0), other, rate * least / other as f64);
        }
        prop_assert_eq!(went(2, 0) + went(2, 1) + went(0, 2) + went(1, 2), 0);
        prop_assert_eq!(run.changed, went(0, 1) + went(1, 0));
    }
}

#[test]
fn no_drift_monitor_sees_it() {
    let rows = classes(3, 40_000, &[0.5, 0.3, 0.2]);
    let run = run(&fault("{ between: [0, 1], rate: 60% }"), &rows, &[], &Labels::default(), 4);
    let counts = |rows| [0, 1, 2].map(|class| count(rows, class) as u64);
    assert!(run.changed > 9_000);
    assert!(crate::stats::psi(&counts(&rows), &counts(&run.rows)) < 1e-3);
}

#[test]
fn a_ramp_keeps_the_balance() {
    let rows = classes(3, 20_000, &[0.6, 0.4]);
    let swap = fault("{ between: [0, 1], rate: 50%, marginals: { 0: 60%, 1: 40% } }");
    let run = run_at(&swap, &rows, &[], &Labels::default(), 4, 0.5);
    assert_rate(run.changed, 20_000, 2.0 * 0.25 * 0.4);
}

#[test]
fn it_waits_until_it_knows_enough() {
    let learning =
        |rows: &[Row]| run(&fault("{ between: [0, 1], rate: 50% }"), rows, &[], &Labels::default(), 1);
    assert_eq!(learning(&classes(1, 100, &[0.5, 0.5])).unfit, Some(STILL_LEARNING));
    assert_eq!(learning(&classes(1, 400, &[1.0])).unfit, Some(NOT_SEEN));
    let names = fault("{ between: [virginica, setosa], rate: 50% }");
    assert_eq!(
        edit_one(&names, &row(crate::wire::Value::Int(2), &[]), &Labels::default()).unfit,
        Some(UNKNOWN_CLASS)
    );
}

#[test]
fn what_cannot_be_is_told() {
    for (yaml, message) in [
        ("{ between: [setosa, setosa], rate: 5% }", "a class can't be mixed up with itself"),
        ("{ between: [setosa, rose], rate: 5% }", "`rose` is none of the target's labels"),
        ("{ between: [setosa, virginica], rate: 0% }", "a rate of 0% never acts"),
        (
            "{ between: [setosa, virginica], rate: 5%, marginals: { setosa: 5% } }",
            "the share of `virginica` is missing",
        ),
        (
            "{ between: [setosa, virginica], rate: 5%, marginals: { setosa: 50%, virginica: 60% } }",
            "the shares are 110% in all, more than 100%",
        ),
    ] {
        assert_eq!(problems(&format!("{{ swap: {yaml} }}"), &iris()), [message]);
    }
}

#[test]
fn it_says_what_it_does() {
    assert_page("swap");
}
