//! An application's own service, in memory. The engine's requests come down to six calls, each of which answers some of them.
//! The service refuses what it does not offer.

use conclave_account::{Account, Entry, Standing};
use conclave_delivery_api::{
    AccountHead, AccountPage, Acknowledged, Bytes, CallError, ChainInput, ClaimKeyPackages,
    ClaimedKeyPackage, ClaimedKeyPackages, ContentType, Created, Decode, DeviceId, DirectoryPage,
    Encode, ErrorCode, Event, ExtensionProof, GroupId, InboxItem, InboxPage, Incarnation,
    KeyPackageCount, KeyPackageCounts, KeyPackageRef, LogEntry, LogPage, LogPosition, Mode, Name,
    OpenedSession, Outcome, Published, Receipt, Registration, SESSION_SCHEME, SentMessages,
    ServiceInfo, SignaturePublicKey, StateMark, StateMarked, SubmitAccount, SubmitCommit, Token,
    WelcomeItem,
};
use conclave_directory::server::{Directory, MemoryRecords, NameKey};
use conclave_directory::{Depth, Head, Signer};
use conclave_engine::{Reply, Request};
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, Suite};
use conclave_mls::join::welcome_recipients;
use conclave_mls::key_package::{KeyPackage, key_package_from_message};
use conclave_mls::wire::{MlsMessage, MlsMessageBody};
use conclave_provider_rustcrypto::RustCrypto;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

type Answer<T = Reply> = Result<T, CallError>;

/// How many epochs back the service takes messages.
const LATE_EPOCHS: u64 = 4;

/// The only one there is, as this service is never restored from a backup.
const INCARNATION: Incarnation = Incarnation { id: [1; 16], number: 1 };

fn refuse<T>(code: ErrorCode, why: impl ToString) -> Answer<T> {
    Err(CallError::refused(code, why.to_string()))
}

fn invalid(why: impl ToString) -> CallError {
    CallError::refused(ErrorCode::Invalid, why.to_string())
}

/// What the service keeps of a device.
#[derive(Default)]
struct Device {
    mark: Option<StateMark>,
    key_packages: Vec<(KeyPackage, KeyPackageRef, Bytes)>,
    inbox: Vec<InboxItem>,
}

/// A group's log: entries, each with the log's position after it.
struct Log {
    entries: Vec<(LogEntry, LogPosition)>,
    members: BTreeSet<DeviceId>,
}

impl Log {
    /// Where the log was after so many entries.
    fn position(&self, entries: usize) -> LogPosition {
        let last = entries.checked_sub(1).and_then(|last| self.entries.get(last));
        last.map_or(LogPosition::beginning(0), |(_, position)| *position)
    }

    fn end(&self) -> LogPosition {
        self.position(self.entries.len())
    }
}

pub(crate) struct OwnService {
    provider: Arc<RustCrypto>,
    /// Signs receipts and the directory's roots.
    key: SignatureKeyPair,
    /// The key of an external sender that proposes nothing: nobody has the private key.
    sender_key: SignaturePublicKey,
    directory: Directory<MemoryRecords>,
    accounts: BTreeMap<Name, (Option<Account>, Vec<Bytes>)>,
    devices: BTreeMap<DeviceId, Device>,
    /// The device of each key package that was ever published.
    owners: BTreeMap<KeyPackageRef, DeviceId>,
    logs: BTreeMap<GroupId, Log>,
    inbox_items: u64,
    now: u64,
}

impl OwnService {
    pub(crate) fn new(provider: Arc<RustCrypto>, now: u64) -> Result<Self, Box<dyn Error>> {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let key = provider.signature_key_pair(SESSION_SCHEME, &mut rng)?;
        let sender_key = provider.signature_key_pair(SESSION_SCHEME, &mut rng)?.public;
        let names = NameKey::generate(&mut rng).ok_or("no key for the directory")?;
        let signer = Signer::new(SESSION_SCHEME, key.clone());
        let records = MemoryRecords::default();
        let directory = Directory::open(records, provider.clone(), signer, names, now / 1000)?;
        Ok(Self {
            provider,
            key,
            sender_key,
            directory,
            accounts: BTreeMap::new(),
            devices: BTreeMap::new(),
            owners: BTreeMap::new(),
            logs: BTreeMap::new(),
            inbox_items: 0,
            now,
        })
    }

