//! Feature garble: texts with broken characters.
//!
//! What encodings, fixed-width columns and copy-paste do to texts on their way to a model: `Ã¤` for `ä`, a
//! text that ends in mid-word, capitals, blanks that nobody sees.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Stage,
    feature::{Columns, amend_cells},
    prediction::{amends, check_rate},
    purpose,
    unfit::{NOT_A_TEXT, PLAIN_TEXT},
};
use crate::{
    draw::Draw,
    unit::Share,
    wire::{Answer, Value},
};

/// How a text breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Garble {
    /// UTF-8 that was read as Latin-1: `Ã¤` for `ä`.
    Mojibake,
    /// Only the first half of the characters is left.
    Truncate,
    /// Capitals and small letters change places.
    Case,
    /// A no-break space inside or at an end.
    Whitespace,
}

/// Breaks texts among the features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeatureGarble {
    /// Share of the texts that break.
    pub rate: Share,
    /// How they break.
    pub how: Garble,
    /// The columns; left out, every column.
    #[serde(default, skip_serializing_if = "Columns::is_every")]
    pub columns: Columns,
}

static ENTRY: Entry = Entry {
    name: "feature-garble",
    summary: "Breaks texts among the features of requests: mojibake, truncation, case, whitespace.",
    effect: "Each text of the columns breaks with probability `rate`, one draw for each cell. `mojibake`: each \
             byte of its UTF-8 is read as a Latin-1 character (ISO/IEC 8859-1), as a reader with the wrong \
             encoding does; `truncate`: the first ⌊n/2⌋ of its n characters are left; `case`: capitals and small \
             letters change places; `whitespace`: a no-break space (U+00A0) at a place of the draw. A text that \
             can't break so (ASCII under mojibake, no letters under case) stays, counted as `plain-text`; what is \
             no text as `not-a-text`. A ramp grows the rate. Composes in the order of the list; excludes nothing.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the texts break",
        },
        Parameter {
            name: "how",
            values: "mojibake | truncate | case | whitespace",
            default: "none; it is needed",
            meaning: "how they break",
        },
        Parameter {
            name: "columns",
            values: "list of names, or indices from 0",
            default: "every column",
            meaning: "the columns",
        },
    ],
    example: "- fault: { feature-garble: { columns: [city], how: mojibake, rate: 25% } }",
    seen_by: "Count of unseen categories, χ² and PSI of the feature, text length, share of characters outside \
              ASCII, schema checks with patterns.",
    blind: "Null-rate, latency and error monitors; monitors of numeric features; models with a default for \
            unknown categories hide it from their callers.",
};

impl Garble {
    const fn name(self) -> &'static str {
        match self {
            Garble::Mojibake => "mojibake",
            Garble::Truncate => "truncated",
            Garble::Case => "in the wrong case",
            Garble::Whitespace => "with a stray blank",
        }
    }

    fn apply(self, text: &str, draw: Draw) -> String {
        match self {
            Garble::Mojibake => text.bytes().map(char::from).collect(),
            Garble::Truncate => text.chars().take(text.chars().count() / 2).collect(),
            Garble::Case => text.chars().flat_map(other_case).collect(),
            Garble::Whitespace => {
                let place = draw.index(text.chars().count() + 1);
                let (head, tail) =
                    text.split_at(text.char_indices().nth(place).map_or(text.len(), |(at, _)| at));
                format!("{head}\u{a0}{tail}")
            }
        }
    }
}

fn other_case(c: char) -> Vec<char> {
    if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
}

impl Behaviour for FeatureGarble {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Request
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        format!("{} of the texts of {} {}", self.rate, self.columns, self.how.name())
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.rate, context)
    }

    fn amend(&self, features: &mut Answer, context: &EditContext<'_>) -> Edited {
        let rate = self.rate.scaled(context.intensity);
        amend_cells(features, &self.columns, rate, context, |mut cell| {
            let Value::Text(text) = &*cell.value else { return Err(NOT_A_TEXT) };
            let broken = self.how.apply(text, cell.draw(purpose::SIZE));
            if cell.replace(Value::Text(broken)) { Ok(true) } else { Err(PLAIN_TEXT) }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            feature::testing::{amend, features, texts},
            testing::{assert_page, assert_rate, problems},
        },
        wire::Labels,
    };

    fn garbled(how: Garble, text: &str) -> (String, Edited) {
        let fault = FeatureGarble { rate: Share::ALL, how, columns: Columns::default() };
        let mut one = texts("t", [text.to_owned()]);
        let edited = amend(&fault, &mut one, 3, 1.0);
        let Value::Text(text) = &one.rows[0].scores[0] else { panic!() };
        (text.clone(), edited)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_share_of_the_texts_breaks(seed: u64, rate in 0.01..=1.0, ramp in 0.1..=1.0) {
            let fault = FeatureGarble {
                rate: Share::new(rate).unwrap(), how: Garble::Whitespace, columns: Columns::of(["t"]),
            };
            let mut rows = texts("t", (0..3000).map(|i| format!("text {i}")));
            let changed = amend(&fault, &mut rows, seed, ramp).changed;
            assert_rate(changed, 3000, rate * ramp);
        }

        #[test]
        fn any_text_survives(text in any::<String>()) {
            let (blank, _) = garbled(Garble::Whitespace, &text);
            prop_assert_eq!(blank.chars().count(), text.chars().count() + 1);
            let (half, _) = garbled(Garble::Truncate, &text);
            prop_assert!(text.starts_with(&half) && half.chars().count() == text.chars().count() / 2);
            let (mojibake, _) = garbled(Garble::Mojibake, &text);
            let bytes: Vec<u8> = mojibake.chars().map(|c| c as u8).collect();
            prop_assert_eq!(bytes, text.into_bytes());
        }
    }

    #[test]
    fn each_way_to_break() {
        assert_eq!(garbled(Garble::Mojibake, "Köln").0, "KÃ¶ln");
        assert_eq!(garbled(Garble::Truncate, "Zürich").0, "Zür");
        assert_eq!(garbled(Garble::Case, "Rue 9").0, "rUE 9");
        let plain = Edited { changed: 0, unfit: Some(PLAIN_TEXT) };
        assert_eq!(garbled(Garble::Mojibake, "Rome"), ("Rome".to_owned(), plain));
        assert_eq!(garbled(Garble::Case, "12"), ("12".to_owned(), plain));
        assert_eq!(garbled(Garble::Truncate, ""), (String::new(), plain));
    }

    #[test]
    fn it_says_what_it_does() {
        assert_page("feature-garble");
        let zero = "{ feature-garble: { rate: 0%, how: case } }";
        assert_eq!(problems(zero, &Labels::default()), ["a rate of 0% never acts"]);
        let fault = FeatureGarble { rate: Share::ALL, how: Garble::Case, columns: Columns::default() };
        let edited = amend(&fault, &mut features(&[], [vec![1.0]]), 1, 1.0);
        assert_eq!(edited, Edited { changed: 0, unfit: Some(NOT_A_TEXT) });
    }
}
