//! The scenario language: a YAML document → checks with line numbers → the immutable [`Plan`].
//!
//! [`Document`], [`StageDocument`] and, with the feature `cli`, `CalendarDocument` are the wire structs, exactly what a file may say. [`compile`] turns
//! a document into a [`Plan`] that cannot be wrong, or into every error it can find, each with its place.

#[cfg(feature = "cli")]
mod calendar;
mod check;
mod compile;
mod document;
#[cfg(feature = "cli")]
mod edit;
mod exposure;
mod exposure_check;
mod expression;
mod fit;
mod guard;
mod guard_check;
mod interpolate;
mod known;
mod overlap;
mod permit;
mod phases;
mod plan;
mod problem;
mod release;
mod replace;
mod release_check;
mod rows;
mod shadow_check;
mod shape;
mod source;
mod stage;
mod stage_check;
mod structure;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;
mod variant;

#[cfg(feature = "cli")]
pub use calendar::{
    CalendarDocument, Cron, Days, ScheduledRun, TimeOfDay, Weekdays, WindowDocument, Zone, check_files,
    compile_calendar,
};
pub use check::MOST_RUNS;
pub use compile::{compile, compile_document, compile_for};
pub use document::{
    AlertClears, AlertFires, AlertSilent, Document, Expectation, InjectionDocument, Mark, PhaseDocument,
    TargetDocument, TrafficDocument,
};
#[cfg(feature = "cli")]
pub use edit::{Places, Setting, find_setting};
pub use exposure::{CapsDocument, ExposureDocument, SegmentDocument};
pub use expression::{AnswerCondition, Condition, ExpressionError, RequestView, UnitExpression};
pub use fit::{check_against_stage, check_against_stage_since};
pub use guard::{
    AlertGuard, Budget, Guard, GuardState, Holds, Observed, ProbeGuard, QuantileLimit, QueryGuard, Question,
    Whose,
};
pub use overlap::{Overlap, check_beside, overlap};
pub use permit::{Consent, Production, RunLimits, forbidden, forbidden_beside, forbidden_since};
pub use plan::{Exposure, Group, Injection, Phase, PlacedExpectation, Plan, Segment, Target};
#[cfg(feature = "cli")]
pub(crate) use problem::{nearest, one_of};
pub use release::{GroupVersions, Release, ReleaseDocument, ShadowDocument, TwoVersions, Version, Versions};
pub use replace::replaces;
pub use shape::{Drift, FirstN, NThenRecover, Per, Ramp, Shape, Sine, Spike, Square, Step, Tally};
pub use source::{Diagnostic, Diagnostics, FileKind, Source};
pub use stage::{
    AlertmanagerSettings, BuiltinRule, BuiltinSettings, BuiltinSignal, Monitor, PayloadLogDocument,
    ProbeSettings, PrometheusSettings, SidecarAddress, SidecarSettings, StageDocument, Switch,
    WebhookSettings, default_stage, unnamed_stage,
};
pub use stage_check::{compile_stage, read_stage};
pub use variant::seed_of_repeat;
