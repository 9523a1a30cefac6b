//! Labels are as late as promised, and as often.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{
        Memory,
        feature::testing::assert_listed,
        testing::{assert_rate, dice, problems},
    },
    wire::Labels,
};

fn fault(yaml: &str) -> FeedbackLate {
    serde_saphyr::from_str(yaml).unwrap()
}

fn amended(fault: &FeedbackLate, body: &str, intensity: f64) -> Result<String, &'static str> {
    let (labels, memory) = (Labels::default(), Memory::none());
    let context = EditContext::new(dice(1, 1), intensity, &labels, &memory);
    Ok(match fault.amend_body(body.as_bytes(), &context)? {
        Amended::Body(body) => String::from_utf8(body).unwrap(),
        Amended::Unchanged => body.to_owned(),
        Amended::Swallowed { .. } => panic!("a late label is not lost"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_share_of_the_labels_is_held_for_the_promised_time(seed: u64, rate in 0.01..=1.0, ramp in 0.1..=1.0) {
        let fault = FeedbackLate { rate: Share::new(rate).unwrap(), ..fault("{ path: /f, hold: 10s }") };
        let memory = Memory::none();
        let mut held = 0;
        for request in 0..4000 {
            let context = Decide { path: "/f", ..Decide::of(dice(seed, request), ramp, &memory) };
            if let Some(action) = fault.decide(&context) {
                let wanted = Duration::from_secs_f64(10.0 * ramp);
                prop_assert!(matches!(action, Action::DelayBefore(delay) if delay.abs_diff(wanted).as_nanos() < 10));
                held += 1;
            }
            let other = Decide { path: "/infer", ..context };
            prop_assert!(fault.decide(&other).is_none());
        }
        assert_rate(held, 4000, rate);
    }

    #[test]
    fn the_lag_that_a_monitor_computes_is_the_promised_one(hours in 1_u32..1000, ramp in 0.1..=1.0) {
        let fault = fault(&format!("{{ path: /f, backdate: {{ field: $.at, by: {hours}h }} }}"));
        let out = amended(&fault, r#"{"at": 1767225600, "y": 1}"#, ramp).unwrap();
        let at: i64 = out.strip_prefix(r#"{"at": "#).unwrap().strip_suffix(r#", "y": 1}"#).unwrap().parse().unwrap();
        prop_assert_eq!(1_767_225_600 - at, (f64::from(hours) * 3600.0 * ramp).round() as i64);
    }
}

#[test]
fn only_the_timestamps_change() {
    let fault = fault("{ path: /f, backdate: { field: '$.e[*].at', by: 1h } }");
    let body = r#"{ "e":[{"at":"2026-01-01T00:30:00Z" ,"y":NaN},{"at": 7200}]}"#;
    let wanted = r#"{ "e":[{"at":"2025-12-31T23:30:00Z" ,"y":NaN},{"at": 3600}]}"#;
    assert_eq!(amended(&fault, body, 1.0).unwrap(), wanted);
    assert_eq!(amended(&fault, r#"{"e":[{"at":"now"}]}"#, 1.0), Err(NOT_A_TIME));
    assert_eq!(amended(&fault, r#"{"e":[]}"#, 1.0), Err("no-value"));
}

#[test]
fn settings_that_cannot_be_are_told() {
    assert_listed("feedback-late");
    for (yaml, message) in [
        ("{ path: /f }", "either `hold` or `backdate` says how late"),
        ("{ path: /f, hold: 11m }", "a label can't be held for 11m"),
        ("{ path: /f, hold: 0s }", "a label can't be held for 0s"),
        ("{ path: /f, backdate: { field: $.at, by: 500ms } }", "a timestamp can't move by 500ms"),
        ("{ path: f, hold: 1s, rate: 0% }", "a rate of 0% never acts"),
    ] {
        let found = problems(&format!("{{ feedback-late: {yaml} }}"), &Labels::default());
        assert!(found.contains(&message.to_owned()), "{yaml}: {found:?}");
    }
    assert_eq!(fault("{ path: /f, hold: 1s }").stage(), Stage::Before);
    assert_eq!(fault("{ path: /f, backdate: { field: $.at, by: 1h } }").stage(), Stage::Request);
}
