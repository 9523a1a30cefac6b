//! The faults: one file each, with its settings, its catalogue entry and what it does.
//!
//! A fault is plain data. Asked about a request it answers with an [`Action`], a pure function of the
//! draws; a fault on predictions is then given the rows to edit. It never sees bytes, sockets or clocks:
//! `layer` carries the action out, `wire` finds the values.
//!
//! Adding one: write its file, add it to its group in `faults!` below.

mod accuracy_drop;
mod action;
mod bad_encoding;
mod bandwidth;
mod black_hole;
mod catalogue;
mod chunk_order;
mod cold_start;
mod concept_drift;
mod conflict;
mod context;
mod corrupt;
mod embedding;
mod embedding_resize;
mod embedding_rotate;
mod embedding_scale;
mod embedding_version;
mod embedding_void;
mod empty_answer;
mod error;
mod estimate;
mod exclusion;
mod feature;
mod feature_category;
mod feature_garble;
mod feature_missing;
mod feature_noise;
mod feature_ood;
mod feature_scale;
mod feature_stale;
mod feature_swap;
mod feature_zero;
mod feedback;
mod feedback_flip;
mod feedback_late;
mod feedback_loop;
mod feedback_missing;
mod feedback_negative;
mod finish_reason;
mod freeze;
mod hang;
mod header_corrupt;
mod label_shift;
mod latency;
mod low_margin;
mod malformed_json;
mod miscalibrate;
mod mislabel;
mod missing_done;
mod number_substitute;
mod opportunity_gap;
mod parity_gap;
mod prediction;
mod prior_shift;
mod promise;
mod quantize;
mod queue;
mod rank_drop;
mod rank_duplicate;
mod rank_push;
mod rank_swap;
mod ranking;
mod rate_limit;
mod refusal;
mod refuse;
mod regression;
mod reset;
mod score;
mod score_shift;
mod stale_model;
mod stream;
mod stream_cut;
mod stream_error;
mod stream_latency;
mod stream_malformed;
mod stream_stall;
mod streams;
mod swap;
mod target_confusion;
#[cfg(test)]
mod testing;
mod text;
mod text_loop;
mod text_script;
mod text_substitute;
#[cfg(test)]
mod text_testing;
mod tool_call;
#[cfg(test)]
mod traffic;
mod truncate;
mod turn;
mod usage;
mod wrong_model;

use http::response;
use serde::{Deserialize, Serialize};

use crate::{
    unit::Share,
    wire::{Answer, Content, Labels, Protocol, Row},
};

