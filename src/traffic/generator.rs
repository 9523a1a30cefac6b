//! Sends a recording, over and over, at a fixed rate.
//!
//! Each request is a task of its own, so nobody waits for an answer but that task. What is in flight is
//! bounded: beyond the limit a due request is counted as dropped, never queued, since a queue in the
//! generator would be a closed loop again.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderValue, Uri, uri::Scheme};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout},
};

use super::{
    exchange::{Answer, Failure, Outcome, Pool, exchange, outgoing},
    recording::{Recording, TrafficError},
    schedule::Schedule,
    tally::Tally,
};
use crate::unit::Rate;

/// What the generator never exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests that wait for their answers at the same time; 4096.
    pub in_flight: usize,
    /// Longest time from the moment a request is sent to the last byte of its answer; 30 s.
    pub deadline: Duration,
    /// Longest wait for a connection; 5 s.
    pub connect: Duration,
    /// Largest answer in bytes; 4 MiB.
    pub body: usize,
    /// How long the last answers are waited for once the traffic stops; 1 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            in_flight: 4096,
            deadline: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            body: 4 << 20,
            drain: Duration::from_secs(1),
        }
    }
}

/// Called with each finished exchange, on the task of its request. It should be quick.
pub type OnAnswer = Arc<dyn Fn(&Answer<'_>) + Send + Sync>;

/// Open-loop traffic, ready to start.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use canard::traffic::{Generator, Recording};
/// let recording = Recording::load("scenarios/traffic/iris.jsonl")?;
/// let running = Generator::new(recording, "200/s".parse()?, "http://127.0.0.1:9000", 7)?.start();
/// println!("{:?}", running.stop().await.answered);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Generator {
    recording: Recording,
    /// Where each request of the recording goes.
    uris: Arc<[Uri]>,
    rate: Rate,
    seed: u64,
    limits: Limits,
    on_answer: Option<OnAnswer>,
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator")
            .field("requests", &self.uris.len())
            .field("rate", &self.rate)
            .field("seed", &self.seed)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Generator {
    /// Traffic to `target`, a base URL such as `http://127.0.0.1:9000`; a path in it goes before each
    /// recorded path. The seed decides the order and stands in the request ids.
    pub fn new(recording: Recording, rate: Rate, target: &str, seed: u64) -> Result<Generator, TrafficError> {
        let base = base_of(target)?;
        let uris = recording.requests().iter().map(|r| uri_of(&base, r.path.as_str())).collect::<Option<_>>();
        let uris =
            uris.ok_or_else(|| wrong_target(target, "with a recorded path behind it, it is no URL"))?;
        Ok(Generator { recording, uris, rate, seed, limits: Limits::default(), on_answer: None })
    }

    /// Traffic to an address.
    pub fn to_addr(
        recording: Recording,
        rate: Rate,
        target: SocketAddr,
        seed: u64,
    ) -> Result<Generator, TrafficError> {
        Generator::new(recording, rate, &format!("http://{target}"), seed)
    }

    /// With other limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Generator {
        self.limits = limits;
        self
    }

    /// Calls `on_answer` with each finished exchange.
    #[must_use]
    pub fn on_answer(mut self, on_answer: OnAnswer) -> Generator {
        self.on_answer = Some(on_answer);
        self
    }

    /// Sends until `shutdown` completes, then waits a moment for the last answers.
    pub async fn run(self, shutdown: impl Future) -> Tally {
        let shared = Arc::new(Mutex::default());
        self.drive(shutdown, &shared).await;
        lock(&shared).clone()
    }

    /// Starts sending in a task of its own on the current runtime.
    pub fn start(self) -> Running {
        let tally = Arc::new(Mutex::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn({
            let tally = Arc::clone(&tally);
            async move { self.drive(stopped, &tally).await }
        });
        Running { tally, stop: Some(stop), task }
    }

    async fn drive(self, shutdown: impl Future, tally: &Arc<Mutex<Tally>>) {
        let start = Instant::now();
        let sender =
            Arc::new(Sender { pool: pool(&self.limits), start, tally: Arc::clone(tally), generator: self });
        let generator = &sender.generator;
        let schedule = Schedule::new(generator.rate, generator.seed, generator.uris.len());
        let mut in_flight = JoinSet::new();
        let pace = schedule.pace(start, |number, index, due| {
            while in_flight.try_join_next().is_some() {}
            if in_flight.len() >= generator.limits.in_flight {
                lock(tally).dropped += 1;
                return;
            }
            lock(tally).sent += 1;
            in_flight.spawn(Arc::clone(&sender).send(number, index, due));
        });
        tokio::select! {
            biased;
            _ = shutdown => {}
            () = pace => {}
        }
        let last = async { while in_flight.join_next().await.is_some() {} };
        // Whoever has not answered by then is aborted with the set and stays counted as unfinished.
        let _ = timeout(sender.generator.limits.drain, last).await;
    }
}

/// What every request shares.
struct Sender {
    generator: Generator,
    pool: Pool,
    start: Instant,
    tally: Arc<Mutex<Tally>>,
}

impl Sender {
    async fn send(self: Arc<Self>, number: u64, index: usize, due: Instant) {
        let Generator { recording, uris, seed, limits, on_answer, .. } = &self.generator;
        let recorded = &recording.requests()[index];
        let Ok(request_id) = HeaderValue::try_from(format!("{seed}-{number}")) else { return };
        let request = outgoing(recorded, uris[index].clone(), request_id);
        let outcome = timeout(limits.deadline, exchange(&self.pool, request, limits.body))
            .await
            .unwrap_or(Outcome::Failed(Failure::Deadline));
        let latency = due.elapsed();
        lock(&self.tally).record(&outcome, latency);
        if let Some(on_answer) = on_answer {
            let due = due.duration_since(self.start);
            on_answer(&Answer { number, index, request: recorded, due, latency, outcome: &outcome });
        }
    }
}

/// Traffic that flows. Dropping it stops the traffic at once.
#[derive(Debug)]
pub struct Running {
    tally: Arc<Mutex<Tally>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// The counts so far.
    pub fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Sends no more, waits a moment for the last answers and gives the final counts.
    pub async fn stop(mut self) -> Tally {
        drop(self.stop.take());
        let _ = (&mut self.task).await;
        self.tally()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pool(limits: &Limits) -> Pool {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(limits.connect));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(limits.in_flight)
        .build(connector)
}

fn wrong_target(target: &str, cause: &'static str) -> TrafficError {
    TrafficError::Target { target: target.to_owned(), cause }
}

/// `http://host:port` and a path without its last slash.
fn base_of(target: &str) -> Result<Uri, TrafficError> {
    let uri: Uri = target.parse().map_err(|_| wrong_target(target, "write it like http://127.0.0.1:9000"))?;
    if uri.scheme() != Some(&Scheme::HTTP) {
        return Err(wrong_target(target, "it must start with http://"));
    }
    if uri.query().is_some() {
        return Err(wrong_target(target, "it must have no query"));
    }
    Ok(uri)
}

fn uri_of(base: &Uri, path: &str) -> Option<Uri> {
    let joined = format!("{}{path}", base.path().trim_end_matches('/'));
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(base.authority()?.clone());
    uri.path_and_query(joined).build().ok()
}

#[cfg(test)]
mod tests;
