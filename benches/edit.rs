//! How fast bodies are edited, beside a parse and print of the same bytes and beside a copy of them.
//!
//! `cargo bench --bench edit` prints bytes per second. `edit` is what the layer does to a buffered body: find
//! every value, change one in ten (`every` changes them all), and write the body anew. `serde_json` parses into
//! `serde_json::Value`, changes as many numbers, and prints. `copy` is a `memcpy` into a new allocation.

use std::hint::black_box;

use canard::wire::{Codec, Head, Outputs, Protocol, Value};
use divan::{Bencher, counter::BytesCount};
use http::{HeaderMap, HeaderName, HeaderValue};

fn main() {
    divan::main();
}

const MEGABYTE: usize = 1 << 20;

/// Scores that look like scores: seven digits, none of them round.
fn score(index: usize) -> f32 {
    let draw = (index as u32).wrapping_mul(2_654_435_761) >> 8;
    draw as f32 / (1 << 24) as f32
}

/// A response with one `FP32` tensor of ten classes, 1 MB of JSON.
fn json() -> (HeaderMap, Vec<u8>) {
    let rows = MEGABYTE / 105;
    let data: Vec<String> = (0..rows * 10).map(|index| format!("{:?}", score(index))).collect();
    let head = r#""name":"probabilities","datatype":"FP32""#;
    let body = format!(
        r#"{{"model_name":"m","outputs":[{{{head},"shape":[{rows},10],"data":[{}]}}]}}"#,
        data.join(",")
    );
    (HeaderMap::new(), body.into_bytes())
}

/// The same with the tensor in binary form, 1 MB of numbers.
fn binary() -> (HeaderMap, Vec<u8>) {
    let rows = MEGABYTE / 40;
    let head = r#""name":"probabilities","datatype":"FP32""#;
    let size = rows * 40;
    let json = format!(
        r#"{{"model_name":"m","outputs":[{{{head},"shape":[{rows},10],"parameters":{{"binary_data_size":{size}}}}}]}}"#
    );
    let name = HeaderName::from_static("inference-header-content-length");
    let headers = [(name, HeaderValue::from(json.len()))].into_iter().collect();
    let mut body = json.into_bytes();
    (0..rows * 10).for_each(|index| body.extend(score(index).to_le_bytes()));
    (headers, body)
}

/// Changes one value in `step`.
fn edit(codec: &dyn Codec, headers: &HeaderMap, body: &[u8], step: usize) -> Vec<u8> {
    let reading = codec.read(Head { path: "/v2/models/m/infer", headers }, body).expect("a prediction");
    let mut answer = reading.answer();
    for value in answer.rows.iter_mut().flat_map(|row| &mut row.scores).step_by(step) {
        if let Value::Float(score) = value {
            *score = 1.0 - *score;
        }
    }
    reading.splice(body, &answer).expect("writable").expect("a value differs").body
}

fn measure(bencher: Bencher<'_, '_>, (headers, body): (HeaderMap, Vec<u8>), step: usize) {
    let codec = Protocol::OpenInference.codec(&Outputs::default());
    let bencher = bencher.counter(BytesCount::new(body.len()));
    bencher.bench_local(|| edit(codec.as_ref(), &headers, black_box(&body), step));
}

fn copy(bencher: Bencher<'_, '_>, body: Vec<u8>) {
    bencher.counter(BytesCount::new(body.len())).bench_local(|| black_box(&body).clone());
}

mod json_tensor {
    use super::*;

    #[divan::bench]
    fn edit_one_in_ten(bencher: Bencher<'_, '_>) {
        measure(bencher, json(), 10);
    }

    #[divan::bench]
    fn edit_every(bencher: Bencher<'_, '_>) {
        measure(bencher, json(), 1);
    }

    #[divan::bench]
    fn read_only(bencher: Bencher<'_, '_>) {
        let (headers, body) = json();
        let codec = Protocol::OpenInference.codec(&Outputs::default());
        let head = Head { path: "/v2/models/m/infer", headers: &headers };
        let bencher = bencher.counter(BytesCount::new(body.len()));
        bencher.bench_local(|| codec.read(head, black_box(&body)).expect("a prediction"));
    }

    #[divan::bench]
    fn serde_json(bencher: Bencher<'_, '_>) {
        let (_, body) = json();
        bencher.counter(BytesCount::new(body.len())).bench_local(|| {
            let mut tree: serde_json::Value = serde_json::from_slice(black_box(&body)).expect("JSON");
            let data = tree["outputs"][0]["data"].as_array_mut().expect("data");
            for value in data.iter_mut().step_by(10) {
                *value = (1.0 - value.as_f64().expect("a number")).into();
            }
            serde_json::to_vec(&tree).expect("JSON")
        });
    }

    #[divan::bench]
    fn memcpy(bencher: Bencher<'_, '_>) {
        copy(bencher, json().1);
    }
}

mod binary_tensor {
    use super::*;

    #[divan::bench]
    fn edit_one_in_ten(bencher: Bencher<'_, '_>) {
        measure(bencher, binary(), 10);
    }

    #[divan::bench]
    fn edit_every(bencher: Bencher<'_, '_>) {
        measure(bencher, binary(), 1);
    }

    #[divan::bench]
    fn memcpy(bencher: Bencher<'_, '_>) {
        copy(bencher, binary().1);
    }
}
