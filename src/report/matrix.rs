//! The detection matrix for the terminal and as Markdown: the same tables, faults down, alerts across.

use comfy_table::{Cell, Color};
use owo_colors::OwoColorize;

use super::{table, words};
use crate::event::{AlertRow, Expected, FaultRow, Matrix, MatrixCell};

/// Columns that the names of faults may take before they are broken.
const LONGEST_FAULT: usize = 36;
/// Columns of a table beside its alerts.
const AROUND: usize = 16;

/// How a text looks: what is as it should be, what is not, what can't be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Bad,
    Unsure,
}

type Entry = (String, Tone);

/// A table in any format.
struct Grid {
    header: Vec<String>,
    rows: Vec<Vec<Entry>>,
}

impl Grid {
    fn text(&self, width: u16) -> String {
        let header: Vec<&str> = self.header.iter().map(String::as_str).collect();
        let mut table = table::table(width, &header);
        let cell = |(text, tone): &Entry| match tone {
            Tone::Plain => Cell::new(text),
            Tone::Good => Cell::new(text).fg(Color::Green),
            Tone::Bad => Cell::new(text).fg(Color::Red),
            Tone::Unsure => Cell::new(text).fg(Color::Yellow),
        };
        table.add_rows(self.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>()));
        format!("{table}\n")
    }

    fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let safe = |text: &str| text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ");
        let mut out = line(self.header.iter().map(|title| safe(title)).collect());
        out.push_str(&line(vec!["---".to_owned(); self.header.len()]));
        for row in &self.rows {
            out.push_str(&line(row.iter().map(|(text, _)| safe(text)).collect()));
        }
        out
    }
}

/// What several runs found, for a terminal of so many columns.
pub fn matrix(matrix: &Matrix, width: u16) -> String {
    let mut out = format!("\n{}\n", words::campaign(matrix).bold());
    for line in remarks(matrix) {
        out.push_str(&table::wrapped(&line, width));
    }
    for grid in grids(matrix, usize::from(width)) {
        out.push_str(&format!("\n{}", grid.text(width)));
    }
    if !matrix.alerts.is_empty() {
        out.push_str(&format!("\n{}", alerts(matrix).text(width)));
    }
    out
}

/// The same as Markdown, for documents and for the summary of a step in CI.
pub fn matrix_markdown(matrix: &Matrix) -> String {
    let mut out = format!("# Detection matrix\n\n{}\n\n", words::campaign(matrix));
    for line in remarks(matrix) {
        out.push_str(&format!("- {line}\n"));
    }
    for grid in grids(matrix, usize::MAX) {
        out.push_str(&format!("\n{}", grid.markdown()));
    }
    out.push_str("\n✓ in time, ◐ not always, ✗ never in time, · silent as it should be, ! fired unasked, ? can't be told\n");
    if !matrix.alerts.is_empty() {
        out.push_str(&format!("\n{}", alerts(matrix).markdown()));
    }
    out
}

/// What became of the baseline, if it was compared with one: a line each.
pub fn difference(matrix: &Matrix) -> String {
    words::difference(matrix).iter().map(|line| format!("{line}\n")).collect()
}

/// What stands beside the tables, a line each.
fn remarks(matrix: &Matrix) -> Vec<String> {
    let mut lines = words::difference(matrix);
    if let Some(score) = matrix.score {
        lines.push(format!("Delivered faults detected in time: {}.", words::portion(score)));
    }
    if !matrix.unseen.is_empty() {
        lines.push(format!("Seen by nothing: {}.", matrix.unseen.join(", ")));
    }
    if !matrix.never_fired.is_empty() {
        lines.push(format!("Never fired in any run: {}.", matrix.never_fired.join(", ")));
    }
    lines.extend(matrix.runs.iter().filter_map(words::broken_off));
    lines
}

