//! An Alertmanager's configuration, as its status tells it: where an alert is routed, what inhibits it.
//!
//! Routing is Alertmanager's own: the first child that matches takes an alert, unless it says `continue`; a child
//! inherits what it does not set. What is not understood matches nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;

use super::matchers::{Matcher, Matchers};
use crate::{monitor::findings::Route, unit::Span};

/// What Alertmanager waits where nobody says.
const GROUP_WAIT: Duration = Duration::from_secs(30);
const GROUP_INTERVAL: Duration = Duration::from_secs(300);
/// Deeper trees are cut off.
const DEEPEST: usize = 32;

pub(super) type Labels = BTreeMap<String, String>;

/// The parts of a configuration that decide who hears an alert.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AmConfig {
    route: RouteNode,
    receivers: Vec<BTreeMap<String, serde_json::Value>>,
    inhibit_rules: Vec<InhibitRule>,
    mute_time_intervals: Vec<super::calendar::Named>,
    time_intervals: Vec<super::calendar::Named>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct RouteNode {
    receiver: Option<String>,
    group_by: Option<Vec<String>>,
    group_wait: Option<String>,
    group_interval: Option<String>,
    #[serde(rename = "match")]
    equal: BTreeMap<String, String>,
    match_re: BTreeMap<String, String>,
    matchers: Vec<String>,
    #[serde(rename = "continue")]
    goes_on: bool,
    mute_time_intervals: Vec<String>,
    active_time_intervals: Vec<String>,
    routes: Vec<RouteNode>,
    /// Where it stands in the tree.
    #[serde(skip)]
    path: Vec<usize>,
}

/// A group of alerts: the route that made it, and the labels that it is made by.
pub(super) type Group = (Vec<usize>, Labels);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InhibitRule {
    source_match: BTreeMap<String, String>,
    source_match_re: BTreeMap<String, String>,
    source_matchers: Vec<String>,
    target_match: BTreeMap<String, String>,
    target_match_re: BTreeMap<String, String>,
    target_matchers: Vec<String>,
    equal: Vec<String>,
}

impl AmConfig {
    /// Reads the YAML of a status.
    pub(super) fn read(yaml: &str) -> Option<AmConfig> {
        serde_saphyr::from_str(yaml).ok()
    }

    /// The routes that an alert takes, for its labels with its name; the moment decides what is muted.
    pub(super) fn routes(&self, labels: &Labels, at: crate::clock::Timestamp) -> Vec<Route> {
        self.taken(labels).into_iter().map(|node| self.told(node, labels, at)).collect()
    }

    /// The groups that an alert joins, one for each of its routes.
    pub(super) fn groups(&self, labels: &Labels) -> Vec<Group> {
        let of = |node: RouteNode| (node.path.clone(), node.group(labels));
        self.taken(labels).into_iter().map(of).collect()
    }

    fn taken(&self, labels: &Labels) -> Vec<RouteNode> {
        let mut taken = Vec::new();
        take(&self.route, &RouteNode::default(), labels, &mut taken, 0);
        taken
    }

    fn told(&self, node: RouteNode, labels: &Labels, at: crate::clock::Timestamp) -> Route {
        let group = node.group(labels);
        let receiver = node.receiver.unwrap_or_default();
        let holds = |name: &&String| {
            let intervals = self.mute_time_intervals.iter().chain(&self.time_intervals);
            intervals.filter(|one| one.is(name)).any(|one| one.holds(at))
        };
        let muted = node.mute_time_intervals.iter().find(holds).cloned();
        let inactive = !node.active_time_intervals.is_empty()
            && !node.active_time_intervals.iter().any(|one| holds(&one));
        Route {
            integrations: self.integrations(&receiver),
            receiver,
            group,
            group_wait: span(node.group_wait.as_deref()).unwrap_or(GROUP_WAIT),
            group_interval: span(node.group_interval.as_deref()).unwrap_or(GROUP_INTERVAL),
            joined: false,
            muted: muted.or_else(|| inactive.then(|| node.active_time_intervals.join(", "))),
        }
    }

    /// The integrations of a receiver: `webhook`, `pagerduty`.
    fn integrations(&self, receiver: &str) -> Vec<String> {
        let is = |one: &&BTreeMap<String, serde_json::Value>| {
            one.get("name").and_then(|name| name.as_str()) == Some(receiver)
        };
        let settings = self.receivers.iter().filter(is).flatten();
        let used = settings.filter(|(_, value)| value.as_array().is_some_and(|list| !list.is_empty()));
        used.filter_map(|(key, _)| key.strip_suffix("_configs").map(str::to_owned)).collect()
    }

