//! Permissions: who may do what.

use crate::error::Error;
use crate::view::GroupView;
use alloc::vec::Vec;
use conclave_wire::{
    Credential, DecodeError, Encode, EncodeError, Extension, ExtensionType, ProposalType, Sender,
    Writer, find_extension,
};

/// The clients that a [`Permission`] is for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Actor {
    /// Everybody.
    Everyone,
    /// All members.
    Members,
    /// The members with one of these credentials.
    Credentials(Vec<Credential>),
    /// The members whose credentials pass a test.
    Matching {
        /// A short name for the test. It stands for the test in the rules'
        /// [name](crate::Policy::id) and when two actors are compared, so a changed test needs a
        /// new name.
        name: &'static str,
        /// The test. It must give every client the same answer.
        test: fn(&Credential) -> bool,
    },
    /// The members whose credentials are listed in this extension of the GroupContext, which
    /// [`Self::list_extension`] makes. The list changes as the extension does, by a
    /// GroupContextExtensions proposal: say who may make one. A missing or malformed list allows
    /// nobody, and [`Rules`](crate::Rules) refuse proposals that would set a malformed one.
    ListedIn(ExtensionType),
    /// The group's external senders (section 12.1.8).
    ExternalSenders,
    /// Clients that join by an external commit, or propose to add themselves.
    Joiners,
    /// Clients that join by an external commit in place of a member, which it removes. Whether that
    /// member is the same client is judged at the stage
    /// ([`CredentialSubject::ExternalReplacement`](crate::CredentialSubject::ExternalReplacement)),
    /// or by [`Rules::keep_identity`](crate::Rules::keep_identity).
    Returning,
}

/// The actions that a [`Permission`] is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Everything.
    Everything,
    /// Proposals of these types, and commits that hold no others. An empty list permits commits
    /// that only renew keys.
    Types(Vec<ProposalType>),
}

/// Permits an action to an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
}

/// A client whose permissions are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Party {
    pub(crate) sender: Sender,
    /// Whether it joins in place of a member. None for a proposal by itself, which does not tell.
    pub(crate) returns: Option<bool>,
}

/// What a party may do.
pub(crate) enum Permitted<'p> {
    /// There are no permissions, so everything.
    Everything,
    /// What these actions permit together.
    Actions(Vec<&'p Action>),
}

impl<'p> Permitted<'p> {
    pub(crate) fn to(party: Party, permissions: &'p [Permission], group: GroupView<'_>) -> Self {
        if permissions.is_empty() {
            return Self::Everything;
        }
        let theirs =
            permissions.iter().filter(|permission| permission.actor.includes(group, party));
        Self::Actions(theirs.map(|permission| &permission.action).collect())
    }

    /// Whether the party may act at all, be it to renew its keys.
    pub(crate) fn anything(&self) -> bool {
        match self {
            Self::Everything => true,
            Self::Actions(actions) => !actions.is_empty(),
        }
    }

    pub(crate) fn allows(&self, proposal_type: ProposalType) -> bool {
        match self {
            Self::Everything => true,
            Self::Actions(actions) => actions.iter().any(|action| action.includes(proposal_type)),
        }
    }
}

impl Actor {
    /// An extension of the GroupContext for [`Self::ListedIn`]: an encoded `Credential list<V>`.
    /// All members must support its type, which should be one of private use.
    ///
    /// # Errors
    /// If the list is too long to encode.
    pub fn list_extension(
        extension_type: ExtensionType,
        credentials: &[Credential],
    ) -> Result<Extension, Error> {
        Ok(Extension::new(extension_type, &credentials.to_vec())?)
    }

    fn includes(&self, group: GroupView<'_>, party: Party) -> bool {
        let is_member_with = |test: &dyn Fn(&Credential) -> bool| match party.sender {
            Sender::Member(leaf) => group.credential(leaf).is_some_and(|own| test(&own)),
            Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => false,
        };
        match self {
            Self::Everyone => true,
            Self::Members => matches!(party.sender, Sender::Member(_)),
            Self::Credentials(list) => is_member_with(&|own| list.contains(own)),
            Self::Matching { test, .. } => is_member_with(test),
            Self::ListedIn(extension_type) => {
                let listed = |own: &Credential| {
                    list_in(group.extensions(), *extension_type)
                        .is_ok_and(|list| list.contains(own))
                };
                is_member_with(&listed)
            }
            Self::ExternalSenders => matches!(party.sender, Sender::External(_)),
            Self::Joiners => {
                matches!(party.sender, Sender::NewMemberProposal | Sender::NewMemberCommit)
            }
            Self::Returning => {
                party.sender == Sender::NewMemberCommit && party.returns != Some(false)
            }
        }
    }

    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Everyone => 0u8.encode(w),
            Self::Members => 1u8.encode(w),
            Self::Credentials(list) => {
                2u8.encode(w)?;
                list.encode(w)
            }
            Self::ExternalSenders => 3u8.encode(w),
            Self::Joiners => 4u8.encode(w),
            Self::Matching { name, .. } => {
                5u8.encode(w)?;
                w.put_opaque(name.as_bytes())
            }
            Self::ListedIn(extension_type) => {
                6u8.encode(w)?;
                extension_type.encode(w)
            }
            Self::Returning => 7u8.encode(w),
        }
    }
}

/// Tests are compared by their names.
impl PartialEq for Actor {
    fn eq(&self, other: &Self) -> bool {
        match self {
            Self::Everyone => matches!(other, Self::Everyone),
            Self::Members => matches!(other, Self::Members),
            Self::Credentials(a) => matches!(other, Self::Credentials(b) if a == b),
            Self::Matching { name: a, .. } => {
                matches!(other, Self::Matching { name: b, .. } if a == b)
            }
            Self::ListedIn(a) => matches!(other, Self::ListedIn(b) if a == b),
            Self::ExternalSenders => matches!(other, Self::ExternalSenders),
            Self::Joiners => matches!(other, Self::Joiners),
            Self::Returning => matches!(other, Self::Returning),
        }
    }
}

impl Eq for Actor {}

/// The credentials that an extension lists; none without it.
fn list_in(
    extensions: &[Extension],
    extension_type: ExtensionType,
) -> Result<Vec<Credential>, DecodeError> {
    Ok(find_extension(extensions, extension_type)?.unwrap_or_default())
}

impl Action {
    fn includes(&self, proposal_type: ProposalType) -> bool {
        match self {
            Self::Everything => true,
            Self::Types(types) => types.contains(&proposal_type),
        }
    }

    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Everything => 0u8.encode(w),
            Self::Types(types) => {
                1u8.encode(w)?;
                types.encode(w)
            }
        }
    }
}

impl Permission {
    pub(crate) fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.actor.encode(w)?;
        self.action.encode(w)
    }

    /// The extension that the actor's list stands in, if these extensions hold a malformed one.
    pub(crate) fn malformed_list(&self, extensions: &[Extension]) -> Option<ExtensionType> {
        let Actor::ListedIn(t) = self.actor else { return None };
        list_in(extensions, t).is_err().then_some(t)
    }
}
