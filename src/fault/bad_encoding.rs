//! Content codings that lie, and coded bodies that are broken.

use http::{HeaderValue, header::CONTENT_ENCODING, response};
use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Fault, Parameter, Problem, Stage,
    prediction::check_rate,
};
use crate::unit::Share;

/// Makes the coding of a response wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BadEncoding {
    /// What is wrong.
    #[serde(default)]
    pub how: Wrong,
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
}

fn all() -> Share {
    Share::ALL
}

/// What is wrong about a coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// Content-Encoding says gzip, and the body is not; a body in gzip is said to be in br.
    #[default]
    Claimed,
    /// The body is coded, and Content-Encoding does not say so.
    Unsaid,
    /// A byte of the coded body is broken.
    Corrupt,
}

static ENTRY: Entry = Entry {
    name: "bad-encoding",
    summary: "Lies about the content coding of responses, or breaks a coded body.",
    effect: "The share `rate` of treated responses can't be decoded. `claimed`: Content-Encoding becomes gzip (of \
             a gzip body, br); `unsaid`: Content-Encoding is dropped from a coded body; `corrupt`: one byte of a \
             coded body, the eleventh (the first of the compressed data in gzip), has all its bits flipped, so \
             that the data or its CRC is wrong. The last two act on coded bodies only: callers have to send \
             Accept-Encoding, and others are skipped. Length and framing stay right. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "how",
            values: "claimed | unsaid | corrupt",
            default: "claimed",
            meaning: "a coding that the body is not in, a coding that is not said, or a broken body",
        },
        Parameter {
            name: "rate",
            values: "share, 0% to 100%",
            default: "100%",
            meaning: "how often it acts on what the treated get",
        },
    ],
    example: "- fault: { bad-encoding: { how: claimed, rate: 5% } }",
    seen_by: "Decoding and parse errors of the caller, its retries, a rate of successful business calls.",
    blind: "Status-code error rates and latency, which are perfect; gateways that pass bodies as they are; the \
            model server's own metrics.",
};

impl Behaviour for BadEncoding {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Transport
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        let what = match self.how {
            Wrong::Claimed => "codings claimed that are none",
            Wrong::Unsaid => "codings not said",
            Wrong::Corrupt => "coded bodies broken",
        };
        format!("{} {what}", self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        check_rate(self.rate).into_iter().collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        let Fault::BadEncoding(other) = other else { return None };
        (self.how != other.how && (self.rate == Share::ALL || other.rate == Share::ALL))
            .then_some("both are about the one coding of a response")
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        context.acts(self.rate).then_some(match self.how {
            Wrong::Claimed | Wrong::Unsaid => Action::Head,
            Wrong::Corrupt => Action::CorruptCoding,
        })
    }

    fn head(&self, head: &mut response::Parts, _context: &EditContext<'_>) -> Edited {
        let there = head.headers.get(CONTENT_ENCODING);
        let is_gzip = there.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"gzip"));
        match self.how {
            Wrong::Claimed => {
                let claim = HeaderValue::from_static(if is_gzip { "br" } else { "gzip" });
                head.headers.insert(CONTENT_ENCODING, claim);
                Edited { changed: 1, unfit: None }
            }
            Wrong::Unsaid if there.is_some() => {
                head.headers.remove(CONTENT_ENCODING);
                Edited { changed: 1, unfit: None }
            }
            _ => Edited { changed: 0, unfit: Some("not-encoded") },
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::testing::{assert_page, assert_rate, decide, dice},
        wire::Labels,
    };

    fn coding_after(how: Wrong, coding: Option<&'static str>) -> (Option<String>, Edited) {
        let fault = BadEncoding { how, rate: Share::ALL };
        let (mut head, ()) = Response::new(()).into_parts();
        if let Some(coding) = coding {
            head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        let (labels, memory) = (Labels::default(), fault.memory());
        let edited = fault.head(&mut head, &EditContext::new(dice(0, 1), 1.0, &labels, &memory));
        let after = head.headers.get(CONTENT_ENCODING).map(|coding| coding.to_str().unwrap().to_owned());
        (after, edited)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn it_acts_as_often_as_its_rate_and_ramp(seed: u64, rate in 0.0_f64..=1.0, intensity in 0.0_f64..=1.0) {
            let fault = BadEncoding { how: Wrong::Corrupt, rate: Share::new(rate).unwrap() };
            let acted = (0..10_000).filter(|i| decide(&fault, dice(seed, *i), intensity).is_some()).count();
            assert_rate(acted, 10_000, rate * intensity);
        }
    }

    #[test]
    fn a_claim_is_always_false_and_what_is_unsaid_was_there() {
        let (done, not) =
            (Edited { changed: 1, unfit: None }, Edited { changed: 0, unfit: Some("not-encoded") });
        assert_eq!(coding_after(Wrong::Claimed, None), (Some("gzip".to_owned()), done));
        assert_eq!(coding_after(Wrong::Claimed, Some("gzip")), (Some("br".to_owned()), done));
        assert_eq!(coding_after(Wrong::Unsaid, Some("gzip")), (None, done));
        assert_eq!(coding_after(Wrong::Unsaid, None), (None, not));
    }

    #[test]
    fn a_broken_body_is_the_layers_work() {
        let fault = BadEncoding { how: Wrong::Corrupt, rate: Share::ALL };
        assert_eq!(decide(&fault, dice(0, 1), 1.0), Some(Action::CorruptCoding));
        assert_eq!(fault.describe(), "100% coded bodies broken");
    }

    #[test]
    fn its_page_can_be_pasted() {
        assert_page("bad-encoding");
    }
}
