//! `canard faults`.

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};

use super::{Exit, Failure, catalogue, output};
use crate::fault::{Entry, Fault};

/// List the faults, or show one in full.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canard faults
  canard faults mislabel
  canard faults --format json | jq -r '.[].name'")]
pub(super) struct FaultsArgs {
    /// The fault to show in full
    name: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For reading here
    #[default]
    Text,
    /// For programs
    Json,
    /// For documentation
    Markdown,
}

pub(super) fn run(args: FaultsArgs) -> miette::Result<Exit> {
    let all = Fault::catalogue();
    let failed = |error: serde_json::Error| Failure::new(error.to_string());
    let text = match (&args.name, args.format) {
        (None, Format::Text) => table(&all),
        (None, Format::Json) => serde_json::to_string_pretty(&all).map_err(failed)? + "\n",
        (None, Format::Markdown) => catalogue::markdown(&all),
        (Some(name), format) => {
            let entry = find(&all, name)?;
            match format {
                Format::Text => catalogue::text(entry),
                Format::Json => serde_json::to_string_pretty(entry).map_err(failed)? + "\n",
                Format::Markdown => catalogue::markdown_of(entry),
            }
        }
    };
    output::print(&text)?;
    Ok(Exit::Met)
}

fn find<'a>(all: &[&'a Entry], name: &str) -> Result<&'a Entry, Failure> {
    if let Some(entry) = all.iter().find(|entry| entry.name == name) {
        return Ok(entry);
    }
    let names: Vec<&str> = all.iter().map(|entry| entry.name).collect();
    let failure = Failure::new(format!("there is no fault `{name}`"));
    Err(match crate::scenario::nearest(name, &names) {
        Some(right) => failure.help(format!("did you mean `{right}`? `canard faults` lists them all")),
        None => failure.help(format!("there are {}", names.join(", "))),
    })
}

fn table(all: &[&Entry]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    match std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()) {
        Some(columns) => table.set_width(columns),
        None if table.width().is_none() => table.set_width(100),
        None => &mut table,
    };
    table.set_header(["fault", "what it does", "who should notice"]);
    for entry in all {
        table.add_row([entry.name, entry.summary, entry.seen_by]);
    }
    format!("{}\n\n`canard faults NAME` tells all about one.\n", table.trim_fmt())
}
