//! The import direction: a module imports only from those above it in `src/lib.rs`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .collect()
}

/// The modules of `lib.rs`, lowest first.
fn order(lib: &str) -> Vec<String> {
    let declared = lib.lines().filter_map(|line| {
        let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    declared.map(str::to_owned).collect()
}

/// Code without its comments, so that a link in a doc comment is no import.
fn without_comments(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Every module named behind `crate::`, also in `use crate::{a, b::C}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let whole_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            _ if !whole_word => {}
            Some(group) => found.extend(heads(group)),
            None => found.extend(head(rest)),
        }
    }
    found
}

fn head(path: &str) -> Option<String> {
    let name = path.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// The first words of a group's members, up to the brace that closes it.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut heads) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.extend(head(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

#[test]
fn modules_import_only_from_those_above_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let order = order(&fs::read_to_string(src.join("lib.rs")).unwrap());
    let rank = |module: &str| order.iter().position(|m| m == module);
    assert!(rank("unit") < rank("layer") && rank("layer") < rank("cli"), "{order:?}");
    let mut upward = Vec::new();
    let mut checked = 0;
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(own) = rank(module) else { continue };
        let imports = imports(&without_comments(&fs::read_to_string(&path).unwrap()));
        checked += imports.len();
        let wrong = imports.iter().filter(|import| rank(import).is_some_and(|other| other > own));
        upward.extend(wrong.map(|import| format!("src/{} imports crate::{import}", inside.display())));
    }
    assert!(checked > 20, "only {checked} imports were found");
    assert!(upward.is_empty(), "imports that run upward:\n{}", upward.join("\n"));
}

#[test]
fn imports_are_found_in_every_form() {
    let code = "use crate::{draw::{Key, unit}, event,\n stats as s};\nlet x = crate::wire::scan(); $crate::unit::A; mycrate::layer::B;";
    let wanted = ["draw", "event", "stats", "unit", "wire"].map(str::to_owned);
    assert_eq!(imports(code), BTreeSet::from(wanted));
    assert_eq!(
        imports(&without_comments("//! [`crate::cli`]\nlet a = 1; // crate::report")),
        BTreeSet::new()
    );
}
