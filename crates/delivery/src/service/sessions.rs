//! Sessions: who calls, as long as this process lives.
//!
//! A session is a token and a key. The token names it; the key, which the device made for it, signs each request.
//! Nothing of it is stored: after a restart every device opens a new one, and no request of an old one counts.

use super::error::ServiceError;
use crate::storage::DeviceInfo;
use conclave_delivery_api::{ErrorCode, Name, Proof, SignaturePublicKey, Token, to_hex};
use conclave_mls::UnixTime;
use conclave_mls::crypto::CryptoProvider;
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many requests may overtake each other.
const WINDOW: u64 = 64;
/// The most sessions of one account. One more ends the oldest that has shown no mark, or the oldest of all if each has.
const SESSIONS_OF_ACCOUNT: usize = 100;
/// The most sessions of one device that have shown no mark of its state. One more ends the oldest of them. They belong to
/// processes that read beside the one that writes, and that often end without closing them.
const UNMARKED_OF_DEVICE: usize = 8;

/// Who has a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An active device.
    Device(DeviceInfo),
    /// Whoever has the recovery key of this user's account. That reaches the account log, and nothing else.
    Recovery(Name),
}

impl Holder {
    /// Whose session it is.
    #[must_use]
    pub fn user(&self) -> &Name {
        match self {
            Self::Device(info) => &info.device.user,
            Self::Recovery(user) => user,
        }
    }
}

/// The session that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerSession {
    /// Its number in this process of the service.
    number: u64,
    /// The number of the mark that the device has shown in it; 0 for none.
    pub(super) state_mark: u64,
}

#[derive(Debug)]
struct Session {
    holder: Holder,
    of: CallerSession,
    key: SignaturePublicKey,
    expires: UnixTime,
    /// The highest number of a request so far.
    highest: u64,
    /// Which of the [`WINDOW`] numbers up to the highest were used, the highest in the lowest bit.
    used: u64,
}

impl Session {
    /// Takes a request's number, unless it was used or is too old to tell.
    fn take(&mut self, number: u64) -> bool {
        if number > self.highest {
            let ahead = number - self.highest;
            self.used = if ahead < WINDOW { self.used << ahead } else { 0 };
            self.used |= 1;
            self.highest = number;
            return true;
        }

        let behind = self.highest - number;
        if behind >= WINDOW || self.used >> behind & 1 == 1 {
            return false;
        }
        self.used |= 1 << behind;
        true
    }
}

/// The sessions that are open, and their order.
#[derive(Debug, Default)]
struct Open {
    by_token: HashMap<String, Session>,
    /// The tokens of each user's, the first to end first.
    of_user: HashMap<Name, BTreeSet<(UnixTime, String)>>,
    /// All of them, the first to end first.
    by_end: BTreeSet<(UnixTime, String)>,
    /// How many there were.
    opened: u64,
}

impl Open {
    fn insert(&mut self, token: String, session: Session) {
        let end = (session.expires, token.clone());
        self.of_user.entry(session.holder.user().clone()).or_default().insert(end.clone());
        self.by_end.insert(end);
        self.by_token.insert(token, session);
    }

    fn remove(&mut self, token: &str) {
        let Some(session) = self.by_token.remove(token) else { return };
        let end = (session.expires, token.to_string());
        self.by_end.remove(&end);
        let user = session.holder.user();
        if let Some(tokens) = self.of_user.get_mut(user) {
            tokens.remove(&end);
            if tokens.is_empty() {
                self.of_user.remove(user);
            }
        }
    }

    fn forget_ended(&mut self, now: UnixTime) {
        while let Some((expires, token)) = self.by_end.first() {
            if *expires > now {
                break;
            }
            let token = token.clone();
            self.remove(&token);
        }
    }

