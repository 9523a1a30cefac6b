//! A single value as it stands on the wire.

use serde::{Deserialize, Serialize};

/// One value of a prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Absent, JSON `null`.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number, as class indices are.
    Int(i64),
    /// Any other number, not-a-number and the infinities among them.
    Float(f64),
    /// A text, as class names are.
    Text(String),
}

impl Value {
    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            _ => None,
        }
    }

    /// Equality that takes not-a-number for itself, and -0.0 for another than 0.0.
    pub fn is_same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            _ => self == other,
        }
    }
}
