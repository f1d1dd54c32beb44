//! Following the roots of a service.

use super::state::State;
use crate::failure::Failure;
use conclave_delivery::http_client::Client;
use conclave_delivery_api::{
    CallError, DescribeService, ErrorCode, FetchExtension, FetchRoots, RootsPage, SESSION_SCHEME,
    to_hex,
};
use conclave_directory::{AuditError, Audited, Auditor, Evidence, ServiceKey, SignedRoot};
use conclave_mls::crypto::CryptoProvider;
use core::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How many new roots are told one by one.
const FEW: usize = 8;
/// How often a busy service is asked for a proof, and how long to wait in between.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
/// How many roots before the newest are compared when the service shows fewer than before.
const COMPARED: u64 = 255;

/// What an audit has to tell.
pub(super) enum News<'a> {
    /// The service's key, when the audit begins.
    Key(&'a ServiceKey),
    /// A root that extends the one before it.
    Root(&'a SignedRoot),
    /// Many roots that were checked.
    Checked { from: u64, to: u64, newest: u64 },
}

/// Why an audit is not up to date.
pub(super) enum Trouble {
    /// The service does not answer.
    Unreachable(String),
    /// The service does not show what it should. This proves nothing.
    Withheld(String),
    /// The service lied.
    Lied(Box<Evidence>),
    /// The audit itself cannot go on.
    Failed(Failure),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(what) | Self::Withheld(what) => f.write_str(what),
            Self::Lied(_) => f.write_str("the service has lied"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The failure of a call, where a service that answers has no reason to refuse.
fn unanswered(e: &CallError) -> Trouble {
    match e {
        CallError::Unreachable { .. } => Trouble::Unreachable(e.to_string()),
        _ => Trouble::Withheld(e.to_string()),
    }
}

type Tell<'a> = dyn FnMut(News<'_>) -> Result<(), Failure> + 'a;

/// An auditor with its state, and the service that it follows.
pub(super) struct Follower {
    client: Client,
    provider: Arc<dyn CryptoProvider>,
    state: State,
    auditor: Option<Auditor>,
}

impl Follower {
    pub(super) fn new(client: Client, state: State) -> Result<Self, Failure> {
        let auditor = state.load()?;
        let provider = crate::provider::provider();
        Ok(Self { client, provider, state, auditor })
    }

    pub(super) fn provider(&self) -> &dyn CryptoProvider {
        &*self.provider
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Checks all that the service has published since the last time. What was checked is stored, whatever comes
    /// after it.
    pub(super) fn round(&mut self, tell: &mut Tell<'_>) -> Result<(), Trouble> {
        let before = self.last();
        let result = self.follow(tell);
        if self.last() != before
            && let Some(auditor) = &self.auditor
        {
            self.state.save(auditor)?;
        }
        result
    }

    fn follow(&mut self, tell: &mut Tell<'_>) -> Result<(), Trouble> {
        if self.auditor.is_none() {
            let info = self.client.call(&DescribeService {}).map_err(|e| unanswered(&e))?;
            let key = ServiceKey { scheme: SESSION_SCHEME, public: info.key };
            tell(News::Key(&key))?;
            self.auditor = Some(Auditor::new(key));
        }

        loop {
            let last = self.last();
            let page = self.roots(last.unwrap_or(0))?;
            if page.roots.is_empty() {
                return self.set_back(last, page.newest);
            }
            self.take_page(last, &page, tell)?;
            if self.last() == last || self.last() >= Some(page.newest) {
                return Ok(());
            }
        }
    }

    fn last(&self) -> Option<u64> {
        self.auditor.as_ref()?.last().map(|root| root.epoch)
    }

    fn roots(&self, from: u64) -> Result<RootsPage, Trouble> {
        self.client.call(&FetchRoots { from }).map_err(|e| unanswered(&e))
    }

    /// Takes a page of roots, which begins with the last one that is known.
    fn take_page(
        &mut self,
        last: Option<u64>,
        page: &RootsPage,
        tell: &mut Tell<'_>,
    ) -> Result<(), Trouble> {
        let new = |root: &&SignedRoot| last.is_none_or(|last| root.epoch > last);
        let count = page.roots.iter().filter(new).count();
        let mut expected = last.unwrap_or(0);
        for root in &page.roots {
            if root.epoch != expected {
                let what = format!(
                    "the service keeps a root back: it shows number {} where number {expected} belongs",
                    root.epoch
                );
                return Err(Trouble::Withheld(what));
            }
            let audited = self.take(root)?;
            expected += 1;
            if audited && count <= FEW {
                tell(News::Root(root))?;
            }
        }

        if count > FEW {
            // So many take a while: they need not be checked again if this is cut off.
            if let Some(auditor) = &self.auditor {
                self.state.save(auditor)?;
            }
            let (from, to) = (expected.saturating_sub(count as u64), expected - 1);
            tell(News::Checked { from, to, newest: page.newest })?;
        }
        Ok(())
    }

    /// Takes a root, with the proof that leads to it; whether it is new.
    fn take(&mut self, root: &SignedRoot) -> Result<bool, Trouble> {
        let proof = match self.last() {
            Some(last) if root.epoch > last => Some(self.extension(last, root.epoch)?),
            _ => None,
        };
        let Some(auditor) = &mut self.auditor else { return Ok(false) };
        match auditor.step(&*self.provider, root.clone(), proof.as_deref()) {
            Ok(Audited::Extends) => Ok(true),
            Ok(Audited::Behind) => Ok(false),
            Ok(Audited::Lied(evidence)) => Err(Trouble::Lied(evidence)),
            Err(AuditError::Root(e)) => {
                let key = to_hex(&auditor.key().public);
                let what = format!(
                    "root number {} is not one of the service that this audit follows, whose key is \
                     {key}: {e}. Another service answers there, the service was set up anew, or \
                     somebody in between has changed the answer",
                    root.epoch
                );
                Err(Trouble::Withheld(what))
            }
            Err(e) => {
                let what = format!(
                    "the service does not prove that its directory number {} holds what was there \
                     before: {e}",
                    root.epoch
                );
                Err(Trouble::Withheld(what))
            }
        }
    }

    /// The proof that leads from one root to another.
    fn extension(&self, from: u64, to: u64) -> Result<Vec<u8>, Trouble> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.client.call(&FetchExtension { from, to }) {
                Ok(reply) => return Ok(reply.proof.to_vec()),
                Err(e) if e.code() == Some(ErrorCode::Unavailable) && attempts < ATTEMPTS => {
                    std::thread::sleep(PAUSE);
                }
                Err(e @ CallError::Unreachable { .. }) => return Err(unanswered(&e)),
                Err(e) => {
                    let what = format!(
                        "the service does not prove that its directory number {to} holds what number \
                         {from} held: {e}"
                    );
                    return Err(Trouble::Withheld(what));
                }
            }
        }
    }

    /// The service shows no root as new as one that it has shown before. If those that it shows are others
    /// than then, it is convicted.
    fn set_back(&mut self, last: Option<u64>, newest: u64) -> Result<(), Trouble> {
        let Some(last) = last else {
            return Err(Trouble::Withheld("the service shows no roots".to_string()));
        };
        for root in self.roots(newest.saturating_sub(COMPARED))?.roots {
            if root.epoch <= last {
                self.take(&root)?;
            }
        }
        let what = format!(
            "the service shows directory number {newest} as its newest, and it has shown number {last}: \
             it keeps roots back, or was set back to a backup"
        );
        Err(Trouble::Withheld(what))
    }
}
