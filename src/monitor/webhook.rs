//! Webhook.

use super::{AlertSource, BoxFuture, MonitorError, Reading};
use crate::scenario::WebhookSettings;

/// Receives notifications.
#[derive(Debug)]
pub(super) struct Webhook {}

impl Webhook {
    pub(super) async fn listen(_settings: &WebhookSettings) -> Result<Webhook, MonitorError> {
        Ok(Webhook {})
    }
}

impl AlertSource for Webhook {
    fn poll(&mut self) -> BoxFuture<'_, Result<Reading, MonitorError>> {
        Box::pin(async { Err(MonitorError::Unreachable("stub".into())) })
    }
    fn knows_rules(&self) -> bool {
        false
    }
}
