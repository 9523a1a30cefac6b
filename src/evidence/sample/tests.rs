use std::sync::Mutex;

use http_body_util::{BodyExt, Full};

use super::*;

fn watched(body: &'static str, keep: Option<usize>, read: bool) -> Sample {
    let samples = Mutex::new(Vec::new());
    {
        let sink = |sample| samples.lock().unwrap().push(sample);
        let mut watch = Watch::begin(&Request::post("/v2/models/iris/infer").body(()).unwrap(), sink);
        let response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
        watch.respond(&response, Some(Arm::Control), keep);
        let body = SampledBody::new(response.into_body(), Some(watch));
        if read {
            tokio_test::block_on(body.collect()).unwrap();
        }
    }
    samples.into_inner().unwrap().pop().unwrap()
}

#[test]
fn a_whole_body_is_kept() {
    let sample = watched("abc", Some(3), true);
    assert!(sample.whole);
    assert_eq!(sample.status, Some(StatusCode::OK));
    assert_eq!(sample.body.unwrap().concat(), b"abc");
}

#[test]
fn a_body_over_the_limit_is_not_kept() {
    assert_eq!(watched("abc", Some(2), true).body, Err(Unread::TooLarge));
    assert_eq!(watched("abc", None, true).body, Err(Unread::NotKept));
}

#[test]
fn tiny_chunks_count_for_the_memory_that_they_take() {
    let samples = Mutex::new(Vec::new());
    for piece in [&b""[..], b"x"] {
        let sink = |sample: Sample| samples.lock().unwrap().push(sample.body.map(|chunks| chunks.len()));
        let mut watch = Watch::begin(&Request::new(()), sink);
        watch.respond(&Response::new(Full::new(Bytes::new())), None, Some(1 << 10));
        let frame = Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(piece)));
        (0..1000).for_each(|_| watch.polled(Some(&frame), false));
    }
    assert_eq!(samples.into_inner().unwrap(), [Ok(0), Err(Unread::TooLarge)]);
}

#[test]
fn a_dropped_body_is_broken_unless_it_was_empty() {
    assert!(!watched("abc", Some(9), false).whole);
    assert!(watched("", Some(9), false).whole);
}
