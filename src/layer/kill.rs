//! The kill file: while it exists, nothing is armed and nothing can be.
//!
//! Anybody who can write a file can stop everything, whoever holds the lease, with no client and no network. Whether the
//! file exists is asked when something is to be armed or renewed, and every [`LOOK`] while something is armed; a
//! disarmed layer asks nothing. What can't be told (no permission, a dead disk) counts as existing.
//!
//! Why a thread and no task? An embedded layer may live in any runtime, or in none that turns.

use std::{
    io,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

/// Time between looks while something is armed.
const LOOK: Duration = Duration::from_millis(20);

/// A file that disarms.
#[derive(Debug)]
pub(super) struct KillFile {
    path: PathBuf,
    armed: SyncSender<()>,
}

impl KillFile {
    /// Watches `path` on a thread of its own until this is dropped. `kill` ends what is armed; `armed` tells whether
    /// anything is.
    pub(super) fn watch(
        path: PathBuf,
        kill: impl Fn() + Send + 'static,
        armed: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<KillFile> {
        let (tell, told) = sync_channel(1);
        let file = path.clone();
        let thread = std::thread::Builder::new().name("canard-kill-file".to_owned());
        thread.spawn(move || attend(&file, &told, kill, armed))?;
        Ok(KillFile { path, armed: tell })
    }

    /// The file, if it exists.
    pub(super) fn is_there(&self) -> Option<&Path> {
        there(&self.path).then_some(self.path.as_path())
    }

    /// Something was armed.
    pub(super) fn armed(&self) {
        // Full: it is about to look anyway.
        let _ = self.armed.try_send(());
    }
}

fn there(path: &Path) -> bool {
    !matches!(path.try_exists(), Ok(false))
}

fn attend(path: &Path, told: &Receiver<()>, kill: impl Fn(), armed: impl Fn() -> bool) {
    while told.recv().is_ok() {
        while armed() {
            if there(path) {
                kill();
            }
            if told.recv_timeout(LOOK) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }
}
