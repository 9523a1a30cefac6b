//! Several runs, one after another, and what they say together.
//!
//! Each is an ordinary run with its own lease, guards and report folder. What is known is written after every one, so
//! that a campaign which is killed has lost only the run that was going on.

mod agenda;
pub(super) mod baseline;
mod files;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Exit, Failure,
    live::{self, Format, Show},
    output,
    play::{ANOTHER_FOLDER, Play, Signals, play, writable, write_whole},
    power,
    target::Target,
};
use crate::{
    clock,
    event::{Ending, Event, Kind, Matrix, Outline, Report},
    gameday::{self, Options, Orders},
    report,
    scenario::Plan,
    unit::{Share, Span},
    verify::{self, Baseline, Played},
};

pub(super) use agenda::{Item, Times, agenda};
pub(super) use files::scenarios;

/// What is played, and how.
#[derive(Debug)]
pub(super) struct Campaign {
    /// The scenarios as they are written.
    pub(super) scenarios: Vec<Arc<Plan>>,
    /// The runs.
    pub(super) items: Vec<Item>,
    pub(super) target: Target,
    /// Where reports go, each into a folder of its own.
    pub(super) report: PathBuf,
    pub(super) options: Options,
    /// Share of runs in which an alert has to notice a fault in time; all of them if there is none.
    pub(super) require: Option<Share>,
    /// What alerts caught before.
    pub(super) baseline: Option<Baseline>,
    /// Where what they catch now goes, and what was there.
    pub(super) write_baseline: Option<(PathBuf, Option<Baseline>)>,
    pub(super) format: Format,
    pub(super) quiet: bool,
}

/// Plays all runs; the matrix is of those that were begun.
pub(super) async fn campaign(campaign: Campaign, signals: Signals) -> miette::Result<Exit> {
    let mut played: Vec<Played> = Vec::new();
    let mut matrix = campaign.matrix(&played);
    let left = leftovers(&campaign.report, &campaign.items);
    if !left.is_empty() {
        campaign
            .tell(&format!("left by an earlier campaign, and no part of this one: {}", left.join(", ")))?;
    }
    for (number, item) in campaign.items.iter().enumerate() {
        if signals.came() {
            break;
        }
        campaign.tell(&format!(
            "run {} of {}: {} (seed {}{})",
            number + 1,
            campaign.items.len(),
            item.run,
            item.plan.document.seed,
            if item.null { ", nothing injected" } else { "" }
        ))?;
        let report = campaign.play(item, signals.clone()).await;
        if let Err(why) = &report {
            anstream::eprintln!("{why:?}");
        }
        let report = report.map_err(|why| why.to_string());
        let interrupted = report.as_ref().is_ok_and(|report| report.ending == Ending::Interrupted);
        played.push(item.played(report));
        matrix = campaign.matrix(&played);
        campaign.write(&matrix)?;
        if interrupted {
            break;
        }
        let broken = matrix.runs.last().filter(|run| run.ending != Some(Ending::Completed));
        if broken.is_some() && number + 1 < campaign.items.len() {
            campaign.tell(&format!("{} did not complete; going on with the next", item.run))?;
        }
    }
    let required = campaign.required();
    matrix.baseline = campaign.baseline.as_ref().map(|baseline| baseline.compare(&matrix, required));
    matrix.exit_code = campaign.exit_code(&played, &matrix);
    if signals.came() {
        matrix.exit_code = Exit::Interrupted as u8;
    }
    campaign.write(&matrix)?;
    write_whole(&campaign.report, "junit.xml", &junit(&played), ANOTHER_FOLDER)?;
    campaign.show(&matrix)?;
    if let Some((path, before)) = campaign.write_baseline.as_ref().filter(|_| !signals.came()) {
        baseline::write(path, before.as_ref().or(campaign.baseline.as_ref()), &matrix, required)?;
    }
    Ok(Exit::of_code(matrix.exit_code))
}

