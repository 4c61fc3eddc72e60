//! What goes on for as long as somebody looks: events, and the live picture.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use super::error::ApiError;
use super::hub::{Hub, blocking};

/// Between two pictures; what no JPEG holds.
const BOUNDARY: &str = "topgraft-frame";
/// Proxies shall pass on what they get at once.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
const NO_STORE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// A server-sent event. JSON has no line breaks.
pub fn event(name: &str, value: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {value}\n\n"))
}

/// `GET /api/events`
pub async fn events(State(hub): State<Arc<Hub>>) -> Result<Response, ApiError> {
    let permit = hub.event_readers.clone().try_acquire_owned().map_err(|_| too_many())?;
    let (first, events) = hub.events();
    drop(hub);
    // The permit is given back when the reader goes.
    let next = |(mut first, mut events, permit): (
        std::vec::IntoIter<Bytes>,
        tokio::sync::broadcast::Receiver<_>,
        _,
    )| async move {
        if let Some(bytes) = first.next() {
            return Some((Ok::<_, std::convert::Infallible>(bytes), (first, events, permit)));
        }
        loop {
            match events.recv().await {
                Ok(bytes) => return Some((Ok(bytes), (first, events, permit))),
                // It was too slow, and goes on with what is there.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    };
    let body = Body::from_stream(stream::unfold((first.into_iter(), events, permit), next));
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(([kind, NO_STORE, UNBUFFERED], body).into_response())
}

/// `GET /api/stream`
pub async fn pictures(State(hub): State<Arc<Hub>>) -> Result<Response, ApiError> {
    let permit = hub.picture_readers.clone().try_acquire_owned().map_err(|_| too_many())?;
    let mut frames = hub.frames();
    frames.mark_unchanged();
    // The newest at once, as the camera may be slow.
    let first = newest(hub.clone()).await.ok();
    drop(hub);
    let start = Bytes::from(format!("--{BOUNDARY}\r\n"));
    let next = |(mut start, mut first, mut frames, permit): (
        Option<Bytes>,
        Option<Bytes>,
        tokio::sync::watch::Receiver<Option<Bytes>>,
        _,
    )| async move {
        if let Some(bytes) = start.take() {
            return Some((Ok::<_, std::convert::Infallible>(bytes), (start, first, frames, permit)));
        }
        if let Some(jpeg) = first.take() {
            return Some((Ok(part(&jpeg)), (start, first, frames, permit)));
        }
        loop {
            frames.changed().await.ok()?;
            let jpeg = frames.borrow_and_update().clone();
            if let Some(jpeg) = jpeg {
                return Some((Ok(part(&jpeg)), (start, first, frames, permit)));
            }
        }
    };
    let body = Body::from_stream(stream::unfold((Some(start), first, frames, permit), next));
    let kind = HeaderValue::from_static("multipart/x-mixed-replace; boundary=topgraft-frame");
    Ok(([(header::CONTENT_TYPE, kind), NO_STORE, UNBUFFERED], body).into_response())
}

/// A picture with the boundary behind it: browsers show a picture when it is over, and not when the next one begins.
fn part(jpeg: &[u8]) -> Bytes {
    let head = format!("Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
    let end = format!("\r\n--{BOUNDARY}\r\n");
    Bytes::from([head.as_bytes(), jpeg, end.as_bytes()].concat())
}

/// `GET /api/frame.jpg`
pub async fn frame(State(hub): State<Arc<Hub>>) -> Result<Response, ApiError> {
    let jpeg = newest(hub).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg")), NO_STORE], jpeg).into_response())
}

async fn newest(hub: Arc<Hub>) -> Result<Bytes, ApiError> {
    let seen = hub.seen().ok_or_else(|| ApiError::busy("the camera has not given a frame yet"))?;
    blocking(move || Ok(hub.pictures.frame(seen.number, &seen.frame))).await
}

fn too_many() -> ApiError {
    ApiError::busy("too many look already; close a page somewhere")
}
