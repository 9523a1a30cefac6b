//! A ledger in memory, in a file, in files that are rotated, and on a disk that is full.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    file::{Medium, Opened},
    line::line,
    writer::Writer,
    *,
};

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

/// A disk with so many bytes left. A write that does not fit is torn, as real ones are.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<u64>>);

struct OnDisk {
    file: File,
    disk: Disk,
}

impl Disk {
    fn with(free: u64) -> Disk {
        Disk(Arc::new(Mutex::new(free)))
    }

    fn gains(&self, bytes: u64) {
        *self.0.lock().unwrap() += bytes;
    }

    fn writer(&self, path: &Path, rotation: Rotation, plain: bool) -> Writer {
        let disk = self.clone();
        let open = move |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            let size = file.metadata()?.len();
            Ok(Opened { medium: Box::new(OnDisk { file, disk: disk.clone() }), size, plain })
        };
        Writer::open(path, rotation, Box::new(open)).unwrap()
    }

    fn ledger(&self, path: &Path, queue: usize, rotation: Rotation) -> Ledger {
        Ledger::written(path, queue, self.writer(path, rotation, true)).unwrap()
    }
}

impl Write for OnDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut free = self.disk.0.lock().unwrap();
        let fits = bytes.len().min(*free as usize);
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *free -= fits as u64;
        self.file.write(&bytes[..fits])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for OnDisk {
    fn cut(&mut self, size: u64) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        self.file.set_len(size)?;
        self.disk.gains(before - size);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every line of every file, oldest first, each of them whole.
fn all(path: &Path) -> Vec<Line> {
    let (lines, torn) = read(path);
    assert!(!torn);
    lines
}

/// Every whole line of every file, and whether there is part of another: each new try to write to a full disk
/// leaves one for a moment.
fn read(path: &Path) -> (Vec<Line>, bool) {
    let files = LedgerParts::of(path).unwrap().files;
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let whole = text.rfind('\n').map_or(0, |at| at + 1);
    let lines = text[..whole].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, whole < text.len())
}

#[tokio::test]
async fn files_keep_their_size_and_every_line_is_in_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let rotation = Rotation { bytes: 1_000, keep: 1_000 };
    // Twice, because the second goes on where the first ended.
    for round in 0..2 {
        let ledger = Ledger::rotated(&path, 1_024, rotation).unwrap();
        for n in 0..500 {
            ledger.reserve().unwrap().commit(line(round * 500 + n));
            if n % 7 == 0 {
                ledger.flush().await.unwrap();
            }
        }
        ledger.flush().await.unwrap();
    }
    assert_eq!(all(&path), (0..1_000).map(line).collect::<Vec<_>>());
    let parts = LedgerParts::of(&path).unwrap();
    assert!(parts.files.len() > 100 && parts.removed == 0, "{}", parts.files.len());
    for file in &parts.files {
        let size = fs::metadata(file).unwrap().len();
        assert!(size <= 1_000 && (size > 700 || *file == path), "{} has {size}", file.display());
    }
}

#[tokio::test]
async fn the_oldest_files_go_and_the_numbers_tell() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let ledger = Ledger::rotated(&path, 1_024, Rotation { bytes: 1_000, keep: 2 }).unwrap();
    for n in 0..100 {
        ledger.reserve().unwrap().commit(line(n));
    }
    ledger.flush().await.unwrap();
    let parts = LedgerParts::of(&path).unwrap();
    let left = all(&path);
    assert_eq!(parts.files.len(), 3);
    assert!(parts.removed > 5, "{parts:?}");
    assert_eq!(left, (100 - left.len() as u64..100).map(line).collect::<Vec<_>>(), "the newest stay");
    assert_eq!(ledger.newest(5).unwrap(), (95..100).map(line).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_that_somebody_moved_away_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let ledger = Ledger::rotated(&path, 64, Rotation { bytes: 300, keep: 9 }).unwrap();
    ledger.reserve().unwrap().commit(line(0));
    ledger.flush().await.unwrap();
    fs::rename(&path, folder.path().join("moved")).unwrap();
    for n in 1..20 {
        ledger.reserve().unwrap().commit(line(n));
    }
    ledger.flush().await.unwrap();
    assert!(!all(&path).is_empty());
    assert_eq!(all(&folder.path().join("moved")).len() + all(&path).len(), 20);
}

#[tokio::test]
async fn a_line_larger_than_a_file_has_one_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let ledger = Ledger::rotated(&path, 64, Rotation { bytes: 1, keep: 9 }).unwrap();
    for n in 0..5 {
        ledger.reserve().unwrap().commit(line(n));
    }
    ledger.flush().await.unwrap();
    assert_eq!((all(&path).len(), LedgerParts::of(&path).unwrap().files.len()), (5, 5));
}

