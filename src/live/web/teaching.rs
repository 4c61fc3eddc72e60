//! Teaching what the camera sees.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::live::names::check_new_name;
use crate::live::session::SessionError;
use crate::store::Taught;

use super::bodies::{self, OfClass};
use super::error::ApiError;
use super::hub::{Hub, blocking, no_store};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    // Null, but not left out: who forgets it shall not end what another one holds.
    #[serde(deserialize_with = "Option::deserialize")]
    class: Option<String>,
    /// Who holds it: a page, or a program.
    #[serde(default)]
    holder: String,
    /// Whether it is the same hold as before, said again.
    #[serde(default)]
    renews: bool,
}

/// Characters of a holder's name.
const MAX_HOLDER: usize = 64;

/// `POST /api/teach`: the newest frame.
pub async fn teach(State(hub): State<Arc<Hub>>, headers: HeaderMap, body: Body) -> Result<Json<Value>, ApiError> {
    let OfClass { class } = bodies::json(&headers, body, bodies::JSON).await?;
    check_new_name(&class, &hub.state().classes)?;
    blocking(move || {
        let lesson = hub.session.teach(&class)?;
        hub.refresh()?;
        Ok(Json(taught_json(&hub, &lesson.taught, &class)?))
    })
    .await
}

/// `PUT /api/hold`: frames, for as long as it is said again.
pub async fn hold(State(hub): State<Arc<Hub>>, headers: HeaderMap, body: Body) -> Result<StatusCode, ApiError> {
    let Hold { class, holder, renews } = bodies::json(&headers, body, bodies::JSON).await?;
    let state = hub.state();
    state.revision.ok_or_else(no_store)?;
    if holder.chars().count() > MAX_HOLDER {
        return Err(ApiError::refused(format!("the holder's name has more than {MAX_HOLDER} characters")));
    }
    if class.is_some() && hub.seen().is_none() {
        return Err(SessionError::NoFrame.into());
    }
    if let Some(class) = &class {
        check_new_name(class, &state.classes)?;
    }
    if !renews || class.is_none() {
        hub.hold(class.as_deref(), &holder);
        return Ok(StatusCode::NO_CONTENT);
    }
    blocking(move || match hub.renew(&holder)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::conflict("this is not held any more: another page or button is, or it failed")),
    })
    .await
}

/// `POST /api/undo`
pub async fn undo(State(hub): State<Arc<Hub>>) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let undone = hub.session.with(|teacher| teacher.undo())??;
        hub.refresh()?;
        Ok(Json(json!({ "what": undone.what, "samples": undone.samples })))
    })
    .await
}

/// What came of a photo, and how many its class has now.
pub fn taught_json(hub: &Hub, taught: &Taught, class: &str) -> Result<Value, ApiError> {
    let classes = hub.read(|store| Ok(store.classes()?))?;
    let samples = classes.iter().find(|(name, _)| name == class).map_or(0, |(_, samples)| *samples);
    let what = match taught {
        Taught::New { .. } => "new",
        Taught::Moved { .. } => "moved",
        Taught::Known { .. } => "known",
    };
    Ok(json!({ "id": taught.id(), "class": class, "samples": samples, "taught": what }))
}
