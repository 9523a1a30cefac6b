//! What each route of the admin API does.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::{StatusCode, header::CONTENT_TYPE},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};

use super::{
    Admin, OPENAPI,
    metrics::{self, Readings},
};
use crate::{
    clock,
    evidence::Evidence,
    layer::{ArmError, LeaseId},
    scenario::{Document, Plan, compile_document, forbidden_beside},
    sidecar::api::{API_VERSION, ArmRequest, Granted, Problem, RenewRequest, SidecarStatus},
};

/// How often `/v1/events` looks for a change.
const LOOK: Duration = Duration::from_millis(200);

type Refusal = (StatusCode, Json<Problem>);
type Shared = State<Arc<Admin>>;

/// An error answer.
pub(super) fn problem(status: StatusCode, error: impl Into<String>) -> Refusal {
    (status, Json(Problem { error: error.into(), problems: Vec::new() }))
}

fn refused(error: &ArmError) -> Refusal {
    let status = match error {
        ArmError::AlreadyArmed(_) | ArmError::NoLayer(_) | ArmError::Overlaps { .. } | ArmError::Full(_) => {
            StatusCode::CONFLICT
        }
        ArmError::Killed(_) => StatusCode::LOCKED,
        ArmError::NoSuchLease => StatusCode::NOT_FOUND,
        ArmError::NoSuchPhase(_)
        | ArmError::TimeToLive(_)
        | ArmError::NoShadows
        | ArmError::NoMirror(_)
        | ArmError::NoSuchUpstream(_)
        | ArmError::OtherStructure(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    problem(status, error.to_string())
}

fn broken(status: StatusCode) -> Refusal {
    problem(status, "the sidecar failed".to_owned())
}

fn read<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Refusal> {
    let Json(body) = body.map_err(|error| problem(error.status(), error.body_text()))?;
    Ok(body)
}

fn seconds(ttl_s: f64) -> Result<Duration, Refusal> {
    Duration::try_from_secs_f64(ttl_s).map_err(|_| {
        problem(StatusCode::UNPROCESSABLE_ENTITY, format!("ttl_s: {ttl_s} is no length of time"))
    })
}

fn lease(id: &str) -> Result<LeaseId, Refusal> {
    id.parse().map_err(|_| refused(&ArmError::NoSuchLease))
}

impl Admin {
    fn status(&self) -> SidecarStatus {
        SidecarStatus {
            api_version: API_VERSION,
            canard_version: env!("CARGO_PKG_VERSION").to_owned(),
            now: crate::clock::now(),
            upstream: self.upstream.clone(),
            listen: self.listen.to_string(),
            draining: self.ending.is_draining(),
            killed_by: self.rack.killed_by().map(|file| file.display().to_string()),
            environment: self.stage.as_ref().and_then(|stage| stage.load().environment.clone()),
            leases: self.rack.status(),
        }
    }

    /// Does what the stage permits beside all other leases in force, whatever the controller believes where it is.
    fn permitted<T>(
        &self,
        document: &Document,
        lease: Option<LeaseId>,
        then: impl FnOnce() -> Result<T, ArmError>,
    ) -> Result<T, Refusal> {
        let _arming = self.arming.lock().unwrap_or_else(PoisonError::into_inner);
        self.permits(document, lease)?;
        then().map_err(|error| refused(&error))
    }

    fn permits(&self, document: &Document, lease: Option<LeaseId>) -> Result<(), Refusal> {
        let Some(stage) = &self.stage else { return Ok(()) };
        let plans = self.rack.plans();
        let others = plans.iter().filter(|(id, _)| Some(*id) != lease).map(|(_, plan)| &plan.document);
        // A run that goes on ends where it would have: what its timeline is ahead of has passed.
        let leases = self.rack.status();
        let position_s =
            leases.iter().find(|held| Some(held.id) == lease).map_or(0.0, |held| held.position_s);
        let begun = clock::now().plus_s(-position_s);
        let problems = forbidden_beside(document, &stage.load(), begun, &others.collect::<Vec<_>>());
        if problems.is_empty() {
            return Ok(());
        }
        let error = "the stage that this sidecar stands in forbids it".to_owned();
        Err((StatusCode::FORBIDDEN, Json(Problem { error, problems })))
    }
}

pub(super) async fn status(State(admin): Shared) -> Result<Json<SidecarStatus>, StatusCode> {
    aside(admin, Admin::status).await.map(Json)
}

fn compiled(scenario: Document) -> Result<Plan, Refusal> {
    compile_document(scenario).map_err(|problems| {
        let error = "the scenario can't be armed".to_owned();
        (StatusCode::BAD_REQUEST, Json(Problem { error, problems }))
    })
}

pub(super) async fn arm(
    State(admin): Shared,
    body: Result<Json<ArmRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<Granted>), Refusal> {
    let request = read(body)?;
    let ttl = seconds(request.ttl_s)?;
    if admin.ending.is_draining() {
        return Err(problem(StatusCode::SERVICE_UNAVAILABLE, "the sidecar is about to end"));
    }
    let plan = compiled(request.scenario)?;
    let plan = Arc::new(plan);
    let scenario = plan.document.name.clone();
    let arm =
        move |admin: &Admin| admin.permitted(&plan.document, None, || admin.rack.arm(plan.clone(), ttl));
    let id = aside(admin, arm).await.map_err(broken)??;
    tracing::info!(scenario, lease = %id, ?ttl, "armed");
    Ok((StatusCode::CREATED, Json(Granted { id, expires_in_s: ttl.as_secs_f64() })))
}

pub(super) async fn renew(
    State(admin): Shared,
    Path(id): Path<String>,
    body: Result<Json<RenewRequest>, JsonRejection>,
) -> Result<Json<Granted>, Refusal> {
    let request = read(body)?;
    let (id, ttl) = (lease(&id)?, seconds(request.ttl_s)?);
    let plan = request.scenario.map(|scenario| compiled(*scenario)).transpose()?.map(Arc::new);
    let replaced = plan.is_some();
    let update = move |admin: &Admin| {
        // A lease is renewed for as long as the stage permits what is armed, however it reads by now.
        let armed = || admin.rack.plans().into_iter().find(|(of, _)| *of == id).map(|(_, plan)| plan);
        let judged = plan.clone().or_else(armed).ok_or_else(|| refused(&ArmError::NoSuchLease))?;
        let skip_to = request.skip_to.as_deref();
        admin.permitted(&judged.document, Some(id), || admin.rack.update(id, ttl, plan, skip_to))
    };
    aside(admin, update).await.map_err(broken)??;
    if replaced {
        tracing::info!(lease = %id, "replaced");
    }
    Ok(Json(Granted { id, expires_in_s: ttl.as_secs_f64() }))
}

pub(super) async fn disarm(State(admin): Shared, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let id = lease(&id)?;
    admin.rack.disarm(id).map_err(|error| refused(&error))?;
    tracing::info!(lease = %id, "disarmed");
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn stop(State(admin): Shared) -> StatusCode {
    admin.rack.stop();
    tracing::info!("stopped");
    StatusCode::NO_CONTENT
}

/// Takes a reading where it does not hold up the other routes: a disarm must get through.
async fn aside<T: Send + 'static>(
    admin: Arc<Admin>,
    read: impl FnOnce(&Admin) -> T + Send + 'static,
) -> Result<T, StatusCode> {
    let reading = tokio::task::spawn_blocking(move || read(&admin)).await;
    reading.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

pub(super) async fn evidence(State(admin): Shared) -> Result<Json<Evidence>, StatusCode> {
    let evidence = aside(admin, |admin| admin.rack.last_evidence()).await?;
    evidence.map(Json).ok_or(StatusCode::NO_CONTENT)
}

pub(super) async fn lease_evidence(
    State(admin): Shared,
    Path(id): Path<String>,
) -> Result<Json<Evidence>, Refusal> {
    let id = lease(&id)?;
    let evidence = aside(admin, move |admin| admin.rack.evidence(id)).await.map_err(broken)?;
    evidence.map(Json).ok_or_else(|| refused(&ArmError::NoSuchLease))
}

/// Lines of the ledger that are sent at most, and unless asked for more.
const MOST_LINES: usize = 65_536;
const LINES: usize = 1_000;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Newest {
    limit: Option<usize>,
}

/// The newest lines of the ledger, oldest first, as they would be in its file.
pub(super) async fn ledger(
    State(admin): Shared,
    query: Result<Query<Newest>, QueryRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let Query(Newest { limit }) = query.map_err(|error| problem(error.status(), error.body_text()))?;
    let limit = limit.unwrap_or(LINES);
    if limit > MOST_LINES {
        let error =
            format!("limit: at most {MOST_LINES} lines are sent; `canard ledger FILE` reads whole files");
        return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, error));
    }
    let read = move |admin: &Admin| {
        let lines = admin.rack.ledger().newest(limit)?;
        let text = lines.iter().filter_map(|line| serde_json::to_string(line).ok());
        Ok::<_, std::io::Error>(text.map(|line| line + "\n").collect::<String>())
    };
    let failed =
        |why: String| problem(StatusCode::INTERNAL_SERVER_ERROR, format!("the ledger can't be read: {why}"));
    let text = aside(admin, read).await.map_err(|status| failed(status.to_string()))?;
    let text = text.map_err(|error| failed(error.to_string()))?;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], text))
}

