//! Which alerts catch which faults: written once, reviewed like code, and compared with every later campaign.
//!
//! Only what used to be caught can be lost. Faults that nothing caught stay in the file as such: they are known, and do
//! not fail a build again and again until nobody looks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::event::{BaselineDifference, Catch, Expected, FaultRow, Matrix};

/// A baseline file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Baseline {
    /// Version of this format.
    pub version: u32,
    /// For each fault, by its row in the matrix, the alerts that catch it in time.
    pub catches: BTreeMap<String, BTreeSet<String>>,
}

/// The version that this canard reads and writes.
pub const BASELINE_VERSION: u32 = 1;

/// An alert catches a fault that it notices in time in at least this share of the runs that could tell.
pub const CATCHES: f64 = 0.5;

impl Baseline {
    /// What a campaign caught: an alert catches a fault that it was expected to notice and did, in time, in at least
    /// `required` of the runs that could tell.
    pub fn of(matrix: &Matrix, required: f64) -> Baseline {
        let told = |row: &&FaultRow| row.cells.values().any(|cell| cell.told() > 0);
        let catches = matrix.faults.iter().filter(told).map(|row| {
            let caught = row.cells.keys().filter(|alert| caught(row, alert, required) == Some(true));
            (row.name(), caught.cloned().collect())
        });
        Baseline { version: BASELINE_VERSION, catches: catches.collect() }
    }

    /// Compares a campaign with it.
    pub fn compare(&self, matrix: &Matrix, required: f64) -> BaselineDifference {
        let mut difference = BaselineDifference::default();
        let known = |fault: &str| {
            let of = |scenario: &str| fault.strip_prefix(scenario).is_some_and(|rest| rest.starts_with(": "));
            matrix.faults.iter().any(|row| of(&row.scenario))
                || matrix.runs.iter().any(|run| of(&run.scenario))
        };
        let rows: BTreeMap<String, &FaultRow> = matrix.faults.iter().map(|row| (row.name(), row)).collect();
        for (fault, alerts) in &self.catches {
            let Some(row) = rows.get(fault) else {
                difference.absent.push(fault.clone());
                if known(fault) {
                    difference.untold.extend(pairs(fault, alerts));
                }
                continue;
            };
            for pair in pairs(fault, alerts) {
                match caught(row, &pair.alert, required) {
                    Some(true) => {}
                    Some(false) => difference.lost.push(pair),
                    None => difference.untold.push(pair),
                }
            }
        }
        let none = BTreeSet::new();
        for (fault, alerts) in Baseline::of(matrix, required).catches {
            let before = self.catches.get(&fault).unwrap_or(&none);
            let new = alerts.into_iter().filter(|alert| !before.contains(alert));
            difference.gained.extend(new.map(|alert| Catch { fault: fault.clone(), alert }));
        }
        difference
    }

    /// With what it said of pairs that this campaign could not tell: a catch is not lost because a run was.
    #[must_use]
    pub fn keeping(mut self, before: &Baseline, matrix: &Matrix) -> Baseline {
        for row in &matrix.faults {
            let alerts = before.catches.get(&row.name()).into_iter().flatten();
            let untold: BTreeSet<String> =
                alerts.filter(|alert| caught(row, alert, 0.0).is_none()).cloned().collect();
            if !untold.is_empty() {
                self.catches.entry(row.name()).or_default().extend(untold);
            }
        }
        self
    }

    /// What a campaign expected and could not tell, and what is not known from before either.
    pub fn unknown(&self, matrix: &Matrix) -> Vec<Catch> {
        let mut unknown = Vec::new();
        for row in &matrix.faults {
            let known = self.catches.get(&row.name());
            let expected = row.cells.iter().filter(|(_, cell)| cell.expected == Expected::Fires);
            let untold = expected.filter(|(_, cell)| cell.probability.is_none()).map(|(alert, _)| alert);
            let alerts = untold.filter(|alert| known.is_none_or(|known| !known.contains(*alert)));
            unknown.extend(pairs(&row.name(), alerts));
        }
        unknown
    }

