//! The immutable plan: a scenario that cannot be wrong.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    document::{Document, Expectation},
    expression::{Condition, UnitExpression},
    guard::Guard,
    release::{Release, ShadowDocument},
    shape::Shape,
};
use crate::{
    draw::{Key, UnitHash},
    event::{FaultOutline, PhaseOutline},
    fault::{Fault, Scales},
    unit::{Rate, Share},
    wire::{Codec, Labels, Protocol},
};

/// A compiled scenario.
#[derive(Debug)]
pub struct Plan {
    /// What it was compiled from: this is how a plan travels.
    pub document: Document,
    /// Which requests may be touched.
    pub target: Target,
    /// Who is treated.
    pub exposure: Exposure,
    /// A release that is rehearsed.
    pub release: Option<Release>,
    /// Generated traffic: rate, and the file of requests as an absolute path.
    pub traffic: Option<(Rate, PathBuf)>,
    /// The phases in order, without overlap.
    pub phases: Vec<Phase>,
    /// When to give up.
    pub guards: Vec<Guard>,
}

/// Which requests may be touched.
#[derive(Debug)]
pub struct Target {
    /// The protocol.
    pub protocol: Protocol,
    /// Its codec.
    pub codec: Arc<dyn Codec>,
    /// Class names.
    pub labels: Labels,
    /// Which requests.
    pub when: Condition,
}

/// Who is treated. [`crate::exposure`] tells what decides first.
#[derive(Debug)]
pub struct Exposure {
    /// What names the unit; `None`: every request is its own.
    pub unit: Option<UnitExpression>,
    /// Share of units that are treated, of those that no other rule decides about.
    pub share: Share,
    /// Key of the assignment draw: [`rule`](Exposure::rule) under [`seed`](Exposure::seed).
    pub key: Key,
    /// Seed of the key: the scenario's, or 0 where a salt or a layer with slices stands for it.
    pub seed: u64,
    /// Rule of the key: `exposure/<layer>`, `exposure/salt/<salt>` or `exposure/<name of the scenario>`.
    pub rule: String,
    /// The layer that it has a slice of.
    pub layer: Option<String>,
    /// Where its slice begins; every share counts from here. 0% but in a layer with slices.
    pub from: Share,
    /// Share of units that no scenario touches, as the document knows it.
    pub holdout: Share,
    /// Units that are always treated, sorted.
    pub always: Vec<UnitHash>,
    /// Units that never are, sorted.
    pub never: Vec<UnitHash>,
    /// Shares for some requests; the first that holds decides.
    pub segments: Vec<Segment>,
    /// Groups of the treated, with the share at which each ends, the last at 100%; none: they are not split.
    pub groups: Vec<Group>,
}

/// A share of some of the requests.
#[derive(Debug)]
pub struct Segment {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Which requests belong to it.
    pub when: Condition,
    /// Share of its units that are treated.
    pub share: Share,
}

/// A group of the treated.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Share of the treated in this group and those before it.
    pub until: Share,
}

