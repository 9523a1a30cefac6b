//! Which runs a campaign has, and in which order.
//!
//! The order is a randomised complete block design: a round has one run of each scenario, in an order that is drawn
//! anew for each round, so that what drifts meanwhile (a cache, a leak, the time of day) falls on all alike. Null runs
//! are spread over a scenario's runs, one at a random place in each of as many equal parts. All of it is drawn from the
//! seeds, so that the same command plays the same runs.

use std::sync::Arc;

use crate::{
    cli::Failure,
    draw::{Key, UnitHash},
    event::Report,
    gameday::Options,
    scenario::{MOST_RUNS, Plan, seed_of_repeat},
    verify::Played,
};

/// How often, and under which seed, where the command line says so.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct Times {
    pub(in crate::cli) repeat: Option<u32>,
    pub(in crate::cli) null_runs: Option<u32>,
    pub(in crate::cli) seed: Option<u64>,
    pub(in crate::cli) shuffle: bool,
}

impl Times {
    /// Repeats and null runs of a scenario.
    pub(in crate::cli) fn of(self, plan: &Plan) -> (u32, u32) {
        let document = &plan.document;
        let repeat = self.repeat.or(document.repeat).unwrap_or(1);
        (repeat, self.null_runs.or(document.null_runs).unwrap_or(0))
    }
}

/// One run.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Item {
    /// Its folder: `007-quickstart`, `008-quickstart-null`.
    pub(in crate::cli) run: String,
    pub(in crate::cli) plan: Arc<Plan>,
    pub(in crate::cli) null: bool,
    pub(in crate::cli) shuffled: bool,
}

impl Item {
    /// A null run is watched for all its time: how long must not depend on the alarms in it, or their rate is biased.
    pub(super) fn options(&self, campaign: &Options) -> Options {
        Options { early_stop: campaign.early_stop && !self.null, ..campaign.clone() }
    }

    pub(super) fn played(&self, report: Result<Report, String>) -> Played {
        Played {
            run: self.run.clone(),
            scenario: self.plan.document.name.clone(),
            seed: self.plan.document.seed,
            null: self.null,
            shuffled: Some(self.shuffled),
            report,
        }
    }
}

/// The runs in the order in which they are played.
pub(in crate::cli) fn agenda(scenarios: &[Arc<Plan>], times: Times) -> Result<Vec<Item>, Failure> {
    let runs: Result<Vec<Vec<Item>>, Failure> = scenarios.iter().map(|plan| of_one(plan, times)).collect();
    let runs = runs?;
    let count: usize = runs.iter().map(Vec::len).sum();
    if count > MOST_RUNS as usize {
        let failure = Failure::new(format!("these are {count} runs, and a campaign has {MOST_RUNS} at most"));
        return Err(
            failure.help("give fewer scenarios or repeats, and make one matrix of all: `canard matrix`")
        );
    }
    let rounds = runs.iter().map(Vec::len).max().unwrap_or_default();
    let mut all: Vec<Item> = Vec::new();
    for round in 0..rounds {
        let mut block: Vec<&Item> = runs.iter().filter_map(|runs| runs.get(round)).collect();
        if rounds > 1 {
            block.sort_by_key(|item| {
                let document = &item.plan.document;
                let name = UnitHash::of(document.name.as_bytes());
                Key::new(document.seed, &format!("round/{round}")).draw(name, 0).bits()
            });
        }
        all.extend(block.into_iter().cloned());
    }
    for (number, item) in all.iter_mut().enumerate() {
        let null = if item.null { "-null" } else { "" };
        item.run = format!("{:03}-{}{null}", number + 1, item.plan.document.name);
    }
    Ok(all)
}

/// The runs of one scenario.
fn of_one(plan: &Arc<Plan>, times: Times) -> Result<Vec<Item>, Failure> {
    let (repeat, nulls) = times.of(plan);
    let seed = times.seed.unwrap_or(plan.document.seed);
    let wrong = |mistakes: Vec<String>| {
        Failure::new(format!("`{}` can't be varied: {}", plan.document.name, mistakes.join("; ")))
    };
    let empty = nulls_at(seed, repeat, nulls);
    let (mut done, mut null_done) = (0, 0);
    let mut items = Vec::new();
    for place in 0..repeat + nulls {
        let (plan, null, shuffled) = if empty.contains(&place) {
            null_done += 1;
            // Numbered behind the repeats, so that no two have one seed.
            (plan.null(seed_of_repeat(seed, repeat + null_done)).map_err(wrong)?, true, false)
        } else {
            let own = seed_of_repeat(seed, done);
            done += 1;
            match repeat > 1 || times.shuffle {
                true => plan.shuffled(own).map(|(plan, moved)| (plan, false, moved)).map_err(wrong)?,
                false => (plan.with_seed(own).map_err(wrong)?, false, false),
            }
        };
        items.push(Item { run: String::new(), plan: Arc::new(plan), null, shuffled });
    }
    Ok(items)
}

/// The places of null runs among all.
fn nulls_at(seed: u64, repeat: u32, nulls: u32) -> Vec<u32> {
    let all = u64::from(repeat + nulls);
    let key = Key::new(seed, "null-runs");
    let start = |part: u32| (u64::from(part) * all / u64::from(nulls.max(1))) as u32;
    let place = |part: u32| {
        let (from, to) = (start(part), start(part + 1));
        from + key.draw(UnitHash::from_u64(u64::from(part)), 0).index((to - from) as usize) as u32
    };
    (0..nulls).map(place).collect()
}

#[cfg(test)]
mod tests;
