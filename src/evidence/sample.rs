//! Watching an exchange: a bounded copy of a response body, read after the caller has it.
//!
//! [`Watch`] goes along with one exchange, from the request's arrival to the last byte of its response, and
//! then gives a [`Sample`] to its [`Sink`]. It keeps cheap clones of the body's chunks and never holds one
//! back. When it is dropped before the end, the connection broke or the caller gave up, and the sample says
//! so. What the sink does with the sample is its own affair; nobody waits for it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::TextReading;
use crate::{
    exposure::Arm,
    wire::{Answer, Codec, Framer, Framing, Head, WireError, encoding::Encoding},
};

/// What a chunk counts on top of its bytes: one that is all but empty takes memory too.
pub(crate) const CHUNK_OVERHEAD: usize = 64;

/// What was seen of one exchange.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The request's method.
    pub method: Method,
    /// The request's target.
    pub uri: Uri,
    /// The status; `None` when there was no response. A gRPC call that failed under HTTP 200 has the HTTP
    /// status that stands for its code.
    pub status: Option<StatusCode>,
    /// Did the whole response pass? If not, the connection broke or the caller gave up.
    pub whole: bool,
    /// From the request's arrival to the end of the response.
    pub latency: Duration,
    /// Which side the unit was on, if a plan was armed.
    pub arm: Option<Arm>,
    /// The version that the unit has, if a release is rehearsed.
    pub version: Option<Arc<str>>,
    /// Headers of the response; empty unless its body was kept.
    pub headers: HeaderMap,
    /// The body as sent, or why it was not kept.
    pub body: Result<Vec<Bytes>, Unread>,
    /// When each piece of the kept body had passed, from the request's arrival.
    pub passed: Vec<Duration>,
}

/// Why a body was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unread {
    /// Nobody asked for it.
    NotKept,
    /// It grew over the limit.
    TooLarge,
}

impl Sample {
    /// The predictions of the response, of all its messages if it is a stream; decoding stops at `limit` bytes.
    ///
    /// # Errors
    /// If the body was not kept, did not arrive whole, or is not what the protocol says.
    pub fn predictions(&self, codec: &dyn Codec, limit: usize) -> Result<Answer, WireError> {
        let chunks = match &self.body {
            Ok(chunks) if self.whole => chunks,
            Err(Unread::TooLarge) => return Err(WireError::TooLarge { limit }),
            Ok(_) | Err(Unread::NotKept) => return Err(WireError::NoPrediction),
        };
        let joined = joined(chunks);
        let head = Head { path: self.uri.path(), headers: &self.headers };
        let body = match Encoding::of(&self.headers)? {
            Encoding::Identity => joined,
            coding => coding.decode(&joined, limit)?.into(),
        };
        match codec.framing(head) {
            Framing::Whole => codec.read(head, &body).map(|reading| reading.answer()),
            framing => of_messages(codec, head, framing, body, limit),
        }
    }
}

fn joined(chunks: &[Bytes]) -> Bytes {
    match chunks {
        [one] => one.clone(),
        many => many.concat().into(),
    }
}

