//! The ledger against the counters of a run's report.
//!
//! A line and its counter are written by the same hand, but the counters are read once, right after the run
//! disarmed, and a response that was still on its way then (a stream, say) has its line a moment later. So what was
//! recorded until the last phase ended must be in the counters, and what the counters have must have been
//! recorded until the run ended: between the two lies what may be in either.

use std::{collections::BTreeMap, fs, path::Path};

use super::{Ended, Exit, Failure, LedgerArgs, cannot, input::Input};
use crate::{
    cli::{diagnostics::count, output},
    event::Report,
    evidence::Line,
};

/// Lines of one fault: those that must be counted, and those that may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lines {
    certain: u64,
    possible: u64,
}

impl Lines {
    /// How many more the report counts than there are lines, or (negative) fewer.
    fn lacks(self, counted: u64) -> i64 {
        let beyond = |bound: u64| counted as i64 - bound as i64;
        if counted > self.possible { beyond(self.possible) } else { beyond(self.certain).min(0) }
    }
}

#[derive(Debug, Default)]
struct Tally {
    /// By fault, drawn and asked for.
    faults: BTreeMap<String, [Lines; 2]>,
}

impl Tally {
    fn add(&mut self, line: &Line, report: &Report, skew_s: f64) {
        let last = report.phases.last().map_or(report.started, |phase| phase.ended);
        let began = line.at.since(report.started);
        let possible = began >= -skew_s && line.at.since(report.ended) <= skew_s;
        if line.scenario != report.outline.scenario || !possible {
            return;
        }
        let lines = &mut self.faults.entry(line.fault.clone()).or_default()[usize::from(line.asked_for)];
        lines.possible += 1;
        lines.certain += u64::from(began >= skew_s && line.at.since(last) < -skew_s);
    }
}

pub(super) fn run(path: &Path, args: &LedgerArgs) -> Result<Exit, Failure> {
    let report = read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    if args.files.is_empty() && report.ledger.is_none() {
        let failure = Failure::new(format!("`{}` names no ledger of its own", path.display()));
        return Err(failure.help(
            "the sidecars of that run kept theirs (`canard sidecar --ledger FILE`): name these files too",
        ));
    }
    let mut input = Input::open(&args.files, &folder.join("ledger.jsonl"), args.skip_broken)?;
    input.show_progress(true);
    let (mut tally, skew) = (Tally::default(), args.clock_skew.as_secs_f64());
    let read = input.each(|entry| {
        tally.add(&entry.line, &report, skew);
        Ok(())
    });
    if let Err(Ended::Failed(failure)) = read {
        return Err(failure);
    }
    input.tell_notes();
    let (text, exit) = verdict(&report, &tally, input.removed, input.unread);
    output::print(&text)?;
    Ok(exit)
}

fn read(path: &Path) -> Result<Report, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        cannot("read", path, &error)
            .help("name the report.json that `canard run` wrote into its --report DIR")
    })?;
    serde_json::from_str(&text).map_err(|error| {
        let failure =
            Failure::new(format!("{}:{}: this is no report: {error}", path.display(), error.line()));
        failure.help("name the report.json that `canard run` wrote into its --report DIR")
    })
}

/// What is said of it, and how it ends.
fn verdict(report: &Report, tally: &Tally, removed: u64, unread: u64) -> (String, Exit) {
    let mut counted: BTreeMap<&str, [u64; 2]> =
        tally.faults.keys().map(|fault| (fault.as_str(), [0, 0])).collect();
    for delivery in &report.deliveries {
        counted.insert(&delivery.fault.id, [delivery.perturbed, delivery.asked_for]);
    }
    let (mut rows, mut lacking, mut excess) = (Vec::new(), 0, 0);
    for (fault, counts) in &counted {
        let lines = tally.faults.get(*fault).copied().unwrap_or_default();
        let lacks = [0, 1].map(|kind| lines[kind].lacks(counts[kind]));
        lacking += lacks.iter().filter(|lack| **lack > 0).sum::<i64>();
        excess -= lacks.iter().filter(|lack| **lack < 0).sum::<i64>();
        let shown = |kind: usize| [lines[kind].possible.to_string(), counts[kind].to_string()];
        let [lines_drawn, drawn] = shown(0);
        let [lines_asked, asked] = shown(1);
        let agrees = if lacks == [0, 0] { "yes" } else { "NO" };
        rows.push([(*fault).to_owned(), lines_drawn, drawn, lines_asked, asked, agrees.to_owned()]);
    }
    let total: u64 = counted.values().flatten().sum();
    let what = format!("{}, {}", count(counted.len(), "fault"), count(total as usize, "perturbed response"));
    let (headline, exit) = match (lacking, excess) {
        (0, 0) => (format!("The ledger and the report agree: {what}."), Exit::Met),
        (lacking, 0) if removed + unread > 0 => (
            format!(
                "It can't be told: {} of {what} have no line, but {} and {} could not be read.",
                lacking,
                count(removed as usize, "older file"),
                count(unread as usize, "line"),
            ),
            Exit::Inconclusive,
        ),
        _ => (
            format!(
                "The ledger and the report do NOT agree: {} without a line, {} beyond the counters.",
                count(lacking as usize, "perturbed response"),
                count(excess as usize, "line"),
            ),
            Exit::FellShort,
        ),
    };
    (format!("{headline}\n\n{}", table(&rows)), exit)
}

fn table(rows: &[[String; 6]]) -> String {
    let header = ["fault", "lines", "perturbed", "lines asked for", "asked for", "agree"].map(str::to_owned);
    let width = |column: usize| {
        std::iter::once(&header).chain(rows).map(|row| row[column].chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let cells = row.iter().enumerate().map(|(i, cell)| match i {
            0 => format!("{cell:<width$}", width = widths[i]),
            _ => format!("{cell:>width$}", width = widths[i]),
        });
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    std::iter::once(&header).chain(rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_its_way_when_the_run_ended_may_be_counted_or_not() {
        let lines = Lines { certain: 10, possible: 12 };
        let lacks: Vec<i64> = (8..=14).map(|counted| lines.lacks(counted)).collect();
        assert_eq!(lacks, [-2, -1, 0, 0, 0, 1, 2]);
    }
}
