//! Hostile messages: "a rejected message changes nothing".
//!
//! Before a message is delivered, somebody gets variants of it that must be refused: damaged ones
//! ([`damage`]), ones that came before or belong elsewhere ([`replay`]), ones that a member has
//! signed against the rules ([`forgery`], [`contents`]). Likewise answers that are not what a stage asked for
//! ([`answers`]), and what one joins by ([`joins`]). After each, all that can be seen in memory and
//! on disk is what it was.
//!
//! The one exception is the key of a message whose AEAD opened (section 9.2). Its refusal carries a
//! step, which is tried on a twin: it changes the secret tree of the message's epoch alone, and
//! then neither the variant nor anything else under that key opens, while everything else does.
//!
//! The choices come from a stream of their own, so that they do not move the world's other steps.
//! Kinds that came less often so far are preferred; each is counted.

mod answers;
mod contents;
mod damage;
mod forgery;
mod joins;
mod replay;
mod variant;

use super::peer::Outcome;
use super::*;
use variant::{Kind, OBSERVED, Scene, Variant, blames_the_message, deletes_a_key_alone};

/// The names of all kinds, other than what an observer refuses.
pub(super) fn all_kinds() -> impl Iterator<Item = &'static str> {
    let kinds = message_kinds().into_iter().map(|kind| kind.name);
    kinds.chain(answers::KINDS).chain(joins::KINDS)
}

fn message_kinds() -> Vec<Kind> {
    [damage::KINDS, replay::KINDS, forgery::KINDS, contents::KINDS].concat()
}

impl World {
    /// Gives somebody who is about to get a message some that he must refuse.
    pub(super) fn harass(&mut self, victim: usize, sender: Option<usize>, message: &[u8]) {
        let kinds = message_kinds();
        let n = 1 + self.hostile.rng.below(2);
        for _ in 0..n {
            // Not every kind fits every message.
            for _ in 0..20 {
                let kind = self.hostile.rarer(&kinds, |kind| kind.name);
                if self.attack(victim, sender, message, kind) {
                    break;
                }
            }
        }
    }

    /// The same before a message to all: somebody gets them, and somebody answers badly.
    pub(super) fn harass_somebody(&mut self, sender: Option<usize>, message: &[u8]) {
        let mut somebody = || self.hostile.rng.below(self.peers.len() as u64) as usize;
        let (victim, other) = (somebody(), somebody());
        self.harass(victim, sender, message);
        self.answer_badly(other, message);
    }

    /// Tries one kind of variant. Whether there is one.
    fn attack(&mut self, i: usize, sender: Option<usize>, message: &[u8], kind: Kind) -> bool {
        let Hostile { rng, archive, .. } = &mut self.hostile;
        let (victim, sender) = (&self.peers[i], sender.map(|i| &self.peers[i]));
        let now = self.now;
        let scene = &mut Scene { rng, now, message, victim, sender, archive };
        let Some(variant) = (kind.make)(scene) else { return false };
        if variant.message == message {
            return false;
        }
        let try_deletion = rng.one_in(2);
        self.member_refuses(i, kind.name, message, &variant, try_deletion);
        if variant.observable && self.hostile.rng.one_in(2) {
            self.observer_refuses(kind.name, message, &variant);
        }
        self.hostile.count(kind.name);
        true
    }

