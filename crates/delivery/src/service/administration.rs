//! What an administrator asks of a service. None of it changes an account's log, which only its user's devices can.

use super::groups::unknown_group;
use super::{Done, Limits, Notice, Service, ServiceError, invitations};
use crate::storage::Quota;
use crate::storage::administration::{Administration, Compacted, InvitationSummary, Retention};
use conclave_delivery_api::{ErrorCode, Event, GroupId, Name, sha256, to_hex};
use conclave_mls::UnixTime;
use core::time::Duration;
use std::collections::BTreeMap;

/// How many users are read at once, and how many groups are listed.
const PAGE: u32 = 500;
const LARGEST: u32 = 50;

/// What an administrator asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// How the service is.
    Status,
    /// Who has an account.
    Users,
    /// A user's devices, those that were revoked included.
    Devices(Name),
    /// The groups with the most bytes in their logs.
    Groups,
    /// An invitation for one new user that is good for so many days.
    Invite(u32),
    /// Invitations that are neither used nor expired.
    Invitations,
    /// Ends a user's sessions, opens no more, and gives out none of its key packages.
    Block(Name),
    /// Lets a user in again.
    Unblock(Name),
    /// What a user has more or less of than everybody, after giving it so much, or what everybody has.
    Quota(Name, Vec<(Quota, Option<u64>)>),
    /// Which users have more or less of something than everybody.
    Quotas,
    /// Ends a group that is beyond repair, without a successor.
    Reset(GroupId),
    /// Drops messages and Welcomes that are older, or more, than [`Limits`](super::Limits) keeps.
    Compact,
}

/// One value of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

