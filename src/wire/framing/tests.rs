//! What is cut depends on the bytes alone; nothing is lost; only the payload is rewritten.

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 200;
const OTHER: &[u8] = br#"{"b":2}"#;

/// The chunks of a stream that comes in pieces of these sizes, over and over, and what is left.
fn cut(framing: Framing, stream: &[u8], sizes: &[usize]) -> (Vec<Chunk>, Option<WireError>, Bytes) {
    let mut framer = Framer::new(framing, LIMIT).with_messages(Encoding::Gzip);
    let (mut chunks, mut error, mut rest) = (Vec::new(), None, stream);
    for size in sizes.iter().copied().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(size.clamp(1, rest.len()));
        rest = after;
        framer.push(Bytes::copy_from_slice(piece));
        while let Some(next) = framer.next() {
            match next {
                Ok(chunk) => chunks.push(chunk),
                Err(wrong) => error = Some(wrong),
            }
        }
    }
    (chunks, error, framer.rest())
}

fn joined(chunks: &[Chunk], rest: &Bytes) -> Vec<u8> {
    chunks.iter().flat_map(|chunk| chunk.bytes().to_vec()).chain(rest.to_vec()).collect()
}

/// The chunks of events and their payloads, as texts.
fn events(stream: &str) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (chunks, error, _) = cut(Framing::Sse, stream.as_bytes(), &[stream.len()]);
    assert_eq!(error, None);
    chunks.iter().map(|chunk| (text(chunk.bytes()), text(chunk.payload()))).collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn what_is_labelled_as_events_and_is_none_is_told_at_its_first_bytes() {
    let first = |text: &str| {
        let mut framer = Framer::new(Framing::Sse, LIMIT);
        framer.push(Bytes::copy_from_slice(text.as_bytes()));
        framer.next().map(|chunk| chunk.is_ok())
    };
    for text in ["Once upon", "{", "[1,2]", "\u{feff}x", "database", "identity:", "ev1"] {
        assert_eq!(first(text), Some(false), "{text}");
    }
    for text in
        ["d", "dat", "data", "data: 1", "data\n", "id:", "retry: 3", "event", "\u{feff}", "\u{feff}data"]
    {
        assert_eq!(first(text), None, "{text}");
    }
    for text in [": ping\n", "\n", "\u{feff}:\n", "data: 1\n\n"] {
        assert_eq!(first(text), Some(true), "{text}");
    }
    // Later on unknown fields are ignored, as readers do.
    assert_eq!(events("data: 1\n\nwhat: 2\n\n").len(), 2);
}

#[test]
fn events_end_at_blank_lines_of_any_kind() {
    assert_eq!(events("data: 1\n\ndata:2\n\ndata: 3\n"), owned(&[("data: 1\n\n", "1"), ("data:2\n\n", "2")]));
    assert_eq!(
        events("data: 1\r\n\r\ndata: 2\r\r"),
        owned(&[("data: 1\r\n\r\n", "1"), ("data: 2\r\r", "2")])
    );
    assert_eq!(events("data: 1\r\rdata: 2\r\n\n"), owned(&[("data: 1\r\r", "1"), ("data: 2\r\n\n", "2")]));
    // Only the next byte tells whether a CR is all of a line's end.
    assert_eq!(events("data: 1\r\n\r"), []);
    assert_eq!(events("data: 1\n\rid"), owned(&[("data: 1\n\r", "1")]));
}

#[test]
fn keep_alives_do_not_wait_for_an_event() {
    let stream = ": ping\n\n\ndata: 1\n: inside\n\n";
    let chunks = [(": ping\n", ""), ("\n", ""), ("\n", ""), ("data: 1\n: inside\n\n", "1")];
    assert_eq!(events(stream), owned(&chunks));
}

