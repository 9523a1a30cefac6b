//! CEL over the answer of a probe.

use std::sync::Arc;

use super::{
    ExpressionError,
    cel::{Cel, Scope, wrong},
    truth,
};

/// A compiled condition on an answer: its `status`, and its `body` as JSON (or as a text, if it is none).
///
/// ```
/// use canard::scenario::AnswerCondition;
/// let healthy = AnswerCondition::compile(r#"body.status == "ok" && body.queue < 10"#)?;
/// let body = |text: &str| serde_json::from_str(text).unwrap();
/// assert!(healthy.holds(200, &body(r#"{ "status": "ok", "queue": 3 }"#))?);
/// assert!(!healthy.holds(200, &body(r#"{ "status": "ok" }"#))?, "what is absent is not true");
/// assert!(!healthy.holds(503, &body(r#"{ "status": "ok", "queue": 3 }"#))?, "nor is an error");
/// assert!(AnswerCondition::compile("status == 503")?.holds(503, &body("null"))?);
/// # Ok::<(), canard::scenario::ExpressionError>(())
/// ```
#[derive(Debug, Clone)]
pub struct AnswerCondition(Arc<Cel>);

impl AnswerCondition {
    /// Compiles `text`.
    ///
    /// # Errors
    /// If it is no CEL, or names anything other than `status` and `body`.
    pub fn compile(text: &str) -> Result<AnswerCondition, ExpressionError> {
        let cel = Cel::compile(text, Scope::Answer)?;
        if !cel.reads_answer() {
            return Err(wrong("it looks at neither `status` nor `body`", Some(0)));
        }
        Ok(AnswerCondition(Arc::new(cel)))
    }

    /// Is it true of an answer? A status that is no 2xx is not, unless the expression reads `status`.
    ///
    /// # Errors
    /// If the expression fails on this answer, or gives something other than true or false.
    pub fn holds(&self, status: u16, body: &serde_json::Value) -> Result<bool, ExpressionError> {
        if !self.0.reads_status() && !(200..300).contains(&status) {
            return Ok(false);
        }
        truth(self.0.evaluate_answer(status, body)?)
    }
}
