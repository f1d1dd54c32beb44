//! What Conclave has of the drafts.

use super::{Conclave, Profile, accept_all, answer};
use crate::member::{Change, Drafts, Extension, Observe, Result, updated};
use crate::suite::{POINTS, Suite};
use conclave_mls::apply;
use conclave_mls::component::{AppDataDictionary, ComponentId};
use conclave_mls::group::{Answers, Framing, LeafIndex, Proposal};
use conclave_mls::join::{ExternalJoinOptions, ExternalJoinStage};
use conclave_mls::observe::{Observer, ObserverStage};
use conclave_mls::wire::{Content, FramedContent, WireFormat};
use conclave_provider_rustcrypto::RustCrypto;
use std::convert::Infallible;

impl Drafts for Conclave {
    fn safe_export(&mut self, component: u16) -> Result<Vec<u8>> {
        let component = self.group()?.component(ComponentId(component));
        let step = component.export_secret(&*self.provider)?;
        Ok(self.take(step)?.secret.expose().to_vec())
    }

    fn ephemeral(&mut self) -> Result<Vec<(u16, Vec<u8>)>> {
        Ok(self.ephemeral.clone())
    }

    fn join_external_with(
        &mut self,
        group_info: &[u8],
        changes: &[Change],
        leaving: &[Vec<u8>],
    ) -> Result<Vec<u8>> {
        let config = self.drafts.config();
        let mut stage = ExternalJoinStage::open(&*self.provider, config, group_info, None)?;
        for message in leaving {
            stage.take_self_remove(&*self.provider, message)?;
        }

        let mut dictionary =
            AppDataDictionary::find(&stage.context().extensions)?.unwrap_or_default();
        for change in changes {
            stage = match change {
                Change::AppData(component, update) => {
                    let id = ComponentId(*component);
                    let old = dictionary.get(id).map(|data| &**data);
                    let data = updated(*component, old, std::iter::once(update.as_slice()));
                    dictionary = dictionary.with(id, data.as_slice());
                    stage.with_app_data_update(id, update.as_slice().into(), data.into())
                }
                Change::Ephemeral(component, data) => {
                    stage.with_app_ephemeral(ComponentId(*component), data.as_slice().into())
                }
                other => return Err(format!("not tried in an external commit: {other:?}").into()),
            };
        }

        let verdicts = accept_all(stage.credentials());
        let options = ExternalJoinOptions::new(self.leaf()?, self.signer.clone());
        let joined = stage.commit(&*self.provider, &mut self.rng, &verdicts, options)?;
        self.enter(joined.group)?;
        // Nothing reports what our own commit gave to components.
        let given = changes.iter().filter_map(|change| match change {
            Change::Ephemeral(component, data) => Some((*component, data.clone())),
            _ => None,
        });
        self.ephemeral = given.collect();
        Ok(joined.commit)
    }

    fn with_authenticated_data(&mut self, authenticated_data: &[u8]) -> Result<Vec<u8>> {
        let insider = self.insider()?;
        let content = Content::Proposal(Proposal::Remove(insider.own_leaf));
        let authenticated_data = authenticated_data.into();
        let framed = FramedContent { authenticated_data, ..insider.framed(content) };
        let signed = insider.sign(&*self.provider, WireFormat::PUBLIC_MESSAGE, framed);
        Ok(insider.tagged(&*self.provider, signed))
    }

    fn send_to(&mut self, leaf: u32, data: &[u8], authenticated_data: &[u8]) -> Result<Vec<u8>> {
        let framing =
            Framing { authenticated_data: authenticated_data.to_vec(), ..Framing::default() };
        let group = self.group.as_ref().ok_or("in no group")?;
        Ok(group.encrypt_to(&*self.provider, &mut self.rng, LeafIndex(leaf), data, &framing)?)
    }
}

struct Watcher {
    provider: RustCrypto,
    observer: Observer,
}

/// An observer of the group of a GroupInfo.
pub fn observer(group_info: &[u8], suite: Suite) -> Result<Box<dyn Observe>> {
    let provider = RustCrypto::new().with_suites(POINTS);
    let config = Profile::of(suite).config();
    let stage = ObserverStage::open(&provider, config, group_info, None)?;
    let verdicts = accept_all(stage.credentials());
    let observer = stage.resolve(&verdicts)?;
    Ok(Box::new(Watcher { provider, observer }))
}

impl Observe for Watcher {
    fn follow(&mut self, message: &[u8]) -> Result<()> {
        let stage = self.observer.process(&self.provider, message)?;
        let asked = stage.app_data().iter();
        let app_data =
            asked.map(|a| answer(a.component_id, a.current.as_ref(), &a.updates)).collect();
        let verdicts = accept_all(stage.credentials());
        let answers = Answers { verdicts, app_data, ..Answers::default() };
        let step = stage.resolve(&self.observer, &self.provider, &answers)?;
        apply(&mut self.observer, step, |_| Ok::<_, Infallible>(()))?;
        Ok(())
    }

    fn state(&self) -> Result<(u64, Vec<Extension>)> {
        let context = self.observer.context();
        let one = |e: &conclave_mls::group::Extension| Extension {
            kind: e.extension_type.0,
            data: e.extension_data.to_vec(),
        };
        Ok((context.epoch.0, context.extensions.iter().map(one).collect()))
    }
}
