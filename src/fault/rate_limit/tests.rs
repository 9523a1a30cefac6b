use proptest::prelude::*;

use super::*;
use crate::{
    fault::testing::{assert_page, assert_rate, check, dice},
    wire::{Labels, Protocol},
};

fn parse(text: &str) -> RateLimit {
    serde_json::from_str(text).unwrap()
}

/// Asks once for each time (seconds, unit), in this order; the waits of those that were refused.
fn ask(fault: &RateLimit, intensity: f64, times: impl IntoIterator<Item = (f64, u64)>) -> Vec<Option<u64>> {
    let (memory, start) = (fault.memory(), Instant::now());
    let mut answers = Vec::new();
    for (number, (seconds, unit)) in times.into_iter().enumerate() {
        let now = start + Duration::from_secs_f64(seconds);
        let unit = UnitHash::from_u64(unit);
        let context = Decide { now, unit, ..Decide::of(dice(3, number as u64), intensity, &memory) };
        answers.push(match fault.decide(&context) {
            None => None,
            Some(Action::Respond { failure, after_upstream: false }) => {
                assert_eq!((failure.status.as_u16(), failure.kind), (429, Some(FailureKind::RateLimited)));
                Some(failure.retry_after.unwrap().as_secs())
            }
            other => panic!("{other:?}"),
        });
    }
    answers
}

fn passed(answers: &[Option<u64>]) -> usize {
    answers.iter().filter(|answer| answer.is_none()).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn of_faster_traffic_the_burst_and_the_limit_pass_to_within_one(
        limit in 1_u32..50, burst in 2_u32..40, faster in 1.5_f64..10.0, lasts in 1.0_f64..30.0,
    ) {
        let fault = RateLimit { burst: Some(burst), ..parse(&format!(r#"{{"limit": "{limit}/s"}}"#)) };
        let offered = f64::from(limit) * faster;
        // Enough to empty the burst.
        let lasts = lasts.max(2.0 * f64::from(burst) / (offered - f64::from(limit)));
        let n = (lasts * offered) as u32;
        let answers = ask(&fault, 1.0, (0..n).map(|i| (f64::from(i) / offered, 0)));
        let want = f64::from(burst) + f64::from(limit) * f64::from(n - 1) / offered;
        prop_assert!((passed(&answers) as f64 - want).abs() <= 1.0 + 1e-6, "{} of {n}, not {want}", passed(&answers));
    }

    #[test]
    fn slower_traffic_is_never_refused(limit in 1_u32..50, gaps in prop::collection::vec(1.0_f64..3.0, 1..100)) {
        let fault = parse(&format!(r#"{{"limit": "{limit}/s", "burst": 1}}"#));
        let times = gaps.iter().scan(0.0, |at, gap| { *at += (gap + 1e-6) / f64::from(limit); Some((*at, 0)) });
        prop_assert!(ask(&fault, 1.0, times).iter().all(Option::is_none));
    }

    #[test]
    fn a_ramp_scales_the_share_of_the_excess(intensity in 0.0_f64..=1.0) {
        let fault = parse(r#"{"limit": "1/h", "burst": 1}"#);
        let answers = ask(&fault, intensity, (0..10_001).map(|_| (0.0, 0)));
        assert_rate(answers.len() - passed(&answers), 10_000, intensity);
    }
}

#[test]
fn retry_after_counts_down_to_the_next_token() {
    let fault = parse(r#"{"limit": "6/m", "burst": 1}"#);
    let answers = ask(&fault, 1.0, [0.0, 0.5, 3.0, 9.5, 10.1].map(|at| (at, 0)));
    assert_eq!(answers, [None, Some(10), Some(7), Some(1), None]);
}

#[test]
fn each_unit_can_have_a_limit_of_its_own() {
    let times = [(0.0, 1), (0.1, 1), (0.2, 2), (0.3, 2)];
    let per_unit = parse(r#"{"limit": "1/m", "per": "unit"}"#);
    assert_eq!(ask(&per_unit, 1.0, times), [None, Some(60), None, Some(60)]);
    let for_all = parse(r#"{"limit": "1/m"}"#);
    assert_eq!(passed(&ask(&for_all, 1.0, times)), 1);
}

#[test]
fn its_buckets_are_bounded_and_full_ones_make_room() {
    let (buckets, now) = (Buckets::default(), Instant::now());
    let take = |unit, now| buckets.take(Some(UnitHash::from_u64(unit)), now, 1.0, 1.0);
    assert!((0..MOST_UNITS as u64).all(|unit| take(unit, now).is_ok()));
    assert!(take(0, now).is_err());
    // No room: it passes, again and again, and nothing is kept.
    assert!(take(u64::MAX, now).is_ok() && take(u64::MAX, now).is_ok());
    assert_eq!(buckets.0.lock().unwrap().len(), MOST_UNITS);
    let later = now + Duration::from_secs(2);
    assert!(take(u64::MAX, later).is_ok() && take(u64::MAX, later).is_err());
    assert_eq!(buckets.0.lock().unwrap().len(), 1);
}

#[test]
fn says_its_size_and_refuses_nonsense() {
    assert_eq!(parse(r#"{"limit": "10/s"}"#).describe(), "at most 10/s requests, 10 at once");
    assert_eq!(
        parse(r#"{"limit": "30/m", "per": "unit"}"#).describe(),
        "at most 0.5/s requests for each unit, 1 at once"
    );
    let found = check(&parse(r#"{"limit": "10/s", "burst": 0}"#), &Protocol::Http, &Labels::default());
    assert_eq!(found.iter().map(|problem| problem.key).collect::<Vec<_>>(), ["burst"]);
}

#[test]
fn its_page_can_be_pasted() {
    assert_page("rate-limit");
}