#[test]
fn lines_of_data_are_joined() {
    let stream = "\u{feff}data: {\"a\":\ndata\nid: 7\ndata:  1}\n\n";
    assert_eq!(events(stream), owned(&[(stream, "{\"a\":\n\n 1}")]));
    assert_eq!(events("event: x\n\nretry: 1\n\n"), owned(&[("event: x\n\n", ""), ("retry: 1\n\n", "")]));
}

#[test]
fn an_event_tells_its_name() {
    let (chunks, ..) = cut(Framing::Sse, b"event: ping\ndata: {}\n\ndata: 1\n\n", &[99]);
    assert_eq!(chunks[0].name().as_deref(), Some("ping"));
    assert_eq!(chunks[1].name(), None);
}

#[test]
fn a_payload_is_replaced_and_nothing_else() {
    for (before, payload, after) in [
        ("event: a\r\ndata:{}\r\n: c\r\n\r\n", "[1]", "event: a\r\ndata:[1]\r\n: c\r\n\r\n"),
        ("data: 1\rid: 2\r\r", "3", "data: 3\rid: 2\r\r"),
        ("data: a\nid: 2\ndata: b\n\n", "x\ny", "data: x\nid: 2\ndata: y\n\n"),
        ("data: a\nid: 2\ndata: b\n\n", "x", "data: x\nid: 2\n\n"),
        ("data: a\nid: 2\ndata: b\n\n", "x\r\ny\rz", "data: x\nid: 2\ndata: y\ndata: z\n\n"),
        ("data: a\rdata: b\n\n", "x", "data: x\r\r\n"),
        ("data\n\n", "x", "data:x\n\n"),
        ("data:a\n\n", " x", "data:  x\n\n"),
        ("id: 1\n\n", "x", "id: 1\n\n"),
        (": c\n", "x", ": c\n"),
    ] {
        let (chunks, ..) = cut(Framing::Sse, before.as_bytes(), &[99]);
        let edited = chunks[0].with_payload(payload.into());
        assert_eq!(edited.bytes(), after);
        let same = edited.with_payload(edited.payload().to_vec());
        assert_eq!((same.bytes(), same.payload()), (edited.bytes(), edited.payload()));
        assert_eq!(edited.name(), chunks[0].name());
    }
}

#[test]
fn lines_of_json_keep_their_ends() {
    let (chunks, _, rest) = cut(Framing::Ndjson, b"{\"a\":1}\r\n\n {} \n{\"b\"", &[3]);
    let payloads: Vec<_> = chunks.iter().map(Chunk::payload).collect();
    assert_eq!(payloads, [&b"{\"a\":1}"[..], b"", b"{}"]);
    assert_eq!(chunks[2].with_payload(b"[]".to_vec()).bytes(), " [] \n");
    assert_eq!(rest, "{\"b\"");
}

#[test]
fn the_last_line_of_json_may_lack_its_end() {
    let mut framer = Framer::new(Framing::Ndjson, LIMIT);
    framer.push("{} \n{\"done\":true} ".into());
    assert!(framer.last().is_some() && framer.last().is_none());
    for (framing, text, payload) in [
        (Framing::Whole, " a", Some(" a")),
        (Framing::Ndjson, " a", Some("a")),
        (Framing::Sse, "data: a", None),
    ] {
        let mut framer = Framer::new(framing, LIMIT);
        framer.push(text.into());
        assert!(framer.next().is_none());
        assert_eq!(
            framer.last().map(|chunk| chunk.payload().to_vec()),
            payload.map(|p| p.as_bytes().to_vec())
        );
    }
}