/// An answer: rows with named values, all rows with the same names.
pub type Report = Vec<Vec<(&'static str, Field)>>;

fn text(value: impl ToString) -> Field {
    Field::Text(value.to_string())
}

/// A user's own quotas. The others are whatever the service is set to, which only a service that runs knows.
fn quota_row(user: &Name, own: &BTreeMap<Quota, u64>) -> Vec<(&'static str, Field)> {
    let value = |quota| own.get(&quota).map_or(text("default"), |most| Field::Number(*most));
    let quotas = Quota::ALL.into_iter().map(|quota| (quota.name(), value(quota)));
    core::iter::once(("user", text(user))).chain(quotas).collect()
}

impl<S: Administration> Service<S> {
    /// Does what an administrator asks.
    ///
    /// # Errors
    /// If there is no such user or group, or the storage fails.
    pub fn administer(&self, act: Act, now: UnixTime) -> Result<Done<Report>, ServiceError> {
        let report = match act {
            Act::Status => self.report_status()?,
            Act::Users => self.report_users()?,
            Act::Devices(user) => self.report_devices(&user)?,
            Act::Groups => self.report_groups()?,
            Act::Invite(days) => self.invite(days, now)?,
            Act::Invitations => self.report_invitations(now)?,
            Act::Block(user) => return self.set_blocked(&user, true),
            Act::Unblock(user) => return self.set_blocked(&user, false),
            Act::Quota(user, quotas) => self.set_quotas(&user, quotas)?,
            Act::Quotas => self.report_quotas(None)?,
            Act::Reset(group) => return self.reset(&group),
            Act::Compact => self.report_compact(now)?,
        };
        Ok(Done::new(report, ""))
    }

    fn report_status(&self) -> Result<Report, ServiceError> {
        let status = self.storage.status()?;
        let counts = status.counts;
        Ok(vec![vec![
            ("format", Field::Number(status.format.into())),
            ("users", Field::Number(counts.accounts)),
            ("devices", Field::Number(counts.devices)),
            ("groups", Field::Number(counts.groups)),
            ("messages", Field::Number(counts.log_entries)),
            ("key_packages", Field::Number(counts.key_packages)),
            ("welcomes", Field::Number(counts.inbox_items)),
            ("sessions", Field::Number(self.sessions.count() as u64)),
            ("directory_root", Field::Number(self.directory.root()?.epoch)),
            ("bytes", Field::Number(status.bytes)),
            ("free_bytes", Field::Number(status.free_bytes)),
            ("wal_bytes", Field::Number(status.wal_bytes)),
        ]])
    }

    fn report_users(&self) -> Result<Report, ServiceError> {
        let mut report = Vec::new();
        let mut users = self.storage.users("", PAGE)?;
        while let Some(last) = users.last().cloned() {
            report.extend(users.into_iter().map(|known| {
                vec![
                    ("user", text(known.user)),
                    ("devices", Field::Number(known.devices)),
                    ("groups_made", Field::Number(known.groups)),
                    ("blocked", Field::Flag(known.blocked)),
                    ("own_quota", Field::Flag(known.own_quota)),
                ]
            }));
            users = self.storage.users(last.user.as_str(), PAGE)?;
        }
        Ok(report)
    }

    fn report_devices(&self, user: &Name) -> Result<Report, ServiceError> {
        let devices = self.storage.devices(user)?;
        if devices.is_empty() {
            return Err(ServiceError::unknown_user(user));
        }
        let rows = devices.into_iter().map(|known| {
            vec![
                ("device", text(known.device)),
                ("active", Field::Flag(known.active)),
                ("scheme", text(format!("{:?}", known.scheme))),
                ("key", text(to_hex(&known.signature_key))),
            ]
        });
        Ok(rows.collect())
    }

    fn report_groups(&self) -> Result<Report, ServiceError> {
        let groups = self.storage.largest_groups(LARGEST)?.into_iter();
        let rows = groups.map(|group| {
            vec![
                ("group", text(to_hex(&group.group_id))),
                ("tracked", Field::Flag(group.tracked)),
                ("epoch", Field::Number(group.epoch)),
                ("members", Field::Number(group.members)),
                ("messages", Field::Number(group.entries)),
                ("bytes", Field::Number(group.bytes)),
                ("ended", Field::Flag(group.ended)),
            ]
        });
        Ok(rows.collect())
    }

    /// Ends a group, and tells its members. It gets no successor here: a member makes one, who knows by its own state
    /// who belongs in it. The service must not be able to let anybody in.
    fn reset(&self, id: &GroupId) -> Result<Done<Report>, ServiceError> {
        let ending = self.storage.end_group(id)?.ok_or_else(unknown_group)?;
        let group = self.known_group(id)?;
        let to = self.storage.members(id)?;
        let row = vec![
            ("group", text(to_hex(id))),
            ("ended", Field::Flag(true)),
            ("log_ends_at", Field::Number(group.head)),
            ("members", Field::Number(to.len() as u64)),
            ("successor", text(ending.successor().map_or("none".into(), |id| to_hex(id)))),
        ];
        let mut done = Done::new(vec![row], "");
        done.notices.push(Notice { to, event: Event::Ended { group_id: id.clone(), ending } });
        Ok(done)
    }

    fn invite(&self, days: u32, now: UnixTime) -> Result<Report, ServiceError> {
        let day = Duration::from_secs(24 * 60 * 60);
        let expires_at = now.saturating_add(day.saturating_mul(days));
        let mut number = [0; invitations::NUMBER];
        getrandom::fill(&mut number).map_err(|e| {
            ServiceError::new(ErrorCode::Unavailable, format!("there is no randomness: {e}"))
        })?;
        let made = invitations::numbered(&*self.provider, &self.secret, number, expires_at)
            .map_err(super::error::provider_error)?;
        self.storage.record_invitation(InvitationSummary {
            hash: sha256(&made),
            issued_at: now.as_secs(),
            expires_at: expires_at.as_secs(),
        })?;
        Ok(vec![vec![
            ("invitation", text(to_hex(&made))),
            ("expires_at", Field::Number(expires_at.as_secs())),
        ]])
    }

    fn report_invitations(&self, now: UnixTime) -> Result<Report, ServiceError> {
        let open = self.storage.open_invitations(now.as_secs())?.into_iter();
        let rows = open.map(|invitation| {
            vec![
                ("hash", text(to_hex(&invitation.hash))),
                ("issued_at", Field::Number(invitation.issued_at)),
                ("expires_at", Field::Number(invitation.expires_at)),
            ]
        });
        Ok(rows.collect())
    }

    fn set_blocked(&self, user: &Name, blocked: bool) -> Result<Done<Report>, ServiceError> {
        if !self.storage.set_blocked(user, blocked)? {
            return Err(ServiceError::unknown_user(user));
        }
        let row = vec![("user", text(user)), ("blocked", Field::Flag(blocked))];
        let mut done = Done::new(vec![row], "");
        if blocked {
            // A session that was opened meanwhile is closed by whoever opened it.
            self.sessions.keep(user, &[], false);
            done.ended = self.storage.devices(user)?.into_iter().map(|d| d.device).collect();
        }
        Ok(done)
    }

    fn set_quotas(
        &self,
        user: &Name,
        quotas: Vec<(Quota, Option<u64>)>,
    ) -> Result<Report, ServiceError> {
        for (quota, most) in &quotas {
            let range = quota.range();
            if most.is_some_and(|most| !range.contains(&most)) {
                let (name, from, to) = (quota.name(), range.start(), range.end());
                let detail = format!("{name} is out of range: write {from} to {to}, or default");
                return Err(ServiceError::invalid(detail));
            }
        }
        let changes_claims = quotas.iter().any(|(quota, _)| *quota == Quota::Claims);
        if !self.storage.set_quotas(user, quotas)? {
            return Err(ServiceError::unknown_user(user));
        }
        if changes_claims {
            // Else what was claimed under the old one would count as much as it did there.
            self.claims.forget(user);
        }
        let report = self.report_quotas(Some(user))?;
        Ok(if report.is_empty() { vec![quota_row(user, &BTreeMap::new())] } else { report })
    }

    fn report_quotas(&self, user: Option<&Name>) -> Result<Report, ServiceError> {
        let mut users: BTreeMap<Name, BTreeMap<Quota, u64>> = BTreeMap::new();
        for (user, quota, most) in self.storage.quotas(user)? {
            users.entry(user).or_default().insert(quota, most);
        }
        Ok(users.iter().map(|(user, own)| quota_row(user, own)).collect())
    }

    /// Whether logs or inboxes keep what they hold for some time only, or so much only.
    #[must_use]
    pub fn forgets(&self) -> bool {
        let Limits { log_age, log_entries, inbox_age, .. } = &self.limits;
        log_age.is_some() || log_entries.is_some() || inbox_age.is_some()
    }

    /// Drops messages and Welcomes that are older, or more, than [`Limits`] keeps, in small steps between
    /// which others write. The last message of each log stays, and the hashes of what is dropped are in those that follow.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn compact(&self, now: UnixTime) -> Result<Compacted, ServiceError> {
        let before = |age: Duration| now.as_secs().saturating_sub(age.as_secs());
        let Limits { log_age, log_entries, inbox_age, .. } = &self.limits;
        let retention = Retention {
            before: log_age.map(before),
            entries: *log_entries,
            welcomes_before: inbox_age.map(before),
        };
        Ok(self.storage.compact(retention)?)
    }

    fn report_compact(&self, now: UnixTime) -> Result<Report, ServiceError> {
        let compacted = self.compact(now)?;
        Ok(vec![vec![
            ("messages_dropped", Field::Number(compacted.entries)),
            ("groups_cut", Field::Number(compacted.groups)),
            ("welcomes_dropped", Field::Number(compacted.welcomes)),
            ("bytes", Field::Number(self.storage.status()?.bytes)),
        ]])
    }
}
