//! Every coding there and back, whole and piece by piece; limits and damage are told.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const ALL: &[Encoding] = &[
    Encoding::Identity,
    Encoding::Gzip,
    Encoding::Deflate,
    Encoding::RawDeflate,
    #[cfg(feature = "compression")]
    Encoding::Brotli,
    #[cfg(feature = "compression")]
    Encoding::Zstd,
];

/// All that compress.
fn packing() -> impl Iterator<Item = Encoding> {
    ALL[1..].iter().copied()
}

fn headers(values: &[&'static str]) -> HeaderMap {
    values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value))).collect()
}

#[test]
fn codings_are_known_by_their_header() {
    for (values, encoding) in [
        (&[][..], Encoding::Identity),
        (&["identity"], Encoding::Identity),
        (&[""], Encoding::Identity),
        (&["gzip"], Encoding::Gzip),
        (&["X-GZip"], Encoding::Gzip),
        (&["identity, gzip"], Encoding::Gzip),
        (&["gzip, identity"], Encoding::Gzip),
        (&["Deflate"], Encoding::Deflate),
    ] {
        assert_eq!(Encoding::of(&headers(values)), Ok(encoding), "{values:?}");
    }
    for values in [&["compress"][..], &["gzip, gzip"], &["gzip", "gzip"], &["zstd, gzip"], &["gzip;q=1"]] {
        let error = Encoding::of(&headers(values)).unwrap_err();
        assert_eq!(error.reason(), "content-encoding", "{values:?}");
    }
}

#[cfg(feature = "compression")]
#[test]
fn brotli_and_zstandard_are_known() {
    assert_eq!(Encoding::of(&headers(&["br"])), Ok(Encoding::Brotli));
    assert_eq!(Encoding::of(&headers(&["zstd"])), Ok(Encoding::Zstd));
}

#[cfg(not(feature = "compression"))]
#[test]
fn without_the_feature_brotli_and_zstandard_are_told_and_left_alone() {
    for coding in ["br", "zstd"] {
        assert_eq!(Encoding::of(&headers(&[coding])).unwrap_err().reason(), "content-encoding");
    }
}

#[test]
fn messages_of_a_call_have_a_header_of_their_own() {
    let headers: HeaderMap = [(GRPC_ENCODING, HeaderValue::from_static("gzip"))].into_iter().collect();
    assert_eq!(Encoding::of_messages(&headers), Ok(Encoding::Gzip));
    assert_eq!(Encoding::of(&headers), Ok(Encoding::Identity));
}

#[test]
fn a_body_comes_back() {
    let body = br#"{"outputs":[]}"#.repeat(100);
    for encoding in packing() {
        let packed = encoding.encode(body.clone());
        assert!(packed.len() < body.len(), "{encoding:?}");
        assert_eq!(encoding.decode(&packed, body.len()), Ok(body.clone()), "{encoding:?}");
        let limit = body.len() - 1;
        assert_eq!(encoding.decode(&packed, limit), Err(WireError::TooLarge { limit }), "{encoding:?}");
        assert_eq!(encoding.decode(b"", 10), Ok(vec![]), "{encoding:?}");
        assert_eq!(encoding.decode(&encoding.encode(vec![]), 100), Ok(vec![]), "{encoding:?}");
    }
}

#[test]
fn members_of_gzip_and_frames_of_zstandard_are_joined() {
    for encoding in packing().filter(|encoding| matches!(encoding.name(), "gzip" | "zstd")) {
        let packed = encoding.encode(b"0123".to_vec());
        let twice = [packed.clone(), packed].concat();
        assert_eq!(encoding.decode(&twice, 1000), Ok(b"01230123".to_vec()), "{encoding:?}");
    }
}

#[test]
fn identity_has_the_same_limit() {
    assert_eq!(Encoding::Identity.decode(b"1234", 4), Ok(b"1234".to_vec()));
    assert_eq!(Encoding::Identity.decode(b"12345", 4), Err(WireError::TooLarge { limit: 4 }));
    assert_eq!(Encoding::Identity.encode(b"1".to_vec()), b"1");
    assert_eq!(Decoder::new(Encoding::Identity, 4).push(b"12345"), Err(WireError::TooLarge { limit: 4 }));
}