/// Injects until the ledger refuses, at most so often; the lines that it took.
fn inject(ledger: &Ledger, from: u64, most: u64) -> u64 {
    (from..from + most).take_while(|n| ledger.reserve().map(|permit| permit.commit(line(*n))).is_ok()).count()
        as u64
}

async fn until(mut holds: impl FnMut() -> bool) {
    let looking = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.unwrap();
}

#[tokio::test]
async fn whatever_byte_a_disk_is_full_at_no_line_is_lost_torn_or_doubled() {
    let size = serde_json::to_string(&line(10)).unwrap().len() as u64 + 1;
    // From one line to the next but one, so that each byte of a line and of a rotation is tried.
    let mut tries = tokio::task::JoinSet::new();
    for extra in 0..2 * size + 2 {
        tries.spawn(full_once(size, extra));
    }
    while let Some(done) = tries.join_next().await {
        done.unwrap();
    }
}

async fn full_once(size: u64, extra: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let disk = Disk::with(6 * size + extra);
    let ledger = disk.ledger(&path, 16, Rotation { bytes: 3 * size + 7, keep: 100 });
    let mut taken = 0;
    until(|| {
        taken += inject(&ledger, taken, 3);
        ledger.reserve().is_err_and(|error| error == LedgerError::Broken)
    })
    .await;
    assert_eq!(ledger.flush().await, Err(LedgerError::Broken));
    assert_eq!(ledger.reserve().unwrap_err(), LedgerError::Broken, "injection stops");
    let (written, _) = read(&path);
    assert_eq!(written, (0..written.len() as u64).map(line).collect::<Vec<_>>(), "free {extra}");
    // Room again: first what was taken is written, then more is taken.
    disk.gains(1 << 20);
    until(|| ledger.reserve().is_ok()).await;
    assert_eq!(all(&path), (0..taken).map(line).collect::<Vec<_>>(), "free {extra}");
    taken += inject(&ledger, taken, 5);
    ledger.flush().await.unwrap();
    assert_eq!(all(&path), (0..taken).map(line).collect::<Vec<_>>(), "free {extra}");
}

#[tokio::test]
async fn reservations_that_were_granted_before_the_disk_was_full_are_honoured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let disk = Disk::default();
    let ledger = disk.ledger(&path, 8, Rotation::default());
    let permits: Vec<Permit> = (0..7).map(|_| ledger.reserve().unwrap()).collect();
    ledger.reserve().unwrap().commit(line(0));
    until(|| ledger.reserve().is_err_and(|error| error == LedgerError::Broken)).await;
    for (n, permit) in permits.into_iter().enumerate() {
        permit.commit(line(n as u64 + 1));
    }
    disk.gains(1 << 20);
    until(|| ledger.reserve().is_ok()).await;
    ledger.flush().await.unwrap();
    assert_eq!(all(&path), (0..8).map(line).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_rotation_that_fails_stops_injection_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    // A folder stands where the first older file should go.
    let ledger = Ledger::rotated(&path, 64, Rotation { bytes: 300, keep: 9 }).unwrap();
    let obstacle = folder.path().join("ledger.1.jsonl");
    fs::create_dir(&obstacle).unwrap();
    fs::write(obstacle.join("x"), "").unwrap();
    let mut taken = 0;
    until(|| {
        taken += inject(&ledger, taken, 1);
        ledger.reserve().is_err_and(|error| error == LedgerError::Broken)
    })
    .await;
    fs::remove_dir_all(&obstacle).unwrap();
    until(|| ledger.reserve().is_ok()).await;
    ledger.flush().await.unwrap();
    assert_eq!(all(&path), (0..taken).map(line).collect::<Vec<_>>());
}

/// What a log of payloads does on a full disk: it gives up what can't be written, and goes on with whole lines.
#[cfg(feature = "cli")]
#[test]
fn what_is_given_up_leaves_whole_lines() {
    let size = serde_json::to_string(&line(0)).unwrap().len() as u64 + 1;
    for free in 0..=3 * size {
        for plain in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("l.jsonl");
            let disk = Disk::with(free);
            let mut writer = disk.writer(&path, Rotation::default(), plain);
            (0..3).for_each(|n| writer.push(&line(n)));
            let given_up = if writer.write().is_ok() { 0 } else { writer.discard() };
            // A file gives up the line that it has a part of; a pipe has to end it.
            let begun = if plain { free / size } else { free.div_ceil(size) };
            assert_eq!(given_up as u64, 3 - begun, "{free} bytes, plain: {plain}");
            disk.gains(10 * size);
            writer.push(&line(9));
            writer.write().unwrap();
            let wanted: Vec<Line> = (0..begun).chain([9]).map(line).collect();
            assert_eq!(all(&path), wanted, "{free} bytes, plain: {plain}");
        }
    }
}