    /// Answers a request of `caller`: the application's own login says which device that is.
    pub(crate) fn answer(&mut self, now: u64, caller: &DeviceId, request: Request) -> Answer {
        use Request as R;
        self.now = now;
        match request {
            R::DescribeService(_)
            | R::SubmitAccount(_)
            | R::OpenSession(_)
            | R::MarkState(_)
            | R::FetchAccount(_)
            | R::FetchHistory(_)
            | R::FetchExtension(_) => self.account(caller, request),
            R::PublishKeyPackages(_)
            | R::ReplaceKeyPackages(_)
            | R::CountKeyPackages(_)
            | R::ClaimKeyPackages(_) => self.keys(caller, request),
            R::CreateGroup(_)
            | R::SubmitCommit(_)
            | R::SubmitProposal(_)
            | R::SendMessage(_)
            | R::SendMessages(_) => self.append(caller, request),
            R::FetchLog(_) => self.read(caller, request),
            R::FetchInbox(_) | R::AckInbox(_) => self.inbox(caller, request),
            // Further devices of a user, certificates, groups begun anew, links into groups, the way back into a group.
            other => Self::not_offered(&other),
        }
    }

    fn not_offered(request: &Request) -> Answer {
        let text = format!("{request:?}");
        let name = text.split('(').next().unwrap_or_default().to_string();
        refuse(ErrorCode::UnknownOperation, format!("this service has no {name}"))
    }

    /// First call: who is who. Each user has a log of devices, which clients check, and a directory shows all clients the
    /// same logs.
    fn account(&mut self, caller: &DeviceId, request: Request) -> Answer {
        let now = self.now / 1000;
        Ok(match request {
            Request::DescribeService(_) => Reply::DescribeService(ServiceInfo {
                key: self.key.public.clone(),
                sender_key: self.sender_key.clone(),
                mode: Mode::Accounts,
                registration: Registration::Open,
                now,
                minimum_clients: Vec::new(),
                incarnation: INCARNATION,
                domain: None,
            }),
            Request::SubmitAccount(asked) => {
                Reply::SubmitAccount(self.submit_account(caller, &asked)?)
            }
            Request::OpenSession(asked) => {
                let known =
                    self.accounts.get(&caller.user).and_then(|(account, _)| account.as_ref());
                let standing = known.map(|account| account.standing(&caller.device, &asked.key));
                let Some(Standing::Active(device)) = standing else {
                    return refuse(ErrorCode::UnknownDevice, "the account has no such device");
                };
                asked.verify(&*self.provider, &self.key.public, device.scheme).map_err(invalid)?;
                let token = Token::new("of-this-connection".into());
                Reply::OpenSession(OpenedSession {
                    token,
                    lifetime: 3600,
                    incarnation: INCARNATION,
                })
            }
            Request::MarkState(asked) => {
                let device = self.devices.entry(caller.clone()).or_default();
                if asked.follows(device.mark) {
                    device.mark = Some(asked.mark);
                }
                let latest = device.mark.unwrap_or(asked.mark);
                Reply::MarkState(StateMarked { latest, marked_at: now })
            }
            Request::FetchAccount(asked) => {
                let Some((_, log)) = self.accounts.get(&asked.user) else {
                    return refuse(ErrorCode::UnknownUser, "no such user");
                };
                let page =
                    self.directory.lookup(asked.user.as_str().as_bytes()).map_err(invalid)?;
                let after = usize::try_from(asked.after).unwrap_or(usize::MAX);
                Reply::FetchAccount(AccountPage {
                    entries: log.iter().skip(after).cloned().collect(),
                    length: log.len() as u64,
                    directory: DirectoryPage { root: page.root, proof: page.proof.into() },
                })
            }
            Request::FetchHistory(_) => {
                let user = caller.user.as_str().as_bytes();
                let page = self.directory.history(user, Depth::Complete).map_err(invalid)?;
                Reply::FetchHistory(DirectoryPage { root: page.root, proof: page.proof.into() })
            }
            Request::FetchExtension(asked) => {
                let proof = self.directory.append_only(asked.from, asked.to).map_err(invalid)?;
                Reply::FetchExtension(ExtensionProof { proof: proof.into() })
            }
            other => return Self::not_offered(&other),
        })
    }

