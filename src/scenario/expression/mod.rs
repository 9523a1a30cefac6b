//! CEL over a request: compiled once, the common shapes as plain comparisons.
//!
//! An expression sees `request.method`, `request.path`, `request.headers["…"]` and `request.body`. Header
//! names are case-insensitive; of a header that comes twice the first counts. What is **absent** (a header,
//! a field of the body) never matches: a condition that reads it is false, a unit that reads it is none.
//! `"x-user-id" in request.headers` and `has(request.body.user)` ask first. Anything else that goes wrong at
//! run time is an [`ExpressionError`], and the request passes untouched.
//!
//! A condition on rows ([`Condition::compile_for_rows`]) also sees `features["age"]` or `features[0]`, of one row of
//! a batch at a time.
//!
//! Why not always CEL? A path prefix is compared in nanoseconds; a CEL context costs allocations for every
//! request of a busy server.

mod answer;
mod cel;
mod features;
mod shape;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ::cel::Value;
use http::{HeaderMap, HeaderName, Method};

use self::{
    cel::{Cel, Scope, wrong},
    features::Features,
    shape::Test,
};
use crate::wire::Row;

pub use self::answer::AnswerCondition;

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
///
/// ```
/// use canard::scenario::{Condition, RequestView};
/// let condition = Condition::compile(r#"request.path.startsWith("/v2/") && request.method == "POST""#)?;
/// let (method, headers) = (http::Method::POST, http::HeaderMap::new());
/// let request = RequestView { method: &method, path: "/v2/models/iris/infer", headers: &headers, body: None };
/// assert!(condition.matches(request)?);
/// assert!(!condition.needs_body());
/// # Ok::<(), canard::scenario::ExpressionError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Condition {
    tests: Vec<Test>,
    cel: Option<Arc<Cel>>,
}

impl Condition {
    /// Compiles `text`.
    ///
    /// # Errors
    /// If it is no CEL, names anything other than the request, or can't be true or false.
    pub fn compile(text: &str) -> Result<Condition, ExpressionError> {
        Condition::compile_in(text, Scope::Request)
    }

    /// Compiles `text`, which may look at the features of a row too.
    ///
    /// ```
    /// use canard::{scenario::{Condition, RequestView}, wire::{Row, Value}};
    /// let condition = Condition::compile_for_rows(r#"features["age"] >= 65"#)?;
    /// assert!(condition.needs_features());
    /// let (method, headers) = (http::Method::POST, http::HeaderMap::new());
    /// let request = RequestView { method: &method, path: "/", headers: &headers, body: None };
    /// let row = Row { label: None, scores: vec![Value::Int(70)] };
    /// assert!(condition.matches_row(request, &["age".to_owned()], &row)?);
    /// # Ok::<(), canard::scenario::ExpressionError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Condition::compile`].
    pub fn compile_for_rows(text: &str) -> Result<Condition, ExpressionError> {
        Condition::compile_in(text, Scope::Rows)
    }

    fn compile_in(text: &str, scope: Scope) -> Result<Condition, ExpressionError> {
        let cel = Cel::compile(text, scope)?;
        if let Some(tests) = shape::tests(cel.expression()) {
            return Ok(Condition { tests, cel: None });
        }
        if let Some(value) = cel.rehearse()?
            && !matches!(value, Value::Bool(_))
        {
            let message = format!("this is {}, and not true or false", cel::kind(&value));
            return Err(wrong(message, Some(0)));
        }
        Ok(Condition { tests: Vec::new(), cel: Some(Arc::new(cel)) })
    }

    /// Does it hold for every request, whatever it is?
    pub fn is_everything(&self) -> bool {
        self.tests.is_empty() && self.cel.is_none()
    }

    /// Does it look at the body?
    pub fn needs_body(&self) -> bool {
        self.cel.as_ref().is_some_and(|cel| cel.needs_body())
    }

    /// Does the request match? One that lacks what the condition reads does not.
    ///
    /// # Errors
    /// If the expression fails on this request, or gives something other than true or false.
    pub fn matches(&self, request: RequestView<'_>) -> Result<bool, ExpressionError> {
        let Some(cel) = &self.cel else {
            return Ok(self.tests.iter().all(|test| test.holds(request, None)));
        };
        truth(cel.evaluate(request)?)
    }

    /// Does it look at the features of a row, so that each row of a batch has its own answer?
    pub fn needs_features(&self) -> bool {
        self.tests.iter().any(Test::needs_features)
            || self.cel.as_ref().is_some_and(|cel| cel.needs_features())
    }

    /// Does one row of the request match? `columns` names the row's values, where the wire tells names.
    ///
    /// # Errors
    /// As [`Condition::matches`].
    pub fn matches_row(
        &self,
        request: RequestView<'_>,
        columns: &[String],
        row: &Row,
    ) -> Result<bool, ExpressionError> {
        let members = self.members(request, columns, std::slice::from_ref(row))?;
        Ok(members == [true])
    }