pub use accuracy_drop::AccuracyDrop;
pub use action::{Action, Amended, Extent, Gate, Scales, Stage};
pub use bad_encoding::{BadEncoding, Wrong};
pub use bandwidth::Bandwidth;
pub use black_hole::BlackHole;
pub use catalogue::{Entry, Group, Parameter};
pub use chunk_order::{ChunkOrder, Disorder};
pub use cold_start::ColdStart;
pub use concept_drift::ConceptDrift;
pub use context::{CheckContext, Decide, EditContext, Members, Memory};
pub use corrupt::{Corrupt, Corruption};
pub use embedding_resize::EmbeddingResize;
pub use embedding_rotate::{EmbeddingRotate, Plane};
pub use embedding_scale::EmbeddingScale;
pub use embedding_version::EmbeddingVersion;
pub use embedding_void::{EmbeddingVoid, Void};
pub use empty_answer::EmptyAnswer;
pub use error::{After, Error};
pub use estimate::Marginals;
pub use feature::Columns;
pub use feature_category::FeatureCategory;
pub use feature_garble::{FeatureGarble, Garble};
pub use feature_missing::{Depends, FeatureMissing, Missing};
pub use feature_noise::FeatureNoise;
pub use feature_ood::{Bounds, FeatureOod, Side};
pub use feature_scale::FeatureScale;
pub use feature_stale::FeatureStale;
pub use feature_swap::FeatureSwap;
pub use feature_zero::FeatureZero;
pub use feedback::Receipt;
pub use feedback_flip::FeedbackFlip;
pub use feedback_late::{Backdate, FeedbackLate};
pub use feedback_loop::FeedbackLoop;
pub use feedback_missing::FeedbackMissing;
pub use feedback_negative::FeedbackNegative;
pub use finish_reason::{FinishReason, Reason};
pub use freeze::{Freeze, Hold};
pub use hang::Hang;
pub use header_corrupt::HeaderCorrupt;
pub use label_shift::LabelShift;
pub use latency::{
    Latency, Lognormal, Normal, Pareto, Percentiles, Proportion, Trace, TraceOrder, TraceUnit, Uniform, When,
};
pub use low_margin::LowMargin;
pub use malformed_json::{Flaw, JsonIn, MalformedJson};
pub use miscalibrate::{Confidence, Miscalibrate};
pub use mislabel::{Confusion, Mislabel};
pub use missing_done::{EndMark, MissingDone};
pub use number_substitute::NumberSubstitute;
pub use opportunity_gap::OpportunityGap;
pub use parity_gap::{GivenRates, ParityGap};
pub use prior_shift::{PriorShift, Towards};
pub use promise::{Answers, Promise, Touched, Work};
pub use quantize::Quantize;
pub use queue::Queue;
pub use rank_drop::RankDrop;
pub use rank_duplicate::RankDuplicate;
pub use rank_push::RankPush;
pub use rank_swap::RankSwap;
pub use rate_limit::{LimitPer, RateLimit};
pub use refusal::{Refusal, Telling};
pub use refuse::Refuse;
pub use regression::Regression;
pub use reset::Reset;
pub use score_shift::ScoreShift;
pub use stale_model::StaleModel;
pub use stream::{Piece, Step, StreamContext, StreamEdit};
pub use stream_cut::{Ending, StreamCut};
pub use stream_error::StreamError;
pub use stream_latency::StreamLatency;
pub use stream_malformed::StreamMalformed;
pub use stream_stall::StreamStall;
pub use swap::Swap;
pub use target_confusion::TargetConfusion;
pub use text_loop::TextLoop;
pub use text_script::{Script, TextScript};
pub use text_substitute::TextSubstitute;
pub use tool_call::{ToolCall, WrongArguments};
pub use truncate::Truncate;
pub use usage::Usage;
pub use wrong_model::WrongModel;

/// What an edit came to.
///
/// A row that the draw leaves alone, or that is already as the fault would have it, counts as neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edited {
    /// How many rows it changed.
    pub changed: usize,
    /// Why a row that should have changed could not, such as `unknown-class`: the first reason, if any.
    pub unfit: Option<&'static str>,
}