    /// Adds the entries that the caller's log does not have yet, and publishes the log's new head.
    fn submit_account(&mut self, caller: &DeviceId, asked: &SubmitAccount) -> Answer<AccountHead> {
        if asked.user != caller.user {
            return refuse(ErrorCode::Invalid, "the log of another user");
        }
        let (mut account, mut log) = self.accounts.get(&asked.user).cloned().unwrap_or_default();
        for bytes in &asked.entries {
            let entry = Entry::from_bytes(bytes).map_err(invalid)?;
            if entry.user != asked.user {
                return refuse(ErrorCode::Invalid, "an entry of another user's log");
            }
            match log.get(usize::try_from(entry.sequence).unwrap_or(usize::MAX)) {
                Some(known) if known == bytes => continue,
                Some(_) => return refuse(ErrorCode::AccountForked, "another log"),
                None => Account::follow(&mut account, &*self.provider, &entry)
                    .map_err(|e| CallError::refused(ErrorCode::BadEntry, e.to_string()))?,
            }
            log.push(bytes.clone());
        }

        let Some(head) = account.as_ref().map(Account::head) else {
            return refuse(ErrorCode::BadEntry, "no entries");
        };
        let user = asked.user.as_str().as_bytes().to_vec();
        let head = Head { length: head.length, hash: head.hash };
        self.directory.publish(&[(user, head)], self.now / 1000).map_err(invalid)?;
        self.accounts.insert(asked.user.clone(), (account, log));
        Ok(AccountHead { length: head.length, hash: head.hash.as_slice().into() })
    }

    /// Second call: key packages, by which a device is added to groups while it is away. Each is given out once.
    fn keys(&mut self, caller: &DeviceId, request: Request) -> Answer {
        Ok(match request {
            Request::PublishKeyPackages(asked) => {
                Reply::PublishKeyPackages(self.publish(caller, asked.key_packages)?)
            }
            Request::ReplaceKeyPackages(asked) => {
                let device = self.devices.entry(caller.clone()).or_default();
                device.key_packages.retain(|(known, _, message)| {
                    known.cipher_suite != asked.cipher_suite || asked.key_packages.contains(message)
                });
                Reply::ReplaceKeyPackages(self.publish(caller, asked.key_packages)?)
            }
            Request::CountKeyPackages(_) => Reply::CountKeyPackages(self.count(caller)),
            Request::ClaimKeyPackages(asked) => {
                Reply::ClaimKeyPackages(self.claim(caller, &asked)?)
            }
            other => return Self::not_offered(&other),
        })
    }

    /// How many key packages a device has left of each suite.
    fn count(&self, caller: &DeviceId) -> KeyPackageCounts {
        let mut counts = BTreeMap::new();
        let device = self.devices.get(caller).into_iter();
        for (package, reference, _) in device.flat_map(|device| &device.key_packages) {
            let cipher_suite = package.cipher_suite;
            let none =
                KeyPackageCount { cipher_suite, available: 0, last_resort: 0, references: vec![] };
            let count = counts.entry(cipher_suite).or_insert(none);
            count.available += u32::from(!package.is_last_resort());
            count.last_resort += u32::from(package.is_last_resort());
            count.references.push(reference.clone());
        }

        KeyPackageCounts { now: self.now / 1000, counts: counts.into_values().collect() }
    }

    /// Gives out a key package of each of a user's devices, but not of the caller.
    fn claim(&mut self, caller: &DeviceId, asked: &ClaimKeyPackages) -> Answer<ClaimedKeyPackages> {
        let account = self.accounts.get(&asked.user).and_then(|(known, _)| known.as_ref());
        let Some(account) = account else {
            return refuse(ErrorCode::UnknownUser, "no such user");
        };

        let mut devices = Vec::new();
        for name in account.active().map(|device| device.name.clone()) {
            let device = DeviceId::new(asked.user.clone(), name);
            let is_asked = asked.devices.is_empty() || asked.devices.contains(&device.device);
            if device == *caller || !is_asked {
                continue;
            }

            let packages = &mut self.devices.entry(device.clone()).or_default().key_packages;
            let of_suite = |package: &KeyPackage| package.cipher_suite == asked.cipher_suite;
            let once = packages.iter().position(|(p, ..)| of_suite(p) && !p.is_last_resort());
            let again = packages.iter().find(|(p, ..)| of_suite(p)).map(|p| p.2.clone());
            let key_package = once.map(|i| packages.remove(i).2).or(again);
            devices.push(ClaimedKeyPackage { device, key_package });
        }
        Ok(ClaimedKeyPackages { devices })
    }

