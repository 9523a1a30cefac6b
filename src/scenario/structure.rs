//! From a tree to a typed document, with every structural mistake at once.
//!
//! Serde stops at the first mistake. So the mistake is recorded, the tree is repaired there (a misspelt key
//! renamed, a wrong value replaced by one that fits and marked as made up) and read again until it reads.
//! What is said about made-up values later is not said to anybody: it would only repeat the first mistake.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::{
    known,
    problem::{Problem, one_of},
    source::{Diagnostic, Source},
    tree::{Entry, Kind, Node, Path, Step},
};

use crate::fault::Fault;

const UNKNOWN_KEY: &str = "unknown key";

/// What serde says of an enum that is written with no key, or with several.
const NOT_ONE_KEY: &str = "invalid value: map, expected map with a single key";

/// More mistakes than this are not listed.
const MOST: usize = 40;

/// More bare numbers than this are not taken as texts.
const LENIENT: usize = 500;

/// Reads `T`, repairing `tree` on the way; `None` when it can't be repaired.
pub(super) fn read<T: DeserializeOwned>(
    source: &Source,
    tree: &mut Node,
    list: &mut Vec<Diagnostic>,
) -> Option<T> {
    let (mut taken, mut mistakes, mut gone) = (0, 0, Vec::new());
    while mistakes < MOST {
        match attempt::<T>(tree) {
            Ok(document) => return Some(document),
            Err(mistake) if taken < LENIENT && mistake.take_as_text(tree) => taken += 1,
            Err(mistake) => {
                // Placed at once: a repair may move what stands behind it.
                if !mistake.missing().is_some_and(|path| gone.contains(&path)) && !mistake.is_left_over(tree)
                {
                    list.extend(mistake.problem(tree).place(source, tree));
                }
                if !mistake.repair::<T>(tree) {
                    gone.push(remove(tree, &mistake.path)?);
                }
                mistakes += 1;
            }
        }
    }
    None
}

fn attempt<T: DeserializeOwned>(tree: &Node) -> Result<T, Mistake> {
    serde_path_to_error::deserialize(tree.to_json()).map_err(|error| Mistake {
        path: Path(error.path().iter().filter_map(step).collect()),
        what: error.inner().to_string(),
    })
}

fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { variant } => Some(Step::Key(variant.clone())),
        Segment::Unknown => None,
    }
}

/// What serde said, and where.
#[derive(Debug)]
struct Mistake {
    path: Path,
    what: String,
}

impl Mistake {
    /// A bare `1` or `true` where a text is wanted is that text, as the author wrote it.
    fn take_as_text(&self, tree: &mut Node) -> bool {
        if !self.what.ends_with("expected a string") {
            return false;
        }
        let Some(node) = tree.at_mut(&self.path.0) else { return false };
        let text = match &node.kind {
            Kind::Number(number) => number.to_string(),
            Kind::Bool(truth) => truth.to_string(),
            _ => return false,
        };
        node.kind = Kind::Text(text);
        true
    }

    /// Is it only that a repair took the one key away that stood there?
    fn is_left_over(&self, tree: &Node) -> bool {
        if self.what != NOT_ONE_KEY {
            return false;
        }
        let found = tree.find(&self.path);
        let emptied = matches!(&found.node.kind, Kind::Map(map) if map.is_empty());
        found.whole && found.node.damaged && emptied
    }

    /// The path of a missing field.
    fn missing(&self) -> Option<Path> {
        let rest = self.what.strip_prefix("missing field")?;
        Some(self.path.then(backticked(rest).first()?.as_str()))
    }

    fn problem(&self, tree: &Node) -> Problem {
        let found = tree.find(&self.path);
        if found.node.hidden {
            return Problem::at(
                self.path.clone(),
                "the value that stands for this variable does not fit here",
            )
            .label("after the variable is filled in")
            .help("check the variable in the environment; its value is not shown");
        }
        let names = backticked(&self.what);
        if self.what.starts_with("unknown field") {
            return self.unknown(UNKNOWN_KEY, "here", &names);
        }
        if self.what.starts_with("unknown variant") {
            return self.unknown("nothing is called", "in this place", &names);
        }
        if self.what.starts_with("missing field") {
            let key = names.first().map_or("", String::as_str);
            let owner = self.path.to_string();
            let message = if owner.is_empty() {
                format!("`{key}` is missing")
            } else {
                format!("`{key}` is missing in `{owner}`")
            };
            let problem = Problem::at(self.path.clone(), message).label(format!("add `{key}:` here"));
            return problem.maybe_help(page(&self.path).map(|page| format!("{page} tells what it is")));
        }
        let problem = Problem::at(self.path.clone(), self.in_words(&found.node.kind));
        match &found.node.kind {
            Kind::Null => problem.label("nothing stands here"),
            _ => problem.label("this value"),
        }
    }

