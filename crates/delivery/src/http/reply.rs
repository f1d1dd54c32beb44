//! A reply's body, which holds memory until it is written.

use super::gate::Busy;
use super::memory::Held;
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How many bytes go to the connection at once. They are copied, so that the reply's memory is given back when the
/// last of them has gone there.
const PART: usize = 16 << 10;

/// The bytes of a reply.
pub(super) struct Reply {
    bytes: Vec<u8>,
    sent: usize,
    _held: Held,
    _busy: Busy,
}

impl Reply {
    pub(super) fn new(bytes: Vec<u8>, held: Held, busy: Busy) -> Self {
        Self { bytes, sent: 0, _held: held, _busy: busy }
    }
}

impl hyper::body::Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let rest = self.bytes.get(self.sent..).unwrap_or_default();
        let part = rest.get(..PART).unwrap_or(rest);
        if part.is_empty() {
            return Poll::Ready(None);
        }
        let part = Bytes::copy_from_slice(part);
        self.sent += part.len();
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent >= self.bytes.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len().saturating_sub(self.sent) as u64)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let length = self.bytes.len().to_string();
        let headers = [
            (CONTENT_TYPE, conclave_delivery_api::CONTENT_TYPE),
            (CONTENT_LENGTH, length.as_str()),
        ];
        (headers, Body::new(self)).into_response()
    }
}
