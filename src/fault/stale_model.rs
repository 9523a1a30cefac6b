//! Stale model: an old version answers, or the answer says that it was another version.
//!
//! A rollback that nobody announced, a replica that missed the roll-out, a registry that tells the wrong version: the
//! first is asked for by routing a share to another upstream, the second by a lie in the answer.

use http::{HeaderName, HeaderValue, response};
use serde::{Deserialize, Serialize};

use super::{
    Action, Behaviour, CheckContext, Decide, EditContext, Edited, Entry, Parameter, Problem, Stage,
    prediction::check_rate, unfit::NO_VERSION,
};
use crate::{
    unit::Share,
    wire::{Answer, Content, Value},
};

/// Routes a share to another upstream, or lies about the model's version.
///
/// ```
/// use canard::fault::Fault;
/// let fault: Fault = serde_json::from_str(r#"{ "stale-model": { "version": "41", "rate": "10%" } }"#)?;
/// assert_eq!(fault.describe(), "10% said to be of version 41");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StaleModel {
    /// Share of the requests that get the stale model, or of the answers that lie.
    #[serde(default = "all")]
    pub rate: Share,
    /// The other upstream that is asked, one of those that the sidecar was started with: its name, or its URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// In place of an upstream: the version that the answer says it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub version: Option<String>,
    /// With `version`: the response header that tells it; left out, the field of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

fn all() -> Share {
    Share::ALL
}

static ENTRY: Entry = Entry {
    name: "stale-model",
    summary: "Routes a share to another upstream, such as the old version, or lies about the model's version.",
    effect: "With `upstream`, a share `rate` of the requests is answered by that upstream: what changes is what the two \
             models disagree about, so with disagreement d a share rate·d of the predictions changes. The upstream has \
             to be one that the sidecar was started with, or it is counted as `no-such-upstream`. With `version`, a \
             share `rate` of the answers says that it comes from that version, in `model_version` of the body (Open \
             Inference Protocol) or in a header, and the predictions stay; an answer that tells no version passes and \
             is counted as `no-version`. A ramp grows the rate.",
    parameters: &[
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "100%",
            meaning: "how many requests are routed, or how many answers lie",
        },
        Parameter {
            name: "upstream",
            values: "name or URL of a candidate that the sidecar was started with",
            default: "none; either `upstream` or `version` is needed",
            meaning: "who answers",
        },
        Parameter {
            name: "version",
            values: "text",
            default: "none",
            meaning: "the version that the answer claims",
        },
        Parameter {
            name: "header",
            values: "name of a response header",
            default: "`model_version` of the body",
            meaning: "with `version`: where the lie is told",
        },
    ],
    example: "- fault: { stale-model: { version: 41, rate: 10% } }",
    seen_by: "Metrics by version, age of the model, count of versions that serve at once; for a routed share drift and \
              accuracy, as far as the two models differ.",
    blind: "Latency and error monitors; monitors of predictions, for a lie; anything that takes the deployment's word \
            for the version.",
};

impl StaleModel {
    /// Every request, answered by another upstream.
    pub(crate) fn routed_to(upstream: &str) -> StaleModel {
        StaleModel { rate: Share::ALL, upstream: Some(upstream.to_owned()), version: None, header: None }
    }

    /// Does a scenario mean this candidate, by its name or by its address?
    pub(crate) fn means(upstream: &str, name: Option<&str>, address: &http::Uri) -> bool {
        let same = |asked: http::Uri| {
            asked.scheme().is_some()
                && asked.scheme() == address.scheme()
                && asked.authority() == address.authority()
        };
        name == Some(upstream) || upstream.trim_end_matches('/').parse().is_ok_and(same)
    }

    /// Why a text names no upstream, if it does not.
    pub(crate) fn no_upstream(upstream: &str) -> Option<Problem> {
        let is_url = |uri: http::Uri| uri.host().is_some() && uri.scheme().is_some();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let named = !upstream.is_empty() && upstream.chars().all(is_name);
        (!named && !upstream.parse().is_ok_and(is_url)).then(|| {
            let message = format!("`{upstream}` is neither a URL nor the name of a candidate");
            let help =
                "give the name that the stage (`candidates`) or the sidecar (`--candidate`) has for it";
            Problem::new("upstream", message).help(help)
        })
    }
}

impl Behaviour for StaleModel {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        match (&self.upstream, &self.header) {
            (Some(_), _) => Stage::Refuse,
            (None, Some(_)) => Stage::After,
            (None, None) => Stage::Prediction,
        }
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn describe(&self) -> String {
        match (&self.upstream, &self.version) {
            (Some(upstream), _) => format!("{} answered by {upstream}", self.rate),
            (None, version) => {
                format!("{} said to be of version {}", self.rate, version.as_deref().unwrap_or("?"))
            }
        }
    }

