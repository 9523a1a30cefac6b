//! Faults on copies: what callers get, what shadows are answered, and what is counted of both.

use std::{collections::BTreeMap, sync::Weak};

use http::Uri;
use tokio::{sync::mpsc, task::yield_now};

use super::*;
use crate::{
    evidence::{Evidence, PhaseEvidence, ShadowEvidence},
    layer::shadow::{CallerBody, Shadow, ShadowLayer, ShadowedBody},
    scenario::{ReleaseDocument, ShadowDocument},
};

type Asked = Request<RackBody<RequestBody<CallerBody<Full<Bytes>>>>>;
type Got<R> = Response<ShadowedBody<ResponseBody<RackBody<R>>>>;

const MISLABEL: &str = r#"{"mislabel": {"rate": "100%", "to": "2"}}"#;
const MIRROR: &str = "http://mirror.example";

fn shadow_plan(faults: &[&str], mirror: Option<&str>) -> Plan {
    let mut plan = plan(faults);
    let mirror = mirror.map(str::to_owned);
    plan.document.release = Some(ReleaseDocument::Shadow(ShadowDocument { mirror }));
    plan
}

struct Setup {
    handle: Handle,
    lease: LeaseId,
    /// Paths and bodies that the primary upstream, and the mirror, were asked.
    asked: Arc<Mutex<Vec<(&'static str, Bytes)>>>,
}

fn handle(limits: Limits) -> (Handle, ShadowLayer) {
    let mirror = Candidate { name: Some("next".into()), address: Uri::from_static(MIRROR) };
    let handle = Handle::new(limits).with_candidates([mirror]);
    let layer = ShadowLayer::new(handle.clone().into());
    (handle, layer)
}

/// Callers of a service that answers with `ANSWER`, and whose mirror answers with another label.
fn shadowed(
    faults: &[&str],
    mirror: Option<&str>,
    limits: Limits,
) -> (
    Setup,
    Shadow<
        impl Service<Asked, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + use<>,
    >,
) {
    let (handle, layer) = handle(limits);
    let lease = handle.arm(Arc::new(shadow_plan(faults, mirror)), TTL).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let service = service_fn(move |request: Asked| {
        let log = log.clone();
        async move {
            let routed = request.extensions().get::<RouteTo>().is_some();
            assert_eq!(request.headers().contains_key("x-canard-shadow"), routed);
            let body = request.into_body().collect().await.unwrap().to_bytes();
            log.lock().unwrap().push((if routed { "mirror" } else { "primary" }, body));
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(answer(if routed { ANSWER.replace("[2, 1]", "[2, 0]") } else { ANSWER.to_owned() }))
        }
    });
    (
        Setup { handle: handle.clone(), lease, asked },
        layer.layer(RackLayer::new(handle.into()).layer(service)),
    )
}

async fn read<R>(response: Got<R>) -> Bytes
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    response.into_body().collect().await.unwrap().to_bytes()
}

impl Setup {
    fn phase(&self) -> PhaseEvidence {
        self.handle.evidence().unwrap().phases[0].clone()
    }

