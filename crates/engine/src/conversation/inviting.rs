//! Invitations: users who are invited at once are looked up one after another, and come in by one commit.

use super::Conversation;
use super::call::{Call, Next};
use super::context::Context;
use super::invitations::{Claimed, ENOUGH_BYTES, Inviting, device_of_package};
use super::rooms::with_participants;
use crate::book::{Book, Change};
use crate::error::EngineError;
use crate::notice::Notice;
use crate::reason::Reason;
use crate::record::{Item, News, Who, Work};
use crate::returns::is_made_since;
use crate::suites::suite_name;
use conclave_certificates::device_of;
use conclave_delivery_api::{CallError, ClaimKeyPackages, ClaimedKeyPackage, DeviceId, ErrorCode};
use conclave_mls::group::{CommitOptions, NewProposal};
use conclave_mls::key_package::{ValidKeyPackage, key_package_from_message};
use conclave_mls::{CipherSuite, Config, Error, GroupId, Verdict};
use conclave_store::Store;
use std::collections::{BTreeMap, BTreeSet};

fn adds<'a>(packages: impl IntoIterator<Item = &'a ValidKeyPackage>) -> Vec<NewProposal> {
    packages.into_iter().map(|package| NewProposal::Add(Box::new(package.clone()))).collect()
}

/// An invitation in the queue.
struct Invitation {
    key: u64,
    who: Who,
    by_itself: bool,
}

impl Conversation {
    /// The invitations at the front of a group's queue that one commit can do. One that nobody has asked for is committed
    /// alone. A user appears once: a second invitation adds only devices that the first did not.
    fn front_invitations<S: Store>(&self, book: &Book<S>) -> Vec<Invitation> {
        let most = self.inviting.max_per_commit;
        let mut users = BTreeSet::new();
        let mut run = Vec::new();
        for (key, item) in book.items(&self.id).take(most) {
            let Work::Invite { who, by_itself, .. } = &item.work else { break };
            let is_alone = *by_itself && !run.is_empty();
            if is_alone || !users.insert(who.user.clone()) {
                break;
            }
            run.push(Invitation { key, who: who.clone(), by_itself: *by_itself });
            if *by_itself {
                break;
            }
        }
        run
    }

    /// The invitation that is looked up now, and whom it is about.
    pub(crate) fn current_invite<S: Store>(&self, book: &Book<S>) -> Option<(u64, Who)> {
        let claimed = &self.inviting.claimed;
        let mut run = self.front_invitations(book).into_iter();
        let current = run.find(|invitation| !claimed.contains_key(&invitation.key))?;
        Some((current.key, current.who))
    }

    /// The call that the invitations at the front of a group's queue need.
    pub(crate) fn next_invite<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Next, EngineError> {
        let Inviting { claimed, hurries, .. } = &self.inviting;
        let mut run = self.front_invitations(cx.book);
        let ready = run.iter().take_while(|one| claimed.contains_key(&one.key)).count();
        let bytes: usize =
            run.iter().take(ready).filter_map(|one| claimed.get(&one.key)).map(|c| c.bytes).sum();
        let is_enough = ready > 0 && (*hurries || bytes >= ENOUGH_BYTES);
        let current = run.iter().find(|one| !claimed.contains_key(&one.key));
        let current = current.filter(|_| !is_enough).map(|one| (one.key, one.who.clone()));
        let Some((key, who)) = current else {
            if self.drop_outdated(cx) {
                return self.next_invite(cx);
            }
            run.truncate(ready);
            return self.invite(cx, &run);
        };

        if let Some((_, missing)) = self.inviting.missing.as_ref().filter(|(of, _)| *of == key) {
            let devices = missing.iter().map(|device| device.device.clone()).collect();
            let cipher_suite = self.group.cipher_suite();
            let request = ClaimKeyPackages { user: who.user, cipher_suite, devices };
            return Ok(Some((request.into(), Call::InviteClaim)));
        }
        let request = cx.fetch_user(who.user)?;
        Ok(Some((request, Call::InviteLookup)))
    }