/// The predictions of all the messages of a stream that hold any.
fn of_messages(
    codec: &dyn Codec,
    head: Head<'_>,
    framing: Framing,
    body: Bytes,
    limit: usize,
) -> Result<Answer, WireError> {
    let messages =
        if framing == Framing::Grpc { Encoding::of_messages(head.headers)? } else { Encoding::Identity };
    let mut framer = Framer::new(framing, limit).with_messages(messages);
    framer.push(body);
    let (mut answer, mut refused) = (None::<Answer>, None);
    while let Some(chunk) = framer.next() {
        match chunk.and_then(|chunk| codec.read(head, chunk.payload())) {
            Ok(reading) => match &mut answer {
                None => answer = Some(reading.answer()),
                Some(answer) => answer.rows.extend_from_slice(reading.rows()),
            },
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    answer.ok_or(refused.unwrap_or(WireError::NoPrediction))
}

impl Sample {
    /// The generated text of the response, as sizes and times; decoding stops at `limit` bytes. A stream that
    /// was compressed tells no times between its tokens.
    ///
    /// # Errors
    /// If the body was not kept, did not arrive whole, or is no generated text.
    pub fn text(&self, codec: &dyn Codec, limit: usize) -> Result<TextReading, WireError> {
        let Ok(chunks) = self.body.as_ref().map_err(|_| ()) else { return Err(WireError::NoPrediction) };
        if !self.whole {
            return Err(WireError::NoPrediction);
        }
        let head = Head { path: self.uri.path(), headers: &self.headers };
        let coding = Encoding::of(&self.headers)?;
        if coding == Encoding::Identity {
            let timed = chunks.iter().cloned().zip(self.passed.iter().copied().map(Some));
            return TextReading::read(codec, head, timed, limit);
        }
        let plain = Bytes::from(coding.decode(&chunks.concat(), limit)?);
        TextReading::read(codec, head, [(plain, None)], limit)
    }
}

impl Sample {
    /// The body as it was sent; empty if it was not kept.
    pub(crate) fn joined(&self) -> Bytes {
        self.body.as_deref().map(joined).unwrap_or_default()
    }

    /// Bytes of memory that the kept body takes.
    pub(crate) fn kept(&self) -> usize {
        let taken = |chunks: &Vec<Bytes>| chunks.iter().map(|chunk| chunk.len() + CHUNK_OVERHEAD).sum();
        self.body.as_ref().map_or(0, taken)
    }
}

/// A bounded copy of a body on its way.
#[derive(Debug)]
pub(crate) struct Copied {
    chunks: Result<Vec<Bytes>, Unread>,
    /// Bytes that passed, kept or not.
    seen: u64,
    limit: usize,
}

impl Copied {
    /// Keeps up to so many bytes.
    pub(crate) const fn up_to(limit: usize) -> Copied {
        Copied { chunks: Ok(Vec::new()), seen: 0, limit }
    }

    const fn nothing() -> Copied {
        Copied { chunks: Err(Unread::NotKept), seen: 0, limit: 0 }
    }

    /// Notes what passes; is it kept?
    pub(crate) fn pass(&mut self, data: &Bytes) -> bool {
        if data.is_empty() {
            return false;
        }
        self.seen += data.len() as u64;
        let Ok(chunks) = &mut self.chunks else { return false };
        // A body in one piece may be as large as the limit.
        if self.seen + (chunks.len() * CHUNK_OVERHEAD) as u64 > self.limit as u64 {
            self.chunks = Err(Unread::TooLarge);
            return false;
        }
        chunks.push(data.clone());
        true
    }

    /// What was kept.
    ///
    /// # Errors
    /// Why nothing was.
    pub(crate) fn joined(&self) -> Result<Bytes, Unread> {
        self.chunks.as_deref().map(joined).map_err(|unread| *unread)
    }
}

/// Takes samples. Called when an exchange is over, on the task that served it: be quick.
pub trait Sink {
    /// Takes one.
    fn take(&self, sample: Sample);
}

impl<F: Fn(Sample)> Sink for F {
    fn take(&self, sample: Sample) {
        self(sample);
    }
}

/// Goes along with one exchange and tells its sink how it ended.
#[derive(Debug)]
pub struct Watch<K: Sink> {
    sink: K,
    started: Instant,
    method: Method,
    uri: Uri,
    status: Option<StatusCode>,
    arm: Option<Arm>,
    version: Option<Arc<str>>,
    headers: HeaderMap,
    kept: Copied,
    passed: Vec<Duration>,
    expected: Option<u64>,
    whole: bool,
}

impl<K: Sink> Watch<K> {
    /// Begins with a request, now.
    pub fn begin<B>(request: &Request<B>, sink: K) -> Watch<K> {
        Watch {
            sink,
            started: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            status: None,
            arm: None,
            version: None,
            headers: HeaderMap::new(),
            kept: Copied::nothing(),
            passed: Vec::new(),
            expected: None,
            whole: false,
        }
    }

    /// Who gets the sample.
    pub fn sink(&self) -> &K {
        &self.sink
    }

    /// The same, to be changed.
    pub fn sink_mut(&mut self) -> &mut K {
        &mut self.sink
    }

    /// The request's method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The request's target.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Notes the head of the response. `keep`: copy the body, up to so many bytes.
    pub fn respond<R: Body>(&mut self, response: &Response<R>, arm: Option<Arm>, keep: Option<usize>) {
        self.status = Some(grpc_failure(response.headers()).unwrap_or(response.status()));
        self.arm = arm;
        self.expected = response.body().size_hint().exact();
        let bodiless = self.method == Method::HEAD
            || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        self.whole = bodiless || response.body().is_end_stream();
        if let Some(limit) = keep {
            self.headers = response.headers().clone();
            self.kept = Copied::up_to(limit);
        }
    }

    /// Notes the version that the unit has in a release.
    pub fn of_version(&mut self, version: Option<Arc<str>>) {
        self.version = version;
    }

    /// Notes what a poll of the body gave. `ended`: the body says that nothing comes any more.
    pub fn polled<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>, ended: bool) {
        match frame {
            None => self.whole = true,
            Some(Err(_)) => {}
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.keep(data);
                }
                if let Some(failure) = frame.trailers_ref().and_then(grpc_failure) {
                    self.status = Some(failure);
                }
                // A server that has written Content-Length bytes does not ask for the end.
                self.whole |= ended || self.expected.is_some_and(|all| self.kept.seen >= all);
            }
        }
    }

    /// Notes that a response without a head (a typed one) is there.
    pub(crate) fn succeed(&mut self) {
        self.status = Some(StatusCode::OK);
        self.whole = true;
    }

    /// Notes that the connection is to be broken: the response is not whole before all of it has passed.
    pub fn broke(&mut self) {
        self.whole = false;
    }

    fn keep(&mut self, data: &Bytes) {
        if self.kept.pass(data) {
            self.passed.push(self.started.elapsed());
        } else if self.kept.chunks.is_err() {
            self.passed = Vec::new();
        }
    }
}

