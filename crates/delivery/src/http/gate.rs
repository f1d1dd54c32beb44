//! Who is connected, and who has to go when there are too many.
//!
//! Whoever connects has shown nothing yet, so a newcomer is always let in if some connection without a session can go
//! for it: of those that wait for a request the one that has waited longest, else the oldest. A quarter of all
//! connections is kept back for those with a session, which nobody's coming ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// Of whoever has connected: a client, or a proxy.
    pub(super) address: IpAddr,
    /// What it counts for: see [`owner`].
    owner: IpAddr,
    begun: Instant,
    has_session: AtomicBool,
    /// How many of all have one.
    with_session: Arc<AtomicUsize>,
    requests: AtomicUsize,
    /// In milliseconds since it began.
    idle_since: AtomicU64,
    leave: Notify,
}

impl Connection {
    /// Whoever is at the other end has a session.
    pub(super) fn has_session(&self) {
        if !self.has_session.swap(true, Ordering::Relaxed) {
            self.with_session.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request has come, and is worked on until what this returns is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Waits until it has to go.
    pub(super) async fn evicted(&self) {
        self.leave.notified().await;
    }

    /// Who goes first: those that wait, then those that have been there or have waited for longest.
    fn order_of_leaving(&self) -> (bool, Instant) {
        let is_busy = self.requests.load(Ordering::Relaxed) > 0;
        let idle = std::time::Duration::from_millis(self.idle_since.load(Ordering::Relaxed));
        (is_busy, if is_busy { self.begun } else { self.begun + idle })
    }
}

/// A request in work.
#[derive(Debug)]
pub(super) struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        let since = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.idle_since.store(since, Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What an address counts for: of IPv6, whoever has one has 64 bits of them.
pub(super) fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<u64, Arc<Connection>>,
    of: HashMap<IpAddr, usize>,
    next: u64,
}

impl State {
    fn remove(&mut self, id: u64) -> Option<Arc<Connection>> {
        let connection = self.open.remove(&id)?;
        // It says so no more, even if it is told that it has one.
        if connection.has_session.swap(true, Ordering::Relaxed) {
            connection.with_session.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(count) = self.of.get_mut(&connection.owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of.remove(&connection.owner);
            }
        }
        Some(connection)
    }

    /// Ends one without a session, of an address or of all.
    fn evict(&mut self, of: Option<&IpAddr>) -> bool {
        let can_go = |connection: &Connection| {
            !connection.has_session.load(Ordering::Relaxed)
                && of.is_none_or(|of| connection.owner == *of)
        };
        let candidates = self.open.iter().filter(|(_, connection)| can_go(connection));
        let first = candidates.min_by_key(|(_, connection)| connection.order_of_leaving());
        let Some(connection) = first.map(|(id, _)| *id).and_then(|id| self.remove(id)) else {
            return false;
        };
        connection.leave.notify_one();
        true
    }
}

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    with_session: Arc<AtomicUsize>,
    most: usize,
    most_of_address: usize,
    refused: AtomicU64,
    evicted: AtomicU64,
}

/// Which limit keeps a newcomer out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom(pub(super) &'static str);

impl Gate {
    pub(super) fn new(most: usize, most_of_address: usize) -> Arc<Self> {
        let (refused, evicted) = (AtomicU64::new(0), AtomicU64::new(0));
        let (state, with_session) = (Mutex::default(), Arc::default());
        Arc::new(Self { state, with_session, most, most_of_address, refused, evicted })
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a newcomer in. Proxies that are trusted may have as many connections as there are.
    pub(super) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        is_proxy: bool,
    ) -> Result<Entered, NoRoom> {
        let owner = owner(address);
        let mut state = self.locked();
        let count = state.of.get(&owner).copied().unwrap_or(0);
        let mut made_room = true;
        let mut limit = "connections of an address";
        if count >= self.most_of_address && !is_proxy {
            made_room = self.evict(&mut state, Some(&owner));
        } else if state.open.len() >= self.most || self.is_share_used_up(&state) {
            limit = "connections";
            made_room = self.evict(&mut state, None);
        }
        if !made_room {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(NoRoom(limit));
        }

        let connection = Arc::new(Connection {
            address: address.to_canonical(),
            owner,
            begun: Instant::now(),
            has_session: AtomicBool::new(false),
            with_session: self.with_session.clone(),
            requests: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            leave: Notify::new(),
        });
        let id = state.next;
        state.next += 1;
        state.open.insert(id, connection.clone());
        *state.of.entry(owner).or_default() += 1;
        drop(state);
        Ok(Entered { gate: self.clone(), id, connection })
    }

