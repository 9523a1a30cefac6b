//! The ledger: no injection without a record.
//!
//! A place for the line is reserved *before* a response is perturbed. When none can be had, because the
//! writer can't keep up or the disk is full, the response passes untouched: a fault is worth less than the
//! knowledge of which answers it polluted. Lines hold no bodies and no raw unit ids.
//!
//! In a file, lines come whole and in order, and files are [rotated](Rotation) by size. What a full disk does
//! not take is kept in memory, and injection stops until it is written. What a process had not written when it
//! was killed is lost: the file then holds everything up to its last whole line.

mod file;
mod line;
mod parts;
mod read;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use self::writer::Writer;
#[cfg(feature = "cli")]
pub(crate) use self::{
    file::{Kind as LineKind, open as open_lines},
    writer::Writer as LineWriter,
};
pub use self::{
    line::Line,
    parts::{LedgerParts, Rotation},
    read::{Entry, LedgerReader, ReadError},
};

/// Lines that an in-memory ledger keeps unless told otherwise.
const DEFAULT_LINES: usize = 65_536;

/// Why an injection may not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The writer can't keep up.
    #[error("the ledger's queue is full")]
    Full,
    /// The file can't be written (a full disk), or not yet again.
    #[error("the ledger can't be written")]
    Broken,
}

impl LedgerError {
    /// A short, stable name for counters and reports.
    pub const fn reason(self) -> &'static str {
        match self {
            LedgerError::Full => "ledger-full",
            LedgerError::Broken => "ledger-broken",
        }
    }
}

/// Where lines go. Cheap to clone; the clones share one ledger.
///
/// ```
/// let ledger = canard::evidence::Ledger::memory(1_000);
/// assert!(ledger.reserve().is_ok());
/// assert!(ledger.lines().is_empty(), "a reserved line is not a written one");
/// ```
#[derive(Debug, Clone)]
pub struct Ledger(Sink);

#[derive(Debug, Clone)]
enum Sink {
    Memory { ring: Arc<Mutex<Ring>>, limit: usize },
    File { queue: mpsc::Sender<Message>, broken: Arc<AtomicBool>, path: Arc<PathBuf> },
}

/// The newest lines.
#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    evicted: u64,
}

#[derive(Debug)]
enum Message {
    Line(Line),
    Flush(Done),
}

/// Who waits for a flush.
#[derive(Debug)]
enum Done {
    Task(oneshot::Sender<()>),
    Thread(std::sync::mpsc::Sender<()>),
}

impl Done {
    fn tell(self) {
        match self {
            Done::Task(waits) => _ = waits.send(()),
            Done::Thread(waits) => _ = waits.send(()),
        }
    }
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger::memory(DEFAULT_LINES)
    }
}

impl Ledger {
    /// Keeps the newest `limit` lines in memory (at least one); [`evicted`](Self::evicted) counts those that
    /// went. Why not refuse when it is full? A program that arms plans for weeks would stop to inject one
    /// day; who needs every line writes a file.
    pub fn memory(limit: usize) -> Ledger {
        Ledger(Sink::Memory { ring: Arc::default(), limit: limit.max(1) })
    }

    /// Appends JSON lines to a file, from a thread of its own; at most `queue` lines wait for it. Files are
    /// rotated at the default size. A line that a crash tore off at the end of the file is taken away.
    ///
    /// # Errors
    /// If the file can't be opened for writing, another process has it, it is no ledger, or the thread can't
    /// start.
    pub fn file(path: &Path, queue: usize) -> io::Result<Ledger> {
        Ledger::rotated(path, queue, Rotation::default())
    }

