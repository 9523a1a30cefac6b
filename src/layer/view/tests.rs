//! The service view counts what callers saw.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::{
    exposure::Arm,
    layer::Exposed,
    wire::{Outputs, Protocol},
};

const ANSWER: &str =
    r#"{"model_name":"iris","outputs":[{"name":"predict","shape":[2],"datatype":"INT64","data":[2,0]}]}"#;

fn view(observe: bool, series: usize, queue: usize) -> View {
    View::new(ViewSettings {
        codec: Protocol::OpenInference.codec(&Outputs::default()),
        labels: Labels::new(["setosa", "versicolor", "virginica"].map(String::from)),
        observe,
        body: 1024,
        queue,
        series,
        payloads: None,
    })
}

async fn ask(layer: &ViewLayer, path: &str, status: StatusCode, arm: Option<Arm>) {
    let service = layer.layer(service_fn(async |_: Request<Tapped<Empty<Bytes>>>| {
        let mut response = Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes())));
        *response.status_mut() = status;
        if let Some(arm) = arm {
            response.extensions_mut().insert(Exposed { arm, version: None });
        }
        Ok::<_, std::convert::Infallible>(response)
    }));
    let response = service.oneshot(Request::post(path).body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    response.into_body().collect().await.unwrap();
}

const INFER: &str = "/v2/models/iris/infer";

#[tokio::test]
async fn requests_and_predictions_are_counted_by_arm() {
    let view = view(true, 100, 10);
    let (layer, reader) = view.layer();
    ask(&layer, INFER, StatusCode::OK, None).await;
    ask(&layer, INFER, StatusCode::OK, Some(Arm::Treated)).await;
    ask(&layer, "/v2/models/iris/versions/3/infer", StatusCode::SERVICE_UNAVAILABLE, Some(Arm::Treated))
        .await;
    ask(&layer, "/anything/else", StatusCode::NOT_FOUND, None).await;
    drop(layer);
    reader.run().await;

    let snapshot = view.snapshot();
    let durations: Vec<_> = snapshot
        .durations
        .iter()
        .map(|(k, d)| (k.route.as_str(), k.status, k.model.as_str(), k.arm, d.count()))
        .collect();
    assert_eq!(
        durations,
        [
            ("/v2/models/{model}/infer", 200, "iris", Arms::Treated, 1),
            ("/v2/models/{model}/infer", 200, "iris", Arms::Control, 1),
            ("/v2/models/{model}/versions/{version}/infer", 503, "iris", Arms::Treated, 1),
            ("other", 404, "", Arms::Control, 1),
        ]
    );
    let label = |label: &str, arm| PredictionKey {
        model: "iris".into(),
        label: label.into(),
        arm,
        version: String::new(),
    };
    assert_eq!(snapshot.predictions[&label("virginica", Arms::Control)], 1);
    assert_eq!(snapshot.predictions[&label("setosa", Arms::Treated)], 1);
    assert_eq!(snapshot.exposed[&Arms::Treated], 2);
}

#[tokio::test]
async fn versions_are_counted_apart_and_no_more_of_them_than_series() {
    let view = view(true, 3, 100);
    let (layer, reader) = view.layer();
    for number in 0..20 {
        let version = (number > 0).then(|| format!("v{number}").into());
        let service = layer.layer(service_fn(async |_: Request<Tapped<Empty<Bytes>>>| {
            let mut response = Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes())));
            response.extensions_mut().insert(Exposed { arm: Arm::Treated, version: version.clone() });
            Ok::<_, std::convert::Infallible>(response)
        }));
        let asks = Request::post(INFER).body(Empty::<Bytes>::new()).unwrap();
        service.oneshot(asks).await.unwrap().into_body().collect().await.unwrap();
    }
    drop(layer);
    reader.run().await;
    let snapshot = view.snapshot();
    let versions: Vec<&str> = snapshot.durations.keys().map(|key| key.version.as_str()).collect();
    assert_eq!(versions.len(), 4, "{versions:?}");
    assert!(versions.contains(&"") && versions.contains(&"v1"), "{versions:?}");
    assert_eq!(snapshot.durations.values().map(Durations::count).sum::<u64>(), 20);
    assert!(snapshot.predictions.keys().any(|key| key.version == "v1"));
    assert!(snapshot.predictions.len() <= 5, "{:?}", snapshot.predictions);
}

