//! Calls of the service, over a network that loses, delays and repeats them.

use super::{Call, Event, Session, World};
use crate::trace::{Place, short};
use conclave_delivery_api::{self as api, CallError, ErrorCode, Outcome};
use conclave_engine::{CallId, Reply, Request};
use conclave_mls::wire::codec::Decode;
use conclave_mls::wire::{MlsMessage, MlsMessageBody};

/// After how long a device gives up a call that is not answered.
const PATIENCE: (u64, u64) = (300, 8_000);
/// How much later a call arrives that was given up.
const LATENESS: (u64, u64) = (0, 20_000);

pub(super) fn unreachable() -> CallError {
    CallError::Unreachable { url: "here".into(), reason: "the network lost it".into() }
}

impl World {
    /// A device makes a call.
    pub(super) fn send(&mut self, i: usize, call: CallId, request: Request) {
        self.count("calls");
        let id = self.ticket();
        let now = self.now;
        let device = &mut self.devices[i];
        device.calls.insert(id, call);
        let signer = device.session.as_mut().map(Session::signer);
        let (life, cut_off) = (device.life, device.cut_off > now);
        self.overhear(&request);
        if self.trace.is_kept() {
            let (what, place) = described(&request);
            self.note(i, "call", &place, what);
        }

        let (repeated, abandoned) = (false, false);
        let mut call = Call { id, device: i, life, request, signer, repeated, abandoned };
        if cut_off || self.strikes(self.knobs.network.lost_calls) {
            self.give_up(&call);
            return;
        }
        if self.strikes(self.knobs.network.late_calls) {
            call.abandoned = true;
            let at = self.give_up(&call) + self.chance.between(LATENESS);
            self.at(at, Event::Arrive(call));
            return;
        }
        if self.strikes(self.knobs.network.repeated_calls) {
            let at = now + self.delay() + self.chance.between((0, 2_000));
            self.at(at, Event::Arrive(Call { repeated: true, ..call.clone() }));
        }
        let at = now + self.delay();
        self.at(at, Event::Arrive(call));
    }

    /// A device hears nothing of a call, and gives it up; when.
    fn give_up(&mut self, call: &Call) -> u64 {
        self.count("lost");
        let at = self.now + self.chance.between(PATIENCE);
        let (device, life, call) = (call.device, call.life, call.id);
        self.at(at, Event::Answer { device, life, call, reply: Err(unreachable()) });
        at
    }

    /// A call reaches the service.
    pub(super) fn arrive(&mut self, call: Call) {
        self.publish();
        let signed = call.signer.is_some();
        let server = self.server_of(call.device);
        let answered = server.answer(call.request.clone(), call.signer.as_ref(), self.now);

        let cost = &mut self.devices[call.device].cost;
        cost.calls += 1;
        cost.sent += answered.sent;
        cost.received += answered.received;
        self.tell(answered.notices, self.is_elsewhere(call.device));
        for id in answered.ended {
            self.cut_streams(&id);
        }

        let reply = answered.reply;
        if let Ok(Reply::SubmitCommit(Outcome::Accepted { receipt, .. })) = &reply {
            self.commits.push((receipt.group_id.clone(), call.device, self.now));
        }
        if self.trace.is_kept() {
            let (place, detail) = outcome_told(&call.request, &reply);
            let what = if call.repeated { "repeated" } else { "service" };
            self.note(call.device, what, &place, &detail);
        }

        if call.repeated {
            let (_, is_anonymous) = operation(&call.request);
            let at_most_once = signed && !is_anonymous;
            // (If it overtook the first one, that one is refused instead.)
            if at_most_once && reply.is_ok() && !self.is_first(&call) {
                self.break_with("the service took a signed request twice".into());
            }
            return;
        }
        if call.abandoned {
            return;
        }

        if self.strikes(self.knobs.network.lost_answers) {
            self.give_up(&call);
            return;
        }
        let at = self.now + self.delay();
        let Call { device, life, id, .. } = call;
        self.at(at, Event::Answer { device, life, call: id, reply });
    }

    /// Whether the call itself is still on its way.
    fn is_first(&self, call: &Call) -> bool {
        let waits = |event: &Event| matches!(event, Event::Arrive(other) if other.id == call.id);
        self.queue.values().any(waits)
    }

