//! Where runs take place.

use std::path::PathBuf;

use clap::Args;

use super::load;
use crate::scenario::{Source, StageDocument, default_stage, unnamed_stage};

/// The same on the command line.
#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// The stage file: where the upstream, the sidecars and the monitors are
    #[arg(long, value_name = "FILE")]
    pub(super) stage: Option<PathBuf>,
    /// The admin address of a sidecar that already stands in the traffic; may be repeated. Its token comes
    /// from CANARD_TOKEN
    #[arg(long, value_name = "URL")]
    sidecar: Vec<String>,
    /// Where generated traffic goes when sidecars are named; without it they get real traffic only
    #[arg(long, value_name = "URL")]
    traffic_to: Option<String>,
}

/// A stage, and what the command line says beside it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// `None` for the embedded defaults.
    pub(super) stage: Option<StageDocument>,
    /// Sidecars named on the command line, which take the place of those of the stage.
    pub(super) sidecars: Vec<String>,
    pub(super) traffic_to: Option<String>,
}

impl TargetArgs {
    /// Reads and checks the stage's file; what was read comes with it.
    pub(super) fn read(&self) -> miette::Result<(Target, Option<Source>)> {
        let source = self.stage.as_deref().map(load::stage_source).transpose()?;
        let stage = source.as_ref().map(load::stage_of).transpose()?;
        let target = Target { stage, sidecars: self.sidecar.clone(), traffic_to: self.traffic_to.clone() };
        Ok((target, source))
    }
}

impl Target {
    /// A stage of which all is hosted or named in it.
    pub(super) fn of(stage: Option<StageDocument>) -> Target {
        Target { stage, sidecars: Vec::new(), traffic_to: None }
    }

    /// Are all sidecars elsewhere?
    pub(super) fn elsewhere(&self) -> bool {
        !self.sidecars.is_empty()
    }

    /// The stage, or what stands in for one.
    pub(super) fn document(&self) -> StageDocument {
        let absent = if self.elsewhere() { unnamed_stage } else { default_stage };
        self.stage.clone().unwrap_or_else(absent)
    }

    /// What scenarios are checked against.
    pub(super) fn against(&self) -> StageDocument {
        load::elsewhere(&self.document(), self.elsewhere())
    }
}
