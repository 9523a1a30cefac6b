//! Wrong headers on good bodies: another value, none, twice, or garbled.
//!
//! Headers that frame the message (Content-Length, Transfer-Encoding and the connection's own) are refused: a
//! wrong one desynchronises the connection for the requests behind it, so that the fault would leak to callers
//! that are not treated. `truncate` and `reset` break the framing of one response only.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, response};
use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Stage,
    prediction::check_rate, purpose,
};
use crate::{draw::Dice, unit::Share};

/// Makes headers of responses wrong. At least one of `set`, `drop`, `duplicate` and `garble` names a header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HeaderCorrupt {
    /// Headers that get another value, such as `content-type: text/html`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Headers that are dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Headers that come twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duplicate: Vec<String>,
    /// Headers whose value has other characters in some places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub garble: Vec<String>,
    /// How often it acts on what the treated get.
    #[serde(default = "all")]
    pub rate: Share,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "header-corrupt",
    summary: "Sets, drops, doubles or garbles headers of responses.",
    effect: "The share `rate` of treated responses has wrong headers, and the body that it had. `set` gives a \
             header another value, there or not; `drop` takes it away, `duplicate` sends it twice, `garble` \
             replaces about half of its characters by others that may stand in a header; these three count a \
             response without the header as skipped. Headers that frame the message (content-length, \
             transfer-encoding, connection, …) are refused. A ramp scales the rate.",
    parameters: &[
        Parameter {
            name: "set",
            values: "header: value, …",
            default: "—",
            meaning: "headers that get another value, such as content-type: text/html",
        },
        Parameter {
            name: "drop",
            values: "list of headers",
            default: "—",
            meaning: "headers that are dropped",
        },
        Parameter {
            name: "duplicate",
            values: "list of headers",
            default: "—",
            meaning: "headers that come twice",
        },
        Parameter {
            name: "garble",
            values: "list of headers",
            default: "—",
            meaning: "headers that become unreadable",
        },
        Parameter {
            name: "rate",
            values: "share, 0% to 100%",
            default: "100%",
            meaning: "how often it acts on what the treated get",
        },
    ],
    example: "- fault: { header-corrupt: { set: { content-type: text/html }, rate: 5% } }",
    seen_by: "Parse and content-type errors of the caller, schema checks at a gateway, missing-header rates (trace \
              and model-version headers).",
    blind: "Status-code error rates, latency, and clients that never look at the header; anything about \
            predictions, for the body is right.",
};

/// Headers that a fault must not touch.
const FRAMING: [&str; 8] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "proxy-connection",
];

impl HeaderCorrupt {
    /// Every header that it touches, with the setting that names it.
    fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let set = self.set.keys().map(|name| ("set", name));
        let lists = [("drop", &self.drop), ("duplicate", &self.duplicate), ("garble", &self.garble)];
        let listed = lists.into_iter().flat_map(|(key, names)| names.iter().map(move |name| (key, name)));
        set.chain(listed).map(|(key, name)| (key, name.as_str()))
    }
}

/// Another text of the same length.
fn garbled(value: &HeaderValue, dice: Dice, from: u32) -> Option<HeaderValue> {
    const OTHERS: &[u8] = b"!#%&'*+-.0123456789?ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~";
    let swap = |(place, byte): (usize, &u8)| {
        let draw = |purpose| dice.at(purpose, from.wrapping_add(place as u32));
        let other = OTHERS[draw(purpose::SIZE).index(OTHERS.len())];
        // The first always changes, so that the value does.
        match place == 0 || draw(purpose::SIZE + 1).uniform() < 0.5 {
            true if other == *byte => b'$',
            true => other,
            false => *byte,
        }
    };
    let bytes: Vec<u8> = value.as_bytes().iter().enumerate().map(swap).collect();
    HeaderValue::from_bytes(&bytes).ok().filter(|garbled| garbled != value)
}

fn change(
    headers: &mut HeaderMap,
    how: &str,
    name: &str,
    set: Option<&String>,
    dice: Dice,
) -> Result<bool, &'static str> {
    let name: HeaderName = name.parse().map_err(|_| "no-header")?;
    if let Some(value) = set {
        let value = HeaderValue::from_str(value).map_err(|_| "no-header")?;
        return Ok(headers.insert(name, value.clone()).is_none_or(|old| old != value));
    }
    let there = headers.get(&name).cloned().ok_or("no-header")?;
    match how {
        "drop" => drop(headers.remove(&name)),
        "duplicate" => drop(headers.append(name, there)),
        _ => {
            // Each header has draws of its own.
            let from = crate::draw::UnitHash::of(name.as_str().as_bytes()).get() as u32;
            let garbled = garbled(&there, dice, from).ok_or("no-header")?;
            headers.insert(name, garbled);
        }
    }
    Ok(true)
}

