//! The interface that drives every stack. Only bytes cross from one member to another.

use crate::suite::Suite;
use conclave_mls::UnixTime;
use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A result; an error is in the words of the stack.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// An extension type for private use (section 17.3) that all clients advertise.
pub const TOPIC: u16 = 0xf0a1;

/// An extension of a GroupContext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its type.
    pub kind: u16,
    /// Its content.
    pub data: Vec<u8>,
}

/// The successor of a group, as a ReInit proposal describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReInit {
    /// Its identifier.
    pub group_id: Vec<u8>,
    /// Its suite.
    pub suite: Suite,
    /// The extensions of its GroupContext.
    pub extensions: Vec<Extension>,
}

/// A proposal of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Add the client of this key package, an MLSMessage.
    Add(Vec<u8>),
    /// Remove the member at this leaf.
    Remove(u32),
    /// Renew the sender's leaf. By reference only.
    Update,
    /// Inject the external PSK of this identifier.
    ExternalPsk(Vec<u8>),
    /// Inject the resumption PSK of this epoch of the same group.
    ResumptionPsk(u64),
    /// Replace the GroupContext's extensions.
    Extensions(Vec<Extension>),
    /// Close the group.
    ReInit(ReInit),
    /// Remove the sender. By reference only, and in the clear.
    SelfRemove,
    /// Update the data of a component in the GroupContext.
    AppData(u16, Vec<u8>),
    /// Remove the data of a component.
    AppDataRemoval(u16),
    /// Give a component data with the commit.
    Ephemeral(u16, Vec<u8>),
    /// Inject the PSK of this identifier of the component [`REPLACES`].
    ApplicationPsk(Vec<u8>),
}

/// How a commit is made.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// As a PrivateMessage.
    pub private: bool,
    /// With a path even if none is needed, if the stack offers the choice.
    pub path: bool,
    /// With the tree in the Welcome.
    pub tree: bool,
}

/// The messages of a commit.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The commit, an MLSMessage.
    pub commit: Vec<u8>,
    /// The Welcome for all new members, an MLSMessage.
    pub welcome: Option<Vec<u8>>,
}

/// The effect of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A proposal was kept.
    Proposal,
    /// A new epoch began.
    Epoch,
    /// This member was removed.
    Removed,
    /// The group was closed by a ReInit.
    Closed,
    /// Application data.
    Data {
        /// The data.
        data: Vec<u8>,
        /// The authenticated data, if the stack returns it.
        authenticated_data: Option<Vec<u8>>,
    },
}

/// A group as a member sees it. The views of all members must be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The epoch.
    pub epoch: u64,
    /// The epoch authenticator (section 8.7).
    pub authenticator: Vec<u8>,
    /// An exported secret (section 8.5).
    pub exported: Vec<u8>,
    /// The leaves of the members with their identities.
    pub roster: Vec<(u32, Vec<u8>)>,
    /// The GroupContext's extensions.
    pub extensions: Vec<Extension>,
}

/// The label of exported secrets.
pub const EXPORT_LABEL: &str = "interop";
/// The length of exported secrets.
pub const EXPORT_LENGTH: usize = 32;

/// The first messages of a branch or of a successor of a group.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The Welcome for all other members, an MLSMessage.
    pub welcome: Vec<u8>,
    /// The encoded tree, if the Welcome does not hold it.
    pub tree: Option<Vec<u8>>,
}

/// A proposal from outside the group.
#[derive(Clone, Debug)]
pub enum Outside {
    /// An external sender of index 0 proposes to add the client of this key package.
    Add(Vec<u8>),
    /// An external sender of index 0 proposes to remove the member at this leaf.
    Remove(u32),
    /// An external sender of index 0 proposes to inject the external PSK of this identifier.
    ExternalPsk(Vec<u8>),
    /// A newcomer proposes to add itself.
    Itself,
    /// An external sender of index 0 proposes to update the data of a component.
    AppData(u16, Vec<u8>),
}