/// The matrix, in as many tables as its alerts need.
fn grids(matrix: &Matrix, width: usize) -> Vec<Grid> {
    let across: Vec<&String> = matrix.alerts.keys().filter(|alert| concerned(matrix, alert)).collect();
    let cell = |row: &FaultRow, alert: &str| row.cells.get(alert).map_or_else(nothing, entry);
    let column = |alert: &&String| {
        let cells = matrix.faults.iter().map(|row| cell(row, alert).0.chars().count());
        3 + cells.chain([alert.chars().count()]).max().unwrap_or_default()
    };
    let longest = matrix.faults.iter().map(|row| row.name().chars().count()).max().unwrap_or_default();
    let room = width.saturating_sub(longest.min(LONGEST_FAULT) + AROUND);
    let mut chunks: Vec<(usize, Vec<&String>)> = Vec::new();
    for alert in across {
        let wide = column(&alert);
        match chunks.last_mut() {
            Some((used, chunk)) if *used + wide <= room => {
                *used += wide;
                chunk.push(alert);
            }
            _ => chunks.push((wide, vec![alert])),
        }
    }
    if chunks.is_empty() && !matrix.faults.is_empty() {
        chunks.push((0, Vec::new()));
    }
    let grid = |(_, alerts): (usize, Vec<&String>)| {
        let titles = ["fault".to_owned(), "delivered".to_owned()];
        let header = titles.into_iter().chain(alerts.iter().map(|alert| (*alert).clone())).collect();
        let row = |row: &FaultRow| {
            let cells = alerts.iter().map(|alert| cell(row, alert));
            [(row.name(), Tone::Plain), delivered(row)].into_iter().chain(cells).collect()
        };
        Grid { header, rows: matrix.faults.iter().map(row).collect() }
    };
    chunks.into_iter().map(grid).collect()
}

/// Has any fault something to do with an alert?
fn concerned(matrix: &Matrix, alert: &str) -> bool {
    matrix.faults.iter().any(|row| row.cells.contains_key(alert))
}

fn nothing() -> Entry {
    (String::new(), Tone::Plain)
}

fn delivered(row: &FaultRow) -> Entry {
    let tone = if row.delivered == row.runs && row.runs > 0 { Tone::Plain } else { Tone::Unsure };
    (format!("{}/{}", row.delivered, row.runs), tone)
}

/// `✓ detected 4/5, late 1`
fn entry(cell: &MatrixCell) -> Entry {
    let told = cell.told();
    let unsure = |text: &mut Vec<String>| {
        if cell.inconclusive > 0 {
            let why: Vec<&str> = cell.inconclusive_because.keys().map(String::as_str).collect();
            text.push(format!("{} untold ({})", cell.inconclusive, why.join(", ")));
        }
    };
    let mut parts = Vec::new();
    if cell.expected != Expected::Fires {
        return match (cell.cross_talk, cell.expected) {
            (0, Expected::Silence) if cell.inconclusive == 0 => ("· silent".to_owned(), Tone::Good),
            (0, _) => {
                unsure(&mut parts);
                (format!("? {}", parts.join(", ")), Tone::Unsure)
            }
            (runs, Expected::Silence) => (format!("! fired {runs}×"), Tone::Bad),
            (runs, _) => (format!("! cross-talk {runs}×"), Tone::Unsure),
        };
    }
    for (count, word) in [(cell.detected, "detected"), (cell.late, "late"), (cell.missed, "missed")] {
        match (count, told) {
            (0, _) => {}
            (_, 1) => parts.push(word.to_owned()),
            _ => parts.push(format!("{word} {count}/{told}")),
        }
    }
    unsure(&mut parts);
    let (symbol, tone) = match cell.detected {
        _ if told == 0 => ("?", Tone::Unsure),
        0 => ("✗", Tone::Bad),
        all if all == told => ("✓", Tone::Good),
        _ => ("◐", Tone::Unsure),
    };
    (format!("{symbol} {}", parts.join(", ")), tone)
}

/// Each alert over all faults.
fn alerts(matrix: &Matrix) -> Grid {
    let titles = ["alert", "in time", "time to detect", "precision", "cross-talk", "false alarms"];
    let row = |(name, row): (&String, &AlertRow)| {
        let plain = |text: String| (text, Tone::Plain);
        let alarms = if row.false_alarms > 0 { Tone::Bad } else { Tone::Plain };
        vec![
            plain(name.clone()),
            plain(row.recall.map(words::portion).unwrap_or_default()),
            plain(row.time_to_detect.as_ref().map(words::curve).unwrap_or_default()),
            plain(row.precision.map(words::portion).unwrap_or_default()),
            plain(row.cross_talk.to_string()),
            (words::false_alarms(row), alarms),
        ]
    };
    Grid { header: titles.map(str::to_owned).to_vec(), rows: matrix.alerts.iter().map(row).collect() }
}

#[cfg(test)]
mod tests;