    fn unknown(&self, what: &str, place: &str, names: &[String]) -> Problem {
        let Some((wrong, valid)) = names.split_first() else {
            return Problem::at(self.path.clone(), self.what.clone());
        };
        let problem = Problem::at(self.path.clone(), format!("{what} `{wrong}`"));
        let problem = if what == UNKNOWN_KEY { problem.at_key() } else { problem.at_variant() };
        if let Some(owner) = known::owner(wrong, valid) {
            let label = format!("stands under `{owner}:`");
            return problem.label(label).help(format!("write `{owner}: {{ {wrong}: … }}`"));
        }
        let right = known::meant(wrong, valid);
        let mut help = match valid {
            // Too many to be read.
            faults if faults.iter().any(|name| name == "mislabel") => {
                let find = format!(", and `canard faults --find '{wrong}'` looks for an incident");
                format!("`canard faults` lists them all{}", if right.is_some() { "" } else { &find })
            }
            few => format!("{place} can stand {}", one_of(few)),
        };
        if let Some(page) = page(&self.path) {
            help.push_str(&format!("; {page} tells about them"));
        }
        match right {
            Some(right) => problem.label(format!("did you mean `{right}`?")).help(help),
            None if valid.is_empty() => problem.label("no key can stand here"),
            None => problem.label("not known").help(help),
        }
    }

    fn in_words(&self, kind: &Kind) -> String {
        let got = match kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        };
        if self.what == NOT_ONE_KEY {
            let Kind::Map(map) = kind else { return self.what.clone() };
            let keys: Vec<String> = map.iter().map(|e| e.key.clone()).collect();
            return match keys.len() {
                0 => "exactly one key has to stand here, and there is none".to_owned(),
                _ => format!("exactly one key has to stand here, not {}: {}", keys.len(), one_of(&keys)),
            };
        }
        if self.what.contains("unit variant, expected") {
            let Kind::Text(name) = kind else { return self.what.clone() };
            return format!(
                "`{name}` has settings: write `{name}: {{ … }}`, or `{name}: {{}}` for the defaults"
            );
        }
        if !self.what.starts_with("invalid type") {
            return self.what.clone();
        }
        let wanted = match self.what.rsplit("expected ").next().unwrap_or_default() {
            "a string" | "string only" => "a text".to_owned(),
            "a sequence" => "a list (`- …` or `[…]`)".to_owned(),
            "a map" => "a mapping (`key: value`)".to_owned(),
            "string or map" => "a name, or a mapping with one key".to_owned(),
            "a boolean" => "true or false".to_owned(),
            number if ["u8", "u16", "u32", "u64", "usize"].contains(&number) => {
                "a whole number, not negative".to_owned()
            }
            number if ["i8", "i16", "i32", "i64", "isize"].contains(&number) => "a whole number".to_owned(),
            "f32" | "f64" => "a number".to_owned(),
            shape if shape.starts_with("struct ") || shape.contains("variant") => {
                "a mapping (`key: value`)".to_owned()
            }
            other => other.to_owned(),
        };
        format!("{wanted} is wanted here, not {got}")
    }

    /// Changes the tree so that this mistake is gone; false when there is no way but to remove it.
    fn repair<T: DeserializeOwned>(&self, tree: &mut Node) -> bool {
        let names = backticked(&self.what);
        if self.what.starts_with("unknown field") {
            return self.repair_key(tree, &names);
        }
        if let Some(path) = self.missing() {
            let Some(Node { kind: Kind::Map(map), span, .. }) = tree.at_mut(&self.path.0) else {
                return false;
            };
            let key = names.into_iter().next().unwrap_or_default();
            map.push(Entry { key, key_span: span.clone(), value: made_up(span.clone()) });
            return fit::<T>(tree, &path, &[]);
        }
        let Some(node) = tree.at_mut(&self.path.0) else { return false };
        match (names.split_first(), &mut node.kind) {
            (Some((wrong, valid)), kind) if self.what.starts_with("unknown variant") => {
                match (known::meant(wrong, valid), kind) {
                    (Some(right), Kind::Text(text)) => *text = right.to_owned(),
                    (Some(right), Kind::Map(map)) if map.len() == 1 => map[0].key = right.to_owned(),
                    _ => return fit::<T>(tree, &self.path, valid),
                }
                true
            }
            (_, Kind::Text(name)) if self.what.contains("unit variant, expected") => {
                let settings = Node { kind: Kind::Map(Vec::new()), ..made_up(node.span.clone()) };
                let key_span = node.span.clone();
                node.kind = Kind::Map(vec![Entry { key: name.clone(), key_span, value: settings }]);
                true
            }
            _ => fit::<T>(tree, &self.path, &[]),
        }
    }

    fn repair_key(&self, tree: &mut Node, names: &[String]) -> bool {
        let Some((wrong, valid)) = names.split_first() else { return false };
        let owner = match self.path.0.split_last() {
            Some((Step::Key(last), owner)) if last == wrong => owner,
            _ => &self.path.0[..],
        };
        let Some(Node { kind: Kind::Map(map), damaged, .. }) = tree.at_mut(owner) else { return false };
        let free = |name: &&str| map.iter().all(|e| e.key != *name);
        let (under, right) =
            (known::owner(wrong, valid).filter(free), known::meant(wrong, valid).filter(free));
        let Some(position) = map.iter().position(|e| e.key == *wrong) else { return false };
        match (under, right) {
            (Some(under), _) => {
                let entry = map.remove(position);
                let (key, key_span) = (under.to_owned(), entry.key_span.clone());
                let value =
                    Node { kind: Kind::Map(vec![entry]), made_up: false, ..made_up(key_span.clone()) };
                map.insert(position, Entry { key, key_span, value });
            }
            (None, Some(right)) => map[position].key = right.to_owned(),
            (None, None) => {
                map.remove(position);
                *damaged = true;
            }
        }
        true
    }
}

