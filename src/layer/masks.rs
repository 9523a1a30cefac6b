//! Which rows of a batch an injection may touch (its `where`), and which are of its fault's group.
//!
//! Computed once per request, from the request alone, before anything is decided. A condition that does not
//! look at features holds for all rows or for none. Rows of the answer are those of the request, in its
//! order; where their numbers differ nobody can tell which is which, and the injection leaves them alone.

use std::sync::Arc;

use serde_json::Value;

use super::victim::{Rule, Victim};
use crate::{
    fault::Members,
    scenario::{Condition, RequestView},
    wire::Answer,
};

/// Why rows can't be told apart: the answer has another number of them than the request.
const OTHER_ROWS: &str = "other-rows";

/// The masks of the injections that have any.
#[derive(Debug, Clone, Default)]
pub(super) struct Masks(Vec<(Rule, Mask, Mask)>);

/// Some of the rows of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mask {
    All,
    None,
    Rows(Arc<[bool]>),
    /// Nobody can tell, and why.
    Unknown(&'static str),
}

/// What the masks of a request are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Need {
    /// Is there any mask?
    pub(super) any: bool,
    /// The parsed body.
    pub(super) body: bool,
    /// The features in it.
    pub(super) features: bool,
}

/// What is known of a request, or why it is not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// Its parsed body, if it has one.
    pub(super) body: Result<Option<&'a Value>, &'static str>,
    /// The features in it.
    pub(super) features: Result<&'a Answer, &'static str>,
}

impl Need {
    /// What these conditions look at.
    pub(super) fn of<'a>(conditions: impl IntoIterator<Item = &'a Condition>) -> Need {
        let mut need = Need::default();
        for condition in conditions {
            need.any = true;
            need.body |= condition.needs_body();
            need.features |= condition.needs_features();
        }
        need
    }

    /// Must the body be read?
    pub(super) fn reads(self) -> bool {
        self.body || self.features
    }
}

impl Masks {
    /// Evaluates the conditions of these injections.
    pub(super) fn of(
        victim: &Victim,
        rules: impl IntoIterator<Item = Rule>,
        request: RequestView<'_>,
        known: Known<'_>,
    ) -> Masks {
        let mask = |condition: &Option<Condition>| {
            condition.as_ref().map_or(Mask::All, |condition| Mask::of(condition, request, known))
        };
        let masks = rules.into_iter().filter_map(|rule| {
            let injection = victim.injection(rule);
            let any = injection.only.is_some() || injection.group.is_some();
            any.then(|| (rule, mask(&injection.only), mask(&injection.group)))
        });
        Masks(masks.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is there a mask for an injection?
    pub(super) fn knows(&self, rule: Rule) -> bool {
        self.find(rule).is_some()
    }

    /// Does an injection's `where` leave no row of the request to it? With a reason when it can't be told.
    pub(super) fn excludes(&self, rule: Rule) -> Option<Option<&'static str>> {
        match self.find(rule)? {
            (Mask::None, _) => Some(None),
            (Mask::Unknown(reason), _) => Some(Some(reason)),
            _ => None,
        }
    }

    /// Which of `rows` rows, after `offset` earlier ones, an injection may touch.
    pub(super) fn only(&self, rule: Rule, offset: usize, rows: usize) -> Result<Members<'_>, &'static str> {
        self.find(rule).map_or(Ok(Members::All), |(only, _)| only.members(offset, rows))
    }

    /// Which of them are of its fault's group.
    pub(super) fn members(
        &self,
        rule: Rule,
        offset: usize,
        rows: usize,
    ) -> Result<Members<'_>, &'static str> {
        self.find(rule).map_or(Ok(Members::All), |(_, group)| group.members(offset, rows))
    }

    fn find(&self, rule: Rule) -> Option<(&Mask, &Mask)> {
        self.0.iter().find(|(of, ..)| *of == rule).map(|(_, only, group)| (only, group))
    }
}

impl Mask {
    fn of(condition: &Condition, request: RequestView<'_>, known: Known<'_>) -> Mask {
        const FAILED: Mask = Mask::Unknown("expression-failed");
        let request = match known.body {
            Ok(body) => RequestView { body, ..request },
            Err(reason) if condition.needs_body() => return Mask::Unknown(reason),
            Err(_) => request,
        };
        if !condition.needs_features() {
            return match condition.matches(request) {
                Ok(true) => Mask::All,
                Ok(false) => Mask::None,
                Err(_) => FAILED,
            };
        }
        let features = match known.features {
            Ok(features) => features,
            Err(reason) => return Mask::Unknown(reason),
        };
        match condition.members(request, &features.columns, &features.rows) {
            Err(_) => FAILED,
            Ok(rows) if rows.iter().all(|member| *member) => Mask::All,
            Ok(rows) if !rows.iter().any(|member| *member) => Mask::None,
            Ok(rows) => Mask::Rows(rows.into()),
        }
    }

    fn members(&self, offset: usize, rows: usize) -> Result<Members<'_>, &'static str> {
        match self {
            Mask::All => Ok(Members::All),
            Mask::None => Ok(Members::None),
            Mask::Rows(mask) if offset == 0 && mask.len() == rows => Ok(Members::Rows(mask)),
            Mask::Rows(_) => Err(OTHER_ROWS),
            Mask::Unknown(reason) => Err(reason),
        }
    }
}
