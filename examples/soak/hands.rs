//! The hands on the sidecar: controllers, one that stops everything, one that kills.

use std::{fmt, path::PathBuf, time::Duration};

use canard::{
    draw::{Key, UnitHash},
    layer::LeaseId,
    scenario::{Document, Source, compile},
    sidecar::client::{AdminClient, AdminError},
};
use tokio::time::{Instant, sleep};

use super::Failed;

/// A kill file is seen within this time while something is armed.
const KILLED_WITHIN: Duration = Duration::from_millis(100);

/// Two scenarios in one layer, one in another.
const SCENARIOS: [(&str, &str, &str); 3] = [
    ("down", "layer: serving, from: 0%", "{ error: { rate: 30%, status: 503 } }"),
    ("stuck", "layer: serving, from: 40%", "{ freeze: { value: 0, rate: 50% } }"),
    ("slow", "layer: edge, from: 0%", "{ latency: { fixed: 3ms } }"),
];

/// Shares that they are armed with, and reloaded.
const SHARES: [&str; 3] = ["40%", "20%", "5%"];

/// What is to be done, and until when.
pub(super) struct Hands {
    pub(super) admin: AdminClient,
    pub(super) kill_file: PathBuf,
    pub(super) seed: u64,
    pub(super) until: Instant,
}

/// A lease from the moment when it was asked for to the last at which it may have been in force.
pub(super) struct Held {
    pub(super) lease: LeaseId,
    pub(super) asked: Instant,
    granted: Instant,
    pub(super) over: Instant,
}

/// What was done.
#[derive(Default)]
pub(super) struct Done {
    pub(super) leases: Vec<Held>,
    /// When everything was ended: when that was asked for, and when it was done.
    stops: Vec<(Instant, Instant)>,
    renewed: usize,
    skipped: usize,
    replaced: usize,
    disarmed: usize,
    abandoned: usize,
    killed: usize,
    refused: usize,
}

impl Hands {
    /// All at once, until the time is up.
    pub(super) async fn work(self) -> Result<Done, Failed> {
        let (first, second, third, stops, kills) =
            tokio::join!(self.control(0), self.control(1), self.control(2), self.stop_all(), self.kill());
        let mut all = Done::default();
        for done in [first?, second?, third?, stops?, kills?] {
            all.leases.extend(done.leases);
            all.stops.extend(done.stops);
            all.renewed += done.renewed;
            all.skipped += done.skipped;
            all.replaced += done.replaced;
            all.disarmed += done.disarmed;
            all.abandoned += done.abandoned;
            all.killed += done.killed;
            all.refused += done.refused;
        }
        for held in &mut all.leases {
            let stops = all.stops.iter().filter(|(asked, _)| *asked > held.granted);
            held.over = stops.map(|(_, done)| *done).fold(held.over, Instant::min);
        }
        Ok(all)
    }

