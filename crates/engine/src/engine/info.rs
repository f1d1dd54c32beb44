//! What the user can look at.

use super::accounts::added_by;
use super::{Engine, EngineError};
use crate::book::Change;
use crate::code::{epoch_code, member_code, pair_code};
use crate::output::Answer;
use crate::record::{Stage, Who};
use conclave_delivery_api::DeviceId;
use conclave_mls::GroupId;
use conclave_mls::credential::SignaturePublicKey;
use conclave_store::Store;
use std::collections::BTreeMap;

impl<S: Store> Engine<S> {
    /// What the user calls a group.
    pub(super) fn group_name(&self, group: &GroupId) -> String {
        self.book.group_name(group)
    }

    fn find_group(&self, name: &str) -> Option<GroupId> {
        self.book.records().keys().find(|id| self.group_name(id) == name).cloned()
    }

    pub(super) fn switch(&mut self, name: &str) -> Result<(), EngineError> {
        match self.find_group(name) {
            // Whoever goes there has seen who is there, or may be asked.
            Some(group) => {
                let mut changes = self.accepted(&group);
                changes.push(Change::Current(Some(group)));
                Ok(self.book.commit(None, changes)?)
            }
            None => {
                self.error(format!("there is no group {name}; /groups lists them"));
                Ok(())
            }
        }
    }

    /// The group to look at: the current one; if there is none, the only one that waits for an
    /// answer.
    fn shown_group(&self) -> Option<GroupId> {
        self.book.current().cloned().or_else(|| match self.asking().as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        })
    }

    /// The same, if this device is in it.
    fn current_live(&mut self) -> Option<GroupId> {
        let current = self.shown_group().filter(|group| self.groups.contains_key(group));
        if current.is_none() {
            self.answers.push_back(Answer::Error("you are in no group".into()));
        }
        current
    }

    /// The devices of a group and their keys.
    pub(super) fn devices(&self, group: &GroupId) -> Vec<(DeviceId, SignaturePublicKey)> {
        let members = self.groups.get(group).into_iter().flat_map(|live| live.group.members());
        members
            .filter_map(|m| Some((super::log::device_of(&m.credential)?, m.signature_key)))
            .collect()
    }

    pub(super) fn members(&mut self) -> Result<(), EngineError> {
        let Some(id) = self.current_live() else { return Ok(()) };
        let group = self.group_name(&id);
        if let Some(live) = self.groups.get(&id) {
            let epoch = live.group.epoch();
            let authenticator = live.group.epoch_authenticator()?.as_secret();
            let code = epoch_code(&*self.provider, authenticator.expose())?;
            let suite = live.group.cipher_suite();
            self.answers.push_back(Answer::Epoch {
                group: group.clone(),
                epoch: epoch.0,
                code,
                suite,
            });
        }
        // Those of each user together.
        for (device, key) in BTreeMap::from_iter(self.devices(&id)) {
            let code = member_code(&*self.provider, &device, &key)?;
            let own = device == *self.device();
            let group = group.clone();
            let known = self.book.account(&device.user).and_then(|account| {
                account.active().find(|known| known.name == device.device && known.key == key)
            });
            let since = known.map(|known| known.added_at.as_secs());
            let by = known.and_then(added_by);
            self.answers.push_back(Answer::Member { group, device, own, code, since, by });
        }
        Ok(())
    }

    pub(super) fn list_groups(&mut self) {
        let mut answers = Vec::new();
        for (id, record) in self.book.records() {
            let live = self.groups.get(id);
            let to_send = self.book.items(id).count();
            let state = match (&record.stage, live.and_then(|live| live.stuck.as_ref())) {
                (Stage::Removed, _) => "removed".into(),
                (Stage::Left, _) => "left".into(),
                (Stage::Ended, _) => {
                    "ended: a member begins it anew with /reset, and invites you".into()
                }
                (_, Some(reason)) => format!("stuck: {reason}"),
                _ if self.book.leaving(id) => "leaving".into(),
                _ if record.asked_by.is_some() => {
                    let by = record.asked_by.as_ref().map_or(String::new(), DeviceId::to_string);
                    format!("invited by {by}: /accept or /decline")
                }
                _ if to_send > 0 => format!("{to_send} to send"),
                _ => String::new(),
            };
            answers.push(Answer::Group {
                name: self.group_name(id),
                current: self.book.current() == Some(id),
                epoch: live.map(|live| live.group.epoch().0),
                members: live.map_or(0, |live| live.group.members().count()),
                suite: live.map(|live| live.group.cipher_suite()),
                state,
            });
        }
        if answers.is_empty() {
            answers.push(Answer::Error(
                "you are in no group: /new NAME makes one, or somebody invites you".into(),
            ));
        }
        self.answers.extend(answers);
    }

    pub(super) fn verify(&mut self, who: &Who) -> Result<(), EngineError> {
        let members: Vec<_> = self.groups.keys().flat_map(|id| self.devices(id)).collect();
        // In order, and each once.
        let active = self.authority.devices_of(self.book.accounts(), &who.user);
        let mut found: BTreeMap<DeviceId, SignaturePublicKey> = active.into_iter().collect();
        found.extend(members);
        let (me, key) = {
            let identity = self.book.identity();
            (identity.device.clone(), identity.signer.public.clone())
        };
        found.retain(|device, _| who.includes(device) && *device != me);
        if found.is_empty() {
            self.error(format!("no key of {who} is known here: invite {who} first"));
        }
        for (other, other_key) in found {
            let code = pair_code(&*self.provider, (&me, &key), (&other, &other_key))?;
            self.answers.push_back(Answer::Pair { me: me.clone(), other, code });
        }
        Ok(())
    }

    pub(super) fn history(&mut self, n: usize) -> Result<(), EngineError> {
        let Some(id) = self.shown_group() else {
            self.error("you are in no group");
            return Ok(());
        };
        let group = self.group_name(&id);
        for news in self.book.history(&id, n)? {
            self.answers.push_back(Answer::History { group: group.clone(), news });
        }
        Ok(())
    }
}
