//! The stage file of a sidecar, read again when it changes.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use tokio::time::interval;

use crate::{
    cli::{
        load,
        watched::{LOOK, Watched},
    },
    scenario::StageDocument,
};

/// The stage that the sidecar stands in, and its file.
pub(super) struct Stage {
    file: Watched,
    pub(super) document: Arc<ArcSwap<StageDocument>>,
}

impl Stage {
    pub(super) fn read(path: &Path) -> miette::Result<Stage> {
        let source = load::stage_source(path)?;
        let document = Arc::new(ArcSwap::from_pointee(load::stage_as_it_says(&source)?));
        Ok(Stage { file: Watched::new(path, &source), document })
    }

    /// Takes each change that can be used, for what is armed or renewed from then on.
    pub(super) async fn follow(mut self) {
        if self.file.path() == Path::new("-") {
            return;
        }
        let mut ticks = interval(LOOK);
        loop {
            ticks.tick().await;
            let Some(found) = self.file.look() else { continue };
            let stage = found.map_err(miette::Report::from).and_then(|source| {
                let stage = load::stage_as_it_says(&source)?;
                self.file.accept(&source);
                Ok(stage)
            });
            let file = self.file.path().display();
            match stage {
                Ok(stage) => {
                    self.document.store(Arc::new(stage));
                    tracing::info!(%file, "the stage was changed, and applies to what is armed or renewed from now on");
                }
                Err(why) => {
                    tracing::error!(%file, "the stage was changed and can't be used; what it said before goes on\n{why:?}");
                }
            }
        }
    }
}
