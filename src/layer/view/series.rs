//! The counters of one layer.
//!
//! A request finds its series by a 64-bit hash of its labels under a read lock and adds to atomics; it
//! allocates only when it is the first of its kind. The number of series is bounded.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Method;
use xxhash_rust::xxh3::Xxh3;

use super::{
    DURATION_BOUNDS_S, TextKey, TextSeries, ViewSettings,
    snapshot::{
        Arms, DurationKey, Durations, EmbeddingReading, PredictionKey, ScoreKey, ScoreReading, ViewSnapshot,
    },
};
use crate::{
    evidence::{OTHER_LABEL, Sample, TextReading},
    exposure::Arm,
    wire::{Answer, Content, Value},
};

const METHODS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::CONNECT,
    Method::PATCH,
    Method::TRACE,
];
/// What nginx calls a request whose caller left; here for every response that did not pass whole.
const BROKEN: u16 = 499;
/// Finish reasons of a model that are told apart.
const REASONS: usize = 16;

/// The counters of one layer.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) settings: Arc<ViewSettings>,
    durations: RwLock<HashMap<u64, Arc<DurationSeries>>>,
    readings: Mutex<Readings>,
    exposed: [AtomicU64; 2],
}

#[derive(Debug)]
struct DurationSeries {
    key: DurationKey,
    buckets: [AtomicU64; DURATION_BOUNDS_S.len() + 1],
    sum_us: AtomicU64,
}

#[derive(Debug, Default)]
struct Readings {
    predictions: BTreeMap<PredictionKey, u64>,
    scores: BTreeMap<ScoreKey, ScoreReading>,
    embeddings: BTreeMap<ScoreKey, EmbeddingReading>,
    texts: BTreeMap<TextKey, TextSeries>,
    invalid: BTreeMap<PredictionKey, u64>,
    unread: BTreeMap<&'static str, u64>,
}

/// The labels of one request, borrowed.
struct Labelled<'a> {
    method: &'a str,
    route: Route<'a>,
    status: u16,
    arm: Arms,
    version: &'a str,
}

/// A path as its template: what stands before the model, the model, and what stands after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route<'a> {
    before: &'a str,
    model: &'a str,
    versioned: bool,
    after: &'a str,
}

impl<'a> Route<'a> {
    const OTHER: Route<'static> = Route { before: "other", model: "", versioned: false, after: "" };

    pub(super) fn of(path: &'a str, model: Option<&'a str>) -> Route<'a> {
        let split = model.and_then(|model| around(path, model).map(|(before, after)| (before, model, after)));
        let Some((before, model, rest)) = split else {
            return Route { before: path, model: "", versioned: false, after: "" };
        };
        match rest.strip_prefix("/versions/") {
            Some(version) => {
                let after = version.find('/').map_or("", |end| &version[end..]);
                Route { before, model, versioned: true, after }
            }
            None => Route { before, model, versioned: false, after: rest },
        }
    }

    pub(super) fn template(&self) -> String {
        let model = if self.model.is_empty() { "" } else { "{model}" };
        let version = if self.versioned { "/versions/{version}" } else { "" };
        format!("{}{model}{version}{}", self.before, self.after)
    }
}

/// What stands before and after `part`, a slice of `path`. Its text may occur earlier in the path, too.
fn around<'a>(path: &'a str, part: &str) -> Option<(&'a str, &'a str)> {
    let start = part.as_ptr().addr().checked_sub(path.as_ptr().addr())?;
    Some((path.get(..start)?, path.get(start.checked_add(part.len())?..)?))
}

impl Shard {
    pub(super) fn new(settings: Arc<ViewSettings>) -> Shard {
        Shard {
            settings,
            durations: RwLock::default(),
            readings: Mutex::default(),
            exposed: Default::default(),
        }
    }

