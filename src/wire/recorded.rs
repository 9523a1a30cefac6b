//! What real servers sent (`tests/fixtures/wire`): every body is read, goes through unchanged, and an edit of any
//! value moves no byte outside it.

use std::{fs, path::Path, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{encoding::Encoding, *};

/// One recorded exchange.
struct Exchange {
    name: String,
    path: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Of the request.
    asked: (HeaderMap, Vec<u8>),
}

impl Exchange {
    fn load(folder: &Path) -> Option<Exchange> {
        let file = |name: &str| fs::read(folder.join(name)).ok();
        let request = String::from_utf8(file("request.head")?).ok()?;
        let response = String::from_utf8(file("response.head")?).ok()?;
        let status = response.lines().next()?.split(' ').nth(1)?.parse().ok()?;
        let name = folder.iter().rev().take(2).map(|part| part.to_string_lossy()).collect::<Vec<_>>();
        Some(Exchange {
            name: format!("{}/{}", name[1], name[0]),
            path: request.split_whitespace().nth(1)?.to_owned(),
            status,
            headers: headers(&response),
            body: file("response.body")?,
            asked: (headers(&request), file("request.body").unwrap_or_default()),
        })
    }

    fn head(&self) -> Head<'_> {
        Head { path: &self.path, headers: &self.headers }
    }

    fn is_grpc(&self) -> bool {
        self.name.contains("/grpc")
    }

    /// The body, without its content coding.
    fn plain(&self) -> Vec<u8> {
        Encoding::of(&self.headers).unwrap().decode(&self.body, 1 << 24).unwrap()
    }

    fn protocol(&self) -> Protocol {
        match self.name.split_once('/').unwrap() {
            ("fakellm" | "llama", case) if case.starts_with("anthropic") => Protocol::Anthropic,
            ("fakellm" | "llama", _) => Protocol::OpenAi,
            ("litserve", _) => Protocol::LitServe,
            ("bentoml", _) => Protocol::BentoMl,
            ("mlflow", _) => Protocol::Mlflow,
            ("kserve", case) if case.starts_with("v1") => Protocol::KserveV1,
            ("triton", case) if case.starts_with("generate") => Protocol::TritonGenerate,
            ("faithful", case) => match case.split('-').next().unwrap() {
                "ollama" => Protocol::Ollama,
                "cohere" => Protocol::Cohere,
                "openai" => Protocol::OpenAi,
                "tgi" => Protocol::Tgi,
                "tei" => Protocol::Tei,
                _ => Protocol::TfServing,
            },
            _ => Protocol::OpenInference,
        }
    }
}

fn headers(head: &str) -> HeaderMap {
    let line = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
    };
    head.lines().skip(1).filter_map(line).collect()
}

fn exchanges() -> Vec<Exchange> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire");
    let folders = |path: &Path| {
        let mut found: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.is_dir());
        found.sort();
        found
    };
    let all: Vec<_> = folders(&root)
        .iter()
        .flat_map(|server| folders(server))
        .filter_map(|case| Exchange::load(&case))
        .collect();
    assert!(all.len() > 100, "{} exchanges", all.len());
    all
}

fn codecs(exchange: &Exchange) -> [Arc<dyn Codec>; 2] {
    [exchange.protocol(), Protocol::Auto].map(|protocol| protocol.codec(&Outputs::default()))
}

fn chunks(framing: Framing, body: &[u8], size: usize) -> (Vec<Chunk>, Bytes) {
    let mut framer = Framer::new(framing, 1 << 20);
    let mut chunks = Vec::new();
    for piece in body.chunks(size) {
        framer.push(Bytes::copy_from_slice(piece));
        while let Some(chunk) = framer.next() {
            chunks.push(chunk.unwrap());
        }
    }
    chunks.extend(framer.last());
    (chunks, framer.rest())
}