fn made_up(span: std::ops::Range<usize>) -> Node {
    Node { span, kind: Kind::Null, made_up: true, hidden: false, damaged: false }
}

/// Puts a value at `path` that reads there: one of `names`, or one of every sort.
fn fit<T: DeserializeOwned>(tree: &mut Node, path: &Path, names: &[String]) -> bool {
    let text = |text: &str| Kind::Text(text.to_owned());
    let texts =
        ["1%", "1s", "1/s", "> 1", "$", "on", "9999-12-31", "UTC", "0 0 * * *", "12:00", "mon"].map(text);
    let numbers = [400, 1].map(|n: u16| Kind::Number(n.into()));
    let empty = [Kind::Null, Kind::List(Vec::new()), Kind::Map(Vec::new())];
    for kind in names.iter().map(|name| text(name)).chain(empty).chain(texts).chain(numbers) {
        let Some(node) = tree.at_mut(&path.0) else { return false };
        node.kind = kind;
        node.made_up = true;
        match attempt::<T>(tree) {
            Err(mistake) if mistake.path.0.starts_with(&path.0) => {}
            _ => return true,
        }
    }
    false
}

/// Drops the entry of a list, or the key, that holds `path`; returns what it dropped.
fn remove(tree: &mut Node, path: &Path) -> Option<Path> {
    for depth in (1..=path.0.len()).rev() {
        let (owner, step) = (&path.0[..depth - 1], &path.0[depth - 1]);
        let owner = tree.at_mut(owner)?;
        match (&mut owner.kind, step) {
            (Kind::List(list), Step::Index(index)) if *index < list.len() => drop(list.remove(*index)),
            (Kind::Map(map), Step::Key(key)) if map.iter().any(|e| e.key == *key) => {
                map.retain(|e| e.key != *key);
            }
            _ => continue,
        }
        owner.damaged = true;
        return Some(Path(path.0[..depth].to_vec()));
    }
    None
}

/// The command that shows the page of the fault whose settings a path leads into.
fn page(path: &Path) -> Option<String> {
    let at = path.0.iter().position(|step| *step == Step::from("fault"))?;
    let Step::Key(name) = path.0.get(at + 1)? else { return None };
    Fault::catalogue().iter().any(|entry| entry.name == name).then(|| format!("`canard faults {name}`"))
}

fn backticked(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
