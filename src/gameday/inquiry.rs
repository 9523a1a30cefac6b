//! After the run: asks the monitors why alerts were missed or late.
//!
//! Nothing is injected any more and every verdict is decided; what is found out here changes none of them. It takes at
//! most so long, and a monitor that does not answer costs the others nothing.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::watchers::{Desk, Heard};
use crate::monitor::findings::{Findings, Question};

/// Time for all questions together.
const ENOUGH: Duration = Duration::from_secs(10);

/// Which expectation: its phase, and its number in that.
pub(super) type Place = (usize, usize);

/// What each monitor found out about each question, as far as it came in time.
pub(super) async fn inquire(
    questions: &[(Place, Question)],
    desk: &Desk,
    heard: &mut mpsc::Receiver<Heard>,
) -> BTreeMap<Place, Vec<(String, Findings)>> {
    let mut found = BTreeMap::new();
    if questions.is_empty() {
        return found;
    }
    let until = Instant::now() + ENOUGH;
    let (tell, mut told) = mpsc::channel(16);
    for monitor in desk.monitors() {
        let (desk, tell, questions) = (desk.clone(), tell.clone(), questions.to_vec());
        tokio::spawn(async move {
            for (place, question) in questions {
                let Ok(findings) = timeout_at(until, desk.examine(&monitor, question)).await else { return };
                if tell.send((place, monitor.clone(), findings)).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(tell);
    let collect = async {
        loop {
            tokio::select! {
                answer = told.recv() => match answer {
                    Some((place, monitor, findings)) => {
                        found.entry(place).or_insert_with(Vec::new).push((monitor, findings));
                    }
                    None => return,
                },
                // A watcher that can't get rid of its readings answers no questions; they come too late to count.
                Some(_) = heard.recv() => {}
            }
        }
    };
    let _ = timeout_at(until, collect).await;
    for findings in found.values_mut() {
        findings.sort_by(|a, b| a.0.cmp(&b.0));
    }
    found
}
