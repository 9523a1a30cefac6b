//! One request under an armed plan: who it is from, and what will happen to it.
//!
//! Everything is decided at arrival, from the request's own identity and nothing else, so that the layer and
//! the sidecar decide alike. Whether a decided fault still acts when its turn comes is another question: the
//! lease may be over by then, or the ledger may refuse, and then the request passes untouched and is counted.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderMap, Request, Response};
use http_body::Body;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Abort, BoxError, Exposed, ResponseBody,
    body::{Armed, Cut},
    lease::{Lease, Nap},
};
use crate::{
    clock,
    draw::{Dice, UnitHash},
    evidence::{ArmSink, FaultCell, Line, Permit, Watch},
    exposure::{self, Arm, Assignment},
    fault::{Action, Decide, EditContext},
    scenario::{Injection, Mark, RequestView},
};

/// The response mark.
pub(super) const MARK: &str = "x-canard";

/// Bytes of a request's id that the ledger keeps.
const LONGEST_ID: usize = 128;

/// What will happen to a request, by the numbers of the injections.
#[derive(Debug, Default)]
pub(super) struct Course {
    pub(super) before: Vec<(usize, Duration)>,
    pub(super) refuse: Option<(usize, Action)>,
    pub(super) edits: Vec<usize>,
    pub(super) after: Vec<(usize, Duration)>,
    pub(super) cut: Option<(usize, Option<u64>)>,
}

/// A request that belongs to an arm.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) victim: Victim,
    pub(super) course: Course,
    pub(super) watch: Watch<ArmSink>,
    pub(super) is_grpc: bool,
    abort: Option<Abort>,
}

/// Whose request it is, under which phase of which lease. Shared by the HTTP and the typed layer.
#[derive(Debug)]
pub(super) struct Victim {
    pub(super) lease: Arc<Lease>,
    pub(super) phase: usize,
    pub(super) arm: Arm,
    position: Duration,
    request: UnitHash,
    unit: UnitHash,
    id: Option<String>,
    acted: Vec<usize>,
}

/// The identity of a request: `x-request-id`, else `traceparent`, else none.
fn identity(headers: &HeaderMap) -> Option<&[u8]> {
    let of = |name| headers.get(name).map(|value| value.as_bytes()).filter(|id| !id.is_empty());
    of("x-request-id").or_else(|| of("traceparent"))
}

