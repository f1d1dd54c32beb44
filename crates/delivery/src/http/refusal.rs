//! A refusal as it goes out: what the service says, or the front before it.

use crate::service::{Limit, ServiceError, whole_seconds};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use conclave_delivery_api::{self as api, ERROR_HEADER, Encode, ErrorCode};
use std::time::Duration;

/// How soon to try again what could not be done just now, if nothing else is known.
const SOON: Duration = Duration::from_secs(1);

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: ServiceError,
}

impl Refusal {
    /// There was too much of something in too short a time.
    pub(super) fn too_fast(limit: &'static str, wait: Duration) -> Self {
        ServiceError::too_fast("requests or bytes", limit, wait).into()
    }

    /// There is too much of something just now.
    pub(super) fn overloaded(limit: &'static str, detail: &str) -> Self {
        let limit = Some(Limit { name: limit, wait: SOON });
        Self { error: ServiceError { limit, ..ServiceError::new(ErrorCode::Overloaded, detail) } }
    }

    /// The limit that was met, if it was one.
    pub(super) fn limit(&self) -> Option<&'static str> {
        self.error.limit.map(|limit| limit.name)
    }

    /// When to try again, if that may help.
    fn retry_after(&self) -> Option<Duration> {
        let soon = (self.error.code == ErrorCode::Unavailable).then_some(SOON);
        self.error.limit.map(|limit| limit.wait).or(soon)
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        Self { error }
    }
}

/// The body of a refusal, and its media type. Without details it is a sentence for people.
fn body(error: &ServiceError) -> (&'static str, Vec<u8>) {
    let details = error.details.as_deref().and_then(|details| {
        let detail = error.detail.as_bytes().into();
        api::Refusal { detail, details: details.clone() }.to_bytes().ok()
    });
    match details {
        Some(body) => (api::CONTENT_TYPE, body),
        None => ("text/plain; charset=utf-8", format!("{}\n", error.detail).into_bytes()),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = self.error.code;
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let (kind, body) = body(&self.error);
        let headers = [(CONTENT_TYPE.as_str(), kind), (ERROR_HEADER, code.name())];
        let mut response = (status, headers, body).into_response();
        if let Some(wait) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }
}
