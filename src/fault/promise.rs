//! What a fault promises: the effect of its settings on what the treated get, as plain numbers.
//!
//! A promise holds at full size, in the fault's own scope (its phase, exposure, `where` and group), over many
//! requests. Whoever compares it with a measurement multiplies by the intensity of the ramp, and for a measure over
//! everybody by the exposure. What depends on the model or on the traffic is not guessed: such a fault promises what
//! it touches ([`Promise::Touch`]), or says why it promises no number ([`Promise::Unknown`]).

mod words;

use std::collections::BTreeMap;

/// The effect that a fault's settings promise.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Promise {
    /// It acts on a share of what it may act on; what comes of it is the model's affair.
    Touch {
        /// Of what.
        of: Touched,
        /// How much of that, 0 to 1.
        share: f64,
    },
    /// A share of the requests fails: with this status, or without a whole response.
    Failed {
        /// The HTTP status, if the settings name one; a `kind` or a gRPC code has that of the protocol.
        status: Option<u16>,
        /// Share of the requests, 0 to 1.
        share: f64,
    },
    /// A share of the requests takes longer.
    Delay {
        /// The mean delay of those requests.
        mean_s: f64,
        /// Quantiles of the delay of those requests: 0.5, 0.9 and 0.99.
        quantiles_s: [(f64, f64); 3],
        /// Does the sample mean settle? Not with a power law whose variance is infinite (α ≤ 2).
        finite_variance: bool,
        /// Share of the requests, 0 to 1.
        share: f64,
    },
    /// A share of the requests takes longer in proportion to its work.
    DelayPer {
        /// The delay for each piece of work.
        each_s: f64,
        /// The piece of work.
        work: Work,
        /// Share of the requests, 0 to 1.
        share: f64,
    },
    /// Accuracy falls.
    AccuracyDrop {
        /// By so much, 0 to 1.
        drop: f64,
        /// From here.
        accuracy: f64,
        /// Share of the predictions that changes at the least, with very many classes. 0 to 1.
        share: f64,
    },
    /// The group's rate of positives is below that of the others.
    ParityGap {
        /// By so much, 0 to 1.
        gap: f64,
    },
    /// The group's true-positive rate falls.
    OpportunityGap {
        /// By so much, 0 to 1.
        gap: f64,
        /// From here.
        true_positive_rate: f64,
    },
    /// The mix of predicted classes becomes another one.
    Labels {
        /// The share of each class, 0 to 1.
        to: BTreeMap<String, f64>,
        /// Total variation distance from the mix before, where the settings tell that mix; 0 to 1.
        distance: Option<f64>,
    },
    /// Predictions of a class are told as another class.
    Relabel {
        /// The class; `None`: every class.
        from: Option<String>,
        /// The class that is told; `None`: any other.
        to: Option<String>,
        /// Share of the predictions of `from`, 0 to 1.
        share: f64,
    },
    /// The class's probability moves in logits.
    Logit {
        /// By so much, natural log of the odds.
        delta: f64,
        /// Share of the predictions, 0 to 1.
        share: f64,
    },
    /// The distribution of a class's score moves.
    Psi {
        /// Population stability index with the distribution before, over ten quantile bins, where all move.
        psi: f64,
        /// Share of the predictions, 0 to 1.
        share: f64,
    },
    /// Probabilities are tilted to other priors.
    Priors {
        /// The mean probability of each class, 0 to 1.
        to: BTreeMap<String, f64>,
        /// Share of the predictions, 0 to 1.
        share: f64,
    },
    /// Probabilities become p^(1/T), normalised.
    Temperature {
        /// T: below 1 surer, above 1 less sure.
        temperature: f64,
    },
    /// Confidence and accuracy part.
    CalibrationError {
        /// The expected calibration error, 0 to 1.
        ece: f64,
        /// The model's accuracy, 0 to 1.
        accuracy: f64,
    },
    /// Predictions are no usable value (NaN, null, infinite, out of range, ...).
    Invalid {
        /// Share of the predictions, 0 to 1.
        share: f64,
    },
    /// The order of a list is another one.
    KendallTau {
        /// Kendall's τ with the order before, -1 to 1.
        tau: f64,
        /// Share of the lists, 0 to 1.
        share: f64,
    },
    /// The order of a list is worse.
    NdcgDrop {
        /// How much nDCG falls, the scores before as gains; 0 to 1.
        drop: f64,
        /// Share of the lists, 0 to 1.
        share: f64,
    },
    /// Vectors point elsewhere.
    Cosine {
        /// Cosine with the vector before, -1 to 1.
        cosine: f64,
        /// Share of the vectors, 0 to 1.
        share: f64,
    },
    /// A generated text comes more slowly.
    TokenDelay {
        /// Added before the first token: median and 99th percentile.
        first_token_s: Option<(f64, f64)>,
        /// Added before each later chunk: median and 99th percentile.
        between_tokens_s: Option<(f64, f64)>,
        /// Chunks of text a second, at most.
        tokens_per_s: Option<f64>,
        /// Share of the answers, 0 to 1.
        share: f64,
    },
    /// A generated text stops for a while.
    Stall {
        /// For so long.
        lasts_s: f64,
        /// Share of the answers, 0 to 1.
        share: f64,
    },
    /// A share of the generated answers is wrong in a way that can be counted.
    Answers {
        /// In which way.
        are: Answers,
        /// Share of the answers, 0 to 1.
        share: f64,
    },
    /// Generated answers report another number of tokens.
    TokenCount {
        /// So many times the real one.
        factor: f64,
        /// Share of the answers, 0 to 1.
        share: f64,
    },
    /// The settings promise no number.
    Unknown {
        /// Why, such as `how many requests come over the limit depends on the traffic`.
        because: &'static str,
    },
}

