//! Samples: listed, looked at, moved, removed.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::live::names::{check_name_of, check_new_name};
use crate::vision;

use super::bodies::{self, OfClass};
use super::error::ApiError;
use super::hub::{Hub, blocking, place};
use super::state::seconds;

/// The most samples of an answer.
const PAGE: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    class: String,
    before: Option<i64>,
    limit: Option<usize>,
}

/// `GET /api/samples?class=&before=&limit=`: the newest first.
pub async fn list(
    State(hub): State<Arc<Hub>>,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Which { class, before, limit } = query?.0;
    let limit = limit.unwrap_or(60);
    if !(1..=PAGE).contains(&limit) {
        return Err(ApiError::bad(format!("limit is within 1 and {PAGE}")));
    }
    check_name_of(&class)?;
    blocking(move || {
        let mut samples =
            hub.read(|store| Ok(store.samples_before(&class, before.unwrap_or(i64::MAX), limit + 1)?))?;
        let more = samples.len() > limit;
        samples.truncate(limit);
        let sample = |sample: &crate::store::StoredSample| {
            json!({
                "id": sample.id,
                "class": sample.class,
                "source": sample.source,
                "time": seconds(sample.time),
                "bytes": sample.bytes,
            })
        };
        Ok(Json(json!({ "samples": samples.iter().map(sample).collect::<Value>(), "more": more })))
    })
    .await
}

/// `GET /api/samples/{id}/photo`: the file as it is kept.
pub async fn photo(State(hub): State<Arc<Hub>>, id: Result<Path<i64>, PathRejection>) -> Result<Response, ApiError> {
    let Path(id) = id?;
    blocking(move || {
        let photo = hub.read(|store| Ok(store.photo(id)?))?;
        Ok(picture(photo.into()))
    })
    .await
}

/// `GET /api/samples/{id}/thumbnail`
pub async fn thumbnail(
    State(hub): State<Arc<Hub>>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(id) = id?;
    if let Some(known) = hub.pictures.remembered(id) {
        return Ok(picture(known));
    }
    let place = place(&hub.thumbnails).await?;
    blocking(move || {
        let _place = place;
        let photo = || Ok::<_, ApiError>(vision::decode(&hub.read(|store| Ok(store.photo(id)?))?)?);
        Ok(picture(hub.pictures.thumbnail(id, photo)?))
    })
    .await
}

/// A picture that never changes, though another store may have another one of that number.
pub fn picture(bytes: Bytes) -> Response {
    let kind = match image::guess_format(&bytes) {
        Ok(format) => format.to_mime_type(),
        Err(_) => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=300")),
    ];
    (headers, bytes).into_response()
}

/// `PATCH /api/samples/{id}`
pub async fn relabel(
    State(hub): State<Arc<Hub>>,
    id: Result<Path<i64>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let Path(id) = id?;
    let OfClass { class } = bodies::json(&headers, body, bodies::JSON).await?;
    check_new_name(&class, &hub.state().classes)?;
    blocking(move || {
        hub.session.with(move |teacher| teacher.relabel(&[id], &class))??;
        hub.refresh()?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// `DELETE /api/samples/{id}`
pub async fn remove(State(hub): State<Arc<Hub>>, id: Result<Path<i64>, PathRejection>) -> Result<StatusCode, ApiError> {
    let Path(id) = id?;
    blocking(move || {
        hub.session.with(move |teacher| teacher.remove(&[id]))??;
        hub.refresh()?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
