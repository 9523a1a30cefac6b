//! The layer over scripted services, on a paused clock.

mod bodies;
mod edits;
mod estimates;
mod exposure;
mod faults;
mod infrastructure;
mod leases;
mod rack;
mod release;
mod shadow;
mod streams;
mod worse;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;
use crate::{
    draw::Key,
    evidence::{ArmEvidence, FaultEvidence, Ledger},
    exposure::Arm,
    fault::Fault,
    scenario::{Condition, Document, Exposure, Injection, Phase, Plan, Target},
    unit::Share,
    wire::{Labels, Outputs, Protocol},
};

const INFER: &str = "/v2/models/iris/infer";
const ANSWER: &str =
    r#"{"model_name":"iris","outputs":[{"name":"predict","shape":[2],"datatype":"INT64","data":[2, 1]}]}"#;

/// A plan of one phase of a minute, every request its own unit, everybody treated.
pub(in crate::layer) fn plan(faults: &[&str]) -> Plan {
    shared_plan(faults, Share::ALL)
}

fn shared_plan(faults: &[&str], share: Share) -> Plan {
    let document: Document = serde_json::from_str(
        r#"{"name": "test", "seed": 7, "target": {"protocol": "open-inference"}, "phases": []}"#,
    )
    .unwrap();
    let injections = faults.iter().enumerate().map(|(i, text)| {
        let fault: Fault = serde_json::from_str(text).unwrap();
        Injection {
            id: format!("broken/{}", fault.name()),
            mark: http::HeaderValue::from_str(&format!("test/{}", fault.name())).unwrap(),
            shape: crate::scenario::Shape::default(),
            only: None,
            group: None,
            share,
            for_group: None,
            of_release: false,
            key: Key::new(7, &format!("broken/{i}/{}", fault.name())),
            fault,
        }
    });
    Plan {
        target: Target {
            codec: document.target.protocol.codec(&Outputs::default()),
            protocol: document.target.protocol.clone(),
            labels: Labels::default(),
            when: Condition::default(),
        },
        exposure: Exposure::new(share, 7, "exposure/test"),
        release: None,
        traffic: None,
        phases: vec![
            Phase {
                name: "broken".into(),
                start: Duration::ZERO,
                end: Duration::from_secs(60),
                warm_up: false,
                share: None,
                injections: injections.collect(),
                expectations: Vec::new(),
            },
            Phase {
                name: "recovery".into(),
                start: Duration::from_secs(60),
                end: Duration::from_secs(120),
                warm_up: false,
                share: None,
                injections: Vec::new(),
                expectations: Vec::new(),
            },
        ],
        guards: Vec::new(),
        document,
    }
}

pub(in crate::layer) const TTL: Duration = Duration::from_secs(30);

fn armed(faults: &[&str]) -> (Handle, LeaseId) {
    let handle = Handle::default();
    let lease = handle.arm(Arc::new(plan(faults)), TTL).unwrap();
    (handle, lease)
}

fn request(id: &str) -> Request<Full<Bytes>> {
    Request::post(INFER).header("x-request-id", id).body(Full::from("{}")).unwrap()
}

fn answer(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let body = body.into();
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .body(Full::new(body))
        .unwrap()
}

/// Calls a layered service that answers with `ANSWER`; gives the response and how often it was asked.
async fn call(
    handle: &Handle,
    request: Request<Full<Bytes>>,
) -> (Response<ResponseBody<Full<Bytes>>>, usize) {
    let asked = AtomicUsize::new(0);
    let service = service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        asked.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, Infallible>(answer(ANSWER)) }
    });
    let response = ChaosLayer::new(handle.clone()).layer(service).oneshot(request).await.unwrap();
    (response, asked.into_inner())
}

async fn text<R>(response: Response<ResponseBody<R>>) -> String
where
    R: Body,
    R::Error: Into<BoxError>,
{
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn fault(handle: &Handle) -> FaultEvidence {
    handle.evidence().unwrap().phases[0].faults[0].clone()
}

fn treated(handle: &Handle) -> ArmEvidence {
    handle.evidence().unwrap().phases[0].treated.clone()
}

/// A body whose frames come when the test sends them.
pub(in crate::layer) struct ChannelBody(
    pub(in crate::layer) tokio::sync::mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>,
);

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx)
    }
}
