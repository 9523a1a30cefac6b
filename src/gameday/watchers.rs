//! One task a monitor: it polls, answers queries between polls, and sends what it hears.
//!
//! A monitor that hangs holds up nobody but itself.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    clock::{self, Timestamp},
    monitor::{
        AlertSource, MonitorError, ProbeSource, PromqlValue, Reading,
        findings::{self, Findings},
    },
    scenario::AnswerCondition,
};

/// A poll or query that takes longer is a monitor that does not answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Guards are looked at at least so often.
pub(super) const GUARD: Duration = Duration::from_secs(1);
/// Characters of an answer that a reading quotes.
const QUOTED: usize = 120;

/// What a watcher heard.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) monitor: String,
    pub(super) at: Timestamp,
    pub(super) answer: Result<Reading, MonitorError>,
    /// What else the monitor wants to be known.
    pub(super) notices: Vec<String>,
}

enum Question {
    Promql { promql: String, reply: oneshot::Sender<Result<Vec<PromqlValue>, MonitorError>> },
    Why { question: Box<findings::Question>, reply: oneshot::Sender<Findings> },
}

/// Asks PromQL of the monitors that are being watched, and the probes.
#[derive(Clone, Default)]
pub(super) struct Desk {
    monitors: Vec<(String, mpsc::Sender<Question>)>,
    probes: Vec<(String, ProbeSource)>,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Question::Promql { promql, .. } => f.write_str(promql),
            Question::Why { question, .. } => f.write_str(&question.alert),
        }
    }
}

impl Desk {
    /// Is a query true: does it return anything other than nothing or zeros?
    pub(super) async fn ask(&self, monitor: &str, promql: &str) -> Result<(bool, String), MonitorError> {
        let gone = || MonitorError::Unreachable(format!("no monitor `{monitor}` is watched"));
        let (_, desk) = self.monitors.iter().find(|(name, _)| name == monitor).ok_or_else(gone)?;
        let (reply, answer) = oneshot::channel();
        let question = Question::Promql { promql: promql.to_owned(), reply };
        let exchange = async {
            desk.send(question).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        };
        let late = |_| MonitorError::Unreachable(format!("no answer within {} s", DEADLINE.as_secs()));
        let values = timeout(DEADLINE, exchange).await.map_err(late)??;
        let true_ones = values.iter().filter(|v| v.value != 0.0 && !v.value.is_nan());
        let shown: Vec<_> = true_ones.clone().take(3).map(|v| v.value.to_string()).collect();
        let reading =
            if shown.is_empty() { "nothing but zeros or no series".to_owned() } else { shown.join(", ") };
        Ok((true_ones.count() > 0, reading))
    }

    /// The names of the monitors.
    pub(super) fn monitors(&self) -> Vec<String> {
        self.monitors.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What a monitor can find out about an alert; nothing if it does not answer.
    pub(super) async fn examine(&self, monitor: &str, question: findings::Question) -> Findings {
        let Some((_, desk)) = self.monitors.iter().find(|(name, _)| name == monitor) else {
            return Findings::default();
        };
        let (reply, answer) = oneshot::channel();
        if desk.send(Question::Why { question: Box::new(question), reply }).await.is_err() {
            return Findings::default();
        }
        answer.await.unwrap_or_default()
    }

    /// Is a condition true of what a probe answers?
    pub(super) async fn probe(&self, name: &str, cel: &str) -> Result<(bool, String), MonitorError> {
        let gone = || MonitorError::Unsupported(format!("the stage has no probe `{name}`"));
        let (_, ask) = self.probes.iter().find(|(probe, _)| probe == name).ok_or_else(gone)?;
        let condition =
            AnswerCondition::compile(cel).map_err(|error| MonitorError::BadQuery(error.to_string()))?;
        let late = |_| MonitorError::Unreachable(format!("no answer within {} s", DEADLINE.as_secs()));
        let answer = timeout(DEADLINE, ask()).await.map_err(late)??;
        let shown: String = answer.body.to_string().chars().take(QUOTED).collect();
        let reading = format!("answered {} {shown}", answer.status);
        Ok(match condition.holds(answer.status, &answer.body) {
            Ok(truth) => (truth, reading),
            Err(error) => (false, format!("{reading}: {error}")),
        })
    }
}

/// Starts to watch every monitor; those that guards ask about alerts at least as often as guards are looked at.
pub(super) fn watch(
    monitors: Vec<(String, Box<dyn AlertSource>)>,
    probes: Vec<(String, ProbeSource)>,
    guarding: impl Fn(&str) -> bool,
    heard: mpsc::Sender<Heard>,
) -> (Desk, JoinSet<()>) {
    let (mut desk, mut tasks) = (Desk { monitors: Vec::new(), probes }, JoinSet::new());
    for (monitor, source) in monitors {
        let (ask, questions) = mpsc::channel(16);
        desk.monitors.push((monitor.clone(), ask));
        let pause = if guarding(&monitor) { source.interval().min(GUARD) } else { source.interval() };
        tasks.spawn(attend(monitor, source, pause, questions, heard.clone()));
    }
    (desk, tasks)
}

async fn attend(
    monitor: String,
    mut source: Box<dyn AlertSource>,
    pause: Duration,
    mut questions: mpsc::Receiver<Question>,
    heard: mpsc::Sender<Heard>,
) {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let late = || Err(MonitorError::Unreachable(format!("no answer within {} s", DEADLINE.as_secs())));
                let answer = timeout(DEADLINE, source.poll()).await.unwrap_or_else(|_| late());
                let notices = source.take_notices();
                let heard_now = Heard { monitor: monitor.clone(), at: clock::now(), answer, notices };
                if heard.send(heard_now).await.is_err() {
                    return;
                }
            }
            Some(question) = questions.recv() => {
                match question {
                    Question::Promql { promql, reply } => {
                        let _ = reply.send(source.query(&promql).await);
                    }
                    Question::Why { question, mut reply } => tokio::select! {
                        findings = source.examine(&question) => {
                            let _ = reply.send(findings);
                        }
                        () = reply.closed() => {}
                    },
                }
            }
        }
    }
}
