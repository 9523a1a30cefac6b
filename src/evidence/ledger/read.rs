//! Reads lines back, one at a time, whatever the size of the file.
//!
//! A last line that is cut off is what a crash leaves behind: it is no error, and is told of apart. Anything
//! else that is no line is an error with its number, after which the next line can be read.

use std::{
    fs::File,
    io::{self, BufRead, Read as _, Seek, SeekFrom},
    path::Path,
};

use super::{LedgerParts, Line};

/// Bytes of the longest line that is read, far beyond any that is written.
pub(super) const LONGEST_LINE: usize = 64 << 10;
/// Bytes that are read at most from the end of a file for its newest lines.
const LONGEST_END: u64 = 32 << 20;

/// A line that was read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// Its number in the file, from one.
    pub number: u64,
    /// Its text, without the line break.
    pub text: &'a str,
    /// What it says.
    pub line: Line,
}

/// Why a line can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no line of a ledger. The next one can be read.
    #[error("line {number} is no line of a ledger: {why}")]
    Line {
        /// Its number in the file, from one.
        number: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads the lines of one file.
///
/// ```
/// use canard::evidence::LedgerReader;
/// let text = r#"{"at":1.5,"request":"r1","unit":"7c7615c11438e5c9","fault":"bad/error","change":"status 503"}
/// {"at":2.0,"requ"#;
/// let mut reader = LedgerReader::new(text.as_bytes());
/// let first = reader.read()?.expect("a whole line");
/// assert_eq!((first.number, first.line.fault_name()), (1, "error"));
/// assert!(reader.read()?.is_none());
/// assert_eq!(reader.torn(), Some(2), "cut off by a crash");
/// # Ok::<(), canard::evidence::ReadError>(())
/// ```
#[derive(Debug)]
pub struct LedgerReader<R> {
    from: R,
    number: u64,
    buffer: Vec<u8>,
    torn: Option<u64>,
}

impl<R: BufRead> LedgerReader<R> {
    /// A reader that begins with line one.
    pub fn new(from: R) -> LedgerReader<R> {
        LedgerReader { from, number: 0, buffer: Vec::new(), torn: None }
    }

    /// The next line; `None` at the end. Empty lines are passed over.
    ///
    /// # Errors
    /// If the file can't be read, or the line is none.
    pub fn read(&mut self) -> Result<Option<Entry<'_>>, ReadError> {
        loop {
            self.buffer.clear();
            self.number += 1;
            let longest = LONGEST_LINE as u64 + 1;
            if self.from.by_ref().take(longest).read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            if self.buffer.last() != Some(&b'\n') && self.buffer.len() > LONGEST_LINE {
                self.skip_line()?;
                return Err(self.wrong(format!("it is longer than {LONGEST_LINE} bytes")));
            }
            if self.buffer.iter().any(|byte| !byte.is_ascii_whitespace()) {
                break;
            }
        }
        let ended = self.buffer.last() == Some(&b'\n');
        match parsed(&self.buffer) {
            Ok((text, line)) => Ok(Some(Entry { number: self.number, text, line })),
            Err(_) if !ended => {
                self.torn = Some(self.number);
                Ok(None)
            }
            Err(why) => Err(ReadError::Line { number: self.number, why }),
        }
    }

    /// The number of the last line, if it was cut off; known once the end was reached.
    pub fn torn(&self) -> Option<u64> {
        self.torn
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffered = self.from.fill_buf()?;
            let (bytes, over) = match memchr::memchr(b'\n', buffered) {
                Some(at) => (at + 1, true),
                None => (buffered.len(), buffered.is_empty()),
            };
            self.from.consume(bytes);
            if over {
                return Ok(());
            }
        }
    }

    fn wrong(&self, why: String) -> ReadError {
        ReadError::Line { number: self.number, why }
    }
}

fn parsed(bytes: &[u8]) -> Result<(&str, Line), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8 text".to_owned())?.trim_end();
    let line = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let what = message.split(" at line ").next().unwrap_or_default();
        format!("{what} (column {})", error.column())
    })?;
    Ok((text, line))
}