/// A component of the application, from the range for private use, whose data the last update replaces.
pub const REPLACES: u16 = 0x8001;
/// A component whose updates are appended to its data.
pub const APPENDS: u16 = 0x8002;
/// The component `safe_aad`, whose data the last update replaces here.
pub const SAFE_AAD: u16 = 2;
/// The extension `app_data_dictionary`.
pub const DICTIONARY: u16 = 6;

/// What the updates of a component mean, in their order.
pub fn updated<'a>(
    component: u16,
    old: Option<&[u8]>,
    updates: impl Iterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut data = old.unwrap_or_default().to_vec();
    for update in updates {
        if component != APPENDS {
            data.clear();
        }
        data.extend_from_slice(update);
    }
    data
}

/// The application PSK beside an external one of the same identifier.
pub fn application_psk(secret: &[u8]) -> Vec<u8> {
    secret.iter().rev().copied().collect()
}

/// A dictionary by which a leaf lists [`REPLACES`] and [`APPENDS`] as components that it supports, in
/// authenticated data too.
pub fn leaf_dictionary() -> conclave_mls::component::AppDataDictionary {
    use conclave_mls::component::{AppDataDictionary, ComponentId, ComponentsList, Encode};
    let [supported, safe_aad] = [vec![1, SAFE_AAD, REPLACES, APPENDS], vec![REPLACES, APPENDS]]
        .map(|ids| ComponentsList::of(&ids.into_iter().map(ComponentId).collect::<Vec<_>>()))
        .map(|list| list.to_bytes().unwrap_or_default());
    AppDataDictionary::default()
        .with(ComponentId::APP_COMPONENTS, supported)
        .with(ComponentId::SAFE_AAD, safe_aad)
}

/// What a stack has of the drafts. By default, a stack has nothing.
pub trait Drafts {
    /// The secret of a component in this epoch, which can be taken once.
    fn safe_export(&mut self, _component: u16) -> Result<Vec<u8>> {
        Err(NO_DRAFTS.into())
    }
    /// What the commit that began this epoch gave to components.
    fn ephemeral(&mut self) -> Result<Vec<(u16, Vec<u8>)>> {
        Err(NO_DRAFTS.into())
    }
    /// Joins by a GroupInfo with a tree, makes these changes by value and commits these SelfRemoves.
    fn join_external_with(
        &mut self,
        _group_info: &[u8],
        _changes: &[Change],
        _leaving: &[Vec<u8>],
    ) -> Result<Vec<u8>> {
        Err(NO_DRAFTS.into())
    }
    /// A message to the group with this authenticated data, even if it breaks the draft's rules.
    fn with_authenticated_data(&mut self, _authenticated_data: &[u8]) -> Result<Vec<u8>> {
        Err(NO_DRAFTS.into())
    }
    /// Encrypts data to the member at a leaf.
    fn send_to(&mut self, _leaf: u32, _data: &[u8], _authenticated_data: &[u8]) -> Result<Vec<u8>> {
        Err(NO_DRAFTS.into())
    }
    /// Supplies the inputs of HPKE for targeted messages, if the stack's differ from the draft's; or no longer.
    fn mend_targeted(&mut self, _mended: bool) {}
}

const NO_DRAFTS: &str = "the stack has nothing of this draft";

/// A client that follows a group without being a member.
pub trait Observe {
    /// Processes a PublicMessage.
    fn follow(&mut self, message: &[u8]) -> Result<()>;
    /// The epoch, and the GroupContext's extensions.
    fn state(&self) -> Result<(u64, Vec<Extension>)>;
}

