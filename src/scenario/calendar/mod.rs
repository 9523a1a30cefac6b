//! What a calendar file may say: which scenarios run when, and when none may.
//!
//! Times are those of the wall in the calendar's own time zone, as in a diary; [`crate::schedule`] turns them into
//! moments. A calendar holds no secrets and no addresses: those stay in the stage files that it names.

mod check;
#[cfg(test)]
mod tests;
mod values;

use std::{collections::HashSet, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use check::{check_files, compile_calendar};
pub use values::{Cron, Days, TimeOfDay, Weekdays, Zone};

/// A canard calendar: scenarios by cron expression, the windows in which they may run, and the days on which they may
/// not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CalendarDocument {
    /// The time zone of everything in this file, by its IANA name, such as `Europe/Berlin`.
    pub time_zone: Zone,
    /// Stage file of the runs that name none, from the folder of this file; the embedded defaults if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<PathBuf>,
    /// When runs may take place: each has to begin and to end inside. Windows that touch are one. Always if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowDocument>,
    /// Days on which nothing runs: `2026-12-24`, or the first and the last, `2026-12-20 to 2027-01-06`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blackouts: Vec<Days>,
    /// What runs.
    pub runs: Vec<ScheduledRun>,
}

/// A time of the week in which runs may take place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WindowDocument {
    /// Days on which it opens, such as `mon-fri` or `sat, sun`; every day if left out.
    #[serde(default)]
    pub days: Weekdays,
    /// When it opens.
    pub from: TimeOfDay,
    /// When it closes; on the next day if that is before `from`. `24:00` is midnight at the end of the day.
    pub to: TimeOfDay,
}

/// A scenario and when it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScheduledRun {
    /// The scenario file, from the folder of this file.
    pub scenario: PathBuf,
    /// When: minute, hour, day of the month, month, day of the week, such as `30 10 * * mon-thu`; with six parts, the
    /// first is the second. A day has to match the day of the month or the day of the week where both are given.
    pub cron: Cron,
    /// Its stage file, in the place of the calendar's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<PathBuf>,
}

impl CalendarDocument {
    /// What messages and report folders call the runs: the names of their files; where several have the same, with a
    /// number, in the order of the calendar.
    pub fn names(&self) -> Vec<String> {
        let stems: Vec<String> = self.runs.iter().map(ScheduledRun::name).collect();
        let mut taken: HashSet<String> = stems.iter().cloned().collect();
        let name = |stem: &String| {
            if stems.iter().filter(|other| *other == stem).count() == 1 {
                return stem.clone();
            }
            let mut numbered = (1..).map(|number: u64| format!("{stem}-{number}"));
            numbered.find(|name| taken.insert(name.clone())).unwrap_or_default()
        };
        stems.iter().map(name).collect()
    }
}

impl ScheduledRun {
    /// The name of its file.
    pub fn name(&self) -> String {
        let stem = self.scenario.file_stem().unwrap_or(self.scenario.as_os_str());
        stem.to_string_lossy().into_owned()
    }
}