/// The HTTP status that stands for a failed gRPC call (the codes of `google.rpc.Code`).
fn grpc_failure(headers: &HeaderMap) -> Option<StatusCode> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let status = match code {
        0 => return None,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500_u16,
    };
    StatusCode::from_u16(status).ok()
}

impl<K: Sink> Drop for Watch<K> {
    fn drop(&mut self) {
        self.sink.take(Sample {
            method: std::mem::take(&mut self.method),
            uri: std::mem::take(&mut self.uri),
            status: self.status,
            whole: self.whole,
            latency: self.started.elapsed(),
            arm: self.arm,
            version: self.version.take(),
            headers: std::mem::take(&mut self.headers),
            body: std::mem::replace(&mut self.kept, Copied::nothing()).chunks,
            passed: std::mem::take(&mut self.passed),
        });
    }
}

pin_project! {
    /// A response body that is watched on its way.
    #[derive(Debug)]
    pub struct SampledBody<B, K: Sink> {
        #[pin]
        body: B,
        watch: Option<Watch<K>>,
    }
}

impl<B, K: Sink> SampledBody<B, K> {
    /// Watches a body (`watch` has noted its head), or lets it pass unwatched.
    pub fn new(body: B, watch: Option<Watch<K>>) -> SampledBody<B, K> {
        SampledBody { body, watch }
    }
}

impl<B, K> Body for SampledBody<B, K>
where
    B: Body,
    K: Sink,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx)).map(|frame| frame.map(as_bytes));
        if let Some(watch) = this.watch {
            watch.polled(frame.as_ref(), this.body.is_end_stream());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The same frame with its data as [`Bytes`]; no copy when they are that already.
pub(crate) fn as_bytes<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

#[cfg(test)]
mod tests;