#[test]
fn deflate_is_coded_again_as_the_server_coded_it() {
    let zlib = Encoding::Deflate.encode(b"[1,2,3]".to_vec());
    let raw = Encoding::RawDeflate.encode(b"[1,2,3]".to_vec());
    assert_eq!(zlib[2..zlib.len() - 4], raw);
    for (body, encoding) in [(zlib, Encoding::Deflate), (raw, Encoding::RawDeflate)] {
        assert_eq!(Encoding::Deflate.as_sent(&body), encoding);
        assert_eq!(Encoding::Deflate.decode(&body, 100), Ok(b"[1,2,3]".to_vec()));
        let mut decoder = Decoder::new(Encoding::Deflate, 100);
        decoder.push(&body[..1]).unwrap();
        assert_eq!(decoder.encoding(), encoding);
    }
    assert_eq!(Encoding::Gzip.as_sent(b"{}"), Encoding::Gzip);
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    for encoding in packing() {
        let bomb = encoding.encode(vec![0; 64 << 20]);
        assert!(bomb.len() < 1 << 20, "{encoding:?}");
        assert_eq!(
            encoding.decode(&bomb, 1 << 20),
            Err(WireError::TooLarge { limit: 1 << 20 }),
            "{encoding:?}"
        );
    }
}

#[test]
fn damage_is_told() {
    for encoding in packing() {
        let packed = encoding.encode(b"[1,2,3]".repeat(9));
        let told = format!("invalid {}: ", encoding.name());
        for body in [
            &b"{\"outputs\":[]}"[..],
            &packed[..packed.len() - 1],
            &packed[..packed.len() - 3],
            &packed[..5],
            &[&packed[..], b"x"].concat(),
        ] {
            let error = encoding.decode(body, 1000).expect_err(&format!("{encoding:?} {body:?}"));
            assert!(error.to_string().contains(&told), "{encoding:?}: {error}");
            assert_eq!(error.reason(), "malformed-body");
        }
    }
    let mut wrong_sum = Encoding::Gzip.encode(b"[1,2,3]".to_vec());
    let sum = wrong_sum.len() - 6;
    wrong_sum[sum] ^= 1;
    assert!(Encoding::Gzip.decode(&wrong_sum, 1000).is_err());
}

#[test]
fn nothing_is_decoded_after_an_error() {
    for encoding in packing() {
        let mut decoder = Decoder::new(encoding, 1000);
        while decoder.push(b"{ not at all }").is_ok() {}
        assert!(decoder.push(&encoding.encode(b"1".to_vec())).is_err(), "{encoding:?}");
        assert!(decoder.finish().is_err(), "{encoding:?}");
    }
}

#[cfg(feature = "compression")]
#[test]
fn a_window_over_8_mib_is_refused() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    std::io::Write::write_all(&mut encoder, &[7; 100]).unwrap();
    let packed = encoder.finish().unwrap();
    assert!(Encoding::Zstd.decode(&packed, 1000).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_piece_comes_out_at_once(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..9),
        which in any::<prop::sample::Index>(),
    ) {
        let encoding = ALL[which.index(ALL.len())];
        let mut encoder = Encoder::new(encoding);
        let mut decoder = Decoder::new(encoding, 3000);
        let mut packed = Vec::new();
        for piece in &pieces {
            let coded = encoder.push(piece);
            packed.extend_from_slice(&coded);
            prop_assert_eq!(&decoder.push(&coded).unwrap(), piece);
        }
        let end = encoder.finish();
        packed.extend_from_slice(&end);
        prop_assert_eq!(decoder.push(&end), Ok(vec![]));
        prop_assert_eq!(decoder.finish(), Ok(vec![]));
        if !pieces.is_empty() {
            prop_assert_eq!(encoding.decode(&packed, 40_000), Ok(pieces.concat()));
        }
    }

    #[test]
    fn any_chunking_decodes_alike(
        body in prop::collection::vec(any::<u8>(), 1..5000),
        size in 1_usize..50,
        which in any::<prop::sample::Index>(),
    ) {
        let encoding = ALL[which.index(ALL.len())];
        let mut decoder = Decoder::new(encoding, 10_000);
        let mut decoded = Vec::new();
        for chunk in encoding.encode(body.clone()).chunks(size) {
            decoded.append(&mut decoder.push(chunk).unwrap());
        }
        decoded.append(&mut decoder.finish().unwrap());
        prop_assert_eq!(decoded, body);
    }

    #[test]
    fn hostile_bytes_never_panic(
        body in prop::collection::vec(any::<u8>(), 0..300),
        which in any::<prop::sample::Index>(),
    ) {
        let encoding = ALL[which.index(ALL.len())];
        if let Ok(decoded) = encoding.decode(&body, 1000) {
            prop_assert!(decoded.len() <= 1000);
        }
    }
}