/// Another value of the same kind.
fn other(value: &Value) -> Value {
    match value {
        Value::Text(text) if text.trim_start().starts_with('{') => Value::Text(r#"{"canard":true}"#.into()),
        Value::Text(text) => Value::Text(format!("{text} \"ça\"\n")),
        Value::Int(number) => Value::Int(number + 7),
        Value::Float(number) if *number == 0.25 => Value::Float(0.5),
        _ => Value::Float(0.25),
    }
}

#[test]
fn generated_text_is_edited_part_by_part() {
    let mut texts = 0;
    for exchange in exchanges().iter().filter(|exchange| exchange.status.is_success() && !exchange.is_grpc())
    {
        let body = exchange.plain();
        for codec in codecs(exchange) {
            let (chunks, rest) = chunks(codec.framing(exchange.head()), &body, 61);
            let whole: Vec<u8> =
                chunks.iter().flat_map(|chunk| chunk.bytes().to_vec()).chain(rest.to_vec()).collect();
            assert_eq!(whole, body, "{}", exchange.name);
            for chunk in &chunks {
                let payload = chunk.payload();
                let Ok(generation) = codec.generation(exchange.head(), payload) else { continue };
                let values: Vec<_> = generation.parts.iter().map(|part| part.value.clone()).collect();
                assert_eq!(generation.splice(payload, &values), Ok(None), "{}", exchange.name);
                for (index, part) in generation.parts.iter().enumerate() {
                    texts += usize::from(part.role == Role::Text);
                    let mut values = values.clone();
                    values[index] = other(&values[index]);
                    let edited = generation.splice(payload, &values).unwrap().unwrap();
                    let (span, after) = (part.slot.span.clone(), payload.len() - part.slot.span.end);
                    assert_eq!(edited[..span.start], payload[..span.start], "{}", exchange.name);
                    assert_eq!(edited[edited.len() - after..], payload[span.end..], "{}", exchange.name);
                    let chunk = chunk.with_payload(edited);
                    let again = codec.generation(exchange.head(), chunk.payload()).unwrap();
                    // A first piece without text opens a stream; one with text goes on with it.
                    let opens = part.value == Value::Text(String::new());
                    assert!(opens || again.moment == generation.moment, "{}", exchange.name);
                    let read: Vec<_> = again.parts.iter().map(|part| part.value.clone()).collect();
                    assert_eq!(read, values, "{}", exchange.name);
                }
            }
        }
    }
    assert!(texts > 100, "{texts} texts");
}

#[test]
fn rows_are_edited_value_by_value() {
    let mut edits = 0;
    for exchange in exchanges().iter().filter(|exchange| exchange.status.is_success() && !exchange.is_grpc())
    {
        let body = exchange.plain();
        let codec = exchange.protocol().codec(&Outputs::default());
        let Ok(reading) = codec.read(exchange.head(), &body) else { continue };
        let answer = reading.answer();
        assert_eq!(reading.splice(&body, &answer), Ok(None), "{}", exchange.name);
        for row in 0..answer.rows.len() {
            for place in 0..answer.rows[row].scores.len() {
                let mut edited = answer.clone();
                let score = &mut edited.rows[row].scores[place];
                *score = other(score);
                // One of 1 to 127 in a tensor of small numbers, too.
                let Ok(Some(spliced)) = reading.splice(&body, &edited) else {
                    panic!("{}: row {row}, place {place}: {edited:?}", exchange.name)
                };
                edits += 1;
                if answer.content == Content::Ranking {
                    continue;
                }
                let headers: HeaderMap = exchange.headers.clone();
                let again = codec.read(Head { headers: &headers, ..exchange.head() }, &spliced.body).unwrap();
                let same = again.rows().iter().zip(&edited.rows).all(|(a, b)| a.is_same(b));
                assert!(same, "{}: {:?} {:?}", exchange.name, again.rows(), edited.rows);
            }
        }
    }
    assert!(edits > 100, "{edits} edits");
}

#[test]
fn auto_reads_what_the_protocol_reads() {
    for exchange in exchanges().iter().filter(|exchange| exchange.status.is_success() && !exchange.is_grpc())
    {
        let body = exchange.plain();
        let [known, auto] = codecs(exchange);
        let head = exchange.head();
        if let Ok(reading) = known.read(head, &body) {
            let found = auto.read(head, &body).unwrap_or_else(|error| panic!("{}: {error}", exchange.name));
            assert_eq!(found.content(), reading.content(), "{}", exchange.name);
            assert_eq!(found.rows().len(), reading.rows().len(), "{}", exchange.name);
        }
        let asked = Head { path: &exchange.path, headers: &exchange.asked.0 };
        let (request, found) =
            (known.features(asked, &exchange.asked.1), auto.features(asked, &exchange.asked.1));
        if let Ok(features) = request {
            assert_eq!(found.map(|found| found.rows().len()), Ok(features.rows().len()), "{}", exchange.name);
            assert_eq!(features.splice(&exchange.asked.1, &features.answer()), Ok(None), "{}", exchange.name);
        }
    }
}

/// Moments of a stream, and what its pieces say together.
fn told(exchange: &Exchange) -> String {
    use std::fmt::Write as _;
    let codec = exchange.protocol().codec(&Outputs::default());
    let (chunks, _) = chunks(codec.framing(exchange.head()), &exchange.plain(), 7);
    let mut moments: Vec<(Moment, usize)> = Vec::new();
    let mut joined: Vec<((Role, u32, bool), String)> = Vec::new();
    for chunk in chunks {
        let Ok(generation) = codec.generation(exchange.head(), chunk.payload()) else { continue };
        match moments.last_mut() {
            Some((moment, count)) if *moment == generation.moment => *count += 1,
            _ => moments.push((generation.moment, 1)),
        }
        for part in generation.parts {
            let text = match part.value {
                // Another one with each recording.
                _ if part.role == Role::Id => "…".to_owned(),
                Value::Text(text) => text,
                value => serde_json::to_string(&value).unwrap(),
            };
            let key = (part.role, part.text, part.repeats);
            match joined.iter_mut().find(|(other, _)| *other == key) {
                Some((_, all)) if !part.repeats && !matches!(part.role, Role::Id | Role::Model) => {
                    all.push_str(&text)
                }
                Some(_) => {}
                None => joined.push((key, text)),
            }
        }
    }
    let mut out = format!("{} ", exchange.name);
    for (moment, count) in moments {
        let _ = write!(out, " {moment:?}{}", if count > 1 { format!("*{count}") } else { String::new() });
    }
    for ((role, number, repeats), text) in joined {
        let _ = write!(out, "\n    {role:?} {number}{} {text:?}", if repeats { " again" } else { "" });
    }
    out + "\n"
}

#[test]
fn streams_tell_their_texts() {
    let streams = exchanges();
    let streams = streams.iter().filter(|exchange| {
        let known = ["fakellm", "litserve/openai", "bentoml/stream", "triton/generate", "faithful"];
        exchange.status.is_success() && known.iter().any(|server| exchange.name.starts_with(server))
    });
    let told: String = streams.map(told).filter(|told| told.lines().count() > 1).collect();
    insta::assert_snapshot!(told);
}

#[test]
fn repetitions_say_what_the_pieces_said() {
    let mut repetitions = 0;
    for exchange in exchanges().iter().filter(|exchange| exchange.status.is_success() && !exchange.is_grpc())
    {
        let codec = exchange.protocol().codec(&Outputs::default());
        let (chunks, _) = chunks(codec.framing(exchange.head()), &exchange.plain(), 100);
        let mut joined: std::collections::HashMap<(Role, u32), String> = std::collections::HashMap::new();
        for chunk in chunks {
            let Ok(generation) = codec.generation(exchange.head(), chunk.payload()) else { continue };
            for part in generation.parts {
                let Value::Text(text) = part.value else { continue };
                let said = joined.entry((part.role, part.text)).or_default();
                match part.repeats {
                    true => assert_eq!(text, *said, "{}: {:?} {}", exchange.name, part.role, part.text),
                    false => said.push_str(&text),
                }
                repetitions += usize::from(part.repeats);
            }
        }
    }
    assert!(repetitions >= 8, "{repetitions} repetitions");
}

#[test]
fn errors_have_the_members_that_real_ones_have() {
    fn members(body: &[u8]) -> Vec<String> {
        let Ok(serde_json::Value::Object(body)) = serde_json::from_slice(body) else { return Vec::new() };
        let mut names = Vec::new();
        for (name, value) in body {
            names.push(name.clone());
            if let serde_json::Value::Object(inner) = value {
                names.extend(inner.keys().map(|inner| format!("{name}.{inner}")));
            }
        }
        names.sort();
        names
    }
    let mut compared = 0;
    for exchange in exchanges().iter().filter(|exchange| !exchange.status.is_success() && !exchange.is_grpc())
    {
        let codec = exchange.protocol().codec(&Outputs::default());
        let error = codec.error(&exchange.path, &Failure::new(exchange.status, "…"));
        let (mut real, ours) = (members(&exchange.body), members(&error.body));
        // llama.cpp tells its own counts beside OpenAI's members.
        real.retain(|name| !name.starts_with("error.n_"));
        // FastAPI's own answer to a request that it can't parse is none of the model server's.
        if real.iter().any(|name| name == "detail") && !ours.iter().any(|name| name == "detail") {
            continue;
        }
        // MLflow adds more about some errors, a mock leaves things out.
        let (all, some) = if real.len() > ours.len() { (&real, &ours) } else { (&ours, &real) };
        assert!(some.iter().all(|name| all.contains(name)), "{}: {real:?} {ours:?}", exchange.name);
        compared += usize::from(!real.is_empty());
    }
    assert!(compared > 15, "{compared} errors");
}
