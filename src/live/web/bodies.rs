//! What comes in: never more than it may be, and never for ever.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::beside;
use super::error::ApiError;
use super::hub::blocking;

/// Bytes of a JSON body,
pub const JSON: usize = 16 * 1024;
/// of a photo,
pub const PHOTO: usize = 20 << 20;
/// and of an archive.
pub const ARCHIVE: usize = 200 << 20;
/// What it is called then, also by what can be undone.
pub const ARCHIVE_NAME: &str = "photos.zip";
/// How long a JSON body may take,
const SOON: Duration = Duration::from_secs(20);
/// a photo,
const LATER: Duration = Duration::from_secs(60);
/// an archive,
const AT_LAST: Duration = Duration::from_secs(600);
/// and any of them until more of it comes.
const IDLE: Duration = Duration::from_secs(10);

/// The class that something is of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfClass {
    pub class: String,
}

/// A JSON object.
pub async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body, most: usize) -> Result<T, ApiError> {
    if kind(headers) != "application/json" {
        return Err(wrong_kind("application/json"));
    }
    let bytes = read(headers, body, most, SOON).await?;
    let wrong = |error: serde_json::Error| ApiError::bad(format!("the body: {error}"));
    // An object: what is read from one could be read from an array, too.
    let object: Map<String, Value> = serde_json::from_slice(&bytes).map_err(wrong)?;
    serde_json::from_value(Value::Object(object)).map_err(wrong)
}

/// The bytes of a photo's file.
pub async fn photo(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    // What it is its content says; a phone may call it nothing.
    let kind = kind(headers);
    if !kind.is_empty() && kind != "application/octet-stream" && !kind.starts_with("image/") {
        return Err(wrong_kind("image/jpeg, image/png, image/webp, image/gif or image/bmp"));
    }
    read(headers, body, PHOTO, LATER).await
}

/// A zip archive, as `photos.zip` in a folder of its own.
pub async fn archive(headers: &HeaderMap, body: Body, store: &Path) -> Result<TempDir, ApiError> {
    if !["application/zip", "application/x-zip-compressed"].contains(&kind(headers).as_str()) {
        return Err(wrong_kind("application/zip"));
    }
    check_length(headers, ARCHIVE)?;
    let failed = |error: std::io::Error| ApiError::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string());
    let (folder, start) = (beside::folder(store)?, Instant::now());
    let mut file = File::create_new(folder.path().join(ARCHIVE_NAME)).map_err(failed)?;
    let (mut stream, mut length) = (body.into_data_stream(), 0);
    loop {
        let chunk = tokio::time::timeout(IDLE, stream.next()).await.map_err(|_| too_slow())?;
        let Some(chunk) = chunk.transpose().map_err(|_| broken_off())? else { break };
        length += chunk.len();
        if start.elapsed() > AT_LAST {
            return Err(too_slow());
        }
        if length > ARCHIVE {
            return Err(too_large(ARCHIVE));
        }
        file = blocking(move || file.write_all(&chunk).map(|()| file).map_err(failed)).await?;
    }
    Ok(folder)
}

async fn read(headers: &HeaderMap, body: Body, most: usize, within: Duration) -> Result<Bytes, ApiError> {
    check_length(headers, most)?;
    let length = body.size_hint().exact().map_or(0, |length| length.min(most as u64) as usize);
    let collect = async {
        let mut stream = body.into_data_stream();
        let mut bytes = Vec::with_capacity(length);
        loop {
            let chunk = tokio::time::timeout(IDLE, stream.try_next()).await.map_err(|_| too_slow())?;
            let Some(chunk) = chunk.map_err(|_| broken_off())? else { break };
            if bytes.len() + chunk.len() > most {
                return Err(too_large(most));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Bytes::from(bytes))
    };
    tokio::time::timeout(within, collect).await.map_err(|_| too_slow())?
}

/// Before anything is read.
fn check_length(headers: &HeaderMap, most: usize) -> Result<(), ApiError> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length.is_some_and(|length| length > most as u64) {
        true => Err(too_large(most)),
        false => Ok(()),
    }
}

/// The media type without what follows it.
fn kind(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn wrong_kind(expected: &str) -> ApiError {
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the body is sent as {expected}, with that Content-Type"))
}

fn too_large(most: usize) -> ApiError {
    ApiError::too_large(match most >> 20 {
        0 => format!("the body is larger than {} kB", most >> 10),
        megabytes => format!("the body is larger than {megabytes} MB"),
    })
}

fn too_slow() -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
}

fn broken_off() -> ApiError {
    ApiError::bad("the body was broken off")
}