impl Exposure {
    /// A share of all units under the key of a rule, with no other rules.
    pub fn new(share: Share, seed: u64, rule: &str) -> Exposure {
        Exposure {
            unit: None,
            share,
            key: Key::new(seed, rule),
            seed,
            rule: rule.to_owned(),
            layer: None,
            from: Share::NONE,
            holdout: Share::NONE,
            always: Vec::new(),
            never: Vec::new(),
            segments: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// A group of the treated by its number, with its share of them.
    pub fn group(&self, number: usize) -> Option<(&str, f64)> {
        let group = self.groups.get(number)?;
        let before = number.checked_sub(1).and_then(|before| self.groups.get(before));
        let from = before.map_or(0.0, |before| before.until.fraction());
        Some((&group.name, group.until.fraction() - from))
    }

    /// How much of a share can have units in it: no more than [`widest`](Exposure::widest).
    pub fn within(&self, share: Share) -> Share {
        let widest = self.widest();
        if share > widest { widest } else { share }
    }

    /// The largest share of any rule but `always`: how wide its slice is.
    pub fn widest(&self) -> Share {
        let segments = self.segments.iter().map(|segment| segment.share);
        segments.fold(self.share, |most, share| if share > most { share } else { most })
    }

    fn needs_body(&self) -> bool {
        self.unit.as_ref().is_some_and(UnitExpression::needs_body)
            || self.segments.iter().any(|segment| segment.when.needs_body())
    }
}

/// One phase.
#[derive(Debug)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Start, from arming.
    pub start: Duration,
    /// End, from arming.
    pub end: Duration,
    /// Monitoring may neither fire in it nor be trusted to keep silent.
    pub warm_up: bool,
    /// Share of units that are treated in it, where it is not the exposure's own.
    pub share: Option<Share>,
    /// What it injects, in the order in which faults compose.
    pub injections: Vec<Injection>,
    /// What the monitoring should do.
    pub expectations: Vec<PlacedExpectation>,
}

/// One fault of a phase.
#[derive(Debug)]
pub struct Injection {
    /// `phase/fault`, with `#2` and so on when a fault comes again in its phase.
    pub id: String,
    /// `scenario/fault`, the value of the response mark.
    pub mark: http::HeaderValue,
    /// The fault.
    pub fault: Fault,
    /// How its size goes with time.
    pub shape: Shape,
    /// What it may touch; `None`: everything that its units get.
    pub only: Option<Condition>,
    /// What tells the fault's own group ([`Behaviour::group`](crate::fault::Behaviour::group)).
    pub group: Option<Condition>,
    /// Share of units that get it; at most the exposure's widest, and the phase's.
    pub share: Share,
    /// Number of the group of the treated that gets it; `None`: all of them.
    pub for_group: Option<usize>,
    /// Is it a release's own, which no phase writes: does it send a version's requests to their upstream?
    pub of_release: bool,
    /// Key of its draws: rule `<phase>/<index in the file>/<fault>`.
    pub key: Key,
}

/// An expectation and where it is written.
#[derive(Debug, Clone)]
pub struct PlacedExpectation {
    /// What is expected.
    pub expectation: Expectation,
    /// Line in the scenario, from 1, if it came from a file.
    pub line: Option<usize>,
}

impl Plan {
    /// How its faults act on copies, if they do: then callers get the true answer.
    pub fn shadow(&self) -> Option<&ShadowDocument> {
        self.document.release.as_ref()?.shadow()
    }

    /// The same plan, with a codec of your own in the place of the protocol's: for a layer that is embedded in a
    /// server whose protocol canard does not know. With `protocol: auto` a scenario may have faults on any content.
    /// A plan travels to sidecars as its document, without the codec.
    ///
    /// ```
    /// # use std::{convert::Infallible, sync::Arc, time::Duration};
    /// use bytes::Bytes;
    /// use canard::{
    ///     layer::{ChaosLayer, Handle},
    ///     scenario::{Source, compile},
    ///     wire::{Codec, ErrorResponse, Failure, Format, Head, Reading, Row, Slot, Value, WireError},
    /// };
    /// # use http::{Method, Request, Response, StatusCode};
    /// # use http_body_util::{BodyExt as _, Full};
    /// # use tower::{Layer as _, ServiceExt as _, service_fn};
    ///
    /// /// `score=0.9`
    /// #[derive(Debug)]
    /// struct Score;
    ///
    /// impl Codec for Score {
    ///     fn is_prediction(&self, method: &Method, path: &str) -> bool {
    ///         method == Method::POST && path == "/score"
    ///     }
    ///
    ///     fn model<'a>(&self, _path: &'a str) -> Option<&'a str> {
    ///         None
    ///     }
    ///
    ///     fn read(&self, _head: Head<'_>, body: &[u8]) -> Result<Reading, WireError> {
    ///         let text = std::str::from_utf8(body).ok().and_then(|text| text.strip_prefix("score="));
    ///         let score = text.and_then(|text| text.parse().ok()).ok_or(WireError::NoPrediction)?;
    ///         let slot = Slot { span: 6..body.len(), format: Format::Double };
    ///         let mut reading = Reading::default();
    ///         reading.push(Row { label: None, scores: vec![Value::Float(score)] }, None, [slot]);
    ///         Ok(reading)
    ///     }
    ///
    ///     fn error(&self, _path: &str, failure: &Failure) -> ErrorResponse {
    ///         ErrorResponse::new(failure.status, "text/plain", format!("failed={}", failure.message))
    ///     }
    /// }
    ///
    /// let scenario = "
    /// name: own-protocol
    /// target: { protocol: auto }
    /// exposure: { share: 100% }
    /// phases: [{ name: broken, lasts: 1m, inject: [{ fault: { corrupt: { rate: 100%, with: out-of-range } } }] }]
    /// ";
    /// let plan = compile(&Source::new("own.yaml", scenario)).unwrap().with_codec(Arc::new(Score));
    /// let handle = Handle::default();
    /// handle.arm(Arc::new(plan), Duration::from_secs(60))?;
    /// let model = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("score=0.9")))) });
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let request = Request::post("/score").body(Full::<Bytes>::default())?;
    /// let response = ChaosLayer::new(handle).layer(model).oneshot(request).await?;
    /// assert_eq!(response.into_body().collect().await?.to_bytes(), "score=-999.0");
    /// # Ok::<_, Box<dyn std::error::Error + Send + Sync>>(()) }).unwrap();
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_codec(mut self, codec: Arc<dyn Codec>) -> Plan {
        self.target.codec = codec;
        self
    }

