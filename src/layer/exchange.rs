//! One request under an armed plan: who it is from, and what will happen to it.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request};
use http_body::Body;
use serde_json::Value;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    Abort,
    common::Number,
    control::Control,
    course::{Asking, Course},
    ear::Ear,
    lease::Lease,
    masks::{Known, Masks, Need},
    observe::{self, Learners},
    victim::{Rule, Victim},
};
use crate::{
    draw::UnitHash,
    evidence::{Cohort, Watch},
    exposure::{self, Arm, Assignment},
    scenario::{ExpressionError, RequestView},
};

/// An expression of the plan can't be told for a request.
const FAILED: &str = "expression-failed";

/// A request that belongs to an arm, or asked for faults.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) victim: Victim,
    pub(super) course: Course,
    pub(super) watch: Watch<Ear>,
    pub(super) is_grpc: bool,
    pub(super) abort: Option<Abort>,
    /// Its place among those that are let in, kept until the response has passed.
    pub(super) place: Option<OwnedSemaphorePermit>,
    who: Who,
    /// Its connection is to be broken before anything is answered.
    pub(super) refused: bool,
    /// It was held without an answer, and is not to get one.
    pub(super) swallowed: bool,
    /// Names that it asked for and the plan does not have.
    pub(super) unknown: Option<HeaderValue>,
}

/// Why faults act on it.
#[derive(Debug)]
enum Who {
    Drawn(Assignment),
    Asked(Vec<Rule>),
}

/// What a request is to the armed plan.
pub(super) enum Begun {
    /// Nothing may happen to it.
    Pass,
    /// It asked for faults that the plan does not have.
    Unknown(HeaderValue),
    /// Something may.
    Exchange(Box<Exchange>),
}

/// Is the body a gRPC call's?
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The identity of a request: `x-request-id`, else `traceparent`, else none.
pub(super) fn identity(headers: &HeaderMap) -> Option<&[u8]> {
    let of = |name| headers.get(name).map(|value| value.as_bytes()).filter(|id| !id.is_empty());
    of("x-request-id").or_else(|| of("traceparent"))
}

/// A request as expressions see it.
pub(super) fn view<'a, B>(request: &'a Request<B>, body: Option<&'a Value>) -> RequestView<'a> {
    RequestView { method: request.method(), path: request.uri().path(), headers: request.headers(), body }
}

impl Exchange {
    /// Judges who a request is from. `body` is its parsed body, if the plan needs it.
    pub(super) fn begin<B>(
        lease: &Arc<Lease>,
        request: &Request<B>,
        body: Option<&Value>,
        control: Option<Control>,
    ) -> Begun {
        let plan = &lease.plan;
        let position = lease.position(Instant::now());
        let phase = plan.phase_at(position);
        if phase.is_none() && control.is_none() {
            return Begun::Pass;
        }
        let Met { hash, id, assigned } = match Met::by(lease, request, body) {
            Ok(Some(met)) => met,
            Ok(None) => return Begun::Pass,
            Err(reason) => return not_assigned(lease, reason),
        };
        if let Some(control) = control {
            // Whose unit can't be told may ask as well, for itself.
            let alone = || Assignment::of(&plan.exposure, lease.holdout, hash);
            let assignment = assigned.ok().flatten();
            if assignment.is_some_and(|assignment| assignment.is_denied()) {
                return not_assigned(lease, "denied");
            }
            let victim = Victim::new(
                lease.clone(),
                phase.unwrap_or(0),
                position,
                &assignment.unwrap_or_else(alone),
                hash,
                id,
            );
            return Exchange::asked(lease, request, victim.asking(), control);
        }
        let Some(phase) = phase else { return Begun::Pass };
        let assignment = match side(assigned) {
            Ok(assignment) => assignment.in_phase(&plan.phases[phase]),
            Err(reason) => return not_assigned(lease, reason),
        };
        let victim = Victim::new(lease.clone(), phase, position, &assignment, hash, id);
        let sink = Ear::Arm(lease.recorder.sink(Cohort::of(phase, &assignment)));
        Begun::Exchange(Exchange::begun(request, victim, sink, Who::Drawn(assignment), None))
    }

    /// Judges who a request is from that arrived then; nothing is begun. `None`: it belongs to no arm.
    pub(super) fn judged<B>(
        lease: &Arc<Lease>,
        request: &Request<B>,
        body: Option<&Value>,
        arrived: Instant,
    ) -> Option<(Victim, Assignment)> {
        let position = lease.position(arrived);
        let phase = lease.plan.phase_at(position)?;
        let met = Met::by(lease, request, body).and_then(|met| {
            let Some(Met { hash, id, assigned }) = met else { return Ok(None) };
            let assignment = side(assigned)?.in_phase(&lease.plan.phases[phase]);
            Ok(Some((Victim::new(lease.clone(), phase, position, &assignment, hash, id), assignment)))
        });
        met.unwrap_or_else(|reason| {
            lease.recorder.not_assigned(reason);
            None
        })
    }

    /// The exchange of a shadow with the copy of a request, of which nobody hears yet.
    pub(super) fn of_shadow<B>(
        request: &Request<B>,
        victim: Victim,
        assignment: Assignment,
    ) -> Box<Exchange> {
        Exchange::begun(request, victim, Ear::Nobody, Who::Drawn(assignment), None)
    }

