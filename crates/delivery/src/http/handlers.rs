//! One handler for all operations, and one for the event stream.

use super::app::App;
use super::clock::now;
use super::events::{StreamPlaces, event_stream};
use super::gate::{Busy, Connection, owner};
use super::memory::{Held, Owner};
use super::monitor;
use super::observed::{Observed, RequestId};
use super::refusal::Refusal;
use super::reply::Reply;
use crate::service::{Caller, Done, Holder, Operation, ServiceError};
use crate::storage::Storage;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE as TYPE_HEADER};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use conclave_delivery_api::{
    AckInbox, BeginUpload, CLIENT_HEADER, ClaimKeyPackages, CountKeyPackages, CreateGroup,
    DeleteAttachment, DescribeService, EVENTS_PATH, Encode, ErrorCode, FetchAccount,
    FetchAttachment, FetchCertificates, FetchExtension, FetchGroupInfo, FetchHistory, FetchInbox,
    FetchLinkedGroup, FetchLog, FetchRelay, FetchRoots, LAST_EVENT_HEADER, MarkState, OpenSession,
    PROOF_HEADER, Proof, PublishKeyPackages, PutRelay, ReplaceKeyPackages, ResetGroup, RestoreLog,
    SendMessage, SendMessages, SubmitAccount, SubmitCertificate, SubmitCommit, SubmitProposal,
    UploadPart, WithdrawKeyPackages,
};
use futures_util::TryStreamExt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is said to whoever comes without a token.
const NO_TOKEN: &str = "this takes a session: open one";

type Shared<S> = State<Arc<App<S>>>;

/// The longest body of a request that is not [long](Operation::LONG), in bytes.
const SHORT_BODY: usize = 64 << 10;

/// The longest body of whoever has no session, in bytes: an account log of many entries.
const ANONYMOUS_BODY: usize = 1 << 20;

/// The header of a response that names its request.
const REQUEST_HEADER: &str = "x-conclave-request";

/// From which length on a reply has to find room in memory, in bytes.
const LONG_REPLY: usize = 1 << 20;

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
        DescribeService SubmitAccount OpenSession PutRelay FetchRelay FetchRoots FetchExtension MarkState
        FetchAccount FetchHistory SubmitCertificate FetchCertificates PublishKeyPackages ReplaceKeyPackages CountKeyPackages WithdrawKeyPackages
        ClaimKeyPackages CreateGroup ResetGroup RestoreLog SubmitCommit SubmitProposal SendMessage SendMessages FetchLog FetchGroupInfo FetchLinkedGroup
        FetchInbox AckInbox BeginUpload UploadPart FetchAttachment DeleteAttachment
    )
    .route(EVENTS_PATH, get(events::<S>))
    .merge(monitor::health())
    .fallback(unknown)
    .method_not_allowed_fallback(unknown)
    .with_state(app)
}

/// What a request of a session carries in its head.
struct Credentials {
    token: String,
    proof: Proof,
}

/// A request that has come, before anything is known of who sent it.
struct Arrival {
    connection: Arc<Connection>,
    /// What its client's address counts for.
    address: IpAddr,
    busy: Busy,
    id: RequestId,
    begun: Instant,
}

impl Arrival {
    fn new<S>(app: &App<S>, connection: Arc<Connection>, headers: &HeaderMap) -> Self {
        let address = owner(app.front.proxies.client(connection.address, headers));
        let (id, begun) = (app.ids.next(), Instant::now());
        Self { busy: connection.begin_request(), connection, address, id, begun }
    }

    /// What is told of it so far.
    fn observed(&self, operation: &'static str) -> Observed {
        Observed {
            id: Some(self.id),
            address: Some(self.address),
            ..Observed::of_server(operation, 200, String::new())
        }
    }

    /// Counts a request that belongs to no session.
    fn without_session<S>(&self, app: &App<S>) -> Result<(), Refusal> {
        app.front.rates.anonymous(&self.address, Instant::now())
    }

    /// A request's token and proof. The token is checked; the proof takes the whole request.
    fn credentials<S: Storage>(
        &self,
        app: &App<S>,
        headers: &HeaderMap,
    ) -> Result<Credentials, Refusal> {
        app.front.rates.address(&self.address, Instant::now())?;
        credentials(app, headers).or_else(|e| {
            self.without_session(app)?;
            Err(e.into())
        })
    }