impl Behaviour for HeaderCorrupt {
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
        let changes: Vec<String> = self
            .names()
            .map(|(how, name)| match self.set.get(name).filter(|_| how == "set") {
                Some(value) => format!("{name}: {value}"),
                None => format!("{how} {name}"),
            })
            .collect();
        format!("{} {}", self.rate, changes.join(", "))
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        if self.names().next().is_none() {
            let help =
                "such as `set: { content-type: text/html }`, `drop: [content-type]` or `garble: [etag]`";
            problems.push(Problem::new("", "`header-corrupt` names no header").help(help));
        }
        let mut seen: Vec<String> = Vec::new();
        for (key, name) in self.names() {
            let plain = name.to_ascii_lowercase();
            if FRAMING.contains(&plain.as_str()) {
                let message = format!(
                    "`{plain}` frames the message: a wrong one would break the connection for the requests behind \
                     it, of callers that are not treated"
                );
                let help = "to send less than was promised use `truncate`, to break the connection `reset`";
                problems.push(Problem::new(key, message).help(help));
            } else if name.parse::<HeaderName>().is_err() {
                let message = format!("`{name}` is no name of a header");
                problems
                    .push(Problem::new(key, message).help("letters, digits and `-`, such as content-type"));
            } else if seen.contains(&plain) {
                problems.push(Problem::new(key, format!("`{plain}` is named twice")).help("name it once"));
            }
            seen.push(plain);
        }
        for (name, value) in &self.set {
            if HeaderValue::from_str(value).is_err() {
                let message = format!("the value of `{name}` can't stand in a header");
                problems.push(Problem::new("set", message).help("one line of visible characters"));
            }
        }
        problems
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        context.acts(self.rate).then_some(Action::Head)
    }

    fn head(&self, head: &mut response::Parts, context: &EditContext<'_>) -> Edited {
        let headers = &mut head.headers;
        let changes = self.names().map(|(how, name)| {
            let set = self.set.get(name).filter(|_| how == "set");
            change(headers, how, name, set, context.dice)
        });
        changes.collect()
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::testing::{assert_page, assert_rate, check, decide, dice},
        wire::{Labels, Protocol},
    };

    fn parse(text: &str) -> HeaderCorrupt {
        serde_json::from_str(text).unwrap()
    }

    fn after(fault: &HeaderCorrupt, request: u64) -> (HeaderMap, Edited) {
        let response =
            Response::builder().header("content-type", "application/json").header("etag", "\"abc\"");
        let (mut head, ()) = response.body(()).unwrap().into_parts();
        let (labels, memory) = (Labels::default(), fault.memory());
        let edited = fault.head(&mut head, &EditContext::new(dice(0, request), 1.0, &labels, &memory));
        (head.headers, edited)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn it_acts_as_often_as_its_rate_and_ramp(seed: u64, rate in 0.0_f64..=1.0, intensity in 0.0_f64..=1.0) {
            let fault = HeaderCorrupt { rate: Share::new(rate).unwrap(), ..parse(r#"{"drop": ["etag"]}"#) };
            let acted = (0..10_000).filter(|i| decide(&fault, dice(seed, *i), intensity).is_some()).count();
            assert_rate(acted, 10_000, rate * intensity);
        }

        #[test]
        fn what_is_garbled_differs_has_its_length_and_may_stand_in_a_header(request: u64, value in "[ -~]{1,60}") {
            let value = HeaderValue::from_str(&value).unwrap();
            let garbled = garbled(&value, dice(1, request), 0).unwrap();
            prop_assert_ne!(&garbled, &value);
            prop_assert_eq!(garbled.len(), value.len());
            prop_assert!(garbled.to_str().is_ok());
        }
    }

    #[test]
    fn headers_are_set_dropped_doubled_and_garbled() {
        let fault = parse(
            r#"{"set": {"x-model": "old", "Content-Type": "text/html"}, "duplicate": ["etag"], "drop": ["gone"]}"#,
        );
        let (headers, edited) = after(&fault, 1);
        assert_eq!(
            (&headers["content-type"], &headers["x-model"]),
            (&"text/html".parse().unwrap(), &"old".parse().unwrap())
        );
        assert_eq!(headers.get_all("etag").iter().count(), 2);
        assert_eq!(edited, Edited { changed: 3, unfit: Some("no-header") });
        let (headers, edited) = after(&parse(r#"{"drop": ["etag"], "garble": ["content-type"]}"#), 1);
        assert!(headers.get("etag").is_none() && headers["content-type"] != "application/json");
        assert_eq!(edited, Edited { changed: 2, unfit: None });
        assert_eq!(parse(r#"{"set": {"a": "b"}, "drop": ["c"]}"#).describe(), "100% a: b, drop c");
    }

    #[test]
    fn what_frames_the_message_is_refused_with_the_reason() {
        let found = |text| check(&parse(text), &Protocol::Http, &Labels::default());
        let messages = |text| found(text).into_iter().map(|p| (p.key, p.message)).collect::<Vec<_>>();
        let framing = messages(r#"{"set": {"Content-Length": "3"}}"#);
        assert_eq!(framing[0].0, "set");
        assert!(framing[0].1.contains("`content-length` frames the message"), "{framing:?}");
        assert_eq!(found(r#"{"drop": ["transfer-encoding"]}"#)[0].key, "drop");
        assert_eq!(messages("{}"), [("", "`header-corrupt` names no header".to_owned())]);
        assert_eq!(messages(r#"{"drop": ["a b"]}"#), [("drop", "`a b` is no name of a header".to_owned())]);
        assert_eq!(
            messages(r#"{"drop": ["a"], "garble": ["A"]}"#),
            [("garble", "`a` is named twice".to_owned())]
        );
        assert_eq!(found(r#"{"set": {"a": "b\nc"}}"#)[0].key, "set");
    }

    #[test]
    fn its_page_can_be_pasted() {
        assert_page("header-corrupt");
    }
}