    /// What was seen of shadows, once there are so many or no more will come.
    async fn shadows(&self, many: u64) -> ShadowEvidence {
        loop {
            let seen = self.phase().shadow.unwrap();
            if seen.pairs + seen.left_out.values().sum::<u64>() >= many {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn callers_get_the_true_answer_and_shadows_the_perturbed_one() {
    let (setup, service) = shadowed(&[MISLABEL, r#"{"latency": {"fixed": "2s"}}"#], None, Limits::default());
    let start = Instant::now();
    for n in 0..10 {
        let response = service.clone().oneshot(request(&format!("r{n}"))).await.unwrap();
        assert_eq!((response.headers().len(), response.headers().contains_key("x-canard")), (2, false));
        assert_eq!(response.extensions().get::<Exposed>().unwrap().arm, Arm::Control);
        assert_eq!(read(response).await, ANSWER);
    }
    assert_eq!(start.elapsed().as_millis() / 10, 20, "no caller waits for a shadow");
    let seen = setup.shadows(10).await;
    assert_eq!((seen.pairs, seen.predictions, seen.labelled, seen.relabelled), (10, 20, 20, 10));
    assert_eq!(seen.confusion, [("1".to_owned(), [("2".to_owned(), 10)].into())].into());
    assert_eq!(seen.statuses, Default::default());
    let (later, variance, count) = seen.latency_s.moments().unwrap();
    assert!((later - 2.0).abs() < 0.002 && variance < 1e-5 && count == 10, "{later}");
    let PhaseEvidence { control, treated, faults, .. } = setup.phase();
    assert_eq!((control.labels["1"], control.labels["2"], control.requests()), (10, 10, 10));
    assert_eq!((treated.labels["2"], treated.requests(), faults[0].perturbed), (20, 10, 10));
    assert_eq!(setup.phase().everybody(), control, "monitors see callers");
    let asked = setup.asked.lock().unwrap();
    assert!(asked.len() == 10 && asked.iter().all(|(whom, _)| *whom == "primary"), "asked once for each");
    let lines = setup.handle.ledger().lines();
    assert!(lines.len() == 20 && lines.iter().all(|line| line.shadow));
}

#[tokio::test(start_paused = true)]
async fn a_mirror_is_asked_and_its_answer_perturbed() {
    let (setup, service) = shadowed(&[MISLABEL], Some("next"), Limits::default());
    let mut asks = request("a");
    *asks.body_mut() = Full::from(r#"{"inputs": []}"#);
    assert_eq!(read(service.oneshot(asks).await.unwrap()).await, ANSWER);
    let seen = setup.shadows(1).await;
    let confusion = [("1".to_owned(), [("2".to_owned(), 1)].into())].into();
    assert_eq!((seen.pairs, seen.confusion), (1, confusion));
    let body = Bytes::from_static(br#"{"inputs": []}"#);
    assert_eq!(*setup.asked.lock().unwrap(), [("primary", body.clone()), ("mirror", body)]);
}

#[tokio::test(start_paused = true)]
async fn without_faults_a_mirror_is_compared_and_a_copy_is_not_made() {
    for (mirror, pairs) in [(Some("next"), 1), (None, 0)] {
        let (setup, service) = shadowed(&[], mirror, Limits::default());
        assert_eq!(read(service.oneshot(request("a")).await.unwrap()).await, ANSWER);
        let seen = setup.shadows(pairs).await;
        assert_eq!((seen.pairs, seen.relabelled, seen.left_out.len()), (pairs, pairs, 0));
        assert_eq!(setup.phase().control.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn everything_that_a_fault_breaks_breaks_in_the_shadow_alone() {
    for (fault, status) in [
        (r#"{"error": {"status": 503}}"#, Some("503")),
        (r#"{"reset": {}}"#, Some("broken")),
        (r#"{"reset": {"after-bytes": 5}}"#, Some("broken")),
        (r#"{"truncate": {"after-bytes": 5}}"#, Some("broken")),
        (r#"{"refuse": {}}"#, Some("broken")),
        (r#"{"hang": {"for": "3s"}}"#, None),
    ] {
        let (setup, service) = shadowed(&[fault], None, Limits::default());
        let abort = Abort::new();
        let mut asks = request("a");
        asks.extensions_mut().insert(abort.clone());
        assert_eq!(read(service.oneshot(asks).await.unwrap()).await, ANSWER);
        let seen = setup.shadows(1).await;
        let differ = status.map(|status| ("200".to_owned(), [(status.to_owned(), 1)].into()));
        assert_eq!((seen.pairs, seen.statuses), (1, differ.into_iter().collect()), "{fault}");
        assert!(!abort.is_aborted(), "{fault}: the caller's connection is its own");
        let PhaseEvidence { control, treated, .. } = setup.phase();
        assert_eq!((control.failed(), treated.failed()), (0, u64::from(status.is_some())), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_shadow_outlives_its_lease() {
    for (fault, mirror) in [(r#"{"hang": {}}"#, None), (r#"{"latency": {"fixed": "50s"}}"#, Some("next"))] {
        let (setup, service) = shadowed(&[fault], mirror, Limits::default());
        read(service.oneshot(request("a")).await.unwrap()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let tasks = tokio::runtime::Handle::current().metrics();
        assert_eq!((tasks.num_alive_tasks(), setup.phase().shadow.unwrap().pairs), (1, 0), "{fault}");
        let start = Instant::now();
        setup.handle.disarm(setup.lease).unwrap();
        while tasks.num_alive_tasks() > 0 {
            yield_now().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "at once");
        let PhaseEvidence { shadow, treated, .. } = setup.phase();
        assert_eq!((shadow.unwrap().left_out["disarmed"], treated.requests()), (1, 0), "{fault}");
        assert_eq!(setup.asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_shadow_begins_when_its_lease_is_over() {
    for mirror in [None, Some("next")] {
        let (setup, service) = shadowed(&[MISLABEL], mirror, Limits::default());
        read(service.oneshot(request("a")).await.unwrap()).await;
        setup.handle.disarm(setup.lease).unwrap();
        let seen = setup.shadows(1).await;
        assert_eq!((seen.pairs, seen.left_out["disarmed"], setup.asked.lock().unwrap().len()), (0, 1, 1));
        assert_eq!((setup.phase().control.requests(), setup.phase().treated.requests()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_runs_out_ends_shadows_too() {
    let (setup, service) = shadowed(&[r#"{"hang": {}}"#], None, Limits::default());
    read(service.oneshot(request("a")).await.unwrap()).await;
    let start = Instant::now();
    let tasks = tokio::runtime::Handle::current().metrics();
    while tasks.num_alive_tasks() > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(start.elapsed().as_secs(), TTL.as_secs());
    assert_eq!(setup.phase().shadow.unwrap().left_out["disarmed"], 1);
}

#[tokio::test(start_paused = true)]
async fn shadows_are_bounded_in_number_and_in_bytes() {
    let limits = [
        (Limits { shadows: 3, ..Limits::default() }, "overflow"),
        // Room for the requests and the answers of three.
        (Limits { shadow_bytes: 3 * 450, ..Limits::default() }, "memory"),
        (Limits { body: 20, ..Limits::default() }, "too-large"),
    ];
    for (limits, why) in limits {
        let hang = r#"{"hang": {}}"#;
        let (setup, service) = shadowed(&[hang], None, limits);
        for n in 0..10 {
            let response = service.clone().oneshot(request(&format!("r{n}"))).await.unwrap();
            assert_eq!(read(response).await, ANSWER, "{why}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let left_out = setup.phase().shadow.unwrap().left_out;
        let most = if why == "too-large" { 10 } else { 7 };
        assert_eq!(left_out, [(why.to_owned(), most)].into());
        setup.handle.stop();
        setup.shadows(10).await;
        let lease = setup.handle.arm(Arc::new(shadow_plan(&[MISLABEL], None)), TTL).unwrap();
        let setup = Setup { lease, ..setup };
        read(service.oneshot(request("again")).await.unwrap()).await;
        let seen = setup.shadows(1).await;
        assert_eq!(seen.pairs, u64::from(why != "too-large"), "all room is given back");
    }
}

/// A service that answers with a body whose frames the test sends.
fn streaming(
    handle: &Handle,
    layer: &ShadowLayer,
    body: ChannelBody,
) -> impl Service<Request<Full<Bytes>>, Response = Got<ChannelBody>, Error = Infallible> {
    let body = Arc::new(Mutex::new(Some(body)));
    let service = service_fn(move |request: Asked| {
        let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
        let body = body.lock().unwrap().take().unwrap();
        async {
            request.into_body().collect().await.unwrap();
            Ok::<_, Infallible>(response.body(body).unwrap())
        }
    });
    layer.layer(RackLayer::new(handle.clone().into()).layer(service))
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_played_again_at_its_pace() {
    let (handle, layer) = handle(Limits::default());
    let lease = handle.arm(Arc::new(shadow_plan(&[r#"{"latency": {"fixed": "1s"}}"#], None)), TTL).unwrap();
    let (frames, body) = mpsc::channel(1);
    let response = streaming(&handle, &layer, ChannelBody(body)).oneshot(request("a")).await.unwrap();
    let mut body = Box::pin(response.into_body());
    for half in [&ANSWER[..50], &ANSWER[50..]] {
        tokio::time::sleep(Duration::from_secs(3)).await;
        frames.send(Ok(Frame::data(half.into()))).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), half, "it comes as it came");
    }
    drop(frames);
    assert!(body.frame().await.is_none());
    drop(body);
    let ended = Instant::now();
    let setup = Setup { handle, lease, asked: Arc::default() };
    let seen = setup.shadows(1).await;
    let (later, ..) = seen.latency_s.moments().unwrap_or_else(|| panic!("{seen:?}"));
    assert!((later - 1.0).abs() < 0.002, "{later}");
    assert_eq!(ended.elapsed().as_secs(), 7);
    assert_eq!((setup.phase().treated.predictions, seen.predictions, seen.relabelled), (2, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_its_caller_did_not_get_whole_has_no_shadow() {
    for broke in [true, false] {
        let (handle, layer) = handle(Limits::default());
        let lease = handle.arm(Arc::new(shadow_plan(&[MISLABEL], None)), TTL).unwrap();
        let (frames, body) = mpsc::channel(2);
        let service = streaming(&handle, &layer, ChannelBody(body));
        frames.send(Ok(Frame::data("{".into()))).await.unwrap();
        let mut body = Box::pin(service.oneshot(request("a")).await.unwrap().into_body());
        assert!(body.frame().await.unwrap().is_ok());
        if broke {
            frames.send(Err(std::io::Error::other("upstream died"))).await.unwrap();
            assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "upstream died");
        }
        drop(body);
        let setup = Setup { handle, lease, asked: Arc::default() };
        assert_eq!(setup.shadows(1).await.left_out, [("not-whole".to_owned(), 1)].into());
        assert_eq!((setup.phase().control.broken, setup.phase().treated.requests()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_mirror_answers_and_what_it_is_compared_with_take_room() {
    for (shadow_bytes, pairs) in [(200, 0), (450, 0), (2000, 1)] {
        let (setup, service) = shadowed(&[], Some("next"), Limits { shadow_bytes, ..Limits::default() });
        assert_eq!(read(service.oneshot(request("a")).await.unwrap()).await, ANSWER);
        let seen = setup.shadows(1).await;
        assert_eq!((seen.pairs, seen.left_out.get("memory").copied().unwrap_or(0)), (pairs, 1 - pairs));
        let asked = setup.asked.lock().unwrap().len();
        assert_eq!(asked, if shadow_bytes == 200 { 1 } else { 2 }, "{shadow_bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_unit_stands_in_the_body_counts_without_room_for_a_shadow() {
    const INJECT: &str = r#"[{"fault": {"mislabel": {"rate": "100%", "to": "2"}}}]"#;
    let no_shadows = Limits { shadows: 0, ..Limits::default() };
    let nothing = Limits { shadow_bytes: 10, ..Limits::default() };
    for (limits, inject, control, left_out, lost) in [
        (no_shadows.clone(), INJECT, 2, Some(("overflow", 1)), None),
        (no_shadows, "[]", 2, None, None),
        (nothing, INJECT, 0, None, Some(("request-body-not-kept", 2))),
    ] {
        let (handle, layer) = handle(limits);
        let (service, lease) = unit_in_body(&handle, &layer, inject);
        for body in [r#"{"user": "u1"}"#, r#"{"user": "u2"}"#] {
            let asks = Request::post(INFER).header("x-request-id", body).body(Full::from(body)).unwrap();
            assert_eq!(read(service.clone().oneshot(asks).await.unwrap()).await, ANSWER);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let setup = Setup { handle, lease, asked: Arc::default() };
        let counted = |reason: Option<(&str, u64)>| {
            reason.into_iter().map(|(why, count)| (why.to_owned(), count)).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(setup.phase().control.requests(), control);
        assert_eq!(setup.phase().shadow.unwrap().left_out, counted(left_out));
        assert_eq!(setup.handle.evidence().unwrap().not_assigned, counted(lost));
    }
}

/// A service that is shadowed for one user, who is named in the body.
fn unit_in_body(
    handle: &Handle,
    layer: &ShadowLayer,
    inject: &str,
) -> (
    impl Service<Request<Full<Bytes>>, Response = Got<Full<Bytes>>, Error = Infallible> + Clone + use<>,
    LeaseId,
) {
    let text = r#"{"name": "s", "target": {"protocol": "open-inference"}, "exposure": {"unit": "request.body.user", "share":
        "0%", "always": ["u1"]}, "release": {"shadow": {}}, "phases": [{"name": "p", "lasts": "60s", "inject": []}]}"#;
    let text = text.replace("[]", inject);
    let plan = crate::scenario::compile_document(serde_json::from_str(&text).unwrap()).unwrap();
    let lease = handle.arm(Arc::new(plan), TTL).unwrap();
    let service = service_fn(|request: Asked| async {
        request.into_body().collect().await.unwrap();
        Ok::<_, Infallible>(answer(ANSWER))
    });
    (layer.layer(RackLayer::new(handle.clone().into()).layer(service)), lease)
}

#[tokio::test(start_paused = true)]
async fn a_unit_in_the_body_is_told_when_it_has_passed() {
    let (handle, layer) = handle(Limits::default());
    let inject = r#"[{"fault": {"mislabel": {"rate": "100%", "to": "2"}}}]"#;
    let (service, lease) = unit_in_body(&handle, &layer, inject);
    for body in [r#"{"user": "u1"}"#, r#"{"user": "u2"}"#, r"{}", "not JSON"] {
        let asks = Request::post(INFER).header("x-request-id", body).body(Full::from(body)).unwrap();
        assert_eq!(read(service.clone().oneshot(asks).await.unwrap()).await, ANSWER);
    }
    let setup = Setup { handle, lease, asked: Arc::default() };
    assert_eq!(setup.shadows(1).await.relabelled, 1);
    assert_eq!((setup.phase().control.requests(), setup.phase().treated.requests()), (2, 1));
    let Evidence { not_assigned, .. } = setup.handle.evidence().unwrap();
    let reasons: Vec<&str> = not_assigned.keys().map(String::as_str).collect();
    assert_eq!(reasons, ["no-unit", "request-body-unreadable"]);
}

#[tokio::test]
async fn a_plan_for_shadows_is_refused_where_nothing_makes_them() {
    let plan = |mirror| Arc::new(shadow_plan(&[MISLABEL], mirror));
    let plain = Handle::default();
    assert_eq!(plain.arm(plan(None), TTL), Err(ArmError::NoShadows));
    let (handle, _layer) = handle(Limits::default());
    assert_eq!(handle.arm(plan(Some("last")), TTL), Err(ArmError::NoMirror("last".into())));
    let lease = handle.arm(plan(None), TTL).unwrap();
    assert!(handle.is_armed() && !handle.is_awake(), "the faults' own layer sleeps");
    handle.disarm(lease).unwrap();
    assert!(!handle.is_armed() && !handle.common.is_shadowed());
}

#[tokio::test(start_paused = true)]
async fn what_shadows_took_is_given_back_when_they_were_read() {
    let (setup, service) = shadowed(&[MISLABEL], None, Limits::default());
    let mut seen = Weak::new();
    for n in 0..3 {
        let mut asks = request(&format!("r{n}"));
        let alive = Arc::new(());
        seen = Arc::downgrade(&alive);
        asks.extensions_mut().insert(alive);
        read(service.clone().oneshot(asks).await.unwrap()).await;
    }
    setup.shadows(3).await;
    assert!(seen.upgrade().is_none(), "a shadow keeps nothing of its caller's connection");
}

#[tokio::test(start_paused = true)]
async fn a_shadow_is_of_what_callers_get_under_other_plans_which_never_act_on_it() {
    let in_layer = |layer: &str, mut plan: Plan| {
        plan.exposure.layer = Some(layer.to_owned());
        Arc::new(plan)
    };
    for mirror in [None, Some("next")] {
        let next = Candidate { name: Some("next".into()), address: Uri::from_static(MIRROR) };
        let rack = Rack::new(Limits::default()).with_candidates([next]);
        let service = service_fn(|request: Asked| async move {
            request.into_body().collect().await.unwrap();
            Ok::<_, Infallible>(answer(ANSWER))
        });
        let service = ShadowLayer::new(rack.clone()).layer(RackLayer::new(rack.clone()).layer(service));
        let one = rack.arm(in_layer("one", shadow_plan(&[MISLABEL], mirror)), TTL).unwrap();
        let same = r#"{"mislabel": {"rate": "100%", "to": "1"}}"#;
        let other = rack.arm(in_layer("other", plan(&[same])), TTL).unwrap();
        let ones = ANSWER.replace("[2, 1]", "[1, 1]");
        assert_eq!(read(service.oneshot(request("a")).await.unwrap()).await, ones);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let [one, other] = [one, other].map(|lease| rack.evidence(lease).unwrap().phases[0].clone());
        let seen = one.shadow.unwrap();
        assert_eq!((seen.pairs, seen.relabelled, &seen.confusion["1"]["2"]), (1, 2, &2), "{mirror:?}");
        assert_eq!((other.treated.requests(), other.faults[0].perturbed), (1, 1), "{mirror:?}");
    }
}