    /// The receivers that none of these routes leads to, by the integrations that they have.
    pub(super) fn others(&self, routes: &[Route]) -> BTreeMap<String, BTreeSet<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let names = self.receivers.iter().filter_map(|one| one.get("name")?.as_str());
        for name in names.filter(|name| routes.iter().all(|route| route.receiver != *name)) {
            for integration in self.integrations(name) {
                found.entry(integration).or_default().insert(name.to_owned());
            }
        }
        found
    }

    /// Which of these alerts would inhibit one, by the rules.
    pub(super) fn inhibitors<'a>(
        &self,
        labels: &Labels,
        others: impl Iterator<Item = &'a Labels> + Clone,
    ) -> Vec<&'a Labels> {
        let inhibits = |rule: &InhibitRule, source: &Labels| {
            let value = |labels: &Labels, name: &String| labels.get(name).cloned().unwrap_or_default();
            let from = matchers(&rule.source_match, &rule.source_match_re, &rule.source_matchers);
            let to = matchers(&rule.target_match, &rule.target_match_re, &rule.target_matchers);
            let (Some(from), Some(to)) = (from, to) else { return false };
            // An alert on both sides of a rule is not inhibited by others of that kind, nor by itself.
            let both = |labels: &Labels| from.match_all(labels) && to.match_all(labels);
            from.match_all(source)
                && to.match_all(labels)
                && !(both(labels) && both(source))
                && rule.equal.iter().all(|name| value(source, name) == value(labels, name))
        };
        others
            .filter(|other| *other != labels && self.inhibit_rules.iter().any(|rule| inhibits(rule, other)))
            .collect()
    }
}

