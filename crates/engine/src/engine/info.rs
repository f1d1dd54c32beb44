//! What a host can look at. Nothing here changes anything, or asks the service.

use super::accounts::added_by;
use super::{Engine, EngineError};
use crate::code::{epoch_code, member_code, pair_code, short_member_code};
use crate::conversation::phase;
use crate::record::{News, Who};
use crate::view::{Admitted, DeviceView, GroupView, LinkView, Member, PairCode, Roster, Warrant};
use conclave_delivery_api::{DeviceId, Name};
use conclave_mls::GroupId;
use conclave_mls::credential::SignaturePublicKey;
use conclave_store::Store;
use std::collections::BTreeMap;

impl<S: Store> Engine<S> {
    /// What a group is called here: by the name that its maker gave it, with a number if another group has that name or
    /// one that looks like it; by the beginning of its identifier while no name is known.
    #[must_use]
    pub fn group_name(&self, group: &GroupId) -> String {
        self.book.group_name(group)
    }

    /// The groups that this device knows: also those that it has left.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupView> {
        self.book.records().keys().filter_map(|id| self.group(id)).collect()
    }

    /// A group, if this device knows it.
    #[must_use]
    pub fn group(&self, id: &GroupId) -> Option<GroupView> {
        let record = self.book.record(id)?;
        let conversation = self.conversations.get(id);
        let phase = phase::shown(&self.book, (id, record), conversation);
        Some(GroupView {
            id: id.clone(),
            name: self.group_name(id),
            phase,
            epoch: conversation.map(|conversation| conversation.group().epoch().0),
            members: conversation.map_or(0, |conversation| conversation.group().members().count()),
            suite: conversation.map(|conversation| conversation.group().cipher_suite()),
            to_do: self.book.items(id).count(),
        })
    }

    /// Who is in a group; none if this device is not.
    ///
    /// # Errors
    /// If the cryptography fails.
    pub fn roster(&self, group: &GroupId) -> Result<Option<Roster>, EngineError> {
        let Some(conversation) = self.conversations.get(group) else { return Ok(None) };
        let authenticator = conversation.group().epoch_authenticator()?.as_secret();
        let code = epoch_code(&*self.provider, authenticator.expose())?;
        let mut members = Vec::new();
        for (device, key) in BTreeMap::from_iter(self.devices_in(group)) {
            let code = member_code(&*self.provider, &device, &key)?;
            let own = device == *self.device();
            let known = self.book.account(&device.user).and_then(|account| {
                account.active().find(|known| known.name == device.device && known.key == key)
            });
            let admitted = known
                .map(|known| Admitted { since: known.added_at.as_secs(), by: added_by(known) });
            members.push(Member { device, own, code, admitted });
        }
        let (epoch, suite) = (conversation.group().epoch().0, conversation.group().cipher_suite());
        Ok(Some(Roster { epoch, code, suite, members }))
    }

    /// The devices in a group, in order; none if this device is not in it.
    #[must_use]
    pub fn member_devices(&self, group: &GroupId) -> Vec<DeviceId> {
        let mut devices: Vec<DeviceId> =
            self.devices_in(group).into_iter().map(|(device, _)| device).collect();
        devices.sort();
        devices
    }

    /// The links into a group, by number; none if this device is not in it.
    #[must_use]
    pub fn links(&self, group: &GroupId) -> Option<Vec<LinkView>> {
        self.conversations.get(group)?;
        let (links, now) = (self.links_of(group), self.service_time().as_secs());
        let view = |link: &conclave_delivery_api::JoinLinkRecord| LinkView {
            number: link.number,
            maker: link.maker.clone(),
            uses: link.uses,
            max_uses: link.max_uses,
            expires_at: link.expires_at,
            over: link.is_over(now),
        };
        Some(links.links().iter().map(view).collect())
    }

    /// The devices of a user's, of which this device knows; none if it knows nothing of the user.
    #[must_use]
    pub fn devices(&self, user: &Name) -> Option<Vec<DeviceView>> {
        let view = |device: DeviceId, key: &SignaturePublicKey, warrant| {
            let code = short_member_code(&*self.provider, &device, key).unwrap_or_default();
            DeviceView { own: device == *self.device(), device, code, warrant }
        };
        if let Some(certified) = self.authority.certified() {
            let known = certified.devices_of(user).iter();
            let found: Vec<DeviceView> = known
                .map(|known| {
                    let (since, until) = known.valid;
                    let warrant = Warrant::Certificate { since, until };
                    view(known.device.clone(), &known.key, warrant)
                })
                .collect();
            return Some(found).filter(|found| !found.is_empty());
        }
        let account = self.book.account(user)?;
        let found = account.active().map(|device| {
            let (since, by) = (device.added_at.as_secs(), added_by(device));
            let id = DeviceId::new(user.clone(), device.name.clone());
            view(id, &device.key, Warrant::Account(Admitted { since, by }))
        });
        Some(found.collect())
    }

    /// Whether a CA certifies devices here, instead of accounts.
    #[must_use]
    pub fn has_certificates(&self) -> bool {
        self.authority.certified().is_some()
    }

    /// The codes to compare with devices of somebody's: of those whose keys are known here, by groups or accounts.
    ///
    /// # Errors
    /// If the cryptography fails.
    pub fn pair_codes(&self, who: &Who) -> Result<Vec<PairCode>, EngineError> {
        let members: Vec<_> =
            self.conversations.keys().flat_map(|id| self.devices_in(id)).collect();
        // In order, and each once.
        let active = self.authority.devices_of(self.book.accounts(), &who.user);
        let mut found: BTreeMap<DeviceId, SignaturePublicKey> = active.into_iter().collect();
        found.extend(members);
        let identity = self.book.identity();
        let (me, key) = (&identity.device, &identity.signer.public);
        found.retain(|device, _| who.includes(device) && device != me);
        let code = |(other, other_key): (DeviceId, SignaturePublicKey)| {
            let code = pair_code(&*self.provider, (me, key), (&other, &other_key))?;
            Ok(PairCode { other, code })
        };
        found.into_iter().map(code).collect()
    }

    /// The last messages of a group, the oldest first.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn history(&self, group: &GroupId, limit: usize) -> Result<Vec<News>, EngineError> {
        Ok(self.book.history(group, limit)?)
    }

    /// Whether this device waits until another one of its user's admits it. It can do nothing before that but
    /// [`Recover`](crate::Command::Recover).
    #[must_use]
    pub fn awaits_admission(&self) -> bool {
        self.waiting_link.is_some()
    }

    /// The group that commands were about when an earlier version of the engine kept that; for hosts that keep it now.
    #[must_use]
    pub fn former_current_group(&self) -> Option<&GroupId> {
        self.book.former_current()
    }
}
