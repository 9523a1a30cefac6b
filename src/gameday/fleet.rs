//! The sidecars of a run, in this process or elsewhere, armed and disarmed as one.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;

use crate::{
    evidence::Evidence,
    layer::{LeaseId, Rack},
    monitor::BoxFuture,
    scenario::{Plan, replaces},
    sidecar::client::{AdminClient, AdminError},
};

/// Why a sidecar did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TargetError {
    /// It did not answer: asked again as long as the lease may live.
    #[error("{0}")]
    Unreachable(String),
    /// It answered no, and will again.
    #[error("{0}")]
    Refused(String),
}

/// Why the plan of a fleet was not replaced.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReplaceError {
    /// The old plan is in force everywhere.
    #[error("{0}")]
    Refused(String),
    /// Some sidecars may have the new plan and could not be brought back to the old one: they don't agree any more.
    #[error("the sidecars may not agree on the plan any more: {0}")]
    Split(String),
}

/// Something that can be armed.
pub trait Target: Send + Sync {
    /// How messages call it.
    fn name(&self) -> String;
    /// Arms a plan under a lease.
    fn arm<'a>(&'a self, plan: &'a Arc<Plan>, ttl: Duration) -> BoxFuture<'a, Result<LeaseId, TargetError>>;
    /// Renews a lease, and jumps to a phase if one is named.
    fn renew<'a>(
        &'a self,
        lease: LeaseId,
        ttl: Duration,
        skip_to: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), TargetError>>;
    /// Renews a lease, and puts another plan of the same structure in the place of its own.
    fn replace<'a>(
        &'a self,
        lease: LeaseId,
        plan: &'a Arc<Plan>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), TargetError>>;
    /// Ends a lease.
    fn disarm(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), TargetError>>;
    /// What its callers saw under a lease, also after it has ended.
    fn evidence(&self, lease: LeaseId) -> BoxFuture<'_, Result<Evidence, TargetError>>;
    /// Ends a lease at once, if that can be done without waiting (a drop, a panic).
    fn stop_now(&self, _lease: LeaseId) {}
}

/// A layer or sidecar in this process.
#[derive(Debug, Clone)]
pub struct Local(pub Rack);

fn refused(error: impl fmt::Display) -> TargetError {
    TargetError::Refused(error.to_string())
}

impl Target for Local {
    fn name(&self) -> String {
        "the sidecar in this process".into()
    }
    fn arm<'a>(&'a self, plan: &'a Arc<Plan>, ttl: Duration) -> BoxFuture<'a, Result<LeaseId, TargetError>> {
        Box::pin(async move { self.0.arm(plan.clone(), ttl).map_err(refused) })
    }
    fn renew<'a>(
        &'a self,
        lease: LeaseId,
        ttl: Duration,
        skip_to: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(async move { self.0.update(lease, ttl, None, skip_to).map_err(refused) })
    }
    fn replace<'a>(
        &'a self,
        lease: LeaseId,
        plan: &'a Arc<Plan>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(async move { self.0.update(lease, ttl, Some(plan.clone()), None).map_err(refused) })
    }
    fn disarm(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), TargetError>> {
        Box::pin(async move { self.0.disarm(lease).map_err(refused) })
    }
    fn evidence(&self, lease: LeaseId) -> BoxFuture<'_, Result<Evidence, TargetError>> {
        let unknown = || refused(crate::layer::ArmError::NoSuchLease);
        Box::pin(async move { self.0.evidence(lease).ok_or_else(unknown) })
    }
    fn stop_now(&self, lease: LeaseId) {
        // It may be over already.
        let _ = self.0.disarm(lease);
    }
}

/// A sidecar that stands somewhere else, behind its admin API.
#[derive(Debug, Clone)]
pub struct Remote(pub AdminClient);

fn told(error: AdminError) -> TargetError {
    if error.is_transient() { TargetError::Unreachable(error.to_string()) } else { refused(error) }
}

impl Target for Remote {
    fn name(&self) -> String {
        self.0.url().to_owned()
    }
    fn arm<'a>(&'a self, plan: &'a Arc<Plan>, ttl: Duration) -> BoxFuture<'a, Result<LeaseId, TargetError>> {
        Box::pin(async move { self.0.arm(&plan.document, ttl).await.map_err(told) })
    }
    fn renew<'a>(
        &'a self,
        lease: LeaseId,
        ttl: Duration,
        skip_to: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(async move { self.0.renew(lease, ttl, skip_to).await.map_err(told) })
    }
    fn replace<'a>(
        &'a self,
        lease: LeaseId,
        plan: &'a Arc<Plan>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(async move { self.0.replace(lease, &plan.document, ttl).await.map_err(told) })
    }
    fn disarm(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), TargetError>> {
        Box::pin(async move { self.0.disarm(lease).await.map_err(told) })
    }
    fn evidence(&self, lease: LeaseId) -> BoxFuture<'_, Result<Evidence, TargetError>> {
        Box::pin(async move { self.0.evidence(lease).await.map_err(told) })
    }
}

/// All sidecars of a run. Cheap to clone: every clone speaks of the same leases.
#[derive(Clone)]
pub struct Fleet {
    members: Arc<[Member]>,
}