impl RouteNode {
    /// The labels of an alert's group.
    fn group(&self, labels: &Labels) -> Labels {
        let by = self.group_by.as_deref().unwrap_or_default();
        let all = by.iter().any(|name| name == "...");
        let group = labels.iter().filter(|(key, _)| all || by.contains(key));
        group.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// Collects the routes that an alert takes; tells whether there are any.
fn take(
    node: &RouteNode,
    parent: &RouteNode,
    labels: &Labels,
    taken: &mut Vec<RouteNode>,
    depth: usize,
) -> bool {
    let matches =
        matchers(&node.equal, &node.match_re, &node.matchers).is_some_and(|all| all.match_all(labels));
    if depth > DEEPEST || !matches {
        return false;
    }
    let own = RouteNode {
        receiver: node.receiver.clone().filter(|name| !name.is_empty()).or_else(|| parent.receiver.clone()),
        group_by: node.group_by.clone().or_else(|| parent.group_by.clone()),
        group_wait: node.group_wait.clone().or_else(|| parent.group_wait.clone()),
        group_interval: node.group_interval.clone().or_else(|| parent.group_interval.clone()),
        path: parent.path.clone(),
        ..node.clone()
    };
    let mut any = false;
    for (number, child) in node.routes.iter().enumerate() {
        let own = RouteNode { path: [&own.path[..], &[number]].concat(), ..own.clone() };
        if take(child, &own, labels, taken, depth + 1) {
            any = true;
            if !child.goes_on {
                break;
            }
        }
    }
    if !any {
        taken.push(own);
    }
    true
}

/// The matchers of a route, in both spellings; `None` if one can't be read.
fn matchers(equal: &Labels, regex: &Labels, written: &[String]) -> Option<Matchers> {
    let mut all = Vec::new();
    for (name, value) in equal {
        all.push(Matcher::new(name, "=", value)?);
    }
    for (name, value) in regex {
        all.push(Matcher::new(name, "=~", value)?);
    }
    for text in written {
        all.extend(Matchers::read(text)?.0);
    }
    Some(Matchers(all))
}

/// A span of Prometheus' kind: `1m30s`, `5m`.
fn span(text: Option<&str>) -> Option<Duration> {
    let text = text?;
    crate::monitor::promql::duration(text).or_else(|| text.parse::<Span>().ok().map(Span::duration))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const CONFIG: &str = r#"
global: { resolve_timeout: 5m }
route:
  receiver: default
  group_by: [alertname]
  group_wait: 1s
  continue: false
  routes:
    - { receiver: audit, matchers: ['severity=~"page|ticket"'], continue: true }
    - receiver: team
      match: { team: ml }
      group_wait: 5m
      routes:
        - { receiver: pager, matchers: ['severity="page"', 'region!="test"'], group_by: ['...'] }
        - { matchers: ['service!~"batch-.*"'], match_re: { zone: 'a|b' }, mute_time_intervals: [always] }
    - { receiver: broken, matchers: ['severity=~"("'] }
    - { receiver: quiet, match: { quiet: 'yes' }, active_time_intervals: [never] }
receivers:
  - { name: default, webhook_configs: [{ url: 'http://x/', send_resolved: true }] }
  - { name: audit, email_configs: [{ to: a@b.c }], slack_configs: [] }
  - { name: team }
  - { name: pager, pagerduty_configs: [{ routing_key: <secret> }], webhook_configs: [{ url: 'http://x/' }] }
  - { name: quiet, webhook_configs: [{ url: 'http://x/' }] }
inhibit_rules:
  - { source_matchers: ['alertname="Down"'], target_matchers: ['severity="ticket"'], equal: [cluster] }
  - { source_match: { alertname: Maintenance }, target_match_re: { alertname: 'Slow|Late' } }
mute_time_intervals:
  - { name: always, time_intervals: [{ years: ['2000:2999'] }] }
time_intervals:
  - { name: never, time_intervals: [{ years: ['1999'] }] }
"#;

    fn labels(text: &str) -> Labels {
        text.split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (k.into(), v.into()))
            .collect()
    }

    #[test]
    fn routes_as_alertmanager_does() {
        let config = AmConfig::read(CONFIG).unwrap();
        let table = [
            ("alertname=A", "default"),
            ("alertname=A severity=page", "audit"),
            ("alertname=A severity=pager", "default"),
            ("alertname=A severity=page team=ml", "audit pager"),
            ("alertname=A severity=page team=ml region=test", "audit team"),
            ("alertname=A severity=page team=ml region=test zone=a", "audit team"),
            ("alertname=A team=ml zone=b service=web", "team"),
            ("alertname=A team=other quiet=yes", "quiet"),
        ];
        for (of, receivers) in table {
            let routes = config.routes(&labels(of), Timestamp::from_unix_s(1.8e9));
            let names: Vec<_> = routes.iter().map(|route| route.receiver.as_str()).collect();
            assert_eq!(names.join(" "), receivers, "{of}");
        }
        let routes = |of| config.routes(&labels(of), Timestamp::from_unix_s(1.8e9));
        let pager = &routes("alertname=A severity=page team=ml")[1];
        assert_eq!(pager.integrations, ["pagerduty", "webhook"]);
        assert_eq!(
            (pager.group_wait, pager.group.len()),
            (Duration::from_secs(300), 3),
            "inherited; all labels"
        );
        let audit = &routes("alertname=A severity=page")[0];
        assert_eq!(
            (audit.integrations.as_slice(), audit.group_wait),
            (&["email".to_owned()][..], Duration::from_secs(1))
        );
        assert_eq!(audit.group, labels("alertname=A"));
        assert!(routes("alertname=A team=ml severity=page region=test")[1].integrations.is_empty());
        assert_eq!(routes("team=ml zone=b service=web")[0].muted.as_deref(), Some("always"));
        assert_eq!(routes("team=ml zone=b service=batch-1")[0].muted, None);
        assert_eq!(routes("quiet=yes")[0].muted.as_deref(), Some("never"), "outside of its active times");
    }

    #[test]
    fn inhibits_as_alertmanager_does() {
        let config = AmConfig::read(CONFIG).unwrap();
        let others = [labels("alertname=Down cluster=a"), labels("alertname=Maintenance")];
        let by = |of| -> Vec<String> {
            config.inhibitors(&labels(of), others.iter()).iter().map(|l| l["alertname"].clone()).collect()
        };
        assert_eq!(by("alertname=X severity=ticket cluster=a"), ["Down"]);
        assert!(by("alertname=X severity=ticket cluster=b").is_empty());
        assert!(by("alertname=X severity=page cluster=a").is_empty());
        assert_eq!(by("alertname=Slow"), ["Maintenance"]);
        assert!(by("alertname=Slower").is_empty(), "regular expressions match the whole value");
        assert!(AmConfig::read("route: [").is_none());
        // Who is on both sides of a rule is inhibited by those alone that are on its source's side only.
        let config = "route: { receiver: a }\ninhibit_rules: [{ source_matchers: ['severity=~\"page|minor\"'], target_matchers: ['severity=\"minor\"'] }]";
        let config = AmConfig::read(config).unwrap();
        let others = [labels("alertname=A severity=page"), labels("alertname=B severity=minor")];
        let by = config.inhibitors(&labels("alertname=X severity=minor"), others.iter());
        assert_eq!(by, [&others[0]]);
    }

    #[test]
    fn a_group_is_of_its_route() {
        let config = AmConfig::read(CONFIG).unwrap();
        let groups = |of| config.groups(&labels(of));
        assert_eq!(groups("alertname=A x=1"), groups("alertname=A x=2"));
        assert_ne!(groups("alertname=A"), groups("alertname=B"), "grouped by its name");
        assert_ne!(groups("alertname=A"), groups("alertname=A team=ml"), "the same labels, another route");
        let routes = config.routes(&labels("alertname=A team=ml"), Timestamp::from_unix_s(1.8e9));
        let others = config.others(&routes);
        assert_eq!(Vec::from_iter(&others["webhook"]), ["default", "pager", "quiet"]);
    }
}