    fn publish(&mut self, caller: &DeviceId, messages: Vec<Bytes>) -> Answer<Published> {
        let mut stored = 0;
        for message in messages {
            let package = key_package_from_message(&message).map_err(invalid)?;
            let suite = Suite::new(&*self.provider, package.cipher_suite).map_err(invalid)?;
            let encoded = package.to_bytes().map_err(invalid)?;
            let reference = suite.key_package_ref(&encoded).map_err(invalid)?;
            if self.owners.insert(reference.clone(), caller.clone()).is_some() {
                continue;
            }
            let packages = &mut self.devices.entry(caller.clone()).or_default().key_packages;
            packages.retain(|(known, ..)| {
                let replaced = known.is_last_resort() && package.is_last_resort();
                !(replaced && known.cipher_suite == package.cipher_suite)
            });
            packages.push((package, reference, message));
            stored += 1;
        }
        Ok(Published { stored })
    }

    /// Third call: something for a group's log. Each epoch has one commit: the first one that comes ends it. What was sent
    /// before and is sent again keeps its place.
    fn append(&mut self, caller: &DeviceId, request: Request) -> Answer {
        Ok(match request {
            Request::CreateGroup(asked) => {
                let log = self.logs.entry(asked.group_id.clone()).or_insert_with(|| Log {
                    entries: Vec::new(),
                    members: BTreeSet::from([caller.clone()]),
                });
                let first = log.position(0);
                Reply::CreateGroup(Created { receipt: self.receipt(&asked.group_id, first)? })
            }
            Request::SubmitProposal(asked) => {
                Reply::SubmitProposal(self.put(caller, asked.proposal)?.0)
            }
            Request::SendMessage(asked) => Reply::SendMessage(self.put(caller, asked.message)?.0),
            Request::SendMessages(asked) => {
                Reply::SendMessages(self.put_all(caller, asked.messages)?)
            }
            Request::SubmitCommit(asked) => Reply::SubmitCommit(self.put_commit(caller, asked)?),
            other => return Self::not_offered(&other),
        })
    }

    /// Appends messages in turn, as many as their epochs allow.
    fn put_all(&mut self, caller: &DeviceId, messages: Vec<Bytes>) -> Answer<SentMessages> {
        let mut sent = None;
        for (message, nth) in messages.into_iter().zip(1..) {
            let outcome = self.put(caller, message)?.0;
            if matches!(outcome, Outcome::WrongEpoch { .. }) {
                sent = sent.or(Some((0, outcome)));
                break;
            }
            sent = Some((nth, outcome));
        }
        let Some((taken, outcome)) = sent else {
            return refuse(ErrorCode::Malformed, "no messages");
        };
        Ok(SentMessages { taken, outcome })
    }

    /// Appends a commit. If it is new in the log, delivers its Welcomes and publishes its key packages.
    fn put_commit(&mut self, caller: &DeviceId, asked: SubmitCommit) -> Answer<Outcome> {
        let to = |welcome: Bytes| Ok((welcome_recipients(&welcome)?, welcome));
        let welcomes: Result<Vec<_>, conclave_mls::Error> =
            asked.welcomes.into_iter().map(to).collect();
        let welcomes = welcomes.map_err(invalid)?;

        let (outcome, is_new) = self.put(caller, asked.commit)?;
        if is_new {
            self.publish(caller, asked.key_packages)?;
            for (to, welcome) in welcomes {
                self.invite(caller, outcome.receipt(), (to, welcome), &asked.ratchet_tree)?;
            }
        }
        Ok(outcome)
    }

    /// Appends a message if its epoch allows that. Says, too, whether it is new in the log.
    fn put(&mut self, caller: &DeviceId, message: Bytes) -> Answer<(Outcome, bool)> {
        let (group_id, epoch, content_type) = match MlsMessage::from_bytes(&message) {
            Ok(MlsMessage { body: MlsMessageBody::PublicMessage(m), .. }) => {
                let content_type = m.content.content.content_type();
                (m.content.group_id, m.content.epoch.0, content_type)
            }
            Ok(MlsMessage { body: MlsMessageBody::PrivateMessage(m), .. }) => {
                (m.group_id, m.epoch.0, m.content_type)
            }
            _ => return refuse(ErrorCode::Malformed, "no message of a group"),
        };
        let received_at = self.now / 1000;
        let log = self.log(caller, &group_id)?;
        let known = log.entries.iter().find(|(entry, _)| entry.message == message);
        if let Some((entry, position)) = known {
            let (received_at, position) = (entry.received_at, *position);
            let receipt = self.receipt(&group_id, position)?;
            return Ok((Outcome::Accepted { receipt, received_at }, false));
        }

        let end = log.end();
        let late = end.epoch.checked_sub(epoch);
        let fits = match content_type {
            ContentType::Application => late.is_some_and(|late| late <= LATE_EPOCHS),
            ContentType::Proposal | ContentType::Commit => late == Some(0),
        };
        if !fits {
            return Ok((Outcome::WrongEpoch { receipt: self.receipt(&group_id, end)? }, false));
        }

        let (seq, sender) = (end.seq + 1, caller.clone());
        let entry = LogEntry { seq, epoch, content_type, sender, received_at, message };
        let chain = ChainInput::of(&group_id, &entry).after(&end.chain).map_err(invalid)?;
        let epoch = end.epoch + u64::from(content_type == ContentType::Commit);
        let position = LogPosition { seq, epoch, chain };
        log.entries.push((entry, position));
        let receipt = self.receipt(&group_id, position)?;
        Ok((Outcome::Accepted { receipt, received_at }, true))
    }

