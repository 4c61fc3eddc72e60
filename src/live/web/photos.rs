//! Photos that come over the network: taught, classified, imported.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use image::RgbImage;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::learn::{self, ImportLimits};
use crate::live::names::{MOST_CLASSES, check_new_name};
use crate::live::session::{Classified, UNKNOWN};
use crate::store::{Features, NewSample};
use crate::vision::{Preprocessor, decode_within, encode_jpeg};

use super::bodies::{self, OfClass};
use super::error::ApiError;
use super::hub::{Hub, blocking, no_store, place};
use super::picture;
use super::state::classes_json;
use super::teaching::taught_json;

/// The most pixels of a photo: those of a phone; at most 200 MB while they are decoded and turned.
const PIXELS: u64 = 25_000_000;

/// `POST /api/samples?class=`: one that was taken elsewhere.
pub async fn teach(
    State(hub): State<Arc<Hub>>,
    query: Result<Query<OfClass>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let OfClass { class } = query?.0;
    let state = hub.state();
    state.revision.ok_or_else(no_store)?;
    check_new_name(&class, &state.classes)?;
    let (bytes, place) = received(&hub, &headers, body).await?;
    blocking(move || {
        let _place = place;
        let (photo, features) = featured(&hub, bytes)?;
        let (trunk, name) = (hub.trunk.fingerprint(), class.clone());
        let lesson = hub.session.with(move |teacher| {
            let features = Some(Features { trunk, numbers: &features });
            let (photo, time) = (&photo[..], SystemTime::now());
            teacher.teach_sample(&NewSample { photo, class: &name, source: "upload", time, features }, None)
        })??;
        hub.refresh()?;
        Ok((StatusCode::CREATED, Json(taught_json(&hub, &lesson.taught, &class)?)))
    })
    .await
}

/// The bytes of a photo, and the right to decode them.
async fn received(hub: &Hub, headers: &HeaderMap, body: Body) -> Result<(Bytes, OwnedSemaphorePermit), ApiError> {
    let _incoming = place(&hub.incoming).await?;
    let bytes = bodies::photo(headers, body).await?;
    Ok((bytes, place(&hub.heavy).await?))
}

/// A photo as it is kept, and what the trunk makes of that.
fn featured(hub: &Hub, bytes: Bytes) -> Result<(Bytes, Vec<f32>), ApiError> {
    let photo = decode_within(&bytes, PIXELS)?;
    let Some(smaller) = picture::kept(&photo) else {
        let features = features(hub, &photo)?;
        return Ok((bytes, features));
    };
    drop(photo);
    // Of what is kept, decoded, so that it gives the same features at any time.
    let bytes = Bytes::from(encode_jpeg(&smaller));
    let features = features(hub, &decode_within(&bytes, PIXELS)?)?;
    Ok((bytes, features))
}

fn features(hub: &Hub, photo: &RgbImage) -> Result<Vec<f32>, ApiError> {
    let mut preprocessor = Preprocessor::new(hub.trunk.preprocess()).expect("a trunk has checked its preprocessing");
    Ok(hub.trunk.features(preprocessor.apply(photo))?)
}

/// `POST /api/classify`
pub async fn classify(State(hub): State<Arc<Hub>>, headers: HeaderMap, body: Body) -> Result<Json<Value>, ApiError> {
    let (bytes, place) = received(&hub, &headers, body).await?;
    blocking(move || {
        let _place = place;
        let features = features(&hub, &decode_within(&bytes, PIXELS)?)?;
        let classified = hub.session.classify(features)?;
        let Classified { prediction, labels } =
            classified.ok_or_else(|| ApiError::conflict("there is no head yet: teach two classes"))?;
        let label = match prediction.unknown {
            Some(true) => UNKNOWN,
            _ => &labels[usize::from(prediction.class())],
        };
        let classes = classes_json(&labels, &prediction.probabilities);
        Ok(Json(json!({ "label": label, "unknown": prediction.unknown, "classes": classes })))
    })
    .await
}

/// `POST /api/import`: a zip of folders of photos, as much as the store may hold.
pub async fn import(State(hub): State<Arc<Hub>>, headers: HeaderMap, body: Body) -> Result<Json<Value>, ApiError> {
    let limits = hub.state().limits().ok_or_else(no_store)?;
    let place = place(&hub.archives).await?;
    let store = hub.read(|store| Ok(store.path().to_path_buf()))?;
    let folder = bodies::archive(&headers, body, &store).await?;
    blocking(move || {
        let _place = place;
        // Beside the loop, which sees it within a second.
        let (mut store, path) = (hub.open_store()?, folder.path().join(bodies::ARCHIVE_NAME));
        // What is imported takes no other sample's place.
        let usage = store.usage()?;
        let (photos, bytes) = (limits.samples.saturating_sub(usage.samples), limits.bytes.saturating_sub(usage.bytes));
        if photos == 0 || bytes == 0 {
            return Err(ApiError::conflict(
                "the store is full; remove something and compact it, or raise its [limits]",
            ));
        }
        let limits = ImportLimits { photos, bytes, pixels: PIXELS, classes: MOST_CLASSES, may_have_markup: false };
        let imported = learn::import(&mut store, &path, limits, || {})?;
        let name = path.display().to_string();
        let skipped = imported.skipped.iter().map(|skipped| skipped.replace(&name, "the archive"));
        Ok(Json(json!({
            "new": imported.new,
            "known": imported.known,
            "moved": imported.moved.len(),
            "skipped": skipped.collect::<Vec<_>>(),
        })))
    })
    .await
}
