//! A sweep for the terminal: its probes, its curve, and from what size on the monitoring notices.

use comfy_table::{Cell, Color};
use owo_colors::OwoColorize;

use super::{table, words};
use crate::event::{Known, Probe, Seen, SizeCurve, Sweep, Threshold};

/// Columns and rows of the plot.
const COLUMNS: usize = 49;
const ROWS: usize = 10;

/// The line of a probe that has just ended.
pub fn probe(probe: &Probe, setting: &str, runs: u32, so_far: &SizeCurve) -> String {
    let seen = match probe.seen {
        Seen::Detected => seen(probe).green().to_string(),
        Seen::Missed => seen(probe).red().to_string(),
        Seen::Inconclusive => format!("{} ({})", seen(probe).yellow(), probe.detail),
    };
    let of = format!("probe {} of at most {runs}", probe.number);
    let half = format!("50% size so far: {}", threshold(&so_far.half));
    format!("{of}: {setting} {}: {seen}; {}", probe.size.bold(), half.dimmed())
}

/// `detected after 4.1 s`
fn seen(probe: &Probe) -> String {
    let time = probe.time_s.map_or(String::new(), |time| format!(" after {time:.1} s"));
    match probe.reason {
        Some(reason) => format!("{} ({}){time}", words::kebab(&probe.seen), words::kebab(&reason)),
        None => format!("{}{time}", words::kebab(&probe.seen)),
    }
}

/// `7.1%, between 5% and 9%`, or what bounds it.
fn threshold(of: &Threshold) -> String {
    match (of.known, &of.from, &of.to) {
        (Known::Milder, ..) => "milder than all that was tried".to_owned(),
        (Known::Severer, ..) => "beyond all that was tried".to_owned(),
        (_, Some(from), Some(to)) => match &of.size {
            Some(size) => format!("{size}, between {from} and {to}"),
            None => format!("between {from} and {to}"),
        },
        (_, Some(from), None) => format!("{from} or beyond"),
        (_, None, Some(to)) => format!("{to} or milder"),
        (_, None, None) => "not known yet".to_owned(),
    }
}

/// What a sweep found, for a terminal of so many columns.
pub fn sweep(sweep: &Sweep, width: u16) -> String {
    let search = &sweep.search;
    let mut out = format!("\n{}\n", headline(sweep).bold());
    out.push_str(&format!("The sweep ended: {}.\n", sweep.ending_detail));
    if let Some(floor) = &sweep.untold_up_to {
        let why = "there was too little of the fault for anybody to see that it was there";
        out.push_str(&table::wrapped(
            &format!("Sizes up to {floor} could not be told: {why}. No answer from there counts."),
            width,
        ));
    }
    let referred = sweep.probes.iter().any(|probe| probe.reference.is_some());
    let mut header =
        vec!["probe", search.setting.rsplit('.').next().unwrap_or_default(), "in time?", "what was seen"];
    if referred {
        header.insert(3, "reference");
    }
    let mut probes = table::table(width, &header);
    for one in &sweep.probes {
        let color = match one.seen {
            Seen::Detected => Color::Green,
            Seen::Missed => Color::Red,
            Seen::Inconclusive => Color::Yellow,
        };
        let mut row = vec![
            Cell::new(one.number),
            Cell::new(&one.size),
            Cell::new(seen(one)).fg(color),
            Cell::new(&one.detail),
        ];
        if referred {
            row.insert(3, Cell::new(reference(one)));
        }
        probes.add_row(row);
    }
    if !sweep.probes.is_empty() {
        out.push_str(&format!("\n{probes}\n\n{}", plot(sweep)));
    }
    out.push_str(&format!(
        "\n{} that is detected in time, with {:.0}% intervals:\n",
        search.setting,
        sweep.monitoring.half.level * 100.0
    ));
    out.push_str(&both("monitoring", &sweep.monitoring));
    if let Some(reference) = &sweep.reference {
        out.push_str(&both("reference detector", reference));
    }
    out
}