    /// That a member refuses a variant, and that nothing comes of it.
    fn member_refuses(
        &self,
        i: usize,
        kind: &str,
        message: &[u8],
        variant: &Variant,
        try_deletion: bool,
    ) {
        let (peer, now, psks) = (&self.peers[i], self.now, self.known_psks());
        let who = format!("{}, {kind}", peer.name);
        let before = peer.seen();
        let outcome = peer.probe(now, &variant.message, &psks);
        assert!(peer.seen() == before, "{who}: it left a trace");
        let refused = match outcome {
            Outcome::Refused(refused) => refused,
            // Of an own PrivateMessage no more than the sender data can be opened.
            Outcome::Known if peer.names_itself(&variant.message) => return,
            Outcome::Known => return assert!(variant.known, "{who}: it is taken as known"),
            Outcome::Step(step) => panic!("{who}: it was accepted: {step:?}"),
        };
        let error = &refused.error;
        assert!(blames_the_message(error), "{who}: {error}");
        if let Some(because) = variant.because {
            let Error::Rejected(found) = error else { panic!("{who}: {error}") };
            assert!(because(found), "{who}: refused for another reason: {error}");
        }
        // A key is consumed by a message that verifies and will never be valid.
        let kept = matches!(
            error,
            Error::Malformed(_)
                | Error::Rejected(Rejection::UnknownProposal(_) | Rejection::Framing(_))
        );
        match refused.key_deletion {
            None => assert!(!variant.opens || kept, "{who}: its key is not deleted: {error}"),
            Some(_) if !variant.opens || kept => panic!("{who}: a key is deleted: {error}"),
            Some(deletion) => {
                deletes_a_key_alone(&who, &deletion, peer.group.epoch().0);
                if try_deletion {
                    self.try_deletion(peer, &who, message, variant);
                }
            }
        }
    }

    /// Takes the step that a refusal carries, on a twin of who refused.
    fn try_deletion(&self, peer: &Peer, who: &str, message: &[u8], variant: &Variant) {
        let (now, psks) = (self.now, self.known_psks());
        let mut twin = peer.twin();
        let (epoch, before) = (peer.group.epoch(), twin.seen());
        let Outcome::Refused(Refused { key_deletion: Some(step), .. }) =
            twin.probe(now, &variant.message, &psks)
        else {
            panic!("{who}: the twin sees it otherwise")
        };
        assert_eq!(twin.take(*step), Event::KeyDeleted);
        twin.check();
        let after = twin.seen();
        assert!(after != before, "{who}: the deletion changes nothing");
        let (before, after) =
            (before.without_secret_tree(epoch.0), after.without_secret_tree(epoch.0));
        assert!(after == before, "{who}: the deletion changes more than a key");
        if self.step.is_multiple_of(2) {
            twin.reload();
        }
        let same_key = |message: &[u8]| {
            Insider::of(&peer.group).place(&*peer.provider, message)
                == Insider::of(&peer.group).place(&*peer.provider, &variant.message)
        };
        assert!(twin.key_is_gone(now, &variant.message, &psks), "{who}: its key is still there");
        if same_key(message) {
            assert!(twin.key_is_gone(now, message, &psks), "{who}: the key opens once more");
        } else if let Outcome::Refused(refused) = twin.probe(now, message, &psks) {
            panic!("{who}: afterwards the real message is refused: {refused}");
        }
    }

    /// That an observer refuses a variant, but for what it cannot see.
    fn observer_refuses(&mut self, kind: &'static str, message: &[u8], variant: &Variant) {
        let provider = provider_for(self.suite, true);
        let Some(watcher) = &self.watcher else { return };
        let before = watcher.memory();
        let step = watcher.probe(&*provider, &variant.message);
        assert!(watcher.memory() == before && watcher.rows == before, "observer, {kind}: a trace");
        match step {
            Err(error) => assert!(blames_the_message(&error), "observer, {kind}: {error}"),
            // A proposal that it has already.
            Ok(step) if step.batch().rows.is_empty() => {
                assert!(variant.known, "observer, {kind}: it is taken as known");
            }
            Ok(_) => assert!(
                damage::differs_in_tags_alone(message, &variant.message),
                "observer, {kind}: it was accepted"
            ),
        }
        self.hostile.count(OBSERVED);
    }
}

impl Peer {
    /// Whether a PrivateMessage of this epoch has this member as its sender.
    fn names_itself(&self, message: &[u8]) -> bool {
        let place = Insider::of(&self.group).place(&*self.provider, message);
        place.is_some_and(|(leaf, ..)| leaf == self.group.own_leaf())
    }

    /// Whether a message is refused because its key was deleted.
    fn key_is_gone(&self, now: u64, message: &[u8], psks: &[(PskType, Secret)]) -> bool {
        let Outcome::Refused(Refused { error, key_deletion: None }) =
            self.probe(now, message, psks)
        else {
            return false;
        };
        matches!(error, Error::Rejected(Rejection::Ratchet(RatchetError::KeyGone { .. })))
    }
}
