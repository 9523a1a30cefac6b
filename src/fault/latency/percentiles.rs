//! A distribution through given percentiles: `{ p50: 80ms, p99: 900ms, p99.9: 4s }`.
//!
//! The logarithm of the delay is a straight line between two points, over the normal quantile of the
//! percentile: each piece is a piece of a lognormal, and the points are met exactly. Beyond the outermost
//! points the outermost pieces go on, but never below `p0` or above `p100` where these are given.
//!
//! Why not a line over the percentile itself? Its density would jump at every point by orders of magnitude,
//! and nothing would be slower than the last point.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    fault::Problem,
    stats::normal_quantile,
    unit::{Span, UnitError},
};

/// More points than this are a trace.
const MOST: usize = 32;

/// Delays at percentiles, in rising order: at least two between `p0` and `p100`, which are bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Span>", into = "BTreeMap<String, Span>")]
pub struct Percentiles(Vec<Point>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    percent: f64,
    delay: Span,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.percent)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Percentiles {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percentiles".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Delays at percentiles: at least two between `p0` and `p100`, which are bounds.",
            "type": "object",
            "patternProperties": { r"^p(100|[0-9]{1,2}(\.[0-9]+)?)$": generator.subschema_for::<Span>() },
            "additionalProperties": false,
            "minProperties": 2,
            "maxProperties": MOST,
            "examples": [{ "p50": "80ms", "p99": "900ms", "p99.9": "4s" }]
        })
    }
}

impl TryFrom<BTreeMap<String, Span>> for Percentiles {
    type Error = UnitError;

    fn try_from(map: BTreeMap<String, Span>) -> Result<Percentiles, UnitError> {
        let wrong = |name: &str| UnitError(format!("`{name}` is no percentile; write p50, p99 or p99.9"));
        let point = |(name, delay): (String, Span)| {
            let digits = name.strip_prefix('p').filter(|text| text.starts_with(|c: char| c.is_ascii_digit()));
            let percent: Option<f64> = digits.and_then(|text| text.parse().ok());
            let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
            percent.map(|percent| Point { percent, delay }).ok_or_else(|| wrong(&name))
        };
        let mut points: Vec<Point> = map.into_iter().map(point).collect::<Result<_, _>>()?;
        points.sort_by(|a, b| a.percent.total_cmp(&b.percent));
        match points.windows(2).find(|pair| pair[0].percent == pair[1].percent) {
            Some(pair) => Err(UnitError(format!("{} stands twice", pair[0]))),
            None => Ok(Percentiles(points)),
        }
    }
}

impl From<Percentiles> for BTreeMap<String, Span> {
    fn from(percentiles: Percentiles) -> BTreeMap<String, Span> {
        percentiles.0.into_iter().map(|point| (point.to_string(), point.delay)).collect()
    }
}

impl Percentiles {
    fn inner(&self) -> impl Iterator<Item = &Point> {
        self.0.iter().filter(|point| point.percent > 0.0 && point.percent < 100.0)
    }

    fn bound(&self, percent: f64) -> Option<f64> {
        self.0.iter().find(|point| point.percent == percent).map(|point| point.delay.as_secs_f64())
    }

    pub(super) fn quantile_s(&self, u: f64) -> f64 {
        let z = normal_quantile(u);
        let place = |point: &Point| (normal_quantile(point.percent / 100.0), point.delay.as_secs_f64().ln());
        let mut points = self.inner().map(place);
        let (Some(mut low), Some(mut high)) = (points.next(), points.next()) else { return 0.0 };
        for next in points {
            if z <= high.0 {
                break;
            }
            (low, high) = (high, next);
        }
        let slope = (high.1 - low.1) / (high.0 - low.0);
        let seconds = (low.1 + slope * (z - low.0)).exp();
        let (floor, ceiling) = (self.bound(0.0).unwrap_or(0.0), self.bound(100.0).unwrap_or(f64::INFINITY));
        seconds.max(floor).min(ceiling)
    }

    pub(super) fn describe(&self) -> String {
        let points: Vec<String> = self.0.iter().map(|point| format!("{} {point}", point.delay)).collect();
        format!("+{}", points.join(", "))
    }

    pub(super) fn check(&self) -> Option<Problem> {
        let wrong = |message: String, help: &str| Some(Problem::new("percentiles", message).help(help));
        if self.inner().count() < 2 {
            let message =
                "a distribution goes through at least two percentiles between p0 and p100".to_owned();
            return wrong(message, "such as `{ p50: 80ms, p99: 900ms, p99.9: 4s }`, or use `fixed`");
        }
        if self.0.len() > MOST {
            let message = format!("{} percentiles are more than {MOST}", self.0.len());
            return wrong(message, "give the delays themselves as a `trace`");
        }
        if let Some(point) = self.inner().find(|point| point.delay.is_zero()) {
            let message = format!("{point} is 0s, which no logarithm knows");
            return wrong(message, "to delay a share of the requests only, give a `rate`");
        }
        let falls = self.0.windows(2).find(|pair| pair[0].delay > pair[1].delay)?;
        let message =
            format!("{} ({}) is longer than {} ({})", falls[0], falls[0].delay, falls[1], falls[1].delay);
        wrong(message, "a higher percentile is at least as long")
    }
}