impl Exchange {
    /// Judges a request; `None` when nothing may happen to it. `body` is its parsed body, if the plan needs it.
    pub(super) fn begin<B>(
        lease: &Arc<Lease>,
        request: &Request<B>,
        body: Option<&Value>,
    ) -> Option<Box<Exchange>> {
        let plan = &lease.plan;
        let position = lease.position(Instant::now());
        let phase = plan.phase_at(position)?;
        let view = RequestView {
            method: request.method(),
            path: request.uri().path(),
            headers: request.headers(),
            body,
        };
        match plan.target.when.matches(view) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(_) => return not_assigned(lease, "expression-failed"),
        }
        let id = identity(request.headers());
        let hash = id.map_or_else(
            || {
                lease.recorder.without_identity();
                UnitHash::from_u64(lease.next_number())
            },
            UnitHash::of,
        );
        let assignment = match exposure::assign(&plan.exposure, view, hash) {
            Ok(Some(assignment)) => assignment,
            Ok(None) => return not_assigned(lease, "no-unit"),
            Err(_) => return not_assigned(lease, "expression-failed"),
        };
        let id = id.map(|id| String::from_utf8_lossy(id).into_owned());
        let victim = Victim::new(lease.clone(), phase, position, &assignment, hash, id);
        let watch = Watch::begin(request, lease.recorder.sink(phase, assignment.arm));
        let course = victim.decide(&assignment);
        let is_grpc = request.headers().get(http::header::CONTENT_TYPE);
        Some(Box::new(Exchange {
            is_grpc: is_grpc.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")),
            abort: request.extensions().get::<Abort>().cloned(),
            victim,
            course,
            watch,
        }))
    }

    /// Does the codec take this for a request for predictions?
    pub(super) fn is_prediction(&self) -> bool {
        let codec = &self.victim.lease.plan.target.codec;
        codec.is_prediction(self.watch.method(), self.watch.uri().path())
    }

    /// Marks the response, begins to watch its body, and cuts it where a fault says so.
    pub(super) fn finish<R>(mut self, mut response: Response<ResponseBody<R>>) -> Response<ResponseBody<R>>
    where
        R: Body,
        R::Error: Into<BoxError>,
    {
        let cut = self.course.cut.take().and_then(|(i, after)| self.cut(i, after, &mut response));
        let Exchange { victim, mut watch, .. } = self;
        if victim.lease.plan.document.mark == Mark::On {
            for injection in &victim.acted {
                response.headers_mut().append(MARK, victim.injection(*injection).mark.clone());
            }
        }
        response.extensions_mut().insert(Exposed { arm: victim.arm });
        let codec = &victim.lease.plan.target.codec;
        let reads = response.status().is_success() && codec.is_prediction(watch.method(), watch.uri().path());
        watch.respond(&response, Some(victim.arm), reads.then_some(victim.lease.body_limit));
        if cut.is_some() {
            watch.broke();
        }
        response.body_mut().arm(Armed { watch, cut, lease: victim.lease });
        response
    }

    fn cut<R>(
        &mut self,
        injection: usize,
        after: Option<u64>,
        response: &mut Response<ResponseBody<R>>,
    ) -> Option<Cut>
    where
        R: Body,
        R::Error: Into<BoxError>,
    {
        let length = response.body().size_hint().exact();
        let in_body = after.is_some() || self.abort.is_none();
        if in_body && !has_body(self.watch.method(), response.status()) {
            self.victim.skip(injection, "no-body");
            return None;
        }
        // A server stops asking at Content-Length: break before the last byte, or promise no length.
        let left = after.unwrap_or(0).min(length.map_or(u64::MAX, |length| length.saturating_sub(1)));
        let change: Cow<'static, str> = match after {
            None => "connection cut".into(),
            Some(_) => format!("connection cut after {left} bytes").into(),
        };
        if !self.victim.act(injection, &change, 0) {
            return None;
        }
        if length == Some(0) {
            response.headers_mut().remove(http::header::CONTENT_LENGTH);
        }
        if after.is_none()
            && let Some(abort) = &self.abort
        {
            abort.abort();
        }
        Some(Cut { left, abort: self.abort.clone() })
    }
}