    /// The file: a line for each fault, in the order of their names.
    pub fn text(&self) -> String {
        let quoted = |text: &String| serde_json::Value::from(text.as_str()).to_string();
        let mut out =
            "# Alerts that catch each fault in time; `canard run --write-baseline` writes this file.\n\
                       # [] is a fault that nothing catches: a known gap.\n"
                .to_owned();
        out.push_str(&format!("version: {}\n", self.version));
        out.push_str(if self.catches.is_empty() { "catches: {}\n" } else { "catches:\n" });
        for (fault, alerts) in &self.catches {
            let alerts: Vec<String> = alerts.iter().map(quoted).collect();
            out.push_str(&format!("  {}: [{}]\n", quoted(fault), alerts.join(", ")));
        }
        out
    }
}

fn pairs<'a>(fault: &'a str, alerts: impl IntoIterator<Item = &'a String>) -> impl Iterator<Item = Catch> {
    alerts.into_iter().map(move |alert| Catch { fault: fault.to_owned(), alert: alert.clone() })
}

/// Does an alert catch a fault? `None` where it can't be told.
fn caught(row: &FaultRow, alert: &str, required: f64) -> Option<bool> {
    let cell = row.cells.get(alert).filter(|cell| cell.expected == Expected::Fires);
    match cell {
        Some(cell) => cell.probability.map(|part| part.share.estimate >= required),
        // Nobody asks for it any more.
        None => (row.runs > 0).then_some(false),
    }
}

