//! Hostile bytes: no codec panics on them, and none takes more memory than a multiple of their number. What runs
//! are the entries of the fuzz targets, over bodies that were recorded, cut, mutated and made up.

use std::{fs, path::PathBuf};

use allocation_counter::measure;
use canard::wire::{
    WireError,
    encoding::{Decoder, Encoding},
};
use http::HeaderMap;
use proptest::prelude::*;

use super::entries;

/// Most memory that one byte of a body may cost: the smallest JSON value takes two bytes, and has an item, a row, a
/// place, and their copies in an edit.
const PER_BYTE: usize = 1024;
/// Tables that do not grow with the body.
const BASE: usize = 1 << 20;

/// The windows of the content codings, which a stream's first bytes may ask for: brotli's is 16 MiB at most.
const WINDOWS: usize = 20 << 20;

/// Runs an entry and looks at the peak of its memory.
fn bounded(data: &[u8], entry: fn(&[u8])) {
    bounded_beside(0, data, entry);
}

fn bounded_stream(data: &[u8]) {
    bounded_beside(WINDOWS, data, entries::streams);
}

fn bounded_beside(fixed: usize, data: &[u8], entry: fn(&[u8])) {
    let info = measure(|| entry(data));
    let most = fixed + BASE + PER_BYTE * data.len();
    assert!(info.bytes_max as usize <= most, "{} bytes for {}", info.bytes_max, data.len());
}

fn with_prefix(route: u8, head: u8, body: &[u8]) -> Vec<u8> {
    [&[route, head], body].concat()
}

/// Every recorded body, those of gRPC without their prefix.
fn recorded() -> Vec<Vec<u8>> {
    fn walk(path: PathBuf, bodies: &mut Vec<Vec<u8>>) {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            match path.extension() {
                _ if path.is_dir() => walk(path, bodies),
                Some(extension) if extension == "body" => {
                    let body = fs::read(&path).unwrap();
                    if path.to_string_lossy().contains("grpc-") && body.len() > 5 {
                        bodies.push(body[5..].to_vec());
                    }
                    bodies.push(body);
                }
                _ => {}
            }
        }
    }
    let mut bodies = Vec::new();
    walk(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire"), &mut bodies);
    assert!(bodies.len() > 100);
    bodies
}

/// A message of protobuf, more or less: fields of any number and kind, with lengths that may lie.
fn protobuf(depth: u32) -> BoxedStrategy<Vec<u8>> {
    let scalar = prop_oneof![
        (1_u8..16, prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(field, mut value)| {
            value.iter_mut().for_each(|byte| *byte |= 0x80);
            value.push(1);
            [&[field << 3], &value[..]].concat()
        }),
        (1_u8..16, any::<[u8; 4]>()).prop_map(|(field, value)| [&[field << 3 | 5], &value[..]].concat()),
        (1_u8..16, any::<[u8; 8]>()).prop_map(|(field, value)| [&[field << 3 | 1], &value[..]].concat()),
        (1_u8..9, "BOOL|INT64|FP32|BYTES|0.5:1:a")
            .prop_map(|(field, text)| { [&[field << 3 | 2, text.len() as u8], text.as_bytes()].concat() }),
    ];
    let field = if depth == 0 {
        scalar.boxed()
    } else {
        let nested = (1_u8..9, protobuf(depth - 1), prop::option::weighted(0.1, any::<u8>()));
        let nested = nested.prop_map(|(field, inner, lie)| {
            let length = lie.unwrap_or((inner.len() % 128) as u8) & 0x7f;
            [&[field << 3 | 2, length], &inner[..]].concat()
        });
        prop_oneof![1 => scalar, 2 => nested].boxed()
    };
    prop::collection::vec(field, 0..5).prop_map(|fields| fields.concat()).boxed()
}

/// JSON of the words that codecs look for.
fn json(depth: u32) -> BoxedStrategy<String> {
    let scalar = "-?[0-9]{1,3}|0\\.[0-9]{1,6}|NaN|-Infinity|null|true|\"(a|FP32|INT64|BYTES|BOOL|0\\.5:1:a|Qm9ubg==)\"";
    if depth == 0 {
        return scalar.boxed();
    }
    let name = "outputs|inputs|name|datatype|shape|data|parameters|binary_data_size|predictions|instances|result|\
                examples|label|scores|score|b64|dataframe_split|columns|text_output|a";
    let object = prop::collection::vec((name, json(depth - 1)), 0..5).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        format!("{{{}}}", members.join(","))
    });
    let array =
        prop::collection::vec(json(depth - 1), 0..4).prop_map(|values| format!("[{}]", values.join(", ")));
    prop_oneof![1 => scalar, 2 => object, 2 => array].boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..400)) {
        bounded(&data, entries::codecs);
        bounded_stream(&data);
        bounded(&data, entries::scan);
    }

    #[test]
    fn any_json(route: u8, head: u8, body in json(4), tail in prop::collection::vec(any::<u8>(), 0..24)) {
        bounded(&with_prefix(route, head & 0xfe, body.as_bytes()), entries::codecs);
        let data = [body.as_bytes(), &tail].concat();
        let end = (body.len() * 256).div_ceil(data.len().max(1)).min(255) as u8;
        bounded(&with_prefix(0, end | 1, &data), entries::codecs);
        bounded(body.as_bytes(), entries::scan);
    }

    #[test]
    fn any_protobuf(route: u8, body in protobuf(4)) {
        bounded(&with_prefix(route, 0, &body), entries::codecs);
    }
}

