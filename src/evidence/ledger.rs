//! The ledger: no injection without a record.
//!
//! A place for the line is reserved *before* a response is perturbed. When none can be had, because the
//! writer can't keep up or the disk is full, the response passes untouched: a fault is worth less than the
//! knowledge of which answers it polluted. Lines hold no bodies and no raw unit ids.

use std::{
    collections::VecDeque,
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::{clock::Timestamp, draw::UnitHash};

/// Lines that an in-memory ledger keeps unless told otherwise.
const DEFAULT_LINES: usize = 65_536;

/// One perturbed response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// Name of the scenario.
    #[serde(default)]
    pub scenario: String,
    /// Number of the lease that it was armed under.
    #[serde(default)]
    pub lease: u64,
    /// The request's own id (`x-request-id`, `traceparent`), if it has one; its first 128 bytes.
    pub request: Option<String>,
    /// Hash of the unit.
    pub unit: UnitHash,
    /// Identity of the injection, `phase/fault`.
    pub fault: String,
    /// What changed, in words without values: `delayed up to 0.250 s`, `status 503`, `2 predictions`.
    pub change: String,
}

/// Why an injection may not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The writer can't keep up.
    #[error("the ledger's queue is full")]
    Full,
    /// The file can't be written (a full disk).
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
    File { queue: mpsc::Sender<Message>, broken: Arc<AtomicBool> },
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

    /// Appends JSON lines to a file, from a thread of its own; at most `queue` lines wait for it.
    ///
    /// # Errors
    /// If the file can't be opened for writing, or the thread can't start.
    pub fn file(path: &Path, queue: usize) -> io::Result<Ledger> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let broken = Arc::new(AtomicBool::new(false));
        let flag = broken.clone();
        let thread = std::thread::Builder::new().name("canard-ledger".into());
        thread.spawn(move || write_all(BufWriter::new(file), receiver, &flag))?;
        Ok(Ledger(Sink::File { queue: sender, broken }))
    }

    /// Reserves a line: the right to perturb one response.
    ///
    /// # Errors
    /// If the writer can't keep up or can't write. The response must then pass untouched.
    pub fn reserve(&self) -> Result<Permit, LedgerError> {
        match &self.0 {
            Sink::Memory { ring, limit } => Ok(Permit(Slot::Memory { ring: ring.clone(), limit: *limit })),
            Sink::File { queue, broken } => {
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
        let Sink::File { queue, broken } = &self.0 else { return Ok(()) };
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
        let Sink::File { queue, broken } = &self.0 else { return Ok(()) };
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

/// Returns when every sender is gone; after the first error it only discards.
fn write_all(mut out: impl Write, mut queue: mpsc::Receiver<Message>, broken: &AtomicBool) {
    let mut batch = Vec::new();
    while queue.blocking_recv_many(&mut batch, 256) > 0 {
        let mut flushed = Vec::new();
        if write_batch(&mut out, batch.drain(..), &mut flushed).is_err() {
            // Before those who wait for a flush are let go. The receiver stays, or a message that is sent
            // just now would wait in the queue for ever.
            broken.store(true, Ordering::Release);
            drop(flushed);
            while queue.blocking_recv_many(&mut batch, 256) > 0 {
                batch.clear();
            }
            return;
        }
        for done in flushed {
            done.tell();
        }
    }
}

fn write_batch(
    out: &mut impl Write,
    batch: impl Iterator<Item = Message>,
    flushed: &mut Vec<Done>,
) -> io::Result<()> {
    for message in batch {
        match message {
            Message::Line(line) => {
                serde_json::to_writer(&mut *out, &line)?;
                out.write_all(b"\n")?;
            }
            Message::Flush(done) => flushed.push(done),
        }
    }
    out.flush()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u64) -> Line {
        Line {
            at: Timestamp::from_unix_s(n as f64),
            scenario: "s".into(),
            lease: 1,
            request: Some(format!("r{n}")),
            unit: UnitHash::from_u64(n),
            fault: "broken/error".into(),
            change: "status 503".into(),
        }
    }

    #[test]
    fn memory_keeps_the_newest_and_counts_the_others() {
        let ledger = Ledger::memory(2);
        for n in 0..3 {
            ledger.reserve().unwrap().commit(line(n));
        }
        drop(ledger.reserve().unwrap());
        assert_eq!(ledger.lines(), [line(1), line(2)]);
        assert_eq!(ledger.evicted(), 1);
    }

    #[tokio::test]
    async fn a_file_gets_one_json_object_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let ledger = Ledger::file(&path, 8).unwrap();
        for n in 0..5 {
            ledger.reserve().unwrap().commit(line(n));
        }
        ledger.flush().await.unwrap();
        ledger.flush_within(Duration::from_secs(10)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Line> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines, (0..5).map(line).collect::<Vec<_>>());
    }

    #[test]
    fn reserved_lines_count_against_the_queue() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::file(&folder.path().join("l"), 2).unwrap();
        let held = [ledger.reserve().unwrap(), ledger.reserve().unwrap()];
        assert_eq!(ledger.reserve().unwrap_err(), LedgerError::Full);
        drop(held);
        assert!(ledger.reserve().is_ok());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_disk_breaks_the_ledger() {
        let ledger = Ledger::file(Path::new("/dev/full"), 8).unwrap();
        ledger.reserve().unwrap().commit(line(0));
        assert_eq!(ledger.flush().await, Err(LedgerError::Broken));
        assert_eq!(ledger.reserve().unwrap_err(), LedgerError::Broken);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error() {
        assert!(Ledger::file(Path::new("/nonexistent/ledger"), 8).is_err());
    }
}
