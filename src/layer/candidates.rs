//! Other upstreams that a fault may send requests to.
//!
//! A scenario names one; where it is, and whether it may be reached at all, is the program's word.

use std::{fmt, sync::Arc};

use http::Uri;

use crate::{
    fault::{Fault, StaleModel},
    scenario::{Injection, Plan},
};

/// Another upstream, by its address and perhaps a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What scenarios may call it.
    pub name: Option<String>,
    /// Scheme, host and port.
    pub address: Uri,
}

/// All of them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates(Arc<[Candidate]>);

impl Candidates {
    /// An upstream that a release of the plan needs and that is not there. One that a fault names may be missing: its
    /// requests pass, and are counted.
    pub(super) fn lacks(&self, plan: &Plan) -> Option<String> {
        let routes = plan.phases.iter().flat_map(|phase| &phase.injections).filter(|route| route.of_release);
        let upstream = |route: &Injection| match &route.fault {
            Fault::StaleModel(StaleModel { upstream, .. }) => upstream.clone(),
            _ => None,
        };
        routes.filter_map(upstream).find(|upstream| self.find(upstream).is_none())
    }

    /// The address of one that a scenario names.
    pub(super) fn find(&self, upstream: &str) -> Option<Uri> {
        let is = |candidate: &&Candidate| {
            StaleModel::means(upstream, candidate.name.as_deref(), &candidate.address)
        };
        self.0.iter().find(is).map(|candidate| candidate.address.clone())
    }
}

impl FromIterator<Candidate> for Candidates {
    fn from_iter<T: IntoIterator<Item = Candidate>>(candidates: T) -> Candidates {
        Candidates(candidates.into_iter().collect())
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}={}", self.address),
            None => self.address.fmt(f),
        }
    }
}
