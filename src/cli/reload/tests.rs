use std::{fs, os::unix::fs::symlink, path::PathBuf};

use tempfile::TempDir;
use tokio::{sync::mpsc::UnboundedReceiver, time::sleep};

use super::*;
use crate::{event, gameday};

const SCENARIO: &str = "
name: t
target: { protocol: http }
exposure: { share: 5% }
phases: [{ name: broken, lasts: 1m, inject: [{ fault: { error: { status: 503, rate: 10% } } }] }]
";

const STAGE: &str = "
environment: live
upstream: http://127.0.0.1:1
production: { consent: { by: Ada, share: 5%, lasts: 10m, until: 2099-12-31 } }
";

/// Files that are looked at, and what a run would hear and say.
struct Desk {
    dir: TempDir,
    orders: gameday::Orders,
    events: UnboundedReceiver<event::Event>,
}

impl Desk {
    /// Begins to look, with what is in the folder.
    fn open(dir: TempDir) -> Desk {
        let (scenario, stage) = (dir.path().join("scenario.yaml"), dir.path().join("stage.yaml"));
        let (said, source) = (load::source(&scenario).unwrap(), load::source(&stage).unwrap());
        let document = load::stage_of(&source).unwrap();
        let plan = Arc::new(load::scenario(&said, &document).unwrap());
        let (giver, orders) = gameday::orders();
        let reload = Reload::new((&scenario, &said), Some((&stage, &source)), document, plan, giver);
        let (say, events) = Events::channel();
        tokio::spawn(reload.unwrap().keep(say));
        Desk { dir, orders, events }
    }

    fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("scenario.yaml"), SCENARIO).unwrap();
        fs::write(dir.path().join("stage.yaml"), STAGE).unwrap();
        Desk::open(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Lets it look as often as it needs.
    async fn wait(&self) {
        sleep(3 * LOOK).await;
    }

    /// The rate of the plan that was handed over last.
    fn rate(&self) -> Option<f64> {
        let plan = self.orders.plans().borrow().clone()?;
        Some(plan.phases[0].injections[0].fault.rate().fraction())
    }

    fn notices(&mut self) -> Vec<String> {
        let mut notices = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let event::Kind::Notice { message } = event.kind {
                notices.push(message);
            }
        }
        notices
    }
}

