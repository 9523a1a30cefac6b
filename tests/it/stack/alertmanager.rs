//! Alertmanager, with one-second grouping.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    http::{json, until_ready},
    process::{Process, START, program, prometheus_addr},
};

pub(crate) struct Alertmanager {
    process: Process,
    addr: String,
    _dir: TempDir,
}

impl Alertmanager {
    /// Starts a server that notifies `webhook` one second after an alert fires or resolves.
    pub(crate) async fn start(webhook: Option<&str>) -> Alertmanager {
        Alertmanager::configured(&config(webhook)).await
    }

    /// Starts a server with a configuration of its own.
    pub(crate) async fn configured(config: &str) -> Alertmanager {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("alertmanager.yml"), config).unwrap();
        let mut command = program("prometheus-alertmanager");
        command.current_dir(&dir).args([
            "--config.file=alertmanager.yml",
            "--storage.path=data",
            "--web.listen-address=127.0.0.1:0",
            "--cluster.listen-address=",
        ]);
        let mut process = Process::spawn("alertmanager", command);
        let addr = process.logged(1, prometheus_addr).await.remove(0);
        until_ready(&format!("http://{addr}/-/ready"), START).await;
        Alertmanager { process, addr, _dir: dir }
    }

    /// Host and port.
    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The alerts that it knows, from the v2 API.
    pub(crate) async fn alerts(&self) -> Vec<Value> {
        match json("GET", &format!("{}/api/v2/alerts", self.url()), "").await {
            Value::Array(alerts) => alerts,
            other => panic!("{other}"),
        }
    }

    /// Silences an alert for so long and gives the id of the silence.
    pub(crate) async fn silence(&self, alertname: &str, lasts: Duration) -> String {
        let now = canard::clock::now();
        let silence = json!({
            "matchers": [{"name": "alertname", "value": alertname, "isRegex": false, "isEqual": true}],
            "startsAt": rfc3339(now.unix_s()),
            "endsAt": rfc3339(now.unix_s() + lasts.as_secs_f64()),
            "createdBy": "tests",
            "comment": "tests",
        });
        let answer = json("POST", &format!("{}/api/v2/silences", self.url()), &silence.to_string()).await;
        answer["silenceID"].as_str().unwrap().to_owned()
    }

    /// Posts an alert that fires for the next five minutes, as Prometheus would.
    pub(crate) async fn fire(&self, alertname: &str) {
        let alert = json!([{"labels": {"alertname": alertname}}]);
        let url = format!("{}/api/v2/alerts", self.url());
        let (status, text) = super::http::request("POST", &url, &alert.to_string()).await.unwrap();
        assert!(status.is_success(), "{text}");
    }

    /// Kills it.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await;
    }
}

fn rfc3339(unix_s: f64) -> String {
    jiff::Timestamp::from_millisecond((unix_s * 1e3) as i64).unwrap().to_string()
}

fn config(webhook: Option<&str>) -> String {
    let hooks = webhook.map(|url| format!(", webhook_configs: [{{ url: \"{url}\", send_resolved: true }}]"));
    format!(
        "route: {{ receiver: tests, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 1h }}\n\
         receivers: [{{ name: tests{} }}]\n",
        hooks.unwrap_or_default()
    )
}
