//! As many numbers as were asked for have another value, in the same format.

use super::*;
use crate::fault::{
    testing::{assert_page, assert_rate},
    text_testing::{even, fault, run, wrong},
};

const BILL: &str = "Item 7: 1,250.00 for 12 units (3.5%), due 2024-05-17; see B2B note 007.";
/// `7`, `1,250.00`, `12`, `3.5`, the three of the date, and `007`.
const NUMBERS: usize = 8;

#[test]
fn the_rate_of_numbers_is_reached() {
    for (intensity, rate) in [(1.0, 0.3), (0.5, 0.15)] {
        let fault = fault("{ number-substitute: { rate: 30% } }");
        let mut changed = 0;
        for request in 0..1_000 {
            let ran = run(&fault, request, intensity, even(BILL, 1 + request as usize % 7)).unwrap();
            let after = ran.joined(Role::Text);
            assert_eq!(after.len(), BILL.len());
            let digits = BILL.bytes().zip(after.bytes()).filter(|(before, after)| before != after).count();
            assert_eq!(digits, ran.edited.changed, "one digit of each");
            let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
            assert_eq!((shape(&after), after.contains("B2B")), (shape(BILL), true));
            changed += digits;
        }
        assert_rate(changed, NUMBERS * 1_000, rate);
    }
}

#[test]
fn it_says_what_it_does() {
    assert_page("number-substitute");
    assert_eq!(wrong("{ number-substitute: { rate: 0% } }"), ["a rate of 0% never acts"]);
    assert_eq!(fault("{ number-substitute: { rate: 30% } }").describe(), "30% of numbers changed");
}
