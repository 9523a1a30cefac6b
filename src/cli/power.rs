//! `canard power`.

use std::path::PathBuf;

use clap::Args;

use super::{
    Exit, Failure, load,
    output::{self, Shown},
};
use crate::{
    event::{Baselines, Power},
    report,
    scenario::Plan,
    unit::{Rate, Share, Span},
    verify,
};

/// Tell how much traffic it takes to see each fault, and whether its phase is long enough.
///
/// Twice for each fault: by canard's own evidence, the treated against the control (with everybody treated, against the
/// phases before the first fault); and by a monitor that can't tell them apart, everybody in the phase against as many
/// before it, whose view is diluted by the exposure share. Sizes are those of R's power.prop.test and power.t.test, of
/// the χ² test, and of a bound for Kolmogorov and Smirnov's. What depends on the model is not guessed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canard power scenario.yaml
  canard power scenario.yaml --stage staging.yaml --rate 40/s --power 0.8

Exit codes: 0 every phase is long enough, as far as can be told; 2 the scenario, the stage or the command line is wrong; \
3 a phase is too short to tell.")]
pub(super) struct PowerArgs {
    /// The scenario file; `-` reads standard input
    scenario: PathBuf,
    /// The stage that it is meant for
    #[arg(long, value_name = "FILE")]
    stage: Option<PathBuf>,
    /// Rate of the traffic that its target matches; else that of the scenario's own traffic
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Probability of finding something where there is nothing
    #[arg(long, value_name = "P", default_value = "0.05", value_parser = probability)]
    alpha: f64,
    /// Probability of finding what is there
    #[arg(long, value_name = "P", default_value = "0.9", value_parser = probability)]
    power: f64,
    /// Share of the requests that fail without a fault
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    baseline_errors: f64,
    /// Standard deviation of the latency without a fault
    #[arg(long, value_name = "SPAN", default_value = "50ms", value_parser = above_zero)]
    baseline_latency_deviation: Span,
    /// Rate of positive predictions without a fault
    #[arg(long, value_name = "SHARE", default_value = "50%", value_parser = share)]
    baseline_positives: f64,
    /// Share of the predictions that are right without a fault
    #[arg(long, value_name = "SHARE", default_value = "90%", value_parser = share)]
    baseline_accuracy: f64,
    /// How to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Shown,
}

fn probability(text: &str) -> Result<f64, String> {
    let p: f64 = text.parse().map_err(|_| "a probability is a number between 0 and 1".to_owned())?;
    if p > 0.0 && p < 1.0 { Ok(p) } else { Err("a probability here lies between 0 and 1".into()) }
}

/// A spread that there is: without any, no test of means exists.
fn above_zero(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: crate::unit::UnitError| error.to_string())?;
    if span > Span::ZERO {
        Ok(span)
    } else {
        Err("latencies always spread: write what you measured, such as 5ms".into())
    }
}

/// `90%` or `0.9`.
fn share(text: &str) -> Result<f64, String> {
    let fraction = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    let wrong = || "a share lies between 0% and 100%: write `90%` or `0.9`".to_owned();
    fraction.or_else(|| text.parse::<Share>().ok().map(Share::fraction)).ok_or_else(wrong)
}

/// What the faults of a plan need with every default.
pub(super) fn by_default(plan: &Plan) -> Power {
    verify::power(plan, own_rate(plan), 0.05, 0.9, Baselines::default())
}

fn own_rate(plan: &Plan) -> Option<f64> {
    plan.traffic.as_ref().map(|(rate, _)| rate.per_second())
}

/// Warns of phases that are too short for a monitor to see their faults.
pub(super) fn warn(plan: &Plan) {
    report::too_short(&by_default(plan)).iter().for_each(|warning| anstream::eprintln!("warning: {warning}"));
}

pub(super) fn run(args: PowerArgs) -> miette::Result<Exit> {
    let stage = load::stage(args.stage.as_deref())?;
    let plan = load::scenario(&load::source(&args.scenario)?, &stage)?;
    let rate = args.rate.map(Rate::per_second).or_else(|| own_rate(&plan));
    let baselines = Baselines {
        error_share: args.baseline_errors,
        latency_deviation_s: args.baseline_latency_deviation.as_secs_f64(),
        positive_rate: args.baseline_positives,
        accuracy: args.baseline_accuracy,
    };
    let found = verify::power(&plan, rate, args.alpha, args.power, baselines);
    let text = match args.format {
        Shown::Text => report::power(&found),
        Shown::Json => {
            let json =
                serde_json::to_string_pretty(&found).map_err(|error| Failure::new(error.to_string()))?;
            json + "\n"
        }
    };
    output::print(&text)?;
    let short =
        found.faults.iter().any(|fault| [&fault.own, &fault.monitor].iter().any(|s| s.enough == Some(false)));
    Ok(if short { Exit::Inconclusive } else { Exit::Met })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_that_do_not_spread_are_refused() {
        assert_eq!(above_zero("5ms"), Ok(Span::from_millis(5)));
        assert!(above_zero("0s").unwrap_err().contains("latencies always spread"));
        assert!(above_zero("soon").is_err());
    }
}
