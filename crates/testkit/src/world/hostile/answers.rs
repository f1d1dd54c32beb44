//! Bad answers to a real message: a verdict that refuses, PSKs that are missing or wrong, a write that
//! fails. Afterwards the member accepts the message as if it had come for the first time.

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
    /// Answers a real message badly in up to two ways: those that came least often so far, of those
    /// that the message allows.
    pub(in crate::world) fn answer_badly(&mut self, i: usize, message: &[u8]) {
        let mut kinds = KINDS;
        kinds.sort_by_key(|kind| self.hostile.refused[kind]);
        let mut done = 0;
        for kind in kinds {
            let now = self.now;
            let psks = self.known_psks();
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
    /// Fails to write the step that a message leads to; false if there is none.
    fn cannot_write(&mut self, now: UnixTime, message: &[u8], psks: &[(PskType, Secret)]) -> bool {
        let Ok(Some(step)) = self.probe(now, message, psks) else { return false };
        let failed = apply(&mut self.group, step, |_| Err(NotWritten));
        assert_eq!(failed, Err(ApplyError::Write(NotWritten)));
        true
    }

    /// Drops a fold with the step that a message leads to; false if there is none.
    fn drops_a_fold(&mut self, now: UnixTime, message: &[u8], psks: &[(PskType, Secret)]) -> bool {
        let Ok(Some(step)) = self.probe(now, message, psks) else { return false };
        let mut fold = self.group.fold();
        fold.push(step).expect("computed from this state");
        true
    }

    /// Answers a message badly in this way; false if the message asks for no such answer.
    fn answers(
        &self,
        kind: &str,
        now: UnixTime,
        message: &[u8],
        psks: Vec<(PskType, Secret)>,
    ) -> bool {
        let group = &self.group;
        let provider = self.provider;
        let who = format!("{}, {kind}", self.name);
        let refused = match group.process(provider, now, message) {
            Ok(Received::Proposal(stage)) if kind == POLICY => stage.refuse(group, "no"),
            Ok(Received::Commit(stage)) if kind == POLICY => stage.refuse(group, "no"),
            Ok(Received::Proposal(stage)) => {
                let Some(verdicts) = verdicts(kind, stage.credentials().len()) else {
                    return false;
                };
                stage.resolve(group, &verdicts).expect_err(&who)
            }
            Ok(Received::Commit(stage)) => {
                let n = stage.credentials().len();
                // A removed member needs no PSKs.
                let asked = !stage.removes().any(|leaf| leaf == group.own_leaf())
                    && stage.psks().iter().any(|id| matches!(id.psktype, PskType::External { .. }));
                let answers = match (kind, verdicts(kind, n)) {
                    (PSK_WITHHELD, _) if asked => {
                        Answers { verdicts: vec![Verdict::Accept; n], ..Answers::default() }
                    }
                    (PSK_WRONG, _) if asked => {
                        let wrong = |(kind, _)| (kind, Secret::new(vec![1; 32]));
                        let psks = psks.into_iter().map(wrong).collect();
                        Answers { verdicts: vec![Verdict::Accept; n], psks, ..Answers::default() }
                    }
                    (_, Some(verdicts)) => Answers { verdicts, psks, ..Answers::default() },
                    _ => return false,
                };
                stage.resolve(group, provider, now, &answers).expect_err(&who)
            }
            _ => return false,
        };

        let right = matches!(
            (kind, &refused.error),
            (POLICY, Error::Rejected(Rejection::RefusedByPolicy { .. }))
                | (CREDENTIAL, Error::Rejected(Rejection::CredentialRefused { .. }))
                | (MISCOUNTED, Error::Misuse(Misuse::VerdictCount { .. }))
                | (PSK_WITHHELD, Error::Misuse(Misuse::PskUnavailable(_)))
                | (PSK_WRONG, Error::Rejected(Rejection::ConfirmationTag))
        );
        assert!(right, "{who}: refused for another reason: {}", refused.error);

        // A wrong answer may be corrected, so the key stays. A refusal is final and deletes the key.
        let done = matches!(refused.error, Error::Rejected(_));
        let encrypted = Insider::of(group).place(provider, message).is_some();
        assert_eq!(refused.key_deletion.is_some(), done && encrypted, "{who}");
        if let Some(deletion) = refused.key_deletion {
            deletes_a_key_alone(&who, &deletion, group.epoch().0);
        }
        true
    }
}

/// Bad verdicts on this many credentials; none if the kind is another one, or there is no credential
/// to refuse.
fn verdicts(kind: &str, n: usize) -> Option<Vec<Verdict>> {
    let mut verdicts = vec![Verdict::Accept; n];
    match kind {
        CREDENTIAL => *verdicts.last_mut()? = Verdict::refuse("no"),
        MISCOUNTED => verdicts.push(Verdict::Accept),
        _ => return None,
    }
    Some(verdicts)
}
