//! Tables for the terminal: the plan before a run, the verdicts after it.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, LineStyle, Table, presets};
use owo_colors::OwoColorize;

use super::{reference, shadows, words};
use crate::event::{
    CauseKind, Comparison, Delivered, Delivery, FaultOutline, Outcome, Outline, Report, Verdict,
};

pub(super) fn table(width: u16, header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_content_arrangement(ContentArrangement::Dynamic)
        .enforce_styling()
        .set_width(width.max(40))
        .set_header(header.iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    table
}

/// A line for each verdict, and nothing else.
pub fn verdicts(report: &Report) -> String {
    let line = |outcome: &Outcome| {
        let time = outcome.time.map_or(String::new(), |time| format!(" after {}", words::time(time)));
        format!("{}: {}: {}{time}\n", outcome.phase, words::expectation(outcome), words::verdict(outcome))
    };
    report.outcomes.iter().map(line).collect()
}

/// What a run found, for a terminal of so many columns: verdicts, faults, what to do.
pub fn summary(report: &Report, width: u16) -> String {
    let mut out = format!("\n{}\n", words::headline(report).bold());
    if let Some(score) = words::score(report) {
        out.push_str(&format!("{score}.\n"));
    }
    if report.outline.shadow {
        let copied: u64 = report.shadows.iter().map(|seen| seen.pairs).sum();
        let told = format!("Callers got the true answer: faults acted on copies of {copied} requests.");
        out.push_str(&wrapped(&told, width));
    }
    if !report.outcomes.is_empty() {
        let mut verdicts = table(width, &["phase", "expectation", "verdict", "time", "what was seen"]);
        verdicts.add_rows(report.outcomes.iter().map(verdict_row));
        out.push_str(&format!("\n{verdicts}\n"));
    }
    if !report.deliveries.is_empty() {
        let title = "What the faults did, control → treated (95% interval of the difference):";
        out.push_str(&format!("\n{}", wrapped(title, width)));
    }
    for delivery in &report.deliveries {
        out.push('\n');
        out.push_str(&wrapped(&fault(delivery, listed_in(&report.outline, &delivery.phase)), width));
    }
    let references: Vec<_> = report.outcomes.iter().filter_map(reference::line).collect();
    if let Some(first) = report.outcomes.iter().find_map(|outcome| outcome.reference.as_ref()) {
        let title = reference::title(first);
        out.push_str(&format!("\n{}", wrapped(&format!("{title}\n  {}", references.join("\n  ")), width)));
    }
    if !report.comparisons.is_empty() {
        let title =
            "What callers of the versions saw, baseline → candidate (95% interval of the difference):";
        out.push_str(&format!("\n{}", wrapped(title, width)));
    }
    for comparison in &report.comparisons {
        out.push('\n');
        out.push_str(&wrapped(&versions(comparison), width));
    }
    if !report.shadows.is_empty() {
        let title = "What shadows answered beside their callers, who got the true answer (95% interval):";
        out.push_str(&format!("\n{}", wrapped(title, width)));
    }
    for seen in &report.shadows {
        out.push('\n');
        out.push_str(&wrapped(&shadows::lines(seen), width));
    }
    let advice: Vec<_> =
        report.outcomes.iter().filter(|o| o.verdict != Verdict::Met).filter_map(advice).collect();
    if !advice.is_empty() {
        out.push_str(&format!("\n{}", wrapped(&advice.join("\n"), width)));
    }
    for notice in &report.notices {
        out.push_str(&wrapped(&format!("\n{} {notice}", "note:".blue()), width));
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

/// Lines of text, broken between words where they are too long; what follows a break is indented.
pub(super) fn wrapped(text: &str, width: u16) -> String {
    let fill = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        let further = " ".repeat(indent + 4);
        let options = textwrap::Options::new(usize::from(width.max(40))).subsequent_indent(&further);
        textwrap::fill(line, options.break_words(false)) + "\n"
    };
    text.lines().map(fill).collect()
}

/// A fault and what it did: what was asked for, what was changed, what callers saw.
fn fault(delivery: &Delivery, of_listed: usize) -> String {
    let delivered = words::delivered(delivery);
    let delivered = match delivery.delivered {
        Delivered::Yes => delivered.green().to_string(),
        Delivered::Partly | Delivered::No | Delivered::TooLittleTraffic => delivered.yellow().to_string(),
    };
    let asked = &delivery.fault;
    let mut out = format!("{}: {}, {delivered}\n", asked.id.bold(), asked.size);
    out.push_str(&format!(
        "  at most {} of everything; changed {} of {} treated requests\n",
        shares(asked, of_listed),
        delivery.perturbed,
        delivery.exposed
    ));
    if let Some(promise) = words::promise(delivery) {
        out.push_str(&format!("  {promise}\n"));
    }
    if !delivery.skipped.is_empty() {
        let list: Vec<_> =
            delivery.skipped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        out.push_str(&format!("  skipped: {}\n", list.join(", ")));
    }
    let shown = || delivery.effects.iter().take(EFFECTS);
    let longest = shown().map(|effect| effect.measure.chars().count()).max().unwrap_or(0);
    for effect in shown() {
        out.push_str(&format!("  {:longest$}  {}\n", effect.measure, words::effect(effect)));
    }
    out
}

/// Effects that the terminal shows of a fault, those that decide first; report.json has them all.
const EFFECTS: usize = 5;

fn percent(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}

/// Two versions: which differ in what, and what both saw.
fn versions(comparison: &Comparison) -> String {
    let differing: Vec<&str> = comparison.differing().map(|effect| effect.measure.as_str()).collect();
    let verdict = match differing.as_slice() {
        [] => "no difference beyond chance".green().to_string(),
        some => format!("{} {}", "differ:".yellow(), some.join(", ")),
    };
    let mut out = format!("{}: {}, {verdict}\n", comparison.phase.bold(), words::versions(comparison));
    let longest = comparison.effects.iter().map(|effect| effect.measure.chars().count()).max().unwrap_or(0);
    for effect in &comparison.effects {
        out.push_str(&format!("  {:longest$}  {}\n", effect.measure, words::effect(effect)));
    }
    out
}

/// The three shares: of units, of what those get (in the mean over the phase), and of everything.
fn shares(of: &FaultOutline, of_listed: usize) -> String {
    let (exposure, rate, overall) = (percent(of.exposure_share), percent(of.rate), percent(of.overall_share));
    let group = of.group.as_ref().map_or(String::new(), |group| format!(" (group `{group}`)"));
    let units = format!("{exposure}% of units{group}{}", listed(of_listed));
    match percent(of.over_time) {
        100.0 => format!("{units} × {rate}% = {overall}%"),
        part => format!("{units} × {rate}% × {part}% over time = {overall}%"),
    }
}

fn listed_in(outline: &Outline, phase: &str) -> usize {
    outline.phases.iter().find(|one| one.phase == phase).map_or(0, |one| one.listed)
}

/// Units that are treated whatever the share: how many requests they send, nobody knows.
fn listed(units: usize) -> String {
    if units == 0 { String::new() } else { format!(" + {units} listed") }
}

fn advice(outcome: &Outcome) -> Option<String> {
    let why = outcome.reason.map_or(String::new(), |reason| format!(" ({})", words::meaning(reason)));
    let line = outcome.line.map_or(String::new(), |line| format!(" [line {line}]"));
    if let Some(cause) = &outcome.cause {
        // Where a value was not enough, it also matters in which other one the fault shows.
        let shows = outcome.advice.as_ref().filter(|_| cause.kind == CauseKind::ThresholdNotReached);
        let shows = shows.map_or(String::new(), |advice| format!("\n    {advice}"));
        return Some(format!(
            "{} {}{line}: {}{shows}",
            "→".cyan(),
            outcome.subject.bold(),
            words::why(cause)
        ));
    }
    let advice = outcome.advice.as_ref()?;
    Some(format!("{} {}{line}{why}: {advice}", "→".cyan(), outcome.subject.bold()))
}

/// What a run would do: its timeline, and who would be touched how often.
pub fn plan(outline: &Outline, rate_per_s: Option<f64>, width: u16) -> String {
    let mut phases = table(width, &["from", "to", "phase", "fault", "size", "share", "touches"]);
    for phase in &outline.phases {
        let from = words::span(phase.starts_s);
        let to = words::span(phase.starts_s + phase.lasts_s);
        if phase.faults.is_empty() {
            let share = phase.share.map_or(String::new(), |share| {
                format!("{}% of units{}", percent(share), listed(phase.listed))
            });
            phases.add_row(vec![
                from,
                to,
                phase.phase.clone(),
                "—".into(),
                String::new(),
                share,
                String::new(),
            ]);
            continue;
        }
        for fault in &phase.faults {
            let about = rate_per_s.map_or(String::new(), |rate| {
                let requests = rate * phase.lasts_s;
                let touched = requests * fault.overall_share;
                let and = if phase.listed == 0 { "" } else { ", and those of listed units" };
                match outline.shadow {
                    false => format!("at most {touched:.0} requests{and}"),
                    true => format!(
                        "no caller; at most {touched:.0} of {:.0} copies{and}",
                        requests * phase.share.unwrap_or(outline.exposure_share)
                    ),
                }
            });
            let share = shares(fault, phase.listed);
            let row = [&from, &to, &phase.phase, &fault.fault, &fault.size, &share, &about].map(Clone::clone);
            phases.add_row(row.to_vec());
        }
    }
    let release = outline.release.as_ref().map_or(String::new(), |release| format!("release: {release}\n"));
    format!("{}\n{}\n{release}\n{phases}\n", outline.scenario.bold(), outline.hypothesis)
}
