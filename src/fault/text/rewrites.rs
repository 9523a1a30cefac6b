//! Small changes of words that several faults make.

use super::{Rewrite, Token};
use crate::draw::Draw;

/// Puts one text in the place of a whole other one.
pub(in crate::fault) struct Replace {
    text: String,
}

impl Replace {
    pub(in crate::fault) fn with(text: &str) -> Replace {
        Replace { text: text.to_owned() }
    }
}

impl Rewrite for Replace {
    fn token(&mut self, _token: Token<'_>, out: &mut String) {
        out.push_str(&std::mem::take(&mut self.text));
    }
}

/// The word with its characters in another order; `None` when all are alike.
pub(in crate::fault) fn shuffled(word: &str, draw: Draw) -> Option<String> {
    let mut chars: Vec<char> = word.chars().collect();
    let first = *chars.first()?;
    if chars.iter().all(|c| *c == first) {
        return None;
    }
    // Fisher and Yates, fed by Knuth's linear congruential generator (MMIX).
    let mut state = draw.bits();
    for last in (1..chars.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        chars.swap(last, (state >> 33) as usize % (last + 1));
    }
    while chars.iter().copied().eq(word.chars()) {
        chars.rotate_left(1);
    }
    Some(chars.into_iter().collect())
}

/// The number with one digit changed, so that its value differs and its format stays; `None` if it has none.
pub(in crate::fault) fn other_digit(number: &str, draw: Draw) -> Option<String> {
    let digits: Vec<usize> =
        number.char_indices().filter(|(_, c)| c.is_ascii_digit()).map(|(i, _)| i).collect();
    if digits.is_empty() {
        return None;
    }
    let (count, bits) = (digits.len(), draw.bits());
    let at = digits[draw.index(count)];
    let old = number.as_bytes()[at] - b'0';
    let leads =
        at == 0 && number.as_bytes().get(1).is_some_and(|next| next.is_ascii_digit() || *next == b',');
    // A leading zero would be another format, or no JSON.
    let wanted = |digit: &u8| *digit != old && !(leads && *digit == 0);
    let choices: Vec<u8> = (0..10).filter(wanted).collect();
    let new = choices[(bits as u32) as usize % choices.len()];
    let mut out = String::with_capacity(number.len());
    out.push_str(&number[..at]);
    out.push(char::from(b'0' + new));
    out.push_str(&number[at + 1..]);
    Some(out)
}

/// `word` with a capital where `model` has one: `paris` for `Rome` is `Paris`, for `ROME` it is `PARIS`.
pub(in crate::fault) fn capitalised_like(model: &str, word: &str) -> String {
    let letters = || model.chars().filter(|c| c.is_alphabetic());
    if letters().count() > 1 && letters().all(char::is_uppercase) {
        return word.to_uppercase();
    }
    let mut chars = word.chars();
    match chars.next() {
        Some(first) if letters().next().is_some_and(char::is_uppercase) => {
            first.to_uppercase().chain(chars).collect()
        }
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::draw::{Key, UnitHash};

    fn draw(n: u64) -> Draw {
        Key::new(n, "x").draw(UnitHash::from_u64(n), 0)
    }

    proptest! {
        #[test]
        fn a_shuffled_word_is_another_of_the_same_letters(word in "\\PC{0,12}", n: u64) {
            let sorted = |text: &str| { let mut c: Vec<char> = text.chars().collect(); c.sort_unstable(); c };
            match shuffled(&word, draw(n)) {
                Some(new) => { prop_assert_ne!(&new, &word); prop_assert_eq!(sorted(&new), sorted(&word)); }
                None => prop_assert!(word.chars().all(|c| word.starts_with(c))),
            }
        }

        #[test]
        fn another_number_has_the_same_format(
            number in "(0|[1-9][0-9]{0,5}|[1-9][0-9]{0,2}(,[0-9]{3}){1,2})(\\.[0-9]{1,4})?", n: u64,
        ) {
            let new = other_digit(&number, draw(n)).unwrap();
            let value = |text: &str| text.replace(',', "").parse::<f64>().unwrap();
            let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
            prop_assert_ne!(value(&new), value(&number));
            prop_assert_eq!(shape(&new), shape(&number));
            let leads = |text: &str| text.starts_with("0") && text.len() > 1 && !text.starts_with("0.");
            prop_assert!(!leads(&new), "{} {}", number, new);
        }
    }

    #[test]
    fn capitals_are_kept() {
        for (model, word, want) in [
            ("Rome", "paris", "Paris"),
            ("ROME", "paris", "PARIS"),
            ("rome", "Paris", "Paris"),
            ("I", "you", "You"),
        ] {
            assert_eq!(capitalised_like(model, word), want);
        }
    }
}
