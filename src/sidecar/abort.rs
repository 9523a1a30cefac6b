use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
#[derive(Debug, Clone, Default)]
pub(crate) struct Abort(Arc<AtomicBool>);
impl Abort {
    pub(crate) fn is_aborted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
