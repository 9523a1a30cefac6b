//! Writes lines, from a thread of its own: whole lines into files of bounded size.
//!
//! What can't be written is kept and tried again, while the ledger refuses new lines: when the disk has room
//! again, the lines of all that was perturbed are written, and only then may something be perturbed again. What is
//! kept is bounded by the queue, since each line in it was reserved.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::mpsc::{Receiver, error::TryRecvError};

use super::{
    Message, Rotation,
    file::{Medium, Opened},
    parts::{older, part},
};

/// Lines that are written at once.
const BATCH: usize = 256;
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// How a file is opened: by [`super::file::open`] unless a test has another disk.
pub(crate) type Open = Box<dyn FnMut(&Path) -> io::Result<Opened> + Send>;

/// The files of a ledger, written.
pub(crate) struct Writer {
    path: PathBuf,
    rotation: Rotation,
    open: Open,
    current: Option<Current>,
    /// Number of the newest older file.
    newest: u64,
    /// Whole lines that are not in a file yet; of a pipe perhaps the rest of one.
    pending: VecDeque<u8>,
}

struct Current {
    medium: Box<dyn Medium>,
    size: u64,
    plain: bool,
    /// Something is beyond `size` that must be cut before more is written; of a pipe, a line is begun.
    torn: bool,
}

impl From<Opened> for Current {
    fn from(opened: Opened) -> Current {
        Current { medium: opened.medium, size: opened.size, plain: opened.plain, torn: false }
    }
}

impl Writer {
    /// Opens the file that grows.
    pub(crate) fn open(path: &Path, rotation: Rotation, mut open: Open) -> io::Result<Writer> {
        let rotation = Rotation { bytes: rotation.bytes.max(1), keep: rotation.keep.max(1) };
        let current = Current::from(open(path)?);
        let newest = if current.plain { older(path)?.last().map_or(0, |(number, _)| *number) } else { 0 };
        let (path, pending) = (path.to_owned(), VecDeque::new());
        Ok(Writer { path, rotation, open, current: Some(current), newest, pending })
    }

    /// Takes a message; whoever waits for a flush is put into `waiting`.
    fn take(&mut self, message: Message, waiting: &mut Vec<super::Done>) {
        match message {
            Message::Flush(done) => waiting.push(done),
            Message::Line(line) => self.push(&line),
        }
    }

    /// Takes a line, to be written next.
    pub(crate) fn push(&mut self, line: &impl Serialize) {
        // A line is plain data with string keys, and memory takes whatever fits: this can't fail.
        if serde_json::to_writer(&mut self.pending, line).is_ok() {
            self.pending.push_back(b'\n');
        }
    }

    /// Gives up what is pending; how many lines that were. The rest of a line that a pipe has begun stays.
    #[cfg(feature = "cli")]
    pub(crate) fn discard(&mut self) -> usize {
        let begun = self.current.as_ref().is_some_and(|current| !current.plain && current.torn);
        let first = if begun {
            self.pending.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1)
        } else {
            0
        };
        self.pending.drain(first..).filter(|byte| *byte == b'\n').count()
    }

    /// Writes everything that is pending. After an error it can be called again: no line is lost or doubled.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            let current = match &mut self.current {
                Some(current) => current,
                None => self.current.insert((self.open)(&self.path)?.into()),
            };
            current.mend()?;
            match fitting(self.pending.make_contiguous(), current, self.rotation.bytes) {
                0 => self.rotate()?,
                bytes => current.put(&mut self.pending, bytes)?,
            }
        }
        Ok(())
    }

    /// Gives the file that grows a number, and removes the oldest beyond those that are kept.
    fn rotate(&mut self) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        current.medium.sync()?;
        match fs::rename(&self.path, part(&self.path, self.newest + 1)) {
            Ok(()) => self.newest += 1,
            // Somebody moved it away: then there is nothing to rename.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.current = None;
        let older = older(&self.path)?;
        let excess = older.len().saturating_sub(self.rotation.keep);
        for (_, file) in &older[..excess] {
            // One that can't be removed is tried again with the next rotation.
            let _ = fs::remove_file(file);
        }
        Ok(())
    }
}

impl Current {
    /// Cuts what a failed write left behind.
    fn mend(&mut self) -> io::Result<()> {
        if self.plain && self.torn {
            self.medium.cut(self.size)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Writes so many bytes from the front; those that are in the file leave the front even if others fail.
    fn put(&mut self, pending: &mut VecDeque<u8>, bytes: usize) -> io::Result<()> {
        let text = &pending.make_contiguous()[..bytes];
        let (mut written, mut result) = (0, Ok(()));
        while written < bytes {
            match self.medium.write(&text[written..]) {
                Ok(0) => result = Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => result = Err(error),
            }
            if result.is_err() {
                break;
            }
        }
        // A file ends in a whole line, now or after a cut; a pipe goes on where it stopped.
        let kept = if self.plain {
            memchr::memrchr(b'\n', &text[..written]).map_or(0, |at| at + 1)
        } else {
            written
        };
        self.size += kept as u64;
        self.torn = if self.plain {
            kept < written
        } else {
            text[..written].last().map_or(self.torn, |last| *last != b'\n')
        };
        pending.drain(..kept);
        let mended = self.mend();
        result.and(mended)
    }
}

/// How many bytes of whole lines the file takes; none if it has to be rotated first.
fn fitting(pending: &[u8], current: &Current, limit: u64) -> usize {
    let room = usize::try_from(limit.saturating_sub(current.size)).unwrap_or(usize::MAX);
    if !current.plain || pending.len() <= room {
        return pending.len();
    }
    match memchr::memrchr(b'\n', &pending[..room]) {
        Some(at) => at + 1,
        // A line larger than a file has one to itself.
        None if current.size == 0 => memchr::memchr(b'\n', pending).map_or(pending.len(), |at| at + 1),
        None => 0,
    }
}

/// Writes until every sender is gone.
pub(super) fn run(mut writer: Writer, mut queue: Receiver<Message>, broken: &AtomicBool) {
    let (mut batch, mut waiting) = (Vec::new(), Vec::new());
    while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
        batch.drain(..).for_each(|message| writer.take(message, &mut waiting));
        if writer.write().is_ok() {
            waiting.drain(..).for_each(super::Done::tell);
            continue;
        }
        // Before those who wait for a flush are let go, untold.
        broken.store(true, Ordering::Release);
        waiting.clear();
        if !outlast(&mut writer, &mut queue) {
            return;
        }
        broken.store(false, Ordering::Release);
    }
}

/// Tries again until it can be written; `false` if nobody is left to write for.
fn outlast(writer: &mut Writer, queue: &mut Receiver<Message>) -> bool {
    loop {
        std::thread::park_timeout(RETRY);
        let mut refused = Vec::new();
        let over = loop {
            match queue.try_recv() {
                Ok(message) => writer.take(message, &mut refused),
                Err(TryRecvError::Empty) => break false,
                Err(TryRecvError::Disconnected) => break true,
            }
        };
        // Whoever waits for a flush is told by its end that there was none.
        drop(refused);
        if writer.write().is_ok() {
            return true;
        }
        if over {
            return false;
        }
    }
}