    /// Forgets what was claimed of devices that have come in since then, or are no longer their users'. Returns whether
    /// there was any.
    fn drop_outdated<S: Store>(&mut self, cx: &mut Context<'_, S>) -> bool {
        let members: BTreeSet<DeviceId> =
            self.devices().into_iter().map(|(member, _)| member).collect();
        let (authority, book) = (&*cx.authority, &*cx.book);
        let is_current = |package: &ValidKeyPackage| {
            let Some(device) = device_of_package(package) else { return false };
            let key = &package.key_package().leaf_node.signature_key;
            let known = authority.devices_of(book.accounts(), &device.user);
            !members.contains(&device)
                && known.iter().any(|known| *known == (device.clone(), key.clone()))
        };
        let claimed = &mut self.inviting.claimed;
        let before = claimed.len();
        claimed.retain(|_, claimed| claimed.packages.iter().all(is_current));
        claimed.len() < before
    }

    /// Makes the commit that adds those devices of these invitations that can be added. Why others are not is told in any
    /// case.
    fn invite<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        run: &[Invitation],
    ) -> Result<Next, EngineError> {
        self.inviting.hurries = false;
        let claimed = &mut self.inviting.claimed;
        let mut run: Vec<(&Invitation, Claimed)> =
            run.iter().filter_map(|one| Some((one, claimed.remove(&one.key)?))).collect();

        while !run.is_empty() {
            let packages: Vec<ValidKeyPackage> =
                run.iter().flat_map(|(_, claimed)| claimed.packages.clone()).collect();
            let also =
                run.iter().flat_map(|(one, claimed)| Self::committing(&self.id, one, claimed));
            let e = match self.commit(cx, adds(&packages), None, also.collect())? {
                Ok(next) => {
                    self.keep_used(run);
                    return Ok(next);
                }
                Err(e) => e,
            };

            let not_addable = self.not_addable(cx, &packages);
            if not_addable.is_empty() {
                for (one, claimed) in &run {
                    let reason = Reason::NotAddable { who: one.who.clone(), why: e.to_string() };
                    let notes = claimed.problems.iter().map(Self::noted);
                    let failed = Self::not_invited(one.by_itself, reason);
                    self.give_up(cx, one.key, notes.chain([failed]).collect::<Vec<_>>())?;
                }
                return Ok(None);
            }
            run = self.without(cx, run, not_addable)?;
        }
        Ok(None)
    }

    /// What is stored with the commit that does an invitation.
    fn committing(id: &GroupId, one: &Invitation, claimed: &Claimed) -> Vec<Change> {
        let work =
            Work::Invite { who: one.who.clone(), committing: true, by_itself: one.by_itself };
        let notes = claimed.problems.iter().map(Self::noted);
        let mut changes: Vec<Change> = notes.map(|note| Change::news(id, note)).collect();
        changes.push(Change::Item(one.key, Some(Item { group: id.clone(), work })));
        changes
    }

    /// Keeps what a commit adds, in case the service refuses it. The problems that were told are not told again.
    fn keep_used(&mut self, run: Vec<(&Invitation, Claimed)>) {
        let used = run.into_iter().map(|(one, claimed)| {
            (one.key, Claimed { problems: Vec::new(), used: true, ..claimed })
        });
        self.inviting.claimed.extend(used);
    }

    /// What is left of invitations without the key packages in these places. Those with none left have failed.
    fn without<'a, S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        run: Vec<(&'a Invitation, Claimed)>,
        mut not_addable: BTreeMap<usize, Error>,
    ) -> Result<Vec<(&'a Invitation, Claimed)>, EngineError> {
        let (mut place, mut left) = (0, Vec::new());
        for (one, mut claimed) in run {
            for package in core::mem::take(&mut claimed.packages) {
                match not_addable.remove(&place) {
                    None => claimed.packages.push(package),
                    Some(e) => {
                        let device = device_of_package(&package);
                        let device = device.map_or("a device".into(), |device| device.to_string());
                        let why = e.to_string();
                        claimed.problems.push(Reason::NotInvited { who: device, why });
                    }
                }
                place += 1;
            }
            if claimed.packages.is_empty() {
                self.none_invited(cx, (one.key, one.by_itself), claimed.problems)?;
            } else {
                left.push((one, claimed));
            }
        }
        Ok(left)
    }

    /// No device that an invitation is about can be invited.
    fn none_invited<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        (key, by_itself): (u64, bool),
        problems: Vec<Reason>,
    ) -> Result<(), EngineError> {
        self.give_up(
            cx,
            key,
            problems.into_iter().map(|reason| Self::not_invited(by_itself, reason)),
        )
    }

    /// Forgets an invitation that does not come about.
    pub(crate) fn give_up_invite<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        key: u64,
        reason: Reason,
    ) -> Result<(), EngineError> {
        let news = Self::not_invited(self.invites_by_itself(cx.book, key), reason);
        self.give_up(cx, key, [news])
    }

    /// If the service wants claims to wait, the invitations that have what they need are done without the others.
    pub(crate) fn hurry_invites(&mut self, call: Call, error: &CallError) {
        if let (Call::InviteClaim, CallError::Postponed { code: ErrorCode::RateLimited, .. }) =
            (call, error)
        {
            self.inviting.hurry();
        }
    }

    /// After a commit of several invitations was refused, one of which may be the reason: has them done by commits of half
    /// as many. Returns whether it does so: it does not if others' proposals may be the reason.
    pub(crate) fn halve_invites<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<bool, EngineError> {
        let is_committing = |(_, item): &(u64, &Item)| item.work.is_invite_in_commit();
        let count = cx.book.items(&self.id).take_while(is_committing).count();
        if count < 2 || self.group.pending_commit_references().next().is_some() {
            return Ok(false);
        }
        self.inviting.halve(count);
        self.reject_commit(cx, true)
    }

    /// Whether an invitation is one that nobody has asked for.
    fn invites_by_itself<S: Store>(&self, book: &Book<S>, key: u64) -> bool {
        let item = book.items(&self.id).find(|(other, _)| *other == key);
        matches!(item, Some((_, Item { work: Work::Invite { by_itself: true, .. }, .. })))
    }

    /// What the user is told of an invitation that did not come about: a failure, if somebody has asked for it.
    fn not_invited(by_itself: bool, reason: Reason) -> News {
        if by_itself { News::NotDone { reason } } else { News::Failed { reason } }
    }

    fn noted(problem: &Reason) -> News {
        News::NotDone { reason: problem.clone() }
    }

    /// The places of those of these key packages that cannot be added beside the group's members and the ones before
    /// them, and why: a device with another's key, say, keeps nobody else out (RFC 9420 section 7.3: keys are unique in
    /// a tree). None, if that is not what is wrong.
    fn not_addable<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        packages: &[ValidKeyPackage],
    ) -> BTreeMap<usize, Error> {
        let mut not_addable = BTreeMap::new();
        let (now, received) = (cx.clock.time(), self.takes_received(cx.book));
        let me = cx.device().user.clone();
        let (provider, rng) = (cx.provider, &mut *cx.rng);
        // Tries a commit with the key packages before the place `end`.
        let mut attempt = |not_addable: &BTreeMap<usize, Error>, end: usize| {
            let left = packages
                .iter()
                .enumerate()
                .take(end)
                .filter(|(at, _)| !not_addable.contains_key(at));
            let proposals = adds(left.map(|(_, package)| package));
            let proposals = with_participants(&self.group, &me, proposals, received)?;
            let options = CommitOptions { proposals, received, ..CommitOptions::default() };
            self.group.draft_commit(provider, rng, now, options).map(drop)
        };
        if attempt(&not_addable, 0).is_err() {
            return not_addable;
        }

        let mut good = 0;
        while let Err(mut why) = attempt(&not_addable, packages.len()) {
            // The first `good` of them can be added, the first `bad` cannot: halves what lies in between.
            let mut bad = packages.len();
            while bad - good > 1 {
                let middle = good + (bad - good) / 2;
                match attempt(&not_addable, middle) {
                    Ok(()) => good = middle,
                    Err(e) => (bad, why) = (middle, e),
                }
            }
            not_addable.insert(good, why);
            good = bad;
            if good == packages.len() {
                break;
            }
        }
        not_addable
    }

    /// Goes on with an invitation, as the user's account or certificates are known now.
    pub(crate) fn invite_looked_up<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), EngineError> {
        let Some((key, who)) = self.current_invite(cx.book) else { return Ok(()) };
        let known = cx.authority.devices_of(cx.book.accounts(), &who.user);
        let devices: Vec<DeviceId> =
            known.into_iter().map(|(device, _)| device).filter(|d| who.includes(d)).collect();

        let members = self.devices();
        let present = |device: &DeviceId| members.iter().any(|(member, _)| member == device);
        let (there, missing): (Vec<DeviceId>, Vec<DeviceId>) =
            devices.into_iter().partition(present);

        if missing.is_empty() && self.invites_by_itself(cx.book, key) {
            return self.give_up(cx, key, []);
        }
        if missing.is_empty() {
            let news = if there.is_empty() {
                News::Failed { reason: no_device_of(cx, &who) }
            } else {
                News::Note { notice: Notice::AllAreMembers { who } }
            };
            return self.give_up(cx, key, [news]);
        }
        self.inviting.missing = Some((key, missing));
        Ok(())
    }

    /// Takes the key packages that the service has given out. Those of the devices that were asked for count,
    /// and of the group's suite: with others the service could bring in somebody else.
    pub(crate) fn invite_claimed<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        claimed: &[ClaimedKeyPackage],
    ) -> Result<(), EngineError> {
        let suite = self.group.cipher_suite();
        let Some((key, asked)) = self.inviting.missing.take() else { return Ok(()) };
        // What was refused before concerned another call.
        self.refusals = 0;

        let by_itself = self.invites_by_itself(cx.book, key);
        let (mut packages, mut problems, mut bytes) = (Vec::new(), Vec::new(), 0);
        for device in asked {
            let found = claimed.iter().find(|claimed| claimed.device == device);
            let message = found.and_then(|found| found.key_package.as_deref());
            // Nobody has asked for a device that was away for long, and that it is still away is no news.
            if let Some(removed_at) = self.awaited_since(cx, &device).filter(|_| by_itself) {
                let package = message.and_then(|m| check_key_package(cx, &device, suite, m).ok());
                let package = package.filter(|p| is_made_since(p.key_package(), removed_at));
                bytes += package.as_ref().and(message).map_or(0, <[u8]>::len);
                packages.extend(package);
                continue;
            }
            let Some(message) = message else {
                // What the service does not have, it may also hold back: a group's suite does not depend on that.
                problems.push(Reason::NoKeyPackage { device, suite });
                continue;
            };
            match check_key_package(cx, &device, suite, message) {
                Ok(package) => {
                    packages.push(package);
                    bytes += message.len();
                }
                Err(e) => {
                    let (who, why) = (device.to_string(), format!("its key package: {e}"));
                    problems.push(Reason::NotInvited { who, why });
                }
            }
        }

        if packages.is_empty() {
            return self.none_invited(cx, (key, by_itself), problems);
        }
        let claimed = Claimed { packages, problems, bytes, used: false };
        self.inviting.claimed.insert(key, claimed);
        Ok(())
    }
}

