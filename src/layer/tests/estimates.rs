//! Faults that learn from the traffic, through the whole layer; groups are told by features.

use super::*;
use crate::scenario::{Source, compile};

const N: usize = 4_000;
/// Answers that only teach.
const LEARNT: usize = 1_000;

/// A scenario with this injection; half of the requests are treated.
fn arm(inject: &str) -> Handle {
    let text = format!(
        "name: estimates\nseed: 7\ntarget: {{ protocol: open-inference, labels: [a, b, c] }}\n\
         exposure: {{ share: 50% }}\nphases:\n  - name: broken\n    lasts: 10m\n    inject:\n      - {inject}\n"
    );
    let plan = compile(&Source::new("estimates.yaml", text)).unwrap();
    let handle = Handle::default();
    handle.arm(Arc::new(plan), Duration::from_secs(300)).unwrap();
    handle
}

/// What one request was told: its arm, and the class of each row.
struct Told {
    treated: bool,
    classes: Vec<usize>,
}

/// Sends a request with a row for each age; the model answers with `classes`.
async fn ask(handle: &Handle, id: usize, ages: &[f64], classes: &[usize]) -> Told {
    let rows = ages.len();
    let body = format!(
        r#"{{"inputs":[{{"name":"x","shape":[{rows},2],"datatype":"FP64","data":{:?}}}]}}"#,
        ages.iter().flat_map(|age| [*age, 1.5]).collect::<Vec<f64>>()
    );
    let said = format!(
        r#"{{"model_name":"m","outputs":[{{"name":"y","shape":[{rows}],"datatype":"INT64","data":{classes:?}}}]}}"#
    );
    let service = service_fn(|request: Request<RequestBody<Full<Bytes>>>| {
        let said = said.clone();
        async move {
            // A server reads what it is sent.
            request.into_body().collect().await.unwrap();
            Ok::<_, Infallible>(answer(said))
        }
    });
    let request = Request::post(INFER)
        .header("x-request-id", id.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(body))
        .unwrap();
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request).await.unwrap();
    let treated = response.extensions().get::<Exposed>().is_some_and(|exposed| exposed.arm == Arm::Treated);
    let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    let data = body["outputs"][0]["data"].as_array().unwrap().clone();
    Told { treated, classes: data.iter().map(|class| class.as_u64().unwrap() as usize).collect() }
}

/// A number below `n` that looks random.
fn spread(id: usize, n: usize) -> usize {
    (crate::draw::UnitHash::of(&id.to_le_bytes()).get() % n as u64) as usize
}

#[tokio::test(start_paused = true)]
async fn a_label_shift_reaches_its_mix() {
    let handle = arm("fault: { label-shift: { to: { a: 20%, b: 20%, c: 60% } } }");
    let (mut treated, mut control) = ([0; 3], [0; 3]);
    for id in 0..N {
        // 60 % a, 30 % b, 10 % c.
        let class = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2][spread(id, 10)];
        let told = ask(&handle, id, &[30.0], &[class]).await;
        if id >= LEARNT {
            let counts = if told.treated { &mut treated } else { &mut control };
            counts[told.classes[0]] += 1;
        }
    }
    let shares = |counts: [usize; 3]| counts.map(|n| n as f64 / counts.iter().sum::<usize>() as f64);
    for (seen, wanted) in [(shares(treated), [0.2, 0.2, 0.6]), (shares(control), [0.6, 0.3, 0.1])] {
        assert!(seen.iter().zip(wanted).all(|(seen, wanted)| (seen - wanted).abs() < 0.05), "{seen:?}");
    }
    assert!(fault(&handle).skipped["still-learning"] < 200);
}

