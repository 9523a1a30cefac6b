//! The recorded traffic against the demo model, as the quick start plays it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use canard::{
    demo::Demo,
    traffic::{Generator, OnAnswer, Outcome, Recording},
};
use serde_json::Value;
use tokio::sync::Notify;

pub(crate) fn iris_traffic() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/traffic/iris.jsonl")
}

#[test]
fn every_user_asks_once_for_each_species() {
    let recording = Recording::load(iris_traffic()).unwrap();
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for request in recording.requests() {
        let user = request.headers["x-user-id"].to_str().unwrap();
        users.entry(user).or_default().push(request.label.as_deref().unwrap());
    }
    assert_eq!(users.len(), 300);
    for (user, labels) in &mut users {
        labels.sort_unstable();
        assert_eq!(labels[..], ["setosa", "versicolor", "virginica"], "{user}");
    }
}

#[tokio::test]
async fn the_demo_model_is_right_as_often_as_when_it_was_fitted() {
    let recording = Recording::load(iris_traffic()).unwrap();
    let requests = recording.requests().len();
    let demo = Demo::start().await.unwrap();
    let (answers, enough) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
    let on_answer: OnAnswer = {
        let (answers, enough) = (Arc::clone(&answers), Arc::clone(&enough));
        Arc::new(move |answer| {
            let Outcome::Answered(response) = answer.outcome else { panic!("{answer:?}") };
            let body: Value = serde_json::from_slice(&response.body).unwrap();
            let predicted = body["outputs"][0]["data"][0].as_str().map(str::to_owned);
            let mut answers = answers.lock().unwrap();
            answers.push((answer.number as usize, predicted == answer.request.label));
            if answers.iter().filter(|(number, _)| *number < requests).count() == requests {
                enough.notify_one();
            }
        })
    };
    let generator = Generator::to_addr(recording, "300/s".parse().unwrap(), demo.addr(), 7).unwrap();
    let tally = generator.on_answer(on_answer).run(enough.notified()).await;
    assert_eq!(tally.error_share(), Some(0.0), "{tally:?}");
    let answers = answers.lock().unwrap();
    let first_pass = answers.iter().filter(|(number, _)| *number < requests);
    let accuracy = first_pass.filter(|(_, right)| *right).count() as f64 / requests as f64;
    assert!((accuracy - 56.0 / 60.0).abs() < 1e-9, "{accuracy}");
}
