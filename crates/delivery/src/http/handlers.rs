//! One handler for all operations, and one for the event stream.

use super::app::{App, Observed};
use super::events::event_stream;
use crate::api::{
    AckInbox, CONTENT_TYPE, ClaimKeyPackages, CountKeyPackages, CreateGroup, DeviceInfo,
    ERROR_HEADER, EVENTS_PATH, Encode, ErrorCode, FetchGroupInfo, FetchInbox, FetchLog,
    ListDevices, PublishKeyPackages, Register, SendMessage, SubmitCommit, SubmitProposal,
    WithdrawKeyPackages,
};
use crate::service::{Caller, Done, Operation, ServiceError};
use crate::storage::Storage;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE as TYPE_HEADER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use conclave_mls::UnixTime;
use futures_util::TryStreamExt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is said to whoever comes without a token.
const NO_TOKEN: &str = "this takes the token of a device: register first";

type Shared<S> = State<Arc<App<S>>>;

/// The longest body of a request that is not [long](Operation::LONG), in bytes.
const SHORT_BODY: usize = 64 << 10;

pub(super) fn router<S: Storage>(app: Arc<App<S>>) -> Router {
    fn route<S: Storage, O: Operation + Send + 'static>() -> MethodRouter<Arc<App<S>>>
    where
        O::Reply: Send,
    {
        post(handle::<S, O>)
    }
    macro_rules! routes {
        ($($operation:ident)*) => {
            Router::new()$(.route(
                <$operation as crate::api::Call>::PATH,
                route::<S, $operation>(),
            ))*
        };
    }
    routes!(
        Register ListDevices PublishKeyPackages CountKeyPackages WithdrawKeyPackages
        ClaimKeyPackages CreateGroup SubmitCommit SubmitProposal SendMessage FetchLog FetchGroupInfo
        FetchInbox AckInbox
    )
    .route(EVENTS_PATH, get(events::<S>))
    .fallback(unknown)
    .method_not_allowed_fallback(unknown)
    .with_state(app)
}

/// The time by the system's clock.
pub(super) fn now() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::since_unix_epoch(elapsed).unwrap_or(UnixTime::MAX)
}

/// Whose token came with a request.
fn caller<S: Storage>(app: &App<S>, headers: &HeaderMap) -> Result<DeviceInfo, ServiceError> {
    let refuse = |detail| ServiceError::new(ErrorCode::Unauthorized, detail);
    let value = headers.get(AUTHORIZATION).ok_or_else(|| refuse(NO_TOKEN))?;
    let token = value.to_str().ok().and_then(|v| v.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| refuse("the authorization is not a bearer token"))?;
    app.service.authenticate(token)
}

/// Does something on a thread that may block: the storage does, and checking signatures takes a
/// while.
async fn blocking<S: Storage, R: Send + 'static>(
    app: &Arc<App<S>>,
    work: impl FnOnce(&App<S>) -> R + Send + 'static,
) -> Result<R, ServiceError> {
    let app = app.clone();
    let done = tokio::task::spawn_blocking(move || work(&app)).await;
    done.map_err(|_| ServiceError::new(ErrorCode::Unavailable, "the operation came to no end"))
}

/// Reads a body, and keeps it if it has `longest` bytes at most. A longer one is read on, up to what
/// the server takes at all: a client that is still writing would not see the answer.
async fn read_body<S>(app: &App<S>, body: Body, longest: usize) -> Result<Vec<u8>, ServiceError> {
    let mut chunks = body.into_data_stream();
    let mut kept = Vec::new();
    let reading = async {
        let mut length = 0usize;
        while let Some(chunk) = chunks.try_next().await? {
            length = length.saturating_add(chunk.len());
            if length <= longest {
                kept.extend_from_slice(&chunk);
            } else if length <= app.max_body {
                kept = Vec::new();
            } else {
                break;
            }
        }
        Ok::<usize, axum::Error>(length)
    };
    let refuse = |code, detail: String| Err(ServiceError::new(code, detail));
    match tokio::time::timeout(app.patience, reading).await {
        Ok(Ok(length)) if length <= longest => Ok(kept),
        Ok(Ok(_)) => {
            refuse(ErrorCode::TooLarge, format!("such a request has at most {longest} bytes"))
        }
        Ok(Err(e)) => refuse(ErrorCode::Malformed, e.to_string()),
        Err(_) => refuse(ErrorCode::Unavailable, "the request did not come in time".into()),
    }
}

fn refusal(e: &ServiceError) -> Response {
    let status = StatusCode::from_u16(e.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let headers =
        [(TYPE_HEADER.as_str(), "text/plain; charset=utf-8"), (ERROR_HEADER, e.code.name())];
    (status, headers, format!("{}\n", e.detail)).into_response()
}

/// Decodes, runs, tells whoever listens, encodes.
fn run<S: Storage, O: Operation>(
    app: &App<S>,
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

fn respond<S: Storage, O: Operation>(
    app: &App<S>,
    device: Result<Option<DeviceInfo>, ServiceError>,
    body: Result<Vec<u8>, ServiceError>,
) -> Response {
    let mut observed = Observed {
        operation: O::NAME,
        who: device.as_ref().ok().and_then(|d| d.as_ref()).map(|d| d.device.clone()),
        request_bytes: body.as_ref().map_or(0, Vec::len),
        reply_bytes: 0,
        status: 200,
        summary: String::new(),
    };
    let result = device.and_then(|device| run::<S, O>(app, Caller { device, now: now() }, &body?));
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

async fn handle<S: Storage, O: Operation + 'static>(
    State(app): Shared<S>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    // Who calls comes before what: of whoever has no token, nothing is kept. A device that registers
    // again may still carry the token of another service's making, so that one is not looked at.
    let device = match O::ANONYMOUS {
        true => Ok(None),
        false => blocking(&app, move |app| caller(app, &headers).map(Some)).await.flatten(),
    };
    let longest = match (&device, O::LONG) {
        (Err(_), _) => 0,
        (Ok(_), true) => app.max_body,
        (Ok(_), false) => app.max_body.min(SHORT_BODY),
    };
    let body = read_body(&app, body, longest).await;
    let response = blocking(&app, move |app| respond::<S, O>(app, device, body)).await;
    response.unwrap_or_else(|e| refusal(&e))
}

async fn unknown() -> Response {
    refusal(&ServiceError::new(ErrorCode::UnknownOperation, "there is no such operation"))
}

async fn events<S: Storage>(State(app): Shared<S>, headers: HeaderMap) -> Response {
    let known = blocking(&app, move |app| caller(app, &headers)).await.flatten();
    let device = match known {
        Ok(known) => known.device,
        Err(e) => return refusal(&e),
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
