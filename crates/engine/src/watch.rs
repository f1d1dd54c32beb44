//! What this device knows of its service: its key, the roots of its directory, and what the user has to know of it.

use conclave_account::{Account, Entry};
use conclave_delivery_api::{AccountPage, Name, SESSION_SCHEME};
use conclave_directory::{
    Agreement, Evidence, Lookup, ProofError, Roots, Seen, ServiceKey, SignedRoot, Source,
    verify_lookup,
};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// The format of a stored [`Watch`].
const VERSION: u8 = 1;
/// How many directories that this device no longer goes by are remembered.
const MAX_FORMER: usize = 4;

/// What is known of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    /// The directory that this device goes by.
    roots: Roots,
    /// Those that it went by before, the latest last: of other keys, or from before the service went back.
    former: Vec<Roots>,
    pub(crate) standing: Standing,
    /// Whether there is evidence that the directory of now and a former one contradict each other.
    proved: bool,
    /// Whether the user was told that the service does not show how one root became another.
    pub(crate) withheld: bool,
    /// The epoch up to which this device has checked what the directory has of its own user.
    pub(crate) checked: u64,
    /// The epoch of the last entry of its own user that no device of the user made, and that the user was told of.
    pub(crate) reported: u64,
}

/// What the user has to know of the service, and has not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Nothing.
    Good,
    /// It has another key than before, or its directory went back.
    Replaced,
    /// There is proof that it has shown two directories.
    Convicted,
}

/// What a root amounts to.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is the newest one.
    Newest,
    /// It is an older one, which the newest extends; or one of a directory that is no longer gone by.
    Past,
    /// The service has to prove first that one extends the other.
    Waits,
    /// The service itself shows an older one than before.
    Rollback {
        /// The epoch of the newest root.
        newest: u64,
        /// The epoch that was shown.
        shown: u64,
    },
    /// The service lied.
    Lied(Box<Evidence>),
}

/// What a member's word on the directory amounts to.
#[derive(Debug)]
pub(crate) enum Gossip {
    /// A root.
    Root(Taken),
    /// The member knows the service by another key.
    OtherKey,
    /// It is no root of the service's: the member made it up.
    Unsigned,
}

/// How a user's log and what the directory has of it fit together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// The directory has all of it.
    Whole,
    /// The directory has this many of its entries.
    Behind(u64),
    /// The directory has another log, or more than was shown: why.
    Contradicted(&'static str),
}

/// The beginning of a service's key: what members name it by to each other.
pub(crate) type KeyId = [u8; 8];

/// What a member passes on inside its messages: the newest root that it has seen, and of which service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PassedRoot {
    pub(crate) key: KeyId,
    pub(crate) root: SignedRoot,
}

fn key_id(key: &SignaturePublicKey) -> KeyId {
    let mut id = [0; 8];
    id.iter_mut().zip(key.iter()).for_each(|(to, from)| *to = *from);
    id
}

fn service_key(key: SignaturePublicKey) -> ServiceKey {
    ServiceKey { scheme: SESSION_SCHEME, public: key }
}

impl Watch {
    /// A service that is met for the first time.
    pub(crate) fn new(key: SignaturePublicKey) -> Self {
        Self {
            roots: Roots::new(service_key(key)),
            former: Vec::new(),
            standing: Standing::Good,
            proved: false,
            withheld: false,
            checked: 0,
            reported: 0,
        }
    }

    /// The service's key.
    pub(crate) fn key(&self) -> &SignaturePublicKey {
        &self.roots.key().public
    }

    fn key_id(&self) -> KeyId {
        key_id(self.key())
    }

    /// What to pass on to other members; none while there is nothing in the directory.
    pub(crate) fn to_pass(&self) -> Option<PassedRoot> {
        let root = self.newest().filter(|root| root.epoch > 0)?;
        Some(PassedRoot { key: self.key_id(), root: root.clone() })
    }

    /// The newest root.
    pub(crate) fn newest(&self) -> Option<&SignedRoot> {
        self.roots.newest()
    }

    pub(crate) fn newest_epoch(&self) -> u64 {
        self.newest().map_or(0, |root| root.epoch)
    }

    /// Whether there is proof that the service has shown two directories, which the user has not acknowledged.
    pub(crate) fn is_convicted(&self) -> bool {
        self.standing == Standing::Convicted
    }

    /// Whether this is, or was, a key of the service.
    fn knows_key(&self, id: KeyId) -> bool {
        self.key_id() == id || self.former.iter().any(|roots| key_id(&roots.key().public) == id)
    }

    /// The epochs between which the service owes a proof.
    pub(crate) fn owed(&self) -> Vec<(u64, u64)> {
        self.roots.waiting().collect()
    }

    /// Goes on with a service that has another key now. The result says whether that key is new.
    pub(crate) fn change_key(&mut self, key: &SignaturePublicKey) -> bool {
        let known = self.former.iter().position(|roots| roots.key().public == *key);
        let next = match known {
            Some(at) => self.former.remove(at),
            None => Roots::new(service_key(key.clone())),
        };
        self.go_on_with(next);
        known.is_none()
    }

    /// Goes on with the directory that the service shows now, which begins with the next root.
    pub(crate) fn begin_anew(&mut self) {
        self.go_on_with(Roots::new(self.roots.key().as_ref().clone()));
    }

    fn go_on_with(&mut self, next: Roots) {
        let before = core::mem::replace(&mut self.roots, next);
        if before.newest().is_some() {
            if self.former.len() == MAX_FORMER {
                self.former.remove(0);
            }
            self.former.push(before);
        }
        self.proved = false;
        self.withheld = false;
        self.checked = 0;
        self.reported = 0;
    }

