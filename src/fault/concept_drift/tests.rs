//! Only the rows of the group change, at the rate.

use super::*;
use crate::{
    fault::{
        testing::{assert_page, assert_rate, edit_one, iris, problems, row},
        traffic::{Stream, class, classes, run, run_at},
    },
    wire::Labels,
};

const N: usize = 20_000;

fn fault(yaml: &str) -> ConceptDrift {
    serde_saphyr::from_str(yaml).unwrap()
}

fn members(seed: u64) -> Vec<bool> {
    let mut stream = Stream::new(seed);
    (0..N).map(|_| stream.uniform() < 0.3).collect()
}

#[test]
fn only_the_group_changes_at_the_rate() {
    let (rows, members) = (classes(3, N, &[0.5, 0.3, 0.2]), members(3));
    for (intensity, rate) in [(1.0, 0.6), (0.5, 0.3)] {
        let drift = fault("{ group: x, from: 0, to: 2, rate: 60% }");
        let run = run_at(&drift, &rows, &members, &Labels::default(), 4, intensity);
        let own = rows.iter().zip(&members).filter(|(row, member)| **member && class(row) == 0).count();
        assert_rate(run.changed, own, rate);
        for ((before, after), member) in rows.iter().zip(&run.rows).zip(&members) {
            assert!(before == after || (*member && class(before) == 0 && class(after) == 2));
        }
    }
}

#[test]
fn numbers_move_with_the_ramp() {
    let rows = vec![row(None, &[10.0]); N];
    let members = members(5);
    let drift = fault("{ group: x, offset: 4, scale: 2, rate: 50% }");
    for (intensity, told) in [(1.0, 24.0), (0.5, 17.0)] {
        let run = run_at(&drift, &rows, &members, &Labels::default(), 4, intensity);
        let own = members.iter().filter(|member| **member).count();
        assert_rate(run.changed, own, 0.5);
        assert!(run.rows.iter().all(|row| [Some(10.0), Some(told)].contains(&row.scores[0].as_f64())));
    }
    let run = run(&drift, &vec![row(None, &[0.5, 0.5]); 20], &[], &Labels::default(), 4);
    assert_eq!(run.unfit, Some(NO_NUMBER));
    let unknown = fault("{ group: x, to: setosa }");
    assert_eq!(edit_one(&unknown, &row(Value::Int(2), &[]), &Labels::default()).unfit, Some(UNKNOWN_CLASS));
}

#[test]
fn what_cannot_be_is_told() {
    for (yaml, message) in [
        ("group: x", "`concept-drift` needs to know what is told instead"),
        ("group: x, to: setosa, offset: 3", "either a class, or an offset and a scale, not both"),
        ("group: x, from: setosa, offset: 3", "`from` goes with `to`, not with a regression"),
        ("group: x, scale: 1", "this moves no number anywhere"),
        ("group: x, from: setosa, to: setosa", "`from` and `to` are the same class"),
        ("group: x, to: rose", "`rose` is none of the target's labels"),
        ("group: x, to: setosa, rate: 0%", "a rate of 0% never acts"),
    ] {
        assert_eq!(problems(&format!("{{ concept-drift: {{ {yaml} }} }}"), &iris()), [message], "{yaml}");
    }
}

#[test]
fn it_says_what_it_does() {
    assert_page("concept-drift");
    assert_eq!(fault("{ group: x, offset: -3 }").describe(), "100% × 1 -3 where x");
}
