//! `canard faults`.

use clap::{
    Args, ValueEnum,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};
use serde_json::{Value, json};

use super::{
    Exit, Failure,
    catalogue::{self, Listing},
    incidents, output, search,
};
use crate::fault::{Entry, Fault, Group};

/// List the faults, show one in full, or find those that a monitor should see.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  canard faults
  canard faults mislabel
  canard faults --monitor psi       what should my PSI alert see, and what can't it?
  canard faults --find 'tokenizer mismatch'
  canard faults --format json | jq -r '.[].name'")]
pub(super) struct FaultsArgs {
    /// The fault to show in full
    #[arg(value_parser = FaultName, hide_possible_values = true, conflicts_with_all = ["find", "monitor", "group"])]
    name: Option<String>,
    /// Faults that fit these words, best first: an incident, a symptom, a setting
    #[arg(long, value_name = "WORDS")]
    find: Option<String>,
    /// Only faults that this kind of monitor should see, and apart from them those that it can't
    #[arg(long, value_name = "WORDS", conflicts_with = "find")]
    monitor: Option<String>,
    /// Only faults of this group
    #[arg(long, value_enum, value_name = "GROUP")]
    group: Option<GroupName>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GroupName {
    Predictions,
    Features,
    Text,
    Ranking,
    Feedback,
    Infrastructure,
}

impl From<GroupName> for Group {
    fn from(name: GroupName) -> Group {
        match name {
            GroupName::Predictions => Group::Predictions,
            GroupName::Features => Group::Features,
            GroupName::Text => Group::Text,
            GroupName::Ranking => Group::Ranking,
            GroupName::Feedback => Group::Feedback,
            GroupName::Infrastructure => Group::Infrastructure,
        }
    }
}

/// Any text, so that a misspelt name gets canard's own advice; shells complete the names.
#[derive(Debug, Clone)]
struct FaultName;

impl TypedValueParser for FaultName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Fault::catalogue().into_iter().map(|entry| PossibleValue::new(entry.name))))
    }
}

pub(super) fn run(args: FaultsArgs) -> miette::Result<Exit> {
    let text = match &args.name {
        Some(name) => one(name, args.format)?,
        None => several(&args)?,
    };
    output::print(&text)?;
    Ok(Exit::Met)
}

fn one(name: &str, format: Format) -> Result<String, Failure> {
    let groups = Fault::groups();
    let (group, entry) = find(&groups, name)?;
    Ok(match format {
        Format::Text => catalogue::text(entry),
        Format::Json => printed(&described(group, entry))?,
        Format::Markdown => catalogue::markdown_of(entry),
    })
}

fn several(args: &FaultsArgs) -> Result<String, Failure> {
    let mut listing = Fault::groups();
    listing.retain(|(group, _)| args.group.is_none_or(|only| *group == only.into()));
    if let Some(words) = &args.monitor {
        return monitor(&listing, words, args.format);
    }
    if let Some(words) = &args.find {
        return found(&listing, words, args.format);
    }
    match args.format {
        Format::Text => Ok(catalogue::list(&listing)),
        Format::Json => printed(&all(&listing)),
        Format::Markdown => Ok(catalogue::markdown(&listing)),
    }
}

fn found(listing: &Listing, words: &str, format: Format) -> Result<String, Failure> {
    let hits = search::find(listing.iter().flat_map(|(_, entries)| entries.iter().copied()), words);
    if hits.best.is_empty() {
        let failure = Failure::new(format!("no fault's page speaks of `{words}`"));
        return Err(failure.help(
            "`canard faults` lists them all; say what was seen in other words, such as `stale features`, `null` or `429`",
        ));
    }
    let group = |name: &str| {
        let holds = |entries: &[&'static Entry]| entries.iter().any(|entry| entry.name == name);
        listing.iter().find_map(|(group, entries)| holds(entries).then_some(*group))
    };
    match format {
        Format::Text => Ok(catalogue::found(words, &hits)),
        Format::Json => {
            let of = |hit: &search::Hit| Some(described(group(hit.entry.name)?, hit.entry));
            printed(&hits.best.iter().filter_map(of).collect())
        }
        Format::Markdown => {
            Ok(hits.best.iter().map(|hit| catalogue::markdown_of(hit.entry)).collect::<Vec<_>>().join("\n"))
        }
    }
}

fn monitor(listing: &Listing, words: &str, format: Format) -> Result<String, Failure> {
    let sees = chosen(listing, |entry| catalogue::holds(entry.seen_by, words));
    let blind = chosen(listing, |entry| catalogue::holds(entry.blind, words));
    if sees.iter().chain(&blind).all(|(_, entries)| entries.is_empty()) {
        let failure = Failure::new(format!("no fault's page speaks of a monitor like `{words}`"));
        return Err(failure.help("try one word, such as `psi`, `latency`, `accuracy`, `null` or `retry`"));
    }
    match format {
        Format::Text => Ok(catalogue::for_monitor(words, &sees, &blind)),
        Format::Json => printed(&json!({ "should_see": all(&sees), "can_not_see": all(&blind) })),
        Format::Markdown => {
            let failure = Failure::new("what a monitor should see is no page of its own");
            Err(failure.help("print it as text or json, or leave --monitor out"))
        }
    }
}

fn chosen(listing: &Listing, is: impl Fn(&Entry) -> bool) -> Listing {
    let of = |entries: &Vec<&'static Entry>| entries.iter().copied().filter(|entry| is(entry)).collect();
    listing.iter().map(|(group, entries)| (*group, of(entries))).collect()
}

fn find(groups: &Listing, name: &str) -> Result<(Group, &'static Entry), Failure> {
    let mut all = groups.iter().flat_map(|(group, entries)| entries.iter().map(|entry| (*group, *entry)));
    if let Some(found) = all.find(|(_, entry)| entry.name == name) {
        return Ok(found);
    }
    let names: Vec<&str> = Fault::catalogue().iter().map(|entry| entry.name).collect();
    let failure = Failure::new(format!("there is no fault `{name}`"));
    Err(match crate::scenario::nearest(name, &names) {
        Some(right) => failure.help(format!("did you mean `{right}`? `canard faults` lists them all")),
        None => {
            let entries = groups.iter().flat_map(|(_, entries)| entries.iter().copied());
            let near: Vec<&str> =
                search::find(entries, name).best.iter().map(|hit| hit.entry.name).take(4).collect();
            match near.as_slice() {
                [] => failure.help("`canard faults` lists them all"),
                near => failure.help(format!(
                    "of `{name}` speak {}; `canard faults --find '{name}'` says why",
                    crate::scenario::one_of(near)
                )),
            }
        }
    })
}

fn all(listing: &Listing) -> Value {
    let of = |(group, entries): &(Group, Vec<&'static Entry>)| {
        entries.iter().map(|entry| described(*group, entry)).collect::<Vec<_>>()
    };
    listing.iter().flat_map(of).collect()
}

fn described(group: Group, entry: &Entry) -> Value {
    let mut value = json!(entry);
    value["group"] = json!(group);
    value["incidents"] = json!(incidents::of(entry.name));
    value
}

fn printed(value: &Value) -> Result<String, Failure> {
    let failed = |error: serde_json::Error| Failure::new(error.to_string());
    Ok(serde_json::to_string_pretty(value).map_err(failed)? + "\n")
}
