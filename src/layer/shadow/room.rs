//! Room for shadows: so many at once, and so many bytes. Taken and given back without a lock.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// What is left to take. Cheap to clone; the clones share it.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<AtomicUsize>);

/// Some of it, given back when dropped.
#[derive(Debug)]
pub(super) struct Taken {
    room: Room,
    amount: usize,
}

impl Room {
    pub(super) fn new(amount: usize) -> Room {
        Room(Arc::new(AtomicUsize::new(amount)))
    }

    /// Takes so much, if it is there.
    pub(super) fn take(&self, amount: usize) -> Option<Taken> {
        self.subtract(amount).then(|| Taken { room: self.clone(), amount })
    }

    fn subtract(&self, amount: usize) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(amount)).is_ok()
    }
}

impl Taken {
    /// Takes more; `false` if that is not there.
    pub(super) fn more(&mut self, amount: usize) -> bool {
        let taken = self.room.subtract(amount);
        self.amount += if taken { amount } else { 0 };
        taken
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.0.fetch_add(self.amount, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let room = Room::new(10);
        let mut taken = room.take(4).unwrap();
        assert!(taken.more(6) && !taken.more(1) && room.take(1).is_none());
        drop(taken);
        assert!(room.take(11).is_none() && room.take(10).is_some());
    }
}