    /// Puts a Welcome into the inboxes of the devices whose key packages it names.
    fn invite(
        &mut self,
        sender: &DeviceId,
        at: &Receipt,
        (to, welcome): (Vec<KeyPackageRef>, Bytes),
        ratchet_tree: &Option<Bytes>,
    ) -> Answer<()> {
        for reference in to {
            let Some(owner) = self.owners.get(&reference).cloned() else { continue };
            self.inbox_items += 1;
            let welcome = WelcomeItem {
                group_id: at.group_id.clone(),
                position: at.position,
                sender: sender.clone(),
                welcome: welcome.clone(),
                ratchet_tree: ratchet_tree.clone(),
            };
            let item = InboxItem { id: self.inbox_items, welcome };
            self.log(sender, &at.group_id)?.members.insert(owner.clone());
            self.devices.entry(owner).or_default().inbox.push(item);
        }
        Ok(())
    }

    /// Fourth call: a part of a group's log.
    fn read(&mut self, caller: &DeviceId, request: Request) -> Answer {
        let Request::FetchLog(asked) = request else { return Self::not_offered(&request) };
        let log = self.log(caller, &asked.group_id)?;
        let after = usize::try_from(asked.after).unwrap_or(usize::MAX).min(log.entries.len());
        let page = log.entries.iter().skip(after).take(asked.limit as usize);
        let entries: Vec<LogEntry> = page.map(|(entry, _)| entry.clone()).collect();
        let (head, before) = (log.entries.len() as u64, Some(log.position(after).chain));
        let end = log.position(after + entries.len());
        let end = self.receipt(&asked.group_id, end)?;
        Ok(Reply::FetchLog(LogPage { entries, head, before, end, ending: None }))
    }

    /// Fifth call: what is for one device alone, kept until the device acknowledges it.
    fn inbox(&mut self, caller: &DeviceId, request: Request) -> Answer {
        let inbox = &mut self.devices.entry(caller.clone()).or_default().inbox;
        Ok(match request {
            Request::FetchInbox(asked) => {
                let items = inbox.iter().take(asked.limit as usize).cloned().collect();
                let total = u32::try_from(inbox.len()).unwrap_or(u32::MAX);
                Reply::FetchInbox(InboxPage { items, total })
            }
            Request::AckInbox(asked) => {
                inbox.retain(|item| !asked.ids.contains(&item.id));
                Reply::AckInbox(Acknowledged {})
            }
            other => return Self::not_offered(&other),
        })
    }

    /// Sixth call: what there is for a device to look at. A service that pushes events reports this when it happens.
    pub(crate) fn watch(&self, caller: &DeviceId) -> Vec<Event> {
        let own = self.logs.iter().filter(|(_, log)| log.members.contains(caller));
        let heard = own.map(|(id, log)| Event::Group { group_id: id.clone(), position: log.end() });
        let invited = self.devices.get(caller).is_some_and(|device| !device.inbox.is_empty());
        heard.chain(invited.then_some(Event::Inbox)).collect()
    }

    fn log(&mut self, caller: &DeviceId, group: &GroupId) -> Answer<&mut Log> {
        match self.logs.get_mut(group) {
            Some(log) if log.members.contains(caller) => Ok(log),
            Some(_) => refuse(ErrorCode::NotMember, "not in this group"),
            None => refuse(ErrorCode::UnknownGroup, "no such group"),
        }
    }

    /// A signed position of a group's log, which clients hold the service to.
    fn receipt(&self, group: &GroupId, position: LogPosition) -> Answer<Receipt> {
        let now = UnixTime::since_unix_epoch(Duration::from_millis(self.now));
        let now = now.unwrap_or(UnixTime::MAX);
        let place = (group.clone(), position);
        Receipt::signed(&*self.provider, &self.key, INCARNATION, place, now).map_err(invalid)
    }
}