    /// Counts one exchange.
    pub(super) fn record(&self, sample: &Sample) {
        match sample.arm {
            Some(Arm::Treated) => _ = self.exposed[0].fetch_add(1, Relaxed),
            Some(Arm::Control) => _ = self.exposed[1].fetch_add(1, Relaxed),
            None => {}
        }
        let path = sample.uri.path();
        let codec = &self.settings.codec;
        let route = match codec.is_prediction(&sample.method, path) {
            true => Route::of(path, codec.model(path)),
            false => Route::OTHER,
        };
        let method = if METHODS.contains(&sample.method) { sample.method.as_str() } else { "_OTHER" };
        let status = sample.status.filter(|_| sample.whole).map_or(BROKEN, |status| status.as_u16());
        let labelled = Labelled { method, route, status, arm: arm(sample), version: version(sample) };
        self.series(&labelled).record(sample.latency);
    }

    fn series(&self, labelled: &Labelled<'_>) -> Arc<DurationSeries> {
        let hash = labelled.hash();
        let known = self.durations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(&hash) {
            return series.clone();
        }
        let full = known.len() >= self.settings.series;
        drop(known);
        let other = Route { before: OTHER_LABEL, ..Route::OTHER };
        let rest = Labelled { route: other, version: "", ..*labelled };
        let labelled = if full { &rest } else { labelled };
        let hash = if full { rest.hash() } else { hash };
        let mut series = self.durations.write().unwrap_or_else(PoisonError::into_inner);
        series.entry(hash).or_insert_with(|| Arc::new(DurationSeries::new(labelled))).clone()
    }

    /// Counts the predictions of one response.
    pub(super) fn predicted(&self, model: &str, sample: &Sample, answer: &Answer) {
        let mut readings = self.readings();
        let (arm, version) = (arm(sample), version(sample));
        let key = |label: &str| PredictionKey {
            model: model.to_owned(),
            label: label.to_owned(),
            arm,
            version: version.to_owned(),
        };
        let labels = answer.labels(&self.settings.labels);
        for row in &answer.rows {
            if answer.content == Content::Predictions
                && let Some(label) = labels.of(row)
            {
                count(&mut readings.predictions, key(&label), self.settings.series);
            }
            if let Some(reason) = row.invalid(answer.content) {
                count(&mut readings.invalid, key(reason), self.settings.series);
            }
            let key = ScoreKey { model: model.to_owned(), arm, version: version.to_owned() };
            if answer.content == Content::Embeddings {
                within(&mut readings.embeddings, key, self.settings.series).record(row);
            } else if let Some(score) = row.scores.iter().filter_map(Value::as_f64).reduce(f64::max)
                && score.is_finite()
            {
                within(&mut readings.scores, key, self.settings.series).record(score);
            }
        }
    }

    /// Counts the generated text of one response.
    pub(super) fn generated(&self, model: &str, sample: &Sample, reading: &TextReading) {
        let mut readings = self.readings();
        let version = version(sample).to_owned();
        let mut key = TextKey { model: model.to_owned(), arm: arm(sample), version };
        if !readings.texts.contains_key(&key) && readings.texts.len() >= self.settings.series {
            (key.model, key.version) = (OTHER_LABEL.to_owned(), String::new());
        }
        readings.texts.entry(key).or_default().record(reading, sample.latency, REASONS);
    }

    /// Counts a response whose predictions are not read.
    pub(super) fn unread(&self, reason: &'static str) {
        *self.readings().unread.entry(reason).or_default() += 1;
    }

    pub(super) fn add_to(&self, snapshot: &mut ViewSnapshot) {
        for series in self.durations.read().unwrap_or_else(PoisonError::into_inner).values() {
            snapshot.durations.entry(series.key.clone()).or_default().merge(&series.read());
        }
        for (arm, count) in [Arms::Treated, Arms::Control].into_iter().zip(&self.exposed) {
            *snapshot.exposed.entry(arm).or_default() += count.load(Relaxed);
        }
        let readings = self.readings();
        for (key, count) in &readings.predictions {
            *snapshot.predictions.entry(key.clone()).or_default() += count;
        }
        for (key, texts) in &readings.texts {
            snapshot.texts.entry(key.clone()).or_default().merge(texts);
        }
        for (key, count) in &readings.invalid {
            *snapshot.invalid.entry(key.clone()).or_default() += count;
        }
        for (key, embeddings) in &readings.embeddings {
            snapshot.embeddings.entry(key.clone()).or_default().merge(embeddings);
        }
        for (key, scores) in &readings.scores {
            snapshot.scores.entry(key.clone()).or_default().merge(scores);
        }
        for (reason, count) in &readings.unread {
            *snapshot.unread.entry(reason).or_default() += count;
        }
    }

