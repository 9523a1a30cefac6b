//! JSONPath, as far as predictions need it.
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A path such as `$.results[*].label`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JsonPath(String);

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PathError(pub(crate) String);

impl FromStr for JsonPath {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Self, PathError> {
        Ok(JsonPath(text.into()))
    }
}
impl TryFrom<String> for JsonPath {
    type Error = PathError;
    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}
impl From<JsonPath> for String {
    fn from(path: JsonPath) -> String {
        path.0
    }
}
#[cfg(feature = "schema")]
impl schemars::JsonSchema for JsonPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JsonPath".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "examples": ["$.results[*].label"] })
    }
}