/// A client with at most one group.
///
/// A member's own commit is pending until [`Member::accept`] or [`Member::discard`]. For a stack without
/// pending commits, the driver keeps the previous state.
pub trait Member: Drafts {
    /// A new key package, an MLSMessage, whose private keys the client keeps.
    fn key_package(&mut self) -> Result<Vec<u8>>;
    /// Makes new signature keys by the stack's own means, where the driver makes them differently.
    fn stack_keys(&mut self) -> Result<()> {
        Ok(())
    }
    /// Creates a group.
    fn create(&mut self, group_id: &[u8], extensions: &[Extension]) -> Result<()>;
    /// Joins by a Welcome, with the tree in it or apart.
    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()>;
    /// Joins by a GroupInfo, with the tree in it or apart, and returns the external commit. `psk` is
    /// injected;
    /// `resync` removes the old leaf, that of a member with the same identity and key.
    fn join_external(
        &mut self,
        group_info: &[u8],
        tree: Option<&[u8]>,
        psk: Option<&[u8]>,
        resync: bool,
    ) -> Result<Vec<u8>>;
    /// A GroupInfo that allows external joins, an MLSMessage.
    fn group_info(&mut self, tree: bool) -> Result<Vec<u8>>;
    /// The encoded ratchet tree.
    fn tree(&mut self) -> Result<Vec<u8>>;
    /// Gives the client an external PSK.
    fn know_psk(&mut self, id: &[u8], secret: &[u8]) -> Result<()>;
    /// Proposes. The proposal is kept here as by the receivers.
    fn propose(&mut self, change: &Change, private: bool) -> Result<Vec<u8>>;
    /// Commits all kept proposals by reference, and these by value.
    fn commit(&mut self, changes: &[Change], how: How) -> Result<Commit>;
    /// Applies the pending commit.
    fn accept(&mut self) -> Result<()>;
    /// Discards the pending commit.
    fn discard(&mut self) -> Result<()>;
    /// Processes a message of the group.
    fn receive(&mut self, message: &[u8]) -> Result<Received>;
    /// Encrypts application data.
    fn send(&mut self, data: &[u8], authenticated_data: &[u8]) -> Result<Vec<u8>>;
    /// How many bytes the client stores, for stacks whose store reports it.
    fn stored_bytes(&mut self) -> Result<usize> {
        Err("not known".into())
    }
    /// The group as this member sees it, with a secret exported for this context.
    fn view(&mut self, context: &[u8]) -> Result<View>;
    /// The encoded ExternalSender that this client is.
    fn external_sender(&mut self) -> Result<Vec<u8>>;
    /// Proposes from outside the group of a GroupInfo with a tree.
    fn propose_outside(&mut self, group_info: &[u8], what: &Outside) -> Result<Vec<u8>>;
    /// A key package for the successor of the closed group.
    fn reinit_key_package(&mut self, suite: Suite) -> Result<Vec<u8>>;
    /// Opens the successor of the closed group and adds the clients of these key packages.
    fn reinit(&mut self, next: &ReInit, key_packages: &[Vec<u8>]) -> Result<Linked>;
    /// Joins the successor of the closed group.
    fn join_reinit(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()>;
    /// Opens a branch of the group, with other extensions or the group's, and adds the clients of these key
    /// packages.
    fn branch(
        &mut self,
        group_id: &[u8],
        other: Option<&[Extension]>,
        key_packages: &[Vec<u8>],
    ) -> Result<Linked>;
    /// Joins a branch of the group.
    fn join_branch(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()>;
}

/// The system's time; 1970 if the clock is wrong.
pub fn now() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::since_unix_epoch(elapsed).unwrap_or(UnixTime::MIN)
}

/// The lifetime of all key packages: ts-mls refuses more than a month.
pub const LIFETIME: Duration = Duration::from_secs(28 * 24 * 3600);
/// How long before now key packages begin to be valid.
pub const LEEWAY: Duration = Duration::from_secs(3600);

/// The external sender of a signature key and a basic credential.
pub fn encode_external_sender(signature_key: &[u8], identity: &[u8]) -> Result<Vec<u8>> {
    use conclave_mls::wire::Encode;
    let sender = conclave_mls::credential::ExternalSender {
        signature_key: signature_key.into(),
        credential: conclave_mls::Credential::basic(identity),
    };
    Ok(sender.to_bytes()?)
}
