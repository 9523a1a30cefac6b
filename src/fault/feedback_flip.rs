//! Feedback flip: labels that say something else than what was meant.
//!
//! Hurried annotators, a reversed encoding, a spammer. A monitor that trusts its labels reports a model that
//! got worse, or hides that it did.

use serde::{Deserialize, Serialize};

use super::{
    Action, Amended, Behaviour, CheckContext, Decide, EditContext, Entry, Parameter, Problem, Promise, Stage,
    Touched,
    feedback::{check_path, is_feedback, name, rewrite, select},
    prediction::{amends, check_class, check_rate},
    purpose,
    unfit::UNKNOWN_CLASS,
};
use crate::{
    unit::Share,
    wire::{Content, JsonPath, Labels, Value},
};

/// Flips labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FeedbackFlip {
    /// Path of the endpoint that takes labels back; what is below it counts too.
    pub path: String,
    /// JSONPath to the label, or labels, in the body of its requests.
    pub label: JsonPath,
    /// Share of the labels of `from` that are flipped.
    pub rate: Share,
    /// The label that is flipped; left out, every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub from: Option<String>,
    /// The label that takes its place; left out, the other of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("type" = super::prediction::SCALAR)))]
    pub to: Option<String>,
}

static ENTRY: Entry = Entry {
    name: "feedback-flip",
    summary: "Flips labels that are sent back, at a rate, all alike or from one class to another.",
    effect: "A share `rate` of the labels that are `from` says `to`, one draw for each label. Flipped alike among \
             two classes (symmetric noise, Angluin and Laird 1988), a model of accuracy a is measured at \
             a·(1 − r) + (1 − a)·r; of one class only (class-conditional noise, Natarajan et al. 2013), its share \
             among the labels falls to 1 − r of itself. Without `to` the other of two: true and false, 0 and 1, \
             or the target's two labels; any other label is counted as `unknown-class`. Only the label's own \
             bytes change. A ramp grows the rate. The scenario's target has to match the endpoint. Acts before \
             labels are held back or swallowed (feedback-late, -missing, -negative), which then see the flipped \
             label; two of them act in the order of the list; excludes nothing.",
    parameters: &[
        Parameter {
            name: "path",
            values: "path of a request, such as /feedback",
            default: "none; it is needed",
            meaning: "the endpoint that takes labels back, and what is below it",
        },
        Parameter {
            name: "label",
            values: "JSONPath, such as $.label or $.events[*].label",
            default: "none; it is needed",
            meaning: "where the label is in the body",
        },
        Parameter {
            name: "rate",
            values: "share, above 0% to 100%",
            default: "none; it is needed",
            meaning: "how many of the labels are flipped",
        },
        Parameter {
            name: "from",
            values: "a label, as the body writes it",
            default: "every label",
            meaning: "the label that is flipped",
        },
        Parameter {
            name: "to",
            values: "a label, as the body writes it",
            default: "the other of two",
            meaning: "the label that takes its place",
        },
    ],
    example: "- fault: { feedback-flip: { path: /feedback, label: $.label, rate: 30%, from: a, to: b } }",
    seen_by: "Share of each label, agreement among annotators or with a gold set, measured accuracy (which blames \
              the model).",
    blind: "Label-lag and label-volume monitors; drift monitors of inputs and predictions; a quality monitor \
            that trusts its labels goes wrong in silence.",
};

impl FeedbackFlip {
    fn other(&self, label: &Value, labels: &Labels) -> Option<String> {
        if let Some(to) = &self.to {
            return Some(to.clone());
        }
        match (label, labels.names()) {
            (Value::Bool(truth), _) => Some((!truth).to_string()),
            (Value::Text(name), [a, b]) if name == a => Some(b.clone()),
            (Value::Text(name), [a, b]) if name == b => Some(a.clone()),
            (Value::Int(0), _) => Some("1".into()),
            (Value::Int(1), _) => Some("0".into()),
            _ => None,
        }
    }

