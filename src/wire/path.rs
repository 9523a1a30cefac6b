//! JSONPath (RFC 9535), as far as predictions need it: `$`, `.name`, `['name']`, `[0]`, `.*` and `[*]`.
//!
//! A path is parsed when a scenario is read, so that a mistake is told there. Descendants, slices and
//! filters are refused by name: a prediction has one place, and a path that could match elsewhere would
//! edit what nobody meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::scan::{Kind, Node};

/// A path such as `$.results[*].label`.
///
/// ```
/// use canard::wire::JsonPath;
/// assert!("$.results[*]['the label']".parse::<JsonPath>().is_ok());
/// let error = "$..label".parse::<JsonPath>().unwrap_err();
/// assert_eq!(error.to_string(), "`$..label`, character 3: descendants (`..`) are not supported");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
    Every,
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PathError(pub(crate) String);

impl JsonPath {
    /// The values that it selects, in the order of the document.
    pub fn select<'t>(&self, root: Node<'t>) -> Vec<Node<'t>> {
        let mut selected = vec![root];
        for step in &self.steps {
            selected = match step {
                Step::Name(name) => selected.into_iter().filter_map(|node| node.get(name)).collect(),
                Step::Index(index) => {
                    selected.into_iter().filter_map(|node| node.elements().nth(*index)).collect()
                }
                Step::Every => selected.into_iter().flat_map(children).collect(),
            };
        }
        selected
    }
}

fn children<'t>(node: Node<'t>) -> Vec<Node<'t>> {
    match node.kind() {
        Kind::Object => node.members().map(|(_, value)| value).collect(),
        _ => node.elements().collect(),
    }
}

