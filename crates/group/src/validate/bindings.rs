//! What members must support of credentials of several (draft-ietf-mls-extensions-10, "Verifying a
//! Multi-Credential"). Signatures and inner credentials are for the application's verdict:
//! [`CredentialRequest::bindings`](crate::CredentialRequest::bindings).

use crate::credentials::several;
use crate::error::limit::Limit;
use crate::error::{Error, Rejection};
use crate::limits::Limits;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use conclave_tree::TreeRead;
use conclave_wire::{Capabilities, CipherSuite, Credential, CredentialType, LeafNode};

/// The suite and credential type of a binding.
type Kind = (CipherSuite, CredentialType);

/// Checks the shape of a leaf's credential of several. Others pass.
pub(crate) fn check_shape(limits: &Limits, credential: &Credential) -> Result<(), Error> {
    if let Some(multi) = several(credential)? {
        limits.check(Limit::Bindings, multi.bindings.len())?;
    }
    Ok(())
}

/// Checks that all members support every binding of each `multi` credential in the group, and at least one
/// of each `weak-multi` one.
///
/// This takes a pass over all leaves, because what one member presents is a demand on all others: it is for
/// groups in which somebody has such a credential.
pub(crate) fn check_support(limits: &Limits, tree: &impl TreeRead) -> Result<(), Error> {
    let all = Bindings::of_tree(limits, tree)?;
    Ok(all.check_presented(&all)?)
}

/// The bindings that some clients present, and what these clients support. Clients mostly have the same
/// capabilities and kinds of bindings, and each distinct one is held, and compared, once.
#[derive(Default)]
pub(crate) struct Bindings {
    /// Kinds that everybody has to support, apart: whoever supports the suites and the types supports
    /// every kind.
    by_all: BTreeSet<Kind>,
    suites: BTreeSet<CipherSuite>,
    types: BTreeSet<CredentialType>,
    /// Lists of kinds of each of which everybody has to support one.
    any_of: BTreeSet<Vec<Kind>>,
    supported: BTreeSet<(Vec<CipherSuite>, Vec<CredentialType>)>,
}

impl Bindings {
    /// Those of all members.
    pub(crate) fn of_tree(limits: &Limits, tree: &impl TreeRead) -> Result<Self, Error> {
        let mut all = Self::default();
        for leaf in tree.members().filter_map(|leaf| tree.leaf(leaf)) {
            all.add(limits, &leaf)?;
        }
        Ok(all)
    }

    /// Adds what a leaf presents and supports.
    pub(crate) fn add(&mut self, limits: &Limits, leaf: &LeafNode) -> Result<(), Error> {
        let Capabilities { cipher_suites, credentials, .. } = &leaf.capabilities;
        let (mut cipher_suites, mut credentials) = (cipher_suites.clone(), credentials.clone());
        cipher_suites.sort_unstable();
        credentials.sort_unstable();
        self.supported.insert((cipher_suites, credentials));

        let Some(multi) = several(&leaf.credential)? else { return Ok(()) };
        limits.check(Limit::Bindings, multi.bindings.len())?;
        let kinds = multi.bindings.iter().map(|b| (b.cipher_suite, b.credential.credential_type()));
        if multi.weak {
            let kinds: BTreeSet<Kind> = kinds.collect();
            self.any_of.insert(kinds.into_iter().collect());
        } else {
            for (suite, kind) in kinds {
                self.by_all.insert((suite, kind));
                self.suites.insert(suite);
                self.types.insert(kind);
            }
        }
        Ok(())
    }

    /// Whether a new leaf and these clients support each other's bindings. These support their own.
    pub(crate) fn fit(&self, limits: &Limits, leaf: &LeafNode) -> bool {
        let mut new = Self::default();
        new.add(limits, leaf).is_ok()
            && [(self, &new), (&new, self), (&new, &new)]
                .iter()
                .all(|(clients, presented)| clients.check_presented(presented).is_ok())
    }

    /// Checks that these clients support what others present.
    fn check_presented(&self, others: &Self) -> Result<(), Rejection> {
        for (suites, types) in &self.supported {
            let knows = |(suite, kind): &Kind| {
                suites.binary_search(suite).is_ok() && types.binary_search(kind).is_ok()
            };
            let all = others.suites.iter().all(|suite| suites.binary_search(suite).is_ok())
                && others.types.iter().all(|kind| types.binary_search(kind).is_ok());
            if !all && let Some((suite, kind)) = others.by_all.iter().find(|kind| !knows(kind)) {
                return Err(Rejection::UnsupportedBinding(*suite, *kind));
            }
            if others.any_of.iter().any(|kinds| !kinds.iter().any(knows)) {
                return Err(Rejection::NoSupportedBinding);
            }
        }
        Ok(())
    }
}
