//! `features["age"]`, `features[0]`: what an expression reads of one row of a batch.
//!
//! A feature that the row does not have, that is null or that is not a number is **absent**, and what is absent
//! never matches. Numbers are doubles, whatever the wire wrote: CEL adds no int to a double, and whether `30` has a
//! fraction is chance.

use ::cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::shape;
use crate::wire::{Row, Value};

/// Which feature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feature {
    Name(String),
    Index(usize),
}

impl Feature {
    /// `features["age"]`, `features[0]` or `features.age`; not `has(features.age)`.
    pub(super) fn of(expression: &IdedExpr) -> Option<Feature> {
        match &expression.expr {
            Expr::Select(select) if is_features(&select.operand) && !select.test => {
                Some(Feature::Name(select.field.clone()))
            }
            Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
                [features, key] if is_features(features) => Feature::key(key),
                _ => None,
            },
            _ => None,
        }
    }

    /// The key in the brackets.
    pub(super) fn key(key: &IdedExpr) -> Option<Feature> {
        match &key.expr {
            Expr::Literal(LiteralValue::Int(index)) => {
                usize::try_from(*index.inner()).ok().map(Feature::Index)
            }
            _ => shape::text(key).map(|name| Feature::Name(name.to_owned())),
        }
    }
}

/// The name `features` itself.
pub(super) fn is_features(expression: &IdedExpr) -> bool {
    matches!(&expression.expr, Expr::Ident(name) if name == "features")
}

/// The features of one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features<'a> {
    pub(super) columns: &'a [String],
    pub(super) row: &'a Row,
}

impl<'a> Features<'a> {
    pub(super) fn get(self, feature: &Feature) -> Option<&'a Value> {
        let index = match feature {
            Feature::Name(name) => self.columns.iter().position(|column| column == name)?,
            Feature::Index(index) => *index,
        };
        let value = self.row.scores.get(index)?;
        let absent = matches!(value, Value::Null) || value.as_f64().is_some_and(f64::is_nan);
        (!absent).then_some(value)
    }
}

/// What a feature is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Comparison {
    Number(Order, f64),
    Text { is: bool, text: String },
}

/// How two numbers stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    AtMost,
    Is,
    IsNot,
    AtLeast,
    More,
}

impl Comparison {
    /// The comparison with a literal.
    pub(super) fn of(operator: &str, with: &IdedExpr) -> Option<Comparison> {
        let order = match operator {
            operators::LESS => Order::Less,
            operators::LESS_EQUALS => Order::AtMost,
            operators::EQUALS => Order::Is,
            operators::NOT_EQUALS => Order::IsNot,
            operators::GREATER_EQUALS => Order::AtLeast,
            operators::GREATER => Order::More,
            _ => return None,
        };
        match (shape::text(with), order) {
            (Some(text), Order::Is | Order::IsNot) => {
                Some(Comparison::Text { is: order == Order::Is, text: text.to_owned() })
            }
            (Some(_), _) => None,
            (None, _) => number(with).map(|number| Comparison::Number(order, number)),
        }
    }

    pub(super) fn holds(&self, value: &Value) -> bool {
        match self {
            Comparison::Text { is, text } => matches!(value, Value::Text(own) if own == text) == *is,
            Comparison::Number(order, number) => match value.as_f64() {
                Some(value) => order.holds(value, *number),
                None => *order == Order::IsNot,
            },
        }
    }
}

impl Order {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Order::Less => left < right,
            Order::AtMost => left <= right,
            Order::Is => left == right,
            Order::IsNot => left != right,
            Order::AtLeast => left >= right,
            Order::More => left > right,
        }
    }
}

fn number(expression: &IdedExpr) -> Option<f64> {
    match &expression.expr {
        Expr::Literal(LiteralValue::Int(number)) => Some(*number.inner() as f64),
        Expr::Literal(LiteralValue::Double(number)) => Some(*number.inner()),
        Expr::Call(call) if call.func_name == operators::NEGATE => match call.args.as_slice() {
            [inner] => number(inner).map(|number| -number),
            _ => None,
        },
        _ => None,
    }
}
