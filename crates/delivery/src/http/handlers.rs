//! One handler for all operations, and one for the event stream.

use super::events::event_stream;
use super::{App, Observed};
use crate::api::{
    AckInbox, CONTENT_TYPE, ClaimKeyPackages, CountKeyPackages, CreateGroup, DeviceInfo,
    ERROR_HEADER, EVENTS_PATH, Encode, ErrorCode, FetchGroupInfo, FetchInbox, FetchLog,
    ListDevices, PublishKeyPackages, Register, SendMessage, SubmitCommit, SubmitProposal,
};
use crate::service::{Caller, Done, Operation, ServiceError};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE as TYPE_HEADER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is said to whoever comes without a token.
const NO_TOKEN: &str = "this takes the token of a device: register first";

type Shared = State<Arc<App>>;

pub(super) fn router(app: Arc<App>, max_body: usize) -> Router {
    fn route<O: Operation + Send + 'static>() -> MethodRouter<Arc<App>>
    where
        O::Reply: Send,
    {
        post(handle::<O>)
    }
    macro_rules! routes {
        ($($operation:ident)*) => {
            Router::new()$(.route(
                <$operation as crate::api::Call>::PATH,
                route::<$operation>(),
            ))*
        };
    }
    routes!(
        Register ListDevices PublishKeyPackages CountKeyPackages ClaimKeyPackages CreateGroup
        SubmitCommit SubmitProposal SendMessage FetchLog FetchGroupInfo FetchInbox AckInbox
    )
    .route(EVENTS_PATH, get(events))
    .fallback(unknown)
    .method_not_allowed_fallback(unknown)
    .layer(DefaultBodyLimit::max(max_body))
    .with_state(app)
}

/// The time, in seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn caller(app: &App, headers: &HeaderMap) -> Result<Option<DeviceInfo>, ServiceError> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|v| v.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| {
        ServiceError::new(ErrorCode::Unauthorized, "the authorization is not a bearer token")
    })?;
    app.service.authenticate(token).map(Some)
}

fn refusal(e: &ServiceError) -> Response {
    let status = StatusCode::from_u16(e.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let headers =
        [(TYPE_HEADER.as_str(), "text/plain; charset=utf-8"), (ERROR_HEADER, e.code.name())];
    (status, headers, format!("{}\n", e.detail)).into_response()
}

/// Authenticates, decodes, runs, tells whoever listens, encodes. On a thread that may block.
fn run<O: Operation>(
    app: &App,
    caller: Caller,
    body: &[u8],
) -> Result<(Vec<u8>, String), ServiceError> {
    let request = O::from_bytes(body).map_err(|e| {
        let detail = format!("the body is no {} request: {e}", O::NAME);
        ServiceError::new(ErrorCode::Malformed, detail)
    })?;
    let Done { reply, notices, seen } = request.run(&app.service, &caller)?;
    notices.iter().for_each(|notice| app.listeners.tell(notice));
    let reply = reply.to_bytes().map_err(|e| {
        ServiceError::new(ErrorCode::Unavailable, format!("the reply is too long: {e}"))
    })?;
    Ok((reply, seen))
}

fn respond<O: Operation>(
    app: &App,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let mut observed = Observed {
        operation: O::NAME,
        who: None,
        request_bytes: body.as_ref().map_or(0, Bytes::len),
        reply_bytes: 0,
        status: 200,
        summary: String::new(),
    };
    let result = body.map_err(body_error).and_then(|body| {
        let caller = Caller { device: caller(app, headers)?, now: now() };
        // Before anything is decoded: whoever has no token costs no more than its bytes.
        if caller.device.is_none() && !O::ANONYMOUS {
            return Err(ServiceError::new(ErrorCode::Unauthorized, NO_TOKEN));
        }
        observed.who = caller.device.as_ref().map(|d| d.device.clone());
        run::<O>(app, caller, &body)
    });
    let response = match result {
        Ok((reply, seen)) => {
            observed.reply_bytes = reply.len();
            observed.summary = seen;
            ([(TYPE_HEADER, CONTENT_TYPE)], reply).into_response()
        }
        Err(e) => {
            observed.status = e.code.status();
            observed.summary = e.to_string();
            refusal(&e)
        }
    };
    app.observe(&observed);
    response
}

async fn handle<O: Operation + 'static>(
    State(app): Shared,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    // The storage blocks, and checking signatures takes a while.
    let work = tokio::task::spawn_blocking(move || respond::<O>(&app, &headers, body));
    work.await.unwrap_or_else(|_| {
        refusal(&ServiceError::new(ErrorCode::Unavailable, "the operation came to no end"))
    })
}

fn body_error(e: BytesRejection) -> ServiceError {
    let code = match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
        _ => ErrorCode::Malformed,
    };
    ServiceError::new(code, e.body_text())
}

async fn unknown() -> Response {
    refusal(&ServiceError::new(ErrorCode::UnknownOperation, "there is no such operation"))
}

async fn events(State(app): Shared, headers: HeaderMap) -> Response {
    let known = {
        let app = app.clone();
        tokio::task::spawn_blocking(move || {
            caller(&app, &headers)?
                .map(|d| d.device)
                .ok_or_else(|| ServiceError::new(ErrorCode::Unauthorized, NO_TOKEN))
        })
        .await
    };
    let device = match known {
        Ok(Ok(device)) => device,
        Ok(Err(e)) => return refusal(&e),
        Err(_) => {
            return refusal(&ServiceError::new(ErrorCode::Unavailable, "no thread is free"));
        }
    };
    app.observe(&Observed {
        operation: "events",
        who: Some(device.clone()),
        request_bytes: 0,
        reply_bytes: 0,
        status: 200,
        summary: format!("{device} listens"),
    });
    let stream = event_stream(app, device);
    let headers = [(TYPE_HEADER, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(stream)).into_response()
}