fn reference(probe: &Probe) -> String {
    match (probe.reference, probe.reference_s) {
        (Some(Seen::Detected), Some(time)) => format!("after {time:.1} s"),
        (Some(seen), _) => words::kebab(&seen),
        (None, _) => String::new(),
    }
}

fn both(who: &str, curve: &SizeCurve) -> String {
    let line = |of: &Threshold| {
        let open = if of.known == Known::Open { " (not told)" } else { "" };
        format!("  {who}, {:.0}% of the runs: {}{open}\n", of.probability * 100.0, threshold(of))
    };
    line(&curve.half) + &line(&curve.most)
}

/// What was found, in a sentence.
fn headline(sweep: &Sweep) -> String {
    let (curve, range) = (&sweep.monitoring, &sweep.search.range);
    let (mild, severe) = range.split_once("..").unwrap_or((range, range));
    match (curve.half.known, &curve.half.size, &curve.most.size) {
        (Known::Severer, ..) => {
            format!(
                "Your monitoring does not see {} every second time even at {severe}.",
                sweep.search.setting
            )
        }
        (Known::Milder, ..) => {
            let mild = sweep.untold_up_to.as_deref().unwrap_or(mild);
            format!(
                "Your monitoring sees {} at least every second time even at {mild}.",
                sweep.search.setting
            )
        }
        (Known::Within, Some(half), Some(most)) if curve.most.known == Known::Within => {
            format!(
                "Your monitoring sees {} of {half} every second time, and of {most} nine times in ten.",
                sweep.search.setting
            )
        }
        (Known::Within, Some(half), _) => {
            format!("Your monitoring sees {} of {half} every second time.", sweep.search.setting)
        }
        _ => "This sweep could not tell from what size on your monitoring notices.".to_owned(),
    }
}

/// The curve over the range; below it, what was detected and missed at which size.
fn plot(sweep: &Sweep) -> String {
    let mut grid = vec![vec![' '; COLUMNS]; ROWS + 1];
    let mut draw = |curve: &SizeCurve, mark: char| {
        let last = curve.points.len().saturating_sub(1).max(1);
        for (number, point) in curve.points.iter().enumerate() {
            let column = number * (COLUMNS - 1) / last;
            let row = ROWS - (point.probability * ROWS as f64).round() as usize;
            grid[row.min(ROWS)][column] = mark;
        }
    };
    if let Some(reference) = &sweep.reference {
        draw(reference, 'o');
    }
    draw(&sweep.monitoring, '*');
    let mut out = String::new();
    for (row, cells) in grid.iter().enumerate() {
        let percent = 100 - 100 * row / ROWS;
        let label = if row % 5 == 0 { format!("{percent:>4}% |") } else { "      |".to_owned() };
        out.push_str(&format!("{label}{}\n", cells.iter().collect::<String>().trim_end()));
    }
    out.push_str(&format!("      +{}\n", "-".repeat(COLUMNS)));
    for (label, kind) in [("seen", Seen::Detected), ("missed", Seen::Missed)] {
        let mut counts = [0_u32; COLUMNS];
        for one in sweep.probes.iter().filter(|probe| probe.seen == kind) {
            if let Some(column) = column(sweep, &one.size) {
                counts[column] += 1;
            }
        }
        let digit = |count: &u32| match count {
            0 => ' ',
            few => char::from_digit(*few, 10).unwrap_or('+'),
        };
        let line: String = counts.iter().map(digit).collect();
        out.push_str(&format!("{label:>6} {}\n", line.trim_end()));
    }
    let points = &sweep.monitoring.points;
    let at = |part: usize| points.get(part * (points.len() - 1) / 2).map_or("", |point| &point.size);
    let (mild, middle, severe) = (at(0), at(1), at(2));
    let half = COLUMNS / 2 + middle.len() / 2 - mild.len();
    out.push_str(&format!("       {mild}{middle:>half$}{severe:>0$}\n", COLUMNS - half - mild.len()));
    if sweep.reference.is_some() {
        out.push_str("       * monitoring   o reference detector\n");
    }
    out
}