#[tokio::test]
async fn with_observe_off_nothing_is_read() {
    let view = view(false, 100, 10);
    let (layer, reader) = view.layer();
    ask(&layer, INFER, StatusCode::OK, None).await;
    drop(layer);
    reader.run().await;
    let snapshot = view.snapshot();
    assert_eq!(snapshot.durations.len(), 1);
    assert!(snapshot.predictions.is_empty() && snapshot.unread.is_empty());
}

#[tokio::test]
async fn what_the_queue_cannot_hold_is_counted_and_not_waited_for() {
    let view = view(true, 100, 1);
    let (layer, _reader) = view.layer();
    for _ in 0..3 {
        ask(&layer, INFER, StatusCode::OK, None).await;
    }
    assert_eq!(view.snapshot().unread["queue-full"], 2);
}

#[tokio::test]
async fn the_number_of_series_is_bounded() {
    let view = view(true, 3, 100);
    let (layer, reader) = view.layer();
    for model in 0..50 {
        ask(&layer, &format!("/v2/models/m{model}/infer"), StatusCode::OK, None).await;
    }
    drop(layer);
    reader.run().await;
    let snapshot = view.snapshot();
    assert_eq!(snapshot.durations.len(), 4);
    assert_eq!(snapshot.durations.values().map(Durations::count).sum::<u64>(), 50);
    assert!(snapshot.predictions.len() <= 4, "{:?}", snapshot.predictions);
    assert_eq!(snapshot.predictions.values().sum::<u64>(), 100);
}

#[tokio::test]
async fn an_exchange_that_nobody_finished_is_499() {
    let view = view(true, 100, 10);
    let (layer, _reader) = view.layer();
    let service = layer.layer(service_fn(|_: Request<Tapped<Empty<Bytes>>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, std::convert::Infallible>>()
    }));
    drop(service.oneshot(Request::post(INFER).body(Empty::<Bytes>::new()).unwrap()));
    let mut service = layer.layer(service_fn(|_: Request<Tapped<Empty<Bytes>>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, std::convert::Infallible>>()
    }));
    drop(tower::Service::call(&mut service, Request::post(INFER).body(Empty::<Bytes>::new()).unwrap()));
    let snapshot = view.snapshot();
    let (key, durations) = snapshot.durations.first_key_value().unwrap();
    assert_eq!((key.status, key.arm, durations.count()), (499, Arms::Unknown, 1));
}

#[tokio::test]
async fn features_of_a_grpc_call_are_those_of_its_first_message() {
    // `ModelInferRequest { inputs: [{ name: "x", datatype: "FP64", shape: [1, 2] }], raw_input_contents: [[1.5, 2.0]] }`
    let tensor = b"\x0a\x01x\x12\x04FP64\x1a\x02\x01\x02";
    let numbers = [1.5_f64.to_le_bytes(), 2.0_f64.to_le_bytes()].concat();
    let parts = [&[0x2a, tensor.len() as u8][..], tensor, &[0x3a, numbers.len() as u8], &numbers];
    let message = parts.concat();
    let body = [&[0, 0, 0, 0, message.len() as u8][..], &message].concat();
    let path = "/inference.GRPCInferenceService/ModelInfer";
    let request = Request::post(path).header("content-type", "application/grpc");
    let asked = payload::Asked::of(&request.body(Empty::<Bytes>::new()).unwrap(), 1024);
    let tapped = Tapped::new(Full::new(Bytes::from(body.clone())), Some(&asked));
    tapped.collect().await.unwrap();
    assert_eq!(asked.body().as_deref(), Ok(&body[..]));
    let codec = Protocol::OpenInference.codec(&Outputs::default());
    let features = asked.features(codec.as_ref(), path, &body).unwrap();
    assert_eq!(features.rows[0].scores, [crate::wire::Value::Float(1.5), crate::wire::Value::Float(2.0)]);
}
