//! Hostile messages: "a rejected message changes nothing".
//!
//! Before a message is delivered, a member receives variants of it that it must refuse: damaged ones
//! ([`damage`]), ones that came before or belong elsewhere ([`replay`]), ones that a member has
//! signed against the rules ([`forgery`], [`contents`]). Stages get wrong answers ([`answers`]), and
//! newcomers get damaged Welcomes, GroupInfos and key packages ([`joins`]). After each of these,
//! everything that can be seen in memory and on disk is as it was.
//!
//! The one exception is the key of a message whose AEAD opened (section 9.2). The refusal carries a
//! step, which is tried on a twin. It changes only the secret tree of the message's epoch; after it,
//! nothing under that key opens, and everything else does.
//!
//! The choices come from a random stream of their own, so that they do not move the world's other
//! steps. Each kind is counted, and kinds that came less often are preferred.

mod answers;
mod contents;
mod damage;
mod forgery;
mod joins;
mod replay;
mod variant;

use super::*;
use variant::{Kind, OBSERVED, Scene, Variant, blames_the_message, deletes_a_key_alone};

/// The names of all kinds.
pub(super) fn all_kinds() -> impl Iterator<Item = &'static str> {
    let kinds = message_kinds().into_iter().map(|kind| kind.name);
    kinds.chain(answers::KINDS).chain(joins::KINDS)
}

fn message_kinds() -> Vec<Kind> {
    [damage::KINDS, replay::KINDS, forgery::KINDS, contents::KINDS].concat()
}

impl World {
    /// Gives messages that it must refuse to a member that is about to receive a real one.
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

    /// Before a message to all: harasses one member, and lets another one answer badly.
    pub(super) fn harass_somebody(&mut self, sender: Option<usize>, message: &[u8]) {
        let mut somebody = || self.hostile.rng.below(self.peers.len() as u64) as usize;
        let victim = somebody();
        let other = somebody();
        self.harass(victim, sender, message);
        self.answer_badly(other, message);
    }

    /// Tries one kind of variant; false if the message has no such variant.
    fn attack(&mut self, i: usize, sender: Option<usize>, message: &[u8], kind: Kind) -> bool {
        let Hostile { rng, archive, .. } = &mut self.hostile;
        let victim = &self.peers[i];
        let sender = sender.map(|i| &self.peers[i]);
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

    /// Checks that a member refuses a variant, and that nothing changes thereby.
    fn member_refuses(
        &self,
        i: usize,
        kind: &str,
        message: &[u8],
        variant: &Variant,
        try_deletion: bool,
    ) {
        let peer = &self.peers[i];
        let who = format!("{}, {kind}", peer.name);
        let before = peer.seen();
        let outcome = peer.probe(self.now, &variant.message, &self.known_psks());
        assert!(peer.seen() == before, "{who}: it left a trace");

        let refused = match outcome {
            Err(refused) => refused,
            // A member opens no more than the sender data of its own PrivateMessages.
            Ok(None) if peer.names_itself(&variant.message) => return,
            Ok(None) => return assert!(variant.known, "{who}: it is taken as known"),
            // A member that an external commit removes can check no tag of it.
            Ok(Some(step))
                if step.batch().rows.is_empty()
                    && damage::differs_in_tags_alone(message, &variant.message) =>
            {
                return;
            }
            Ok(Some(step)) => panic!("{who}: it was accepted: {step:?}"),
        };
        let error = &refused.error;
        assert!(blames_the_message(error), "{who}: {error}");
        if let Some(because) = variant.because {
            let Error::Rejected(found) = error else { panic!("{who}: {error}") };
            assert!(because(found), "{who}: refused for another reason: {error}");
        }

        // A message consumes its key if it verifies and will never be valid.
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

    /// Takes the step that a refusal carries, on a twin of the member that refused.
    fn try_deletion(&self, peer: &Peer, who: &str, message: &[u8], variant: &Variant) {
        let now = self.now;
        let psks = self.known_psks();
        let mut twin = peer.twin();
        let before = twin.seen();
        let Err(Refused { key_deletion: Some(step), .. }) =
            twin.probe(now, &variant.message, &psks)
        else {
            panic!("{who}: the twin does not refuse it")
        };
        assert_eq!(twin.take(step.untyped()), Event::KeyDeleted);
        twin.check();

        let after = twin.seen();
        assert!(after != before, "{who}: the deletion changes nothing");
        let epoch = peer.group.epoch().0;
        let (before, after) = (before.without_secret_tree(epoch), after.without_secret_tree(epoch));
        assert!(after == before, "{who}: the deletion changes more than a key");

        if self.step.is_multiple_of(2) {
            twin.reload();
        }
        let same_key = |message: &[u8]| {
            Insider::of(&peer.group).place(peer.provider, message)
                == Insider::of(&peer.group).place(peer.provider, &variant.message)
        };
        assert!(twin.key_is_gone(now, &variant.message, &psks), "{who}: its key is still there");
        if same_key(message) {
            assert!(twin.key_is_gone(now, message, &psks), "{who}: the key opens once more");
        } else if let Err(refused) = twin.probe(now, message, &psks) {
            panic!("{who}: afterwards the real message is refused: {refused}");
        }
    }

    /// Checks that an observer refuses a variant, unless it cannot see the difference.
    fn observer_refuses(&mut self, kind: &'static str, message: &[u8], variant: &Variant) {
        let provider = provider_for(self.suite, true);
        let Some(watcher) = &self.watcher else { return };
        let before = watcher.memory();
        let step = watcher.probe(provider, &variant.message);
        assert!(watcher.memory() == before && watcher.rows == before, "observer, {kind}: a trace");

        match step {
            Err(error) => assert!(blames_the_message(&error), "observer, {kind}: {error}"),
            // The observer has this proposal already.
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
        let place = Insider::of(&self.group).place(self.provider, message);
        place.is_some_and(|(leaf, ..)| leaf == self.group.own_leaf())
    }

    /// Whether a message is refused because its key was deleted.
    fn key_is_gone(&self, now: UnixTime, message: &[u8], psks: &[(PskType, Secret)]) -> bool {
        let Err(Refused { error, key_deletion: None }) = self.probe(now, message, psks) else {
            return false;
        };
        matches!(error, Error::Rejected(Rejection::Ratchet(RatchetError::KeyGone { .. })))
    }
}
