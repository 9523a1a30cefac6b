//! Predictions against the truth, where it is known.

use super::{Accuracy, Arms, shares::proportions};
use crate::event::Effect;

impl Arms<'_> {
    pub(in crate::verify) fn accuracy(&self) -> Option<Effect> {
        let group = |known: Accuracy| (known.correct, known.labelled);
        proportions("accuracy", group(self.known.control), group(self.known.treated))
    }
}
