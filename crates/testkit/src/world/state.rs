//! The state of a world, and the random choices that it makes.

use super::archive::{Archive, OwnPast};
use crate::SeededRng;
use crate::party::{Rows, native, portable};
use conclave_crypto::{CryptoProvider, Secret, SignatureKeyPair, Suites};
use conclave_group::{Config, Framing, Group, Observer, Padding};
use conclave_wire::{CipherSuite, ComponentId, Epoch, ExtensionType, LeafIndex, UnixTime};
use rand_core::Rng;
use std::collections::BTreeMap;

/// An extension type of private use that all clients here support.
pub(super) const CUSTOM_EXTENSION: ExtensionType = ExtensionType(0xf001);
/// The components that all clients here know.
pub(super) const COMPONENTS: [ComponentId; 3] =
    [ComponentId(0x8001), ComponentId(0x8002), ComponentId(0xff00)];
/// All suites, the post-quantum ones at Conclave's code points.
pub(super) const SUITES: Suites = Suites::CONCLAVE;

/// An application message or a targeted one that a member has not received yet.
pub(super) struct Held {
    pub(super) epoch: Epoch,
    pub(super) message: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) sender: LeafIndex,
    /// Whether it is for this member alone.
    pub(super) targeted: bool,
}

/// A member with the rows that it has written.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) provider: &'static dyn CryptoProvider,
    pub(super) group: Group,
    pub(super) rows: Rows,
    pub(super) held: Vec<Held>,
    pub(super) past: OwnPast,
}

/// An observer with the rows that it has written.
pub(super) struct Watcher {
    pub(super) observer: Observer,
    pub(super) rows: Rows,
}

/// The parameters of a world.
#[derive(Clone, Copy, Debug)]
pub struct WorldParams {
    /// The seed, which decides everything that happens.
    pub seed: u64,
    /// The cipher suite of the first group: one of [`Suites::CONCLAVE`]. A world that begins with a
    /// suite of RFC 9420 stays with those; a world that begins with a post-quantum suite goes on to
    /// any.
    pub cipher_suite: CipherSuite,
    /// The largest number of members.
    pub max_members: usize,
    /// Whether handshake messages are encrypted, so that no observer can follow.
    pub encrypt: bool,
}

/// How often each kind of step was taken.
pub type Counts = BTreeMap<&'static str, u64>;

/// The attacker of a world.
pub(super) struct Hostile {
    pub(super) rng: SeededRng,
    pub(super) archive: Archive,
    /// How many messages of each kind were refused.
    pub(super) refused: Counts,
}

impl Hostile {
    /// An attacker with these kinds of message, of which it has sent none.
    pub(super) fn new(rng: &SeededRng, kinds: impl Iterator<Item = &'static str>) -> Self {
        let refused = kinds.map(|name| (name, 0)).collect();
        Self { rng: rng.fork("hostile"), archive: Archive::default(), refused }
    }

    pub(super) fn count(&mut self, name: &'static str) {
        *self.refused.get_mut(name).expect("a listed kind") += 1;
    }

    /// Picks some of these kinds at random, and returns the one that came least often.
    pub(super) fn rarer<T: Copy>(&mut self, of: &[T], name: fn(T) -> &'static str) -> T {
        let mut pick = || of[self.rng.below(of.len() as u64) as usize];
        let picked = [pick(), pick(), pick(), pick()];
        let least = picked.into_iter().min_by_key(|kind| self.refused[name(*kind)]);
        least.expect("four were picked")
    }
}

/// A group with its members, the messages on their way to them, and an observer.
pub struct World {
    pub(super) params: WorldParams,
    pub(super) rng: SeededRng,
    pub(super) suite: CipherSuite,
    pub(super) now: UnixTime,
    pub(super) step: u64,
    pub(super) clients: u64,
    pub(super) config: Config,
    pub(super) peers: Vec<Peer>,
    pub(super) watcher: Option<Watcher>,
    pub(super) external: Option<SignatureKeyPair>,
    pub(super) psks: BTreeMap<Vec<u8>, Secret>,
    pub(super) counts: Counts,
    pub(super) hostile: Hostile,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World {{ {:?}, step {}, {} members }}", self.params, self.step, self.peers.len())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            use std::io::Write;
            let WorldParams { seed, cipher_suite, max_members, encrypt } = self.params;
            let _ = writeln!(
                std::io::stderr(),
                "this happened in {self:?}; to repeat it: cargo model --seed {seed} --suite {} \
                 --members {max_members} --encrypt {encrypt} --steps {} --worlds 1",
                cipher_suite.0,
                self.step,
            );
        }
    }
}

/// The native provider, if the coin says so and it has the suite; else the portable one.
pub(super) fn provider_for(suite: CipherSuite, coin: bool) -> &'static dyn CryptoProvider {
    if coin && native().suite(suite).is_some() { native() } else { portable() }
}

impl World {
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.rng.next_u64() % n.max(1) as u64) as usize
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.rng.next_u64() % 100 < percent
    }

    pub(super) fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    pub(super) fn some_peer(&mut self) -> usize {
        let n = self.peers.len();
        self.below(n)
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(super) fn framing(&mut self) -> Framing {
        let padding = match self.below(3) {
            0 => Padding::None,
            1 => Padding::Padme,
            _ => Padding::ToMultipleOf(64),
        };
        let n = self.below(20);
        let authenticated_data = self.bytes(n);
        Framing { encrypt: self.params.encrypt, authenticated_data, padding }
    }
}
