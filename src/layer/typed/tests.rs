use std::{convert::Infallible, time::Duration};

use tower::{ServiceExt, service_fn};

use super::*;
use crate::{layer::tests::plan, wire::Value};

#[derive(Debug, Clone, PartialEq)]
struct Answer(i64);

impl Predictions for Answer {
    fn rows(&self) -> Vec<Row> {
        vec![Row { label: Some(Value::Int(self.0)), scores: Vec::new() }]
    }

    fn set_rows(&mut self, rows: &[Row]) {
        if let Some(Value::Int(class)) = rows[0].label {
            self.0 = class;
        }
    }
}

fn armed(faults: &[&str]) -> Handle {
    let handle = Handle::default();
    handle.arm(Arc::new(plan(faults)), Duration::from_secs(30)).unwrap();
    handle
}

async fn ask(handle: &Handle, id: u32) -> Answer {
    let layer = PredictionLayer::new(handle.clone(), |id: &u32| Identity::of(id.to_string()));
    layer.layer(service_fn(async |_: u32| Ok::<_, Infallible>(Answer(1)))).oneshot(id).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn predictions_are_edited_delayed_and_recorded() {
    let handle = armed(&[
        r#"{"corrupt": {"with": "null", "rate": "0%"}}"#,
        r#"{"mislabel": {"rate": "100%", "to": "0"}}"#,
        r#"{"latency": {"fixed": "250ms", "when": "after"}}"#,
    ]);
    let start = Instant::now();
    assert_eq!(ask(&handle, 1).await, Answer(0));
    assert_eq!(start.elapsed().as_millis(), 250);
    let phase = &handle.evidence().unwrap().phases[0];
    assert_eq!(phase.treated.labels, [("0".to_owned(), 1)].into());
    assert_eq!(phase.treated.statuses, [(200, 1)].into());
    assert_eq!((phase.faults[1].perturbed, phase.faults[1].predictions), (1, 1));
    assert_eq!(handle.ledger().lines()[0].change, "1 prediction");
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_wire_is_skipped_and_disarmed_nothing_happens() {
    let handle = armed(&[r#"{"error": {"status": 503}}"#, r#"{"reset": {}}"#]);
    assert_eq!(ask(&handle, 1).await, Answer(1));
    for fault in &handle.evidence().unwrap().phases[0].faults {
        assert_eq!(fault.skipped, [("not-typed".to_owned(), 1)].into());
    }
    handle.stop();
    assert_eq!(ask(&handle, 1).await, Answer(1));
    assert_eq!(handle.evidence().unwrap().phases[0].treated.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_condition_over_http_requests_leaves_all_alone() {
    let mut plan = plan(&[r#"{"mislabel": {"rate": "100%", "to": "0"}}"#]);
    plan.target.when = crate::scenario::Condition::compile(r#"request.path.startsWith("/v2/")"#).unwrap();
    let handle = Handle::default();
    handle.arm(Arc::new(plan), Duration::from_secs(30)).unwrap();
    assert_eq!(ask(&handle, 1).await, Answer(1));
    let evidence = handle.evidence().unwrap();
    assert_eq!(evidence.not_assigned, [("not-typed".to_owned(), 1)].into());
    assert_eq!(evidence.phases[0].treated.requests(), 0);
}

/// Without a timer of its own this would panic, had it to sleep for nothing.
#[test]
fn without_a_delay_no_timer_is_needed() {
    let handle = Handle::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    handle
        .arm(Arc::new(plan(&[r#"{"mislabel": {"rate": "100%", "to": "0"}}"#])), Duration::from_secs(30))
        .unwrap();
    assert_eq!(runtime.block_on(ask(&handle, 1)), Answer(0));
}

#[tokio::test(start_paused = true)]
async fn a_hang_holds_until_it_is_over() {
    let handle = armed(&[r#"{"hang": {"for": "4s"}}"#]);
    let start = Instant::now();
    ask(&handle, 1).await;
    assert_eq!(start.elapsed().as_secs(), 4);
}
