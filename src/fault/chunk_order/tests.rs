//! As many chunks as were asked for come twice or late, each with its own bytes.

use std::collections::BTreeMap;

use super::*;
use crate::{
    fault::{
        testing::{assert_page, assert_rate},
        text_testing::{PROSE, even, fault, run, whole},
        unfit::NOT_A_STREAM,
    },
    wire::Role,
};

const REQUESTS: u64 = 400;

#[test]
fn a_share_of_the_chunks_comes_twice() {
    for (intensity, rate) in [(1.0, 0.2), (0.5, 0.1)] {
        let twice = fault("{ chunk-order: { rate: 20% } }");
        let (mut doubled, mut chunks) = (0, 0);
        for request in 0..REQUESTS {
            let before = even(PROSE, 3).len();
            let ran = run(&twice, request, intensity, even(PROSE, 3)).unwrap();
            assert_eq!(ran.sent.len() - before, ran.edited.changed);
            doubled += ran.edited.changed;
            chunks += before - 5; // what opens and ends a stream is no chunk of text
        }
        assert_rate(doubled, chunks, rate);
    }
}

#[test]
fn a_swap_moves_chunks_by_one_place_and_loses_none() {
    let swap = fault("{ chunk-order: { how: swap, rate: 25% } }");
    let (mut swaps, mut chances) = (0, 0);
    for request in 0..REQUESTS {
        let before: Vec<_> =
            even(PROSE, 3).into_iter().map(|p| p.into_chunk().unwrap().bytes().clone()).collect();
        let ran = run(&swap, request, 1.0, even(PROSE, 3)).unwrap();
        let changed = ran.edited.changed;
        let after = ran.bytes();
        let count = |all: &[bytes::Bytes]| {
            all.iter().fold(BTreeMap::new(), |mut counts, bytes| {
                *counts.entry(bytes.clone()).or_insert(0) += 1;
                counts
            })
        };
        assert_eq!(count(&before), count(&after));
        swaps += changed;
        // Each chunk but the last, and but the second of each pair, had its chance.
        chances += before.len() - 5 - 1 - changed;
    }
    // A swap of the last two leaves one chance less: a pair of such streams would not show in this bound.
    let rate = swaps as f64 / chances as f64;
    assert!((rate - 0.25).abs() < 0.02, "{rate}");
}

#[test]
fn an_order_needs_two_chunks() {
    let swap = fault("{ chunk-order: { how: swap } }");
    for (pieces, why) in [(whole(PROSE), NOT_A_STREAM), (even("word", 9), TOO_SHORT)] {
        let ran = run(&swap, 1, 1.0, pieces).unwrap();
        assert_eq!(ran.edited.unfit, Some(why));
    }
    let ran = run(&swap, 1, 1.0, even("abcd", 1)).unwrap();
    assert_eq!(ran.joined(Role::Text), "badc");
}

#[test]
fn it_says_what_it_does() {
    assert_page("chunk-order");
    assert_eq!(
        fault("{ chunk-order: { how: swap, rate: 5% } }").describe(),
        "5% of chunks swapped with the next"
    );
}
