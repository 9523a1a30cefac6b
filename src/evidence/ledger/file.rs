//! The file that grows: opened, locked, and mended if a crash tore its last line.
//!
//! A line that a crash cut off is taken away, or the next one would be glued to it and both be lost; a line
//! that lacks nothing but its line break gets it. What does not look like a line of ours is never cut: a
//! file that somebody named by mistake must stay whole.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
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
    let mut file = loop {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        if !file.metadata()?.is_file() {
            return Ok(Opened { medium: Box::new(file), size: 0, plain: false });
        }
        lock(&file, kind)?;
        if is_at(path, &file) {
            break file;
        }
    };
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

/// Is it still the file of that name? Whoever had it may have given it a number while this one waited for it.
#[cfg(unix)]
fn is_at(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same =
        |(here, there): (fs::Metadata, fs::Metadata)| (here.dev(), here.ino()) == (there.dev(), there.ino());
    file.metadata().ok().zip(fs::metadata(path).ok()).is_some_and(same)
}

#[cfg(not(unix))]
fn is_at(_: &Path, _: &File) -> bool {
    true
}

/// Makes the file end in a whole line; its size then.
fn mend(path: &Path, file: &mut File, kind: &Kind) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut reader = File::open(path)?;
    let mut head = Vec::new();
    (&mut reader).take(kind.begins.len() as u64).read_to_end(&mut head)?;
    let (from, mut end) = last_text(&mut reader, size, kind.longest)?;
    let text = from + end.len() as u64;
    head.truncate(usize::try_from(text).unwrap_or(usize::MAX));
    // After a loss of power, blocks that were never written read as zeros, and there may be nothing else.
    let only_zeros = end.is_empty() && size > kind.longest as u64;
    if only_zeros || !kind.begins.starts_with(&head) {
        return Err(foreign(kind));
    }
    let begin = memchr::memrchr(b'\n', &end).map_or(0, |at| at + 1);
    let torn = end.split_off(begin);
    let ours = torn.starts_with(kind.begins) || kind.begins.starts_with(&torn);
    if !ours {
        return Err(foreign(kind));
    }
    let is_whole = !torn.is_empty() && (kind.is_whole)(&torn);
    let keep = if is_whole { text } else { text - torn.len() as u64 };
    if keep < size {
        file.set_len(keep)?;
    }
    if is_whole {
        file.write_all(b"\n")?;
    }
    Ok(keep + u64::from(is_whole))
}

/// The last bytes before the zeros that a file ends in, `longest` at most, and where they begin.
fn last_text(file: &mut File, size: u64, longest: usize) -> io::Result<(u64, Vec<u8>)> {
    let mut until = size;
    loop {
        let from = until.saturating_sub(longest as u64);
        file.seek(SeekFrom::Start(from))?;
        let mut end = Vec::new();
        file.take(until - from).read_to_end(&mut end)?;
        let text = end.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        if from > 0 && text < end.len() {
            // Once more from there, so that the last line is whole.
            until = from + text as u64;
            continue;
        }
        end.truncate(text);
        return Ok((from, end));
    }
}

fn foreign(kind: &Kind) -> io::Error {
    let why =
        format!("it holds something that is no line of a {}; move it away or name another file", kind.name);
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
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
        let zeros = "\0".repeat(2 * LONGEST_LINE);
        let image = format!("image{zeros}");
        for text in ["name: x\nhypothesis: y", "name: x\n", "{\"a\": 1}", "{\"attic\": 1}", &zeros, &image] {
            let (size, left) = mended(text.as_bytes());
            assert!(left == text.as_bytes(), "{} bytes of {}", left.len(), text.len());
            assert!(size.unwrap_err().to_string().contains("no line of a ledger"), "{:.20}", text);
        }
    }

    #[test]
    fn zeros_of_any_length_are_cut() {
        let whole = format!("{}\n", serde_json::to_string(&line(1)).unwrap());
        for cut in [whole.len(), whole.len() + 20, 2 * whole.len() - 1] {
            let mut text = whole.repeat(2).as_bytes()[..cut].to_vec();
            text.extend(vec![0; 3 * LONGEST_LINE + 17]);
            let (size, left) = mended(&text);
            let lines = if cut == 2 * whole.len() - 1 { 2 } else { 1 };
            assert_eq!(left, whole.repeat(lines).as_bytes(), "{cut}");
            assert_eq!(size.unwrap(), left.len() as u64);
        }
    }

    #[test]
    fn a_file_that_was_given_a_number_while_it_was_waited_for_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let file = File::create(&path).unwrap();
        assert!(is_at(&path, &file));
        fs::rename(&path, folder.path().join("ledger.1.jsonl")).unwrap();
        assert!(!is_at(&path, &file));
        File::create(&path).unwrap();
        assert!(!is_at(&path, &file));
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
