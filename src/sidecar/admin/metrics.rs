//! `/metrics`, in Prometheus' text format 0.0.4. Pure: readings in, text out.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    evidence::Cap,
    layer::{
        LeaseStatus, Totals,
        view::{
            Arms, DURATION_BOUNDS_S, EmbeddingReading, FIRST_TOKEN_BOUNDS_S, GENERATION_BOUNDS_S,
            OUTPUT_TOKEN_BOUNDS_S, TextSeries, ViewSnapshot,
        },
    },
    stats::SCORE_BINS,
};

/// What is encoded.
pub(super) struct Readings<'a> {
    pub(super) view: &'a ViewSnapshot,
    pub(super) faults: &'a Totals,
    pub(super) leases: &'a [LeaseStatus],
    /// What the payload log made of exchanges, by outcome.
    pub(super) payloads: Option<[(&'static str, u64); 3]>,
    /// Tell the arms apart?
    pub(super) arms: bool,
}

/// The whole page.
pub(super) fn encode(readings: &Readings<'_>) -> String {
    let mut page = Page { text: String::with_capacity(8 << 10), arms: readings.arms };
    page.durations(readings.view);
    page.predictions(readings.view);
    page.texts(readings.view);
    page.own(readings);
    page.text
}

struct Page {
    text: String,
    arms: bool,
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: impl std::fmt::Display) {
        self.text.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            self.text.push(if i == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{label}=\"{}\"", escaped(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    /// With the side, and the version where a release is rehearsed: other series stay as they are.
    fn with_arm<'a>(&self, mut labels: Labels<'a>, arm: Arms, version: &'a str) -> Labels<'a> {
        if !version.is_empty() {
            labels.push(("model_version", version));
        }
        if self.arms {
            labels.push(("canard_arm", arm.name()));
        }
        labels
    }

    fn histogram(&mut self, name: &str, labels: &Labels<'_>, bounds: &[f64], counts: &[u64], sum: f64) {
        let mut below = 0;
        for (bound, count) in bounds.iter().zip(counts) {
            below += count;
            let bound = bound.to_string();
            let mut labels = labels.clone();
            labels.push(("le", &bound));
            self.sample(&format!("{name}_bucket"), &labels, below);
        }
        let all: u64 = counts.iter().sum();
        let mut infinite = labels.clone();
        infinite.push(("le", "+Inf"));
        self.sample(&format!("{name}_bucket"), &infinite, all);
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, all);
    }

    fn durations(&mut self, view: &ViewSnapshot) {
        let name = "http_server_request_duration_seconds";
        let help = "From a request's arrival to the last byte of its response, as callers saw it; \
            status 499: the response did not pass whole.";
        self.family(name, "histogram", help);
        for (key, durations) in
            self.merged(&view.durations, |key| key.arm = Arms::Control, |all, more| all.merge(more))
        {
            let status = key.status.to_string();
            let labels = vec![
                ("http_request_method", key.method.as_str()),
                ("http_route", &key.route),
                ("http_response_status_code", &status),
                ("model", &key.model),
            ];
            let labels = self.with_arm(labels, key.arm, &key.version);
            self.histogram(name, &labels, &DURATION_BOUNDS_S, &durations.buckets, durations.sum_s);
        }
    }

    fn predictions(&mut self, view: &ViewSnapshot) {
        let families = [
            ("model_predictions_total", "label", "Predictions by predicted class.", &view.predictions),
            (
                "model_prediction_invalid_total",
                "reason",
                "Predictions that are no usable value.",
                &view.invalid,
            ),
        ];
        for (name, label, help, counts) in families {
            self.family(name, "counter", help);
            for (key, count) in self.merged(counts, |key| key.arm = Arms::Control, |all, more| *all += more) {
                let labels = self.with_arm(
                    vec![("model", key.model.as_str()), (label, &key.label)],
                    key.arm,
                    &key.version,
                );
                self.sample(name, &labels, count);
            }
        }
        let name = "model_prediction_score";
        self.family(name, "histogram", "Highest score of each prediction.");
        let bounds: Vec<f64> = (1..=SCORE_BINS).map(|bin| bin as f64 / SCORE_BINS as f64).collect();
        for (key, scores) in
            self.merged(&view.scores, |key| key.arm = Arms::Control, |all, more| all.merge(more))
        {
            let labels = self.with_arm(vec![("model", key.model.as_str())], key.arm, &key.version);
            self.histogram(name, &labels, &bounds, &scores.bins, scores.sum);
        }
        self.embeddings(view);
        let name = "canard_view_unread_total";
        self.family(name, "counter", "Prediction responses that the service view did not read.");
        for (reason, count) in &view.unread {
            self.sample(name, &vec![("reason", reason)], count);
        }
    }

    fn embeddings(&mut self, view: &ViewSnapshot) {
        type Sum = fn(&EmbeddingReading) -> f64;
        let sums: [(&str, &str, Sum); 2] = [
            ("model_embedding_norm", "Euclidean norm of embeddings.", |all| all.norms),
            ("model_embedding_dimensions", "Dimensions of embeddings.", |all| all.dimensions as f64),
        ];
        let series =
            self.merged(&view.embeddings, |key| key.arm = Arms::Control, |all, more| all.merge(more));
        for (name, help, sum) in sums {
            self.family(name, "summary", help);
            for (key, embeddings) in &series {
                let labels = self.with_arm(vec![("model", key.model.as_str())], key.arm, &key.version);
                self.sample(&format!("{name}_sum"), &labels, sum(embeddings));
                self.sample(&format!("{name}_count"), &labels, embeddings.count);
            }
        }
    }

    fn texts(&mut self, view: &ViewSnapshot) {
        type Reading = fn(&TextSeries) -> (&'static [f64], &[u64], f64);
        let families: [(&str, &str, Reading); 3] = [
            (
                "gen_ai_server_time_to_first_token_seconds",
                "From a request's arrival to the first chunk of streamed text.",
                |text| (&FIRST_TOKEN_BOUNDS_S, &text.first_token.counts, text.first_token.sum),
            ),
            (
                "gen_ai_server_time_per_output_token_seconds",
                "Mean time between chunks of text in each stream.",
                |text| (&OUTPUT_TOKEN_BOUNDS_S, &text.output_token.counts, text.output_token.sum),
            ),
            (
                "gen_ai_server_request_duration_seconds",
                "From the arrival of a request for text to the last byte of its response.",
                |text| (&GENERATION_BOUNDS_S, &text.request.counts, text.request.sum),
            ),
        ];
        let series = self.merged(&view.texts, |key| key.arm = Arms::Control, |all, more| all.merge(more));
        for (name, help, reading) in families {
            self.family(name, "histogram", help);
            for (key, text) in &series {
                let labels = self.with_arm(vec![("model", key.model.as_str())], key.arm, &key.version);
                let (bounds, counts, sum) = reading(text);
                self.histogram(name, &labels, bounds, counts, sum);
            }
        }
        let name = "model_generations_total";
        self.family(name, "counter", "Generated texts by finish reason; (none): it did not say.");
        for (key, text) in &series {
            for (reason, count) in &text.reasons {
                let labels = vec![("model", key.model.as_str()), ("finish_reason", reason.as_str())];
                let labels = self.with_arm(labels, key.arm, &key.version);
                self.sample(name, &labels, count);
            }
        }
        let name = "model_generation_invalid_total";
        self.family(name, "counter", "Generated texts that are no usable text: empty, error, malformed.");
        for (key, text) in &series {
            for (reason, count) in &text.invalid {
                let labels = vec![("model", key.model.as_str()), ("reason", *reason)];
                let labels = self.with_arm(labels, key.arm, &key.version);
                self.sample(name, &labels, count);
            }
        }
        type Sum = fn(&TextSeries) -> u64;
        let sums: [(&str, &str, Sum); 2] = [
            ("model_generation_characters_total", "Characters of generated text.", |text| text.characters),
            (
                "model_generation_tokens_total",
                "Completion tokens of generated texts, as their answers report them.",
                |text| text.tokens,
            ),
        ];
        for (name, help, sum) in sums {
            self.family(name, "counter", help);
            for (key, text) in &series {
                let labels = self.with_arm(vec![("model", key.model.as_str())], key.arm, &key.version);
                self.sample(name, &labels, sum(text));
            }
        }
    }

    fn own(&mut self, readings: &Readings<'_>) {
        self.family("canard_armed", "gauge", "1 while a scenario is armed.");
        let leases = readings.leases;
        self.sample("canard_armed", &vec![], u8::from(!leases.is_empty()));
        self.family("canard_leases", "gauge", "Scenarios that are armed.");
        self.sample("canard_leases", &vec![], leases.len());
        self.family(
            "canard_lease_expires_seconds",
            "gauge",
            "Seconds until the last lease runs out; 0 without one.",
        );
        let expires = leases.iter().map(|lease| lease.expires_in_s).fold(0.0, f64::max);
        self.sample("canard_lease_expires_seconds", &vec![], expires);
        self.family("canard_active_faults", "gauge", "Faults that act now.");
        self.sample(
            "canard_active_faults",
            &vec![],
            leases.iter().map(|lease| lease.faults.len()).sum::<usize>(),
        );
        self.family(
            "canard_faults_overflow_total",
            "counter",
            "Injections that a cap of the scenario took away, by cap.",
        );
        for cap in Cap::ALL {
            let reason = cap.reason();
            let of = |((_, why), count): (&(String, String), &u64)| (why == reason).then_some(*count);
            let count: u64 = readings.faults.skipped.iter().filter_map(of).sum();
            let name = reason.trim_start_matches("cap-");
            self.sample("canard_faults_overflow_total", &vec![("cap", name)], count);
        }
        if self.arms {
            self.family(
                "canard_requests_total",
                "counter",
                "Requests by the side that an armed scenario put them on.",
            );
            for arm in [Arms::Treated, Arms::Control] {
                let count = readings.view.exposed.get(&arm).copied().unwrap_or(0);
                self.sample("canard_requests_total", &vec![("arm", arm.name())], count);
            }
        }
        self.family("canard_injections_total", "counter", "Responses that a fault changed.");
        for (fault, count) in &readings.faults.injections {
            self.sample("canard_injections_total", &vec![("fault", fault)], count);
        }
        self.family(
            "canard_skipped_total",
            "counter",
            "Responses that a fault should have changed and could not.",
        );
        for ((fault, reason), count) in &readings.faults.skipped {
            self.sample("canard_skipped_total", &vec![("fault", fault), ("reason", reason)], count);
        }
        if let Some(payloads) = &readings.payloads {
            let name = "canard_payloads_total";
            self.family(name, "counter", "Exchanges that the payload log was shown, by what became of them.");
            for (outcome, count) in payloads {
                self.sample(name, &vec![("outcome", outcome)], count);
            }
        }
    }

    /// The series as they are, or with the arms put together.
    fn merged<K: Ord + Clone, V: Clone>(
        &self,
        series: &BTreeMap<K, V>,
        forget: impl Fn(&mut K),
        add: impl Fn(&mut V, &V),
    ) -> BTreeMap<K, V> {
        if self.arms {
            return series.clone();
        }
        let mut all: BTreeMap<K, V> = BTreeMap::new();
        for (key, value) in series {
            let mut key = key.clone();
            forget(&mut key);
            match all.get_mut(&key) {
                Some(sum) => add(sum, value),
                None => _ = all.insert(key, value.clone()),
            }
        }
        all
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::view::{DurationKey, Durations, PredictionKey, ScoreKey, TextKey};

    fn view() -> ViewSnapshot {
        let mut view = ViewSnapshot::default();
        for arm in [Arms::Treated, Arms::Control] {
            let key = DurationKey {
                method: "POST".into(),
                route: "/v2/models/{model}/infer".into(),
                status: 200,
                model: "iris".into(),
                arm,
                version: String::new(),
            };
            let mut durations = Durations::default();
            durations.buckets[0] = 2;
            durations.buckets[14] = 1;
            durations.sum_s = 12.5;
            view.durations.insert(key, durations);
            let mut text = TextSeries::default();
            (text.first_token.counts[3], text.first_token.sum) = (4, 0.08);
            text.output_token.counts[13] = 1;
            text.reasons.insert("stop".into(), 5);
            (text.characters, text.tokens) = (120, 30);
            text.invalid.insert("empty", 2);
            view.texts.insert(TextKey { model: "chat".into(), arm, version: String::new() }, text);
            let key = ScoreKey { model: "embed".into(), arm, version: String::new() };
            view.embeddings.insert(key, EmbeddingReading { count: 2, dimensions: 64, norms: 2.5 });
            let key =
                PredictionKey { model: "iris".into(), label: "a\"b\\c".into(), arm, version: String::new() };
            view.predictions.insert(key, 3);
        }
        view
    }

    fn page(arms: bool) -> String {
        encode(&Readings {
            view: &view(),
            faults: &Totals::default(),
            leases: &[],
            payloads: Some([("written", 3), ("left-out", 2), ("dropped", 1)]),
            arms,
        })
    }

    #[test]
    fn buckets_add_up_and_labels_are_escaped() {
        let page = page(true);
        let series = r#"http_request_method="POST",http_route="/v2/models/{model}/infer",http_response_status_code="200",model="iris",canard_arm="treated""#;
        for line in [
            format!("http_server_request_duration_seconds_bucket{{{series},le=\"0.005\"}} 2"),
            format!("http_server_request_duration_seconds_bucket{{{series},le=\"10\"}} 2"),
            format!("http_server_request_duration_seconds_bucket{{{series},le=\"+Inf\"}} 3"),
            format!("http_server_request_duration_seconds_sum{{{series}}} 12.5"),
            format!("http_server_request_duration_seconds_count{{{series}}} 3"),
            r#"model_predictions_total{model="iris",label="a\"b\\c",canard_arm="control"} 3"#.to_owned(),
            "gen_ai_server_time_to_first_token_seconds_bucket{model=\"chat\",canard_arm=\"treated\",le=\"0.01\"} 0".to_owned(),
            "gen_ai_server_time_to_first_token_seconds_bucket{model=\"chat\",canard_arm=\"treated\",le=\"0.02\"} 4".to_owned(),
            "gen_ai_server_time_to_first_token_seconds_sum{model=\"chat\",canard_arm=\"treated\"} 0.08".to_owned(),
            "gen_ai_server_time_per_output_token_seconds_bucket{model=\"chat\",canard_arm=\"control\",le=\"2.5\"} 0".to_owned(),
            "gen_ai_server_time_per_output_token_seconds_count{model=\"chat\",canard_arm=\"control\"} 1".to_owned(),
            "gen_ai_server_request_duration_seconds_count{model=\"chat\",canard_arm=\"control\"} 0".to_owned(),
            "model_generations_total{model=\"chat\",finish_reason=\"stop\",canard_arm=\"control\"} 5".to_owned(),
            "model_generation_invalid_total{model=\"chat\",reason=\"empty\",canard_arm=\"control\"} 2".to_owned(),
            "model_generation_characters_total{model=\"chat\",canard_arm=\"treated\"} 120".to_owned(),
            "model_generation_tokens_total{model=\"chat\",canard_arm=\"treated\"} 30".to_owned(),
            "model_embedding_norm_sum{model=\"embed\",canard_arm=\"control\"} 2.5".to_owned(),
            "model_embedding_norm_count{model=\"embed\",canard_arm=\"control\"} 2".to_owned(),
            "model_embedding_dimensions_sum{model=\"embed\",canard_arm=\"treated\"} 64".to_owned(),
            "canard_armed 0".to_owned(),
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn versions_are_told_apart_while_a_release_is_rehearsed() {
        let mut view = view();
        let key = |version: &str| PredictionKey {
            model: "iris".into(),
            label: "a".into(),
            arm: Arms::Treated,
            version: version.into(),
        };
        view.predictions.extend([(key("v2"), 5), (key(""), 7)]);
        let faults = Totals::default();
        for (arms, arm) in [(true, r#",canard_arm="treated""#), (false, "")] {
            let page = encode(&Readings { view: &view, faults: &faults, leases: &[], payloads: None, arms });
            for series in [
                format!(r#"model_predictions_total{{model="iris",label="a",model_version="v2"{arm}}} 5"#),
                format!(r#"model_predictions_total{{model="iris",label="a"{arm}}} 7"#),
            ] {
                assert!(page.lines().any(|line| line == series), "{series} is not in\n{page}");
            }
        }
    }

    #[test]
    fn a_blind_exercise_has_one_series_for_both_arms() {
        let page = page(false);
        assert!(!page.contains("arm="), "{page}");
        assert!(page.contains(r#"model_predictions_total{model="iris",label="a\"b\\c"} 6"#), "{page}");
        assert!(page.contains(r#"model_generations_total{model="chat",finish_reason="stop"} 10"#), "{page}");
        assert!(page.contains(r#"model_embedding_norm_sum{model="embed"} 5"#), "{page}");
    }
}
