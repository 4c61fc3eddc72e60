//! Frames that the head was not sure of.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::live::names::check_new_name;

use super::bodies::{self, OfClass};
use super::error::ApiError;
use super::hub::{Hub, blocking};
use super::samples::picture;
use super::state::seconds;

/// `GET /api/pending`
pub async fn list(State(hub): State<Arc<Hub>>) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let frames = hub.read(|store| Ok(store.pending()?))?;
        let frame = |frame: &crate::store::Pending| {
            json!({ "id": frame.id, "guess": frame.guess, "probability": frame.probability, "time": seconds(frame.time) })
        };
        Ok(Json(json!({ "frames": frames.iter().rev().map(frame).collect::<Value>() })))
    })
    .await
}

/// `GET /api/pending/{id}/photo`
pub async fn photo(State(hub): State<Arc<Hub>>, id: Result<Path<i64>, PathRejection>) -> Result<Response, ApiError> {
    let Path(id) = id?;
    blocking(move || Ok(picture(hub.read(|store| Ok(store.pending_photo(id)?))?.into()))).await
}

/// `PATCH /api/pending/{id}`: says what it shows; it is a sample then.
pub async fn label(
    State(hub): State<Arc<Hub>>,
    id: Result<Path<i64>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let Path(id) = id?;
    let OfClass { class } = bodies::json(&headers, body, bodies::JSON).await?;
    check_new_name(&class, &hub.state().classes)?;
    blocking(move || {
        hub.session.with(move |teacher| teacher.store_mut().label_pending(&[id], &class))??;
        hub.refresh()?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// `DELETE /api/pending/{id}`
pub async fn drop_frame(
    State(hub): State<Arc<Hub>>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path(id) = id?;
    blocking(move || {
        hub.session.with(move |teacher| teacher.store_mut().drop_pending(&[id]))??;
        hub.refresh()?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
