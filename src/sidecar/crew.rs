//! Which workers were lost: ended by an error or a panic instead of by the sidecar's end.
//!
//! The others go on: the kernel gives new callers to their listeners. But the sidecar is no longer what it
//! was asked to be, so it is not ready.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

/// The workers that were lost, with the causes.
#[derive(Debug, Clone, Default)]
pub(super) struct Crew(Arc<Mutex<Vec<String>>>);

impl Crew {
    /// Runs a worker to its end. If that is no good one, it is logged and remembered.
    pub(super) fn watch(&self, worker: &str, work: impl FnOnce() -> io::Result<()>) {
        // Nothing that a worker leaves half done is looked at by others: what they share is atomic or locked.
        let cause = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("panicked: {}", message(&*panic)),
        };
        tracing::error!(worker, cause, "worker lost");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{worker}: {cause}"));
    }

    /// Those lost and why, if there are any.
    pub(super) fn lost(&self) -> Option<String> {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!lost.is_empty()).then(|| lost.join("; "))
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