    /// A request that asked for faults belongs to no arm: it would tell nothing about those that did not.
    fn asked<B>(lease: &Arc<Lease>, request: &Request<B>, victim: Victim, control: Control) -> Begun {
        let Control { rules, unknown } = control;
        if unknown.is_some() {
            lease.recorder.not_assigned("unknown-fault");
        }
        match unknown {
            Some(unknown) if rules.is_empty() => return Begun::Unknown(unknown),
            _ => lease.recorder.not_assigned("asked"),
        }
        if rules.is_empty() {
            // What it asked for acts on it under another plan.
            return Begun::Pass;
        }
        Begun::Exchange(Exchange::begun(request, victim, Ear::Nobody, Who::Asked(rules), unknown))
    }

    fn begun<B>(
        request: &Request<B>,
        victim: Victim,
        sink: Ear,
        who: Who,
        unknown: Option<HeaderValue>,
    ) -> Box<Exchange> {
        Box::new(Exchange {
            is_grpc: is_grpc(request.headers()),
            abort: request.extensions().get::<Abort>().cloned(),
            place: None,
            watch: Watch::begin(request, sink),
            course: Course::default(),
            victim,
            refused: false,
            swallowed: false,
            who,
            unknown,
        })
    }

    /// Will nobody edit what it is answered, so that faults may learn from it?
    fn teaches(&self) -> bool {
        let injects = self.victim.rules().next().is_some();
        !self.victim.asked() && (self.victim.arm == Arm::Control || !injects)
    }

    /// What has to be known of the request before anything is decided about it.
    pub(super) fn need(&self) -> Need {
        let victim = &self.victim;
        let all = |rule: Rule| {
            let injection = victim.injection(rule);
            injection.only.iter().chain(&injection.group)
        };
        match &self.who {
            Who::Asked(rules) => Need::of(rules.iter().flat_map(|rule| all(*rule))),
            Who::Drawn(_) if self.teaches() => {
                let learners = observe::learners(&victim.lease.plan, victim.phase);
                Need::of(learners.filter_map(|(_, injection)| injection.group.as_ref()))
            }
            Who::Drawn(assignment) => {
                let gets = |rule: &Rule| assignment.is_in(victim.injection(*rule));
                Need::of(victim.rules().filter(gets).flat_map(all))
            }
        }
    }

    /// Computes which rows faults may touch.
    pub(super) fn mask<B>(&mut self, request: &Request<B>, known: Known<'_>) {
        let view = view(request, None);
        let victim = &self.victim;
        self.victim.masks = match &self.who {
            Who::Asked(rules) => Masks::of(victim, rules.iter().copied(), view, known),
            Who::Drawn(_) if self.teaches() => {
                let learners = observe::learners(&victim.lease.plan, victim.phase);
                Masks::of(victim, learners.map(|(rule, _)| rule), view, known)
            }
            Who::Drawn(_) => Masks::of(victim, victim.rules(), view, known),
        };
    }

    /// Decides what will happen to it.
    pub(super) fn decide<B: Body>(&mut self, request: &Request<B>) {
        let request = Asking { path: request.uri().path(), bytes: request.body().size_hint().exact() };
        self.course = match &self.who {
            Who::Drawn(assignment) => Course::drawn(&self.victim, assignment, request),
            Who::Asked(rules) => Course::asked(&self.victim, rules, request),
        };
        let plain = self.teaches();
        let compared = || self.victim.rules().any(|rule| observe::compares(self.victim.injection(rule)));
        if plain || !self.victim.asked() && compared() {
            self.watch.sink_mut().seen_by(Learners::of(&self.victim, plain));
        }
    }

    /// Breaks the connection in place of an answer.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
        self.abort.iter().for_each(Abort::abort);
    }

    /// Does the codec take this for a request for predictions?
    pub(super) fn is_prediction(&self) -> bool {
        let codec = &self.victim.lease.plan.target.codec;
        codec.is_prediction(self.watch.method(), self.path())
    }

    /// The path of the request.
    pub(super) fn path(&self) -> &str {
        self.watch.uri().path()
    }
}

/// A request that is the target's.
struct Met {
    hash: UnitHash,
    id: Option<String>,
    assigned: Result<Option<Assignment>, ExpressionError>,
}

impl Met {
    /// `None`: the target is another.
    fn by<B>(lease: &Lease, request: &Request<B>, body: Option<&Value>) -> Result<Option<Met>, &'static str> {
        let (plan, view) = (&lease.plan, view(request, body));
        if !plan.target.when.matches(view).map_err(|_| FAILED)? {
            return Ok(None);
        }
        let id = identity(request.headers());
        let hash = id.map_or_else(
            || {
                lease.recorder.without_identity();
                let number = request.extensions().get::<Number>();
                UnitHash::from_u64(number.map_or(0, |Number(number)| *number))
            },
            UnitHash::of,
        );
        let id = id.map(|id| String::from_utf8_lossy(id).into_owned());
        let assigned = exposure::assign(&plan.exposure, lease.holdout, view, hash);
        Ok(Some(Met { hash, id, assigned }))
    }
}

fn side(assigned: Result<Option<Assignment>, ExpressionError>) -> Result<Assignment, &'static str> {
    assigned.map_err(|_| FAILED)?.ok_or("no-unit")
}

/// May a response to this method with this status have a body?
pub(super) fn has_body(method: &http::Method, status: http::StatusCode) -> bool {
    use http::StatusCode;
    method != http::Method::HEAD
        && !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn not_assigned(lease: &Lease, reason: &'static str) -> Begun {
    lease.recorder.not_assigned(reason);
    Begun::Pass
}
