//! The payload log: what callers asked and got, sampled and summarised, for monitors that read inference logs.
//!
//! A drift monitor (Evidently, NannyML, alibi-detect) that reads a log of inferences can be put to the test with it:
//! the log holds what callers saw, faults included. Writing has a thread and a bounded queue; when either fails,
//! payloads are dropped and counted, and traffic flows. No body is written unless it is asked for.

mod event;
mod sampler;
#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use serde_json::value::RawValue;
use tokio::time::Instant;

use self::{event::Form, sampler::Sampler};
use crate::{
    clock,
    draw::{Key, UnitHash},
    evidence::{LineKind, LineWriter, Rotation, open_lines},
    layer::view::{Payload, Payloads},
    unit::Share,
};

/// Exchanges that wait to be written, and how many bytes they may take.
const QUEUE: usize = 1024;
const BYTES: usize = 64 << 20;
/// Exchanges that are written at once.
const BATCH: usize = 256;

/// What is logged of payloads, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct PayloadLogSettings {
    /// The file that JSON lines are appended to.
    pub path: PathBuf,
    /// Share of the exchanges that are kept, as far as classes are equally frequent; rare ones are kept more often.
    pub rate: Share,
    /// Columns of features that are written as `null`, by name or by number from 0.
    pub redact: Vec<String>,
    /// Write bodies as well.
    pub raw: bool,
    /// How large its files grow, and how many are kept.
    pub rotation: Rotation,
}

/// Writes payloads to a file.
#[derive(Debug)]
pub(super) struct PayloadLog {
    source: String,
    /// The source of what shadows were answered.
    shadows: String,
    form: Form,
    sampler: Mutex<Sampler>,
    key: Key,
    /// Of exchanges without an id; no two starts have the same.
    prefix: String,
    number: AtomicU64,
    queue: SyncSender<Message>,
    counts: std::sync::Arc<Counts>,
}

#[derive(Debug)]
enum Message {
    Exchange([Box<RawValue>; 2]),
    Flush(SyncSender<()>),
}

/// What became of the exchanges whose predictions were read.
#[derive(Debug, Default)]
pub(super) struct Counts {
    written: AtomicU64,
    left_out: AtomicU64,
    dropped: AtomicU64,
    /// Bytes that wait.
    waiting: AtomicUsize,
}

impl PayloadLog {
    /// Begins to append to the file.
    ///
    /// # Errors
    /// If it can't be opened, or no thread can be started.
    pub(super) fn open(settings: &PayloadLogSettings, source: String) -> io::Result<PayloadLog> {
        let open = Box::new(|path: &Path| open_lines(path, &EVENTS));
        let writer = LineWriter::open(&settings.path, settings.rotation, open)?;
        let (queue, waiting) = sync_channel(QUEUE);
        let counts = std::sync::Arc::<Counts>::default();
        let (tally, path) = (counts.clone(), settings.path.clone());
        let thread = std::thread::Builder::new().name("canard-payloads".into());
        thread.spawn(move || write_all(writer, &waiting, &tally, &path))?;
        Ok(PayloadLog {
            shadows: format!("{source}/shadow"),
            source,
            form: Form { redact: settings.redact.clone(), raw: settings.raw },
            sampler: Mutex::new(Sampler::new(settings.rate)),
            key: Key::new(0, "payload-log"),
            prefix: format!("canard-{:.6}", clock::now().unix_s()),
            number: AtomicU64::new(0),
            queue,
            counts,
        })
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Waits until all that was taken is in the file, for at most `longest`; `false` if it is not.
    pub(super) fn flush_within(&self, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        let (done, wait) = sync_channel(1);
        while let Err(refused) = self.queue.try_send(Message::Flush(done.clone())) {
            if matches!(refused, TrySendError::Disconnected(_)) || Instant::now() >= until {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        wait.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok()
    }
}

/// Lines of a payload log.
static EVENTS: LineKind = LineKind {
    name: "payload log",
    begins: b"{\"specversion\":",
    is_whole: |line| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok(),
    longest: 4 << 20,
};

/// Writes until every sender is gone. What can't be written is given up, and counted.
fn write_all(mut writer: LineWriter, waiting: &Receiver<Message>, counts: &Counts, path: &Path) {
    let (mut told, mut flushed) = (false, Vec::new());
    while let Ok(first) = waiting.recv() {
        let mut exchanges = 0;
        for message in std::iter::once(first).chain(waiting.try_iter().take(BATCH)) {
            match message {
                Message::Exchange(events) => {
                    counts.waiting.fetch_sub(size(&events), Relaxed);
                    events.iter().for_each(|event| writer.push(event));
                    exchanges += 1;
                }
                Message::Flush(done) => flushed.push(done),
            }
        }
        let (result, mut dropped) = (writer.write(), 0);
        let was_told = std::mem::replace(&mut told, result.is_err());
        if let Err(error) = result {
            // Two lines each; one of which only the response is missing is not there either.
            dropped = writer.discard().div_ceil(2) as u64;
            if !was_told {
                tracing::warn!(path = %path.display(), %error, "payloads can't be written; they are dropped");
            }
        }
        counts.written.fetch_add(exchanges - dropped, Relaxed);
        counts.dropped.fetch_add(dropped, Relaxed);
        for done in flushed.drain(..) {
            let _ = done.send(());
        }
    }
}

fn size(events: &[Box<RawValue>; 2]) -> usize {
    events.iter().map(|event| event.get().len()).sum()
}

impl Payloads for PayloadLog {
    fn take(&self, payload: Payload<'_>) {
        let number = self.number.fetch_add(1, Relaxed);
        // Not by the request's id: a caller that sends one id for all would be kept always, or never.
        let unit = UnitHash::from_u64(number);
        let names = payload.predictions.labels(payload.labels);
        let labels: Vec<_> = payload.predictions.rows.iter().filter_map(|row| names.of(row)).collect();
        let classes = labels.iter().map(AsRef::as_ref);
        let weight = {
            let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
            sampler.admit(classes, self.key.draw(unit, 0))
        };
        let Some(weight) = weight else {
            self.counts.left_out.fetch_add(1, Relaxed);
            return;
        };
        let own = format!("{}-{number}", self.prefix);
        let source = if payload.shadow { &self.shadows } else { &self.source };
        let events = event::of(&payload, payload.id.unwrap_or(&own), source, weight, &self.form);
        // Writing to memory does not fail, nor does JSON with texts as keys.
        let [Ok(asked), Ok(answered)] = events.map(|event| serde_json::value::to_raw_value(&event)) else {
            return;
        };
        let events = [asked, answered];
        let bytes = size(&events);
        // A longer line could not be told from a torn one.
        if events.iter().any(|event| event.get().len() > EVENTS.longest) {
            return self.missed();
        }
        let fits = self.counts.waiting.fetch_add(bytes, Relaxed) + bytes <= BYTES;
        if !fits || self.queue.try_send(Message::Exchange(events)).is_err() {
            self.counts.waiting.fetch_sub(bytes, Relaxed);
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }

    fn missed(&self) {
        self.counts.dropped.fetch_add(1, Relaxed);
    }
}

impl Counts {
    /// By outcome: `written`, `left-out` by the rate, `dropped` because the file or the queue could not take them.
    pub(super) fn read(&self) -> [(&'static str, u64); 3] {
        let read = |count: &AtomicU64| count.load(Relaxed);
        [
            ("written", read(&self.written)),
            ("left-out", read(&self.left_out)),
            ("dropped", read(&self.dropped)),
        ]
    }
}
