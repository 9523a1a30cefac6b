use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::*;
use crate::{
    monitor::BoxFuture,
    scenario::{CalendarDocument, ScheduledRun, Source, compile, compile_calendar, compile_stage},
};

fn calendar(text: &str) -> CalendarDocument {
    compile_calendar(&Source::new("calendar.yaml", text)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A calendar of one run in Berlin.
fn berlin(cron: &str, more: &str) -> CalendarDocument {
    calendar(&format!("time-zone: Europe/Berlin\nruns: [{{ scenario: a.yaml, cron: \"{cron}\" }}]\n{more}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The first slots after a moment: UTC, and whether they exist.
fn first(calendar: &CalendarDocument, after: &str, most: usize) -> Vec<(String, bool)> {
    let slots = slots(&calendar.time_zone, &calendar.runs[0].cron, at(after));
    slots.take(most).map(|slot| (slot.at.to_string(), slot.exists)).collect()
}

fn told(times: &[(&str, bool)]) -> Vec<(String, bool)> {
    times.iter().map(|(time, exists)| ((*time).to_owned(), *exists)).collect()
}

#[test]
fn slots_are_times_on_the_wall() {
    let daily = berlin("30 10 * * mon-thu", "");
    // Winter, and after a weekend; then summer.
    let expected = told(&[("2026-11-26T09:30:00Z", true), ("2026-11-30T09:30:00Z", true)]);
    assert_eq!(first(&daily, "2026-11-25T09:30:00Z", 2), expected, "a slot itself is behind");
    assert_eq!(first(&daily, "2026-07-06T00:00:00Z", 1), told(&[("2026-07-06T08:30:00Z", true)]));
    let seconds = berlin("*/20 * * * * *", "");
    let expected = told(&[("2026-07-06T00:00:20Z", true), ("2026-07-06T00:00:40Z", true)]);
    assert_eq!(first(&seconds, "2026-07-06T00:00:00.5Z", 2), expected);
}

#[test]
fn a_time_that_the_clocks_jump_over_is_a_slot_that_does_not_exist() {
    // 2026-03-29 in Berlin: 02:00 is followed by 03:00, at 01:00 UTC.
    let night = berlin("30 2 * * *", "");
    let expected = told(&[
        ("2026-03-28T01:30:00Z", true),
        ("2026-03-29T01:00:00Z", false),
        ("2026-03-30T00:30:00Z", true),
    ]);
    assert_eq!(first(&night, "2026-03-28T00:00:00Z", 3), expected);
    let half_hours = berlin("*/30 * * * *", "");
    let expected = told(&[
        ("2026-03-29T00:30:00Z", true),
        ("2026-03-29T01:00:00Z", false),
        ("2026-03-29T01:00:00Z", false),
        ("2026-03-29T01:00:00Z", true),
        ("2026-03-29T01:30:00Z", true),
    ]);
    assert_eq!(first(&half_hours, "2026-03-29T00:00:00Z", 5), expected);
}

#[test]
fn a_time_that_comes_twice_is_a_slot_once() {
    // 2026-10-25 in Berlin: 03:00 is followed by 02:00, at 01:00 UTC.
    let night = berlin("30 2 * * *", "");
    let expected = told(&[("2026-10-25T00:30:00Z", true), ("2026-10-26T01:30:00Z", true)]);
    assert_eq!(first(&night, "2026-10-24T12:00:00Z", 2), expected);
    // Asked in the second of the two hours.
    assert_eq!(first(&night, "2026-10-25T01:10:00Z", 1), expected[1..]);
    let half_hours = berlin("*/30 * * * *", "");
    let expected = told(&[
        ("2026-10-25T00:30:00Z", true),
        ("2026-10-25T02:00:00Z", true),
        ("2026-10-25T02:30:00Z", true),
    ]);
    assert_eq!(first(&half_hours, "2026-10-25T00:00:00Z", 3), expected);
}

#[test]
fn a_zone_whose_clocks_change_at_midnight_is_no_exception() {
    // Beirut goes from 2026-03-29 00:00 to 01:00.
    let midnight = calendar("time-zone: Asia/Beirut\nruns: [{ scenario: a, cron: '@daily' }]\n");
    let expected = told(&[
        ("2026-03-27T22:00:00Z", true),
        ("2026-03-28T22:00:00Z", false),
        ("2026-03-29T21:00:00Z", true),
    ]);
    assert_eq!(first(&midnight, "2026-03-27T12:00:00Z", 3), expected);
}

fn permitted(calendar: &CalendarDocument, from: &str, lasts: u64) -> String {
    match permits(calendar, at(from), Duration::from_secs(lasts)) {
        Ok(()) => "yes".to_owned(),
        Err(why) => why.to_string(),
    }
}

const HOUR: u64 = 3600;

#[test]
fn a_run_begins_and_ends_in_a_window() {
    let open = berlin("@daily", "windows: [{ days: mon-fri, from: '10:00', to: '16:00' }]\n");
    assert_eq!(permitted(&open, "2026-11-23T09:00:00Z", 6 * HOUR), "yes", "to the second");
    let long = permitted(&open, "2026-11-23T09:00:01Z", 6 * HOUR);
    assert_eq!(long, "it takes 6h, and the window closes at 16:00 on 2026-11-23");
    let outside = "outside the windows (mon-fri 10:00 to 16:00)";
    assert_eq!(permitted(&open, "2026-11-23T08:59:59Z", 1), outside);
    assert_eq!(permitted(&open, "2026-11-23T15:00:00Z", 0), outside, "closed is closed");
    assert_eq!(permitted(&open, "2026-11-22T10:00:00Z", 1), outside, "a Sunday");
    assert_eq!(permitted(&open, "2026-07-06T08:00:00Z", 1), "yes", "an hour earlier in summer");
}

#[test]
fn windows_reach_over_midnight_and_join_where_they_touch() {
    let night = berlin("@daily", "windows: [{ days: fri, from: '22:00', to: '04:00' }]\n");
    assert_eq!(permitted(&night, "2026-11-27T21:00:00Z", 6 * HOUR), "yes", "Friday night");
    assert_eq!(permitted(&night, "2026-11-28T02:00:00Z", HOUR), "yes", "its early Saturday");
    assert_ne!(permitted(&night, "2026-11-27T02:00:00Z", HOUR), "yes", "not that of Thursday");
    let joined =
        "windows: [{ days: mon, from: '20:00', to: '24:00' }, { days: tue, from: '00:00', to: '02:00' }]\n";
    let joined = berlin("@daily", joined);
    assert_eq!(permitted(&joined, "2026-11-23T22:00:00Z", 3 * HOUR), "yes");
    let over = permitted(&joined, "2026-11-23T22:00:00Z", 3 * HOUR + 1);
    assert_eq!(over, "it takes 3h1s, and the window closes at 02:00 on 2026-11-24");
    // The night on which 02:00 to 03:00 comes twice is an hour longer.
    let autumn = berlin("@daily", "windows: [{ days: sun, from: '01:00', to: '04:00' }]\n");
    assert_eq!(permitted(&autumn, "2026-10-24T23:00:00Z", 4 * HOUR), "yes");
}

#[test]
fn nothing_reaches_into_a_blackout_day() {
    let dark = berlin("@daily", "blackouts: [2026-12-24, 2026-12-27 to 2027-01-06]\n");
    assert_eq!(permitted(&dark, "2026-12-23T22:00:00Z", HOUR), "yes", "midnight sharp is the end of the day");
    assert_eq!(permitted(&dark, "2026-12-23T22:00:00Z", HOUR + 1), "2026-12-24 is blacked out");
    assert_eq!(permitted(&dark, "2026-12-23T23:00:00Z", 0), "2026-12-24 is blacked out");
    let long = permitted(&dark, "2027-01-01T12:00:00Z", 60);
    assert_eq!(long, "2027-01-01 is blacked out (2026-12-27 to 2027-01-06)");
    assert_eq!(permitted(&dark, "2027-01-06T23:00:00Z", 60), "yes", "the first minute of the 7th in Berlin");
}

#[test]
fn what_passed_unseen_is_missed_and_what_is_now_is_due() {
    let minutes = berlin("* * * * *", "");
    let mut agenda = Agenda::new(at("2026-11-23T10:00:00Z"));
    assert_eq!(agenda.advance(&minutes, at("2026-11-23T10:00:59.9Z")), []);
    let due = |turns: &[Turn]| matches!(turns, [Turn::Due(0, slot)] if slot.at == at("2026-11-23T10:01:00Z"));
    assert!(due(&agenda.advance(&minutes, at("2026-11-23T10:01:00.2Z"))));
    assert_eq!(agenda.advance(&minutes, at("2026-11-23T10:01:00.3Z")), [], "once");
    // A clock that is corrected does not make it come again; one that is put back by a lot does.
    assert_eq!(agenda.advance(&minutes, at("2026-11-23T10:00:30Z")), []);
    assert_eq!(agenda.advance(&minutes, at("2026-11-23T10:01:01Z")), []);
    let back = agenda.advance(&minutes, at("2026-11-23T09:31:01Z"));
    assert_eq!(back, [Turn::PutBack(SignedDuration::from_mins(30))]);
    // The machine slept until 12:00:05.
    let turns = agenda.advance(&minutes, at("2026-11-23T12:00:05Z"));
    let [Turn::Missed(0, first, last, 148), Turn::Due(0, slot)] = turns[..] else { panic!("{turns:?}") };
    assert_eq!((first.at, last.at), (at("2026-11-23T09:32:00Z"), at("2026-11-23T11:59:00Z")));
    assert_eq!(slot.at, at("2026-11-23T12:00:00Z"));
    let turns = agenda.advance(&minutes, at("2036-11-23T12:00:30Z"));
    assert!(matches!(turns[..], [Turn::Missed(0, _, _, 10_000)]), "ten years are not counted: {turns:?}");
}

fn ready(exposure: &str, stage: Option<&str>) -> Ready {
    ready_for(exposure, stage, 60)
}

fn ready_for(exposure: &str, stage: Option<&str>, lasts: u64) -> Ready {
    let text = format!(
        "name: s\ntarget: {{ protocol: http }}\nexposure: {exposure}\nphases: [{{ name: p, lasts: {lasts}s }}]\n"
    );
    let plan = compile(&Source::new("s.yaml", text)).unwrap_or_else(|errors| panic!("{errors}"));
    let stage = stage.map(|text| compile_stage(&Source::new("stage.yaml", text), &|_| None).unwrap());
    Ready { plan: Arc::new(plan), stage }
}

#[test]
fn runs_that_could_meet_take_turns() {
    let why = |one: &Ready, other: &Ready| {
        let (why, back) = (takes_turns(one, other), takes_turns(other, one));
        assert_eq!(why, back);
        why.unwrap_or_default()
    };
    let (plain, red, blue) = ("{ share: 10% }", "{ share: 10%, layer: red }", "{ share: 10%, layer: blue }");
    let eu = "upstream: http://eu:1\nsidecar: { listen: 127.0.0.1:9000 }\n";
    let us = "sidecars: [{ url: http://us:9900 }, { url: http://us:9901 }]\n";
    let us_too = "sidecars: [{ url: http://us:9901/ }]\n";
    assert_eq!(why(&ready(red, Some(eu)), &ready(red, Some(us))), "both are in the layer `red`");
    assert_eq!(why(&ready(plain, Some(eu)), &ready(red, Some(us))), "not both name an exposure layer");
    assert_eq!(why(&ready(red, Some(eu)), &ready(blue, Some(us))), "");
    assert_eq!(why(&ready(red, Some(us)), &ready(blue, Some(us_too))), "both use http://us:9901");
    let port = eu.replace("eu:1", "elsewhere:1");
    assert_eq!(why(&ready(red, Some(eu)), &ready(blue, Some(&port))), "both use 127.0.0.1:9000");
    let anywhere = port.replace("127.0.0.1", "0.0.0.0").replace("elsewhere", "somewhere");
    let met = takes_turns(&ready(red, Some(eu)), &ready(blue, Some(&anywhere)));
    assert_eq!(met.as_deref(), Some("both use 127.0.0.1:9000"));
    assert_eq!(why(&ready(red, None), &ready(blue, None)), "", "each has a demo model of its own");
}

/// The outside of a loop: a wall clock that follows tokio's, plus what a test adds to it.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    start: Option<(Instant, Timestamp)>,
    jump: SignedDuration,
    /// What comes next for a scenario's file, by its name.
    scenarios: Vec<(&'static str, Result<Ready, String>)>,
    calendars: VecDeque<CalendarDocument>,
    /// Names of reports that are there.
    reports: Vec<&'static str>,
    told: Vec<Happening>,
    /// How runs began and ended, with the time since the start.
    runs: Vec<(u64, String)>,
}

impl Fake {
    fn starting(wall: &str, scenarios: Vec<(&'static str, Result<Ready, String>)>) -> Fake {
        let fake = Fake::default();
        fake.with(|state| {
            state.start = Some((Instant::now(), at(wall)));
            state.scenarios = scenarios;
        });
        fake
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    fn told(&self) -> Vec<String> {
        self.with(|state| state.told.iter().map(ToString::to_string).collect())
    }

    fn runs(&self) -> Vec<(u64, String)> {
        self.with(|state| state.runs.clone())
    }
}

impl Hands for Fake {
    fn wall(&self) -> Timestamp {
        self.with(|state| {
            let (start, wall) = state.start.unwrap();
            wall + SignedDuration::try_from(start.elapsed()).unwrap() + state.jump
        })
    }

    fn reload(&mut self) -> Option<CalendarDocument> {
        self.with(|state| state.calendars.pop_front())
    }

    fn read(&self, _: &CalendarDocument, run: &ScheduledRun) -> Result<Ready, String> {
        self.with(|state| state.scenarios.iter().find(|(name, _)| *name == run.name()).unwrap().1.clone())
    }

    fn reported(&self, name: &str) -> bool {
        self.with(|state| state.reports.contains(&name))
    }

    /// A run that takes as long as its plan, or until it is withdrawn.
    fn run(&mut self, job: Job) -> BoxFuture<'static, u8> {
        let this = self.clone();
        let say = move |word: &str, name: &str| {
            this.with(|state| {
                let since = state.start.unwrap().0.elapsed().as_secs();
                state.runs.push((since, format!("{word} {name}")));
            });
        };
        Box::pin(async move {
            say("start", &job.name);
            tokio::select! {
                () = tokio::time::sleep(job.ready.plan.lasts()) => say("end", &job.name),
                why = job.orders.withdrawn() => say(&why, &job.name),
            }
            0
        })
    }

    fn tell(&mut self, happening: Happening) {
        self.with(|state| state.told.push(happening));
    }
}

fn twelve(runs: &str) -> CalendarDocument {
    calendar(&format!("time-zone: UTC\nruns:\n{runs}"))
}

async fn keep_for(fake: &Fake, calendar: CalendarDocument, seconds: u64) -> Kept {
    keep(calendar, fake.clone(), false, tokio::time::sleep(Duration::from_secs(seconds))).await
}

fn began(runs: &[(u64, String)]) -> Vec<(u64, &str)> {
    runs.iter().map(|(at, what)| (*at, what.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn runs_begin_at_their_slots_and_two_of_one_layer_queue() {
    let red = || Ok(ready("{ share: 10%, layer: red }", Some("upstream: http://a:1\n")));
    let blue = || Ok(ready("{ share: 10%, layer: blue }", Some("upstream: http://b:1\n")));
    let fake = Fake::starting("2026-11-23T11:59:50Z", vec![("a", red()), ("b", red()), ("c", blue())]);
    let runs = "- { scenario: a.yaml, cron: '0 12 * * *' }\n- { scenario: b.yaml, cron: '0 12 * * *' }\n\
                - { scenario: c.yaml, cron: '10 0 12 * * *' }\n";
    assert_eq!(keep_for(&fake, twelve(runs), 200).await, Kept::Stopped);
    let runs = fake.runs();
    let expected = [
        (10, "start a-20261123T120000Z"),
        (20, "start c-20261123T120010Z"),
        (70, "end a-20261123T120000Z"),
        (70, "start b-20261123T120000Z"),
        (80, "end c-20261123T120010Z"),
        (130, "end b-20261123T120000Z"),
    ];
    assert_eq!(began(&runs), expected);
    let told = fake.told();
    let waits = "b at 2026-11-23T12:00:00+00:00 waits for a-20261123T120000Z: both are in the layer `red`";
    assert!(told.iter().any(|line| line == waits), "{told:#?}");
    assert_eq!(told[0], "next: a at 2026-11-23T12:00:00+00:00");
    assert_eq!(told.last().unwrap(), "next: a at 2026-11-24T12:00:00+00:00");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_until_its_window_closes_or_its_next_slot_comes_is_skipped() {
    let long = || Ok(ready_for("{ share: 10% }", None, 100));
    let fake = Fake::starting("2026-11-23T11:59:59Z", vec![("a", long()), ("b", long())]);
    let runs = "- { scenario: a.yaml, cron: '* 12 * * *' }\n- { scenario: b.yaml, cron: '0 12 * * *' }\n\
                windows: [{ from: '12:00', to: '12:04' }]\n";
    assert_eq!(keep_for(&fake, twelve(runs), 600).await, Kept::Stopped);
    // `a`, then `b`; meanwhile `a` at 12:01 gives way to itself at 12:02, which would end too late.
    assert_eq!(fake.runs().len(), 4, "{:?}", fake.runs());
    let told = fake.told();
    let has = |words: &str| assert!(told.iter().any(|line| line.contains(words)), "{words}: {told:#?}");
    has("a at 2026-11-23T12:01:00+00:00 is skipped: it waited until its next slot came");
    has("a at 2026-11-23T12:02:00+00:00 is skipped: it takes 1m40s, and the window closes at 12:04");
    has("a at 2026-11-23T12:04:00+00:00 is skipped: outside the windows");
}

#[tokio::test(start_paused = true)]
async fn slots_of_a_machine_that_slept_are_missed_and_said_so() {
    let fake = Fake::starting("2026-11-23T11:59:30Z", vec![("a", Ok(ready_for("{ share: 10% }", None, 5)))]);
    let calendar = twelve("- { scenario: a.yaml, cron: '* * * * *' }\n");
    let sleeper = fake.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(40)).await;
        sleeper.with(|state| state.jump = SignedDuration::from_hours(3));
    });
    keep_for(&fake, calendar, 115).await;
    assert_eq!(fake.runs().len(), 4, "{:?}", fake.runs());
    let told = fake.told();
    let missed =
        "a missed 180 slots, 2026-11-23T12:01:00+00:00 to 2026-11-23T15:00:00+00:00, and does not catch up";
    assert!(told.iter().any(|line| line == missed), "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_calendar_that_changes_applies_at_once() {
    let long = Ok(ready_for("{ share: 10% }", None, 300));
    let fake = Fake::starting("2026-11-23T11:59:55Z", vec![("a", long.clone()), ("b", long)]);
    let both =
        twelve("- { scenario: a.yaml, cron: '0 12 * * *' }\n- { scenario: b.yaml, cron: '0 12 * * *' }\n");
    let without = twelve("- { scenario: a.yaml, cron: '0 12 * * *' }\nblackouts: [2026-11-23]\n");
    let editor = fake.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(60_500)).await;
        editor.with(|state| state.calendars.push_back(without));
    });
    keep_for(&fake, both, 100).await;
    let runs = fake.runs();
    assert_eq!(runs.len(), 2, "{runs:?}");
    let why = "the calendar does not permit it any more: 2026-11-23 is blacked out";
    assert!((60..=62).contains(&runs[1].0) && runs[1].1.starts_with(why), "{runs:?}");
    let dropped = "b at 2026-11-23T12:00:00+00:00 is skipped: the calendar does not hold it any more";
    assert!(fake.told().iter().any(|line| line == dropped), "{:#?}", fake.told());
}

#[tokio::test(start_paused = true)]
async fn one_run_may_be_asked_for_and_one_that_cannot_be_read_is_skipped() {
    let scenarios = vec![("a", Err("no such file".to_owned())), ("b", Ok(ready("{ share: 10% }", None)))];
    let fake = Fake::starting("2026-11-23T11:59:55Z", scenarios);
    let calendar =
        twelve("- { scenario: a.yaml, cron: '0 12 * * *' }\n- { scenario: b.yaml, cron: '1 12 * * *' }\n");
    let kept = keep(calendar, fake.clone(), true, std::future::pending()).await;
    assert_eq!(kept, Kept::Once(0));
    assert_eq!(fake.runs().len(), 2, "{:?}", fake.runs());
    assert!(fake.told().iter().any(|line| line.ends_with("is skipped: no such file")), "{:#?}", fake.told());
}

#[tokio::test(start_paused = true)]
async fn runs_of_one_name_have_reports_of_their_own() {
    let short = Ok(ready_for("{ share: 10% }", None, 10));
    let fake = Fake::starting("2026-11-23T11:59:59Z", vec![("a", short.clone()), ("b", short)]);
    fake.with(|state| state.reports = vec!["b-20261123T120000Z"]);
    let runs = "- { scenario: x/a.yaml, cron: '0 12 * * *' }\n- { scenario: y/a.yaml, cron: '0 12 * * *' }\n\
                - { scenario: b.yaml, cron: '0 12 * * *' }\n";
    keep_for(&fake, twelve(runs), 100).await;
    let runs = fake.runs();
    let begun: Vec<&str> = runs.iter().filter_map(|(_, what)| what.strip_prefix("start ")).collect();
    assert_eq!(begun, ["a-1-20261123T120000Z", "a-2-20261123T120000Z", "b-20261123T120000Z-2"]);
    let told = fake.told();
    assert!(
        told.iter().any(|line| line.starts_with("a-2 at") && line.contains("waits for a-1-")),
        "{told:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_may_take_its_whole_window() {
    let minute = || Ok(ready_for("{ share: 10% }", None, 60));
    let fake = Fake::starting("2026-11-23T09:59:59.995Z", vec![("a", minute())]);
    let window = "- { scenario: a.yaml, cron: '0 10 * * *' }\nwindows: [{ from: '10:00', to: '10:01' }]\n";
    keep_for(&fake, twelve(window), 100).await;
    let runs = fake.runs();
    assert_eq!(began(&runs), [(0, "start a-20261123T100000Z"), (60, "end a-20261123T100000Z")]);
    // One that waited may end as late as a run may before it is withdrawn, and no later.
    for (minutes, may) in [(2, true), (1, false)] {
        let fake = Fake::starting("2026-11-23T09:59:59.995Z", vec![("a", minute()), ("b", minute())]);
        let both = format!(
            "- {{ scenario: a.yaml, cron: '0 10 * * *' }}\n- {{ scenario: b.yaml, cron: '0 10 * * *' }}\n\
             windows: [{{ from: '10:00', to: '10:0{minutes}' }}]\n"
        );
        keep_for(&fake, twelve(&both), 200).await;
        let ended = fake.runs().iter().any(|(_, what)| what == "end b-20261123T100000Z");
        assert_eq!(ended, may, "{:?} {:#?}", fake.runs(), fake.told());
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_next_slot_comes_keeps_its_place_in_the_queue() {
    let of = |lasts| Ok(ready_for("{ share: 10% }", None, lasts));
    let fake = Fake::starting("2026-11-23T11:59:59Z", vec![("a", of(90)), ("b", of(50)), ("c", of(50))]);
    // While `a` runs, `b` waits, then `c`; at 12:01 the next slot of `b` comes.
    let runs = "- { scenario: a.yaml, cron: '0 12 * * *' }\n- { scenario: b.yaml, cron: '0,1 12 * * *' }\n\
                - { scenario: c.yaml, cron: '30 0 12 * * *' }\n";
    keep_for(&fake, twelve(runs), 300).await;
    let runs = fake.runs();
    let begun: Vec<&str> = runs.iter().filter_map(|(_, what)| what.strip_prefix("start ")).collect();
    assert_eq!(begun, ["a-20261123T120000Z", "b-20261123T120100Z", "c-20261123T120030Z"]);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_comes_as_the_calendar_changes_is_not_lost() {
    let fake =
        Fake::starting("2026-11-23T11:59:58.5Z", vec![("a", Ok(ready_for("{ share: 10% }", None, 5)))]);
    let slots = twelve("- { scenario: a.yaml, cron: '0 12 * * *' }\n");
    let changed = twelve("- { scenario: a.yaml, cron: '0 12 * * *' }\nblackouts: [2027-01-01]\n");
    let editor = fake.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1_400)).await;
        // The loop sleeps over the slot, and finds the new calendar first.
        editor.with(|state| {
            state.jump = SignedDuration::from_millis(700);
            state.calendars.push_back(changed);
        });
    });
    keep_for(&fake, slots, 30).await;
    assert_eq!(fake.runs().len(), 2, "{:?} {:#?}", fake.runs(), fake.told());
}

#[tokio::test(start_paused = true)]
async fn what_was_read_anew_after_waiting_takes_turns_too() {
    let of = |layer: &str, lasts| Ok(ready_for(&format!("{{ share: 10%, layer: {layer} }}"), None, lasts));
    let scenarios = vec![("a", of("red", 30)), ("b", of("blue", 100)), ("c", of("red", 30))];
    let fake = Fake::starting("2026-11-23T11:59:59Z", scenarios);
    let runs = "- { scenario: a.yaml, cron: '0 12 * * *' }\n- { scenario: b.yaml, cron: '0 12 * * *' }\n\
                - { scenario: c.yaml, cron: '0 12 * * *' }\n";
    let editor = fake.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        editor.with(|state| state.scenarios[2].1 = of("blue", 30));
    });
    keep_for(&fake, twelve(runs), 200).await;
    let runs = fake.runs();
    let place = |what: &str| runs.iter().position(|(_, told)| told == what).unwrap();
    assert!(place("end b-20261123T120000Z") < place("start c-20261123T120000Z"), "{runs:?}");
}