/// Why rows can't be edited; short and stable, for counters and reports.
pub(crate) mod unfit {
    /// The row tells no class, or can't be given the one that is wanted.
    pub(crate) const UNKNOWN_CLASS: &str = "unknown-class";
    /// The scores are no probabilities, or there is none for the class.
    pub(crate) const NOT_A_PROBABILITY: &str = "not-a-probability";
    /// The row has another shape than the one that is held.
    pub(crate) const OTHER_SHAPE: &str = "other-shape";
    /// The row has no value at all, or none at the places that are meant.
    pub(crate) const NO_VALUE: &str = "no-value";
    /// The answer has no text.
    pub(crate) const NO_TEXT: &str = "no-text";
    /// The text or the stream is over before the fault comes.
    pub(crate) const TOO_SHORT: &str = "too-short";
    /// The body comes whole.
    pub(crate) const NOT_A_STREAM: &str = "not-a-stream";
    /// How long streams are is not known yet.
    pub(crate) const LEARNING_LENGTH: &str = "learning-length";
    /// It is no JSON, or has no place for the flaw.
    pub(crate) const NO_JSON: &str = "no-json";
    /// The protocol has no errors inside a stream.
    pub(crate) const NO_STREAM_ERROR: &str = "no-stream-error";
    /// The protocol does not mark the end of a stream.
    pub(crate) const NO_END_MARK: &str = "no-end-mark";
    /// The text has no letter from a to z.
    pub(crate) const NO_LATIN: &str = "no-latin-letters";
    /// The answer does not say why it ended, or the provider has no word for the reason.
    pub(crate) const NO_FINISH_REASON: &str = "no-finish-reason";
    /// The answer names no model.
    pub(crate) const NO_MODEL: &str = "no-model";
    /// The answer counts no tokens.
    pub(crate) const NO_USAGE: &str = "no-usage";
    /// The answer calls no tool.
    pub(crate) const NO_TOOL_CALL: &str = "no-tool-call";
    /// There is no such column.
    pub(crate) const UNKNOWN_COLUMN: &str = "unknown-column";
    /// The value can't be written as such a category.
    pub(crate) const UNKNOWN_CATEGORY: &str = "unknown-category";
    /// The value is no finite number.
    pub(crate) const NOT_A_NUMBER: &str = "not-a-number";
    /// The value is no text.
    pub(crate) const NOT_A_TEXT: &str = "not-a-text";
    /// The text has nothing that could break so.
    pub(crate) const PLAIN_TEXT: &str = "plain-text";
    /// Too little was seen yet for an estimate.
    pub(crate) const STILL_LEARNING: &str = "still-learning";
    /// The column never moves, so it has no deviation.
    pub(crate) const CONSTANT: &str = "constant";
    /// Nothing is known of the key from so long ago.
    pub(crate) const NOT_OLD_ENOUGH: &str = "not-old-enough";
    /// More keys than are remembered.
    pub(crate) const KEYS_OVER_LIMIT: &str = "keys-over-limit";
    /// More values, or longer ones, than are handled.
    pub(crate) const TOO_LARGE: &str = "too-large";
    /// The scores of the list are below 0, or not sorted.
    pub(crate) const NOT_A_RELEVANCE: &str = "not-a-relevance";
    /// Not even the largest change would be large enough.
    pub(crate) const OUT_OF_REACH: &str = "out-of-reach";
    /// The vector has no length, or none but its own direction.
    pub(crate) const NO_DIRECTION: &str = "no-direction";
    /// The body is no JSON.
    pub(crate) const NOT_JSON: &str = "not-json";
    /// The value is no timestamp.
    pub(crate) const NOT_A_TIME: &str = "not-a-time";
    /// A body with more than one label, of which a part can't be swallowed.
    pub(crate) const SEVERAL_LABELS: &str = "several-labels";
    /// The row is no regression: it has not one number, or a class beside it.
    pub(crate) const NO_NUMBER: &str = "no-number";
    /// The wire declares no shape or datatype.
    pub(crate) const NOT_DECLARED: &str = "not-declared";
    /// The answer tells no version of the model.
    pub(crate) const NO_VERSION: &str = "no-version";
    /// A class that is needed was never predicted.
    pub(crate) const NOT_SEEN: &str = "class-not-seen";
    /// The group is told no positives, so it can't be told fewer.
    pub(crate) const NO_POSITIVES: &str = "no-positives";
    /// The model does on its own what the fault would do.
    pub(crate) const ALREADY_THERE: &str = "already-there";
}

/// From one result for each row: did it change, or why could it not?
impl FromIterator<Result<bool, &'static str>> for Edited {
    fn from_iter<T: IntoIterator<Item = Result<bool, &'static str>>>(rows: T) -> Edited {
        rows.into_iter().fold(Edited::default(), |edited, row| match row {
            Ok(changed) => Edited { changed: edited.changed + usize::from(changed), ..edited },
            Err(reason) => Edited { unfit: edited.unfit.or(Some(reason)), ..edited },
        })
    }
}

/// A mistake in a fault's settings, found when a scenario is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where inside the fault's settings, such as `from`; empty for the whole fault.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// Does it hold whatever the settings are? Then it is told beside mistakes in them.
    pub always: bool,
}

impl Problem {
    /// A problem with one setting.
    pub fn new(key: &'static str, message: impl Into<String>) -> Problem {
        Problem { key, message: message.into(), help: None, always: false }
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}

/// What every fault can say and do.
pub trait Behaviour {
    /// Its page in the catalogue.
    fn entry() -> &'static Entry
    where
        Self: Sized;

    /// When it acts.
    fn stage(&self) -> Stage;

    /// How often it acts on what the treated get (for faults on predictions: on each prediction).
    fn rate(&self) -> Share;

    /// What its intensity scales: how often it acts, or how much it does when it acts.
    fn scales(&self) -> Scales {
        Scales::Rate
    }

    /// The effect that its settings promise, at full size and in its own scope.
    fn promise(&self) -> Promise {
        let of = match self.needs() {
            None => Touched::Requests,
            Some(Content::Features) => Touched::Cells,
            Some(Content::Predictions) => Touched::Predictions,
            Some(Content::Embeddings) => Touched::Vectors,
            Some(Content::Ranking) => Touched::Lists,
            Some(Content::Text) => Touched::Answers,
        };
        Promise::Touch { of, share: self.rate().fraction() }
    }

    /// Its size in words, such as `30% virginica → versicolor`.
    fn describe(&self) -> String;