/// May a response to this method with this status have a body?
pub(super) fn has_body(method: &http::Method, status: http::StatusCode) -> bool {
    use http::StatusCode;
    method != http::Method::HEAD
        && !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn not_assigned<T>(lease: &Lease, reason: &'static str) -> Option<T> {
    lease.recorder.not_assigned(reason);
    None
}

impl Victim {
    pub(super) fn new(
        lease: Arc<Lease>,
        phase: usize,
        position: Duration,
        assignment: &Assignment,
        request: UnitHash,
        id: Option<String>,
    ) -> Victim {
        let (arm, unit) = (assignment.arm, assignment.unit);
        let id = id.map(|id| id[..id.floor_char_boundary(LONGEST_ID)].to_owned());
        Victim { lease, phase, arm, position, request, unit, id, acted: Vec::new() }
    }

    /// What each fault of the phase does to this request.
    pub(super) fn decide(&self, assignment: &Assignment) -> Course {
        let mut course = Course::default();
        for (i, injection) in self.lease.plan.phases[self.phase].injections.iter().enumerate() {
            let cell = self.cell(i);
            cell.eligible();
            if !assignment.gets(injection.share) {
                continue;
            }
            cell.exposed();
            match injection.fault.behaviour().decide(&self.decide_context(i)) {
                None => {}
                Some(Action::DelayBefore(delay)) => course.before.push((i, delay)),
                Some(Action::DelayAfter(delay)) => course.after.push((i, delay)),
                Some(Action::Edit) => course.edits.push(i),
                Some(Action::Reset { after_bytes }) if course.cut.is_none() => {
                    course.cut = Some((i, after_bytes));
                }
                Some(action @ (Action::Respond { .. } | Action::Hang { .. })) if course.refuse.is_none() => {
                    course.refuse = Some((i, action));
                }
                // A request fails once: the first fault that fails it has it.
                Some(Action::Reset { .. } | Action::Respond { .. } | Action::Hang { .. }) => {
                    cell.skipped("superseded");
                }
                Some(_) => cell.skipped("not-supported"),
            }
        }
        course
    }

    pub(super) fn injection(&self, injection: usize) -> &Injection {
        &self.lease.plan.phases[self.phase].injections[injection]
    }

    pub(super) fn dice(&self, injection: &Injection) -> Dice {
        Dice::new(injection.key, self.request)
    }

    /// How far the ramp of an injection was when the request arrived.
    pub(super) fn intensity(&self, injection: usize) -> f64 {
        self.injection(injection).intensity(self.since_phase())
    }

    /// Since the phase began, when the request arrived.
    fn since_phase(&self) -> Duration {
        self.position.saturating_sub(self.lease.plan.phases[self.phase].start)
    }

    fn decide_context(&self, injection: usize) -> Decide<'_> {
        let rule = self.injection(injection);
        let memory = self.lease.memory(self.phase, injection);
        Decide {
            unit: self.unit,
            since_phase: self.since_phase(),
            ..Decide::of(self.dice(rule), self.intensity(injection), memory)
        }
    }

    pub(super) fn edit_context(&self, injection: usize) -> EditContext<'_> {
        let rule = self.injection(injection);
        let memory = self.lease.memory(self.phase, injection);
        let labels = &self.lease.plan.target.labels;
        EditContext {
            unit: self.unit,
            since_phase: self.since_phase(),
            ..EditContext::new(self.dice(rule), self.intensity(injection), labels, memory)
        }
    }

    fn cell(&self, injection: usize) -> &FaultCell {
        self.lease.recorder.fault(self.phase, injection)
    }

    /// Counts a fault that should have acted and could not.
    pub(super) fn skip(&self, injection: usize, reason: &'static str) {
        self.cell(injection).skipped(reason);
    }

    /// Counts several that could not.
    pub(super) fn skip_all(&self, injections: impl IntoIterator<Item = usize>, reason: &'static str) {
        injections.into_iter().for_each(|i| self.skip(i, reason));
    }

    /// The right to perturb, if the plan still acts and the ledger takes the line.
    pub(super) fn reserve(&self, injection: usize) -> Option<Permit> {
        if self.lease.acts_until(Instant::now()).is_none() {
            self.skip(injection, "disarmed");
            return None;
        }
        let permit = self.lease.ledger.reserve();
        permit.map_err(|error| self.skip(injection, error.reason())).ok()
    }

    /// Puts a perturbation on record.
    pub(super) fn commit(&mut self, permit: Permit, injection: usize, change: &str, predictions: usize) {
        permit.commit(Line {
            at: clock::now(),
            scenario: self.lease.plan.document.name.clone(),
            lease: self.lease.id.0,
            request: self.id.clone(),
            unit: self.unit,
            fault: self.injection(injection).id.clone(),
            change: change.to_owned(),
        });
        self.cell(injection).perturbed(predictions);
        self.acted.push(injection);
    }

    /// Reserves and commits in one; `false` when the request must pass untouched.
    pub(super) fn act(&mut self, injection: usize, change: &str, predictions: usize) -> bool {
        let Some(permit) = self.reserve(injection) else { return false };
        self.commit(permit, injection, change, predictions);
        true
    }

    /// Puts a hang on record; `None` when the request must pass. Without a length of its own it is over with
    /// its phase, or recovery would not be recovery.
    pub(super) fn hang(&mut self, injection: usize, lasts: Option<Duration>) -> Option<Nap> {
        if lasts.is_none() && self.lease.phase_until(self.phase, Instant::now()).is_none() {
            let over = self.lease.acts_until(Instant::now()).is_none();
            self.skip(injection, if over { "disarmed" } else { "phase-over" });
            return None;
        }
        self.act(injection, "held without an answer", 0).then(|| match lasts {
            Some(lasts) => Nap::lasting(self.lease.clone(), lasts),
            None => Nap::during(self.lease.clone(), self.phase),
        })
    }

    /// Puts delays on record and adds them up.
    pub(super) fn delay(&mut self, delays: Vec<(usize, Duration)>) -> Duration {
        let mut total = Duration::ZERO;
        for (injection, delay) in delays {
            if !delay.is_zero()
                && self.act(injection, &format!("delayed up to {:.3} s", delay.as_secs_f64()), 0)
            {
                total += delay;
            }
        }
        total
    }
}
