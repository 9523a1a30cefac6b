//! `canard faults --find`: the faults that a few words speak of, best first.
//!
//! A word weighs the more, the fewer pages have it, and the more, the nearer it stands to what the fault is: its
//! name and the [incidents](super::incidents) it stands for before its effect, settings and monitors. One word that
//! no page has does not empty the answer: whoever types a sentence from a post-mortem wants the nearest fault.

use super::incidents;
use crate::fault::Entry;

/// A fault that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) entry: &'static Entry,
    /// The incident that fits best, if one does.
    pub(super) incident: Option<&'static str>,
}

/// What a search found.
#[derive(Debug, Clone, Default)]
pub(super) struct Hits {
    /// Best first.
    pub(super) best: Vec<Hit>,
    /// How many more speak of it, though less.
    pub(super) more: usize,
    /// Words that no page has.
    pub(super) unknown: Vec<String>,
}

/// More are not shown.
const MOST: usize = 12;
/// What scores less than this share of the best is not shown.
const NEAR: f64 = 0.55;

const NAME: f64 = 5.0;
const INCIDENT: f64 = 4.0;
const SUMMARY: f64 = 3.0;
const REST: f64 = 1.0;

/// Words that say nothing about a fault.
const EMPTY: [&str; 46] = [
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "came", "did", "for", "from", "had",
    "has", "have", "i", "in", "into", "is", "it", "its", "just", "my", "of", "on", "or", "our", "so", "some",
    "than", "that", "the", "their", "then", "they", "this", "to", "was", "we", "were", "when", "which",
    "with", "you",
];

/// Abbreviations and what they stand for: who asks for one means the other too.
pub(super) const MEANS: [(&str, &str); 27] = [
    ("psi", "population stability"),
    ("ks", "kolmogorov smirnov"),
    ("js", "jensen shannon"),
    ("ece", "calibration"),
    ("ttft", "first token"),
    ("itl", "between tokens"),
    ("tpot", "between tokens"),
    ("p99", "latency quantiles"),
    ("p95", "latency quantiles"),
    ("5xx", "error"),
    ("429", "rate limit"),
    ("503", "overloaded"),
    ("529", "overloaded"),
    ("slo", "service level"),
    ("oom", "out memory"),
    ("ood", "out distribution"),
    ("llm", "generated text"),
    ("sse", "stream"),
    ("null", "missing"),
    ("none", "missing"),
    ("slow", "latency"),
    ("timeout", "time outs"),
    ("fairness", "unfair"),
    ("racist", "racial"),
    ("sexist", "gender"),
    ("hallucinate", "hallucination"),
    ("lang", "language"),
];

struct Page {
    entry: &'static Entry,
    name: Vec<String>,
    incidents: Vec<(&'static str, Vec<String>)>,
    summary: Vec<String>,
    rest: Vec<String>,
}

impl Page {
    fn of(entry: &'static Entry) -> Page {
        let Entry { name, summary, effect, parameters, example, seen_by, blind: _ } = entry;
        let mut rest = [*effect, *example, *seen_by].map(words).concat();
        for parameter in *parameters {
            rest.extend([parameter.name, parameter.meaning, parameter.values].map(words).concat());
        }
        Page {
            entry,
            name: words(name),
            incidents: incidents::of(name)
                .into_iter()
                .map(|incident| (incident, stems(spoken(incident))))
                .collect(),
            summary: words(summary),
            rest,
        }
    }

    /// How near this word stands to what the fault is; 0: it is not there.
    fn weight(&self, word: &str) -> f64 {
        let is_held = |text: &[String]| text.iter().any(|own| same(own, word));
        let incident = self.incidents.iter().any(|(_, incident)| is_held(incident));
        let places = [
            (is_held(&self.name), NAME),
            (incident, INCIDENT),
            (is_held(&self.summary), SUMMARY),
            (is_held(&self.rest), REST),
        ];
        places.into_iter().find(|(there, _)| *there).map_or(0.0, |(_, weight)| weight)
    }

