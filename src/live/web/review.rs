//! What is wrong with the samples, and how many more would help.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use crate::learn::{Checkup, Snapshot, checkup};

use super::error::ApiError;
use super::hub::{Hub, blocking, no_store};
use super::routes;

/// The most entries of each kind.
const MOST: usize = 50;

/// `GET /api/review`: takes seconds, on one core; the same samples are looked through once.
pub async fn review(State(hub): State<Arc<Hub>>) -> Result<Response, ApiError> {
    // Who comes meanwhile gets what the first one gets.
    let mut known = hub.reviewing.clone().lock_owned().await;
    let revision = hub.state().revision.ok_or_else(no_store)?;
    let found = match &*known {
        Some((of, found)) if *of == revision => found.clone(),
        // To its end, also where nobody waits for it any more: then it is there for the next one.
        _ => {
            let look = move || {
                let found = Bytes::from(look(&hub, revision)?.to_string());
                *known = Some((revision, found.clone()));
                Ok(found)
            };
            blocking(look).await?
        }
    };
    Ok(routes::json(found))
}

fn look(hub: &Hub, revision: i64) -> Result<Value, ApiError> {
    let snapshot = hub.session.with(|teacher| teacher.snapshot())??;
    if !snapshot.is_measurable() {
        return Err(ApiError::conflict("two classes with two samples each are the least that can be looked through"));
    }
    let look = || checkup(&snapshot, &hub.trunk);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let found = pool.map_or_else(|_| look(), |pool| pool.install(look))?;
    Ok(to_json(&found, &snapshot, revision))
}

fn to_json(found: &Checkup, snapshot: &Snapshot, revision: i64) -> Value {
    let Checkup { classes, counts, suspects, duplicates, confusions, advice } = found;
    let name = |class: u16| &classes[usize::from(class)];
    json!({
        "revision": revision,
        "suspects": suspects.iter().take(MOST).map(|(id, suspect)| {
            let class = name(snapshot.labels[suspect.sample]);
            json!({ "id": id, "class": class, "predicted": name(suspect.predicted), "probability": suspect.probability })
        }).collect::<Value>(),
        "duplicates": duplicates.iter().take(MOST).collect::<Vec<_>>(),
        "confusions": confusions.iter().take(MOST).map(|confusion| {
            let (class, of) = (name(confusion.truth), counts[usize::from(confusion.truth)]);
            json!({ "class": class, "predicted": name(confusion.predicted), "samples": confusion.samples, "of": of })
        }).collect::<Value>(),
        "advice": advice,
    })
}
