//! Alertmanager.

use super::{AlertSource, BoxFuture, MonitorError, Reading};
use crate::scenario::AlertmanagerSettings;

/// Alertmanager.
#[derive(Debug)]
pub(super) struct Alertmanager {}

impl Alertmanager {
    pub(super) fn new(_settings: &AlertmanagerSettings) -> Result<Alertmanager, MonitorError> {
        Ok(Alertmanager {})
    }
}

impl AlertSource for Alertmanager {
    fn poll(&mut self) -> BoxFuture<'_, Result<Reading, MonitorError>> {
        Box::pin(async { Err(MonitorError::Unreachable("stub".into())) })
    }
    fn knows_rules(&self) -> bool {
        true
    }
}
