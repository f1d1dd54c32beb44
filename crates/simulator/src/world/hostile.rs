//! Members and services that break the rules.

use super::calls::outcome_told;
use super::{Device, Other, Session, Standing, World};
use crate::chance::Chance;
use crate::modified::{Falsehood, Misdeed, Modified};
use crate::server::{Signer, time};
use crate::trace::Place;
use conclave_delivery_api::{
    Bytes, ClaimKeyPackages, LogPage, Outcome, SendMessage, SubmitCommit, SubmitProposal,
};
use conclave_engine::{GroupId, Reply, Request};
use conclave_store::Store;
use std::collections::BTreeSet;

/// How many messages are remembered, to be sent again or changed.
const MAX_OVERHEARD: usize = 200;

impl World {
    /// Remembers what is sent, for whoever misbehaves.
    pub(super) fn overhear(&mut self, request: &Request) {
        let sends = matches!(
            request,
            Request::SendMessage(_) | Request::SubmitCommit(_) | Request::SubmitProposal(_)
        );
        if sends && self.knobs.hostile.members > 0 && self.overheard.len() < MAX_OVERHEARD {
            self.overheard.push(request.clone());
        }
    }

    /// A member's client sends something that no honest client sends. Nothing is promised to its user.
    pub(super) fn misbehave(&mut self) {
        let i = self.chance.index(self.devices.len());
        let Some(overheard) = self.chance.pick(&self.overheard) else { return };
        let device = &mut self.devices[i];
        let Some(session) = &mut device.session else { return };
        let signer = session.signer();
        device.is_trusted = false;

        let request = self.spoil(overheard);
        self.submit_misdeed(i, "", request, &signer);
    }

    /// A member's modified client does something that is validly signed, and wrong. Only the same few devices ever do, so
    /// that others are left to whom something is promised.
    pub(super) fn betray(&mut self) {
        let i = self.chance.index(1 + self.devices.len() / 3);
        let misdeed = self.chance.pick(&Misdeed::ALL);
        let groups = self.groups_of(i, Standing::Member);
        let (Some(misdeed), Some(group)) = (misdeed, self.chance.pick(&groups)) else { return };
        let device = &mut self.devices[i];
        let local = time(device.local(self.now));
        let Some(session) = &mut device.session else { return };
        let Ok(rows) = device.disk.load(&group) else { return };
        let name = format!("{} {} {misdeed:?}", device.id, self.now);
        let rng = Chance::of(self.seed, &name);

        let Some(mut modified) = Modified::new(rows, self.crypto, rng, local) else { return };
        if misdeed == Misdeed::FalseWelcome {
            return self.welcome_falsely(i, &group, modified);
        }
        let Some(requests) = modified.requests(misdeed) else { return };
        device.is_trusted = false;
        let requests: Vec<_> = requests.into_iter().map(|r| (r, session.signer())).collect();
        for (request, signer) in requests {
            self.submit_misdeed(i, &format!("{misdeed:?}: "), request, &signer);
        }
    }

    /// A member's modified client adds a device that is not in the group, with a false Welcome.
    fn welcome_falsely(&mut self, i: usize, group: &GroupId, mut modified: Modified) {
        let is_out = |device: &Device| {
            !matches!(device.groups.get(group), Some(Standing::Member | Standing::Invited))
        };
        let others: Vec<usize> = (0..self.devices.len())
            .filter(|other| self.devices[*other].is_trusted && is_out(&self.devices[*other]))
            .collect();
        let Some(whom) = self.chance.pick(&others) else { return };
        let id = self.devices[whom].id.clone();
        let Some(kind) = self.chance.pick(&Falsehood::ALL) else { return };
        let Some(session) = &mut self.devices[i].session else { return };
        let (claims, submits) = (session.signer(), session.signer());
        self.devices[i].is_trusted = false;

        let claim = ClaimKeyPackages {
            user: id.user.clone(),
            cipher_suite: modified.suite(),
            devices: vec![id.device.clone()],
        };
        let claimed = self.server_of(i).answer(claim.into(), Some(&claims), self.now).reply;
        let Ok(Reply::ClaimKeyPackages(claimed)) = claimed else { return };
        let package = claimed.devices.into_iter().next().and_then(|claimed| claimed.key_package);
        let Some(package) = package else { return };
        let Some(request) = modified.false_welcome(&id, &package, kind) else { return };
        if self.submit_misdeed(i, &format!("{kind:?} Welcome of {id}: "), request, &submits) {
            self.count("false Welcomes");
            if kind == Falsehood::OtherTree {
                self.misled.insert((whom, group.clone()));
            }
        }
    }

