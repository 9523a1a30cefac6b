use std::collections::BTreeMap;

use super::*;
use crate::event::{BaselineDifference, CampaignRun, Catch, Curve, Ending, FORMAT_VERSION, Portion};

fn cell(expected: Expected, detected: u64, late: u64, missed: u64, cross_talk: u64) -> MatrixCell {
    MatrixCell { expected, detected, late, missed, cross_talk, ..MatrixCell::default() }
}

fn example() -> Matrix {
    let untold = MatrixCell {
        expected: Expected::Fires,
        inconclusive: 3,
        inconclusive_because: BTreeMap::from([("not-delivered".to_owned(), 3)]),
        ..MatrixCell::default()
    };
    let row = |fault: &str, cells: Vec<(&str, MatrixCell)>| FaultRow {
        scenario: "shop".into(),
        fault: fault.into(),
        size: String::new(),
        runs: 3,
        delivered: 3,
        detected: None,
        cells: cells.into_iter().map(|(alert, cell)| (alert.to_owned(), cell)).collect(),
    };
    let run = |run: &str, ending, detail: Option<&str>| CampaignRun {
        run: run.into(),
        scenario: "shop".into(),
        seed: 7,
        null: run.ends_with("null"),
        shuffled: Some(false),
        ending,
        detail: detail.map(str::to_owned),
        exit_code: 0,
        started: None,
        lasted_s: 1.0,
    };
    let slow = AlertRow {
        recall: Portion::new(2, 3),
        precision: Portion::new(3, 4),
        false_alarms: 1,
        quiet_s: 720.0,
        false_alarms_per_hour: crate::stats::exact_rate(1, 0.2, 0.95),
        time_to_detect: Curve::new(&[(2.0, true), (3.0, true), (9.0, true)]),
        ..AlertRow::default()
    };
    let alerts = [("Slow", slow), ("Errors", AlertRow::default()), ("a|b", AlertRow::default())];
    Matrix {
        format_version: FORMAT_VERSION,
        canard_version: String::new(),
        runs: vec![
            run("001-shop", Some(Ending::Completed), None),
            run("002-shop", Some(Ending::Guard), Some("too many errors")),
            run("003-shop-null", None, Some("no upstream")),
        ],
        faults: vec![
            row(
                "slow/latency",
                vec![
                    ("Slow", cell(Expected::Fires, 2, 1, 0, 0)),
                    ("Errors", cell(Expected::Silence, 0, 0, 0, 0)),
                ],
            ),
            row(
                "odd/mislabel",
                vec![
                    ("Slow", cell(Expected::Nothing, 0, 0, 0, 2)),
                    ("Errors", cell(Expected::Fires, 0, 0, 3, 0)),
                ],
            ),
            row("cut/reset", vec![("Slow", untold), ("a|b", cell(Expected::Silence, 0, 0, 0, 1))]),
        ],
        alerts: alerts.into_iter().map(|(name, row)| (name.to_owned(), row)).collect(),
        never_fired: vec!["Errors".into()],
        unseen: vec!["shop: odd/mislabel".into()],
        score: Portion::new(2, 6),
        baseline: None,
        exit_code: 1,
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn the_matrix_is_legible_without_colour() {
    let text = plain(&matrix(&example(), 160));
    for words in [
        "3 runs, 1 of them with nothing injected: your monitoring fell short.",
        "Delivered faults detected in time: 2 of 6 (4% to 78%).",
        "Seen by nothing: shop: odd/mislabel.",
        "Never fired in any run: Errors.",
        "Run 002-shop was ended by a guard: too many errors.",
        "Run 003-shop-null could not begin: no upstream.",
        "◐ detected 2/3, late 1/3",
        "· silent",
        "! cross-talk 2×",
        "✗ missed 3/3",
        "? 3 untold (not-delivered)",
        "! fired 1×",
        "2 of 3 (9% to 99%)",
        "median 3.0 s (2.0 to ?)",
        "1 in 12m (0.13 to 28 an hour)",
        "never watched in peace",
    ] {
        assert!(text.contains(words), "`{words}` is not in:\n{text}");
    }
}

#[test]
fn alerts_that_do_not_fit_get_a_table_of_their_own() {
    let narrow = plain(&matrix(&example(), 70));
    assert!(narrow.matches(" delivered ").count() > 1, "{narrow}");
    assert!(narrow.lines().all(|line| line.chars().count() <= 70), "{narrow}");
    assert_eq!(plain(&matrix(&example(), 160)).matches(" delivered ").count(), 1);
}

#[test]
fn markdown_has_one_table_and_escapes_what_it_must() {
    let text = matrix_markdown(&example());
    assert!(
        text.contains("| fault | delivered | Errors | Slow | a\\|b |\n| --- | --- | --- | --- | --- |\n"),
        "{text}"
    );
    assert!(
        text.contains("| shop: slow/latency | 3/3 | · silent | ◐ detected 2/3, late 1/3 |  |\n"),
        "{text}"
    );
}

#[test]
fn the_headline_claims_no_more_than_the_cells_show() {
    let headline = |cells: Vec<(&str, MatrixCell)>, baseline: Option<BaselineDifference>| {
        let mut found = example();
        found.faults.truncate(1);
        found.faults[0].cells = cells.into_iter().map(|(alert, cell)| (alert.to_owned(), cell)).collect();
        (found.exit_code, found.baseline) = (0, baseline);
        words::campaign(&found)
    };
    let all = headline(vec![("Slow", cell(Expected::Fires, 3, 0, 0, 0))], None);
    assert!(all.ends_with("told you everything it should, in time."), "{all}");
    let some = headline(vec![("Slow", cell(Expected::Fires, 2, 0, 1, 0))], None);
    assert!(some.ends_with("told you of each fault as often as was required."), "{some}");
    let nothing = headline(vec![("Slow", cell(Expected::Nothing, 0, 0, 0, 1))], None);
    assert!(
        nothing.ends_with("no alert was expected to notice a fault, and nothing fell short."),
        "{nothing}"
    );
    let absent = BaselineDifference { absent: vec!["old: a/b".into()], ..BaselineDifference::default() };
    let part = headline(vec![("Slow", cell(Expected::Fires, 3, 0, 0, 0))], Some(absent));
    assert!(part.ends_with("caught before, of the faults that were played."), "{part}");
}

#[test]
fn what_was_lost_stands_first() {
    let catch = |alert: &str| Catch { fault: "shop: slow/latency".into(), alert: alert.into() };
    let lost = BaselineDifference {
        lost: vec![catch("Slow")],
        gained: vec![catch("Errors")],
        absent: vec!["shop: old/hang".into()],
        ..BaselineDifference::default()
    };
    let text = plain(&matrix(&Matrix { baseline: Some(lost.clone()), ..example() }, 160));
    assert!(
        text.lines().nth(1).unwrap().ends_with("your monitoring no longer catches what it did."),
        "{text}"
    );
    assert_eq!(text.lines().nth(2), Some("No longer caught in time: shop: slow/latency by Slow."), "{text}");
    let mut counted = Matrix { baseline: Some(lost), ..example() };
    assert_eq!(difference(&counted).lines().count(), 3);
    counted.faults[0].cells.get_mut("Slow").unwrap().probability = Portion::new(0, 1);
    assert!(
        difference(&counted)
            .starts_with("No longer caught in time: shop: slow/latency by Slow (0 of 1 runs).")
    );
    let same = Matrix { baseline: Some(BaselineDifference::default()), ..example() };
    assert!(difference(&same).starts_with("As in the baseline"));
    assert_eq!(difference(&example()), "");
}
