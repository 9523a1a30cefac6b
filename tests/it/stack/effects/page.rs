//! `docs/clients.md`: a section for each pair, written and compared by the test that measures it.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Line, Pair};
use crate::run::repo;

const HEAD: &str = "\
<!-- Written by the tests (`CANARD_BLESS=1 cargo test --test it stack::effects`); do not edit. -->

# What real clients do with a fault

Each table was measured: the client library in the version named, through canard, on a real server. *Requests* is how
many requests the client sent for one call of its user, with retries as the library ships them (not counted on gRPC,
where tritonclient retries nothing). A client that **accepts** a fault raises nothing: only a monitor, or a check of the
answer, can notice.

A share p of failed requests reaches the user of a client that retries twice as about p³. Truncated streams, wrong
labels, wrong numbers and wrong finish reasons reach the user in full.

";

/// The section of a pair.
pub(super) fn title(pair: &Pair) -> String {
    let lock = std::fs::read_to_string(repo("tests/stack/locks/clients.lock")).unwrap();
    let version = lock.lines().find_map(|line| line.strip_prefix(pair.client.1)?.strip_prefix("=="));
    let version = version.unwrap_or_else(|| panic!("clients.lock has no {}", pair.client.1));
    let grpc = if pair.grpc { ", gRPC" } else { "" };
    format!("{} {version} with {}{grpc}", pair.client.1, pair.server.1)
}

pub(super) fn table(lines: &[Line]) -> String {
    let mut table = "| fault | requests | the client |\n| --- | --- | --- |\n".to_owned();
    for Line { fault, requests, outcome } in lines {
        writeln!(table, "| `{fault}` | {requests} | {outcome} |").unwrap();
    }
    table
}

/// What to say if the page tells something else than was measured; nothing if it is blessed or right.
pub(super) fn compare(title: &str, lines: &[Line]) -> Option<String> {
    let path = repo("docs/clients.md");
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    let mut sections: BTreeMap<String, String> = page
        .split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once("\n\n"))
        .map(|(title, table)| (title.to_owned(), table.trim_end().to_owned()))
        .collect();
    let measured = table(lines).trim_end().to_owned();
    if sections.get(title) == Some(&measured) {
        return None;
    }
    if std::env::var_os("CANARD_BLESS").is_none() {
        return Some(format!(
            "docs/clients.md is out of date; run with CANARD_BLESS=1\n## {title}\n\n{measured}"
        ));
    }
    // The same pair in another version is the same section.
    let pair = |title: &str| {
        title.split(' ').enumerate().filter(|(i, _)| *i != 1).map(|(_, w)| w.to_owned()).collect()
    };
    let this: Vec<String> = pair(title);
    sections.retain(|other, _| pair(other) != this);
    sections.insert(title.to_owned(), measured);
    let sections: Vec<String> =
        sections.iter().map(|(title, table)| format!("## {title}\n\n{table}\n")).collect();
    std::fs::write(path, format!("{HEAD}{}", sections.join("\n"))).unwrap();
    None
}