    /// Which session ends when this holder opens another one.
    fn gives_way(&self, holder: &Holder) -> Option<String> {
        let unmarked = || self.of(holder.user()).filter(|(_, session)| session.of.state_mark == 0);
        let own = || unmarked().filter(|(_, session)| session.holder == *holder);
        // Many begin in one second, so when they end does not tell which is the oldest.
        let number = |(_, session): &(&String, &Session)| session.of.number;
        let oldest = if own().count() >= UNMARKED_OF_DEVICE {
            own().min_by_key(number)
        } else if self.of(holder.user()).count() >= SESSIONS_OF_ACCOUNT {
            unmarked().min_by_key(number).or_else(|| self.of(holder.user()).min_by_key(number))
        } else {
            None
        };
        oldest.map(|(token, _)| token.clone())
    }

    /// A user's sessions with their tokens, the first to end first.
    fn of<'a>(&'a self, user: &Name) -> impl Iterator<Item = (&'a String, &'a Session)> {
        let tokens = self.of_user.get(user).into_iter().flatten().map(|(_, token)| token);
        tokens.filter_map(|token| Some((token, self.by_token.get(token)?)))
    }
}

/// The sessions of a service.
#[derive(Debug)]
pub(super) struct Sessions {
    open: Mutex<Open>,
    most: usize,
}

fn unauthorized(detail: &str) -> ServiceError {
    ServiceError::new(ErrorCode::Unauthorized, detail)
}

/// What names a new session. No two have the same, so what was signed in one counts in no other: not even if
/// somebody repeats an overheard request to open it, once the first is over.
fn random_token() -> Result<String, ServiceError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| {
        ServiceError::new(ErrorCode::Unavailable, format!("there is no randomness: {e}"))
    })?;
    Ok(to_hex(&bytes))
}

