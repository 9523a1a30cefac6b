//! The file that grows: opened, locked, and mended if a crash tore its last line.
//!
//! A line that a crash cut off is taken away, or the next one would be glued to it and both be lost; a line
//! that lacks nothing but its line break gets it. What does not look like a line of ours is never cut: a
//! file that somebody named by mistake must stay whole.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use super::{Line, read::LONGEST_LINE};

/// What a file holds: lines of JSON objects.
#[derive(Debug)]
pub(crate) struct Kind {
    /// As errors call it.
    pub(crate) name: &'static str,
    /// How a line begins; what begins otherwise is none.
    pub(crate) begins: &'static [u8],
    /// Is this a whole line?
    pub(crate) is_whole: fn(&[u8]) -> bool,
    /// Bytes that no line exceeds.
    pub(crate) longest: usize,
}

/// Lines of a ledger.
pub(super) static LEDGER: Kind = Kind {
    name: "ledger",
    begins: b"{\"at\":",
    is_whole: |line| serde_json::from_slice::<Line>(line).is_ok(),
    longest: LONGEST_LINE,
};

/// Times that a file is tried that somebody else has, who may be about to end, and the time between.
const TRIES: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(50);

/// Where lines go: a file, or in tests one on a small disk.
pub(crate) trait Medium: Write + Send {
    /// Cuts what is beyond so many bytes.
    fn cut(&mut self, size: u64) -> io::Result<()>;
    /// Waits until what was written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn cut(&mut self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A file that was opened.
pub(crate) struct Opened {
    pub(super) medium: Box<dyn Medium>,
    pub(super) size: u64,
    /// A plain file: it can be cut and renamed. A pipe or a device can't.
    pub(super) plain: bool,
}

/// Opens a file for appending.
pub(crate) fn open(path: &Path, kind: &Kind) -> io::Result<Opened> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(Opened { medium: Box::new(file), size: 0, plain: false });
    }
    lock(&file, kind)?;
    let size = mend(path, &mut file, kind)?;
    Ok(Opened { medium: Box::new(file), size, plain: true })
}

/// Two writers would tear each other's lines and rename each other's files.
fn lock(file: &File, kind: &Kind) -> io::Result<()> {
    for _ in 0..TRIES {
        match file.try_lock() {
            // Some network file systems know no locks.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(BETWEEN),
        }
    }
    let why = format!("another process writes this {}", kind.name);
    Err(io::Error::new(io::ErrorKind::ResourceBusy, why))
}

/// Makes the file end in a whole line; its size then.
fn mend(path: &Path, file: &mut File, kind: &Kind) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let from = size.saturating_sub(kind.longest as u64);
    if size == 0 {
        return Ok(0);
    }
    let mut reader = File::open(path)?;
    reader.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    reader.take(kind.longest as u64).read_to_end(&mut end)?;
    let begin = memchr::memrchr(b'\n', &end).map_or(0, |at| at + 1);
    let torn = &end[begin..];
    if torn.is_empty() {
        return Ok(size);
    }
    if (kind.is_whole)(torn) {
        file.write_all(b"\n")?;
        return Ok(size + 1);
    }
    // After a loss of power, blocks that were never written read as zeros.
    let zeros = torn.iter().rev().take_while(|byte| **byte == 0).count();
    let text = &torn[..torn.len() - zeros];
    if !text.starts_with(kind.begins) && !kind.begins.starts_with(text) {
        let why = format!(
            "it ends in something that is no line of a {}; move it away or name another file",
            kind.name
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let whole = from + begin as u64;
    file.set_len(whole)?;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::line::line, *};

    fn mended(text: &[u8]) -> (io::Result<u64>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        fs::write(&path, text).unwrap();
        let size = open(&path, &LEDGER).map(|opened| opened.size);
        (size, fs::read(&path).unwrap())
    }

    #[test]
    fn whatever_byte_a_crash_came_at_what_is_left_are_whole_lines() {
        let whole = format!("{}\n", serde_json::to_string(&line(1)).unwrap());
        let two = whole.repeat(2);
        for cut in 0..=two.len() {
            let (size, left) = mended(&two.as_bytes()[..cut]);
            let lines = match cut {
                n if n >= two.len() - 1 => 2,
                n if n >= whole.len() - 1 => 1,
                _ => 0,
            };
            assert_eq!(left, whole.repeat(lines).as_bytes(), "cut at {cut}");
            assert_eq!(size.unwrap(), left.len() as u64);
            let mut zeros = two.as_bytes()[..cut].to_vec();
            zeros.extend([0; 100]);
            let (_, left) = mended(&zeros);
            assert!(left == whole.repeat(2).as_bytes() || whole.repeat(2).as_bytes().starts_with(&left));
            assert!(left.is_empty() || left.ends_with(b"\n"), "cut at {cut}, then zeros");
        }
    }

    #[test]
    fn a_file_that_is_no_ledger_is_left_alone() {
        for text in ["name: x\nhypothesis: y", "{\"a\": 1}", "{\"attic\": 1}"] {
            let (size, left) = mended(text.as_bytes());
            assert_eq!(left, text.as_bytes());
            assert!(size.unwrap_err().to_string().contains("no line of a ledger"), "{text}");
        }
    }

    #[test]
    fn a_file_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let first = open(&path, &LEDGER).unwrap();
        let second = open(&path, &LEDGER).map(|opened| opened.size);
        assert!(second.unwrap_err().to_string().contains("another process"));
        drop(first);
        assert!(open(&path, &LEDGER).is_ok());
    }
}