    /// Arms one scenario again and again, and renews, skips, disarms or forgets it.
    async fn control(&self, which: usize) -> Result<Done, Failed> {
        let document = scenario(which, SHARES[0])?;
        let mut dice = Dice::new(self.seed, which as u64);
        let mut done = Done::default();
        let mut held: Option<Held> = None;
        while Instant::now() < self.until {
            sleep(Duration::from_millis(20 + dice.below(250))).await;
            let ttl = Duration::from_millis(200 + dice.below(1_300));
            let Some(holding) = &mut held else {
                let asked = Instant::now();
                match self.admin.arm(&document, ttl).await {
                    Ok(lease) => {
                        let granted = Instant::now();
                        held = Some(Held { lease, asked, granted, over: granted + ttl });
                    }
                    Err(AdminError::Refused(_)) => done.refused += 1,
                    Err(error) => return Err(error.into()),
                }
                continue;
            };
            let lease = holding.lease;
            let lives = match dice.below(10) {
                0..=4 => {
                    let skip = ["ramped", "full"].get(dice.below(4) as usize).copied();
                    let renewed = self.admin.renew(lease, ttl, skip).await;
                    done.renewed += usize::from(renewed.is_ok());
                    done.skipped += usize::from(renewed.is_ok() && skip.is_some());
                    if renewed.is_ok() {
                        holding.over = Instant::now() + ttl;
                    }
                    renewed.map(|()| true)
                }
                5 | 6 => {
                    let other = scenario(which, SHARES[dice.below(3) as usize])?;
                    let replaced = self.admin.replace(lease, &other, ttl).await;
                    done.replaced += usize::from(replaced.is_ok());
                    if replaced.is_ok() {
                        holding.over = Instant::now() + ttl;
                    }
                    replaced.map(|()| true)
                }
                7 | 8 => {
                    let disarmed = self.admin.disarm(lease).await;
                    done.disarmed += usize::from(disarmed.is_ok());
                    holding.over = holding.over.min(Instant::now());
                    disarmed.map(|()| false)
                }
                _ => {
                    done.abandoned += 1;
                    // As long as the lease may live: the next one is armed after it.
                    tokio::time::sleep_until(holding.over).await;
                    Ok(false)
                }
            };
            match lives {
                Ok(true) => {}
                // Refused: it ran out, or was stopped.
                Ok(false) | Err(AdminError::Refused(_)) => done.leases.extend(held.take()),
                Err(error) => return Err(error.into()),
            }
        }
        done.leases.extend(held);
        Ok(done)
    }

    /// `POST /v1/stop` now and then.
    async fn stop_all(&self) -> Result<Done, Failed> {
        let mut dice = Dice::new(self.seed, 10);
        let mut done = Done::default();
        while Instant::now() < self.until {
            sleep(Duration::from_millis(500 + dice.below(2_000))).await;
            let asked = Instant::now();
            self.admin.stop().await?;
            done.stops.push((asked, Instant::now()));
        }
        Ok(done)
    }

    /// The kill file appears and goes away again.
    async fn kill(&self) -> Result<Done, Failed> {
        let mut dice = Dice::new(self.seed, 11);
        let mut done = Done::default();
        while Instant::now() < self.until {
            sleep(Duration::from_millis(1_500 + dice.below(3_000))).await;
            let asked = Instant::now();
            std::fs::write(&self.kill_file, "")?;
            sleep(2 * KILLED_WITHIN).await;
            done.stops.push((asked, asked + KILLED_WITHIN));
            done.killed += 1;
            std::fs::remove_file(&self.kill_file)?;
        }
        Ok(done)
    }
}

fn scenario(which: usize, share: &str) -> Result<Document, Failed> {
    let (name, layer, fault) = SCENARIOS[which];
    let text = format!(
        "name: {name}\nseed: 7\ntarget: {{ protocol: open-inference }}\n\
         exposure: {{ unit: 'request.headers[\"x-user-id\"]', {layer}, share: {share} }}\n\
         phases:\n  - {{ name: ramped, lasts: 2s, inject: [{{ fault: {fault}, ramp: 1s }}] }}\n  \
         - {{ name: full, lasts: 1h, inject: [{{ fault: {fault} }}] }}\n"
    );
    Ok(compile(&Source::new("soak.yaml", text))?.document)
}

/// Choices that come again with the seed.
struct Dice {
    key: Key,
    hand: UnitHash,
    turn: u64,
}

impl Dice {
    fn new(seed: u64, hand: u64) -> Dice {
        Dice { key: Key::new(seed, "soak"), hand: UnitHash::from_u64(hand), turn: 0 }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.turn += 1;
        self.key.draw(self.hand, self.turn).bits() % limit
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} leases: {} renewed ({} with a skip), {} reloaded, {} disarmed, {} abandoned; {} stops, {} kill files, {} refused",
            self.leases.len(),
            self.renewed,
            self.skipped,
            self.replaced,
            self.disarmed,
            self.abandoned,
            self.stops.len() - self.killed,
            self.killed,
            self.refused
        )
    }
}