/// What a fault acts on a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Touched {
    /// Requests.
    Requests,
    /// Predictions: rows of the answer.
    Predictions,
    /// Values of the features; a request has many.
    Cells,
    /// Rows of the features.
    Rows,
    /// Keys, such as users.
    Keys,
    /// Embeddings.
    Vectors,
    /// Ranked lists.
    Lists,
    /// Items of ranked lists.
    Items,
    /// Generated answers.
    Answers,
    /// Pieces of a generated answer: chunks, words or numbers.
    Pieces,
    /// Labels that come back.
    Labels,
}

impl Touched {
    /// May a request have several of them, of which one is enough to touch it?
    pub const fn are_parts_of_requests(self) -> bool {
        match self {
            Touched::Requests | Touched::Predictions | Touched::Keys | Touched::Lists | Touched::Answers => {
                false
            }
            Touched::Cells
            | Touched::Rows
            | Touched::Vectors
            | Touched::Items
            | Touched::Pieces
            | Touched::Labels => true,
        }
    }

    /// As reports name it.
    pub const fn name(self) -> &'static str {
        match self {
            Touched::Requests => "requests",
            Touched::Predictions => "predictions",
            Touched::Cells => "feature values",
            Touched::Rows => "rows",
            Touched::Keys => "keys",
            Touched::Vectors => "vectors",
            Touched::Lists => "lists",
            Touched::Items => "items",
            Touched::Answers => "answers",
            Touched::Pieces => "pieces of text",
            Touched::Labels => "labels",
        }
    }
}

/// What a delay is in proportion to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// 1024 bytes of the request's body.
    Kibibyte,
    /// A prediction of the answer.
    Row,
    /// A token of the generated text.
    Token,
}

/// What is wrong with a generated answer, where that can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answers {
    /// It has no text and calls no tool.
    Empty,
    /// It carries an error under a status of success.
    Failed,
    /// A chunk of it does not parse.
    Malformed,
    /// It does not say why it ended.
    WithoutReason,
    /// It is a stream, and ends before it says why.
    CutOff,
    /// It reports no tokens.
    Uncounted,
    /// It is a stream, and its connection breaks.
    Broken,
}

impl Work {
    const fn name(self) -> &'static str {
        match self {
            Work::Kibibyte => "kibibyte",
            Work::Row => "prediction",
            Work::Token => "token",
        }
    }
}

impl Answers {
    /// As reports name it.
    pub const fn name(self) -> &'static str {
        match self {
            Answers::Empty => "empty",
            Answers::Failed => "carry an error",
            Answers::Malformed => "do not parse",
            Answers::WithoutReason => "without a finish reason",
            Answers::CutOff => "that are streams end too early",
            Answers::Uncounted => "without token counts",
            Answers::Broken => "broken off",
        }
    }
}

impl Promise {
    /// The share of what it acts on, if one is promised; 1 where it acts on all of it.
    pub fn share(&self) -> Option<f64> {
        match *self {
            Promise::Touch { share, .. }
            | Promise::Failed { share, .. }
            | Promise::Delay { share, .. }
            | Promise::DelayPer { share, .. }
            | Promise::AccuracyDrop { share, .. }
            | Promise::Relabel { share, .. }
            | Promise::Logit { share, .. }
            | Promise::Psi { share, .. }
            | Promise::Priors { share, .. }
            | Promise::Invalid { share }
            | Promise::KendallTau { share, .. }
            | Promise::NdcgDrop { share, .. }
            | Promise::Cosine { share, .. }
            | Promise::TokenDelay { share, .. }
            | Promise::Stall { share, .. }
            | Promise::Answers { share, .. }
            | Promise::TokenCount { share, .. } => Some(share),
            Promise::Labels { distance, .. } => distance,
            Promise::Temperature { .. } | Promise::CalibrationError { .. } => Some(1.0),
            Promise::ParityGap { .. } | Promise::OpportunityGap { .. } | Promise::Unknown { .. } => None,
        }
    }

    /// A delay that follows a distribution, given by its quantile function in seconds.
    pub(super) fn delay(quantile_s: impl Fn(f64) -> f64, finite_variance: bool, share: f64) -> Promise {
        // The mean is that of the quantiles at evenly spread draws (inverse transform sampling, stratified).
        let mean_s = (0..DRAWS).map(|i| quantile_s((f64::from(i) + 0.5) / f64::from(DRAWS))).sum::<f64>();
        let quantiles_s = [0.5, 0.9, 0.99].map(|q| (q, quantile_s(q)));
        Promise::Delay { mean_s: mean_s / f64::from(DRAWS), quantiles_s, finite_variance, share }
    }
}

/// Draws that a mean delay is taken over.
const DRAWS: u32 = 4096;
