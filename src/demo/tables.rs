//! Two more models on tables: who gets a credit (KServe V1), and what a house costs (MLflow).
//!
//! Both are formulas, not fits: they exist so that faults on groups, on named features and on regressions have
//! something to act on. Group `b` earns a little less in the recorded requests, so its share of approvals is
//! lower from the start, as it is in life.

use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

/// The routes.
pub(super) fn router() -> Router {
    Router::new().route("/v1/models/credit:predict", post(credit)).route("/invocations", post(house))
}

#[derive(Deserialize)]
struct Applications {
    instances: Vec<Application>,
}

/// One who asks for a credit. What is missing counts as 0.
#[derive(Deserialize)]
struct Application {
    age: Option<f64>,
    /// Thousands a year.
    income: Option<f64>,
    /// Thousands.
    debt: Option<f64>,
}

async fn credit(body: Bytes) -> Response {
    let applications: Applications = match serde_json::from_slice(&body) {
        Ok(applications) => applications,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response();
        }
    };
    let predictions: Vec<Value> = applications.instances.iter().map(Application::judge).collect();
    Json(json!({ "predictions": predictions })).into_response()
}

impl Application {
    fn judge(&self) -> Value {
        let number = |value: Option<f64>| value.unwrap_or_default();
        let (age, income, debt) = (number(self.age), number(self.income), number(self.debt));
        let logit = 0.08 * (income - 45.0) - 0.12 * (debt - 10.0) + 0.01 * (age - 40.0);
        let approve = 1.0 / (1.0 + (-logit).exp());
        let label = if approve >= 0.5 { "approve" } else { "decline" };
        json!({ "label": label, "probabilities": [1.0 - approve, approve] })
    }
}

#[derive(Deserialize)]
struct Houses {
    dataframe_split: Table,
}

#[derive(Deserialize)]
struct Table {
    columns: Vec<String>,
    data: Vec<Vec<Option<f64>>>,
}

async fn house(body: Bytes) -> Response {
    let table: Table = match serde_json::from_slice::<Houses>(&body) {
        Ok(houses) => houses.dataframe_split,
        Err(error) => {
            let error = json!({ "error_code": "BAD_REQUEST", "message": error.to_string() });
            return (StatusCode::BAD_REQUEST, Json(error)).into_response();
        }
    };
    let cell = |row: &Vec<Option<f64>>, name: &str| {
        let column = table.columns.iter().position(|column| column == name);
        column.and_then(|column| *row.get(column)?).unwrap_or_default()
    };
    // Thousands: by the square metre, the room, and what age takes off.
    let price = |row| 2.5 * cell(row, "area") + 15.0 * cell(row, "rooms") - 0.8 * cell(row, "age") + 40.25;
    let predictions: Vec<f64> = table.data.iter().map(price).collect();
    Json(json!({ "predictions": predictions })).into_response()
}