/// 1 if something was lost, 3 if it can't be told whether, else 0.
pub(super) fn exit_code(difference: &BaselineDifference) -> u8 {
    match (difference.lost.is_empty(), difference.untold.is_empty()) {
        (false, _) => 1,
        (true, false) => 3,
        (true, true) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FORMAT_VERSION, MatrixCell, Portion};

    /// An alert, and in how many of how many runs it was in time.
    type Counts<'a> = (&'a str, u64, u64);

    fn matrix(rows: &[(&str, &[Counts<'_>])]) -> Matrix {
        let cell = |(alert, detected, told): &Counts<'_>| {
            let cell = MatrixCell {
                expected: Expected::Fires,
                detected: *detected,
                missed: told - detected,
                inconclusive: u64::from(*told == 0),
                probability: Portion::new(*detected, *told),
                ..MatrixCell::default()
            };
            ((*alert).to_owned(), cell)
        };
        let row = |(fault, cells): &(&str, &[Counts<'_>])| FaultRow {
            scenario: "s".into(),
            fault: (*fault).into(),
            size: String::new(),
            runs: 1,
            delivered: 1,
            detected: None,
            cells: cells.iter().map(cell).collect(),
        };
        Matrix {
            format_version: FORMAT_VERSION,
            canard_version: String::new(),
            runs: vec![],
            faults: rows.iter().map(row).collect(),
            alerts: BTreeMap::new(),
            never_fired: vec![],
            unseen: vec![],
            score: None,
            baseline: None,
            exit_code: 0,
        }
    }

    fn told(list: &[Catch]) -> Vec<String> {
        list.iter().map(|Catch { fault, alert }| format!("{fault} {alert}")).collect()
    }

    #[test]
    fn a_baseline_is_a_small_file_that_reads_back() {
        let found = matrix(&[
            ("slow/latency", &[("Slow", 4, 5), ("Other", 1, 5)]),
            ("odd/mislabel", &[("Drift", 0, 5)]),
        ]);
        let baseline = Baseline::of(&found, 0.5);
        let text = baseline.text();
        assert!(
            text.ends_with(
                "version: 1\ncatches:\n  \"s: odd/mislabel\": []\n  \"s: slow/latency\": [\"Slow\"]\n"
            ),
            "{text}"
        );
        assert_eq!(serde_saphyr::from_str::<Baseline>(&text).unwrap(), baseline);
        let empty = Baseline::of(&matrix(&[]), 0.5);
        assert_eq!(serde_saphyr::from_str::<Baseline>(&empty.text()).unwrap(), empty);
    }

    #[test]
    fn only_what_was_caught_can_be_lost() {
        let before = Baseline::of(
            &matrix(&[
                ("a/x", &[("A", 5, 5), ("B", 5, 5)]),
                ("b/x", &[("A", 0, 5)]),
                ("c/x", &[("C", 5, 5)]),
                ("d/x", &[("D", 5, 5)]),
            ]),
            0.5,
        );
        let now = matrix(&[
            ("a/x", &[("A", 5, 5), ("B", 2, 5)]),
            ("b/x", &[("A", 0, 5)]),
            ("c/x", &[("C", 0, 0)]),
            ("e/x", &[("E", 5, 5)]),
        ]);
        let difference = before.compare(&now, 0.5);
        assert_eq!(told(&difference.lost), ["s: a/x B"]);
        // Of a fault that its scenario no longer has, nothing can be told either.
        assert_eq!(told(&difference.untold), ["s: c/x C", "s: d/x D"]);
        assert_eq!(told(&difference.gained), ["s: e/x E"]);
        assert_eq!(difference.absent, ["s: d/x"]);
        assert_eq!(exit_code(&difference), 1);
        assert_eq!(exit_code(&before.compare(&now, 0.4)), 3, "2 of 5 are enough then");
        assert_eq!(exit_code(&Baseline::of(&now, 0.5).compare(&now, 0.5)), 0, "known misses fail nothing");
    }

    #[test]
    fn a_fault_that_is_gone_is_no_success_where_its_scenario_was_played() {
        let before = Baseline::of(&matrix(&[("old/x", &[("A", 1, 1)])]), 0.5);
        let renamed = before.compare(&matrix(&[("new/x", &[("A", 1, 1)])]), 0.5);
        assert_eq!((exit_code(&renamed), renamed.absent.len()), (3, 1));
        let mut other = matrix(&[("new/x", &[("A", 1, 1)])]);
        other.faults[0].scenario = "another".into();
        let elsewhere = before.compare(&other, 0.5);
        assert_eq!((exit_code(&elsewhere), elsewhere.absent.len()), (0, 1), "part of a suite");
    }

    #[test]
    fn a_catch_is_kept_when_a_run_could_not_tell() {
        let before =
            Baseline::of(&matrix(&[("a/x", &[("A", 1, 1), ("B", 1, 1)]), ("gone/x", &[("C", 1, 1)])]), 0.5);
        let now = matrix(&[("a/x", &[("A", 0, 0), ("B", 0, 1)]), ("new/x", &[("D", 0, 0)])]);
        let kept = Baseline::of(&now, 0.5).keeping(&before, &now);
        assert_eq!(kept.catches["s: a/x"], BTreeSet::from(["A".to_owned()]), "B was missed");
        assert!(!kept.catches.contains_key("s: gone/x"));
        assert_eq!(told(&kept.unknown(&now)), ["s: new/x D"]);
        let unreached = FaultRow { runs: 0, cells: BTreeMap::new(), ..now.faults[0].clone() };
        let broken = Matrix { faults: vec![unreached], ..now };
        assert_eq!(Baseline::of(&broken, 0.5).keeping(&before, &broken).catches["s: a/x"].len(), 2);
    }

    #[test]
    fn an_alert_that_nobody_asks_for_any_more_is_lost() {
        let before = Baseline::of(&matrix(&[("a/x", &[("A", 1, 1)])]), 0.5);
        assert_eq!(exit_code(&before.compare(&matrix(&[("a/x", &[("B", 1, 1)])]), 0.5)), 1);
    }
}
