//! Regression: numbers go wrong as measured numbers do: in another unit, off by a constant, noisy, clipped, drifting.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Scales, Stage,
    prediction::{check_rate, each, edits},
    purpose,
    unfit::NO_NUMBER,
};
use crate::{
    stats::normal_quantile,
    unit::Share,
    wire::{Answer, Row, Value},
};

/// Moves, scales, blurs or clips the numbers of a regression.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "regression": { "scale": 1000, "rate": "5%" } }"#)?;
/// assert_eq!(fault.describe(), "× 1000 on 5%");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Regression {
    /// What the number is multiplied by; 1000 or 0.001 is a mistake of units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// What is added then, in units of the prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<f64>,
    /// What is added then for each hour of the phase, in units of the prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_per_hour: Option<f64>,
    /// Standard deviation of Gaussian noise that is added then, in units of the prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// Lowest and highest number that are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<[f64; 2]>,
    /// Share of the predictions that go wrong.
    #[serde(default = "all")]
    pub rate: Share,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "regression",
    summary: "Moves, scales, blurs, clips or slowly drifts the numbers of a regression.",
    effect: "y becomes clip(scale·y + offset + drift·hours + N(0, noise²)) for a share `rate` of the predictions: the \
             mean residual moves by offset + drift·hours + (scale − 1)·E[y] and its variance grows by noise² + \
             (scale² − 1)·Var[y]. Normal draws come from the inverse distribution function of the fault's own draw. A \
             ramp grows the offset, the noise, the drift and the distance of the scale from 1, not the rate; a clip \
             has no size and holds from the beginning. A row with a label beside scores, or with several numbers, is no \
             regression and counts as `no-number`.",
    parameters: &[
        Parameter {
            name: "scale",
            values: "number, not 1",
            default: "1",
            meaning: "what the number is multiplied by",
        },
        Parameter {
            name: "offset",
            values: "number, in units of the prediction",
            default: "0",
            meaning: "what is added",
        },
        Parameter {
            name: "drift-per-hour",
            values: "number, in units of the prediction",
            default: "0",
            meaning: "what is added for each hour of the phase",
        },
        Parameter {
            name: "noise",
            values: "number above 0, in units of the prediction",
            default: "0",
            meaning: "standard deviation of the noise that is added",
        },
        Parameter {
            name: "clip",
            values: "two numbers, the lower first: [0, 100]",
            default: "none",
            meaning: "lowest and highest number that are told",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many of the predictions go wrong",
        },
    ],
    example: "- fault: { regression: { scale: 1000, rate: 5% } }",
    seen_by: "Residuals on delayed labels (bias, RMSE); drift of the predictions (Kolmogorov-Smirnov, mean, standard \
              deviation); range checks for mistakes of units and clips.",
    blind: "Monitors of labels and classes; range checks for small offsets; the mean, for noise; latency and error \
            monitors.",
};

impl Regression {
    /// What a number becomes.
    fn spoil(&self, y: f64, hours: f64, intensity: f64, normal: impl FnOnce() -> f64) -> f64 {
        let scale = 1.0 + (self.scale.unwrap_or(1.0) - 1.0) * intensity;
        let moved = self.offset.unwrap_or(0.0) + self.drift_per_hour.unwrap_or(0.0) * hours;
        let noise = self.noise.map_or(0.0, |deviation| deviation * normal());
        let y = y * scale + (moved + noise) * intensity;
        self.clip.map_or(y, |[low, high]| y.max(low).min(high))
    }
}

/// The number of a regression.
fn number(row: &mut Row) -> Option<&mut Value> {
    match (&mut row.label, row.scores.as_mut_slice()) {
        (None, [score]) => Some(score),
        (Some(label), []) => Some(label),
        _ => None,
    }
}

impl Behaviour for Regression {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Prediction
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn scales(&self) -> Scales {
        Scales::Size
    }

    fn describe(&self) -> String {
        let parts = [
            self.scale.map(|scale| format!("× {scale}")),
            self.offset.map(|offset| format!("{offset:+}")),
            self.drift_per_hour.map(|drift| format!("{drift:+} per hour")),
            self.noise.map(|noise| format!("noise of {noise}")),
            self.clip.map(|[low, high]| format!("clipped to {low} to {high}")),
        ];
        format!("{} on {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "), self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        let settings = [
            ("scale", self.scale, 1.0),
            ("offset", self.offset, 0.0),
            ("drift-per-hour", self.drift_per_hour, 0.0),
            ("noise", self.noise, 0.0),
        ];
        for (key, value, nothing) in settings {
            if let Some(value) = value.filter(|value| !value.is_finite() || *value == nothing) {
                problems.push(
                    Problem::new(key, format!("`{key}` of {value} makes no sense")).help("leave it out"),
                );
            }
        }
        if let Some(noise) = self.noise.filter(|noise| *noise < 0.0) {
            problems.push(Problem::new("noise", format!("a standard deviation of {noise} is not possible")));
        }
        if let Some([low, high]) =
            self.clip.filter(|[low, high]| low.partial_cmp(high) != Some(Ordering::Less))
        {
            let help = "write the lower end first, such as `clip: [0, 100]`";
            problems
                .push(Problem::new("clip", format!("there is nothing between {low} and {high}")).help(help));
        }
        if settings.iter().all(|(_, value, _)| value.is_none()) && self.clip.is_none() {
            let help = "write one of `scale`, `offset`, `drift-per-hour`, `noise` and `clip`, or several";
            problems.push(Problem::new("", "`regression` needs to know what goes wrong").help(help));
        }
        problems
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        edits(self.rate, context)
    }

    fn edit(&self, answer: &mut Answer, context: &EditContext<'_>) -> Edited {
        let hours = context.since_phase.as_secs_f64() / 3600.0;
        each(&mut answer.rows, context, |place, row| {
            if !place.acts(self.rate) {
                return Ok(false);
            }
            let number = number(row).ok_or(NO_NUMBER)?;
            let before = number.as_f64().filter(|number| number.is_finite()).ok_or(NO_NUMBER)?;
            let normal = || normal_quantile(place.draw(purpose::SIZE).uniform());
            let after = self.spoil(before, hours, context.intensity, normal);
            if before == after {
                return Ok(false);
            }
            *number = Value::Float(after);
            Ok(true)
        })
    }
}

#[cfg(test)]
mod tests;