struct Member {
    target: Box<dyn Target>,
    held: Mutex<Held>,
}

/// What a member was granted last, and whether that is over.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    lease: Option<LeaseId>,
    ended: bool,
}

impl Member {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// The lease to renew and to end.
    fn lease(&self) -> Option<LeaseId> {
        let held = self.held();
        held.lease.filter(|_| !held.ended)
    }
    fn hold(&self, lease: LeaseId) {
        *self.held() = Held { lease: Some(lease), ended: false };
    }
    fn ended(&self) {
        self.held().ended = true;
    }
    async fn replace(&self, plan: &Arc<Plan>, ttl: Duration) -> Result<(), TargetError> {
        match self.lease() {
            Some(lease) => self.target.replace(lease, plan, ttl).await,
            None => Ok(()),
        }
    }
    async fn evidence(&self) -> Result<Evidence, TargetError> {
        let lease = self.held().lease;
        match lease {
            Some(lease) => self.target.evidence(lease).await,
            None => Ok(Evidence::default()),
        }
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|member| member.target.name())).finish()
    }
}

impl Fleet {
    /// A fleet of these sidecars.
    pub fn new(targets: Vec<Box<dyn Target>>) -> Fleet {
        let members = targets.into_iter().map(|target| Member { target, held: Mutex::default() });
        Fleet { members: members.collect() }
    }

    /// Arms all or none.
    ///
    /// # Errors
    /// The first sidecar's that refused; those armed before it are disarmed again.
    pub async fn arm(&self, plan: &Arc<Plan>, ttl: Duration) -> Result<(), String> {
        let armed = join_all(self.members.iter().map(|member| async move {
            let lease =
                member.target.arm(plan, ttl).await.map_err(|e| format!("{}: {e}", member.target.name()))?;
            member.hold(lease);
            Ok(())
        }));
        let result: Result<Vec<()>, String> = armed.await.into_iter().collect();
        if result.is_err() {
            self.disarm().await;
        }
        result.map(drop)
    }

    /// Renews every lease, and jumps to a phase if one is named.
    ///
    /// # Errors
    /// Those of every sidecar that did not renew, with its name.
    pub async fn renew(
        &self,
        ttl: Duration,
        skip_to: Option<&str>,
    ) -> Result<(), Vec<(String, TargetError)>> {
        let renewals = self.members.iter().map(|member| async move {
            let lease = member.lease()?;
            let failed = member.target.renew(lease, ttl, skip_to).await.err()?;
            Some((member.target.name(), failed))
        });
        let failed: Vec<_> = join_all(renewals).await.into_iter().flatten().collect();
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }

    /// Puts another plan of the same structure in the place of the one that is armed, in all sidecars or in none. Every
    /// sidecar would refuse what [`replaces`] refuses, so nobody is asked then. Where one refuses or does not answer all
    /// the same, those that may have taken the plan get the old one back.
    ///
    /// # Errors
    /// Why not, and whether the old plan is in force everywhere.
    pub async fn replace(&self, old: &Arc<Plan>, new: &Arc<Plan>, ttl: Duration) -> Result<(), ReplaceError> {
        replaces(new, old).map_err(ReplaceError::Refused)?;
        let told = join_all(self.members.iter().map(|member| member.replace(new, ttl))).await;
        let all = || self.members.iter().zip(&told);
        let failed: Vec<String> = all()
            .filter_map(|(member, told)| Some(format!("{}: {}", member.target.name(), told.as_ref().err()?)))
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        let may_have_it = all().filter(|(_, told)| !matches!(told, Err(TargetError::Refused(_))));
        let back = join_all(may_have_it.map(|(member, _)| member.replace(old, ttl))).await;
        let failed = failed.join("; ");
        match back.iter().all(Result::is_ok) {
            true => Err(ReplaceError::Refused(failed)),
            false => Err(ReplaceError::Split(failed)),
        }
    }

    /// Disarms everything. Answers with the sidecars that could not be told; their leases run out.
    pub async fn disarm(&self) -> Vec<String> {
        let told = self.members.iter().map(|member| async move {
            let lease = member.lease()?;
            match member.target.disarm(lease).await {
                Err(TargetError::Unreachable(why)) => Some(format!("{}: {why}", member.target.name())),
                Ok(()) | Err(TargetError::Refused(_)) => {
                    member.ended();
                    None
                }
            }
        });
        join_all(told).await.into_iter().flatten().collect()
    }

    /// Disarms what can be disarmed without waiting.
    pub fn stop_now(&self) {
        for member in self.members.iter() {
            member.lease().into_iter().for_each(|lease| member.target.stop_now(lease));
        }
    }

    /// The evidence of all together, and who did not answer.
    pub async fn evidence(&self) -> (Evidence, Vec<String>) {
        let (mut all, mut silent) = (Evidence::default(), Vec::new());
        for (member, answer) in
            self.members.iter().zip(join_all(self.members.iter().map(Member::evidence)).await)
        {
            match answer {
                Ok(evidence) => all.merge(&evidence),
                Err(why) => silent.push(format!("{}: {why}", member.target.name())),
            }
        }
        (all, silent)
    }
}
