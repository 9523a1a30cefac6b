use super::*;
use crate::scenario::{FileKind, Source};

const WHOLE: &str = "\
time-zone: Europe/Berlin
stage: staging.yaml
windows:
  - { days: mon-fri, from: \"10:00\", to: \"16:00\" }
  - { from: \"22:00\", to: \"04:00\" }
blackouts: [2026-12-24, 2026-12-27 to 2027-01-06]
runs:
  - { scenario: credit.yaml, cron: \"30 10 * * mon-thu\" }
  - { scenario: deep/slow.yaml, cron: \"@daily\", stage: other.yaml }
";

fn source(text: &str) -> Source {
    Source::new("calendar.yaml", text)
}

fn whole(text: &str) -> CalendarDocument {
    compile_calendar(&source(text)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Line and message of each mistake.
fn wrong(text: &str) -> Vec<(usize, String)> {
    let list = compile_calendar(&source(text)).expect_err("a mistake").list;
    list.into_iter().map(|d| (d.line, format!("{} / {}", d.message, d.help.unwrap_or_default()))).collect()
}

#[test]
fn a_whole_calendar_reads_and_says_the_same_again() {
    let calendar = whole(WHOLE);
    assert_eq!(calendar.time_zone.to_string(), "Europe/Berlin");
    assert_eq!(calendar.windows[0].days.to_string(), "mon-fri");
    assert_eq!(calendar.windows[1].days, Weekdays::default());
    assert_eq!(calendar.blackouts[1].to_string(), "2026-12-27 to 2027-01-06");
    assert_eq!(calendar.runs[1].name(), "slow");
    let json = serde_json::to_value(&calendar).unwrap();
    assert_eq!(serde_json::from_value::<CalendarDocument>(json).unwrap(), calendar);
    assert_eq!(FileKind::of(&source(WHOLE)), FileKind::Calendar);
}

#[test]
fn files_are_named_from_the_folder_of_the_calendar() {
    let from = Source { folder: "etc/canard".into(), ..source(WHOLE) };
    let calendar = compile_calendar(&from).unwrap();
    assert_eq!(calendar.runs[1].scenario, PathBuf::from("etc/canard/deep/slow.yaml"));
    assert_eq!(calendar.runs[1].stage, Some(PathBuf::from("etc/canard/other.yaml")));
    assert_eq!(calendar.stage, Some(PathBuf::from("etc/canard/staging.yaml")));
    let absolute =
        Source { folder: "etc".into(), ..source(&WHOLE.replace("credit.yaml", "/srv/credit.yaml")) };
    assert_eq!(compile_calendar(&absolute).unwrap().runs[0].scenario, PathBuf::from("/srv/credit.yaml"));
}

#[test]
fn each_mistake_is_told_at_its_line_with_its_remedy() {
    let text = "\
time-zone: Europe/Berln
stages: staging.yaml
windows: [{ days: mon-fry, from: 10:00, to: 25:00 }]
blackouts: [2026-02-30]
runs:
  - { scenario: a.yaml, cron: \"61 * * * *\" }
  - { scenario: b.yaml }
";
    let found = wrong(text);
    let at = |line: usize, words: &str| {
        assert!(
            found.iter().any(|(at, message)| *at == line && message.contains(words)),
            "{words}: {found:#?}"
        );
    };
    at(1, "`Europe/Berln` is no time zone; write its IANA name, such as `Europe/Berlin`");
    at(2, "unknown key `stages`");
    at(3, "`fry` is no day of the week");
    at(3, "`25:00` is no time of the day");
    at(4, "there is no such day");
    at(6, "is no cron expression (");
    at(7, "`cron` is missing");
    assert_eq!(found.len(), 7, "{found:#?}");
}

#[test]
fn what_can_never_run_is_a_mistake() {
    assert!(wrong(&WHOLE.replace("30 10 * * mon-thu", "0 0 30 2 *"))[0].1.contains("never comes"));
    let no_length = wrong(&WHOLE.replace("\"16:00\"", "\"10:00\""));
    assert_eq!(no_length[0].0, 4);
    assert!(no_length[0].1.contains("no length"), "{no_length:?}");
    let none = wrong("time-zone: UTC\nruns: []\n");
    assert_eq!((none[0].0, none.len()), (2, 1), "{none:?}");
    assert!(none[0].1.contains("nothing to do"), "{none:?}");
    let twice =
        "time-zone: UTC\nruns:\n- { scenario: a, cron: '@daily' }\n- { scenario: a, cron: '@daily' }\n";
    assert_eq!(wrong(twice)[0].0, 4);
    assert!(wrong(&WHOLE.replace("credit.yaml", "'-'"))[0].1.contains("read again"));
}

#[test]
fn values_read_in_the_forms_that_people_write() {
    let days = |text: &str| text.parse::<Weekdays>().unwrap().to_string();
    assert_eq!(days("Monday"), "mon");
    assert_eq!(days("fri-mon"), "mon, fri-sun");
    assert_eq!(days("sat, sun,wed"), "wed, sat-sun");
    assert!("mon-".parse::<Weekdays>().is_err());
    for wrong in ["9:30", "24:01", "10:60", "1030", "", "10:3a"] {
        assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
    }
    assert_eq!("24:00".parse::<TimeOfDay>().unwrap().minutes(), TimeOfDay::DAY);
    assert!("2027-01-06 to 2026-12-24".parse::<Days>().unwrap_err().to_string().contains("before"));
    let guess = |text: &str| text.parse::<Zone>().unwrap_err().to_string();
    assert!(guess("berlin").ends_with("such as `Europe/Berlin`"), "{}", guess("berlin"));
    assert!(guess("CET+1").contains("is no time zone"));
}

#[test]
fn files_that_are_not_there_are_told_at_their_place() {
    let text = "time-zone: UTC\nstage: Cargo.toml\nruns:\n  - { scenario: Cargo.toml, cron: '@daily' }\n\
                \x20 - { scenario: nowhere.yaml, cron: '@daily', stage: neither.yaml }\n";
    let source = Source::new("calendar.yaml", text);
    let calendar = compile_calendar(&source).unwrap();
    let told = check_files(&calendar, &source);
    let told: Vec<_> = told.iter().map(|mistake| (mistake.line, mistake.message.as_str())).collect();
    assert_eq!(told, [(5, "there is no file `nowhere.yaml`"), (5, "there is no file `neither.yaml`")]);
}