    /// What a body must carry for it to act on; `None`: it needs no body.
    fn needs(&self) -> Option<Content> {
        match self.stage() {
            Stage::Request => Some(Content::Features),
            Stage::Prediction => Some(Content::Predictions),
            Stage::Text | Stage::Timing => Some(Content::Text),
            Stage::Before | Stage::Refuse | Stage::After | Stage::Transport => None,
        }
    }

    /// Settings that can't work with this target.
    fn check(&self, _target: &CheckContext<'_>) -> Vec<Problem> {
        Vec::new()
    }

    /// Why it can't act in one phase with another fault.
    fn excludes(&self, _other: &Fault) -> Option<&'static str> {
        None
    }

    /// What it will remember while it is armed.
    fn memory(&self) -> Memory {
        Memory::none()
    }

    /// CEL that tells which rows are its group, for faults that treat a group differently.
    fn group(&self) -> Option<&str> {
        None
    }

    /// Is a row told the class whose rate its group is compared by? `None`: it compares none, or can't tell.
    fn tells_positive(&self, _row: &Row, _labels: &Labels) -> Option<bool> {
        None
    }

    /// What it does to a request; `None` leaves it alone.
    fn decide(&self, context: &Decide<'_>) -> Option<Action>;

    /// Changes the features of a request ([`Action::Amend`]).
    fn amend(&self, _features: &mut Answer, _context: &EditContext<'_>) -> Edited {
        Edited::default()
    }

    /// Changes the body of a request that carries no features ([`Action::Amend`] of a fault that needs none),
    /// or swallows it.
    ///
    /// # Errors
    /// Why it should have, and could not.
    fn amend_body(&self, _body: &[u8], _context: &EditContext<'_>) -> Result<Amended, &'static str> {
        Ok(Amended::Unchanged)
    }

    /// Changes predictions, embeddings or a ranking ([`Action::Edit`]).
    fn edit(&self, _answer: &mut Answer, _context: &EditContext<'_>) -> Edited {
        Edited::default()
    }

    /// Will change a stream, or a whole body as a stream of one piece ([`Action::Stream`]).
    fn stream(&self, _context: StreamContext) -> Option<Box<dyn StreamEdit>> {
        None
    }

    /// Changes the head of a response ([`Action::Head`]).
    fn head(&self, _head: &mut response::Parts, _context: &EditContext<'_>) -> Edited {
        Edited::default()
    }

    /// Sees predictions as the model made them: of the treated before any edit, and of the control arm (a little
    /// later, on another thread), in its own phase and in those before it; `members`: those of its group.
    fn observe(&self, _rows: &[Row], _members: Members<'_>, _labels: &Labels, _memory: &Memory) {}
}

/// Declares the closed set of faults, group by group.
macro_rules! faults {
    ($($group:ident: [$($variant:ident),* $(,)?]),+ $(,)?) => {
        /// A fault and its settings, as a scenario writes it: `{ mislabel: { rate: 30% } }`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[expect(missing_docs, reason = "the type says it")] $variant($variant),)*)+
        }

        impl Fault {
            /// What it can say and do.
            pub fn behaviour(&self) -> &dyn Behaviour {
                match self { $($(Fault::$variant(fault) => fault,)*)+ }
            }

            /// Its page in the catalogue.
            pub fn entry(&self) -> &'static Entry {
                match self { $($(Fault::$variant(_) => $variant::entry(),)*)+ }
            }

            /// The catalogue: every fault's page, group by group.
            pub fn groups() -> Vec<(Group, Vec<&'static Entry>)> {
                vec![$((Group::$group, vec![$($variant::entry()),*])),+]
            }
        }
    };
}

faults! {
    Predictions: [
        Mislabel, ScoreShift, AccuracyDrop, TargetConfusion, Swap, LabelShift, ParityGap, OpportunityGap,
        ConceptDrift, LowMargin, PriorShift, Miscalibrate, Quantize, FeedbackLoop, Regression, Freeze, Corrupt,
        StaleModel,
    ],
    Features: [
        FeatureMissing, FeatureZero, FeatureScale, FeatureSwap, FeatureNoise, FeatureCategory, FeatureGarble,
        FeatureStale, FeatureOod,
    ],
    Text: [
        StreamLatency, StreamStall, StreamCut, StreamError, StreamMalformed, MissingDone, ChunkOrder, TextSubstitute,
        NumberSubstitute, TextLoop, TextScript, Refusal, EmptyAnswer, MalformedJson, ToolCall, FinishReason,
        WrongModel, Usage,
    ],
    Ranking: [
        RankSwap, RankDrop, RankDuplicate, RankPush, EmbeddingRotate, EmbeddingVersion, EmbeddingScale,
        EmbeddingResize, EmbeddingVoid,
    ],
    Feedback: [FeedbackLate, FeedbackMissing, FeedbackFlip, FeedbackNegative],
    Infrastructure: [
        Latency, Error, Hang, Reset, BlackHole, Refuse, Truncate, Bandwidth, RateLimit, Queue, ColdStart,
        BadEncoding, HeaderCorrupt,
    ],
}

/// The protocols that are told to somebody whose own carries nothing that a fault could act on.
const CARRIERS: [Protocol; 17] = [
    Protocol::OpenInference,
    Protocol::KserveV1,
    Protocol::TfServing,
    Protocol::Mlflow,
    Protocol::OpenAi,
    Protocol::Anthropic,
    Protocol::Ollama,
    Protocol::Tgi,
    Protocol::Tei,
    Protocol::Cohere,
    Protocol::TritonGenerate,
    Protocol::TorchServe,
    Protocol::SageMaker,
    Protocol::BentoMl,
    Protocol::RayServe,
    Protocol::LitServe,
    Protocol::Auto,
];

impl Fault {
    /// The catalogue: every fault's page.
    pub fn catalogue() -> Vec<&'static Entry> {
        Fault::groups().into_iter().flat_map(|(_, entries)| entries).collect()
    }

