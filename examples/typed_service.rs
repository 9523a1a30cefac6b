//! A model behind a plain tower service, without HTTP: canard perturbs its typed predictions.
//!
//! `cargo run --example typed_service` asks the same question for eight users and prints the answers.
#![expect(clippy::print_stdout, reason = "an example that shows what happens")]

use std::{convert::Infallible, error::Error, sync::Arc, time::Duration};

use canard::{
    layer::{
        Handle,
        typed::{Identity, PredictionLayer, Predictions},
    },
    scenario::{Source, compile},
    wire::{Row, Value},
};
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};

struct Loan {
    user: String,
    application: u32,
    income: f64,
}

/// The probability that the loan is paid back.
#[derive(Debug)]
struct Score(f64);

impl Predictions for Score {
    fn rows(&self) -> Vec<Row> {
        vec![Row { label: None, scores: vec![Value::Float(self.0)] }]
    }

    fn set_rows(&mut self, rows: &[Row]) {
        if let Some(score) = rows.first().and_then(|row| row.scores.first()).and_then(Value::as_f64) {
            self.0 = score;
        }
    }
}

/// `protocol` only says that there are predictions; the closure below names request and unit.
const SCENARIO: &str = "
name: typed
seed: 7
target: { protocol: open-inference }
exposure: { share: 50% }
phases:
  - name: broken
    lasts: 1m
    inject:
      - fault: { score-shift: { delta: -1.5 } }
      - fault: { latency: { uniform: { min: 5ms, max: 20ms } } }
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let handle = Handle::default();
    let identify = |loan: &Loan| Identity::of(loan.application.to_string()).unit(&loan.user);
    let mut service = ServiceBuilder::new().layer(PredictionLayer::new(handle.clone(), identify)).service(
        service_fn(|loan: Loan| async move {
            Ok::<_, Infallible>(Score(1.0 / (1.0 + (-(loan.income - 3000.0) / 1000.0).exp())))
        }),
    );

    let plan = compile(&Source::new("typed.yaml", SCENARIO))?;
    handle.arm(Arc::new(plan), Duration::from_secs(60))?;
    for application in 0..8 {
        let loan = Loan { user: format!("user-{application}"), application, income: 4000.0 };
        let user = loan.user.clone();
        let Score(score) = service.ready().await?.call(loan).await?;
        println!("{user}: {score:.3}");
    }
    handle.stop();
    for line in handle.ledger().lines() {
        println!("ledger: {} {}", line.fault, line.change);
    }
    Ok(())
}
