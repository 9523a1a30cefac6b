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
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use serde_json::value::RawValue;

use self::{event::Form, sampler::Sampler};
use crate::{
    draw::{Key, UnitHash},
    evidence::{LineKind, LineWriter, Rotation, open_lines},
    layer::view::{Payload, Payloads},
    unit::Share,
};

/// Exchanges that wait to be written.
const QUEUE: usize = 1024;

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
    form: Form,
    sampler: Mutex<Sampler>,
    key: Key,
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
            source,
            form: Form { redact: settings.redact.clone(), raw: settings.raw },
            sampler: Mutex::new(Sampler::new(settings.rate)),
            key: Key::new(0, "payload-log"),
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
        let (done, wait) = sync_channel(1);
        self.queue.send(Message::Flush(done)).is_ok() && wait.recv_timeout(longest).is_ok()
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
        for message in std::iter::once(first).chain(waiting.try_iter().take(QUEUE)) {
            match message {
                Message::Exchange(events) => {
                    events.iter().for_each(|event| writer.push(event));
                    exchanges += 1;
                }
                Message::Flush(done) => flushed.push(done),
            }
        }
        let mut dropped = 0;
        if let Err(error) = writer.write() {
            // Two lines each; one of which only the response is missing is not there either.
            dropped = writer.discard().div_ceil(2) as u64;
            if !std::mem::replace(&mut told, true) {
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

impl Payloads for PayloadLog {
    fn take(&self, payload: Payload<'_>) {
        let number = self.number.fetch_add(1, Relaxed);
        let unit = payload.id.map_or(UnitHash::from_u64(number), |id| UnitHash::of(id.as_bytes()));
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
        let own = format!("canard-{number}");
        let events = event::of(&payload, payload.id.unwrap_or(&own), &self.source, weight, &self.form);
        // Writing to memory does not fail, nor does JSON with texts as keys.
        let [Ok(asked), Ok(answered)] = events.map(|event| serde_json::value::to_raw_value(&event)) else {
            return;
        };
        if self.queue.try_send(Message::Exchange([asked, answered])).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
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
