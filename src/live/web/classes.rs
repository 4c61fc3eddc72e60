//! Classes: renamed, joined, removed.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::live::names::check_name_of;

use super::bodies;
use super::error::ApiError;
use super::hub::{Hub, blocking};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewName {
    name: String,
}

/// `PATCH /api/classes/{name}`: another name; if there is a class of that, both become one.
pub async fn rename(
    State(hub): State<Arc<Hub>>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let Path(name) = name?;
    let NewName { name: new } = bodies::json(&headers, body, bodies::JSON).await?;
    check_name_of(&new)?;
    blocking(move || {
        let samples = hub.session.with(move |teacher| teacher.store_mut().rename_class(&name, &new))??;
        hub.refresh()?;
        Ok(Json(json!({ "samples": samples })))
    })
    .await
}

/// `DELETE /api/classes/{name}`
pub async fn remove(
    State(hub): State<Arc<Hub>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, ApiError> {
    let Path(name) = name?;
    blocking(move || {
        let samples = hub.session.with(move |teacher| teacher.store_mut().remove_class(&name))??;
        hub.refresh()?;
        Ok(Json(json!({ "samples": samples })))
    })
    .await
}
