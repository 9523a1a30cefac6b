//! Keeps the leases of a fleet alive, and ends them whatever happens.
//!
//! Dropping the keeper (a panic unwinds, a task is aborted) stops the renewals and disarms what is in this
//! process; sidecars elsewhere disarm themselves when their lease runs out.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::fleet::{Fleet, ReplaceError, TargetError};
use crate::{monitor::BoxFuture, scenario::Plan};

/// Time between tries to move on.
const RETRY: Duration = Duration::from_millis(200);

/// A plan, and whether it took the place of the one that was armed.
pub(super) type Replaced = (Arc<Plan>, Result<(), ReplaceError>);

#[derive(Debug)]
pub(super) struct Keeper {
    fleet: Fleet,
    ttl: Duration,
    renewals: JoinHandle<()>,
    lost: watch::Receiver<Option<String>>,
}

impl Keeper {
    /// Starts to renew the leases of a fleet that was just armed.
    pub(super) fn of(fleet: Fleet, ttl: Duration) -> Keeper {
        let (tell, lost) = watch::channel(None);
        let renewals = tokio::spawn(renew(fleet.clone(), ttl, tell));
        Keeper { fleet, ttl, renewals, lost }
    }

    /// Resolves with the reason when a lease is lost.
    pub(super) async fn lost(&self) -> String {
        let mut lost = self.lost.clone();
        match lost.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the renewals ended".into(),
        }
    }

    /// Jumps to a phase, in every sidecar; tried again for as long as the lease may live.
    pub(super) async fn skip_to(&self, phase: &str) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let Err(failed) = self.fleet.renew(self.ttl, Some(phase)).await else { return Ok(()) };
            let refused = failed.iter().any(|(_, error)| matches!(error, TargetError::Refused(_)));
            if refused || started.elapsed() >= self.ttl {
                return Err(in_words(&failed));
            }
            sleep(RETRY).await;
        }
    }

    /// Puts another plan in the place of the one that is armed, in all sidecars or in none. Answers with that plan.
    pub(super) fn replace(&self, old: Arc<Plan>, new: Arc<Plan>) -> BoxFuture<'static, Replaced> {
        let (fleet, ttl) = (self.fleet.clone(), self.ttl);
        Box::pin(async move {
            let replaced = fleet.replace(&old, &new, ttl).await;
            (new, replaced)
        })
    }

    /// Disarms everything. Answers with the sidecars that could not be told.
    pub(super) async fn disarm(self) -> Vec<String> {
        self.renewals.abort();
        self.fleet.disarm().await
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.renewals.abort();
        self.fleet.stop_now();
    }
}

async fn renew(fleet: Fleet, ttl: Duration, lost: watch::Sender<Option<String>>) {
    let mut ticks = interval(ttl / 4);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_good = Instant::now();
    loop {
        ticks.tick().await;
        let Err(failed) = fleet.renew(ttl, None).await else {
            last_good = Instant::now();
            continue;
        };
        let refused = failed.iter().any(|(_, error)| matches!(error, TargetError::Refused(_)));
        if refused || last_good.elapsed() >= ttl {
            let _ = lost.send(Some(in_words(&failed)));
            return;
        }
    }
}

fn in_words(failed: &[(String, TargetError)]) -> String {
    failed.iter().map(|(name, error)| format!("{name}: {error}")).collect::<Vec<_>>().join("; ")
}
