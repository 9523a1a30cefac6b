//! Streams on their way through editors, on a paused clock.

use std::{io, sync::Arc};

use http::{Method, Request};
use proptest::prelude::*;
use tokio::{sync::mpsc, time::Instant};

use super::*;
use crate::{
    draw::UnitHash,
    exposure::Assignment,
    fault::{Edited, Piece, Step, StreamEdit},
    layer::{
        Handle, LeaseId, Limits,
        rows::{RowEdits, Side},
        tests::{ChannelBody, TTL, plan},
        victim::{Rule, Victim},
    },
    wire::{
        Codec, ErrorResponse, Failure, Format, Generation, Head, Moment, Part, Reading, Role, Slot, Value,
        encoding::Encoder,
    },
};

/// Every payload in quotation marks is a text.
#[derive(Debug)]
struct Quotes;

impl Codec for Quotes {
    fn is_prediction(&self, _: &Method, _: &str) -> bool {
        true
    }
    fn model<'a>(&self, _: &'a str) -> Option<&'a str> {
        None
    }
    fn read(&self, _: Head<'_>, _: &[u8]) -> Result<Reading, WireError> {
        Err(WireError::NoPrediction)
    }
    fn generation(&self, _: Head<'_>, payload: &[u8]) -> Result<Generation, WireError> {
        let text: String = serde_json::from_slice(payload).map_err(|_| WireError::NoPrediction)?;
        let slot = Slot { span: 0..payload.len(), format: Format::Double };
        let part = Part { role: Role::Text, text: 0, repeats: false, value: Value::Text(text), slot };
        Ok(Generation { moment: Moment::Delta, parts: vec![part] })
    }
    fn error(&self, _: &str, failure: &Failure) -> ErrorResponse {
        ErrorResponse::new(failure.status, "text/plain", failure.message.clone())
    }
}

/// An editor made of a closure, which tells what goes out in a piece's place.
struct Edit<F> {
    piece: F,
    held: Vec<Piece>,
    changed: usize,
}

impl<F: FnMut(Piece, &mut Vec<Piece>, &mut Vec<Step>) -> usize + Send> StreamEdit for Edit<F> {
    fn piece(&mut self, piece: Piece, out: &mut Vec<Step>) {
        self.changed += (self.piece)(piece, &mut self.held, out);
    }
    fn end(&mut self, out: &mut Vec<Step>) {
        out.extend(self.held.drain(..).map(Step::Send));
    }
    fn edited(&self) -> Edited {
        Edited { changed: self.changed, unfit: None }
    }
}

fn edit<F>(piece: F) -> Box<dyn StreamEdit>
where
    F: FnMut(Piece, &mut Vec<Piece>, &mut Vec<Step>) -> usize + Send + 'static,
{
    Box::new(Edit { piece, held: Vec::new(), changed: 0 })
}

/// Writes texts in capitals.
fn shout() -> Box<dyn StreamEdit> {
    edit(|mut piece, _, out| {
        let text = piece.parts().first().map(|part| part.value.clone());
        let Some(Value::Text(text)) = text else {
            out.push(Step::Send(piece));
            return 0;
        };
        piece.set(0, Value::Text(text.to_uppercase()));
        out.push(Step::Send(piece));
        1
    })
}

/// Holds the last piece back until the next one comes.
fn lag() -> Box<dyn StreamEdit> {
    edit(|piece, held, out| {
        out.extend(held.drain(..).map(Step::Send));
        held.push(piece);
        0
    })
}

/// Waits a second before each piece.
fn slow() -> Box<dyn StreamEdit> {
    edit(|piece, _, out| {
        out.extend([Step::Wait(Duration::from_secs(1)), Step::Send(piece)]);
        1
    })
}

/// Lets two pieces pass, and then does something else.
fn after_two(step: fn() -> Step) -> Box<dyn StreamEdit> {
    let mut passed = 0;
    edit(move |piece, _, out| {
        passed += 1;
        out.push(if passed <= 2 { Step::Send(piece) } else { step() });
        usize::from(passed == 3)
    })
}

type Frames = mpsc::Sender<Result<Frame<Bytes>, io::Error>>;