/// The reason that `who` has no device to invite.
fn no_device_of<S: Store>(cx: &Context<'_, S>, who: &Who) -> Reason {
    let refusal = cx.authority.certified().and_then(|c| c.refusal(&who.user));
    match refusal {
        Some(why) => {
            let why = format!("the certificate of a device of {}: {why}", who.user);
            Reason::NotInvited { who: who.to_string(), why }
        }
        None => Reason::UnknownUser { who: who.clone() },
    }
}

/// Checks a key package that the service has given out for a device. The error says what is wrong with it.
fn check_key_package<S: Store>(
    cx: &mut Context<'_, S>,
    device: &DeviceId,
    suite: CipherSuite,
    message: &[u8],
) -> Result<ValidKeyPackage, String> {
    let package = key_package_from_message(message).map_err(|e| e.to_string())?;
    if package.cipher_suite != suite {
        let (given, asked) = (suite_name(package.cipher_suite), suite_name(suite));
        return Err(format!("the service gives out one of {given} instead of {asked}"));
    }

    let now = cx.clock.time();
    let stage = ValidKeyPackage::check(cx.provider, now, &Config::default(), package)
        .map_err(|e| e.to_string())?;
    let credential = stage.credential().clone();

    // The same rule is applied again before the commit, in `drop_outdated`.
    let known = cx.authority.devices_of(cx.book.accounts(), &device.user);
    let is_listed = known.contains(&(device.clone(), credential.signature_key.clone()));
    let verdict = match cx.judge(core::slice::from_ref(&credential)) {
        _ if device_of(&credential.credential).as_ref() != Some(device) => {
            Verdict::refuse("it is another device's")
        }
        Some(verdicts) => {
            let refuse = || Verdict::refuse("nobody vouches for it");
            match verdicts.into_iter().next().unwrap_or_else(refuse) {
                Verdict::Accept if !is_listed => {
                    Verdict::refuse("its key is not the one that the service shows for it")
                }
                verdict => verdict,
            }
        }
        // The log was fetched just before: it has no such device.
        None => {
            cx.lookups.remove(&device.user);
            Verdict::refuse("its key is not in the account's log")
        }
    };
    stage.resolve(verdict).map_err(|e| e.to_string())
}