    /// Whose session signed the request.
    fn authenticate<S: Storage>(
        &self,
        app: &App<S>,
        sent: &Credentials,
        request: (&str, &[u8]),
    ) -> Result<Caller, Refusal> {
        let caller = app.service.authenticate(&sent.token, &sent.proof, request, now());
        let caller = caller.or_else(|e| {
            self.without_session(app)?;
            Err(Refusal::from(e))
        })?;
        self.connection.has_session();
        if let Some(holder) = &caller.holder {
            app.front.rates.holder(holder, Instant::now())?;
        }
        Ok(caller)
    }
}

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

/// Whether the client is one that is served.
fn check_client<S: Storage>(app: &App<S>, headers: &HeaderMap) -> Result<(), Refusal> {
    let said = headers.get(CLIENT_HEADER).and_then(|value| value.to_str().ok());
    Ok(app.service.check_client(said)?)
}

/// Does something on a thread that may block: the storage does, and checking signatures takes a
/// while.
async fn blocking<S: Storage, R: Send + 'static>(
    app: &Arc<App<S>>,
    work: impl FnOnce(&App<S>) -> R + Send + 'static,
) -> Result<R, ServiceError> {
    let app = app.clone();
    tokio::task::spawn_blocking(move || work(&app)).await.map_err(|_| no_end())
}

fn no_end() -> ServiceError {
    ServiceError::new(ErrorCode::Unavailable, "the operation came to no end")
}

/// Which bodies are kept.
struct Keep {
    /// The longest, in bytes.
    longest: usize,
    /// Where those longer than [`SHORT_BODY`] take a place, if they have to.
    places: Option<Arc<Semaphore>>,
    /// What holds their memory.
    held: Held,
}

/// A request's body, its memory, and its place among the long ones.
struct Kept {
    body: Vec<u8>,
    held: Held,
    place: Option<OwnedSemaphorePermit>,
}

impl Kept {
    /// Takes one more part.
    fn push(&mut self, part: &[u8], keep: (usize, Option<&Arc<Semaphore>>)) -> Result<(), Refusal> {
        let (longest, places) = keep;
        let length = self.body.len().saturating_add(part.len());
        if length > longest {
            let detail = format!("such a request has at most {longest} bytes");
            return Err(ServiceError::new(ErrorCode::TooLarge, detail).into());
        }
        if let Some(places) = places
            && length > SHORT_BODY
            && self.place.is_none()
        {
            let detail =
                "too many long requests come just now: try again, or send fewer entries at a time";
            let place = places.clone().try_acquire_owned();
            self.place = Some(place.map_err(|_| Refusal::overloaded("long requests", detail))?);
        }
        if self.held.grow(part.len()).is_err() {
            let detail = "there is no memory for the request just now: try again";
            return Err(Refusal::overloaded("memory", detail));
        }
        self.body.extend_from_slice(part);
        Ok(())
    }

    fn forget(&mut self) {
        self.body = Vec::new();
        self.held.release();
        self.place = None;
    }
}

/// Reads a body, and keeps it if it may be. One that may not is read on, up to what the server takes at all: a client
/// that is still writing would not see the answer. Returns how many bytes came, too.
async fn read_body<S>(app: &App<S>, body: Body, keep: Keep) -> (Result<Kept, Refusal>, usize) {
    let Keep { longest, places, held } = keep;
    let mut parts = body.into_data_stream();
    let mut kept = Kept { body: Vec::new(), held, place: None };
    let mut refused = None;
    let mut length = 0usize;
    let reading = async {
        while let Some(part) = parts.try_next().await? {
            length = length.saturating_add(part.len());
            if length > app.max_body {
                break;
            }
            if refused.is_none()
                && let Err(e) = kept.push(&part, (longest, places.as_ref()))
            {
                kept.forget();
                refused = Some(e);
            }
        }
        Ok::<(), axum::Error>(())
    };
    let read = tokio::time::timeout(app.patience, reading).await;
    let refuse = |code, detail: String| Err(ServiceError::new(code, detail).into());
    let result = match read {
        Ok(Ok(())) => match refused {
            Some(refusal) => Err(refusal),
            None if length > app.max_body => {
                let most = app.max_body;
                refuse(ErrorCode::TooLarge, format!("a request has at most {most} bytes"))
            }
            None => Ok(kept),
        },
        Ok(Err(e)) => refuse(ErrorCode::Malformed, e.to_string()),
        Err(_) => refuse(ErrorCode::Unavailable, "the request did not come in time".into()),
    };
    (result, length)
}

fn decoded<O: Operation>(body: &[u8]) -> Result<O, ServiceError> {
    O::from_bytes(body).map_err(|e| {
        let detail = format!("the body is no {} request: {e}", O::NAME);
        ServiceError::new(ErrorCode::Malformed, detail)
    })
}

