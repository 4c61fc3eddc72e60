//! Versions of the head: listed, gone back to, downloaded.

use std::io::Read;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::export;
use crate::learn::{Classifier, Model};
use crate::store::HeadVersion;

use super::beside;
use super::error::ApiError;
use super::hub::{Hub, blocking, place};
use super::state::seconds;

/// Bytes of a download at a time.
const CHUNK: usize = 64 * 1024;

/// `GET /api/heads`: the latest first.
pub async fn list(State(hub): State<Arc<Hub>>) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let heads = hub.read(|store| Ok(store.heads()?))?;
        let head = |head: &HeadVersion| {
            json!({
                "version": head.version,
                "time": seconds(head.time),
                "samples": head.samples,
                "bytes": head.bytes,
                "has_samples": head.has_samples,
            })
        };
        Ok(Json(json!({ "heads": heads.iter().map(head).collect::<Value>() })))
    })
    .await
}

/// `POST /api/heads/{version}/roll-back`
pub async fn roll_back(
    State(hub): State<Arc<Hub>>,
    version: Result<Path<i64>, PathRejection>,
) -> Result<Json<Value>, ApiError> {
    let Path(version) = version?;
    blocking(move || {
        let samples = hub.session.with(move |teacher| teacher.roll_back(version))??;
        hub.refresh()?;
        Ok(Json(json!({ "samples": samples })))
    })
    .await
}

/// `GET /api/heads/{version}/file`
pub async fn file(
    State(hub): State<Arc<Hub>>,
    version: Result<Path<i64>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(version) = version?;
    blocking(move || {
        let file = hub.read(|store| Ok(store.head(version)?))?;
        Ok(download(&format!("head-{version}.graft"), file.into()))
    })
    .await
}

/// `GET /api/download/head.graft`: the latest that was measured.
pub async fn download_head(State(hub): State<Arc<Hub>>) -> Result<Response, ApiError> {
    blocking(move || Ok(download("head.graft", latest(&hub)?.into()))).await
}

/// `GET /api/download/head.onnx`: trunk and head together.
pub async fn download_onnx(State(hub): State<Arc<Hub>>) -> Result<Response, ApiError> {
    // It holds the network twice.
    let place = place(&hub.heavy).await?;
    blocking(move || {
        let _place = place;
        let file = latest(&hub)?;
        let failed = |error: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error);
        let model = Model::parse(&file).map_err(|error| failed(error.to_string()))?;
        let classifier = Classifier::new(model, hub.trunk.clone()).map_err(|error| failed(error.to_string()))?;
        let source = (hub.about.source)().map_err(failed)?;
        let onnx = export::onnx(&classifier, source).map_err(|error| ApiError::conflict(error.to_string()))?;
        Ok(download("head.onnx", onnx.into()))
    })
    .await
}

fn latest(hub: &Hub) -> Result<Vec<u8>, ApiError> {
    let latest = hub.read(|store| Ok(store.latest_head()?))?;
    latest.map(|(_, file)| file).ok_or_else(|| ApiError::conflict("no head was measured yet"))
}

/// `GET /api/download/samples.store`: all that is in it, as it is now.
pub async fn download_store(State(hub): State<Arc<Hub>>) -> Result<Response, ApiError> {
    // One at a time: it is as large as the store, until it was read.
    let place = place(&hub.copies).await?;
    let (file, place) = blocking(move || {
        let store = hub.open_store()?;
        let failed = |error: std::io::Error| ApiError::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string());
        let folder = beside::folder(store.path())?;
        let path = folder.path().join("samples.store");
        store.copy_to(&path)?;
        // Its name is gone with the folder, the file with the download.
        Ok((std::fs::File::open(&path).map_err(failed)?, place))
    })
    .await?;
    let length = file.metadata().map_or(0, |file| file.len());
    let next = |state: Option<(std::fs::File, OwnedSemaphorePermit)>| async move {
        let (mut file, place) = state?;
        let read = blocking(move || {
            let mut bytes = vec![0; CHUNK];
            let length = file.read(&mut bytes).map_err(|_| ApiError::fault())?;
            bytes.truncate(length);
            Ok((bytes, file))
        });
        match read.await {
            Ok((bytes, _)) if bytes.is_empty() => None,
            Ok((bytes, file)) => Some((Ok(Bytes::from(bytes)), Some((file, place)))),
            // The connection is broken off, so that nobody takes it for whole.
            Err(error) => Some((Err(std::io::Error::other(error.message)), None)),
        }
    };
    let mut response = download("samples.store", Bytes::new());
    *response.body_mut() = Body::from_stream(stream::unfold(Some((file, place)), next));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

fn download(name: &str, bytes: Bytes) -> Response {
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")).expect("plain letters");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, bytes).into_response()
}