/// What would be played.
pub(super) fn dry_run(campaign: &Campaign) -> Result<(), Failure> {
    let outline = |item: &Item| gameday::outline(&item.plan, "nothing: a dry run".into(), Vec::new());
    if campaign.format == Format::Json {
        let line = |item: &Item| {
            let line = serde_json::json!({ "run": item.run, "null": item.null, "outline": outline(item) });
            line.to_string() + "\n"
        };
        let power =
            |plan: &Arc<Plan>| serde_json::json!({ "power": power::by_default(plan) }).to_string() + "\n";
        let needed = campaign.scenarios.iter().map(power);
        return output::print(&campaign.items.iter().map(line).chain(needed).collect::<String>());
    }
    let mut text = String::new();
    for plan in &campaign.scenarios {
        let rate = plan.traffic.as_ref().map(|(rate, _)| rate.per_second());
        let outline = gameday::outline(plan, "nothing: a dry run".into(), Vec::new());
        let power = report::power(&power::by_default(plan));
        text.push_str(&format!("{}\n{power}\n", report::plan(&outline, rate, live::width())));
    }
    let total: std::time::Duration = campaign.items.iter().map(|item| item.plan.lasts()).sum();
    let (runs, total) = (campaign.items.len(), Span::from(total));
    text.push_str(&format!("{runs} runs, at most {total} and what the monitors still have to tell:\n"));
    let longest = campaign.items.iter().map(|item| item.run.chars().count()).max().unwrap_or_default();
    for item in &campaign.items {
        let order = match (item.null, item.shuffled) {
            (true, _) => "nothing injected".to_owned(),
            (false, false) => "as written".to_owned(),
            (false, true) => {
                let injecting = item.plan.phases.iter().filter(|phase| !phase.injections.is_empty());
                injecting.map(|phase| phase.name.as_str()).collect::<Vec<_>>().join(", ")
            }
        };
        let (run, seed, lasts) = (&item.run, item.plan.document.seed, Span::from(item.plan.lasts()));
        text.push_str(&format!("  {run:<longest$}  {lasts:>6}  seed {seed:<10}  {order}\n"));
    }
    output::print(&(text + "\nNothing was touched.\n"))
}

impl Campaign {
    async fn play(&self, item: &Item, signals: Signals) -> miette::Result<Report> {
        let report = self.report.join(&item.run);
        writable(&report, ANOTHER_FOLDER)?;
        let show = Show {
            format: self.format,
            quiet: self.quiet,
            run: Some(item.run.clone()),
            brief: true,
            silent: false,
        };
        let play_of = Play {
            plan: item.plan.clone(),
            target: self.target.clone(),
            report,
            options: item.options(&self.options),
            orders: Orders::default(),
            reload: None,
            show,
        };
        play(play_of, signals).await
    }

    fn matrix(&self, played: &[Played]) -> Matrix {
        let outline = |plan: &Arc<Plan>| gameday::outline(plan, String::new(), Vec::new());
        let outlines: Vec<Outline> = self.scenarios.iter().map(outline).collect();
        let mut matrix = verify::matrix(&outlines, played, 0);
        matrix.exit_code = self.exit_code(played, &matrix);
        matrix
    }

    fn exit_code(&self, played: &[Played], matrix: &Matrix) -> u8 {
        verify::campaign_exit_code(played, matrix, self.require.map(Share::fraction))
    }

    /// Share of runs in which an alert has to notice a fault in time to catch it.
    fn required(&self) -> f64 {
        self.require.map_or(verify::CATCHES, Share::fraction)
    }

    /// A line for who watches.
    fn tell(&self, line: &str) -> Result<(), Failure> {
        if self.format == Format::Json || self.quiet { Ok(()) } else { output::print(&format!("{line}\n")) }
    }

    /// Writes what is known of the whole campaign.
    fn write(&self, matrix: &Matrix) -> Result<(), Failure> {
        let files =
            [("matrix.json", report::matrix_json(matrix)), ("matrix.md", report::matrix_markdown(matrix))];
        files.iter().try_for_each(|(name, text)| write_whole(&self.report, name, text, ANOTHER_FOLDER))
    }

    fn show(&self, matrix: &Matrix) -> Result<(), Failure> {
        match self.format {
            Format::Json => {
                let event = Event { at: clock::now(), kind: Kind::CampaignEnded(Box::new(matrix.clone())) };
                output::print(&(serde_json::to_string(&event).unwrap_or_default() + "\n"))
            }
            Format::Text if self.quiet => output::print(&report::difference(matrix)),
            Format::Text => {
                let path = self.report.join("matrix.json");
                let path = path.display();
                output::print(&format!("{}\nmatrix: {path}\n", report::matrix(matrix, live::width())))
            }
        }
    }
}

/// All runs as JUnit XML, those that could not begin as errors.
fn junit(played: &[Played]) -> String {
    let runs = played.iter().map(|one| (one.run.as_str(), one.report.as_ref().map_err(String::as_str)));
    report::junit_of_all(&runs.collect::<Vec<_>>())
}

/// The folders of an earlier campaign in the same place, which would pass for runs of this one.
fn leftovers(report: &Path, items: &[Item]) -> Vec<String> {
    let Ok(entries) = fs::read_dir(report) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let of_a_run = |name: &String| {
        name.split_once('-')
            .is_some_and(|(number, _)| number.len() >= 3 && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut left: Vec<String> =
        names.filter(of_a_run).filter(|name| items.iter().all(|item| item.run != *name)).collect();
    left.sort();
    left
}
