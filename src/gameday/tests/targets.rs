//! Sidecars that don't do as they are told.

use super::*;

/// How it takes another plan.
pub(super) enum Replaces {
    AtOnce,
    After(Duration),
    Never(fn() -> TargetError),
}

/// A sidecar in this process that is odd in what it is made to be.
pub(super) struct Odd {
    pub(super) inner: Local,
    pub(super) replaces: Replaces,
    /// When it is asked for evidence, in the middle of the conductor.
    pub(super) panics: bool,
}

impl Odd {
    /// In nothing yet.
    pub(super) fn of(handle: &Handle) -> Odd {
        Odd { inner: Local(handle.clone().into()), replaces: Replaces::AtOnce, panics: false }
    }
}

impl Target for Odd {
    fn name(&self) -> String {
        "odd".into()
    }
    fn arm<'a>(&'a self, plan: &'a Arc<Plan>, ttl: Duration) -> BoxFuture<'a, Result<LeaseId, TargetError>> {
        self.inner.arm(plan, ttl)
    }
    fn renew<'a>(
        &'a self,
        lease: LeaseId,
        ttl: Duration,
        skip_to: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), TargetError>> {
        self.inner.renew(lease, ttl, skip_to)
    }
    fn replace<'a>(
        &'a self,
        lease: LeaseId,
        plan: &'a Arc<Plan>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(async move {
            match self.replaces {
                Replaces::AtOnce => {}
                Replaces::After(pause) => sleep(pause).await,
                Replaces::Never(why) => return Err(why()),
            }
            self.inner.replace(lease, plan, ttl).await
        })
    }
    fn disarm(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), TargetError>> {
        self.inner.disarm(lease)
    }
    fn evidence(&self, lease: LeaseId) -> BoxFuture<'_, Result<Evidence, TargetError>> {
        assert!(!self.panics, "as a test asks");
        self.inner.evidence(lease)
    }
    fn stop_now(&self, lease: LeaseId) {
        self.inner.stop_now(lease);
    }
}
