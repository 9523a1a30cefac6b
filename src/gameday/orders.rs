//! What may be told to a run from outside while it goes on.

use std::sync::Arc;

use tokio::sync::watch;

use crate::scenario::Plan;

/// Tells a run something.
#[derive(Debug)]
pub struct Giver {
    withdrawn: watch::Sender<Option<String>>,
    plan: watch::Sender<Option<Arc<Plan>>>,
    replaced: watch::Receiver<Option<Arc<Plan>>>,
}

/// Where a run hears what it is told. By default it hears nothing.
#[derive(Debug, Clone)]
pub struct Orders {
    withdrawn: watch::Receiver<Option<String>>,
    plan: watch::Receiver<Option<Arc<Plan>>>,
    replaced: watch::Sender<Option<Arc<Plan>>>,
}

/// Both ends.
pub fn orders() -> (Giver, Orders) {
    let ((withdraw, withdrawn), (replace, plan)) = (watch::channel(None), watch::channel(None));
    let (answer, replaced) = watch::channel(None);
    (Giver { withdrawn: withdraw, plan: replace, replaced }, Orders { withdrawn, plan, replaced: answer })
}

impl Default for Orders {
    fn default() -> Self {
        orders().1
    }
}

impl Giver {
    /// Nothing permits the run any more: it disarms, and ends as withdrawn with this reason. The first reason counts.
    pub fn withdraw(&self, why: impl Into<String>) {
        self.withdrawn.send_if_modified(|told| {
            let first = told.is_none();
            if first {
                *told = Some(why.into());
            }
            first
        });
    }
}

impl Giver {
    /// Another plan is to take the place of the one that is armed. The run says whether it did; before anything is
    /// armed it waits, and of several the last counts.
    pub fn replace(&self, plan: Arc<Plan>) {
        self.plan.send_replace(Some(plan));
    }

    /// The plan that took the place of the first one, if one did.
    pub(crate) fn replaced(&self) -> Option<Arc<Plan>> {
        self.replaced.borrow().clone()
    }
}

impl Orders {
    /// Plans that are to take the place of the one that is armed.
    pub(crate) fn plans(&self) -> watch::Receiver<Option<Arc<Plan>>> {
        self.plan.clone()
    }

    /// A plan took the place of the one that was armed.
    pub(crate) fn confirm(&self, plan: Arc<Plan>) {
        self.replaced.send_replace(Some(plan));
    }

    /// Resolves with the reason once the run is withdrawn.
    pub(crate) async fn withdrawn(&self) -> String {
        let mut withdrawn = self.withdrawn.clone();
        let reason = match withdrawn.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone(),
            // Whoever could have withdrawn it is gone.
            Err(_) => None,
        };
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}