    /// Which rows of the request match, in their order.
    ///
    /// # Errors
    /// As [`Condition::matches`]; one row that fails fails them all.
    pub fn members(
        &self,
        request: RequestView<'_>,
        columns: &[String],
        rows: &[Row],
    ) -> Result<Vec<bool>, ExpressionError> {
        if !self.needs_features() {
            return Ok(vec![self.matches(request)?; rows.len()]);
        }
        let rows = rows.iter().map(|row| Features { columns, row });
        let Some(cel) = &self.cel else {
            let holds = |row| self.tests.iter().all(|test| test.holds(request, Some(row)));
            return Ok(rows.map(holds).collect());
        };
        let mut members = Vec::with_capacity(rows.len());
        cel.evaluate_rows(request, rows, |value| {
            members.push(truth(value)?);
            Ok(())
        })?;
        Ok(members)
    }
}

fn truth(value: Option<Value>) -> Result<bool, ExpressionError> {
    match value {
        None => Ok(false),
        Some(Value::Bool(truth)) => Ok(truth),
        Some(other) => Err(wrong(format!("gave {}, not true or false", cel::kind(&other)), None)),
    }
}

/// A compiled expression that names the unit.
///
/// ```
/// use canard::scenario::{RequestView, UnitExpression};
/// let unit = UnitExpression::compile(r#"request.headers["x-user-id"]"#)?;
/// let mut headers = http::HeaderMap::new();
/// let unit_of = |headers: &http::HeaderMap| {
///     let request = RequestView { method: &http::Method::GET, path: "/", headers, body: None };
///     unit.evaluate(request, <[u8]>::to_vec)
/// };
/// assert_eq!(unit_of(&headers)?, None);
/// headers.insert("X-User-Id", "ada".parse().unwrap());
/// assert_eq!(unit_of(&headers)?, Some(b"ada".to_vec()));
/// # Ok::<(), canard::scenario::ExpressionError>(())
/// ```
#[derive(Debug, Clone)]
pub struct UnitExpression {
    text: Arc<str>,
    unit: Unit,
}

#[derive(Debug, Clone)]
enum Unit {
    Header(HeaderName),
    Cel(Arc<Cel>),
}

impl UnitExpression {
    /// Compiles `text`.
    ///
    /// # Errors
    /// If it is no CEL, names anything other than the request, or can't be a text or a number.
    pub fn compile(text: &str) -> Result<UnitExpression, ExpressionError> {
        let cel = Cel::compile(text, Scope::Request)?;
        if let Some(name) = shape::header(cel.expression()) {
            return Ok(UnitExpression { text: text.into(), unit: Unit::Header(name) });
        }
        if !cel.reads_request() {
            return Err(wrong("this is the same for every request, so there would be one unit", Some(0)));
        }
        if let Some(value) = cel.rehearse()? {
            with_unit(&value, |_| ()).map_err(|e| ExpressionError { offset: Some(0), ..e })?;
        }
        Ok(UnitExpression { text: text.into(), unit: Unit::Cel(Arc::new(cel)) })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The header that is the unit, if the expression is no more than that.
    pub const fn header(&self) -> Option<&HeaderName> {
        match &self.unit {
            Unit::Header(name) => Some(name),
            Unit::Cel(_) => None,
        }
    }

    /// Does it look at the body?
    pub fn needs_body(&self) -> bool {
        matches!(&self.unit, Unit::Cel(cel) if cel.needs_body())
    }

    /// Calls `with` on the unit's bytes; `None` when the request has no unit (a missing or empty header).
    /// A text gives its UTF-8 bytes, a number its decimal digits.
    ///
    /// # Errors
    /// If the expression fails on this request, or gives neither a text nor a number.
    pub fn evaluate<T>(
        &self,
        request: RequestView<'_>,
        with: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, ExpressionError> {
        match &self.unit {
            Unit::Header(name) => {
                let value = request.headers.get(name).filter(|value| !value.is_empty());
                Ok(value.map(|value| with(value.as_bytes())))
            }
            Unit::Cel(cel) => match cel.evaluate(request)? {
                Some(value) => with_unit(&value, with),
                None => Ok(None),
            },
        }
    }
}

fn with_unit<T>(value: &Value, with: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, ExpressionError> {
    Ok(match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(with(text.as_bytes())),
        Value::Bytes(bytes) => Some(with(bytes)),
        Value::Int(number) => Some(with(number.to_string().as_bytes())),
        Value::UInt(number) => Some(with(number.to_string().as_bytes())),
        // JSON knows one kind of number; 7.0 and 7 are the same user.
        Value::Float(number) => Some(with(number.to_string().as_bytes())),
        other => {
            let message = format!("gives {}; a unit is a text or a number", cel::kind(other));
            return Err(wrong(message, None));
        }
    })
}
