//! The fault catalogue as text and as Markdown, from the one source that the faults carry themselves.

use std::fmt::Write;

use crate::fault::{Entry, Parameter};

const WIDTH: usize = 96;

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
    page
}

fn section(page: &mut String, title: &str, text: &str) {
    if !text.trim().is_empty() {
        let _ = write!(page, "\n{title}\n{text}\n");
    }
}

/// The whole catalogue, as `docs/faults.md` holds it.
pub(super) fn markdown(all: &[&Entry]) -> String {
    let mut page = String::from(
        "<!-- Written by `canard faults --format markdown`; do not edit. -->\n\n# The faults\n\n| fault | what it does |\n| --- | --- |\n",
    );
    for entry in all {
        let _ = writeln!(page, "| [{0}](#{0}) | {1} |", entry.name, cell(entry.summary));
    }
    for entry in all {
        page.push('\n');
        page.push_str(&markdown_of(entry));
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
        "```yaml\n{}\n```\n\n**Who should notice:** {}\n\n**Who can't:** {}\n",
        entry.example.trim_end(),
        entry.seen_by,
        entry.blind
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
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > indent.len() && last + 1 + word.chars().count() > WIDTH {
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
