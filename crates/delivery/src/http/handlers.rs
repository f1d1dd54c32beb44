//! One handler for all operations, and one for the event stream.

use super::app::{App, Observed};
use super::events::event_stream;
use crate::service::{Caller, Done, Holder, Operation, ServiceError};
use crate::storage::Storage;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE as TYPE_HEADER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use conclave_delivery_api::{
    AckInbox, CONTENT_TYPE, ClaimKeyPackages, CountKeyPackages, CreateGroup, DescribeService,
    ERROR_HEADER, EVENTS_PATH, Encode, ErrorCode, FetchAccount, FetchCertificates, FetchExtension,
    FetchGroupInfo, FetchHistory, FetchInbox, FetchLog, FetchRelay, FetchRoots, OpenSession,
    PROOF_HEADER, Proof, PublishKeyPackages, PutRelay, SendMessage, SubmitAccount,
    SubmitCertificate, SubmitCommit, SubmitProposal, WithdrawKeyPackages,
};
use conclave_mls::UnixTime;
use futures_util::TryStreamExt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is said to whoever comes without a token.
const NO_TOKEN: &str = "this takes a session: open one";

type Shared<S> = State<Arc<App<S>>>;

/// The longest body of a request that is not [long](Operation::LONG), in bytes.
const SHORT_BODY: usize = 64 << 10;

