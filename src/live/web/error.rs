//! What a request is told that is not done.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::learn::{ImportError, LearnError, TeachError};
use crate::live::names::NameFault;
use crate::live::session::SessionError;
use crate::store::SampleStoreError;
use crate::trunk::RunError;
use crate::vision::DecodeError;

/// A status and one sentence.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
}

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// What was asked for means nothing.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// It means something, but cannot be done as things are.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// It is understood, and refused.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// A thread of ours has panicked, which was reported.
    pub fn fault() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault of the program; its messages say more")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.message }))).into_response();
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

impl From<SampleStoreError> for ApiError {
    fn from(error: SampleStoreError) -> Self {
        use SampleStoreError::{
            ClassName, DamagedPhoto, DiskFull, Forgotten, NoClass, NoHead, NoPending, NoSample, NothingToUndo, ReadOnly,
        };
        let status = match &error {
            NoSample { .. } | NoClass { .. } | NoHead { .. } | NoPending { .. } => StatusCode::NOT_FOUND,
            ClassName { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Forgotten { .. } | NothingToUndo | ReadOnly { .. } | DamagedPhoto { .. } => StatusCode::CONFLICT,
            DiskFull { .. } => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<NameFault> for ApiError {
    fn from(fault: NameFault) -> Self {
        match fault {
            NameFault::Name(error) => error.into(),
            NameFault::Markup => Self::refused(fault.to_string()),
            NameFault::TooMany => Self::conflict(fault.to_string()),
        }
    }
}

impl From<DecodeError> for ApiError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge { .. } | DecodeError::TooManyPixels { .. } => Self::too_large(error.to_string()),
            _ => Self::refused(format!("the photo cannot be used: {error}")),
        }
    }
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<TeachError> for ApiError {
    fn from(error: TeachError) -> Self {
        match error {
            TeachError::Store(error) => error.into(),
            TeachError::Decode(error) => error.into(),
            TeachError::Run(error) => error.into(),
            other => Self::refused(other.to_string()),
        }
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Teach(error) => error.into(),
            SessionError::NoStore | SessionError::NoFrame => Self::conflict(error.to_string()),
            SessionError::NotFinite(_) => Self::refused(error.to_string()),
            SessionError::Ended => Self::busy(error.to_string()),
        }
    }
}

impl From<LearnError> for ApiError {
    fn from(error: LearnError) -> Self {
        Self::conflict(error.to_string())
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(error) => error.into(),
            // Not the path of our temporary file.
            ImportError::Archive { reason, .. } => {
                Self::refused(format!("it cannot be read as a zip archive: {reason}"))
            }
            ImportError::Empty { .. } => {
                Self::refused("no photos are in this archive; it should hold one folder of photos per class")
            }
            ImportError::TooMuch { most, what, .. } => {
                Self::too_large(format!("more than {most} {what}; import it in parts"))
            }
            ImportError::Dataset(_) => Self::refused("it is no zip archive of photos"),
        }
    }
}

impl From<PathRejection> for ApiError {
    fn from(error: PathRejection) -> Self {
        Self::not_found(one_line(&error.body_text()))
    }
}

impl From<QueryRejection> for ApiError {
    fn from(error: QueryRejection) -> Self {
        Self::bad(one_line(&error.body_text()))
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