#[test]
fn recorded_bodies_with_damage() {
    // Each body on each route, damaged at places that a fixed sequence picks.
    let mut draw = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        draw ^= draw << 13;
        draw ^= draw >> 7;
        draw ^= draw << 17;
        (draw % below.max(1) as u64) as usize
    };
    for body in recorded().iter().filter(|body| !body.is_empty() && body.len() < 8192) {
        for (index, (protocol, path)) in entries::routes().iter().enumerate() {
            entries::of_a_body(protocol, path, &HeaderMap::new(), body);
            let mut damaged = body.clone();
            let place = next(damaged.len());
            match next(4) {
                0 => damaged.truncate(place),
                1 => damaged[place] = next(256) as u8,
                2 => damaged.insert(place, b"[]{},:\"\x00\xff09"[next(11)]),
                _ => drop(damaged.drain(place..damaged.len().min(place + 1 + next(8)))),
            }
            bounded(&with_prefix(index as u8, next(256) as u8, &damaged), entries::codecs);
        }
        for _ in 0..8 {
            let streamed = [&[next(256) as u8, next(256) as u8, next(256) as u8], &body[..]].concat();
            bounded_stream(&streamed);
        }
    }
}

/// Bodies that unpack to a thousand times their size cost no more than the limit, whole or in pieces.
#[test]
fn bombs_cost_no_more_than_the_limit() {
    const LIMIT: usize = 1 << 16;
    for name in ["gzip", "deflate", "br", "zstd"] {
        let name = http::HeaderValue::from_static(name);
        let headers = [(http::header::CONTENT_ENCODING, name.clone())].into_iter().collect();
        // `br` and `zstd` are features.
        let Ok(coding) = Encoding::of(&headers) else { continue };
        let bomb = coding.encode(vec![0; 1 << 26]);
        assert!(bomb.len() < 1 << 19, "{name:?}: {}", bomb.len());
        let info = measure(|| {
            let error = coding.decode(&bomb, LIMIT.max(bomb.len()));
            assert!(matches!(error, Err(WireError::TooLarge { .. })), "{name:?}: {error:?}");
            let mut decoder = Decoder::new(coding, LIMIT);
            let told = bomb.chunks(1024).map(|piece| decoder.push(piece)).find(Result::is_err);
            assert!(matches!(told, None | Some(Err(WireError::TooLarge { .. }))), "{name:?}: {told:?}");
        });
        assert!((info.bytes_max as usize) < WINDOWS, "{name:?}: {} bytes", info.bytes_max);
    }
}

#[test]
fn announced_sizes_cost_nothing() {
    let huge = "9223372036854775807";
    let shapes =
        [format!("[{huge}]"), format!("[{huge},{huge}]"), "[4294967296,4294967296,0]".into(), "[0]".into()];
    for shape in &shapes {
        for datatype in ["FP32", "BYTES", "INT8"] {
            let tensor = format!(r#"{{"name":"p","datatype":"{datatype}","shape":{shape},"data":[1]}}"#);
            for list in ["outputs", "inputs"] {
                bounded(
                    &with_prefix(0, 0, format!(r#"{{"{list}":[{tensor}]}}"#).as_bytes()),
                    entries::codecs,
                );
            }
        }
    }
    // Lengths of protobuf and of binary texts: 4 GiB, 16 EiB.
    for length in
        [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]]
    {
        for route in 0..entries::routes().len() as u8 {
            for field in 1..9_u8 {
                let body = [&[field << 3 | 2], length, b"abc"].concat();
                bounded(&with_prefix(route, 0, &body), entries::codecs);
            }
        }
    }
}

#[test]
fn many_small_values_cost_a_multiple_of_their_bytes() {
    let values = "1,".repeat(20_000) + "1";
    let classes = "[[\"a\",1]],".repeat(5_000) + "[[\"a\",1]]";
    let empty = [2_u8 << 3 | 2, 0].repeat(20_000);
    for (route, body) in [
        (0, format!(r#"{{"outputs":[{{"name":"p","datatype":"INT8","shape":[20001],"data":[{values}]}}]}}"#)),
        (3, format!(r#"{{"predictions":[{values}]}}"#)),
        (3, format!(r#"{{"instances":[{values}]}}"#)),
        (4, format!(r#"{{"result":[{classes}]}}"#)),
        (8, format!(r#"{{"dataframe_split":{{"columns":[{values}],"data":[[{values}]]}}}}"#)),
        (8, format!(r#"{{"inputs":{{"a":[{values}],"b":[{values}]}}}}"#)),
    ] {
        bounded(&with_prefix(route, 0, body.as_bytes()), entries::codecs);
    }
    for route in 0..entries::routes().len() as u8 {
        bounded(&with_prefix(route, 0, format!("[{values}]").as_bytes()), entries::codecs);
        bounded(&with_prefix(route, 2, values.as_bytes()), entries::codecs);
    }
    for route in 0..entries::routes().len() as u8 {
        bounded(&with_prefix(route, 0, &empty), entries::codecs);
        let nested = [&[1 << 3 | 2, 0xc0, 0xb8, 2][..], &[1_u8 << 3 | 2, 0].repeat(20_000)].concat();
        bounded(&with_prefix(route, 0, &nested), entries::codecs);
    }
}