    /// As [`file`](Self::file), with files of another size and number. What is no plain file (a pipe, a
    /// device) is not rotated.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn rotated(path: &Path, queue: usize, rotation: Rotation) -> io::Result<Ledger> {
        Ledger::written(
            path,
            queue,
            Writer::open(path, rotation, Box::new(|path| file::open(path, &file::LEDGER)))?,
        )
    }

    fn written(path: &Path, queue: usize, writer: Writer) -> io::Result<Ledger> {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let broken = Arc::new(AtomicBool::new(false));
        let flag = broken.clone();
        let thread = std::thread::Builder::new().name("canard-ledger".into());
        thread.spawn(move || writer::run(writer, receiver, &flag))?;
        Ok(Ledger(Sink::File { queue: sender, broken, path: Arc::new(path.to_owned()) }))
    }

    /// Reserves a line: the right to perturb one response.
    ///
    /// # Errors
    /// If the writer can't keep up or can't write. The response must then pass untouched.
    pub fn reserve(&self) -> Result<Permit, LedgerError> {
        match &self.0 {
            Sink::Memory { ring, limit } => Ok(Permit(Slot::Memory { ring: ring.clone(), limit: *limit })),
            Sink::File { queue, broken, .. } => {
                if broken.load(Ordering::Acquire) {
                    return Err(LedgerError::Broken);
                }
                match queue.clone().try_reserve_owned() {
                    Ok(permit) => Ok(Permit(Slot::Queue(permit))),
                    Err(mpsc::error::TrySendError::Full(_)) => Err(LedgerError::Full),
                    Err(mpsc::error::TrySendError::Closed(_)) => Err(LedgerError::Broken),
                }
            }
        }
    }

    /// The lines that an in-memory ledger holds, oldest first; none for a file.
    pub fn lines(&self) -> Vec<Line> {
        match &self.0 {
            Sink::Memory { ring, .. } => locked(ring).lines.iter().cloned().collect(),
            Sink::File { .. } => Vec::new(),
        }
    }

    /// The newest lines, oldest first, at most so many: from memory or from the end of the file. Those that
    /// wait for the file are waited for, a second at most.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn newest(&self, most: usize) -> io::Result<Vec<Line>> {
        match &self.0 {
            Sink::Memory { ring, .. } => {
                let lines = &locked(ring).lines;
                Ok(lines.iter().skip(lines.len().saturating_sub(most)).cloned().collect())
            }
            Sink::File { path, .. } => {
                // If it can't be written, what is in the file is all there is to tell.
                let _ = self.flush_within(Duration::from_secs(1));
                read::newest(path, most)
            }
        }
    }

    /// Lines that an in-memory ledger no longer holds, because newer ones took their place.
    pub fn evicted(&self) -> u64 {
        match &self.0 {
            Sink::Memory { ring, .. } => locked(ring).evicted,
            Sink::File { .. } => 0,
        }
    }

    /// Waits until every line committed so far is in the file.
    ///
    /// # Errors
    /// If the file can't be written.
    pub async fn flush(&self) -> Result<(), LedgerError> {
        let Sink::File { queue, broken, .. } = &self.0 else { return Ok(()) };
        let (done, wait) = oneshot::channel();
        let sent = queue.send(Message::Flush(Done::Task(done))).await.is_ok();
        if sent && wait.await.is_ok() && !broken.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(LedgerError::Broken)
    }

    /// As [`flush`](Self::flush), from a thread that may wait, for at most `longest`.
    ///
    /// # Errors
    /// If the file can't be written, or not in that time.
    pub fn flush_within(&self, longest: Duration) -> Result<(), LedgerError> {
        let Sink::File { queue, broken, .. } = &self.0 else { return Ok(()) };
        let (done, wait) = std::sync::mpsc::channel();
        queue.try_send(Message::Flush(Done::Thread(done))).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LedgerError::Full,
            mpsc::error::TrySendError::Closed(_) => LedgerError::Broken,
        })?;
        match wait.recv_timeout(longest) {
            Ok(()) if !broken.load(Ordering::Acquire) => Ok(()),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Err(LedgerError::Full),
            _ => Err(LedgerError::Broken),
        }
    }
}

fn locked(ring: &Mutex<Ring>) -> std::sync::MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reserved line: the right to perturb one response. Dropped unused, it records nothing.
#[derive(Debug)]
pub struct Permit(Slot);

#[derive(Debug)]
enum Slot {
    Memory { ring: Arc<Mutex<Ring>>, limit: usize },
    Queue(mpsc::OwnedPermit<Message>),
}

impl Permit {
    /// Records the perturbation that it was reserved for.
    pub fn commit(self, line: Line) {
        match self.0 {
            Slot::Queue(permit) => drop(permit.send(Message::Line(line))),
            Slot::Memory { ring, limit } => {
                let mut ring = locked(&ring);
                if ring.lines.len() >= limit {
                    ring.lines.pop_front();
                    ring.evicted += 1;
                }
                ring.lines.push_back(line);
            }
        }
    }
}
