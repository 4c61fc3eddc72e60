//! Before every request: is it meant for this page, does it come from it, and may it?

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::access::Access;
use super::bodies::{self, json};
use super::error::ApiError;
use super::hub::Hub;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// What every answer says to browsers: nothing from elsewhere, in no other page, and what it is called is what it is.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
             manifest-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// What the checks need.
#[derive(Clone)]
pub struct Guard {
    pub hub: Arc<Hub>,
    pub access: Arc<Access>,
}

/// Refuses what is not meant for this page, or does not come from it, whatever it asks for.
pub async fn own(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match check_own(&guard, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

fn check_own(guard: &Guard, request: &Request) -> Result<(), ApiError> {
    let from = |request: &Request| {
        request
            .extensions()
            .get::<Peer>()
            .map_or("somebody".to_owned(), |Peer(address)| address.to_canonical().to_string())
    };
    let host = host(request.uri(), request.headers())?;
    if !guard.access.is_own_host(host) {
        guard.hub.refuse("host", || {
            format!(
                "refused a request from {}: this is not {host:?}; if it is, add it to hosts of [web]",
                from(request)
            )
        });
        let message = "this machine is not called that; use its address, or add the name to hosts of [web]";
        return Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, message));
    }
    if !is_same_origin(request.method(), request.headers(), host) {
        guard
            .hub
            .refuse("origin", || format!("refused a request from {} that another site's page sent", from(request)));
        return Err(ApiError::new(StatusCode::FORBIDDEN, "requests of other sites' pages are refused"));
    }
    Ok(())
}

/// What the page is called in this request.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, other) = (hosts.next(), hosts.next());
    let host = match (uri.authority(), host) {
        (Some(authority), _) => Some(authority.as_str()),
        (None, host) => host.and_then(|host| host.to_str().ok()),
    };
    host.filter(|_| other.is_none()).ok_or_else(|| ApiError::bad("a request names one host"))
}

/// Whether a request comes from this page, or from no page: browsers say so of all that can do harm.
fn is_same_origin(method: &Method, headers: &HeaderMap, host: &str) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if let Some(origin) = text(header::ORIGIN) {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        return authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host));
    }
    match text(HeaderName::from_static("sec-fetch-site")) {
        // A link to the page, or its address typed, is no danger where nothing changes; its files are for nobody else.
        Some("same-origin" | "none") | None => true,
        Some(_) => is_safe && text(HeaderName::from_static("sec-fetch-dest")) == Some("document"),
    }
}

/// Refuses who has not shown the token.
pub async fn token(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied().filter(|_| shows_token(request.headers()));
    if let Some(Err(error)) = peer.map(|Peer(peer)| may_guess(&guard, peer)) {
        return error.into_response();
    }
    if guard.access.is_granted(request.headers()) {
        return next.run(request).await;
    }
    if let Some(Peer(peer)) = peer {
        wrong_token(&guard, peer);
    }
    let mut response =
        ApiError::new(StatusCode::UNAUTHORIZED, "this needs the token that was printed at the start").into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Refuses who changes too much in too short a time.
pub async fn pace(
    State(guard): State<Guard>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if !guard.hub.writes.take(peer.0, Instant::now()) {
        guard.hub.refuse("pace", || format!("refused requests from {}: too many", peer.0.to_canonical()));
        return ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too many changes at once; wait a second").into_response();
    }
    next.run(request).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    token: String,
}

/// `POST /api/login`: the token for a cookie, as browsers send no headers for pictures and events.
pub async fn login(
    State(guard): State<Guard>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    may_guess(&guard, peer)?;
    let Login { token } = json(&headers, body, bodies::JSON).await?;
    match guard.access.cookie(&token) {
        Some(cookie) => Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()),
        // Nothing to log in to.
        None if guard.access.is_granted(&HeaderMap::new()) => Ok(StatusCode::NO_CONTENT.into_response()),
        None => {
            wrong_token(&guard, peer);
            Err(ApiError::new(StatusCode::UNAUTHORIZED, "this is not the token"))
        }
    }
}

/// Who has guessed too often is not even told whether this one is right. A cookie is no guess.
fn may_guess(guard: &Guard, peer: IpAddr) -> Result<(), ApiError> {
    match guard.hub.logins.has_left(peer, Instant::now()) {
        true => Ok(()),
        false => Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; wait some seconds")),
    }
}

fn wrong_token(guard: &Guard, peer: IpAddr) {
    guard.hub.refuse("token", || format!("refused a wrong token from {}", peer.to_canonical()));
    guard.hub.logins.take(peer, Instant::now());
}

fn shows_token(headers: &HeaderMap) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|value| !value.is_empty())
}

/// What is no part of the API.
pub async fn no_such_path() -> ApiError {
    ApiError::not_found("there is nothing here; /api/openapi.json says what there is")
}

/// What cannot be done to it.
pub async fn no_such_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here; /api/openapi.json says what can")
}

/// A file of the page.
pub fn file(kind: &'static str, bytes: &'static [u8]) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        // A new version of the program has a new page.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Bytes::from_static(bytes)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sites_pages_are_told_by_what_browsers_send() {
        let same = |method: Method, pairs: &[(&'static str, &'static str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_same_origin(&method, &pairs.collect(), "camera.local:8080")
        };
        assert!(same(Method::POST, &[]), "curl sends none of these");
        assert!(same(Method::POST, &[("origin", "http://camera.local:8080")]));
        assert!(same(Method::POST, &[("origin", "https://Camera.local:8080")]), "behind a proxy");
        for origin in
            ["http://evil.example", "null", "http://camera.local", "http://camera.local:8080.evil.example", ""]
        {
            assert!(!is_same_origin(
                &Method::POST,
                &[(header::ORIGIN, HeaderValue::from_static(origin))].into_iter().collect(),
                "camera.local:8080"
            ));
        }
        assert!(!same(Method::POST, &[("sec-fetch-site", "cross-site")]));
        assert!(same(Method::GET, &[("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")]), "a link");
        assert!(!same(Method::GET, &[("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "image")]));
        assert!(same(Method::GET, &[("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "image")]));
    }
}