impl Sessions {
    /// At most so many at once.
    pub(super) fn new(most: usize) -> Self {
        Self { open: Mutex::default(), most }
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session, and returns its token and how long it is good. While it is open, to open it again with the
    /// same key changes nothing: the request may be a repetition.
    pub(super) fn open(
        &self,
        holder: Holder,
        key: SignaturePublicKey,
        now: UnixTime,
        lifetime: Duration,
    ) -> Result<(Token, u64), ServiceError> {
        let mut open = self.locked();
        open.forget_ended(now);

        let user = holder.user().clone();
        let same = |(_, open): &(&String, &Session)| open.holder == holder && open.key == key;
        if let Some((token, session)) = open.of(&user).find(same) {
            let left = session.expires.as_secs().saturating_sub(now.as_secs());
            return Ok((Token::new(token.clone()), left));
        }

        match open.gives_way(&holder) {
            Some(token) => open.remove(&token),
            None if open.by_token.len() >= self.most => {
                let detail = "too many sessions are open just now: try again in some minutes";
                return Err(ServiceError::new(ErrorCode::Unavailable, detail));
            }
            None => {}
        }
        let token = random_token()?;
        let expires = now.saturating_add(lifetime);
        open.opened += 1;
        let of = CallerSession { number: open.opened, state_mark: 0 };
        open.insert(token.clone(), Session { holder, of, key, expires, highest: 0, used: 1 });
        Ok((Token::new(token), lifetime.as_secs()))
    }

    /// How many there are; some may be over.
    pub(super) fn count(&self) -> usize {
        self.locked().by_token.len()
    }

    /// Ends a session.
    pub(super) fn close(&self, token: &Token) {
        self.locked().remove(token.expose());
    }

    /// Whether a token names a session that is not over. Nothing is known of the caller yet.
    pub(super) fn check_token(&self, token: &str, now: UnixTime) -> Result<(), ServiceError> {
        match self.locked().by_token.get(token) {
            Some(session) if session.expires > now => Ok(()),
            Some(_) => Err(unauthorized("the session is over: open another one")),
            None => Err(unauthorized("there is no such session: open one")),
        }
    }

    /// Who made a request: the holder of the session that the token names, whose key signed the request.
    pub(super) fn authenticate(
        &self,
        provider: &dyn CryptoProvider,
        token: &str,
        proof: &Proof,
        request: (&str, &[u8]),
        now: UnixTime,
    ) -> Result<(Holder, CallerSession), ServiceError> {
        self.check_token(token, now)?;
        let gone = || unauthorized("there is no such session: open one");

        // Verifying takes a while, and others are not kept waiting.
        let key = self.locked().by_token.get(token).ok_or_else(gone)?.key.clone();
        if proof.verify(provider, &key, token, request).is_err() {
            let detail =
                "the request is not signed with the session's key: a token alone is not enough";
            return Err(ServiceError::new(ErrorCode::BadProof, detail));
        }

        let mut sessions = self.locked();
        let session = sessions.by_token.get_mut(token).ok_or_else(gone)?;
        if !session.take(proof.number) {
            let detail = "a request of this number has come before, or of a far higher one: it may be a repetition";
            return Err(ServiceError::new(ErrorCode::Replayed, detail));
        }
        Ok((session.holder.clone(), session.of))
    }

    /// Notes that a session has shown its device's latest mark, and ends the device's other sessions.
    pub(super) fn marked(&self, shown: CallerSession, device: &DeviceInfo, number: u64) {
        let mut open = self.locked();
        let is_device =
            |session: &Session| matches!(&session.holder, Holder::Device(info) if info == device);
        let of_device = open.of(&device.device.user).filter(|(_, session)| is_device(session));
        let (own, others): (Vec<_>, Vec<_>) = of_device
            .map(|(token, session)| (token.clone(), session.of.number))
            .partition(|(_, session)| *session == shown.number);
        others.iter().for_each(|(token, _)| open.remove(token));
        for (token, _) in own {
            if let Some(session) = open.by_token.get_mut(&token) {
                session.of.state_mark = number;
            }
        }
    }

    /// Ends the sessions of a user that are not of these active devices with these keys, and, unless they are to
    /// stay, those of the recovery key.
    pub(super) fn keep(&self, user: &Name, active: &[DeviceInfo], recovery: bool) {
        let mut open = self.locked();
        let stays = |holder: &Holder| match holder {
            Holder::Device(info) => active.contains(info),
            Holder::Recovery(_) => recovery,
        };
        let ended = open.of(user).filter(|(_, session)| !stays(&session.holder));
        let ended: Vec<String> = ended.map(|(token, _)| token.clone()).collect();
        ended.iter().for_each(|token| open.remove(token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_leaves_nothing() {
        let sessions = Sessions::new(1000);
        let at = |seconds| UnixTime::from_secs(seconds).unwrap();
        for n in 0..300u64 {
            let holder = Holder::Recovery(format!("user-{}", n % 3).parse().unwrap());
            let key = n.to_be_bytes().to_vec().into();
            sessions.open(holder, key, at(n / 100), Duration::from_secs(10)).unwrap();
        }
        sessions.keep(&"user-0".parse().unwrap(), &[], false);
        sessions.locked().forget_ended(at(12));
        let open = sessions.locked();
        let lengths = [open.by_token.len(), open.by_end.len(), open.of_user.len()];
        assert_eq!(lengths, [0; 3], "{open:?}");
    }

    #[test]
    fn each_number_counts_once_in_whatever_order() {
        let holder = Holder::Recovery("alice".parse().unwrap());
        let key = Vec::new().into();
        let of = CallerSession { number: 1, state_mark: 0 };
        let mut session = Session { holder, of, key, expires: UnixTime::MAX, highest: 0, used: 1 };
        assert!(!session.take(0), "numbers begin with 1");
        assert!(session.take(3) && session.take(1) && session.take(2));
        assert!(!session.take(1) && !session.take(2) && !session.take(3));

        // Far ahead, what lies outside the window is refused, used or not.
        assert!(session.take(3 + WINDOW));
        assert!(!session.take(3) && session.take(4) && !session.take(4));
        assert!(session.take(u64::MAX) && !session.take(u64::MAX) && !session.take(5));
        assert!(session.take(u64::MAX - 63) && !session.take(u64::MAX - 64));
    }
}