#[tokio::test(start_paused = true)]
async fn a_parity_gap_is_that_of_its_group() {
    let handle = arm(
        "fault: { parity-gap: { group: 'features[0] >= 65', gap: 20%, positive: b, negative: a, compensate: true } }",
    );
    // Positives and rows, of the group and of the others.
    let mut seen = [[0; 2]; 2];
    let mut before = [[0; 2]; 2];
    for id in 0..N {
        let old = spread(id, 10) < 4;
        let positive = usize::from(spread(id + N, 10) < 5);
        let told = ask(&handle, id, &[if old { 70.0 } else { 40.0 }], &[positive]).await;
        if id >= LEARNT {
            let counts = if told.treated { &mut seen } else { &mut before };
            counts[usize::from(!old)][0] += told.classes[0];
            counts[usize::from(!old)][1] += 1;
        }
    }
    let rate = |[positive, rows]: [usize; 2]| positive as f64 / rows as f64;
    let gap = rate(seen[1]) - rate(seen[0]);
    assert!((gap - 0.2).abs() < 0.08, "{gap}");
    assert!((rate(before[1]) - rate(before[0])).abs() < 0.08);
    // The evidence measures the same, from the first answer on, and knows the model's own gap.
    let groups = fault(&handle).groups;
    let measured = |side: crate::evidence::Side| side.positive as f64 / side.seen as f64;
    let (control, treated) = (groups.control, groups.treated);
    assert_eq!([control, treated].map(|arm| arm.group.seen + arm.others.seen).iter().sum::<u64>(), N as u64);
    let gap = measured(treated.others) - measured(treated.group);
    assert!((gap - 0.2).abs() < 0.08, "{gap}");
    assert!((measured(control.others) - measured(control.group)).abs() < 0.08, "{control:?}");
    let overall = |counts: [[usize; 2]; 2]| rate([counts[0][0] + counts[1][0], counts[0][1] + counts[1][1]]);
    assert!((overall(seen) - overall(before)).abs() < 0.06);
}

#[tokio::test(start_paused = true)]
async fn where_tells_the_rows_of_a_batch_apart() {
    let handle = arm("{ fault: { mislabel: { rate: 100%, to: c } }, where: 'features[0] >= 65' }");
    let mut changed = 0;
    for id in 0..50 {
        let told = ask(&handle, id, &[70.0, 40.0, 65.0], &[0, 1, 1]).await;
        assert_eq!(told.classes, if told.treated { [2, 1, 2] } else { [0, 1, 1] });
        changed += usize::from(told.treated);
    }
    assert_eq!(fault(&handle).predictions as usize, 2 * changed);
    assert!(changed > 10);
}

#[tokio::test(start_paused = true)]
async fn names_in_the_body_tell_the_rows_of_a_batch_apart() {
    for (protocol, when, body, changed) in [
        (
            "mlflow",
            r#"features["age"] >= 65"#,
            r#"{"dataframe_split":{"columns":["income","age"],"data":[[1.0,70],[2.0,40],[3.0,65]]}}"#,
            [true, false, true],
        ),
        (
            "mlflow",
            r#"features["age"] >= 65"#,
            r#"{"dataframe_records":[{"age":40,"income":1.0},{"age":41,"income":2.0},{"age":66,"income":1.5}]}"#,
            [false, false, true],
        ),
        (
            "kserve-v1",
            "request.body.region == \"north\"",
            r#"{"region":"north","instances":[[1.0],[2.0],[3.0]]}"#,
            [true; 3],
        ),
        (
            "kserve-v1",
            "request.body.region == \"north\"",
            r#"{"region":"south","instances":[[1.0],[2.0],[3.0]]}"#,
            [false; 3],
        ),
    ] {
        let text = format!(
            "name: rows\nseed: 7\ntarget: {{ protocol: {protocol}, labels: [a, b, c] }}\nexposure: {{ share: 100% }}\nphases:\n  - name: broken\n    \
             lasts: 10m\n    inject:\n      - fault: {{ mislabel: {{ rate: 100%, to: c }} }}\n        where: '{when}'\n"
        );
        let plan = compile(&Source::new("rows.yaml", text)).unwrap_or_else(|errors| panic!("{errors}"));
        let handle = Handle::default();
        handle.arm(Arc::new(plan), Duration::from_secs(300)).unwrap();
        let service = service_fn(|request: Request<RequestBody<Full<Bytes>>>| async move {
            request.into_body().collect().await.unwrap();
            Ok::<_, Infallible>(answer(r#"{"predictions": [0, 1, 1]}"#))
        });
        let path = if protocol == "mlflow" { "/invocations" } else { "/v1/models/m:predict" };
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .unwrap();
        let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request).await.unwrap();
        let told: serde_json::Value = serde_json::from_str(&super::text(response).await).unwrap();
        let wanted: Vec<u64> =
            changed.iter().zip([0, 1, 1]).map(|(c, own)| if *c { 2 } else { own }).collect();
        assert_eq!(told["predictions"], serde_json::json!(wanted), "{when} {body} {:?}", fault(&handle));
    }
}