/// The newest lines of a ledger, oldest first.
pub(super) fn newest(path: &Path, most: usize) -> io::Result<Vec<Line>> {
    let mut newest = Vec::new();
    for file in LedgerParts::of(path)?.files.iter().rev() {
        if newest.len() >= most {
            break;
        }
        match end_of(file, most - newest.len()) {
            Ok(mut lines) => {
                lines.append(&mut newest);
                newest = lines;
            }
            // It was removed, or given its number, since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(newest)
}

/// The last lines of one file, oldest first.
fn end_of(path: &Path, most: usize) -> io::Result<Vec<Line>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Vec::new());
    }
    let size = metadata.len();
    let mut span = (most as u64).saturating_mul(256).clamp(LONGEST_LINE as u64, LONGEST_END).min(size);
    loop {
        let from = size - span;
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        file.by_ref().take(span).read_to_end(&mut text)?;
        // The first is only part of a line, unless it is the first of the file.
        let begin = if from == 0 { 0 } else { memchr::memchr(b'\n', &text).map_or(text.len(), |at| at + 1) };
        let starts: Vec<usize> = memchr::memchr_iter(b'\n', &text[begin..]).collect();
        if starts.len() < most && from > 0 && span < LONGEST_END {
            span = (span * 4).min(LONGEST_END).min(size);
            continue;
        }
        let skip = starts.len().saturating_sub(most);
        let lines = text[begin..].split(|byte| *byte == b'\n').skip(skip);
        return Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::{super::line::line, *};

    /// Numbers of the lines that were read, errors, and whether the last was torn.
    fn read(text: &[u8]) -> (Vec<u64>, Vec<String>, Option<u64>) {
        let mut reader = LedgerReader::new(text);
        let (mut numbers, mut errors) = (Vec::new(), Vec::new());
        loop {
            match reader.read() {
                Ok(Some(entry)) => numbers.push(entry.number),
                Ok(None) => return (numbers, errors, reader.torn()),
                Err(error) => errors.push(error.to_string()),
            }
        }
    }

    #[test]
    fn a_torn_last_line_is_no_error_and_a_broken_one_before_it_is() {
        let whole = serde_json::to_string(&line(1)).unwrap();
        for cut in 1..whole.len() {
            let text = format!("{whole}\n{}", &whole[..cut]);
            assert_eq!(read(text.as_bytes()), (vec![1], vec![], Some(2)), "cut at {cut}");
        }
        assert_eq!(read(format!("{whole}\n\n{whole}").as_bytes()), (vec![1, 3], vec![], None));
        let (numbers, errors, torn) = read(format!("{whole}\n{}{whole}\n{whole}\n", &whole[..20]).as_bytes());
        assert_eq!((numbers, torn), (vec![1, 3], None));
        assert!(
            errors[0].starts_with("line 2 is no line of a ledger: ") && errors[0].contains("column"),
            "{errors:?}"
        );
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_the_next_one_is_read() {
        let whole = serde_json::to_string(&line(1)).unwrap();
        let long = "x".repeat(3 * LONGEST_LINE);
        let (numbers, errors, torn) = read(format!("{long}\n{whole}\n{long}").as_bytes());
        assert_eq!((numbers, errors.len(), torn), (vec![2], 2, None));
        assert!(errors[1].contains("line 3") && errors[1].contains("longer than"), "{errors:?}");
    }

    #[test]
    fn the_newest_lines_come_from_as_many_files_as_it_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let text = |range: std::ops::Range<u64>| -> String {
            range.map(|n| serde_json::to_string(&line(n)).unwrap() + "\n").collect()
        };
        std::fs::write(folder.path().join("ledger.1.jsonl"), text(0..10)).unwrap();
        std::fs::write(folder.path().join("ledger.2.jsonl"), text(10..2_000)).unwrap();
        std::fs::write(&path, text(2_000..2_003) + "{\"at\":9").unwrap();
        for most in [0, 1, 3, 4, 1_000, 1_993, 1_994, 2_003, 5_000] {
            let expected: Vec<Line> = (2_003 - 2_003.min(most)..2_003).map(line).collect();
            assert_eq!(newest(&path, most as usize).unwrap(), expected, "{most}");
        }
    }
}
