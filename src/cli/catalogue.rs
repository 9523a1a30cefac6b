//! The fault catalogue as text and as Markdown, from the one source that the faults carry themselves.

use std::fmt::Write;

use super::{
    incidents, live,
    search::{Hits, MEANS, split},
};
use crate::fault::{Entry, Group, Parameter};

/// More columns than this are hard to read.
const WIDEST: usize = 96;

/// How faults compose.
const ORDER: &str = "Faults of one phase act in the order in which a request meets them: its features or its body \
    change, it is delayed, it is refused or routed to another upstream; then the predictions, the generated text and \
    the timing of the stream change, the response is held back, and the connection or what goes over it breaks. Those \
    of one such stage act in the order of the scenario's list, each on what the one before it left. Two that \
    contradict each other (both solve for one measure, or one takes every request from the other) are refused when \
    the scenario is checked.";

/// Faults, group by group.
pub(super) type Listing = Vec<(Group, Vec<&'static Entry>)>;

/// A fault's page for the terminal.
pub(super) fn text(entry: &Entry) -> String {
    let mut page = String::new();
    // Writing to a text can't fail.
    let _ = writeln!(page, "{}\n{}", entry.name, wrapped(entry.summary, "  "));
    section(&mut page, "effect", &wrapped(entry.effect, "  "));
    let mut settings = String::new();
    for Parameter { name, values, default, meaning } in entry.parameters {
        let _ = writeln!(settings, "  {name}");
        for (what, text) in [("", meaning), ("values:  ", values), ("default: ", default)] {
            let _ = writeln!(settings, "{}", wrapped(&format!("{what}{text}"), "      "));
        }
    }
    section(&mut page, "settings", settings.trim_end());
    section(&mut page, "example", &indented(entry.example, "  "));
    section(&mut page, "who should notice", &wrapped(entry.seen_by, "  "));
    section(&mut page, "who can't", &wrapped(entry.blind, "  "));
    section(&mut page, "incidents that it stands for", &wrapped(&incidents::of(entry.name).join("; "), "  "));
    page
}

fn section(page: &mut String, title: &str, text: &str) {
    if !text.trim().is_empty() {
        let _ = write!(page, "\n{title}\n{text}\n");
    }
}

/// A line for each fault.
pub(super) fn list(listing: &Listing) -> String {
    let mut page = lines(listing, |entry| entry.summary);
    page.push_str(
        "\n`canard faults NAME` tells all about one, `canard faults --find 'stale features'` looks for an\n\
         incident, `canard faults --monitor psi` tells what an alert should see.\n",
    );
    page
}

/// What a search found, best first.
pub(super) fn found(words: &str, hits: &Hits) -> String {
    let indent = " ".repeat(hits.best.iter().map(|hit| hit.entry.name.len()).max().unwrap_or(0) + 4);
    let mut page = String::new();
    for hit in &hits.best {
        let summary = wrapped(hit.entry.summary, &indent);
        let _ = writeln!(page, "  {}{}", hit.entry.name, &summary[hit.entry.name.len() + 2..]);
        if let Some(incident) = hit.incident {
            let _ = writeln!(page, "{}", wrapped(&format!("such as: {incident}"), &indent));
        }
    }
    page.push('\n');
    if !hits.unknown.is_empty() {
        let _ = writeln!(page, "No page speaks of {}.", crate::scenario::one_of(&hits.unknown));
    }
    if hits.more > 0 {
        let _ = writeln!(
            page,
            "{} more speak of `{words}` in part; fewer or other words find others.",
            hits.more
        );
    }
    page.push_str("`canard faults NAME` tells all about one.\n");
    page
}

/// What a kind of monitor should see, and what it can't.
pub(super) fn for_monitor(words: &str, sees: &Listing, blind: &Listing) -> String {
    let count = |listing: &Listing| listing.iter().map(|(_, entries)| entries.len()).sum::<usize>();
    let faults = |n: usize| if n == 1 { "1 fault".to_owned() } else { format!("{n} faults") };
    let mut page = String::new();
    for (listing, what) in [(sees, "should be seen by"), (blind, "can't be seen, or only in part, by")] {
        if count(listing) > 0 {
            let _ = writeln!(page, "{} that {what} a monitor of `{words}`\n", faults(count(listing)));
            page.push_str(&lines(listing, |entry| {
                if what.starts_with("should") { entry.seen_by } else { entry.blind }
            }));
            page.push('\n');
        }
    }
    page.push_str("`canard faults NAME` tells all about one.\n");
    page
}

fn lines(listing: &Listing, text: impl Fn(&Entry) -> &'static str) -> String {
    let names = listing.iter().flat_map(|(_, entries)| entries.iter().map(|entry| entry.name.len()));
    let indent = " ".repeat(names.max().unwrap_or(0) + 4);
    let mut page = String::new();
    for (group, entries) in listing.iter().filter(|(_, entries)| !entries.is_empty()) {
        let gap = if page.is_empty() { "" } else { "\n" };
        let _ = writeln!(page, "{gap}{}", group.title());
        for entry in entries {
            let text = wrapped(text(entry), &indent);
            let _ = writeln!(page, "  {}{}", entry.name, &text[entry.name.len() + 2..]);
        }
    }
    page
}

/// Does a text hold these words, in any order? Long ones may be begun only; so `quantile` finds `quantiles`, and
/// `ks` does not find `checks`.
pub(super) fn holds(text: &str, words: &str) -> bool {
    let there = split(text);
    let held = |word: &str| {
        let short = word.chars().count() < 4;
        there.iter().any(|own| if short { own == word } else { own.starts_with(word) })
    };
    split(words).iter().all(|word| {
        let means = MEANS.iter().filter(|(short, _)| short == word);
        held(word) || means.into_iter().any(|(_, long)| long.split(' ').all(held))
    })
}

/// The whole catalogue, as `docs/faults.md` holds it.
pub(super) fn markdown(listing: &Listing) -> String {
    let mut page =
        String::from("<!-- Written by `canard faults --format markdown`; do not edit. -->\n\n# The faults\n");
    let _ = write!(page, "\n{ORDER}\n");
    let there = || listing.iter().filter(|(_, entries)| !entries.is_empty());
    for (group, entries) in there() {
        let _ = write!(page, "\n**{}**\n\n| fault | what it does |\n| --- | --- |\n", group.title());
        for entry in entries {
            let _ = writeln!(page, "| [{0}](#{0}) | {1} |", entry.name, cell(entry.summary));
        }
    }
    for (group, entries) in there() {
        let _ = write!(page, "\n# {}\n", group.title());
        for entry in entries {
            page.push('\n');
            page.push_str(&markdown_of(entry));
        }
    }
    page
}

/// One fault's section.
pub(super) fn markdown_of(entry: &Entry) -> String {
    let mut page = format!("## {}\n\n{}\n\n**Effect.** {}\n\n", entry.name, entry.summary, entry.effect);
    if !entry.parameters.is_empty() {
        page.push_str("| setting | values | default | meaning |\n| --- | --- | --- | --- |\n");
        for Parameter { name, values, default, meaning } in entry.parameters {
            let _ = writeln!(page, "| `{name}` | {} | {} | {} |", cell(values), cell(default), cell(meaning));
        }
        page.push('\n');
    }
    let _ = write!(
        page,
        "```yaml\n{}\n```\n\n**Who should notice:** {}\n\n**Who can't:** {}\n\n**Incidents:** {}.\n",
        entry.example.trim_end(),
        entry.seen_by,
        entry.blind,
        incidents::of(entry.name).join("; ")
    );
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn indented(text: &str, indent: &str) -> String {
    text.trim_end().lines().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
}

fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![indent.to_owned()];
    let width = usize::from(live::width()).clamp(40, WIDEST);
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > indent.len() && last + 1 + word.chars().count() > width {
            lines.push(indent.to_owned());
        }
        if let Some(line) = lines.last_mut() {
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn words_are_found_whole_or_begun_and_abbreviations_stand_for_what_they_mean() {
        let text = "Latency quantiles (p95, p99); schema checks, Kolmogorov-Smirnov on the scores.";
        for found in ["quantile", "LATENCY p99", "ks", "checks schema", "kolmogorov-smirnov", "scor"] {
            assert!(holds(text, found), "{found}");
        }
        for not in ["js", "psi", "hecks", "latency recall", "p9"] {
            assert!(!holds(text, not), "{not}");
        }
    }

    #[test]
    fn every_fault_is_listed_once_in_its_group() {
        let list = list(&Fault::groups());
        for entry in Fault::catalogue() {
            let line = list.lines().filter(|line| line.split_whitespace().next() == Some(entry.name));
            assert_eq!(line.count(), 1, "{}", entry.name);
        }
        assert!(list.lines().all(|line| line.chars().count() <= 100), "{list}");
        let headings = list.lines().filter(|line| !line.starts_with(' ')).collect::<Vec<_>>();
        assert!(headings.contains(&"Infrastructure") && headings.contains(&"Predictions"), "{headings:?}");
    }
}