    fn needs(&self) -> Option<Content> {
        (self.stage() == Stage::Prediction).then_some(Content::Predictions)
    }

    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = check_rate(self.rate).into_iter().collect();
        match (&self.upstream, &self.version) {
            (None, None) => {
                let help = "write `upstream` with the URL of the stale model, or `version` with the lie";
                problems.push(Problem::new("", "`stale-model` needs an upstream or a version").help(help));
            }
            (Some(_), Some(_)) => {
                problems.push(Problem::new("version", "either an upstream or a version, not both"));
            }
            (Some(upstream), None) => {
                problems.extend(StaleModel::no_upstream(upstream));
                if self.header.is_some() {
                    problems
                        .push(Problem::new("header", "`header` goes with `version`, not with `upstream`"));
                }
            }
            (None, Some(version)) => {
                if version.trim().is_empty() || HeaderValue::from_str(version).is_err() {
                    problems.push(Problem::new("version", "a version is a text of printable characters"));
                }
                if let Some(header) =
                    self.header.as_ref().filter(|header| header.parse::<HeaderName>().is_err())
                {
                    problems.push(Problem::new("header", format!("`{header}` is no name of a header")));
                }
            }
        }
        problems
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        context.acts(self.rate).then(|| match (&self.upstream, &self.header) {
            (Some(upstream), _) => Action::Route { upstream: upstream.clone() },
            (None, Some(_)) => Action::Head,
            (None, None) => Action::Edit,
        })
    }

    fn edit(&self, answer: &mut Answer, _context: &EditContext<'_>) -> Edited {
        let (Some(told), Some(version)) = (&mut answer.version, &self.version) else {
            return Edited { changed: 0, unfit: Some(NO_VERSION) };
        };
        let lie = match (&told, version.parse()) {
            (Value::Int(_), Ok(number)) => Value::Int(number),
            _ => Value::Text(version.clone()),
        };
        let changes = *told != lie;
        *told = lie;
        Edited { changed: usize::from(changes), unfit: None }
    }

    fn head(&self, head: &mut response::Parts, _context: &EditContext<'_>) -> Edited {
        let unfit = Edited { changed: 0, unfit: Some(NO_VERSION) };
        let Some((header, version)) = self.header.as_ref().zip(self.version.as_ref()) else { return unfit };
        let value = HeaderValue::from_str(version).ok();
        match head.headers.get_mut(header.as_str()).zip(value) {
            Some((told, lie)) => {
                let changes = *told != lie;
                *told = lie;
                Edited { changed: usize::from(changes), unfit: None }
            }
            None => unfit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fault::testing::{assert_page, assert_rate, decide, dice, edit_one, iris, problems, row},
        wire::Labels,
    };

    fn fault(yaml: &str) -> StaleModel {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn a_share_is_routed() {
        let fault = fault("{ upstream: 'http://10.0.0.7:8080', rate: 30% }");
        for (intensity, rate) in [(1.0, 0.3), (0.5, 0.15)] {
            let routed = (0..20_000).filter_map(|i| decide(&fault, dice(5, i), intensity));
            let routed: Vec<Action> = routed.collect();
            assert_rate(routed.len(), 20_000, rate);
            assert!(
                routed.iter().all(|a| *a == Action::Route { upstream: "http://10.0.0.7:8080".to_owned() })
            );
        }
        assert_eq!((fault.stage(), fault.needs()), (Stage::Refuse, None));
    }

    #[test]
    fn the_version_is_a_lie() {
        let labels = Labels::default();
        let stale = fault("{ version: 41 }");
        assert_eq!(decide(&stale, dice(5, 1), 1.0), Some(Action::Edit));
        let memory = stale.memory();
        let context = EditContext::new(dice(5, 1), 1.0, &labels, &memory);
        for (told, lie) in
            [(Value::Text("42".into()), Value::Text("41".into())), (Value::Int(42), Value::Int(41))]
        {
            let mut answer = Answer { version: Some(told), ..Answer::default() };
            assert_eq!(stale.edit(&mut answer, &context), Edited { changed: 1, unfit: None });
            assert_eq!(answer.version, Some(lie));
            assert_eq!(stale.edit(&mut answer, &context), Edited::default());
        }
        assert_eq!(edit_one(&stale, &row(None, &[0.5]), &labels).unfit, Some(NO_VERSION));

        let stale = fault("{ version: 41, header: x-model-version }");
        assert_eq!(decide(&stale, dice(5, 1), 1.0), Some(Action::Head));
        let mut head =
            http::Response::builder().header("X-Model-Version", "42").body(()).unwrap().into_parts().0;
        assert_eq!(stale.head(&mut head, &context).changed, 1);
        assert_eq!(head.headers["x-model-version"], "41");
        head.headers.clear();
        assert_eq!(stale.head(&mut head, &context).unfit, Some(NO_VERSION));
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (yaml, message) in [
            ("{ rate: 5% }", "`stale-model` needs an upstream or a version"),
            ("{ upstream: 'http://a', version: 4 }", "either an upstream or a version, not both"),
            ("{ upstream: not here }", "`not here` is neither a URL nor the name of a candidate"),
            ("{ upstream: 'http://a', header: x }", "`header` goes with `version`, not with `upstream`"),
            ("{ version: 4, header: 'a b' }", "`a b` is no name of a header"),
            ("{ version: 4, rate: 0% }", "a rate of 0% never acts"),
        ] {
            assert_eq!(problems(&format!("{{ stale-model: {yaml} }}"), &iris()), [message]);
        }
    }

    #[test]
    fn it_says_what_it_does() {
        assert_page("stale-model");
    }
}