/// Tells whoever listens, and encodes.
fn encoded<S, R: Encode>(app: &App<S>, done: Done<R>) -> Result<(Vec<u8>, String), ServiceError> {
    let Done { reply, notices, ended, seen } = done;
    app.listeners.spread(notices);
    ended.iter().for_each(|device| app.listeners.end(device));
    let reply = reply.to_bytes().map_err(|e| {
        ServiceError::new(ErrorCode::Unavailable, format!("the reply is too long: {e}"))
    })?;
    Ok((reply, seen))
}

/// The memory of a reply. One that is long only tells something, so it may be asked for again; what changed something
/// is answered in less.
fn hold_reply<S>(app: &App<S>, owner: Owner, length: usize) -> Result<Held, Refusal> {
    let mut held = app.front.memory.hold(owner);
    if length <= LONG_REPLY {
        held.grow_anyway(length);
    } else if held.grow(length).is_err() {
        let detail = "there is no memory for the reply just now: try again";
        return Err(Refusal::overloaded("memory", detail));
    }
    Ok(held)
}

/// A request with its body, or why it is refused.
struct Request {
    arrival: Arrival,
    sent: Result<Option<Credentials>, Refusal>,
    kept: Result<Kept, Refusal>,
    /// How many bytes came.
    length: usize,
}

/// A request whose caller is known, and what holds its memory and its place.
struct Admitted {
    arrival: Arrival,
    observed: Observed,
    caller: Caller,
    kept: Kept,
}

impl Admitted {
    /// Looks who calls, and counts a request that is refused.
    fn new<S: Storage, O: Operation>(app: &App<S>, request: Request) -> Result<Self, Refusal> {
        let Request { arrival, sent, kept, length } = request;
        let mut observed = arrival.observed(O::NAME);
        observed.request_bytes = length;

        let known = sent.and_then(|sent| {
            let kept = kept?;
            let authenticate = |sent| arrival.authenticate(app, &sent, (O::PATH, &kept.body));
            Ok((sent.map(authenticate).transpose()?, kept))
        });
        match known {
            Ok((caller, kept)) => {
                let caller = caller.unwrap_or_else(|| Caller::new(None, now()));
                if let Some(Holder::Device(info)) = &caller.holder {
                    observed.who = Some(info.device.clone());
                }
                Ok(Self { arrival, observed, caller, kept })
            }
            Err(refusal) => {
                observed.refused(&refusal);
                finished(app, (&arrival.address, None), arrival.begun, observed);
                Err(refusal)
            }
        }
    }

    fn run<S: Storage, O: Operation>(self, app: &App<S>) -> Response {
        let done = decoded::<O>(&self.kept.body)
            .and_then(|request| app.service.run(request, &self.caller));
        self.answered(app, done)
    }

    fn answered<S, R: Encode>(self, app: &App<S>, done: Result<Done<R>, ServiceError>) -> Response {
        let Self { arrival, mut observed, caller, kept: _kept } = self;
        let Arrival { address, begun, busy, .. } = arrival;
        let owner = match &caller.holder {
            Some(holder) => Owner::User(holder.user().clone()),
            None => Owner::Address(address),
        };
        let result = done.and_then(|done| encoded(app, done)).map_err(Refusal::from);
        let result = result.and_then(|(reply, seen)| {
            let held = hold_reply(app, owner, reply.len())?;
            Ok((reply, held, seen))
        });
        let response = match result {
            Ok((reply, held, seen)) => {
                observed.reply_bytes = reply.len();
                observed.summary = seen;
                Reply::new(reply, held, busy).into_response()
            }
            Err(refusal) => {
                observed.refused(&refusal);
                refusal.into_response()
            }
        };
        finished(app, (&address, caller.holder.as_ref()), begun, observed);
        response
    }
}

/// Counts a request that has its answer.
fn finished<S>(
    app: &App<S>,
    (address, holder): (&IpAddr, Option<&Holder>),
    begun: Instant,
    mut observed: Observed,
) {
    let now = Instant::now();
    let bytes = observed.request_bytes.saturating_add(observed.reply_bytes) as u64;
    app.front.rates.spend(address, holder, bytes, now);
    observed.elapsed = Some(now.saturating_duration_since(begun));
    app.observe(&observed);
}

/// Does what is asked on a thread that may block.
async fn respond<S: Storage, O: Operation + 'static>(
    app: &Arc<App<S>>,
    request: Request,
) -> Result<Response, ServiceError> {
    let work = move |app: &App<S>| match Admitted::new::<S, O>(app, request) {
        Ok(admitted) => admitted.run::<S, O>(app),
        Err(refusal) => refusal.into_response(),
    };
    blocking(app, work).await
}

