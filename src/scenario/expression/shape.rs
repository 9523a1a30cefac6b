//! The shapes of expressions that need no interpreter.

use ::cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use http::HeaderName;

use super::{
    RequestView,
    features::{Comparison, Feature, Features},
};

/// A plain comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Never,
    PathPrefix(String),
    PathIs(String),
    MethodIs(String),
    HeaderIs(HeaderName, String),
    Feature(Feature, Comparison),
}

impl Test {
    pub(super) fn holds(&self, request: RequestView<'_>, features: Option<Features<'_>>) -> bool {
        match self {
            Test::Never => false,
            Test::PathPrefix(prefix) => request.path.starts_with(prefix.as_str()),
            Test::PathIs(path) => request.path == path,
            Test::MethodIs(method) => request.method.as_str() == method,
            Test::HeaderIs(name, value) => {
                request.headers.get(name).is_some_and(|v| v.as_bytes() == value.as_bytes())
            }
            Test::Feature(feature, comparison) => {
                features.and_then(|row| row.get(feature)).is_some_and(|value| comparison.holds(value))
            }
        }
    }

    pub(super) fn needs_features(&self) -> bool {
        matches!(self, Test::Feature(..))
    }
}

/// The comparisons that `expression` is made of, all of which have to hold; `None` if it is more than that.
pub(super) fn tests(expression: &IdedExpr) -> Option<Vec<Test>> {
    match &expression.expr {
        Expr::Literal(LiteralValue::Boolean(truth)) => {
            Some(if *truth.inner() { Vec::new() } else { vec![Test::Never] })
        }
        Expr::Call(call) if call.func_name == operators::LOGICAL_AND => {
            let mut all = Vec::new();
            for part in &call.args {
                all.extend(tests(part)?);
            }
            Some(all)
        }
        Expr::Call(call) => Some(vec![test(call)?]),
        _ => None,
    }
}

fn test(call: &CallExpr) -> Option<Test> {
    if call.func_name == "startsWith" {
        let prefix = text(call.args.first()?)?;
        let path = call.args.len() == 1 && attribute(call.target.as_deref()?) == Some("path");
        return path.then(|| Test::PathPrefix(prefix.to_owned()));
    }
    let [left, right] = call.args.as_slice() else { return None };
    if let Some(feature) = Feature::of(left) {
        return Some(Test::Feature(feature, Comparison::of(&call.func_name, right)?));
    }
    if call.func_name != operators::EQUALS {
        return None;
    }
    let (subject, value) = match (text(left), text(right)) {
        (None, Some(value)) => (left, value.to_owned()),
        (Some(value), None) => (right, value.to_owned()),
        _ => return None,
    };
    match attribute(subject) {
        Some("path") => Some(Test::PathIs(value)),
        Some("method") => Some(Test::MethodIs(value)),
        _ => Some(Test::HeaderIs(header(subject)?, value)),
    }
}

/// `request.headers["…"]`
pub(super) fn header(expression: &IdedExpr) -> Option<HeaderName> {
    let Expr::Call(call) = &expression.expr else { return None };
    let [map, key] = call.args.as_slice() else { return None };
    if call.func_name != operators::INDEX || attribute(map) != Some("headers") {
        return None;
    }
    HeaderName::from_bytes(text(key)?.as_bytes()).ok()
}

/// The name after `request.`
pub(super) fn attribute(expression: &IdedExpr) -> Option<&str> {
    let Expr::Select(select) = &expression.expr else { return None };
    let request = matches!(&select.operand.expr, Expr::Ident(name) if name == "request");
    (request && !select.test).then_some(select.field.as_str())
}

/// A text literal.
pub(super) fn text(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
