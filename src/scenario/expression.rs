//! CEL over a request: compiled once, the common shapes as plain comparisons.

use http::{HeaderMap, Method};

/// What an expression may look at.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    /// `request.method`
    pub method: &'a Method,
    /// `request.path`
    pub path: &'a str,
    /// `request.headers`
    pub headers: &'a HeaderMap,
    /// `request.body`, parsed; given only to expressions that need it.
    pub body: Option<&'a serde_json::Value>,
}

/// Why an expression does not compile, or gives nothing usable for a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// Character offset in the expression, where known.
    pub offset: Option<usize>,
}

/// A compiled condition.
#[derive(Debug, Clone, Default)]
pub struct Condition {}

impl Condition {
    /// Compiles `text`.
    pub fn compile(_text: &str) -> Result<Condition, ExpressionError> {
        Ok(Condition {})
    }
    /// Does it look at the body?
    pub fn needs_body(&self) -> bool {
        false
    }
    /// Does the request match?
    pub fn matches(&self, _request: RequestView<'_>) -> Result<bool, ExpressionError> {
        Ok(true)
    }
}

/// A compiled expression that names the unit.
#[derive(Debug, Clone)]
pub struct UnitExpression {}

impl UnitExpression {
    /// Compiles `text`.
    pub fn compile(_text: &str) -> Result<UnitExpression, ExpressionError> {
        Ok(UnitExpression {})
    }
    /// Does it look at the body?
    pub fn needs_body(&self) -> bool {
        false
    }
    /// Calls `with` on the unit's bytes; `None` when the request has no unit (a missing header).
    pub fn evaluate<T>(
        &self,
        _request: RequestView<'_>,
        _with: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, ExpressionError> {
        Ok(None)
    }
}
