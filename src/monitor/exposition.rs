//! The little of the Prometheus text format that a monitor's own counters need.

use std::collections::BTreeMap;

/// The samples of one metric: labels and value. Lines that can't be read are left out.
pub(super) fn samples(text: &str, metric: &str) -> Vec<(BTreeMap<String, String>, f64)> {
    let of = |line: &str| {
        let rest = line.strip_prefix(metric)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(inner) => inner.rsplit_once('}')?,
            None => ("", rest.strip_prefix(' ')?),
        };
        let value = value.split_whitespace().next()?.parse().ok()?;
        Some((read(labels), value))
    };
    text.lines().filter_map(of).collect()
}

/// `a="b",c="d"`; values are taken as they are written.
fn read(labels: &str) -> BTreeMap<String, String> {
    let mut rest = labels;
    let mut found = BTreeMap::new();
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some((value, after)) = after.split_once('"') else { break };
        found.insert(name.trim_matches([',', ' ']).to_owned(), value.to_owned());
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_counters() {
        let text = "# HELP failed_total x\nfailed_total{integration=\"webhook\",reason=\"server\"} 5\n\
                    failed_total_more 9\nfailed_total{integration=\"email\"} 1e+01 123\nplain 3\nfailed_total{x 1\n";
        let found = samples(text, "failed_total");
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].0["reason"].as_str(), found[0].1), ("server", 5.0));
        assert_eq!((found[1].0["integration"].as_str(), found[1].1), ("email", 10.0));
        assert_eq!(samples(text, "plain"), [(BTreeMap::new(), 3.0)]);
    }
}
