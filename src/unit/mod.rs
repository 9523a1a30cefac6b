//! Validated values: what a scenario may say in numbers.
//!
//! A value of these types is always in range. Out of range is an error that says what would be right,
//! never a clamp. Every type reads from and prints as the text that a scenario uses.

#[cfg(feature = "cli")]
mod address;
mod date;
mod magnitude;
#[cfg(feature = "cli")]
mod size;
mod span;

#[cfg(feature = "cli")]
pub(crate) use address::{meet, meet_as_written};
pub use date::Date;
pub use magnitude::{Comparison, Ordering, Rate, Share, Status};
#[cfg(feature = "cli")]
pub use size::{Quantity, Scale, SizeRange};
pub use span::Span;

/// Why a text is not a value of the wanted type; the message says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(pub(crate) String);

/// Serde, `Display`-through-`String` and JSON Schema for a type that is written as text.
macro_rules! as_text {
    ($type:ident, $pattern:literal, $example:literal) => {
        impl TryFrom<String> for $type {
            type Error = $crate::unit::UnitError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}
pub(crate) use as_text;