    /// The same for a word, or for what it stands for.
    fn weight_of(&self, word: &str) -> f64 {
        let meant = MEANS.iter().filter(|(short, _)| *short == word).map(|(_, long)| {
            long.split(' ').map(|part| self.weight(&stem(part))).fold(f64::INFINITY, f64::min) * 0.8
        });
        meant.fold(self.weight(word), f64::max)
    }
}

/// Looks for the faults that a few words speak of.
pub(super) fn find(entries: impl IntoIterator<Item = &'static Entry>, text: &str) -> Hits {
    let pages: Vec<Page> = entries.into_iter().map(Page::of).collect();
    find_in(&pages, text)
}

fn find_in(pages: &[Page], text: &str) -> Hits {
    let mut asked: Vec<String> = spoken(text);
    asked.dedup();
    let rarity = |word: &str| {
        let pages_with = pages.iter().filter(|page| page.weight_of(word) > 0.0).count();
        (pages_with > 0).then(|| (1.0 + pages.len() as f64 / pages_with as f64).ln())
    };
    let weighed: Vec<(String, Option<f64>)> = asked
        .into_iter()
        .map(|word| (stem(&word), word))
        .map(|(stem, word)| {
            let rarity = rarity(&stem);
            (if rarity.is_some() { stem } else { word }, rarity)
        })
        .collect();
    let score = |page: &Page| -> f64 {
        let each = weighed.iter().filter_map(|(word, rarity)| Some((*rarity)? * page.weight_of(word)));
        let (_, together) = incident(page, &weighed);
        let named = page.name.iter().all(|own| weighed.iter().any(|(word, _)| same(own, word)));
        each.sum::<f64>() + INCIDENT * together + if named { NAME * held(&page.name, &weighed) } else { 0.0 }
    };
    let mut found: Vec<(f64, &Page)> =
        pages.iter().map(|page| (score(page), page)).filter(|(score, _)| *score > 0.0).collect();
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let limit = found.first().map_or(0.0, |(best, _)| best * NEAR);
    let near = found.iter().take_while(|(score, _)| *score >= limit).count();
    let shown = near.min(MOST);
    let best = found[..shown]
        .iter()
        .map(|(_, page)| Hit { entry: page.entry, incident: incident(page, &weighed).0 });
    Hits {
        best: best.collect(),
        more: found.len() - shown,
        unknown: weighed
            .iter()
            .filter(|(_, rarity)| rarity.is_none())
            .map(|(word, _)| word.clone())
            .collect(),
    }
}

/// The incident of a page that says most of what was asked, and how much that is.
fn incident(page: &Page, asked: &[(String, Option<f64>)]) -> (Option<&'static str>, f64) {
    let each = page.incidents.iter().map(|(text, incident)| (Some(*text), held(incident, asked)));
    each.filter(|(_, held)| *held > 0.0)
        .fold((None, 0.0), |best, next| if next.1 > best.1 { next } else { best })
}

/// How much of what was asked these few words hold; less, the more else they say.
fn held(few: &[String], asked: &[(String, Option<f64>)]) -> f64 {
    let there = asked.iter().filter(|(word, _)| few.iter().any(|own| same(own, word)));
    let (count, rarity) =
        there.fold((0.0, 0.0), |(count, sum), (_, rarity)| (count + 1.0, sum + rarity.unwrap_or(0.0)));
    rarity * (0.5 + 0.5 * count / few.len().max(1) as f64)
}

/// Words as they were written, without those that say nothing; all of them if there is nothing else.
fn spoken(text: &str) -> Vec<String> {
    let all = split(text);
    let telling: Vec<String> = all.iter().filter(|word| !EMPTY.contains(&word.as_str())).cloned().collect();
    if telling.is_empty() { all } else { telling }
}

fn words(text: &str) -> Vec<String> {
    stems(split(text))
}

fn stems(words: Vec<String>) -> Vec<String> {
    words.iter().map(|word| stem(word)).collect()
}

/// Words in lower case.
pub(super) fn split(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != 'χ').filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// The same word, or a long one that begins with the other: `quantile` in `quantiles`.
fn same(own: &str, word: &str) -> bool {
    own == word || word.chars().count() >= 5 && own.starts_with(word)
}

/// A word without its ending, as in Porter's first step: `hallucinated` and `hallucinating` are one word.
fn stem(word: &str) -> String {
    let mut stem = word.to_owned();
    for (ending, instead, least) in [
        ("ies", "y", 5),
        ("sses", "ss", 5),
        ("ing", "", 6),
        ("ed", "", 5),
        ("es", "", 6),
        ("s", "", 4),
        ("ly", "", 6),
    ] {
        if stem.chars().count() >= least && stem.ends_with(ending) && !stem.ends_with("ss") {
            stem.truncate(stem.len() - ending.len());
            stem.push_str(instead);
            break;
        }
    }
    let doubled =
        stem.as_bytes().windows(2).last().is_some_and(|two| two[0] == two[1] && !b"lsz".contains(&two[0]));
    if doubled && stem.len() > 4 {
        stem.pop();
    }
    if stem.len() > 4 && stem.ends_with('e') {
        stem.pop();
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn the_incident_of_last_quarter_is_found_in_the_words_of_whoever_was_on_call() {
        let incidents = [
            ("model served stale features", "feature-stale"),
            ("tokenizer mismatch", "text-substitute feature-garble"),
            ("rate limited by openai", "rate-limit"),
            ("GPU OOM", "error"),
            ("embedding dimension changed", "embedding-resize"),
            ("feedback loop", "feedback-loop"),
            ("class imbalance", "label-shift"),
            ("hallucinated numbers", "number-substitute"),
            ("slow first token", "stream-latency"),
            ("truncated completions", "stream-cut"),
            ("biased against women", "parity-gap"),
            ("overconfident", "miscalibrate"),
            ("timezone bug in features", "feature-scale feature-stale"),
            ("schema changed", "feature-missing feature-swap"),
            ("canary wrong version", "stale-model"),
            ("our recommender showed the same items to everyone", "rank-push"),
            ("pods were OOMKilled", "reset"),
            ("the API key expired", "error"),
            ("responses in Chinese", "text-script"),
            ("nulls after a join", "feature-missing"),
            ("scale to zero", "cold-start"),
            ("LLM answers got cut off", "stream-cut"),
            ("agent called the wrong tool", "tool-call"),
            ("data drift", "feature-ood"),
            ("labels arrived too late", "feedback-late"),
            ("ttft", "stream-latency"),
        ];
        let pages: Vec<Page> = Fault::catalogue().into_iter().map(Page::of).collect();
        let mut wrong = Vec::new();
        for (text, wanted) in incidents {
            let hits = find_in(&pages, text);
            let first: Vec<&str> = hits.best.iter().take(4).map(|hit| hit.entry.name).collect();
            let all_there = wanted.split(' ').all(|name| first.contains(&name));
            if !all_there || !wanted.split(' ').any(|name| first[0] == name) {
                wrong.push(format!("{text}: {first:?}, not {wanted}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn every_incident_and_every_name_finds_its_fault_first_or_beside_others() {
        let pages: Vec<Page> = Fault::catalogue().into_iter().map(Page::of).collect();
        for entry in Fault::catalogue() {
            for text in incidents::of(entry.name).into_iter().chain([entry.name]) {
                let hits = find_in(&pages, text);
                let at = hits.best.iter().position(|hit| hit.entry.name == entry.name);
                assert!(at.is_some_and(|at| at < 6), "{text}: {at:?} of {}", entry.name);
            }
        }
    }

    #[test]
    fn words_that_no_page_has_are_told_and_do_not_hide_the_rest() {
        let hits = find(Fault::catalogue(), "the flux capacitor served stale features");
        assert_eq!(hits.best[0].entry.name, "feature-stale");
        assert_eq!(hits.unknown, ["flux", "capacitor"]);
        assert!(find(Fault::catalogue(), "xyzzy").best.is_empty());
        assert!(find(Fault::catalogue(), "").best.is_empty());
    }

    #[test]
    fn words_are_compared_without_their_endings() {
        for (a, b) in [
            ("hallucinated", "hallucinate"),
            ("dropped", "drop"),
            ("categories", "category"),
            ("scores", "score"),
        ] {
            assert_eq!(stem(a), stem(b), "{a}, {b}");
        }
        assert_ne!(stem("class"), stem("clash"));
    }
}
