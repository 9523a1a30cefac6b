//! A release that is rehearsed: what a scenario file may say of it, and what that compiles to.
//!
//! Nothing is deployed. The exposure assigns units to versions as it assigns them to arms, so that a unit keeps its
//! version; responses and metrics carry it, and faults play what is wrong with it. Where a version has an upstream of
//! its own, its requests go there instead, by an injection like any other: on record, counted and checked.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::{document::Document, exposure_check, tree::Path};

/// A bad release, played without deploying one, to see whether the release machinery notices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ReleaseDocument {
    /// The treated have the candidate, all others the baseline; the share of each phase is a step that never gets
    /// smaller but by a rollback to 0%.
    Canary(TwoVersions),
    /// All the units of the exposure have the candidate in a phase, or none: each phase has a share of 0% or the
    /// exposure's own.
    BlueGreen(TwoVersions),
    /// Each group of the exposure has a version of its own; units outside it have none.
    Ab(GroupVersions),
    /// Nobody has the candidate: the treated's requests are copied, the faults act on the copies, and callers get the
    /// true answer.
    Shadow(ShadowDocument),
}

/// Faults act on copies: callers get the true answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ShadowDocument {
    /// Another upstream that answers the copies, one of those that the stage (`candidates`) or the sidecar
    /// (`--candidate`) names; left out, the answer that the caller got is played again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
}

impl ShadowDocument {
    /// In words: `shadow: faults act on copies, answered by next; callers get the true answer`.
    pub fn describe(&self) -> String {
        let answered = match &self.mirror {
            Some(mirror) => format!("answered by {mirror}"),
            None => "answered as the caller was".to_owned(),
        };
        format!("shadow: faults act on copies, {answered}; callers get the true answer")
    }
}

/// A baseline and a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TwoVersions {
    /// The version that serves now.
    pub baseline: String,
    /// The version that is released.
    pub candidate: String,
    /// Response header that tells the version.
    #[serde(default = "model_version")]
    pub header: String,
    /// Another upstream that really serves the candidate, one of those that the stage (`candidates`) or the sidecar
    /// (`--candidate`) names; left out, the one upstream serves both, and faults make the difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

/// A version for each group of the exposure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GroupVersions {
    /// The version of each group, such as `{ a: v1, b: v2 }`.
    pub versions: BTreeMap<String, String>,
    /// Response header that tells the version.
    #[serde(default = "model_version")]
    pub header: String,
    /// Other upstreams that really serve some of the groups, by group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub upstreams: BTreeMap<String, String>,
}

fn model_version() -> String {
    "x-model-version".to_owned()
}

impl ReleaseDocument {
    /// The key that it is written under.
    pub fn kind(&self) -> &'static str {
        match self {
            ReleaseDocument::Canary(_) => "canary",
            ReleaseDocument::BlueGreen(_) => "blue-green",
            ReleaseDocument::Ab(_) => "ab",
            ReleaseDocument::Shadow(_) => "shadow",
        }
    }

    /// How faults act on copies, if they do.
    pub fn shadow(&self) -> Option<&ShadowDocument> {
        match self {
            ReleaseDocument::Shadow(shadow) => Some(shadow),
            _ => None,
        }
    }

    /// Where a mirror is written.
    pub(super) fn mirror(&self) -> Option<(Path, &str)> {
        let mirror = self.shadow()?.mirror.as_deref()?;
        Some((super::check::path(["release", "shadow", "mirror"]), mirror))
    }

    /// Where the upstreams of versions are written, with the group that each is for.
    pub(super) fn upstreams(&self) -> Vec<(Path, &str, Option<&str>)> {
        let at = super::check::path(["release", self.kind()]);
        match self {
            ReleaseDocument::Canary(two) | ReleaseDocument::BlueGreen(two) => {
                two.upstream.iter().map(|name| (at.then("upstream"), name.as_str(), None)).collect()
            }
            ReleaseDocument::Ab(groups) => {
                let place = |group: &str| at.then("upstreams").then(group);
                let all = groups.upstreams.iter();
                all.map(|(group, name)| (place(group), name.as_str(), Some(group.as_str()))).collect()
            }
            ReleaseDocument::Shadow(_) => Vec::new(),
        }
    }
}

/// A compiled release.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// The key that it is written under.
    pub kind: &'static str,
    /// Response header that tells the version.
    pub header: HeaderName,
    /// Who has which version.
    pub versions: Versions,
}

/// Who has which version.
#[derive(Debug, Clone, PartialEq)]
pub enum Versions {
    /// The control arm has the baseline, the treated have the candidate.
    Arms {
        /// The control arm's.
        baseline: Version,
        /// The treated's.
        candidate: Version,
    },
    /// Each group of the treated has its own, by the number of the group; the control arm has none.
    Groups(Vec<Version>),
}

/// A version that units can have. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name.
    pub name: Arc<str>,
    /// The same, as a header tells it.
    pub value: HeaderValue,
}

impl Version {
    /// `None` if it can't stand in a header.
    fn new(name: &str) -> Option<Version> {
        Some(Version { name: name.into(), value: HeaderValue::from_str(name).ok()? })
    }
}

impl Release {
    /// In words: `canary, v2 after v1, told in x-model-version`.
    pub fn describe(&self) -> String {
        let versions = match &self.versions {
            Versions::Arms { baseline, candidate } => format!("{} after {}", candidate.name, baseline.name),
            Versions::Groups(versions) => {
                versions.iter().map(|version| &*version.name).collect::<Vec<_>>().join(" beside ")
            }
        };
        format!("{}, {versions}, told in {}", self.kind, self.header)
    }

    /// Compiles what was checked. With `shadow` nobody has another version.
    pub(super) fn compile(document: &Document) -> Option<Release> {
        let release = document.release.as_ref()?;
        let (header, versions) = match release {
            ReleaseDocument::Canary(two) | ReleaseDocument::BlueGreen(two) => {
                let (baseline, candidate) = (Version::new(&two.baseline)?, Version::new(&two.candidate)?);
                (&two.header, Versions::Arms { baseline, candidate })
            }
            ReleaseDocument::Ab(groups) => {
                let names = exposure_check::group_names(&document.exposure);
                let versions = names.iter().map(|name| Version::new(groups.versions.get(*name)?));
                (&groups.header, Versions::Groups(versions.collect::<Option<_>>()?))
            }
            ReleaseDocument::Shadow(_) => return None,
        };
        Some(Release { kind: release.kind(), header: header.parse().ok()?, versions })
    }
}