impl FromStr for JsonPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut parser = Parser { text, at: 0 };
        parser.expect('$', "a path begins with `$`, as in `$.results[*].label`")?;
        let mut steps = Vec::new();
        while parser.at < text.len() {
            steps.push(parser.step()?);
        }
        Ok(JsonPath { text: text.to_owned(), steps })
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn wrong<T>(&self, message: &str) -> Result<T, PathError> {
        let character = self.text[..self.at].chars().count() + 1;
        Err(PathError(format!("`{}`, character {character}: {message}", self.text)))
    }

    fn expect(&mut self, wanted: char, message: &str) -> Result<(), PathError> {
        if !self.rest().starts_with(wanted) {
            return self.wrong(message);
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn step(&mut self) -> Result<Step, PathError> {
        if self.rest().starts_with('[') {
            return self.bracket();
        }
        self.expect('.', "expected `.name`, `['name']`, `[0]` or `[*]`")?;
        match self.rest().chars().next() {
            Some('*') => {
                self.at += 1;
                Ok(Step::Every)
            }
            Some('.') => self.wrong("descendants (`..`) are not supported"),
            Some(first) if first == '_' || first.is_ascii_alphabetic() || !first.is_ascii() => {
                let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii();
                let length = self.rest().find(|c| !is_name(c)).unwrap_or(self.rest().len());
                let name = &self.rest()[..length];
                self.at += length;
                match self.rest().chars().next() {
                    None | Some('.' | '[') => Ok(Step::Name(name.to_owned())),
                    _ => self.wrong("this needs quotes after a dot: write the name as `['name']`"),
                }
            }
            _ => self.wrong("expected a name; names with other characters are written `['name']`"),
        }
    }

    fn bracket(&mut self) -> Result<Step, PathError> {
        self.at += 1;
        self.blanks();
        let step = match self.rest().chars().next() {
            Some('*') => {
                self.at += 1;
                Step::Every
            }
            Some(quote @ ('\'' | '"')) => Step::Name(self.quoted(quote)?),
            Some('0'..='9') => self.index()?,
            Some('-') => return self.wrong("indices from the end are not supported"),
            Some('?') => return self.wrong("filters are not supported"),
            Some(':') => return self.wrong("slices are not supported"),
            _ => return self.wrong("expected `'name'` in quotes, an index or `*`"),
        };
        self.blanks();
        match self.rest().chars().next() {
            Some(':') => self.wrong("slices are not supported"),
            Some(',') => self.wrong("more than one name or index is not supported"),
            _ => self.expect(']', "expected `]`").map(|()| step),
        }
    }

    fn index(&mut self) -> Result<Step, PathError> {
        let rest = self.rest();
        let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        match digits.parse() {
            Ok(index) if digits == "0" || !digits.starts_with('0') => {
                self.at += digits.len();
                Ok(Step::Index(index))
            }
            _ => self.wrong("this is no index"),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, PathError> {
        let inside = &self.rest()[1..];
        let mut escaped = false;
        let end = inside.find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some(end) = end else {
            return self.wrong("a name without an end");
        };
        // A name in single quotes is one in double quotes with the two kinds of quote told apart.
        let json = match quote {
            '"' => format!("\"{}\"", &inside[..end]),
            _ => format!("\"{}\"", inside[..end].replace("\\'", "'").replace('"', "\\\"")),
        };
        match serde_json::from_str(&json) {
            Ok(name) => {
                self.at += end + 2;
                Ok(name)
            }
            Err(_) => self.wrong("a name with an escape that JSON does not know"),
        }
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
        path.text
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for JsonPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JsonPath".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": r"^\$", "examples": ["$.results[*].label"] })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::scan::scan;

    fn select(path: &str, body: &str) -> Vec<String> {
        let tree = scan(body.as_bytes()).unwrap();
        let selected = path.parse::<JsonPath>().unwrap().select(tree.root());
        selected.iter().map(|node| String::from_utf8(node.raw().to_vec()).unwrap()).collect()
    }

    #[test]
    fn it_selects_what_the_rfc_says() {
        let body = r#"{"a":[{"b":1,"é":"x"},{"b":[2,3]},7],"it's":{"\"":null},"c d":{"e":0}}"#;
        for (path, wanted) in [
            ("$.a[0].b", vec!["1"]),
            ("$.a[*].b", vec!["1", "[2,3]"]),
            ("$.a.*.b[*]", vec!["2", "3"]),
            ("$['a'][ 1 ][\"b\"][1]", vec!["3"]),
            ("$.a[0].é", vec!["\"x\""]),
            (r#"$['it\'s']['"']"#, vec!["null"]),
            (r#"$["it's"]["\""]"#, vec!["null"]),
            ("$['c d'].*", vec!["0"]),
            ("$.a[9]", vec![]),
            ("$.a.b", vec![]),
            ("$.nothing[*].b", vec![]),
        ] {
            assert_eq!(select(path, body), wanted, "{path}");
        }
        assert_eq!(select("$", "[ 1 ]"), ["[ 1 ]"]);
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (path, message) in [
            ("", "``, character 1: a path begins with `$`, as in `$.results[*].label`"),
            ("results", "`results`, character 1: a path begins with `$`, as in `$.results[*].label`"),
            ("$results", "`$results`, character 2: expected `.name`, `['name']`, `[0]` or `[*]`"),
            ("$.é..b", "`$.é..b`, character 5: descendants (`..`) are not supported"),
            ("$.a-b", "`$.a-b`, character 4: this needs quotes after a dot: write the name as `['name']`"),
            (
                "$.1",
                "`$.1`, character 3: expected a name; names with other characters are written `['name']`",
            ),
            ("$.", "`$.`, character 3: expected a name; names with other characters are written `['name']`"),
            ("$[", "`$[`, character 3: expected `'name'` in quotes, an index or `*`"),
            ("$[a]", "`$[a]`, character 3: expected `'name'` in quotes, an index or `*`"),
            ("$[01]", "`$[01]`, character 3: this is no index"),
            ("$[99999999999999999999]", "`$[99999999999999999999]`, character 3: this is no index"),
            ("$[-1]", "`$[-1]`, character 3: indices from the end are not supported"),
            ("$[0:2]", "`$[0:2]`, character 4: slices are not supported"),
            ("$[0,1]", "`$[0,1]`, character 4: more than one name or index is not supported"),
            ("$[?@.a]", "`$[?@.a]`, character 3: filters are not supported"),
            ("$['a", "`$['a`, character 3: a name without an end"),
            ("$['\\x']", "`$['\\x']`, character 3: a name with an escape that JSON does not know"),
            ("$[*", "`$[*`, character 4: expected `]`"),
        ] {
            assert_eq!(path.parse::<JsonPath>().unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_or_an_error(text in r#"\$?[\[\]'"\\.*0-9a-zé\- ]{0,20}"#) {
            if let Ok(path) = text.parse::<JsonPath>() {
                prop_assert_eq!(path.to_string(), text);
                let tree = scan(br#"{"a":[1,{"b":2}]}"#).unwrap();
                prop_assert!(path.select(tree.root()).len() < 9);
            }
        }
    }
}
