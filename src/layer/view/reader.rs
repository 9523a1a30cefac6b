//! Reads predictions from copies of responses, after the callers have them.

use std::{future::poll_fn, sync::Arc, task::Poll};

use tokio::sync::mpsc;

use super::{Payload, payload::Asked, series::Shard};
use crate::{evidence::Sample, layer::shadow::Hold, wire::Answer};

/// An exchange whose body was copied.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) sample: Sample,
    /// Its request, if anybody is to be shown it.
    pub(super) asked: Option<Arc<Asked>>,
    /// No caller saw it; what it takes.
    pub(super) shadow: Option<Hold>,
}

/// Reads what the queue of one layer holds. Whoever runs it pays for the reading; callers never do.
#[derive(Debug)]
pub struct Reader {
    shard: Arc<Shard>,
    queue: mpsc::Receiver<Exchange>,
}

impl Reader {
    pub(super) fn new(shard: Arc<Shard>, queue: mpsc::Receiver<Exchange>) -> Reader {
        Reader { shard, queue }
    }

    /// Reads until the layer and all its services are gone.
    pub async fn run(mut self) {
        while let Some(exchange) = self.queue.recv().await {
            self.read(exchange);
            // Between two copies the task lets requests go first.
            give_way().await;
        }
    }

    fn read(&self, Exchange { sample, asked, shadow }: Exchange) {
        let settings = &self.shard.settings;
        let path_model = settings.codec.model(sample.uri.path());
        if shadow.is_some() {
            if let Ok(answer) = sample.predictions(settings.codec.as_ref(), settings.body) {
                self.show(&sample, asked.as_deref(), path_model.unwrap_or_default(), &answer, true);
            }
            return;
        }
        if let Ok(reading) = sample.text(settings.codec.as_ref(), settings.body) {
            let model = path_model.or(reading.model.as_deref()).unwrap_or_default();
            return self.shard.generated(model, &sample, &reading);
        }
        match sample.predictions(settings.codec.as_ref(), settings.body) {
            Ok(answer) => {
                self.shard.predicted(path_model.unwrap_or_default(), &sample, &answer);
                self.show(&sample, asked.as_deref(), path_model.unwrap_or_default(), &answer, false);
            }
            Err(error) => self.shard.unread(error.reason()),
        }
    }

    /// Shows an exchange to whoever logs payloads.
    fn show(&self, sample: &Sample, asked: Option<&Asked>, model: &str, predictions: &Answer, shadow: bool) {
        let settings = &self.shard.settings;
        let (Some(payloads), Some(asked), Some(status)) = (&settings.payloads, asked, sample.status) else {
            return;
        };
        payloads.take(Payload {
            at: asked.at,
            id: asked.id.as_deref(),
            uri: &sample.uri,
            model,
            status,
            arm: sample.arm,
            shadow,
            predictions,
            labels: &settings.labels,
            asked,
            sample,
            codec: settings.codec.as_ref(),
        });
    }
}

/// Lets the other tasks of the runtime run first.
async fn give_way() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