/// Where a size stands in the plot.
fn column(sweep: &Sweep, size: &str) -> Option<usize> {
    let range = crate::unit::SizeRange::new(&sweep.search.range, Some(sweep.search.scale)).ok()?;
    let at = range.position(size)?.clamp(0.0, 1.0);
    Some((at * (COLUMNS - 1) as f64).round() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{FORMAT_VERSION, Search, SweepEnding},
        unit::{Scale, SizeRange},
        verify::Findings,
    };

    fn example(threshold: f64, reference: bool) -> Sweep {
        let range = SizeRange::new("1%..50%", None).unwrap();
        let mut probes: Vec<Probe> = Vec::new();
        for number in 1..=12 {
            let crate::verify::Next::Try(size) = Findings::of(&range, &probes).next(&probes, 12, 0.1) else {
                break;
            };
            let at = range.position(&size).unwrap();
            let seen = |threshold: f64| if at > threshold { Seen::Detected } else { Seen::Missed };
            probes.push(Probe {
                number,
                folder: format!("probe-{number:03}"),
                size,
                seed: 1,
                seen: seen(threshold),
                time_s: (at > threshold).then_some(4.0),
                reason: None,
                detail: "PredictionDrift: told".to_owned(),
                reference: reference.then(|| seen(0.2)),
                reference_s: None,
            });
        }
        let findings = Findings::of(&range, &probes);
        Sweep {
            format_version: FORMAT_VERSION,
            canard_version: "0".to_owned(),
            search: Search {
                scenario: "example".to_owned(),
                scenario_hash: String::new(),
                stage_hash: None,
                setting: "faults.mislabel.rate".to_owned(),
                range: range.to_string(),
                scale: Scale::Log,
                seed: 1,
                alert: None,
                expectations: vec!["confused/PredictionDrift".to_owned()],
            },
            probes,
            ending: SweepEnding::Runs,
            ending_detail: "12 runs are used up".to_owned(),
            untold_up_to: findings.untold_up_to(),
            monitoring: findings.monitoring(),
            reference: findings.reference(),
            exit_code: 0,
        }
    }

    fn plain(text: &str) -> String {
        let mut out = String::new();
        for (number, part) in text.split('\u{1b}').enumerate() {
            out.push_str(if number == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) });
        }
        out
    }

    #[test]
    fn a_sweep_is_a_table_a_plot_and_two_sizes() {
        let text = plain(&sweep(&example(0.5, false), 100));
        let told = [
            "Your monitoring sees faults.mislabel.rate of ",
            "The sweep ended: 12 runs are used up.",
            " probe   rate    in time?               what was seen",
            "100% |                             ******",
            "  50% |",
            "   0% |********************\n      +-------------------------------------------------\n",
            "  seen                          ",
            "       1%                   7.07%                    50%\n",
            "  monitoring, 50% of the runs: 7.13%, between 6.04% and 8.43%\n",
            "  monitoring, 90% of the runs: 8%, between 7.14% and 16.3%\n",
        ];
        for words in told {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn the_reference_stands_beside_it() {
        let text = plain(&sweep(&example(0.5, true), 100));
        for words in ["reference", "o reference detector", "reference detector, 50% of the runs: "] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn bounds_are_told_as_such() {
        let text = plain(&sweep(&example(2.0, false), 100));
        assert!(text.contains("does not see faults.mislabel.rate every second time even at 50%."), "{text}");
        assert!(text.contains("monitoring, 50% of the runs: beyond all that was tried"), "{text}");
        let text = plain(&sweep(&example(-1.0, false), 100));
        assert!(text.contains("sees faults.mislabel.rate at least every second time even at 1%."), "{text}");
    }
}
