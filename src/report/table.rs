//! Tables for the terminal: the plan before a run, the verdicts after it.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, LineStyle, Table, presets};
use owo_colors::OwoColorize;

use super::words;
use crate::event::{Delivered, Delivery, Outcome, Outline, Report, Verdict};

fn table(width: u16, header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_content_arrangement(ContentArrangement::Dynamic)
        .enforce_styling()
        .set_width(width.max(40))
        .set_header(header.iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    table
}

/// What a run found, for a terminal of so many columns: verdicts, faults, what to do.
pub fn summary(report: &Report, width: u16) -> String {
    let mut out = format!("\n{}\n", words::headline(report).bold());
    if let Some(score) = words::score(report) {
        out.push_str(&format!("{score}.\n"));
    }
    if !report.outcomes.is_empty() {
        let mut verdicts = table(width, &["phase", "expectation", "verdict", "time", "what was seen"]);
        verdicts.add_rows(report.outcomes.iter().map(verdict_row));
        out.push_str(&format!("\n{verdicts}\n"));
    }
    for delivery in &report.deliveries {
        out.push('\n');
        out.push_str(&fault(delivery));
    }
    let advice: Vec<_> =
        report.outcomes.iter().filter(|o| o.verdict != Verdict::Met).filter_map(advice).collect();
    if !advice.is_empty() {
        out.push_str(&format!("\n{}\n", advice.join("\n")));
    }
    for notice in &report.notices {
        out.push_str(&format!("\n{} {notice}\n", "note:".blue()));
    }
    if !report.not_assigned.is_empty() {
        let list = report.not_assigned.iter().map(|(reason, count)| format!("{count} {reason}"));
        out.push_str(&format!("\nrequests in no arm: {}\n", list.collect::<Vec<_>>().join(", ")));
    }
    out
}

fn verdict_row(outcome: &Outcome) -> Vec<Cell> {
    let color = match outcome.verdict {
        Verdict::Met => Color::Green,
        Verdict::Inconclusive => Color::Yellow,
        _ => Color::Red,
    };
    vec![
        Cell::new(&outcome.phase),
        Cell::new(words::expectation(outcome)),
        Cell::new(words::verdict(outcome)).fg(color),
        Cell::new(outcome.time.map(words::time).unwrap_or_default()),
        Cell::new(&outcome.detail),
    ]
}

/// A fault and what it did: what was asked for, what was changed, what callers saw.
fn fault(delivery: &Delivery) -> String {
    let delivered = words::delivered(delivery);
    let delivered = match delivery.delivered {
        Delivered::Yes => delivered.green().to_string(),
        Delivered::No | Delivered::TooLittleTraffic => delivered.yellow().to_string(),
    };
    let asked = &delivery.fault;
    let mut out = format!("{}: {}, {delivered}\n", asked.id.bold(), asked.size);
    out.push_str(&format!(
        "  {} of everything; changed {} of {} treated requests\n",
        shares(asked.exposure_share, asked.rate, asked.overall_share),
        delivery.perturbed,
        delivery.exposed
    ));
    if !delivery.skipped.is_empty() {
        let list: Vec<_> =
            delivery.skipped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        out.push_str(&format!("  skipped: {}\n", list.join(", ")));
    }
    let longest = delivery.effects.iter().map(|effect| effect.measure.chars().count()).max().unwrap_or(0);
    for effect in &delivery.effects {
        out.push_str(&format!("  {:longest$}  {}\n", effect.measure, words::effect(effect)));
    }
    out
}

/// The three shares: of units, of what those get, and of everything.
fn shares(exposure: f64, rate: f64, overall: f64) -> String {
    let percent = |share: f64| (share * 1000.0).round() / 10.0;
    format!("{}% of units × {}% = {}%", percent(exposure), percent(rate), percent(overall))
}

fn advice(outcome: &Outcome) -> Option<String> {
    let why = outcome.reason.map_or(String::new(), |reason| format!(" ({})", words::meaning(reason)));
    let line = outcome.line.map_or(String::new(), |line| format!(" [line {line}]"));
    let advice = outcome.advice.as_ref()?;
    Some(format!("{} {}{line}{why}: {advice}", "→".cyan(), outcome.subject.bold()))
}

/// What a run would do: its timeline, and who would be touched how often.
pub fn plan(outline: &Outline, rate_per_s: Option<f64>, width: u16) -> String {
    let mut phases = table(width, &["from", "to", "phase", "fault", "size", "share", "about"]);
    for phase in &outline.phases {
        let from = words::span(phase.starts_s);
        let to = words::span(phase.starts_s + phase.lasts_s);
        if phase.faults.is_empty() {
            phases.add_row(vec![
                from,
                to,
                phase.phase.clone(),
                "—".into(),
                String::new(),
                String::new(),
                String::new(),
            ]);
            continue;
        }
        for fault in &phase.faults {
            let about = rate_per_s.map_or(String::new(), |rate| {
                format!("{:.0} requests touched", rate * phase.lasts_s * fault.overall_share)
            });
            let share = shares(fault.exposure_share, fault.rate, fault.overall_share);
            let row = [&from, &to, &phase.phase, &fault.fault, &fault.size, &share, &about].map(Clone::clone);
            phases.add_row(row.to_vec());
        }
    }
    format!("{}\n{}\n\n{phases}\n", outline.scenario.bold(), outline.hypothesis)
}
