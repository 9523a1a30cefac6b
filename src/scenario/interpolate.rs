//! `${VARIABLE}` in the texts of a stage file: the one way for a secret to come in.
//!
//! A value that was filled in is marked as hidden, and no message ever shows it.

use super::{
    problem::Problem,
    tree::{Kind, Node, Path},
};

/// Fills in every variable below `node`. `$${` stands for a plain `${`.
pub(super) fn interpolate(
    node: &mut Node,
    path: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) {
    match &mut node.kind {
        Kind::Text(text) if text.contains("${") => match fill(text, variable) {
            Ok((filled, hidden)) => {
                *text = filled;
                node.hidden = hidden;
            }
            Err((message, help)) => {
                let mut problem = Problem::at(path.clone(), message);
                if let Some(help) = help {
                    problem = problem.help(help);
                }
                problems.push(problem);
                *text = String::new();
                node.made_up = true;
            }
        },
        Kind::List(list) => {
            for (index, child) in list.iter_mut().enumerate() {
                interpolate(child, &path.then(index), variable, problems);
            }
        }
        Kind::Map(map) => {
            for entry in map {
                interpolate(&mut entry.value, &path.then(entry.key.as_str()), variable, problems);
            }
        }
        _ => {}
    }
}

type Wrong = (String, Option<String>);

fn fill(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<(String, bool), Wrong> {
    let (mut filled, mut hidden, mut rest) = (String::new(), false, text);
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            filled.push_str(&rest[..start]);
            filled.push('{');
            rest = &rest[start + 2..];
            continue;
        }
        filled.push_str(&rest[..start]);
        let Some((name, behind)) = rest[start + 2..].split_once('}') else {
            return Err(("`${` is never closed".to_owned(), Some("write `${VARIABLE}`".to_owned())));
        };
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(fine) || name.starts_with(|c: char| c.is_ascii_digit()) {
            let help = "variables are named with A-Z, a-z, 0-9 and `_`; `$${` stands for a plain `${`";
            return Err((format!("`${{{name}}}` names no variable"), Some(help.to_owned())));
        }
        match variable(name) {
            Some(value) if !value.is_empty() => filled.push_str(&value),
            Some(_) => return Err((format!("the environment variable `{name}` is empty"), None)),
            None => {
                let help = format!("set it first: `export {name}=…`");
                return Err((format!("the environment variable `{name}` is not set"), Some(help)));
            }
        }
        hidden = true;
        rest = behind;
    }
    filled.push_str(rest);
    Ok((filled, hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let look = |name: &str| (name == "PORT").then(|| "9090".to_owned());
        assert_eq!(fill("http://h:${PORT}/${PORT}", &look), Ok(("http://h:9090/9090".into(), true)));
        assert_eq!(fill("$${PORT}", &look), Ok(("${PORT}".into(), false)));
        assert_eq!(fill("$ {PORT} $", &look), Ok(("$ {PORT} $".into(), false)));
        for wrong in ["${HOST}", "${}", "${A B}", "${PORT", "${1}"] {
            assert!(fill(wrong, &look).is_err(), "{wrong}");
        }
    }
}