    /// Takes a root. The error says why it is none of the service's.
    pub(crate) fn take(
        &mut self,
        provider: &dyn CryptoProvider,
        root: &SignedRoot,
        source: Source,
    ) -> Result<Taken, String> {
        let seen = self.roots.take(provider, root.clone(), source).map_err(|e| e.to_string())?;
        Ok(taken(seen))
    }

    /// The evidence that a root contradicts what the service has shown before it went back. It is given once.
    pub(crate) fn proof_of_before(
        &mut self,
        provider: &dyn CryptoProvider,
        root: &SignedRoot,
    ) -> Option<Box<Evidence>> {
        if self.proved {
            return None;
        }
        let same_key = self.former.iter().filter(|roots| roots.key() == self.roots.key());
        let found = same_key.filter_map(|roots| roots.contradicts(provider, root).ok()?).last()?;
        self.proved = true;
        Some(found)
    }

    /// Takes what a member has seen.
    pub(crate) fn hear(
        &mut self,
        provider: &dyn CryptoProvider,
        PassedRoot { key, root }: &PassedRoot,
    ) -> Gossip {
        if self.key_id() != *key {
            // The member may not know yet.
            return if self.knows_key(*key) { Gossip::Root(Taken::Past) } else { Gossip::OtherKey };
        }
        if self.former.iter().any(|roots| roots.has(root)) {
            return Gossip::Root(Taken::Past);
        }
        match self.take(provider, root, Source::Gossip) {
            Ok(taken) => Gossip::Root(taken),
            Err(_) => Gossip::Unsigned,
        }
    }

    /// Takes a proof that one root extends another. The error says why it proves nothing.
    pub(crate) fn prove(
        &mut self,
        provider: &dyn CryptoProvider,
        proof: &[u8],
    ) -> Result<Taken, ProofError> {
        Ok(taken(self.roots.prove(provider, proof)?))
    }

    /// The newest root, to check a proof with. The error says what is missing.
    pub(crate) fn verified_newest(
        &self,
        provider: &dyn CryptoProvider,
    ) -> Result<conclave_directory::Root, String> {
        let root = self.roots.verified_newest(provider).map_err(|e| e.to_string())?;
        root.ok_or_else(|| "there is no root yet".to_string())
    }

    /// Compares a user's log, of which `known` was known before and `entries` are new, with what the directory
    /// has of it at the newest root. The error says why nothing is proved.
    pub(crate) fn published(
        &self,
        provider: &dyn CryptoProvider,
        user: &Name,
        page: &AccountPage,
        known: Option<&Account>,
        (account, entries): (&Account, &[Entry]),
    ) -> Result<Published, String> {
        let root = self.verified_newest(provider)?;
        let name = user.as_str().as_bytes();
        let lookup = verify_lookup(provider, &root, name, &page.directory.proof);
        let Lookup::Present(entry) = lookup.map_err(|e| e.to_string())? else {
            return Ok(Published::Behind(0));
        };

        let head = account.head();
        let hash_at = |length: u64| {
            let heads = [Some(account), known].into_iter().flatten().map(Account::head);
            let head = heads.filter(|head| head.length == length).map(|head| head.hash).next();
            head.or_else(|| {
                let entry = entries.iter().find(|entry| entry.sequence + 1 == length)?;
                entry.hash(provider).ok()
            })
        };
        let length = entry.head.length;
        // What lies further back cannot be compared any more: the directory has to come up to what is known here.
        if length < head.length && hash_at(length).is_none() {
            return Ok(Published::Behind(length));
        }
        Ok(match entry.compare(head.length, hash_at) {
            Agreement::Same => Published::Whole,
            Agreement::DirectoryBehind => Published::Behind(length),
            // The rest is asked for.
            Agreement::LogBehind if head.length < page.length => Published::Behind(length),
            Agreement::LogBehind => Published::Contradicted(
                "its directory has entries of the account that it keeps back here",
            ),
            Agreement::Different => {
                Published::Contradicted("its directory has another account under this name")
            }
        })
    }
}

fn taken(seen: Seen) -> Taken {
    match seen {
        Seen::First | Seen::Same | Seen::Newer => Taken::Newest,
        Seen::Older => Taken::Past,
        Seen::Rollback { newest, shown } => Taken::Rollback { newest, shown },
        Seen::NeedsProof { .. } => Taken::Waits,
        Seen::Conflict(evidence) => Taken::Lied(evidence),
    }
}

fn flag(r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match u8::decode(r)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::InvalidPresence(other)),
    }
}

impl Encode for Watch {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        let standing: u8 = match self.standing {
            Standing::Good => 0,
            Standing::Replaced => 1,
            Standing::Convicted => 2,
        };
        standing.encode(w)?;
        u8::from(self.proved).encode(w)?;
        u8::from(self.withheld).encode(w)?;
        self.checked.encode(w)?;
        self.reported.encode(w)?;
        self.roots.encode(w)?;
        self.former.encode(w)
    }
}

impl Decode for Watch {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::decode(r)?;
        if version != VERSION {
            return Err(DecodeError::InvalidValue { field: "Watch", value: version.into() });
        }
        let standing = match u8::decode(r)? {
            0 => Standing::Good,
            1 => Standing::Replaced,
            2 => Standing::Convicted,
            other => {
                return Err(DecodeError::InvalidValue { field: "Standing", value: other.into() });
            }
        };
        let (proved, withheld) = (flag(r)?, flag(r)?);
        let (checked, reported) = (u64::decode(r)?, u64::decode(r)?);
        let roots = Roots::decode(r)?;
        let former: Vec<Roots> = Vec::decode(r)?;
        if former.len() > MAX_FORMER {
            let value = former.len() as u64;
            return Err(DecodeError::InvalidValue { field: "former roots", value });
        }
        Ok(Self { roots, former, standing, proved, withheld, checked, reported })
    }
}