/// A line for each change of what is armed, the present state first; that it drains is the last.
pub(super) async fn events(State(admin): Shared) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = stream::unfold((admin, None::<String>), |(admin, mut seen)| async move {
        loop {
            let Ok(status) = aside(admin.clone(), Admin::status).await else { return None };
            let leases: Vec<_> = status.leases.iter().map(|l| (l.id, &l.phase, &l.faults)).collect();
            let now = format!("{leases:?} {} {:?}", status.draining, status.killed_by);
            if seen.as_ref() != Some(&now) {
                seen = Some(now);
                let event = Event::default().event("status").json_data(&status).unwrap_or_default();
                return Some((Ok(event), (admin, seen)));
            }
            if status.draining {
                return None;
            }
            // Either way there may be something new.
            let _ = tokio::time::timeout(LOOK, admin.ending.drain.cancelled()).await;
        }
    });
    Sse::new(changes).keep_alive(KeepAlive::default())
}

pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(admin): Shared) -> Result<&'static str, Refusal> {
    match admin.crew.lost() {
        _ if admin.ending.is_draining() => Err(problem(StatusCode::SERVICE_UNAVAILABLE, "draining")),
        Some(lost) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, format!("lost workers: {lost}"))),
        None => Ok("ready\n"),
    }
}

pub(super) async fn metrics(State(admin): Shared) -> Result<impl IntoResponse, StatusCode> {
    let page = aside(admin, page).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page))
}

fn page(admin: &Admin) -> String {
    let (view, faults) = (admin.view.snapshot(), admin.rack.totals());
    let leases = admin.rack.status();
    let payloads = admin.payloads.as_ref().map(|log| log.counts().read());
    let readings =
        Readings { view: &view, faults: &faults, leases: &leases, payloads, arms: admin.arm_label };
    metrics::encode(&readings)
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

pub(super) async fn unknown() -> Refusal {
    problem(StatusCode::NOT_FOUND, "no such route; /openapi.json lists them")
}

pub(super) async fn wrong_method() -> Refusal {
    problem(StatusCode::METHOD_NOT_ALLOWED, "no such method on this route; /openapi.json lists them")
}