struct Scene {
    handle: Handle,
    lease: LeaseId,
    frames: Option<Frames>,
    stream: Stream<ChannelBody>,
    abort: Abort,
}

impl Scene {
    fn new(edits: Vec<Box<dyn StreamEdit>>) -> Scene {
        Scene::with(edits, Framing::Sse, Encoding::Identity, Limits::default())
    }

    fn with(edits: Vec<Box<dyn StreamEdit>>, framing: Framing, coding: Encoding, limits: Limits) -> Scene {
        let handle = Handle::new(limits);
        let mut plan = plan(&[r#"{"hang": {}}"#, r#"{"hang": {}}"#]);
        plan.target.codec = Arc::new(Quotes);
        let lease = handle.arm(Arc::new(plan), TTL).unwrap();
        let armed = handle.in_force().unwrap();
        let unit = UnitHash::from_u64(7);
        let assignment = Assignment::of(&armed.plan.exposure, armed.holdout, unit);
        let victim = Victim::new(armed, 0, Duration::ZERO, &assignment, unit, None);
        let rules = (0..).map(|index| Rule { phase: 0, index });
        let chain = Chain::of(&victim, rules.zip(edits).collect());
        let rows = RowEdits::open(&victim, Side::Response, []);
        let request = Request::new(());
        let head = Head { path: "/chat", headers: request.headers() };
        let pipeline = Pipeline::new(victim, head, framing, rows, chain);
        let (frames, receiver) = mpsc::channel(4096);
        let abort = Abort::new();
        let upstream = Replay::new(ChannelBody(receiver));
        let stream = Stream::new(upstream, coding, pipeline, Some(abort.clone()));
        Scene { handle, lease, frames: Some(frames), stream, abort }
    }

    fn send(&self, bytes: impl Into<Bytes>) {
        self.frames.as_ref().unwrap().try_send(Ok(Frame::data(bytes.into()))).unwrap();
    }

    fn close(&mut self) {
        self.frames = None;
    }

    async fn frame(&mut self) -> Option<Result<Frame<Bytes>, StreamError<io::Error>>> {
        std::future::poll_fn(|cx| self.stream.poll_frame(cx)).await
    }

    /// The next piece of data, as text.
    async fn text(&mut self) -> String {
        let data = self.frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(data.to_vec()).unwrap()
    }

    /// What passes without waiting.
    async fn now(&mut self) -> Option<String> {
        tokio::select! { biased; text = self.text() => Some(text), () = std::future::ready(()) => None }
    }

    /// All that is still to come.
    async fn rest(&mut self) -> (Vec<u8>, Option<HeaderMap>, Option<StreamError<io::Error>>) {
        let (mut data, mut trailers) = (Vec::new(), None);
        loop {
            match self.frame().await {
                None => return (data, trailers, None),
                Some(Err(error)) => return (data, trailers, Some(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(more) => data.extend_from_slice(&more),
                    Err(frame) => trailers = frame.into_trailers().ok(),
                },
            }
        }
    }

    /// What the ledger and the counters say of the first editor, once the body is over.
    fn record(self) -> (Vec<String>, Vec<String>) {
        let handle = self.handle.clone();
        drop(self);
        let skipped = handle.evidence().unwrap().phases[0].faults[0].skipped.keys().cloned().collect();
        (handle.ledger().lines().into_iter().map(|line| line.change).collect(), skipped)
    }
}

fn events(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("data: \"{text}\"\n\n")).collect()
}

#[tokio::test(start_paused = true)]
async fn each_piece_goes_out_as_soon_as_it_is_whole() {
    let mut scene = Scene::new(vec![shout()]);
    scene.send("data: \"a\"\r\n\r\n: ping\n\nda");
    assert_eq!(scene.text().await, "data: \"A\"\r\n\r\n");
    assert_eq!(scene.text().await + &scene.text().await, ": ping\n\n");
    assert_eq!(scene.now().await, None);
    scene.send("ta: \"b\"\n\n");
    assert_eq!(scene.text().await, events(&["B"]));
    scene.send("data: incomplete");
    scene.close();
    assert_eq!(scene.rest().await.0, b"data: incomplete");
    assert_eq!(scene.record(), (vec!["2 edits".to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_goes_out_before_the_end_the_trailers_and_an_error() {
    let mut scene = Scene::new(vec![lag(), shout()]);
    scene.send(events(&["a", "b"]));
    let mut trailers = HeaderMap::new();
    trailers.insert("x-took", "3".parse().unwrap());
    scene.frames.as_ref().unwrap().try_send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    let (data, came, error) = scene.rest().await;
    assert_eq!((data, came), (events(&["A", "B"]).into(), Some(trailers)));
    assert!(error.is_none());

    let mut scene = Scene::new(vec![lag(), shout()]);
    scene.send(events(&["a"]));
    scene.frames.as_ref().unwrap().try_send(Err(io::Error::other("gone"))).unwrap();
    let (data, _, error) = scene.rest().await;
    assert_eq!(data, events(&["A"]).as_bytes());
    assert!(matches!(error, Some(StreamError::Upstream(error)) if error.to_string() == "gone"));
}

#[tokio::test(start_paused = true)]
async fn a_wait_sleeps_and_the_upstream_is_not_asked_meanwhile() {
    let mut scene = Scene::new(vec![slow()]);
    scene.send(events(&["a", "b"]));
    let start = Instant::now();
    assert_eq!(scene.text().await, events(&["a"]));
    assert_eq!(start.elapsed().as_secs(), 1);
    scene.send("never asked for yet");
    assert_eq!(scene.now().await, None);
    assert_eq!(scene.frames.as_ref().unwrap().capacity(), 4095, "the second frame is not taken");
    assert_eq!(scene.text().await, events(&["b"]));
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn disarmed_the_rest_passes_as_it_comes_and_at_once() {
    let mut scene = Scene::new(vec![shout(), slow()]);
    scene.send(events(&["a", "b"]));
    let (handle, lease, start) = (scene.handle.clone(), scene.lease, Instant::now());
    let disarm = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        handle.disarm(lease).unwrap();
    };
    let ((), first) = tokio::join!(disarm, scene.text());
    assert_eq!((first, start.elapsed().as_millis()), (events(&["A"]), 300));
    assert_eq!(scene.text().await, events(&["b"]), "not edited any more");
    scene.send("no event at all");
    assert_eq!(scene.text().await, "no event at all");
    assert_eq!(start.elapsed().as_millis(), 300);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_goes_out_when_the_lease_is_over_though_the_upstream_says_nothing() {
    let mut scene = Scene::new(vec![lag()]);
    scene.send(events(&["a"]));
    let start = Instant::now();
    assert_eq!(scene.text().await, events(&["a"]));
    assert_eq!(start.elapsed(), TTL);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_early_and_well() {
    for framing in [Framing::Sse, Framing::Grpc] {
        let limits = Limits::default();
        let mut scene =
            Scene::with(vec![after_two(|| Step::End), lag()], framing, Encoding::Identity, limits);
        let sent = match framing {
            Framing::Grpc => b"\0\0\0\0\x03\"a\"".repeat(4),
            _ => events(&["a", "a", "a", "a"]).into_bytes(),
        };
        scene.send(sent.clone());
        let (data, trailers, error) = scene.rest().await;
        assert_eq!(data, sent[..sent.len() / 2], "what the later fault held came first");
        assert!(error.is_none());
        let status = trailers.map(|trailers| trailers["grpc-status"].clone());
        assert_eq!(status.is_some_and(|status| status == "0"), framing == Framing::Grpc);
        assert!(scene.frames.as_ref().unwrap().is_closed(), "the upstream is told to stop");
        assert_eq!(scene.record().0, ["1 edit"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_breaks() {
    let mut scene = Scene::new(vec![after_two(|| Step::Break)]);
    scene.send(events(&["a", "b", "c"]));
    let (data, _, error) = scene.rest().await;
    assert_eq!(data, events(&["a", "b"]).as_bytes());
    assert!(matches!(error, Some(StreamError::Cut)));
    assert!(scene.abort.is_aborted());
    assert!(scene.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_coded_stream_is_coded_again_piece_by_piece() {
    let mut scene = Scene::with(vec![shout()], Framing::Sse, Encoding::Gzip, Limits::default());
    let mut encoder = Encoder::new(Encoding::Gzip);
    let mut decoder = crate::wire::encoding::Decoder::new(Encoding::Gzip, 1000);
    for text in ["a", "b"] {
        scene.send(encoder.push(events(&[text]).as_bytes()));
        let data = scene.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(decoder.push(&data).unwrap(), events(&[&text.to_uppercase()]).into_bytes());
    }
    scene.send(encoder.finish());
    scene.close();
    let (data, ..) = scene.rest().await;
    assert_eq!(decoder.push(&data), Ok(vec![]));
    assert_eq!(decoder.finish(), Ok(vec![]), "whole");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_coded_as_it_says_passes_as_it_came() {
    let mut scene = Scene::with(vec![shout()], Framing::Sse, Encoding::Gzip, Limits::default());
    scene.send(events(&["a"]));
    scene.close();
    assert_eq!(scene.rest().await.0, events(&["a"]).as_bytes());
    assert_eq!(scene.record(), (vec![], vec!["malformed-body".to_owned()]));
}

/// What is decoded already can't pass as it came, so it is coded again, and what can't be decoded breaks the
/// stream, as it would have for the caller.
#[tokio::test(start_paused = true)]
async fn a_coding_that_breaks_after_a_good_beginning_breaks_the_stream() {
    let mut encoder = Encoder::new(Encoding::Gzip);
    let mut scene = Scene::with(vec![shout()], Framing::Sse, Encoding::Gzip, Limits::default());
    // Decoded, and kept, because no event is complete.
    scene.send(encoder.push(b"data: \"beginning"));
    assert_eq!(scene.now().await, None);
    scene.send(vec![0xff; 64]);
    scene.close();
    let (data, _, error) = scene.rest().await;
    assert!(matches!(error, Some(StreamError::Coding(_))), "{error:?}");
    let mut decoder = crate::wire::encoding::Decoder::new(Encoding::Gzip, 1000);
    assert_eq!(decoder.push(&data).unwrap(), b"data: \"beginning");
    assert_eq!(scene.record(), (vec![], vec!["malformed-body".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_chunk_over_the_limit_ends_the_edits() {
    let limits = Limits { body: 40, ..Limits::default() };
    let mut scene = Scene::with(vec![shout()], Framing::Sse, Encoding::Identity, limits);
    let long = events(&["a", &"b".repeat(50), "c"]);
    for piece in long.as_bytes().chunks(10) {
        scene.send(Bytes::copy_from_slice(piece));
    }
    scene.close();
    let (data, ..) = scene.rest().await;
    assert_eq!(String::from_utf8(data).unwrap(), long.replacen("\"a\"", "\"A\"", 1));
    assert_eq!(scene.record(), (vec!["1 edit".to_owned()], vec!["body-too-large".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_half_way_is_on_record() {
    let mut scene = Scene::new(vec![shout()]);
    scene.send(events(&["a", "b"]));
    scene.text().await;
    assert_eq!(scene.record(), (vec!["1 edit".to_owned()], vec![]));
    let mut scene = Scene::new(vec![shout()]);
    scene.send("data: 1\n\n");
    scene.close();
    assert_eq!(scene.rest().await.0, b"data: 1\n\n");
    assert_eq!(scene.record(), (vec![], vec!["no-prediction".to_owned()]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the network cuts a stream: pieces that nobody changes go out byte for byte.
    #[test]
    fn an_unchanged_stream_is_the_same(
        text in "(data: \"[a-z]{0,9}\"\r?\n|: c\n|\r?\n|[{}\",a-z:]{0,9})*",
        size in 1_usize..30,
        limit in 5_usize..200,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let limits = Limits { body: limit, ..Limits::default() };
            let mut scene = Scene::with(vec![lag(), lag()], Framing::Sse, Encoding::Identity, limits);
            for piece in text.as_bytes().chunks(size) {
                scene.send(Bytes::copy_from_slice(piece));
            }
            scene.close();
            assert_eq!(String::from_utf8(scene.rest().await.0).unwrap(), text);
        });
    }
}