    /// Length of the whole run.
    pub fn lasts(&self) -> Duration {
        self.phases.last().map_or(Duration::ZERO, |phase| phase.end)
    }

    /// Index of the phase at a time since arming; `None` in a gap and after the end.
    pub fn phase_at(&self, since_armed: Duration) -> Option<usize> {
        self.phases.iter().position(|p| (p.start..p.end).contains(&since_armed))
    }

    /// Must a request's body be read before anybody can tell who it is from? Conditions on rows are another
    /// matter: they are asked only about requests that they concern.
    pub fn needs_request_body(&self) -> bool {
        self.target.when.needs_body() || self.exposure.needs_body()
    }

    /// The phases, for reports.
    pub fn outline(&self) -> Vec<PhaseOutline> {
        self.phases.iter().map(|phase| phase.outline(&self.exposure)).collect()
    }
}

impl Phase {
    /// How long it takes.
    pub fn lasts(&self) -> Duration {
        self.end - self.start
    }

    fn outline(&self, exposure: &Exposure) -> PhaseOutline {
        let faults = self.injections.iter().map(|injection| injection.outline(self.lasts(), exposure));
        PhaseOutline {
            phase: self.name.clone(),
            starts_s: self.start.as_secs_f64(),
            lasts_s: self.lasts().as_secs_f64(),
            warm_up: self.warm_up,
            share: self.share.map(|share| exposure.within(share).fraction()),
            listed: if self.share == Some(Share::NONE) { 0 } else { exposure.always.len() },
            faults: faults.collect(),
        }
    }
}

impl Injection {
    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.only.iter().chain(&self.group)
    }

    /// Must the features of a request be read before its rows can be told apart?
    pub fn needs_features(&self) -> bool {
        self.conditions().any(Condition::needs_features)
    }

    /// How large it is at a time since its phase began, 0 to 1 of its full size.
    pub fn intensity(&self, since_phase: Duration) -> f64 {
        self.shape.intensity(since_phase)
    }

    /// Its size in words, with the shape that it has.
    fn size(&self) -> String {
        let size = self.fault.describe();
        match self.shape.is_plain() {
            true => size,
            false => format!("{size}, {}", self.shape.describe()),
        }
    }

    /// For reports, with its three shares, in a phase of this length.
    pub fn outline(&self, lasts: Duration, exposure: &Exposure) -> FaultOutline {
        let group = self.for_group.and_then(|number| exposure.group(number));
        let exposure = self.share.fraction() * group.map_or(1.0, |(_, share)| share);
        let rate = self.fault.rate().fraction();
        let over_time = match self.fault.scales() {
            Scales::Rate => self.shape.mean(lasts),
            Scales::Size => self.shape.acts_for(lasts),
        };
        let over_time = over_time.unwrap_or(1.0);
        FaultOutline {
            id: self.id.clone(),
            fault: self.fault.name().to_owned(),
            size: self.size(),
            exposure_share: exposure,
            group: group.map(|(name, _)| name.to_owned()),
            rate,
            over_time,
            overall_share: exposure * rate * over_time,
        }
    }
}
