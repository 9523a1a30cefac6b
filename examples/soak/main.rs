//! Arm, renew, ramp, skip, reload, disarm, stop and kill at random under load, and hold every answer against what was armed.
//!
//! `cargo run --release --example soak -- [SECONDS] [REQUESTS PER SECOND] [SEED]`, by default two minutes at 2,000.
//!
//! Three controllers, each with a scenario in a slice or layer of its own, drive one sidecar through its admin API; they
//! renew their leases, put other shares in their place, let them run out as a controller does that was killed, or end them, while a fourth hand stops
//! everything now and then or puts the kill file there. What has to hold for every single request: it is answered; what
//! its answer's marks say is what its body shows and what the ledger says; it was perturbed only if it was under way
//! while that lease was in force; and the ledger has as many lines as the counters count.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod audit;
mod callers;
mod hands;

use std::{error::Error, sync::Arc, time::Duration};

use canard::{
    evidence::Rotation,
    sidecar::{Config, Sidecar, client::AdminClient},
};
use tokio::time::Instant;

use self::{audit::Audit, callers::Callers, hands::Hands};

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let seconds = numbers.next().transpose()?.unwrap_or(120);
    let rate = numbers.next().transpose()?.unwrap_or(2_000);
    let seed = numbers.next().transpose()?.unwrap_or(1);

    let folder = std::env::temp_dir().join(format!("canard-soak-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (ledger, kill_file) = (folder.join("ledger.jsonl"), folder.join("stop"));
    let upstream = callers::upstream().await?;
    let mut config = Config::new(format!("http://{upstream}").parse()?);
    config.ledger = Some(ledger.clone());
    config.kill_file = Some(kill_file.clone());
    config.layer_limits.ledger_rotation = Rotation { bytes: 4 << 30, keep: 1 };
    let mut sidecar = Sidecar::start(config)?;
    let admin_address = sidecar.admin_addr().ok_or("no admin API")?;
    let admin = AdminClient::new(&format!("http://{admin_address}"), None)?;

    let until = Instant::now() + Duration::from_secs(seconds);
    let callers = Arc::new(Callers::of(sidecar.listen_addr()));
    let (seen, hands) = tokio::join!(
        callers::load(callers, rate, until),
        Hands { admin: admin.clone(), kill_file, seed, until }.work(),
    );
    admin.stop().await?;
    let metrics = canard::monitor::HttpClient::new(admin.url(), None)?.get("/metrics").await?;
    sidecar.drain().await;

    let audit = Audit { seen, done: hands?, ledger: std::fs::read_to_string(&ledger)? };
    println!("{}", audit.done);
    let wrong = audit.check(&String::from_utf8(metrics.body.to_vec())?)?;
    std::fs::remove_dir_all(&folder)?;
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}