    fn readings(&self) -> std::sync::MutexGuard<'_, Readings> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Labelled<'_> {
    fn hash(&self) -> u64 {
        let mut hash = Xxh3::new();
        for part in [self.method, self.route.before, self.route.model, self.route.after, self.version] {
            hash.update(part.as_bytes());
            hash.update(&[0xFF]);
        }
        let [high, low] = self.status.to_be_bytes();
        hash.update(&[high, low, self.arm as u8, u8::from(self.route.versioned)]);
        hash.digest()
    }
}

impl DurationSeries {
    fn new(labelled: &Labelled<'_>) -> DurationSeries {
        let route = labelled.route;
        let key = DurationKey {
            method: labelled.method.to_owned(),
            route: route.template(),
            status: labelled.status,
            model: route.model.to_owned(),
            arm: labelled.arm,
            version: labelled.version.to_owned(),
        };
        DurationSeries { key, buckets: Default::default(), sum_us: AtomicU64::default() }
    }

    fn record(&self, latency: Duration) {
        let seconds = latency.as_secs_f64();
        let bucket = DURATION_BOUNDS_S.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    fn read(&self) -> Durations {
        let mut durations = Durations::default();
        durations.buckets.iter_mut().zip(&self.buckets).for_each(|(n, cell)| *n = cell.load(Relaxed));
        durations.sum_s = self.sum_us.load(Relaxed) as f64 * 1e-6;
        durations
    }
}

/// The side of an exchange. Nothing armed is control; an exchange that ended without a response told nothing.
pub(super) fn arm(sample: &Sample) -> Arms {
    match sample.arm {
        Some(Arm::Treated) => Arms::Treated,
        Some(Arm::Control) => Arms::Control,
        None if sample.status.is_none() => Arms::Unknown,
        None => Arms::Control,
    }
}

/// The version of an exchange; empty if it has none.
fn version(sample: &Sample) -> &str {
    sample.version.as_deref().unwrap_or_default()
}

/// The reading of a key, or of all others where there are too many.
fn within<T: Default>(readings: &mut BTreeMap<ScoreKey, T>, mut key: ScoreKey, limit: usize) -> &mut T {
    if !readings.contains_key(&key) && readings.len() >= limit {
        (key.model, key.version) = (OTHER_LABEL.to_owned(), String::new());
    }
    readings.entry(key).or_default()
}

fn count(counts: &mut BTreeMap<PredictionKey, u64>, mut key: PredictionKey, limit: usize) {
    if !counts.contains_key(&key) && counts.len() >= limit {
        key.label = OTHER_LABEL.to_owned();
        key.model = OTHER_LABEL.to_owned();
        key.version = String::new();
    }
    *counts.entry(key).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Outputs, Protocol};

    #[test]
    fn a_route_names_the_place_of_the_model_not_its_letters() {
        let table = [
            (Protocol::OpenInference, "/v2/models/iris/infer", "/v2/models/{model}/infer"),
            (Protocol::OpenInference, "/v2/models/m/infer", "/v2/models/{model}/infer"),
            (Protocol::OpenInference, "/a/v2/models/v2/infer", "/a/v2/models/{model}/infer"),
            (
                Protocol::OpenInference,
                "/v2/models/models/versions/7/infer",
                "/v2/models/{model}/versions/{version}/infer",
            ),
            (Protocol::KserveV1, "/v1/models/o:predict", "/v1/models/{model}:predict"),
            (Protocol::Mlflow, "/invocations", "/invocations"),
        ];
        for (protocol, path, template) in table {
            let codec = protocol.codec(&Outputs::default());
            assert_eq!(Route::of(path, codec.model(path)).template(), template, "{path}");
        }
    }
}