#[test]
fn messages_are_decoded_and_coded_again() {
    let packed = Encoding::Gzip.encode(b"hello".to_vec());
    let framed =
        |flag: u8, message: &[u8]| [&[flag][..], &(message.len() as u32).to_be_bytes(), message].concat();
    let stream = [framed(0, b"plain"), framed(1, &packed), framed(1, b"no gzip"), framed(9, b"x")].concat();
    let (chunks, error, rest) = cut(Framing::Grpc, &stream, &[4]);
    assert_eq!((error, rest.len()), (None, 0));
    let payloads: Vec<_> = chunks.iter().map(Chunk::payload).collect();
    assert_eq!(payloads, [&b"plain"[..], b"hello", b"", b""]);
    assert_eq!(chunks[0].with_payload(b"p".to_vec()).bytes(), &framed(0, b"p"));
    let edited = chunks[1].with_payload(b"bye".to_vec());
    assert_eq!(edited.payload(), b"bye");
    assert_eq!(edited.bytes(), &framed(1, &Encoding::Gzip.encode(b"bye".to_vec())));
    assert_eq!(chunks[2].with_payload(b"?".to_vec()), chunks[2]);
}

#[test]
fn text_is_never_cut_inside_a_character() {
    let text = "añ€😀z";
    let (chunks, _, rest) = cut(Framing::Text, text.as_bytes(), &[1]);
    let payloads: Vec<_> = chunks.iter().map(|chunk| std::str::from_utf8(chunk.payload()).unwrap()).collect();
    assert_eq!((payloads.as_slice(), rest.len()), (&["a", "ñ", "€", "😀", "z"][..], 0));
    let (chunks, _, rest) = cut(Framing::Text, b"\xff\x80\x80\xf0\x9f", &[5]);
    assert_eq!((chunks.len(), &rest[..]), (1, &b"\xf0\x9f"[..]));
}

#[test]
fn what_is_too_large_passes_as_it_came() {
    let long = format!("data: 1\n\ndata: {}\n\ndata: 2\n\n", "x".repeat(LIMIT));
    for size in [1, 7, 1000] {
        let (chunks, error, rest) = cut(Framing::Sse, long.as_bytes(), &[size]);
        assert_eq!((chunks.len(), error), (1, Some(WireError::TooLarge { limit: LIMIT })));
        assert_eq!(joined(&chunks, &rest), long.as_bytes());
    }
    // The length of a message is believed before it has come.
    let (_, error, _) = cut(Framing::Grpc, b"\0\xff\xff\xff\xff", &[5]);
    assert_eq!(error, Some(WireError::TooLarge { limit: LIMIT }));
}

fn framing() -> impl Strategy<Value = Framing> {
    prop_oneof![Just(Framing::Sse), Just(Framing::Ndjson), Just(Framing::Grpc), Just(Framing::Text)]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => "\r\n|\n|\r|\n\n|\r\r|\r\n\r\n|\n\r\n".prop_map(String::into_bytes),
        4 => "data: ?|data|event: a|: c|id: 1|\u{feff}|data:x| |:".prop_map(String::into_bytes),
        2 => "[a-zé€😀{}\"]{0,40}".prop_map(String::into_bytes),
        1 => Just(vec![0, 0, 0, 0, 2, b'a', b'b']),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn chunks_depend_on_the_bytes_alone(
        framing in framing(),
        stream in stream(),
        sizes in prop::collection::vec(1_usize..20, 1..8),
    ) {
        let (chunks, error, rest) = cut(framing, &stream, &sizes);
        prop_assert_eq!(joined(&chunks, &rest), &stream[..]);
        if framing == Framing::Text {
            return Ok(());
        }
        let (whole, failed, left) = cut(framing, &stream, &[usize::MAX]);
        prop_assert_eq!(chunks, whole);
        // An incomplete chunk is too large as soon as it is.
        prop_assert_eq!((error, rest), (failed, left));
    }

    #[test]
    fn the_same_payload_gives_the_same_bytes(framing in framing(), stream in stream(), size in 1_usize..50) {
        let (chunks, ..) = cut(framing, &stream, &[size]);
        for chunk in chunks {
            let same = chunk.with_payload(chunk.payload().to_vec());
            if framing != Framing::Grpc {
                prop_assert_eq!(same.bytes(), chunk.bytes());
            }
            prop_assert_eq!(same.payload(), chunk.payload());
            let other = chunk.with_payload(OTHER.to_vec());
            prop_assert!(other == chunk || other.payload() == OTHER);
        }
    }
}
