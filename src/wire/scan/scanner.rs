//! The one pass over the bytes: a loop with its own bounded stack of open containers, so that hostile
//! nesting costs nothing, and no byte is looked at twice.

use super::{Item, Kind, ScanError, Tree};

/// Deepest nesting that is read.
pub(super) const MAX_DEPTH: usize = 96;

/// Scans one JSON document.
///
/// ```
/// use canard::wire::scan;
/// let tree = scan(br#"{"p": [0.5, NaN]}"#)?;
/// let p = tree.root().get("p").unwrap();
/// assert_eq!(p.span(), 6..16);
/// assert_eq!(p.elements().count(), 2);
/// # Ok::<(), canard::wire::ScanError>(())
/// ```
///
/// # Errors
/// At the first byte that is neither JSON nor a bare not-a-number or infinity.
pub fn scan(body: &[u8]) -> Result<Tree<'_>, ScanError> {
    if u32::try_from(body.len()).is_err() {
        return Err(ScanError { at: 0, message: "longer than 4 GiB" });
    }
    let items = Vec::with_capacity((body.len() / 6 + 2).min(1 << 16));
    let mut scanner = Scanner { body, at: 0, items, open: [0; MAX_DEPTH], depth: 0 };
    scanner.document()?;
    Ok(Tree { body, items: scanner.items })
}

struct Scanner<'b> {
    body: &'b [u8],
    at: usize,
    items: Vec<Item>,
    open: [u32; MAX_DEPTH],
    depth: usize,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), ScanError> {
        loop {
            if self.opened()? {
                continue;
            }
            loop {
                let next = self.peek();
                let Some(container) = self.innermost() else {
                    return if next.is_none() { Ok(()) } else { Err(self.wrong("expected the end")) };
                };
                match (self.items[container].kind, next) {
                    (Kind::Object, Some(b',')) => {
                        self.at += 1;
                        self.name()?;
                        break;
                    }
                    (_, Some(b',')) => {
                        self.at += 1;
                        break;
                    }
                    (Kind::Object, Some(b'}')) | (Kind::Array, Some(b']')) => self.close(container),
                    (Kind::Object, _) => return Err(self.wrong("expected `,` or `}`")),
                    _ => return Err(self.wrong("expected `,` or `]`")),
                }
            }
        }
    }

    /// Reads a scalar or an empty container, or opens a container (`true`: its first value comes next).
    fn opened(&mut self) -> Result<bool, ScanError> {
        match self.peek() {
            Some(b'{') => {
                let container = self.open(Kind::Object)?;
                if self.peek() == Some(b'}') {
                    self.close(container);
                    return Ok(false);
                }
                self.name()?;
                Ok(true)
            }
            Some(b'[') => {
                let container = self.open(Kind::Array)?;
                if self.peek() == Some(b']') {
                    self.close(container);
                    return Ok(false);
                }
                Ok(true)
            }
            Some(b'"') => self.string().map(|()| false),
            Some(_) => self.scalar().map(|()| false),
            None => Err(self.wrong("expected a value, found the end")),
        }
    }

    fn name(&mut self) -> Result<(), ScanError> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("expected a name in quotes"));
        }
        self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.wrong("expected `:`"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        let mut at = start + 1;
        loop {
            let rest = self.body.get(at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                return Err(ScanError { at: start, message: "a text without an end" });
            };
            at += found + 1;
            if rest[found] == b'"' {
                break;
            }
            at += 1;
        }
        self.at = at;
        self.push(Kind::String, start);
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        let rest = &self.body[start..];
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
        if let Some(length) = number(rest).filter(|length| !rest.get(*length).is_some_and(is_word)) {
            self.at += length;
            self.push(Kind::Number, start);
            return Ok(());
        }
        let length = rest.iter().take_while(|b| is_word(b)).count();
        let word = &rest[..length];
        let kind = match word {
            b"true" => Kind::True,
            b"false" => Kind::False,
            b"null" => Kind::Null,
            _ if is_not_finite(word) => Kind::NotFinite,
            _ => return Err(self.wrong("expected a value")),
        };
        self.at += length;
        self.push(kind, start);
        Ok(())
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let next = self.items.len() as u32 + 1;
        self.items.push(Item { kind, start: start as u32, end: self.at as u32, next });
    }

    fn open(&mut self, kind: Kind) -> Result<usize, ScanError> {
        let Some(slot) = self.open.get_mut(self.depth) else {
            return Err(self.wrong("nested too deep"));
        };
        let container = self.items.len();
        *slot = container as u32;
        self.depth += 1;
        let start = self.at;
        self.at += 1;
        self.push(kind, start);
        Ok(container)
    }

    fn close(&mut self, container: usize) {
        self.at += 1;
        self.depth -= 1;
        let next = self.items.len() as u32;
        let item = &mut self.items[container];
        item.end = self.at as u32;
        item.next = next;
    }

    fn innermost(&self) -> Option<usize> {
        self.depth.checked_sub(1).map(|top| self.open[top] as usize)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.body.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    fn wrong(&self, message: &'static str) -> ScanError {
        ScanError { at: self.at, message }
    }
}

/// Length of the number that the bytes begin with.
fn number(bytes: &[u8]) -> Option<usize> {
    let digits = |at: usize| at + bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
    let some_digits = |at: usize| Some(digits(at)).filter(|end| *end > at);
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let mut end = if bytes.get(sign) == Some(&b'0') { sign + 1 } else { some_digits(sign)? };
    if bytes.get(end) == Some(&b'.') {
        end = some_digits(end + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        end = some_digits(end + 1 + sign)?;
    }
    Some(end)
}

/// `NaN` (Python, RapidJSON), `nan` (C), `-nan` (glibc), `Infinity`, `inf`, and the same in other cases.
fn is_not_finite(word: &[u8]) -> bool {
    let unsigned = word.strip_prefix(b"-").unwrap_or(word);
    [&b"nan"[..], b"infinity", b"inf"].iter().any(|name| unsigned.eq_ignore_ascii_case(name))
}