#[tokio::test(start_paused = true)]
async fn a_config_map_that_is_swapped_as_kubernetes_does_it_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let volume = |name: &str, scenario: &str| {
        let folder = dir.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("scenario.yaml"), scenario).unwrap();
        fs::write(folder.join("stage.yaml"), STAGE).unwrap();
    };
    volume("..2026_a", SCENARIO);
    volume("..2026_b", &SCENARIO.replace("10%", "40%"));
    symlink("..2026_a", dir.path().join("..data")).unwrap();
    for name in ["scenario.yaml", "stage.yaml"] {
        symlink(format!("..data/{name}"), dir.path().join(name)).unwrap();
    }
    let mut desk = Desk::open(dir);
    desk.wait().await;
    assert_eq!(desk.rate(), None, "nothing has changed");
    symlink("..2026_b", desk.path("..data_tmp")).unwrap();
    fs::rename(desk.path("..data_tmp"), desk.path("..data")).unwrap();
    fs::remove_dir_all(desk.path("..2026_a")).unwrap();
    desk.wait().await;
    assert_eq!(desk.rate(), Some(0.4));
    assert_eq!(desk.notices(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_being_written_is_left_until_it_is_whole() {
    let mut desk = Desk::new();
    let whole = SCENARIO.replace("10%", "40%");
    // Half of it is a scenario that can't be used; it grows between two looks.
    for length in [30, 60, 90] {
        desk.write("scenario.yaml", &whole[..length]);
        sleep(LOOK).await;
    }
    desk.write("scenario.yaml", &whole);
    desk.wait().await;
    assert_eq!(desk.rate(), Some(0.4));
    assert_eq!(desk.notices(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_changes_nothing_and_is_told_once() {
    let mut desk = Desk::new();
    desk.write("scenario.yaml", &SCENARIO.replace("rate: 10%", "rate: 400%"));
    desk.wait().await;
    desk.wait().await;
    let notices = desk.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("can't be used; what it said before goes on"), "{notices:?}");
    assert!(notices[0].contains("scenario.yaml:5:"), "with its place: {notices:?}");
    fs::remove_file(desk.path("scenario.yaml")).unwrap();
    desk.wait().await;
    assert!(desk.notices()[0].contains("can't be read"));
    // More than the consent allows is no way to go on either.
    desk.write("scenario.yaml", &SCENARIO.replace("share: 5%", "share: 6%"));
    desk.wait().await;
    assert!(desk.notices()[0].contains("more than Ada agreed to: 5%"));
    desk.write("scenario.yaml", &SCENARIO.replace("lasts: 1m", "lasts: 2m"));
    desk.wait().await;
    let notices = desk.notices();
    assert!(
        notices[0].contains("takes effect at the next run: phase `broken` begins or ends"),
        "{notices:?}"
    );
    assert_eq!(desk.rate(), None);
    desk.write("scenario.yaml", &SCENARIO.replace("10%", "20%"));
    desk.wait().await;
    assert_eq!(desk.rate(), Some(0.2));
}

/// What a change of the stage does: the reason for which the run is withdrawn, and what is said.
async fn stage(text: &str) -> (Option<String>, Vec<String>) {
    let mut desk = Desk::new();
    desk.write("stage.yaml", text);
    let orders = desk.orders.clone();
    let why = tokio::select! { why = orders.withdrawn() => Some(why), () = desk.wait() => None };
    (why, desk.notices())
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_does_not_permit_the_run_any_more_ends_it() {
    let (why, _) = stage("environment: live\nupstream: http://127.0.0.1:1\nproduction: {}\n").await;
    assert!(why.as_deref().is_some_and(|why| why.contains("nobody has agreed")), "{why:?}");
    let (why, _) = stage("environment: live\nupstream: http://127.0.0.1:1\n").await;
    assert!(why.as_deref().is_some_and(|why| why.contains("holds no consent any more")), "{why:?}");
    let (why, _) = stage(&STAGE.replace("2099", "2020")).await;
    assert!(why.as_deref().is_some_and(|why| why.contains("ended with 2020-12-31")), "{why:?}");
    let (why, _) = stage(&format!("{STAGE}limits: {{ share: 1% }}\n")).await;
    assert!(why.as_deref().is_some_and(|why| why.contains("more than the stage allows: 1%")), "{why:?}");
}

#[tokio::test(start_paused = true)]
async fn other_changes_of_the_stage_wait_for_the_next_run() {
    let (why, notices) = stage(&STAGE.replace("127.0.0.1:1", "127.0.0.1:2")).await;
    assert_eq!(why, None);
    assert!(notices[0].ends_with("the rest takes effect at the next run"), "{notices:?}");
    let (why, notices) = stage(&STAGE.replace("Ada", "Grace")).await;
    assert_eq!(why, None);
    assert!(notices[0].ends_with("was changed, and applies"), "{notices:?}");
    let (why, notices) = stage("environment: [").await;
    assert_eq!(why, None);
    assert!(notices[0].contains("can't be used; what it said before goes on"), "{notices:?}");
}

#[tokio::test(start_paused = true)]
async fn a_scenario_and_its_stage_that_change_together_are_judged_together() {
    let mut desk = Desk::new();
    // Both are lowered: the old scenario is not within the new limits.
    let orders = desk.orders.clone();
    desk.write("stage.yaml", &STAGE.replace("share: 5%", "share: 3%"));
    // The loop may look between the two.
    sleep(LOOK).await;
    desk.write("scenario.yaml", &SCENARIO.replace("share: 5%", "share: 3%"));
    desk.wait().await;
    let plan = orders.plans().borrow().clone().expect("the new scenario is handed over");
    orders.confirm(plan);
    let withdrawn = tokio::select! { why = orders.withdrawn() => Some(why), () = sleep(10 * LOOK) => None };
    assert_eq!(withdrawn, None, "{:?}", desk.notices());
    let notices = desk.notices();
    assert!(matches!(&notices[..], [one] if one.ends_with("was changed, and applies")), "{notices:?}");
    // One that is permitted and does not get armed does not help.
    desk.write("stage.yaml", &STAGE.replace("share: 5%", "share: 2%"));
    desk.write("scenario.yaml", &SCENARIO.replace("share: 5%", "share: 2%"));
    let withdrawn = tokio::select! { why = orders.withdrawn() => Some(why), () = sleep(10 * LOOK) => None };
    assert!(
        withdrawn.as_deref().is_some_and(|why| why.contains("more than Ada agreed to: 2%")),
        "{withdrawn:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_scenario_over_the_limits_is_taken_once_they_are_raised() {
    let mut desk = Desk::new();
    desk.write("scenario.yaml", &SCENARIO.replace("share: 5%", "share: 6%").replace("10%", "40%"));
    desk.wait().await;
    assert!(desk.notices()[0].contains("more than Ada agreed to: 5%"));
    desk.write("stage.yaml", &STAGE.replace("Ada, share: 5%", "Bob, share: 5%"));
    desk.wait().await;
    assert_eq!((desk.rate(), desk.notices().len()), (None, 1), "the refusal is told once");
    desk.write("stage.yaml", &STAGE.replace("share: 5%", "share: 6%"));
    desk.wait().await;
    assert_eq!(desk.rate(), Some(0.4), "{:?}", desk.notices());
}

#[tokio::test(start_paused = true)]
async fn a_stage_is_held_against_the_plan_that_is_really_armed() {
    let desk = Desk::new();
    desk.write("scenario.yaml", &SCENARIO.replace("share: 5%", "share: 1%"));
    desk.wait().await;
    assert!(desk.orders.plans().borrow().is_some());
    // The fleet has not taken it: 5% are treated, whatever the file says.
    desk.write("stage.yaml", &STAGE.replace("share: 5%", "share: 2%"));
    let withdrawn = tokio::select! { why = desk.orders.withdrawn() => Some(why), () = desk.wait() => None };
    assert!(withdrawn.as_deref().is_some_and(|why| why.contains("5% is more")), "{withdrawn:?}");
}