    /// Reads what its settings name by file into them, so that they can travel without it.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn embed(&mut self, folder: &std::path::Path) -> Result<(), Problem> {
        match self {
            Fault::Latency(latency) => latency.embed(folder),
            _ => Ok(()),
        }
    }

    /// The name that a scenario uses.
    pub fn name(&self) -> &'static str {
        self.entry().name
    }

    /// When it acts.
    pub fn stage(&self) -> Stage {
        self.behaviour().stage()
    }

    /// What its intensity scales.
    pub fn scales(&self) -> Scales {
        self.behaviour().scales()
    }

    /// How often it acts on what the treated get.
    pub fn rate(&self) -> Share {
        self.behaviour().rate()
    }

    /// The effect that its settings promise, at full size and in its own scope.
    ///
    /// ```
    /// use canard::fault::{Fault, Promise};
    /// let fault: Fault = serde_json::from_str(r#"{ "latency": { "fixed": "250ms", "rate": "40%" } }"#)?;
    /// let Promise::Delay { mean_s, share, .. } = fault.promise() else { panic!() };
    /// assert!((mean_s * share - 0.1).abs() < 1e-9, "100 ms in the mean over all treated requests");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn promise(&self) -> Promise {
        self.behaviour().promise()
    }

    /// Its size in words.
    pub fn describe(&self) -> String {
        self.behaviour().describe()
    }

    /// Why it can't act in one phase with another fault.
    pub fn contradicts(&self, other: &Fault) -> Option<&'static str> {
        let told = self.behaviour().excludes(other).or_else(|| other.behaviour().excludes(self));
        told.or_else(|| conflict::between(self, other))
    }

    /// Settings that can't work with this target.
    pub fn check(&self, target: &CheckContext<'_>) -> Vec<Problem> {
        let mut problems = self.behaviour().check(target);
        if let Some(needs) = self.behaviour().needs().filter(|needs| !target.protocol.carries(*needs)) {
            let (name, protocol) = (self.name(), target.protocol.name());
            let message =
                format!("`{name}` changes {}, which protocol `{protocol}` does not carry", needs.name());
            let carry =
                CARRIERS.iter().filter(|protocol| protocol.carries(needs)).map(|p| format!("`{}`", p.name()));
            let carry: Vec<String> = carry.collect();
            let help = format!(
                "{} can be changed with {}; a transport fault (latency, error, hang, reset) works on every protocol",
                needs.name(),
                carry.join(", ")
            );
            problems.push(Problem { always: true, ..Problem::new("", message).help(help) });
        }
        problems
    }
}

/// The purposes of a fault's draws, see [`Dice`](crate::draw::Dice); part of the documented decision.
pub mod purpose {
    /// Does it act?
    pub const ACT: u32 = 0;
    /// How large, which, where?
    pub const SIZE: u32 = 1;
}