    fn evict(&self, state: &mut State, of: Option<&IpAddr>) -> bool {
        let evicted = state.evict(of);
        self.evicted.fetch_add(u64::from(evicted), Ordering::Relaxed);
        evicted
    }

    /// Whether those without a session have all that they may have.
    fn is_share_used_up(&self, state: &State) -> bool {
        let share = self.most - self.most / 4;
        self.without_session(state) >= share
    }

    fn without_session(&self, state: &State) -> usize {
        state.open.len().saturating_sub(self.with_session.load(Ordering::Relaxed))
    }

    /// How many requests are in work.
    pub(super) fn in_work(&self) -> usize {
        let state = self.locked();
        state.open.values().map(|connection| connection.requests.load(Ordering::Relaxed)).sum()
    }

    /// How many there are: in all, and without a session.
    pub(super) fn count(&self) -> (usize, usize) {
        let state = self.locked();
        (state.open.len(), self.without_session(&state))
    }

    /// How many were refused, and how many had to go for others, so far.
    pub(super) fn turned_away(&self) -> (u64, u64) {
        (self.refused.load(Ordering::Relaxed), self.evicted.load(Ordering::Relaxed))
    }
}

/// A place among the connections, until this is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    gate: Arc<Gate>,
    id: u64,
    pub(super) connection: Arc<Connection>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.gate.locked().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn address(n: u8) -> IpAddr {
        [127, 0, 0, n].into()
    }

    fn is_evicted(entered: &Entered) -> bool {
        entered.connection.evicted().now_or_never().is_some()
    }

    #[test]
    fn a_newcomer_takes_the_place_of_whoever_has_waited_longest_without_a_session() {
        let gate = Gate::new(4, 100);
        let enter = |n| {
            let entered = gate.enter(address(n), false).unwrap();
            // Times are told apart by milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(2));
            entered
        };
        let [member, busy, idle] = [enter(1), enter(2), enter(3)];
        member.connection.has_session();
        let work = busy.connection.begin_request();
        let again = enter(3);
        assert!(!is_evicted(&idle), "there is room for three without a session");

        let newcomer = enter(4);
        assert!(is_evicted(&idle) && !is_evicted(&again) && !is_evicted(&busy));
        // One that has just been served has not waited for long.
        drop(work);
        let later = enter(5);
        assert!(is_evicted(&again) && !is_evicted(&busy) && !is_evicted(&newcomer));
        let work = [&busy, &newcomer, &later].map(|entered| entered.connection.begin_request());
        let last = enter(6);
        assert!(is_evicted(&busy), "if all are served, the oldest goes");
        assert!(!is_evicted(&member));
        drop((work, last));
    }

    #[test]
    fn those_with_a_session_stay_and_fill_all_places() {
        let gate = Gate::new(4, 100);
        let members: Vec<Entered> = (1..=4)
            .map(|n| {
                let entered = gate.enter(address(n), false).unwrap();
                entered.connection.has_session();
                entered
            })
            .collect();
        assert_eq!(gate.enter(address(9), false).unwrap_err(), NoRoom("connections"));
        assert!(!members.iter().any(is_evicted));
        drop(members);
        assert!(gate.enter(address(9), false).is_ok());
        assert_eq!((gate.count(), gate.turned_away()), ((0, 0), (1, 0)));
        assert!(gate.locked().of.is_empty());
    }

    #[test]
    fn an_address_has_so_many_and_its_next_takes_the_place_of_its_own() {
        let gate = Gate::new(100, 2);
        let enter = |n| gate.enter(address(n), false);
        let stranger = enter(9).unwrap();
        let [first, second] = [(); 2].map(|()| enter(1).unwrap());
        let third = enter(1).unwrap();
        assert!(is_evicted(&first) || is_evicted(&second));
        assert!(!is_evicted(&stranger) && !is_evicted(&third));
        drop((first, second, third));

        let members: Vec<Entered> = (0..2).map(|_| enter(1).unwrap()).collect();
        members.iter().for_each(|entered| entered.connection.has_session());
        assert_eq!(enter(1).unwrap_err(), NoRoom("connections of an address"));
        assert!(gate.enter(address(1), true).is_ok(), "a proxy speaks for many");
    }

    #[test]
    fn whoever_has_a_network_of_ipv6_counts_once() {
        let parse = |text: &str| owner(text.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:0:0:1"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:127.0.0.1"), parse("127.0.0.1"));
        assert_ne!(parse("127.0.0.1"), parse("127.0.0.2"));
    }
}
