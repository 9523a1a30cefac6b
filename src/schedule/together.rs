//! May two runs take place at the same time?

use std::sync::Arc;

use crate::{
    scenario::{Monitor, Plan, StageDocument},
    unit::meet_as_written,
};

/// A scenario and its stage as they were read for a run.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The scenario.
    pub plan: Arc<Plan>,
    /// The stage; `None` for the embedded defaults.
    pub stage: Option<StageDocument>,
}

/// Why two runs take turns; `None` if they may take place at the same time.
///
/// They take turns where they could share a unit (one names no exposure layer, or both name the same), and where they
/// use the same sidecar, upstream or address to listen on.
pub fn takes_turns(one: &Ready, other: &Ready) -> Option<String> {
    let layer = |ready: &Ready| ready.plan.document.exposure.layer.clone();
    match (layer(one), layer(other)) {
        (Some(mine), Some(theirs)) if mine == theirs => Some(format!("both are in the layer `{mine}`")),
        (Some(_), Some(_)) => {
            let (mine, theirs) = (addresses(one), addresses(other));
            let shared =
                mine.into_iter().find(|mine| theirs.iter().any(|theirs| meet_as_written(mine, theirs)))?;
            Some(format!("both use {shared}"))
        }
        (None, _) | (_, None) => Some("not both name an exposure layer".to_owned()),
    }
}

/// What a run takes for itself.
fn addresses(ready: &Ready) -> Vec<String> {
    let Some(stage) = &ready.stage else { return Vec::new() };
    let hosted = stage.sidecar.iter().flat_map(|sidecar| [&sidecar.listen, &sidecar.admin]).flatten();
    let webhooks = stage.monitors.values().filter_map(|monitor| match monitor {
        Monitor::Webhook(webhook) => Some(&webhook.listen),
        _ => None,
    });
    let listeners = hosted.chain(webhooks).filter(|address| !address.ends_with(":0"));
    let servers = stage.sidecars.iter().map(|sidecar| &sidecar.url).chain(&stage.upstream);
    listeners.chain(servers).map(|address| address.trim_end_matches('/').to_owned()).collect()
}
