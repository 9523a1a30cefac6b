//! Where a text that is JSON has its keys and its values, token by token.

/// Deeper containers are taken for objects.
const DEEPEST: usize = 128;

/// Follows a JSON text. It takes any text for JSON, and never fails.
#[derive(Debug, Default)]
pub(in crate::fault) struct JsonPlace {
    /// Is the container an object? One for each that is open.
    open: Vec<bool>,
    in_string: bool,
    escaped: bool,
    after_colon: bool,
}

impl JsonPlace {
    /// Inside a string?
    pub(in crate::fault) const fn in_string(&self) -> bool {
        self.in_string
    }

    /// At a value, and not at a key?
    pub(in crate::fault) fn at_value(&self) -> bool {
        self.after_colon || self.open.last().is_some_and(|is_object| !is_object)
    }

    /// Is what comes next escaped by a backslash?
    pub(in crate::fault) const fn escaped(&self) -> bool {
        self.escaped
    }

    /// Goes on by a token.
    pub(in crate::fault) fn pass(&mut self, token: &str) {
        if self.in_string {
            match token {
                _ if self.escaped => self.escaped = false,
                "\\" => self.escaped = true,
                "\"" => self.in_string = false,
                _ => {}
            }
            return;
        }
        match token {
            "\"" => self.in_string = true,
            "{" | "[" => {
                if self.open.len() < DEEPEST {
                    self.open.push(token == "{");
                }
                self.after_colon = false;
            }
            "}" | "]" => {
                self.open.pop();
                self.after_colon = false;
            }
            ":" => self.after_colon = true,
            "," => self.after_colon = false,
            _ => {}
        }
    }
}
