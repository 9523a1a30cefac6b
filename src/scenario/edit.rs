//! One setting of a scenario, changed in its text.
//!
//! A setting is named by its path: `faults.mislabel.rate` is the `rate` of every injection of that fault,
//! `phases.confused.faults.mislabel.rate` of those in one phase, and `exposure.share` is read as it stands. The text is changed
//! at the value's own place and nowhere else, so lines, comments and the messages about them stay where they were. Why
//! not change the compiled document? Then no mistake could be shown in the file.

use std::{fmt, ops::Range};

use serde_json::Value;

use super::{
    problem::{nearest, one_of},
    source::{Diagnostic, Diagnostics, Source},
    tree::{Kind, Node, Path, Step},
};
use crate::unit::{Quantity, SizeRange};

/// The path of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting(Vec<String>);

impl Setting {
    /// Reads a path such as `faults.mislabel.rate`; `None` if a part of it is empty.
    pub fn new(path: &str) -> Option<Setting> {
        let steps: Vec<String> = path.trim().split('.').map(str::to_owned).collect();
        steps.iter().all(|step| !step.is_empty()).then_some(Setting(steps))
    }

    /// The phase that it names, what fault of it, and the setting of that.
    fn fault(&self) -> Option<(Option<&str>, &str, &[String])> {
        match self.0.as_slice() {
            [faults, name, rest @ ..] if faults == "faults" => Some((None, name, rest)),
            [phases, phase, faults, name, rest @ ..] if phases == "phases" && faults == "faults" => {
                Some((Some(phase), name, rest))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// Where a setting stands in a scenario.
#[derive(Debug, Clone)]
pub struct Places {
    list: Vec<(Path, Range<usize>)>,
    /// The phases that it belongs to; `None` if it is nobody's, and so everybody's.
    pub phases: Option<Vec<String>>,
}

/// Finds a setting, which must have a value of the range's unit.
///
/// # Errors
/// Which part of the path is not there, and what is; or why the range does not fit.
pub fn find_setting(source: &Source, setting: &Setting, range: &SizeRange) -> Result<Places, Diagnostics> {
    let tree = Node::parse(source).map_err(|mistakes| Diagnostics::new(source, mistakes))?;
    let finder = Finder { source, tree: &tree, setting };
    let places = finder.places().map_err(|mistake| Diagnostics::new(source, vec![mistake]))?;
    let mistakes = places.list.iter().filter_map(|(path, _)| finder.misfit(path, range));
    match mistakes.collect::<Vec<_>>() {
        none if none.is_empty() => Ok(places),
        some => Err(Diagnostics::new(source, some)),
    }
}

impl Places {
    /// The source with another value in all these places, and another seed. Every line stays where it is.
    ///
    /// # Errors
    /// If that can't be written without changing something else: a value behind an anchor (`&`), say.
    pub fn with(&self, source: &Source, value: &str, seed: u64) -> Result<Source, Diagnostics> {
        let tree = Node::parse(source).map_err(|mistakes| Diagnostics::new(source, mistakes))?;
        let mut spans: Vec<&Range<usize>> = self.list.iter().map(|(_, span)| span).collect();
        spans.sort_by_key(|span| span.start);
        spans.dedup();
        let mut text = source.text.to_string();
        for span in spans.iter().rev() {
            text.replace_range((*span).clone(), value);
        }
        let changed = Source { text: text.into(), ..source.clone() };
        let wanted = self.wanted(&tree, value);
        let at = spans.first().map_or(0..0, |span| (*span).clone());
        if !Node::parse(&changed).is_ok_and(|now| now.to_json() == wanted) {
            let message = "this value can't be changed without changing something else";
            let mut shared = source.diagnostic(at, message, "this one");
            shared.help =
                Some("write it out in each place, without an anchor (`&`) and aliases (`*`)".to_owned());
            return Err(Diagnostics::new(source, vec![shared]));
        }
        seeded(&changed, wanted, seed).ok_or_else(|| {
            let mut unseeded =
                source.diagnostic(0..0, "`seed` is missing and can't be added", "add `seed:` here");
            unseeded.help = Some("write `seed: 1` among the first keys".to_owned());
            Diagnostics::new(source, vec![unseeded])
        })
    }

    /// What the changed text has to say.
    fn wanted(&self, tree: &Node, value: &str) -> Value {
        let mut tree = tree.clone();
        let number = serde_json::from_str(value).ok();
        for (path, _) in &self.list {
            if let Some(node) = tree.at_mut(&path.0) {
                node.kind = number.clone().map_or_else(|| Kind::Text(value.to_owned()), Kind::Number);
            }
        }
        tree.to_json()
    }
}

/// The same source under another seed; `None` if there is no place for it.
fn seeded(source: &Source, mut wanted: Value, seed: u64) -> Option<Source> {
    let tree = Node::parse(source).ok()?;
    let Kind::Map(map) = &tree.kind else { return None };
    wanted.as_object_mut()?.insert("seed".to_owned(), seed.into());
    let at = map.iter().find(|entry| entry.key == "seed").map(|entry| entry.value.span.clone());
    let first = map.first()?.key_span.start;
    let tries = match at {
        Some(span) => vec![(span, seed.to_string())],
        None => vec![
            (source.text.len()..source.text.len(), format!("\nseed: {seed}\n")),
            (first..first, format!("seed: {seed}, ")),
        ],
    };
    let mut texts = tries.into_iter().map(|(span, new)| {
        let mut text = source.text.to_string();
        text.replace_range(span, &new);
        Source { text: text.into(), ..source.clone() }
    });
    texts.find(|changed| Node::parse(changed).is_ok_and(|now| now.to_json() == wanted))
}

struct Finder<'a> {
    source: &'a Source,
    tree: &'a Node,
    setting: &'a Setting,
}

impl Finder<'_> {
    fn places(&self) -> Result<Places, Diagnostic> {
        let Some((phase, fault, rest)) = self.setting.fault() else {
            let path = self.walk(&Path::default(), &self.setting.0)?;
            let phases = match self.setting.0.as_slice() {
                [phases, ..] if phases == "phases" => path.0.get(1).and_then(|step| self.phase_at(step)),
                _ => None,
            };
            return Ok(Places { list: vec![self.place(path)], phases: phases.map(|phase| vec![phase]) });
        };
        let all = self.injections();
        let mut phases: Vec<String> = all.iter().map(|(phase, ..)| phase.clone()).collect();
        phases.dedup();
        if let Some(wanted) = phase.filter(|wanted| phases.iter().all(|phase| phase != wanted)) {
            return Err(self.absent("phases", "no phase with faults is called", wanted, &phases, "phases"));
        }
        let here = |name: &str| phase.is_none_or(|wanted| wanted == name);
        let mut faults: Vec<String> =
            all.iter().filter(|(phase, ..)| here(phase)).map(|(_, fault, _)| fault.clone()).collect();
        faults.sort();
        faults.dedup();
        let mine: Vec<_> = all.iter().filter(|(phase, name, _)| here(phase) && name == fault).collect();
        if mine.is_empty() {
            let nobody = if phase.is_some() { "this phase injects no" } else { "no phase injects" };
            return Err(self.absent("phases", nobody, fault, &faults, "faults"));
        }
        let list = mine.iter().map(|(_, _, path)| Ok(self.place(self.walk(path, rest)?)));
        let list = list.collect::<Result<_, Diagnostic>>()?;
        let mut phases: Vec<String> = mine.iter().map(|(phase, ..)| phase.clone()).collect();
        phases.dedup();
        Ok(Places { list, phases: Some(phases) })
    }

    /// Every injection: its phase, its fault, the path of the fault's settings.
    fn injections(&self) -> Vec<(String, String, Path)> {
        let list = |node: &Node| match &node.kind {
            Kind::List(list) => list.len(),
            _ => 0,
        };
        let phases = Path(vec!["phases".into()]);
        let of_phase = |phase: usize| {
            let (phase, name) = (phases.then(phase), self.phase_at(&Step::Index(phase))?);
            let inject = phase.then("inject");
            let of_fault = move |index: usize| {
                let path = inject.then(index).then("fault");
                let fault = match self.tree.find(&path).node.kind {
                    Kind::Map(map) => map.into_iter().next()?.key,
                    Kind::Text(fault) => fault,
                    _ => return None,
                };
                Some((name.clone(), fault.clone(), path.then(fault.as_str())))
            };
            let found = self.tree.find(&phase.then("inject"));
            let count = if found.whole { list(&found.node) } else { 0 };
            Some((0..count).filter_map(of_fault).collect::<Vec<_>>())
        };
        (0..list(&self.tree.find(&phases).node)).filter_map(of_phase).flatten().collect()
    }

    fn phase_at(&self, step: &Step) -> Option<String> {
        let path = Path(vec!["phases".into(), step.clone(), "name".into()]);
        let found = self.tree.find(&path);
        scalar(&found.node).filter(|_| found.whole)
    }

    /// The path with these steps more; entries of lists are named by their `name`, or by their number.
    fn walk(&self, from: &Path, steps: &[String]) -> Result<Path, Diagnostic> {
        let mut path = from.clone();
        for step in steps {
            let found = self.tree.find(&path);
            let (next, names): (Option<Step>, Vec<String>) = match &found.node.kind {
                Kind::Map(map) => {
                    let names: Vec<String> = map.iter().map(|entry| entry.key.clone()).collect();
                    (names.contains(step).then(|| step.as_str().into()), names)
                }
                Kind::List(list) => {
                    let name = |node: &Node| match &node.kind {
                        Kind::Map(map) => {
                            map.iter().find(|entry| entry.key == "name").and_then(|e| scalar(&e.value))
                        }
                        _ => None,
                    };
                    let names: Vec<String> = list
                        .iter()
                        .enumerate()
                        .map(|(index, node)| name(node).unwrap_or_else(|| index.to_string()))
                        .collect();
                    let number = step.parse().ok().filter(|number| *number < list.len());
                    (names.iter().position(|name| name == step).or(number).map(Step::Index), names)
                }
                _ => (None, Vec::new()),
            };
            let Some(next) = next else {
                let owner = path.0.last().map_or_else(String::new, |last| match last {
                    Step::Key(key) => format!("`{key}` "),
                    Step::Index(_) => String::new(),
                });
                let message = format!("{owner}has no `{step}` here, which `{}` asks for", self.setting);
                let mut missing = self.source.diagnostic(found.span, message.trim_start(), "here");
                missing.help = Some(match nearest(step, &names) {
                    Some(right) => format!("did you mean `{right}`?"),
                    None if names.is_empty() => {
                        format!("write `{step}:` with a value there; a default can't be swept over")
                    }
                    None => format!("write `{step}:` with a value there, or name {}", one_of(&names)),
                });
                return Err(missing);
            };
            path = path.then(next);
        }
        Ok(path)
    }

    fn place(&self, path: Path) -> (Path, Range<usize>) {
        let span = self.tree.find(&path).node.span;
        (path, span)
    }

    /// Why a value can't take the sizes of a range.
    fn misfit(&self, path: &Path, range: &SizeRange) -> Option<Diagnostic> {
        let found = self.tree.find(path);
        let at =
            |message: String, label: String| Some(self.source.diagnostic(found.span.clone(), message, label));
        let Some(written) = scalar(&found.node) else {
            let inside = match &found.node.kind {
                Kind::Map(map) => map.iter().map(|entry| format!("{}.{}", self.setting, entry.key)).collect(),
                _ => Vec::new(),
            };
            let mut misfit = at(format!("`{}` is no single value", self.setting), "this one".to_owned())?;
            misfit.help = (!inside.is_empty()).then(|| format!("name {}", one_of(&inside)));
            return Some(misfit);
        };
        match Quantity::read(&written) {
            Ok((quantity, _)) if quantity.takes(range.quantity()) => None,
            Ok((quantity, _)) => {
                let sizes = range.quantity().name();
                let message =
                    format!("`{}` does not fit `{range}`: its sizes are each {sizes}", self.setting);
                at(message, format!("this is {}", quantity.name()))
            }
            Err(why) => at(format!("`{}` can't be swept over: {why}", self.setting), "this one".to_owned()),
        }
    }

    fn absent(&self, key: &str, what: &str, name: &str, there: &[String], kind: &str) -> Diagnostic {
        let span = self.tree.find(&Path(vec![key.into()])).span;
        let mut absent = self.source.diagnostic(span, format!("{what} `{name}`"), "in here");
        absent.help = Some(match nearest(name, there) {
            Some(right) => format!("did you mean `{right}`?"),
            None if there.is_empty() => format!("there are no {kind}"),
            None => format!("there is {}", one_of(there).replace(" or ", " and ")),
        });
        absent
    }
}

fn scalar(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Text(text) => Some(text.clone()),
        Kind::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
