//! Prometheus, with one-second scrapes and evaluations.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    Alertmanager,
    http::{encode, get, json, request, until, until_ready},
    process::{Process, START, program, prometheus_addr},
};

/// Longest wait for the first scrape: Prometheus passes new targets on every five seconds.
const FIRST_SCRAPE: Duration = Duration::from_secs(60);

pub(crate) struct Prometheus {
    process: Process,
    url: String,
    dir: TempDir,
}

impl Prometheus {
    /// Starts a server that evaluates `rules` (a rules file) every second and scrapes nothing yet.
    pub(crate) async fn start(rules: &str, alertmanager: Option<&Alertmanager>) -> Prometheus {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rules.yml"), rules).unwrap();
        std::fs::write(dir.path().join("prometheus.yml"), config(&[], alertmanager)).unwrap();
        let mut command = program("prometheus");
        command.current_dir(&dir).args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--web.listen-address=127.0.0.1:0",
            "--web.enable-lifecycle",
            "--rules.alert.resend-delay=1s",
        ]);
        let mut process = Process::spawn("prometheus", command);
        let url = format!("http://{}", process.logged(1, prometheus_addr).await[0]);
        until_ready(&format!("{url}/-/ready"), START).await;
        Prometheus { process, url, dir }
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Scrapes `/metrics` of these addresses, each under its job name, and waits for the first scrape.
    pub(crate) async fn scrape(&self, targets: &[(&str, SocketAddr)]) {
        let path = self.dir.path().join("prometheus.yml");
        let before = std::fs::read_to_string(&path).unwrap();
        let kept = before.split("scrape_configs:").next().unwrap();
        std::fs::write(&path, format!("{kept}{}", scrape_configs(targets))).unwrap();
        let (status, text) = request("POST", &format!("{}/-/reload", self.url), "").await.unwrap();
        assert!(status.is_success(), "{text}");
        for (job, addr) in targets {
            let up = format!("up{{job=\"{job}\",instance=\"{addr}\"}} == 1");
            until(&up, FIRST_SCRAPE, async || (!self.query(&up).await.is_empty()).then_some(())).await;
        }
    }

    /// An instant query: labels and value of each series.
    pub(crate) async fn query(&self, promql: &str) -> Vec<(Value, f64)> {
        let answer = json("GET", &format!("{}/api/v1/query?query={}", self.url, encode(promql)), "").await;
        let result = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{promql}: {answer}"));
        result.iter().map(|s| (s["metric"].clone(), number(&s["value"][1]))).collect()
    }

    /// When each series of a range query had a value, as Unix seconds. `ALERTS{alertname="X",
    /// alertstate="firing"}` over the last five minutes tells when an alert fired.
    pub(crate) async fn times(&self, promql: &str) -> Vec<(Value, Vec<f64>)> {
        let answer =
            json("GET", &format!("{}/api/v1/query?query={}", self.url, encode(&format!("{promql}[5m]"))), "")
                .await;
        let result = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{promql}: {answer}"));
        let times =
            |s: &Value| s["values"].as_array().unwrap().iter().map(|v| v[0].as_f64().unwrap()).collect();
        result.iter().map(|s| (s["metric"].clone(), times(s))).collect()
    }

    /// Waits until a query gives at least one series.
    pub(crate) async fn until(&self, promql: &str, within: Duration) {
        until(promql, within, async || (!self.query(promql).await.is_empty()).then_some(())).await;
    }

    /// Kills it: the monitor is down from here on.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await;
        assert!(get(&self.url).await.is_err());
    }
}

fn number(text: &Value) -> f64 {
    text.as_str().and_then(|t| t.parse().ok()).unwrap_or(f64::NAN)
}

fn config(targets: &[(&str, SocketAddr)], alertmanager: Option<&Alertmanager>) -> String {
    let global = "global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }\n";
    let alerting = alertmanager.map(|a| {
        format!(
            "alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [\"{}\"] }}] }}] }}\n",
            a.addr()
        )
    });
    let alerting = alerting.unwrap_or_default();
    format!("{global}rule_files: [rules.yml]\n{alerting}{}", scrape_configs(targets))
}

fn scrape_configs(targets: &[(&str, SocketAddr)]) -> String {
    let jobs = targets.iter().map(|(job, addr)| {
        format!("  - {{ job_name: \"{job}\", static_configs: [{{ targets: [\"{addr}\"] }}] }}\n")
    });
    let jobs: String = jobs.collect();
    if jobs.is_empty() { "scrape_configs: []\n".to_owned() } else { format!("scrape_configs:\n{jobs}") }
}
