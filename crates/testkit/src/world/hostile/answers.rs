//! A real message that is answered badly: by a verdict that refuses, by PSKs that are missing or
//! wrong, by a write that fails. The member then takes it as if nothing had been.

use super::*;
use crate::party::NotWritten;

const POLICY: &str = "answered: refused by policy";
const CREDENTIAL: &str = "answered: credential refused";
const MISCOUNTED: &str = "answered: verdicts miscounted";
const PSK_WITHHELD: &str = "answered: PSK withheld";
const PSK_WRONG: &str = "answered: PSK wrong";
const WRITE: &str = "answered: write failed";
const FOLD: &str = "answered: fold dropped";

pub(super) const KINDS: [&str; 7] =
    [POLICY, CREDENTIAL, MISCOUNTED, PSK_WITHHELD, PSK_WRONG, WRITE, FOLD];

impl World {
    /// Answers a real message badly, in two ways: those that came least often so far, if it asks
    /// for such answers.
    pub(in crate::world) fn answer_badly(&mut self, i: usize, message: &[u8]) {
        let mut kinds = KINDS;
        kinds.sort_by_key(|kind| self.hostile.refused[kind]);
        let mut done = 0;
        for kind in kinds {
            let (now, psks) = (self.now, self.known_psks());
            let peer = &mut self.peers[i];
            let before = peer.seen();
            let answered = match kind {
                WRITE => peer.cannot_write(now, message, &psks),
                FOLD => peer.drops_a_fold(now, message, &psks),
                _ => peer.answers(kind, now, message, psks),
            };
            assert!(peer.seen() == before, "{}, {kind}: it left a trace", peer.name);
            if answered {
                self.hostile.count(kind);
                done += 1;
            }
            if done == 2 {
                break;
            }
        }
    }
}

impl Peer {
    fn cannot_write(&mut self, now: u64, message: &[u8], psks: &[(PskType, Secret)]) -> bool {
        let Outcome::Step(step) = self.probe(now, message, psks) else { return false };
        let failed = apply(&mut self.group, *step, |_| Err(NotWritten));
        assert_eq!(failed, Err(ApplyError::Write(NotWritten)));
        true
    }

    fn drops_a_fold(&mut self, now: u64, message: &[u8], psks: &[(PskType, Secret)]) -> bool {
        let Outcome::Step(step) = self.probe(now, message, psks) else { return false };
        let mut fold = self.group.fold();
        fold.push(*step).expect("fits its state");
        true
    }

    /// Whether the message asks for an answer that can be bad in this way.
    fn answers(&self, kind: &str, now: u64, message: &[u8], psks: Vec<(PskType, Secret)>) -> bool {
        let (group, provider) = (&self.group, &*self.provider);
        let step = match group.process(provider, now, message) {
            Ok(Received::Proposal(stage)) if kind == POLICY => Err(stage.refuse(group, "no")),
            Ok(Received::Commit(stage)) if kind == POLICY => Err(stage.refuse(group, "no")),
            Ok(Received::Proposal(stage)) => {
                let Some(verdicts) = verdicts(kind, stage.credentials().len()) else {
                    return false;
                };
                stage.resolve(group, &verdicts)
            }
            Ok(Received::Commit(stage)) => {
                let n = stage.credentials().len();
                // Who is removed needs no PSKs.
                let asked = !stage.removes().any(|leaf| leaf == group.own_leaf())
                    && stage.psks().iter().any(|id| matches!(id.psktype, PskType::External { .. }));
                let answers = match (kind, verdicts(kind, n)) {
                    (PSK_WITHHELD, _) if asked => {
                        Answers { verdicts: vec![Verdict::Accept; n], psks: Vec::new() }
                    }
                    (PSK_WRONG, _) if asked => {
                        let wrong = |(kind, _)| (kind, Secret::new(vec![1; 32]));
                        let psks = psks.into_iter().map(wrong).collect();
                        Answers { verdicts: vec![Verdict::Accept; n], psks }
                    }
                    (_, Some(verdicts)) => Answers { verdicts, psks },
                    _ => return false,
                };
                stage.resolve(group, provider, now, &answers)
            }
            _ => return false,
        };
        let who = format!("{}, {kind}", self.name);
        let refused = step.expect_err(&who);
        let right = matches!(
            (kind, &refused.error),
            (POLICY, Error::Rejected(Rejection::RefusedByPolicy { .. }))
                | (CREDENTIAL, Error::Rejected(Rejection::CredentialRefused { .. }))
                | (MISCOUNTED, Error::Misuse(Misuse::VerdictCount { .. }))
                | (PSK_WITHHELD, Error::Misuse(Misuse::PskUnavailable(_)))
                | (PSK_WRONG, Error::Rejected(Rejection::ConfirmationTag))
        );
        assert!(right, "{who}: refused for another reason: {}", refused.error);
        // Who answers badly may answer again; who refuses is done with the message, and its key.
        let done = matches!(refused.error, Error::Rejected(_));
        let encrypted = Insider::of(group).place(provider, message).is_some();
        assert_eq!(refused.key_deletion.is_some(), done && encrypted, "{who}");
        if let Some(deletion) = refused.key_deletion {
            deletes_a_key_alone(&who, &deletion, group.epoch().0);
        }
        true
    }
}

/// Bad verdicts on so many credentials; none if the kind is of another sort, or there is nothing to
/// refuse.
fn verdicts(kind: &str, n: usize) -> Option<Vec<Verdict>> {
    let mut verdicts = vec![Verdict::Accept; n];
    match kind {
        CREDENTIAL => *verdicts.last_mut()? = Verdict::refuse("no"),
        MISCOUNTED => verdicts.push(Verdict::Accept),
        _ => return None,
    }
    Some(verdicts)
}
