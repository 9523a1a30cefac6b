//! Bodies that end early: after so many bytes, or after a share of them.

use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, Entry, Extent, Fault, Parameter, Problem, Stage,
    exclusion::one_ends_all, prediction::check_rate,
};
use crate::unit::Share;

/// Ends the bodies of responses early. `after-bytes` or `at` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Truncate {
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
    /// Bytes of the body that still pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_bytes: Option<u64>,
    /// Share of the body that still passes; a body whose length is not told beforehand is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Share>,
    /// Is the shorter body well framed, so that only its content tells? Otherwise the promised length is not
    /// kept and the connection breaks.
    #[serde(default)]
    pub clean: bool,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "truncate",
    summary: "Ends bodies early: cleanly, or by breaking the connection.",
    effect: "The share `rate` of treated responses ends after `after-bytes` bytes, or after the share `at` of \
             their Content-Length, rounded down. `clean`: the length is corrected (or the last chunk sent), so \
             that HTTP is content and only the content is cut off: JSON that ends in the middle. Otherwise the \
             connection breaks where the body ends, as with `reset`. A body that is no longer than that passes \
             whole and counts as skipped; so does one of unknown length with `at`. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, 0% to 100%",
            default: "100%",
            meaning: "how often it acts on what the treated get",
        },
        Parameter {
            name: "after-bytes",
            values: "bytes, 0 or more",
            default: "—",
            meaning: "how much of the body still passes",
        },
        Parameter {
            name: "at",
            values: "share, below 100%",
            default: "—",
            meaning: "the same, as a share of the body",
        },
        Parameter {
            name: "clean",
            values: "true | false",
            default: "false",
            meaning: "keep the framing right, so that only the content tells",
        },
    ],
    example: "- fault: { truncate: { at: 50%, clean: true, rate: 5% } }",
    seen_by: "Parse errors and retries of the caller; unclean ones as connection errors too; response-size \
              distributions.",
    blind: "Status-code error rates: a 200 was sent before; the model server's own metrics, in which the request \
            succeeded; clients that take what they have got of a stream.",
};

impl Truncate {
    fn extent(&self) -> Option<Extent> {
        self.after_bytes.map(Extent::Bytes).or(self.at.map(Extent::Share))
    }
}

impl Behaviour for Truncate {
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
        let at = match self.extent() {
            Some(Extent::Bytes(bytes)) => format!("after {bytes} bytes"),
            Some(Extent::Share(share)) => format!("at {share}"),
            None => "nowhere".to_owned(),
        };
        let clean = if self.clean { "cleanly " } else { "" };
        format!("{} of bodies end {clean}{at}", self.rate)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let help = "give one of `after-bytes: 64` and `at: 50%`";
        let where_to = match (self.after_bytes, self.at) {
            (None, None) => Some(Problem::new("", "`truncate` does not say where").help(help)),
            (Some(_), Some(_)) => Some(Problem::new("at", "`after-bytes` says already where").help(help)),
            (None, Some(Share::ALL)) => {
                Some(Problem::new("at", "at 100% nothing is cut off").help("write a smaller share"))
            }
            _ => None,
        };
        check_rate(self.rate).into_iter().chain(where_to).collect()
    }

    fn excludes(&self, other: &Fault) -> Option<&'static str> {
        one_ends_all(self.rate, other)
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        let after = self.extent()?;
        context.acts(self.rate).then_some(Action::Truncate { after, clean: self.clean })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::testing::{assert_page, assert_rate, check, decide, dice},
        wire::{Labels, Protocol},
    };

    fn parse(text: &str) -> Truncate {
        serde_json::from_str(text).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn it_acts_as_often_as_its_rate_and_ramp(seed: u64, rate in 0.0_f64..=1.0, intensity in 0.0_f64..=1.0) {
            let fault = Truncate { rate: Share::new(rate).unwrap(), ..parse(r#"{"at": "50%"}"#) };
            let acted = (0..10_000).filter(|i| decide(&fault, dice(seed, *i), intensity).is_some()).count();
            assert_rate(acted, 10_000, rate * intensity);
        }
    }

    #[test]
    fn it_ends_after_bytes_or_at_a_share() {
        let after = Extent::Bytes(64);
        let bytes = parse(r#"{"after-bytes": 64}"#);
        assert_eq!(decide(&bytes, dice(0, 1), 1.0), Some(Action::Truncate { after, clean: false }));
        assert_eq!(bytes.describe(), "100% of bodies end after 64 bytes");
        let half = parse(r#"{"at": "50%", "clean": true, "rate": "5%"}"#);
        assert_eq!(half.describe(), "5% of bodies end cleanly at 50%");
        let keys = |text| {
            check(&parse(text), &Protocol::Http, &Labels::default())
                .into_iter()
                .map(|p| p.key)
                .collect::<Vec<_>>()
        };
        assert_eq!(keys("{}"), [""]);
        assert_eq!(keys(r#"{"at": "50%", "after-bytes": 3}"#), ["at"]);
        assert_eq!(keys(r#"{"at": "100%"}"#), ["at"]);
        assert!(keys(r#"{"after-bytes": 0}"#).is_empty());
    }

    #[test]
    fn its_page_can_be_pasted() {
        assert_page("truncate");
    }
}