/// Does what is asked on the thread that read it, which does other things while the storage writes. What it computes is
/// little, and to change threads twice would cost as much again.
async fn respond_here<S: Storage, O: Operation + Send + 'static>(
    app: Arc<App<S>>,
    request: Request,
) -> Result<Response, ServiceError>
where
    O::Reply: Send,
{
    let admitted = match Admitted::new::<S, O>(&app, request) {
        Ok(admitted) => admitted,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let done = match decoded::<O>(&admitted.kept.body) {
        Ok(request) => app.service.wait(request, &admitted.caller).await,
        Err(e) => Err(e),
    };
    match done.transpose() {
        Some(done) => Ok(admitted.answered(&app, done)),
        None => blocking(&app, move |app| admitted.run::<S, O>(app)).await,
    }
}

async fn handle<S: Storage, O: Operation + Send + 'static>(
    State(app): Shared<S>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    body: Body,
) -> Response
where
    O::Reply: Send,
{
    let arrival = Arrival::new(&app, connection, &headers);
    // Who calls comes before what: of whoever has no session, nothing is kept. What opens one does not look at
    // the token of another.
    let sent = match O::ANONYMOUS {
        true => arrival.without_session(&app).map(|()| None),
        false => arrival.credentials(&app, &headers).map(Some),
    };
    let sent = match O::ANY_CLIENT {
        true => sent,
        false => sent.and_then(|sent| check_client(&app, &headers).map(|()| sent)),
    };
    let (longest, places) = match (&sent, O::LONG) {
        (Err(_), _) => (0, None),
        (Ok(None), true) => (ANONYMOUS_BODY, Some(app.long_anonymous.clone())),
        (Ok(Some(_)), true) => (app.max_body, None),
        (Ok(_), false) => (SHORT_BODY, None),
    };
    // Whose session it is shows only when the body is there.
    let held = app.front.memory.hold(Owner::Address(arrival.address));
    let keep = Keep { longest: longest.min(app.max_body), places, held };
    let (kept, length) = read_body(&app, body, keep).await;
    let id = arrival.id;
    let request = Request { arrival, sent, kept, length };
    // To hash a long one takes a while.
    let response = match O::WAITS && length <= SHORT_BODY {
        // In a task of its own: what has begun comes to its end even if the client goes.
        true => match tokio::spawn(respond_here::<S, O>(app, request)).await {
            Ok(response) => response,
            Err(_) => Err(no_end()),
        },
        false => respond::<S, O>(&app, request).await,
    };
    named(response.unwrap_or_else(|e| Refusal::from(e).into_response()), id)
}

/// A response with its request's name.
fn named(mut response: Response, id: RequestId) -> Response {
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(REQUEST_HEADER, value);
    }
    response
}

async fn unknown() -> Response {
    let detail = "there is no such operation";
    Refusal::from(ServiceError::new(ErrorCode::UnknownOperation, detail)).into_response()
}

async fn events<S: Storage>(
    State(app): Shared<S>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
) -> Response {
    let arrival = Arrival::new(&app, connection, &headers);
    let (id, address, begun) = (arrival.id, arrival.address, arrival.begun);
    let mut observed = arrival.observed("events");
    let last = headers.get(LAST_EVENT_HEADER).and_then(|value| value.to_str().ok());
    let last = last.map(str::to_string);
    let known = blocking(&app, move |app| {
        let sent = arrival.credentials(app, &headers)?;
        check_client(app, &headers)?;
        let caller = arrival.authenticate(app, &sent, (EVENTS_PATH, &[]))?;
        Ok::<_, Refusal>((caller.holder, arrival.busy))
    });
    let known =
        known.await.map_err(Refusal::from).flatten().and_then(|(holder, busy)| match holder {
            Some(Holder::Device(known)) => {
                let places = StreamPlaces::take(&app, address, &known.device.user)?;
                Ok((known, places, busy))
            }
            Some(Holder::Recovery(_)) | None => {
                let detail = "only a device listens";
                Err(ServiceError::new(ErrorCode::Unauthorized, detail).into())
            }
        });
    observed.elapsed = Some(begun.elapsed());
    let response = match known {
        Ok((device, places, busy)) => {
            observed.who = Some(device.device.clone());
            observed.summary = format!("{} listens", device.device);
            app.observe(&observed);
            let stream = event_stream(app, device, last, (places, busy));
            let headers = [(TYPE_HEADER, "text/event-stream"), (CACHE_CONTROL, "no-store")];
            (headers, Body::from_stream(stream)).into_response()
        }
        Err(refusal) => {
            observed.refused(&refusal);
            app.observe(&observed);
            refusal.into_response()
        }
    };
    named(response, id)
}
