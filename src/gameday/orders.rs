//! What may be told to a run from outside while it goes on.

use tokio::sync::watch;

/// Tells a run something.
#[derive(Debug)]
pub struct Giver {
    withdrawn: watch::Sender<Option<String>>,
}

/// Where a run hears what it is told. By default it hears nothing.
#[derive(Debug, Clone)]
pub struct Orders {
    withdrawn: watch::Receiver<Option<String>>,
}

/// Both ends.
pub fn orders() -> (Giver, Orders) {
    let (withdraw, withdrawn) = watch::channel(None);
    (Giver { withdrawn: withdraw }, Orders { withdrawn })
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

impl Orders {
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