    /// The JSON of what a label becomes; `None` leaves it.
    fn flipped(&self, label: &Value, labels: &Labels) -> Result<Option<String>, &'static str> {
        let old = name(label).ok_or(UNKNOWN_CLASS)?;
        if self.from.as_ref().is_some_and(|from| *from != old) || self.to.as_ref() == Some(&old) {
            return Ok(None);
        }
        let new = self.other(label, labels).ok_or(UNKNOWN_CLASS)?;
        let json = match label {
            Value::Text(_) => serde_json::to_string(&new).ok(),
            Value::Bool(_) => new.parse::<bool>().ok().map(|truth| truth.to_string()),
            Value::Int(_) | Value::Float(_) => {
                new.parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| new)
            }
            Value::Null => None,
        };
        json.map(Some).ok_or(UNKNOWN_CLASS)
    }
}

impl Behaviour for FeedbackFlip {
    fn entry() -> &'static Entry {
        &ENTRY
    }

    fn stage(&self) -> Stage {
        Stage::Request
    }

    fn needs(&self) -> Option<Content> {
        None
    }

    fn rate(&self) -> Share {
        self.rate
    }

    fn promise(&self) -> Promise {
        if self.from.is_some() {
            return Promise::Unknown { because: "how many labels are of that class depends on the traffic" };
        }
        Promise::Touch { of: Touched::Labels, share: self.rate.fraction() }
    }

    fn describe(&self) -> String {
        let from = self.from.as_deref().unwrap_or("every label");
        format!("{} {from} → {} to {}", self.rate, self.to.as_deref().unwrap_or("the other"), self.path)
    }

    fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let class =
            |key, name: &Option<String>| name.as_ref().and_then(|n| check_class(key, n, target.labels));
        let same = (self.from.is_some() && self.from == self.to)
            .then(|| Problem::new("to", "`from` and `to` are the same label"));
        let to_what = (self.to.is_none() && target.labels.names().len() > 2).then(|| {
            Problem::new("", "of more than two labels, none is the other").help("say which with `to`")
        });
        let problems = [check_rate(self.rate), check_path(&self.path), same, to_what];
        problems.into_iter().chain([class("from", &self.from), class("to", &self.to)]).flatten().collect()
    }

    fn decide(&self, context: &Decide<'_>) -> Option<Action> {
        amends(self.rate, context).filter(|_| is_feedback(&self.path, context.path))
    }

    fn amend_body(&self, body: &[u8], context: &EditContext<'_>) -> Result<Amended, &'static str> {
        let rate = self.rate.scaled(context.intensity);
        let mut edits = Vec::new();
        let mut unfit = None;
        for (index, (span, label)) in select(body, &self.label)?.into_iter().enumerate() {
            if !context.dice.at(purpose::ACT, context.index(index)).within(rate) {
                continue;
            }
            match self.flipped(&label, context.labels) {
                Ok(json) => edits.extend(json.map(|json| (span, json))),
                Err(reason) => unfit = unfit.or(Some(reason)),
            }
        }
        match (edits.is_empty(), unfit) {
            (true, Some(reason)) => Err(reason),
            (true, None) => Ok(Amended::Unchanged),
            (false, _) => Ok(Amended::Body(rewrite(body, &edits))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fault::{
            Memory,
            feature::testing::assert_listed,
            testing::{assert_rate, dice, problems},
        },
        wire::Protocol,
    };

    fn fault(yaml: &str) -> FeedbackFlip {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn amended(
        fault: &FeedbackFlip,
        body: &str,
        labels: &[&str],
        seed: u64,
        request: u64,
    ) -> Result<String, &'static str> {
        let (memory, labels) = (Memory::none(), Labels::new(labels.iter().map(|l| (*l).to_owned())));
        let context = EditContext::new(dice(seed, request), 1.0, &labels, &memory);
        Ok(match fault.amend_body(body.as_bytes(), &context)? {
            Amended::Body(body) => String::from_utf8(body).unwrap(),
            Amended::Unchanged => body.to_owned(),
            Amended::Swallowed { .. } => panic!("a flip swallows nothing"),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_share_of_the_labels_of_one_class_is_flipped(seed: u64, rate in 0.01..=1.0) {
            let fault = FeedbackFlip { rate: Share::new(rate).unwrap(), ..fault("{ path: /f, label: '$.e[*].y', rate: 1%, from: b, to: c }") };
            let body = r#"{"e": [{"y": "a"}, {"y": "b"}, {"y": "b" }]}"#;
            let mut flipped = 0;
            for request in 0..1500 {
                let out = amended(&fault, body, &[], seed, request).unwrap();
                prop_assert_eq!(out.matches("\"a\"").count(), 1);
                prop_assert_eq!(out.replace("\"c\"", "\"b\""), body);
                flipped += out.matches("\"c\"").count();
            }
            assert_rate(flipped, 3000, rate);
        }
    }

    #[test]
    fn a_label_is_written_as_it_was() {
        let flip = fault("{ path: /f, label: $.y, rate: 100% }");
        for (body, labels, wanted) in [
            (r#"{"y":true}"#, &[][..], Ok(r#"{"y":false}"#)),
            (r#"{"y": 0 }"#, &[], Ok(r#"{"y": 1 }"#)),
            (r#"{"y":"up"}"#, &["up", "down"], Ok(r#"{"y":"down"}"#)),
            (r#"{"y":"up"}"#, &[], Err(UNKNOWN_CLASS)),
            (r#"{"y":2}"#, &[], Err(UNKNOWN_CLASS)),
            (r#"{"y":null}"#, &[], Err(UNKNOWN_CLASS)),
            (r#"{"x":1}"#, &[], Err("no-value")),
            ("y=1", &[], Err("not-json")),
        ] {
            assert_eq!(amended(&flip, body, labels, 1, 1).as_deref(), wanted.as_ref().copied(), "{body}");
        }
        let to = fault("{ path: /f, label: $.y, rate: 100%, to: 3 }");
        assert_eq!(amended(&to, r#"{"y":2}"#, &[], 1, 1).unwrap(), r#"{"y":3}"#);
        assert_eq!(amended(&to, r#"{"y":"2"}"#, &[], 1, 1).unwrap(), r#"{"y":"3"}"#);
        assert_eq!(amended(&to, r#"{"y":true}"#, &[], 1, 1), Err(UNKNOWN_CLASS));
    }

    #[test]
    fn only_requests_to_the_endpoint_are_amended() {
        let flip = fault("{ path: /f, label: $.y, rate: 50% }");
        let memory = Memory::none();
        let acts = |path| flip.decide(&Decide { path, ..Decide::of(dice(1, 1), 1.0, &memory) }).is_some();
        assert!(acts("/f") && !acts("/v1/models/m:predict"));
        let http = CheckContext { protocol: &Protocol::Http, labels: &Labels::default() };
        assert_eq!(crate::fault::Fault::FeedbackFlip(flip).check(&http), []);
    }

    #[test]
    fn settings_that_cannot_be_are_told() {
        assert_listed("feedback-flip");
        let three = crate::fault::testing::iris();
        for (yaml, message) in [
            ("{ path: /f, label: $.y, rate: 1% }", "of more than two labels, none is the other"),
            (
                "{ path: /f, label: $.y, rate: 1%, from: setosa, to: setosa }",
                "`from` and `to` are the same label",
            ),
            ("{ path: /f, label: $.y, rate: 1%, to: rose }", "`rose` is none of the target's labels"),
            ("{ path: f, label: $.y, rate: 1%, to: setosa }", "`f` is no path of a request"),
        ] {
            assert_eq!(problems(&format!("{{ feedback-flip: {yaml} }}"), &three), [message], "{yaml}");
        }
    }
}