    /// Submits what an honest client would not, and notes what the service makes of it; `what` comes before that. Returns
    /// whether the service took it.
    fn submit_misdeed(&mut self, i: usize, what: &str, request: Request, signer: &Signer) -> bool {
        let is_breach = self.breaks_rules(i, &request);
        let answered = self.server_of(i).answer(request.clone(), Some(signer), self.now);
        let (place, outcome) = outcome_told(&request, &answered.reply);
        if let Ok(Reply::SubmitCommit(Outcome::Accepted { receipt, .. })) = &answered.reply
            && is_breach
        {
            let seq = receipt.position.seq;
            self.breaches.entry(receipt.group_id.clone()).or_insert(seq);
        }
        let is_taken = answered.reply.is_ok() && !outcome.ends_with("wrong epoch");
        self.count(if is_taken { "misdeeds taken" } else { "misdeeds refused" });
        self.note(i, "misbehaves", &place, &format!("{what}{outcome}"));
        self.tell(answered.notices, self.is_elsewhere(i));
        is_taken
    }

    /// Whether the service can take a commit from a device only because it keeps no rules.
    fn breaks_rules(&mut self, i: usize, request: &Request) -> bool {
        let Request::SubmitCommit(commit) = request else { return false };
        let session = self.devices[i].session.as_mut().filter(|_| self.knobs.hostile.lawless);
        let Some(signer) = session.map(Session::signer) else { return false };
        self.server.forbids(commit.clone(), &signer, self.now)
    }

    /// What somebody has sent, as it was or changed.
    fn spoil(&mut self, request: Request) -> Request {
        match request {
            Request::SendMessage(sent) => {
                SendMessage { message: self.spoil_bytes(&sent.message) }.into()
            }
            Request::SubmitProposal(sent) => {
                SubmitProposal { proposal: self.spoil_bytes(&sent.proposal) }.into()
            }
            Request::SubmitCommit(sent) => {
                let commit = self.spoil_bytes(&sent.commit);
                let welcomes = sent.welcomes.iter().map(|one| self.spoil_bytes(one)).collect();
                SubmitCommit { commit, welcomes, ..sent }.into()
            }
            other => other,
        }
    }

    /// Bytes as they were, or with one of them changed, mostly near the end, where a ciphertext or a signature is.
    fn spoil_bytes(&mut self, bytes: &[u8]) -> Bytes {
        let mut bytes = bytes.to_vec();
        let len = bytes.len();
        match self.chance.below(4) {
            0 => {}
            1 => bytes.truncate(self.chance.index(len)),
            2 => {
                let at = self.chance.index(len);
                bytes[at] ^= 1 + self.chance.below(255) as u8;
            }
            _ => {
                let at = len - 1 - self.chance.index(len.min(40));
                bytes[at] ^= 1 + self.chance.below(255) as u8;
            }
        }
        bytes.into()
    }

    /// The service goes on from a copy of its state for some users.
    pub(super) fn split(&mut self) {
        if self.other.is_some() {
            return;
        }
        let server = self.server.forked(self.now);
        let users = self.knobs.users;
        let sides: Vec<bool> = (0..users).map(|_| self.chance.coin()).collect();
        let is_elsewhere = |i: &usize| sides[i % users];
        let to: BTreeSet<usize> = (0..self.devices.len()).filter(is_elsewhere).collect();
        self.show(to.clone(), "another log");
        self.other = Some(Other { server, to });
    }

    /// The service shows all devices the same log again.
    pub(super) fn unite(&mut self) {
        if let Some(other) = self.other.take() {
            self.show(other.to, "the others' log");
        }
    }

    /// Notes that devices see another log from now on, and breaks their streams, which they then open again.
    fn show(&mut self, to: BTreeSet<usize>, what: &str) {
        for i in to {
            self.note(i, "is shown", &Place::default(), what);
            self.break_stream(i);
        }
    }

    /// The service falsifies a page of a log, and signs that.
    pub(super) fn falsify(&mut self, i: usize, page: &mut LogPage) {
        let count = page.entries.len();
        if count == 0 || !self.strikes(self.knobs.hostile.pages) {
            return;
        }
        let at = self.chance.index(count);
        let what = match self.chance.below(4) {
            0 if count > 1 => {
                let other = self.chance.index(count);
                let (one, two) =
                    (page.entries[at].message.clone(), page.entries[other].message.clone());
                (page.entries[at].message, page.entries[other].message) = (two, one);
                "reorders"
            }
            1 => {
                let removed = page.entries.remove(at);
                for entry in &mut page.entries[at..] {
                    entry.seq -= 1;
                }
                page.head = page.head.saturating_sub(1);
                page.end.position.seq = removed.seq.max(1) - 1 + (count - 1 - at) as u64;
                "drops"
            }
            2 => {
                page.entries[at].seq += 1;
                "renumbers"
            }
            _ => {
                page.entries[at].message = self.spoil_bytes(&page.entries[at].message.clone());
                "changes"
            }
        };
        let chains = page.chains(&page.end.group_id.clone(), None);
        if let Some(last) = chains.and_then(|chains| chains.last().copied()) {
            page.end.position.chain = last;
        }
        page.end = self.server_of(i).sign_again(page.end.clone());
        self.count("false pages");
        self.note(i, "is lied to", &Place::default(), what);
    }
}
