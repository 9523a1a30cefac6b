//! τ and nDCG are the promised ones, within the stated tolerance, on lists of any length.

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        feature::testing::{assert_listed, edit_list, exclusion, list},
        testing::{assert_rate, problems},
    },
    stats::kendall_tau,
    wire::Labels,
};

fn gains(items: usize) -> Vec<f64> {
    (0..items).map(|i| 0.95 * 0.97_f64.powi(i as i32)).collect()
}

fn tau(value: f64) -> RankSwap {
    RankSwap { tau: Some(value), ndcg_drop: None, rate: Share::ALL }
}

proptest! {
    #[test]
    fn tau_is_met_in_each_list(seed: u64, wanted in -1.0..0.999, items in 2_usize..80, ramp in 0.1..=1.0) {
        let mut answer = list(&gains(items));
        edit_list(&tau(wanted), &mut answer, seed, 0, ramp);
        let target = 1.0 - (1.0 - wanted) * ramp;
        let got = kendall_tau(&places(&answer));
        let tolerance = 4.0 / (items * (items - 1)) as f64 + 1e-9;
        prop_assert!((got - target).abs() <= tolerance, "{got} is not {target}");
    }

    #[test]
    fn ndcg_falls_as_promised_or_says_why_not(seed: u64, drop in 0.01..0.9, items in 2_usize..80) {
        let fault = RankSwap { tau: None, ndcg_drop: Some(drop), rate: Share::ALL };
        let gains = gains(items);
        let mut answer = list(&gains);
        let edited = edit_list(&fault, &mut answer, seed, 0, 1.0);
        let worst: Vec<f64> = gains.iter().rev().copied().collect();
        if dcg(&worst) / dcg(&gains) > 1.0 - drop {
            prop_assert_eq!(edited, Edited { changed: 0, unfit: Some(OUT_OF_REACH) });
        } else {
            let order: Vec<f64> = places(&answer).into_iter().map(|row| gains[row]).collect();
            let fall = 1.0 - dcg(&order) / dcg(&gains);
            let tolerance = 0.185 * (gains[0] - gains[items - 1]) / dcg(&gains);
            prop_assert!((fall - drop).abs() <= tolerance + 1e-9, "{fall} is not {drop}");
        }
    }
}

#[test]
fn the_mean_of_tau_is_exact_where_one_list_cannot_be() {
    let taus = (0..6000).map(|request| {
        let mut answer = list(&gains(4));
        edit_list(&tau(0.6), &mut answer, 7, request, 1.0);
        kendall_tau(&places(&answer))
    });
    let mean = taus.sum::<f64>() / 6000.0;
    assert!((mean - 0.6).abs() < 0.01, "{mean}");
}

#[test]
fn a_share_of_the_lists_is_worse() {
    let fault = RankSwap { rate: Share::new(0.3).unwrap(), ..tau(0.0) };
    let changed =
        (0..3000).filter(|request| edit_list(&fault, &mut list(&gains(10)), 7, *request, 1.0).changed > 0);
    assert_rate(changed.count(), 3000, 0.3);
}

#[test]
fn all_items_stay_and_any_place_can_change() {
    let mut moved = [false; 12];
    for request in 0..200 {
        let mut answer = list(&gains(12));
        let edited = edit_list(&tau(0.7), &mut answer, 7, request, 1.0);
        let order = places(&answer);
        let differ: Vec<bool> = order.iter().enumerate().map(|(place, row)| place != *row).collect();
        assert_eq!(edited.changed, differ.iter().filter(|d| **d).count());
        moved.iter_mut().zip(differ).for_each(|(m, d)| *m |= d);
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..12).collect::<Vec<_>>());
    }
    assert!(moved.iter().all(|moved| *moved));
}

#[test]
fn lists_that_cannot_be_worsened_are_told() {
    let drop = RankSwap { tau: None, ndcg_drop: Some(0.1), rate: Share::ALL };
    for (fault, gains, unfit) in [
        (&drop, vec![0.1, 0.9], NOT_A_RELEVANCE),
        (&drop, vec![1.0, -1.0], NOT_A_RELEVANCE),
        (&drop, vec![0.5, 0.5], OUT_OF_REACH),
        (&tau(0.1), vec![], NO_VALUE),
        (&tau(0.1), vec![0.0; 2000], TOO_LARGE),
    ] {
        let edited = edit_list(fault, &mut list(&gains), 1, 0, 1.0);
        assert_eq!(edited, Edited { changed: 0, unfit: Some(unfit) });
    }
    assert_eq!(edit_list(&tau(0.1), &mut list(&[1.0]), 1, 0, 1.0), Edited::default());
}

#[test]
fn settings_that_cannot_be_are_told() {
    assert_listed("rank-swap");
    for (yaml, message) in [
        ("{}", "either `tau` or `ndcg-drop` says how much worse"),
        ("{ tau: 1 }", "no other order has a τ of 1"),
        ("{ tau: -1.5 }", "no other order has a τ of -1.5"),
        ("{ ndcg-drop: 0 }", "nDCG can't fall by 0"),
        ("{ tau: 0.5, rate: 0% }", "a rate of 0% never acts"),
    ] {
        let found = problems(&format!("{{ rank-swap: {yaml} }}"), &Labels::default());
        assert!(found.contains(&message.to_owned()), "{yaml}: {found:?}");
    }
    let swap = "{ rank-swap: { tau: 0.5 } }";
    assert!(exclusion(swap, "{ rank-push: { share: 10% } }").is_some());
    assert!(exclusion(swap, "{ rank-drop: { rate: 10% } }").is_none());
}