/// The longest body of whoever has no session, in bytes: an account log of many entries.
const ANONYMOUS_BODY: usize = 1 << 20;

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
                <$operation as conclave_delivery_api::Call>::PATH,
                route::<S, $operation>(),
            ))*
        };
    }
    routes!(
        DescribeService SubmitAccount OpenSession PutRelay FetchRelay FetchRoots FetchExtension
        FetchAccount FetchHistory SubmitCertificate FetchCertificates PublishKeyPackages CountKeyPackages WithdrawKeyPackages
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

/// What a request of a session carries in its head.
struct Credentials {
    token: String,
    proof: Proof,
}

/// A request's token and proof. The token is checked; the proof takes the whole request.
fn credentials<S: Storage>(app: &App<S>, headers: &HeaderMap) -> Result<Credentials, ServiceError> {
    let refuse = |code, detail| ServiceError::new(code, detail);
    let unauthorized = |detail| refuse(ErrorCode::Unauthorized, detail);
    let value = headers.get(AUTHORIZATION).ok_or_else(|| unauthorized(NO_TOKEN))?;
    let token = value.to_str().ok().and_then(|v| v.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| unauthorized("the authorization is not a bearer token"))?;
    app.service.check_token(token, now())?;

    let proof = headers.get(PROOF_HEADER).and_then(|v| v.to_str().ok()).and_then(Proof::from_text);
    let missing = "the request is not signed: a token alone is not enough";
    let proof = proof.ok_or_else(|| refuse(ErrorCode::BadProof, missing))?;
    Ok(Credentials { token: token.to_string(), proof })
}

fn authenticate<S: Storage>(
    app: &App<S>,
    credentials: &Credentials,
    request: (&str, &[u8]),
) -> Result<Holder, ServiceError> {
    app.service.authenticate(&credentials.token, &credentials.proof, request, now())
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

/// Which bodies are kept.
struct Keep {
    /// The longest, in bytes.
    longest: usize,
    /// Where those longer than [`SHORT_BODY`] take a place, if they have to.
    places: Option<Arc<Semaphore>>,
}

/// A request's body, and its place among the long ones.
struct Kept {
    body: Vec<u8>,
    place: Option<OwnedSemaphorePermit>,
}

/// Reads a body, and keeps it if it has `longest` bytes at most. A longer one is read on, up to what
/// the server takes at all: a client that is still writing would not see the answer.
async fn read_body<S>(app: &App<S>, body: Body, keep: Keep) -> Result<Kept, ServiceError> {
    let mut chunks = body.into_data_stream();
    let mut kept = Kept { body: Vec::new(), place: None };
    let mut longest = keep.longest;
    let mut is_crowded = false;
    let reading = async {
        let mut length = 0usize;
        while let Some(chunk) = chunks.try_next().await? {
            length = length.saturating_add(chunk.len());
            if let Some(places) = &keep.places
                && length > SHORT_BODY
                && length <= longest
                && kept.place.is_none()
            {
                kept.place = places.clone().try_acquire_owned().ok();
                if kept.place.is_none() {
                    is_crowded = true;
                    longest = 0;
                }
            }
            if length <= longest {
                kept.body.extend_from_slice(&chunk);
            } else if length <= app.max_body {
                kept = Kept { body: Vec::new(), place: None };
            } else {
                break;
            }
        }
        Ok::<usize, axum::Error>(length)
    };
    let refuse = |code, detail: String| Err(ServiceError::new(code, detail));
    match tokio::time::timeout(app.patience, reading).await {
        Ok(Ok(length)) if length <= longest => Ok(kept),
        Ok(Ok(_)) if is_crowded => {
            let detail =
                "too many long requests come just now: try again, or send fewer entries at a time";
            refuse(ErrorCode::Unavailable, detail.into())
        }
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
    let Done { reply, notices, ended, seen } = app.service.run(request, &caller)?;
    notices.iter().for_each(|notice| app.listeners.tell(notice));
    ended.iter().for_each(|device| app.listeners.end(device));
    let reply = reply.to_bytes().map_err(|e| {
        ServiceError::new(ErrorCode::Unavailable, format!("the reply is too long: {e}"))
    })?;
    Ok((reply, seen))
}

fn respond<S: Storage, O: Operation>(
    app: &App<S>,
    credentials: Result<Option<Credentials>, ServiceError>,
    kept: Result<Kept, ServiceError>,
) -> Response {
    let mut observed = Observed {
        operation: O::NAME,
        who: None,
        request_bytes: kept.as_ref().map_or(0, |kept| kept.body.len()),
        reply_bytes: 0,
        status: 200,
        summary: String::new(),
    };

    let result = credentials.and_then(|credentials| {
        let Kept { body, place: _place } = kept?;
        let holder = credentials.map(|sent| authenticate(app, &sent, (O::PATH, &body)));
        let holder = holder.transpose()?;
        if let Some(Holder::Device(info)) = &holder {
            observed.who = Some(info.device.clone());
        }
        run::<S, O>(app, Caller { holder, now: now() }, &body)
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

async fn handle<S: Storage, O: Operation + 'static>(
    State(app): Shared<S>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    // Who calls comes before what: of whoever has no session, nothing is kept. What opens one does not look at
    // the token of another.
    let sent = match O::ANONYMOUS {
        true => Ok(None),
        false => credentials(&app, &headers).map(Some),
    };
    let (longest, places) = match (&sent, O::LONG) {
        (Err(_), _) => (0, None),
        (Ok(None), true) => (ANONYMOUS_BODY, Some(app.long_anonymous.clone())),
        (Ok(Some(_)), true) => (app.max_body, None),
        (Ok(_), false) => (SHORT_BODY, None),
    };
    let keep = Keep { longest: longest.min(app.max_body), places };
    let body = read_body(&app, body, keep).await;
    let response = blocking(&app, move |app| respond::<S, O>(app, sent, body)).await;
    response.unwrap_or_else(|e| refusal(&e))
}

async fn unknown() -> Response {
    refusal(&ServiceError::new(ErrorCode::UnknownOperation, "there is no such operation"))
}

async fn events<S: Storage>(State(app): Shared<S>, headers: HeaderMap) -> Response {
    let known = blocking(&app, move |app| {
        let sent = credentials(app, &headers)?;
        authenticate(app, &sent, (EVENTS_PATH, &[]))
    });
    let device = match known.await.flatten() {
        Ok(Holder::Device(known)) => known,
        Ok(Holder::Recovery(_)) => {
            let detail = "only a device listens";
            return refusal(&ServiceError::new(ErrorCode::Unauthorized, detail));
        }
        Err(e) => return refusal(&e),
    };
    app.observe(&Observed {
        operation: "events",
        who: Some(device.device.clone()),
        request_bytes: 0,
        reply_bytes: 0,
        status: 200,
        summary: format!("{} listens", device.device),
    });
    let stream = event_stream(app, device);
    let headers = [(TYPE_HEADER, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(stream)).into_response()
}
