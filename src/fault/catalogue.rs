//! What the catalogue says of a fault: the source of `canard faults` and of `docs/faults.md`.

use serde::Serialize;

/// What a fault is about: how the catalogue is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Classes, probabilities and numbers that a model answers.
    Predictions,
    /// The input that a model is given.
    Features,
    /// Generated text, its tools and its stream.
    Text,
    /// Ranked lists and embeddings.
    Ranking,
    /// Labels that come back, and what is learnt from them.
    Feedback,
    /// Time, errors, connections and bytes.
    Infrastructure,
}

impl Group {
    /// As a heading.
    pub const fn title(self) -> &'static str {
        match self {
            Group::Predictions => "Predictions",
            Group::Features => "Features",
            Group::Text => "Generated text",
            Group::Ranking => "Ranking and embeddings",
            Group::Feedback => "Feedback",
            Group::Infrastructure => "Infrastructure",
        }
    }
}

/// A fault's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// As a scenario names it.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// How its size is stated and reached; sources of formulas.
    pub effect: &'static str,
    /// Its settings.
    pub parameters: &'static [Parameter],
    /// A phase entry that can be pasted into a scenario.
    pub example: &'static str,
    /// What kinds of monitor should see it.
    pub seen_by: &'static str,
    /// What kinds of monitor can't see it, and why.
    pub blind: &'static str,
}

/// One setting of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its key.
    pub name: &'static str,
    /// Type, unit and range.
    pub values: &'static str,
    /// What holds when it is left out.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

#[cfg(test)]
mod tests {
    use crate::fault::{Fault, Scales, testing::parse};

    #[test]
    fn every_page_says_what_a_ramp_scales() {
        #[derive(serde::Deserialize)]
        struct Injection {
            fault: serde_json::Value,
        }
        // Promises whose size is how often the fault acts.
        let by_rate =
            ["the rate", "the budget", "the share", "the gap", "the drop", "goes from", "the rate grows"];
        for entry in Fault::catalogue() {
            let injections: Vec<Injection> = serde_saphyr::from_str(entry.example).unwrap();
            let fault = parse(&injections[0].fault.to_string()).unwrap();
            let (_, ramp) = entry.effect.rsplit_once(" ramp ").unwrap_or_else(|| panic!("{}", entry.name));
            let ramp = ramp.split_once('.').map_or(ramp, |(sentence, _)| sentence);
            let rate = by_rate.iter().any(|words| ramp.contains(words)) && !ramp.contains("not the rate");
            let size = ramp.contains("1 − τ") || !rate;
            assert_eq!(
                fault.scales(),
                if size { Scales::Size } else { Scales::Rate },
                "{}: {ramp}",
                entry.name
            );
        }
    }
}