    /// A device learns what became of its call.
    pub(super) fn answered(
        &mut self,
        i: usize,
        life: u64,
        call: u64,
        mut reply: Result<Reply, CallError>,
    ) {
        let device = &mut self.devices[i];
        let given = device.calls.remove(&call).filter(|_| device.life == life);
        let Some(given) = given else { return };

        // The network brought it twice, and the second one came first: the device tries again.
        if matches!(&reply, Err(error) if error.code() == Some(ErrorCode::Replayed)) {
            reply = Err(unreachable());
        }
        if let Ok(Reply::OpenSession(opened)) = &reply {
            let key = device.engine.as_ref().and_then(|engine| engine.session_key().cloned());
            let token = opened.token.clone();
            device.session = key.map(|key| Session { token, key, next: 1 });
            let at = self.now + self.delay();
            self.at(at, Event::Listen { device: i, life });
        }
        if let Ok(Reply::FetchLog(page)) = &mut reply {
            self.falsify(i, page);
            self.log.take(page);
        }
        self.with(i, |engine, now| engine.reply(now, given, reply));
        self.pump(i);
    }
}

/// The name of a request's operation, and whether that takes no session.
fn operation(request: &Request) -> (&'static str, bool) {
    macro_rules! operations {
        ($($name:ident)*) => {
            match request {
                $(Request::$name(_) => (stringify!($name), <api::$name as api::Call>::ANONYMOUS)),*
            }
        };
    }
    operations!(
        DescribeService SubmitAccount OpenSession MarkState PutRelay FetchRelay FetchAccount FetchExtension FetchHistory
        SubmitCertificate FetchCertificates PublishKeyPackages CountKeyPackages ReplaceKeyPackages
        ClaimKeyPackages CreateGroup ResetGroup RestoreLog SubmitCommit SubmitProposal SendMessage SendMessages
        FetchLog FetchLinkedGroup FetchGroupInfo FetchInbox AckInbox
    )
}

/// Where a message belongs.
fn place_of(message: &[u8]) -> Place {
    match MlsMessage::from_bytes(message).map(|message| message.body) {
        Ok(MlsMessageBody::PrivateMessage(message)) => {
            Place { group: short(&message.group_id), epoch: Some(message.epoch.0), seq: None }
        }
        Ok(MlsMessageBody::PublicMessage(message)) => Place {
            group: short(&message.content.group_id),
            epoch: Some(message.content.epoch.0),
            seq: None,
        },
        _ => Place::default(),
    }
}

/// What a request is, and where.
fn described(request: &Request) -> (&'static str, Place) {
    let (what, _) = operation(request);
    let place = match request {
        Request::SubmitCommit(commit) => place_of(&commit.commit),
        Request::SubmitProposal(proposal) => place_of(&proposal.proposal),
        Request::SendMessage(message) => place_of(&message.message),
        Request::SendMessages(messages) => {
            messages.messages.first().map(|message| place_of(message)).unwrap_or_default()
        }
        Request::FetchLog(fetch) => {
            Place { group: short(&fetch.group_id), epoch: None, seq: Some(fetch.after) }
        }
        _ => Place::default(),
    };
    (what, place)
}

/// What the service made of a request, and where.
pub(super) fn outcome_told(request: &Request, reply: &Result<Reply, CallError>) -> (Place, String) {
    let (what, mut place) = described(request);
    let receipt = match reply {
        Ok(Reply::SubmitCommit(outcome) | Reply::SubmitProposal(outcome)) => Some(outcome),
        Ok(Reply::SendMessage(outcome)) => Some(outcome),
        Ok(Reply::SendMessages(sent)) => Some(&sent.outcome),
        _ => None,
    };
    if let Some(outcome) = receipt {
        let position = &outcome.receipt().position;
        (place.epoch, place.seq) = (Some(position.epoch), Some(position.seq));
    }
    let detail = match (reply, receipt) {
        (Err(error), _) => format!("{what}: {error}"),
        (_, Some(Outcome::WrongEpoch { .. })) => format!("{what}: wrong epoch"),
        (Ok(Reply::FetchLog(page)), _) => {
            format!("{what}: {} of {}", page.entries.len(), page.head)
        }
        (Ok(Reply::FetchInbox(page)), _) => format!("{what}: {}", page.items.len()),
        _ => what.to_string(),
    };
    (place, detail)
}
