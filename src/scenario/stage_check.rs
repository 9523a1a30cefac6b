//! Stage files: reading and checking them.

use super::{
    check::{Checker, Places, path, share_limit, time_limit},
    exposure_check,
    interpolate::interpolate,
    permit,
    problem::Problem,
    source::{Diagnostic, Diagnostics, Source},
    stage::{BuiltinRule, BuiltinSignal, Monitor, SidecarSettings, StageDocument, Switch},
    structure,
    tree::{Node, Path},
};
use crate::unit::{Comparison, Share, Span};

/// Reads and checks a stage file. `variable` looks up `${NAME}`.
///
/// # Errors
/// Every mistake that can be found, in the order of the text. The values of variables are in none of them.
pub fn compile_stage(
    source: &Source,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<StageDocument, Diagnostics> {
    read(source, variable, permit::check)
}

/// The same, without a look at what it permits: for who runs nothing in it. An emergency stop must not wait for
/// somebody's consent.
///
/// # Errors
/// As [`compile_stage`].
pub fn read_stage(
    source: &Source,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<StageDocument, Diagnostics> {
    read(source, variable, |_, _| {})
}

fn read(
    source: &Source,
    variable: &dyn Fn(&str) -> Option<String>,
    permitted: impl Fn(&mut Checker<'_>, &StageDocument),
) -> Result<StageDocument, Diagnostics> {
    let mut tree = match Node::parse(source) {
        Ok(tree) => tree,
        Err(mistakes) => return Err(Diagnostics::new(source, mistakes)),
    };
    let (mut problems, as_written) = (Vec::new(), tree.clone());
    interpolate(&mut tree, &Path::default(), variable, &mut problems);
    let mut list: Vec<Diagnostic> =
        problems.into_iter().filter_map(|problem| problem.place(source, &as_written)).collect();
    let stage = structure::read::<StageDocument>(source, &mut tree, &mut list);
    if let Some(stage) = &stage {
        let places = Places::in_source(source, &tree);
        let mut checker = Checker::new(Some(&places));
        check(&mut checker, stage);
        permitted(&mut checker, stage);
        list.extend(checker.finish().into_iter().filter_map(|problem| problem.place(source, &tree)));
    }
    match stage {
        Some(stage) if list.is_empty() => Ok(stage),
        _ => Err(Diagnostics::new(source, list)),
    }
}

fn check(checker: &mut Checker<'_>, stage: &StageDocument) {
    if let Some(upstream) = &stage.upstream {
        if !stage.has_demo() {
            url(checker, path(["upstream"]), upstream);
        }
        if !stage.sidecars.is_empty() {
            let problem = Problem::at(path(["sidecars"]), "a stage has an upstream or sidecars, not both");
            checker.push(problem.label("with `upstream`, canard hosts the sidecar itself").help(
                "keep `upstream` to put a sidecar in front of it, or `sidecars` to drive those that stand there",
            ));
        }
    }
    if !stage.sidecars.is_empty() && stage.sidecar.is_some() {
        let problem = Problem::at(path(["sidecar"]), "canard hosts no sidecar where `sidecars` are given");
        checker.push(problem.help("leave `sidecar` out; those that stand there have their own settings"));
    }
    for (index, sidecar) in stage.sidecars.iter().enumerate() {
        let at = path(["sidecars"]).then(index);
        url(checker, at.then("url"), &sidecar.url);
        token(checker, at.then("token"), sidecar.token.as_ref());
        if stage.sidecars[..index].iter().any(|other| other.url == sidecar.url) {
            checker.push(Problem::at(at.then("url"), "this sidecar is listed twice"));
        }
    }
    for (name, address) in &stage.candidates {
        let at = path(["candidates", name.as_str()]);
        checker.name(&at, "name of the candidate", name);
        url(checker, at, address);
    }
    if !stage.candidates.is_empty() && stage.upstream.is_none() {
        let problem = Problem::at(path(["candidates"]), "canard hosts no sidecar that could reach these");
        checker.push(problem.help("give `upstream`, or start the sidecars with `--candidate NAME=URL`"));
    }
    let SidecarSettings { listen, admin, payload_log, .. } = stage.sidecar.clone().unwrap_or_default();
    if payload_log.is_some_and(|log| log.raw == Switch::On && !log.redact.is_empty()) {
        let at = path(["sidecar", "payload-log", "redact"]);
        let problem = Problem::at(at, "whole bodies would hold what is to be left out").at_key();
        checker.push(problem.help("leave `raw` out, or `redact`"));
    }
    let listeners = [("listen", listen), ("admin", admin)];
    let mut taken: Vec<String> = Vec::new();
    for (key, address) in listeners {
        if let Some(address) = address {
            listener(checker, path(["sidecar", key]), &address, &mut taken);
        }
    }
    probes(checker, stage);
    exposure_check::stage(checker, &stage.segments, stage.holdout);
    for (name, monitor) in &stage.monitors {
        let at = path(["monitors", name.as_str()]);
        checker.name(&at, "name of the monitor", name);
        match monitor {
            Monitor::Prometheus(m) => {
                server(checker, at.then("prometheus"), &m.url, m.token.as_ref(), m.poll)
            }
            Monitor::Alertmanager(m) => {
                server(checker, at.then("alertmanager"), &m.url, m.token.as_ref(), m.poll);
            }
            Monitor::Webhook(m) => {
                listener(checker, at.then("webhook").then("listen"), &m.listen, &mut taken)
            }
            Monitor::Builtin(m) => {
                let at = at.then("builtin").then("rules");
                if m.rules.is_empty() {
                    checker.push(Problem::at(at.clone(), "a monitor without rules never fires"));
                }
                for (alert, rule) in &m.rules {
                    checker.not_blank(at.clone(), "name of the alert", alert);
                    self::rule(checker, &at.then(alert.as_str()), rule);
                }
            }
        }
    }
}

fn probes(checker: &mut Checker<'_>, stage: &StageDocument) {
    for (name, probe) in &stage.probes {
        let at = path(["probes", name.as_str()]);
        checker.name(&at, "name of the probe", name);
        url(checker, at.then("url"), probe.url.split('?').next().unwrap_or_default());
        token(checker, at.then("token"), probe.token.as_ref());
        if probe.timeout.is_zero() {
            let problem = Problem::at(at.then("timeout"), "no answer is as fast as that");
            checker.push(problem.help("give the time that it may take, such as 1s"));
        }
    }
}

fn server(checker: &mut Checker<'_>, at: Path, address: &str, secret: Option<&String>, poll: Span) {
    url(checker, at.then("url"), address);
    token(checker, at.then("token"), secret);
    if poll.is_zero() {
        let problem = Problem::at(at.then("poll"), "looking without a pause would flood the monitor");
        checker.push(problem.help("give the time between looks, such as 1s"));
    }
}

fn url(checker: &mut Checker<'_>, at: Path, text: &str) {
    let help = "write it like `http://127.0.0.1:9090`";
    let problem = match text.parse::<http::Uri>() {
        Err(error) => format!("this is no address: {error}"),
        Ok(uri) if !matches!(uri.scheme_str(), Some("http" | "https")) => {
            "this is no http:// or https:// address".to_owned()
        }
        Ok(uri) if uri.host().is_none_or(str::is_empty) => "this address names no host".to_owned(),
        Ok(uri) if uri.authority().is_some_and(|a| a.as_str().contains('@')) => {
            "an address holds no user or password; monitors and sidecars take a `token`".to_owned()
        }
        Ok(uri) if uri.query().is_some() => {
            "this address holds a query; only the base address goes here".to_owned()
        }
        Ok(_) => return,
    };
    checker.push(Problem::at(at, problem).help(help));
}

fn token(checker: &mut Checker<'_>, at: Path, token: Option<&String>) {
    if token.is_some_and(String::is_empty) {
        checker.push(Problem::at(at, "the token is empty"));
    } else if token.is_some() && !checker.hidden(&at) {
        let problem = Problem::at(at, "a token does not belong in a file");
        checker.push(
            problem
                .label("a secret in plain text")
                .help("write `${VARIABLE}` and set that in the environment"),
        );
    }
}

fn listener(checker: &mut Checker<'_>, at: Path, text: &str, taken: &mut Vec<String>) {
    let good = text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (bracketed || !host.contains([':', '/'])) && port.parse::<u16>().is_ok()
    });
    if !good {
        let problem = Problem::at(at, "this is no address to listen on");
        checker.push(
            problem.help("write it as `address:port`, such as `127.0.0.1:9911`; port 0 takes any free one"),
        );
    } else if taken.iter().any(|other| other == text) && !text.ends_with(":0") {
        checker.push(Problem::at(at, "something else in this stage listens here already"));
    } else {
        taken.push(text.to_owned());
    }
}

fn rule(checker: &mut Checker<'_>, at: &Path, rule: &BuiltinRule) {
    let fires = at.then("fires");
    match &rule.signal {
        BuiltinSignal::Latency(quantile)
        | BuiltinSignal::TimeToFirstToken(quantile)
        | BuiltinSignal::TimePerOutputToken(quantile) => {
            time_limit(checker, fires, &rule.fires);
            if *quantile == Share::NONE {
                checker.push(Problem::at(at.then("signal"), "the 0% quantile says nothing"));
            }
        }
        BuiltinSignal::ErrorShare
        | BuiltinSignal::LabelShare(_)
        | BuiltinSignal::InvalidShare
        | BuiltinSignal::FinishReasonShare(_)
        | BuiltinSignal::EmptyShare => {
            share_limit(checker, fires, &rule.fires);
        }
        BuiltinSignal::PredictionPsi | BuiltinSignal::ScorePsi | BuiltinSignal::DistinctPredictions => {
            plain_limit(checker, fires, &rule.fires);
        }
    }
    if rule.window.is_zero() {
        checker
            .push(Problem::at(at.then("window"), "a window of no length holds nothing").help("such as 10s"));
    }
    if rule.at_least == 0 {
        checker.push(Problem::at(at.then("at-least"), "a rule needs at least one request to say anything"));
    }
}

fn plain_limit(checker: &mut Checker<'_>, at: Path, limit: &Comparison) {
    if limit.to_string().ends_with(|c: char| c.is_ascii_alphabetic() || c == '%') {
        let problem = Problem::at(at, format!("`{limit}` has a unit, but this signal is a plain number"));
        checker.push(problem.help("such as `> 0.2`"));
    }
}
