//! What is where.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post, put};

use super::access::Access;
use super::guard::{self, Guard, file};
use super::hub::Hub;
use super::{classes, heads, pending, photos, review, samples, stream, teaching};

/// A file of the page: where it is, what it is, its bytes.
type PageFile = (&'static str, &'static str, &'static [u8]);

/// What is open to all: nothing in it is secret.
const FILES: [PageFile; 16] = [
    ("/", "text/html; charset=utf-8", include_bytes!("page/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_bytes!("page/page.css")),
    ("/icon.svg", "image/svg+xml", include_bytes!("page/icon.svg")),
    ("/favicon.ico", "image/svg+xml", include_bytes!("page/icon.svg")),
    ("/page.js", SCRIPT, include_bytes!("page/page.js")),
    ("/api.js", SCRIPT, include_bytes!("page/api.js")),
    ("/elements.js", SCRIPT, include_bytes!("page/elements.js")),
    ("/words.js", SCRIPT, include_bytes!("page/words.js")),
    ("/state.js", SCRIPT, include_bytes!("page/state.js")),
    ("/live.js", SCRIPT, include_bytes!("page/live.js")),
    ("/teach.js", SCRIPT, include_bytes!("page/teach.js")),
    ("/hold.js", SCRIPT, include_bytes!("page/hold.js")),
    ("/samples.js", SCRIPT, include_bytes!("page/samples.js")),
    ("/check.js", SCRIPT, include_bytes!("page/check.js")),
    ("/heads.js", SCRIPT, include_bytes!("page/heads.js")),
    ("/api/openapi.json", "application/json", include_bytes!("openapi.json")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

pub fn routes(hub: Arc<Hub>, access: Access) -> Router {
    let guard = Guard { hub: hub.clone(), access: Arc::new(access) };
    // What changes something, or takes much.
    let writes = Router::new()
        .route("/api/teach", post(teaching::teach))
        .route("/api/undo", post(teaching::undo))
        .route("/api/samples", post(photos::teach))
        .route("/api/classify", post(photos::classify))
        .route("/api/import", post(photos::import))
        .route("/api/samples/{id}", patch(samples::relabel).delete(samples::remove))
        .route("/api/classes/{name}", patch(classes::rename).delete(classes::remove))
        .route("/api/heads/{version}/roll-back", post(heads::roll_back))
        .route("/api/pending/{id}", patch(pending::label).delete(pending::drop_frame))
        .route("/api/review", get(review::review))
        .route_layer(from_fn_with_state(guard.clone(), guard::pace));
    let reads = Router::new()
        .route("/api/state", get(state))
        .route("/api/events", get(stream::events))
        .route("/api/stream", get(stream::pictures))
        .route("/api/frame.jpg", get(stream::frame))
        // It is said again and again while a button is held.
        .route("/api/hold", put(teaching::hold))
        .route("/api/samples", get(samples::list))
        .route("/api/samples/{id}/photo", get(samples::photo))
        .route("/api/samples/{id}/thumbnail", get(samples::thumbnail))
        .route("/api/heads", get(heads::list))
        .route("/api/heads/{version}/file", get(heads::file))
        .route("/api/download/head.graft", get(heads::download_head))
        .route("/api/download/head.onnx", get(heads::download_onnx))
        .route("/api/download/samples.store", get(heads::download_store))
        .route("/api/pending", get(pending::list))
        .route("/api/pending/{id}/photo", get(pending::photo));
    let api = writes.merge(reads).route_layer(from_fn_with_state(guard.clone(), guard::token));
    let open = FILES
        .iter()
        .fold(Router::new(), |open, (path, kind, bytes)| open.route(path, get(|| async { file(kind, bytes) })));
    let login = Router::new().route("/api/login", post(guard::login)).with_state(guard.clone());
    Router::new()
        .merge(api)
        .merge(open)
        .with_state(hub)
        .merge(login)
        .fallback(guard::no_such_path)
        .method_not_allowed_fallback(guard::no_such_method)
        .layer(from_fn_with_state(guard, guard::own))
}

/// `GET /api/state`
async fn state(State(hub): State<Arc<Hub>>) -> Response {
    json(hub.state().json.clone())
}

/// Bytes that are JSON already.
pub fn json(bytes: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, bytes).into_response()
}
