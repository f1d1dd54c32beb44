//! Conclave. Half of its clients use the native provider, half the portable one. The group is loaded anew
//! from its rows before each look at it.

use crate::member::{
    Change, Commit, EXPORT_LABEL, EXPORT_LENGTH, Extension, How, LEEWAY, LIFETIME, Linked, Member,
    Outside, REPLACES, ReInit, Received, Result, TOPIC, View, application_psk,
    encode_external_sender, leaf_dictionary, now, updated,
};
use crate::rng;
use crate::suite::{POINTS, Suite};
use chacha20::ChaCha20Rng;
use conclave_mls::component::{AppDataDictionary, ComponentId};
use conclave_mls::credential::{LeafParams, signature_key_pair};
use conclave_mls::crypto::{self, CryptoProvider, Secret, SignatureKeyPair};
use conclave_mls::error::Error;
use conclave_mls::group::{
    Answers, CommitOptions, Committed, CustomProposal, EpochChange, ExtensionType, Framing,
    GroupParams, LeafIndex, NewGroup, NewProposal, PreSharedKeyId, Proposal, ProposalType,
    ProtocolVersion, PskType, Refused, Sender,
};
use conclave_mls::join::{
    ExternalJoinOptions, ExternalJoinStage, ExternalTarget, GroupInfoOptions, Link, WelcomeStage,
    welcome_recipients,
};
use conclave_mls::key_package::{
    KeyPackageParams, Lifetime, OwnKeyPackage, ValidKeyPackage, key_package_from_message,
};
use conclave_mls::storage::{Batch, Outcome, RowKey};
use conclave_mls::wire::{
    AppDataUpdate, AppDataUpdateOperation, Bytes, Decode, Encode, MlsMessage, MlsMessageBody,
    RatchetTreeExtension, SelfRemove, WireFormat, find_extension,
};
use conclave_mls::{
    CipherSuite, Config, Credential, Epoch, Event, Group, Transition, Verdict, apply,
};
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_testkit::forge::Insider;
use std::collections::BTreeMap;
use std::convert::Infallible;

mod drafts;

pub use drafts::observer;

/// A client of Conclave.
pub struct Conclave {
    provider: Box<dyn CryptoProvider>,
    rng: ChaCha20Rng,
    name: Vec<u8>,
    suite: CipherSuite,
    /// The drafts that it implements.
    drafts: Profile,
    /// What the last commit gave to components.
    ephemeral: Vec<(u16, Vec<u8>)>,
    signer: SignatureKeyPair,
    key_packages: Vec<OwnKeyPackage>,
    psks: Vec<(PskType, Secret)>,
    group: Option<Group>,
    rows: BTreeMap<RowKey, Secret>,
}

/// A new client.
pub fn client(name: &str, suite: Suite) -> Result<Box<dyn Member>> {
    Ok(Box::new(new(name, suite)?))
}

/// A new client. Its name decides which provider it uses.
pub fn new(name: &str, suite: Suite) -> Result<Conclave> {
    let portable = name.bytes().map(u32::from).sum::<u32>() % 2 == 1;
    let provider: Box<dyn CryptoProvider> = if portable {
        Box::new(RustCrypto::new().with_suites(POINTS))
    } else {
        Box::new(AwsLc::new().with_suites(POINTS))
    };

    let mut rng = rng::of_name(name)?;
    let drafts = Profile::of(suite);
    let suite = CipherSuite(suite.code_point());
    let signer = signature_key_pair(&*provider, &mut rng, suite)?;
    Ok(Conclave {
        provider,
        rng,
        name: name.into(),
        suite,
        drafts,
        ephemeral: Vec::new(),
        signer,
        key_packages: Vec::new(),
        psks: Vec::new(),
        group: None,
        rows: BTreeMap::new(),
    })
}

/// The drafts that a client implements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// None.
    Plain,
    /// Those of extensions and of targeted messages.
    Extended,
    /// SelfRemove, at the code point of RCS.
    Rcs,
}

/// SelfRemove as RCS and mls-rs have it.
const RCS: SelfRemove = SelfRemove { proposal_type: ProposalType(0xf003), length_prefixed: false };

impl Profile {
    fn of(suite: Suite) -> Self {
        match suite {
            Suite::Rfc(_) | Suite::Draft(_) | Suite::Mended(_) => Self::Plain,
            Suite::Extended(_) => Self::Extended,
            Suite::Rcs(_) => Self::Rcs,
        }
    }

    fn config(self) -> Config {
        let rcs = || CustomProposal::self_remove(RCS);
        let proposals = (self == Self::Rcs).then(rcs).into_iter().collect();
        Config { proposals, ..Config::default() }
    }

    fn leaf(self, mut leaf: LeafParams) -> Result<LeafParams> {
        let proposals = &mut leaf.capabilities.proposals;
        match self {
            Self::Plain => Ok(leaf),
            Self::Rcs => {
                proposals.push(RCS.proposal_type);
                Ok(leaf)
            }
            Self::Extended => {
                proposals.extend([
                    ProposalType::APP_DATA_UPDATE,
                    ProposalType::APP_EPHEMERAL,
                    ProposalType::SELF_REMOVE,
                ]);
                for entry in leaf_dictionary().entries() {
                    leaf = leaf.with_component(entry.component_id, entry.data.clone())?;
                }
                // Numbers without a meaning, which all have to ignore.
                let leaf = leaf.with_component_grease([1, 2, 3, 4, 5, 6])?;
                Ok(leaf.with_wire_formats(&[WireFormat::TARGETED_MESSAGE])?)
            }
        }
    }
}

/// The new data of a component, as it means its updates.
fn answer(component: ComponentId, current: Option<&Bytes>, updates: &[(Sender, Bytes)]) -> Bytes {
    let updates = updates.iter().map(|(_, update)| &**update);
    updated(component.0, current.map(|data| &**data), updates).into()
}

fn lifetime() -> Lifetime {
    Lifetime::starting_at(now().saturating_sub(LEEWAY), LIFETIME + LEEWAY)
}

fn extensions(list: &[Extension]) -> Vec<conclave_mls::group::Extension> {
    let one = |e: &Extension| conclave_mls::group::Extension {
        extension_type: ExtensionType(e.kind),
        extension_data: e.data.as_slice().into(),
    };
    list.iter().map(one).collect()
}

fn accept_all<T>(credentials: &[T]) -> Vec<Verdict> {
    vec![Verdict::Accept; credentials.len()]
}

fn reinit_of(next: &ReInit) -> conclave_mls::group::ReInit {
    conclave_mls::group::ReInit {
        group_id: next.group_id.as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: CipherSuite(next.suite.code_point()),
        extensions: extensions(&next.extensions),
    }
}

impl Conclave {
    fn leaf(&self) -> Result<LeafParams> {
        let suites: Vec<CipherSuite> = Suite::code_points().into_iter().map(CipherSuite).collect();
        debug_assert!(suites.contains(&self.suite));
        let mut leaf = LeafParams::new(Credential::basic(&self.name), &suites);
        leaf.capabilities.extensions.push(ExtensionType(TOPIC));
        self.drafts.leaf(leaf)
    }

    /// Its cryptography.
    pub fn provider(&self) -> &dyn CryptoProvider {
        &*self.provider
    }

    /// The secrets of its current epoch, with which a test breaks rules.
    pub fn insider(&self) -> Result<Insider> {
        Ok(Insider::of(self.group()?))
    }

    fn group(&self) -> Result<&Group> {
        self.group.as_ref().ok_or_else(|| "in no group".into())
    }

    fn take<O: Outcome<Event>>(&mut self, step: Transition<Group, O>) -> Result<O> {
        let group = self.group.as_mut().ok_or("in no group")?;
        let rows = &mut self.rows;
        Ok(apply(group, step, |write| {
            write.batch.apply_to(rows);
            Ok::<_, Infallible>(())
        })?)
    }

    /// The error of a refused message, whose key is deleted.
    fn refused(&mut self, refused: Refused) -> Error {
        if let Some(deletion) = refused.key_deletion {
            // The step is of the current state and its write cannot fail.
            let _ = self.take(*deletion);
        }
        refused.error
    }

    fn arrived(&mut self, change: &EpochChange) -> Received {
        let data = change.ephemeral.iter().map(|e| (e.component_id.0, e.data.to_vec()));
        self.ephemeral = data.collect();
        if change.reinit.is_some() { Received::Closed } else { Received::Epoch }
    }

    fn enter(&mut self, new: NewGroup) -> Result<()> {
        let mut rows = BTreeMap::new();
        let group = new.store(|batch: &Batch| {
            batch.apply_to(&mut rows);
            Ok::<_, Infallible>(())
        })?;
        self.group = Some(group);
        self.rows = rows;
        Ok(())
    }

    fn valid(&self, message: &[u8]) -> Result<ValidKeyPackage> {
        let key_package = key_package_from_message(message)?;
        let stage =
            ValidKeyPackage::check(&*self.provider, now(), &self.drafts.config(), key_package)?;
        Ok(stage.resolve(Verdict::Accept)?)
    }

    fn new_proposal(&self, change: &Change) -> Result<NewProposal> {
        Ok(match change {
            Change::Add(message) => NewProposal::Add(Box::new(self.valid(message)?)),
            Change::Remove(index) => NewProposal::Remove(LeafIndex(*index)),
            Change::Update => return Err("an Update cannot be committed by value".into()),
            Change::ExternalPsk(id) => NewProposal::ExternalPsk { psk_id: id.as_slice().into() },
            Change::ResumptionPsk(epoch) => NewProposal::ResumptionPsk {
                group_id: self.group()?.group_id().clone(),
                epoch: Epoch(*epoch),
            },
            Change::Extensions(list) => NewProposal::GroupContextExtensions(extensions(list)),
            Change::ReInit(next) => NewProposal::ReInit(reinit_of(next)),
            Change::SelfRemove => NewProposal::SelfRemove,
            Change::AppData(component, update) => NewProposal::AppDataUpdate {
                component_id: ComponentId(*component),
                update: update.as_slice().into(),
            },
            Change::AppDataRemoval(component) => {
                NewProposal::AppDataRemoval { component_id: ComponentId(*component) }
            }
            Change::Ephemeral(component, data) => NewProposal::AppEphemeral {
                component_id: ComponentId(*component),
                data: data.as_slice().into(),
            },
            Change::ApplicationPsk(id) => NewProposal::ApplicationPsk {
                component_id: ComponentId(REPLACES),
                psk_id: id.as_slice().into(),
            },
        })
    }

    /// Makes new keys if the suite differs.
    fn change_suite(&mut self, suite: Suite) -> Result<()> {
        let suite = CipherSuite(suite.code_point());
        if self.suite != suite {
            self.suite = suite;
            self.signer = signature_key_pair(&*self.provider, &mut self.rng, suite)?;
        }
        Ok(())
    }

    /// Opens a group with its first commit.
    fn open_linked(
        &mut self,
        params: GroupParams,
        link: Link,
        key_packages: &[Vec<u8>],
    ) -> Result<Linked> {
        let mut proposals = Vec::new();
        for message in key_packages {
            proposals.push(NewProposal::Add(Box::new(self.valid(message)?)));
        }

        let signer = self.signer.clone();
        let new =
            Group::create(&*self.provider, &mut self.rng, self.drafts.config(), params, signer)?;
        self.enter(new)?;
        let options = CommitOptions { proposals, link: Some(link), ..CommitOptions::default() };
        let group = self.group.as_ref().ok_or("in no group")?;
        let step = group.commit(&*self.provider, &mut self.rng, now(), options)?;
        let messages = self.take(step)?;
        self.accept()?;
        let welcome = messages.welcomes.into_iter().next().ok_or("no Welcome")?.message;
        Ok(Linked { welcome, tree: None })
    }

    fn join_by(&mut self, welcome: &[u8], tree: Option<&[u8]>, link: Option<&Link>) -> Result<()> {
        let recipients = welcome_recipients(welcome)?;
        let own = self.key_packages.iter().position(|own| recipients.contains(own.reference()));
        let own = self.key_packages.remove(own.ok_or("the Welcome is for somebody else")?);
        let stage = WelcomeStage::open(&*self.provider, self.drafts.config(), welcome, &own)?;
        let join = stage.join(&*self.provider, &self.psks, tree, link)?;
        let verdicts = accept_all(join.credentials());
        self.signer = own.signer().clone();
        self.enter(join.resolve(&verdicts)?)
    }
}

impl Member for Conclave {
    fn key_package(&mut self) -> Result<Vec<u8>> {
        let params = KeyPackageParams::new(self.suite, self.leaf()?, lifetime());
        let signer = self.signer.clone();
        let own = OwnKeyPackage::generate(&*self.provider, &mut self.rng, params, signer)?;
        let message = own.message()?;
        self.key_packages.push(own);
        Ok(message)
    }

    fn create(&mut self, group_id: &[u8], list: &[Extension]) -> Result<()> {
        let params = GroupParams {
            extensions: extensions(list),
            ..GroupParams::new(group_id.into(), self.suite, self.leaf()?, lifetime())
        };
        let signer = self.signer.clone();
        let new =
            Group::create(&*self.provider, &mut self.rng, self.drafts.config(), params, signer)?;
        self.enter(new)
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        self.join_by(welcome, tree, None)
    }

    fn join_external(
        &mut self,
        group_info: &[u8],
        tree: Option<&[u8]>,
        psk: Option<&[u8]>,
        resync: bool,
    ) -> Result<Vec<u8>> {
        let stage =
            ExternalJoinStage::open(&*self.provider, self.drafts.config(), group_info, tree)?;
        let verdicts = accept_all(stage.credentials());
        let own = Credential::basic(&self.name);
        let old = stage.members().find(|member| resync && member.credential == own);
        let id = psk.map(|id| PskType::External { psk_id: id.into() });
        let options = ExternalJoinOptions {
            replaces: old.map(|member| member.index),
            psks: self
                .psks
                .iter()
                .filter(|(known, _)| Some(known) == id.as_ref())
                .cloned()
                .collect(),
            ..ExternalJoinOptions::new(self.leaf()?, self.signer.clone())
        };

        let joined = stage.commit(&*self.provider, &mut self.rng, &verdicts, options)?;
        self.enter(joined.group)?;
        Ok(joined.commit)
    }

    fn group_info(&mut self, tree: bool) -> Result<Vec<u8>> {
        let options = GroupInfoOptions { ratchet_tree: tree, external_pub: true };
        Ok(self.group()?.group_info(&*self.provider, options)?)
    }

    fn tree(&mut self) -> Result<Vec<u8>> {
        let options = GroupInfoOptions { ratchet_tree: true, external_pub: false };
        let message = self.group()?.group_info(&*self.provider, options)?;
        let MlsMessageBody::GroupInfo(info) = MlsMessage::from_bytes(&message)?.body else {
            return Err("not a GroupInfo".into());
        };
        let tree: RatchetTreeExtension =
            find_extension(&info.extensions, ExtensionType::RATCHET_TREE)?.ok_or("no tree")?;
        Ok(tree.to_bytes()?)
    }

    fn know_psk(&mut self, id: &[u8], secret: &[u8]) -> Result<()> {
        let external = PskType::External { psk_id: id.into() };
        self.psks.push((external, Secret::copy_from(secret)));
        let component_id = ComponentId(REPLACES);
        let of_component = PskType::Application { component_id, psk_id: id.into() };
        self.psks.push((of_component, Secret::copy_from(&application_psk(secret))));
        Ok(())
    }

    fn propose(&mut self, change: &Change, private: bool) -> Result<Vec<u8>> {
        let framing = Framing { encrypt: private, ..Framing::default() };
        let new = match change {
            Change::Update => None,
            change => Some(self.new_proposal(change)?),
        };

        let group = self.group.as_ref().ok_or("in no group")?;
        let step = match new {
            None => group.propose_update(&*self.provider, &mut self.rng, None, &framing)?,
            Some(new) => group.propose(&*self.provider, &mut self.rng, now(), new, &framing)?,
        };

        Ok(self.take(step)?.message)
    }

    fn commit(&mut self, changes: &[Change], how: How) -> Result<Commit> {
        let proposals: Result<Vec<_>> = changes.iter().map(|c| self.new_proposal(c)).collect();
        let options = CommitOptions {
            proposals: proposals?,
            force_path: how.path,
            framing: Framing { encrypt: how.private, ..Framing::default() },
            welcome_ratchet_tree: how.tree,
            psks: self.psks.clone(),
            ..CommitOptions::default()
        };

        let group = self.group.as_ref().ok_or("in no group")?;
        let draft = group.draft_commit(&*self.provider, &mut self.rng, now(), options)?;
        let asked = draft.app_data().iter();
        let data = asked.map(|a| answer(a.component_id, a.current.as_ref(), &a.updates)).collect();
        let step = draft.seal(&mut self.rng, data)?;
        let messages = self.take(step)?;
        let welcome = messages.welcomes.into_iter().next().map(|welcome| welcome.message);
        Ok(Commit { commit: messages.commit, welcome })
    }

    fn accept(&mut self) -> Result<()> {
        let group = self.group()?;
        let pending = group.pending_commit().ok_or("no commit is pending")?;
        let step = group.commit_accepted(&*self.provider, now(), &pending.id)?;
        let change = self.take(step)?;
        self.arrived(&change);
        Ok(())
    }

    fn discard(&mut self) -> Result<()> {
        let group = self.group()?;
        let pending = group.pending_commit().ok_or("no commit is pending")?;
        let step = group.commit_rejected(&pending.id)?;
        self.take(step)
    }

    fn receive(&mut self, message: &[u8]) -> Result<Received> {
        use conclave_mls::Received as Stage;

        let now = now();
        let group = self.group()?;
        let received = match group.process(&*self.provider, now, message) {
            Ok(received) => received,
            Err(refused) => return Err(self.refused(refused).into()),
        };

        match received {
            Stage::Application(step) => {
                let read = self.take(step)?;
                let authenticated_data = Some(read.authenticated_data.to_vec());
                Ok(Received::Data { data: read.data, authenticated_data })
            }
            Stage::Targeted(step) => {
                let read = self.take(step)?;
                let authenticated_data = Some(read.authenticated_data.to_vec());
                Ok(Received::Data { data: read.data, authenticated_data })
            }
            Stage::OwnCommit(step) => {
                let change = self.take(step)?;
                Ok(self.arrived(&change))
            }
            Stage::Proposal(stage) => {
                let verdicts = accept_all(stage.credentials());
                let step = match stage.resolve(group, &verdicts) {
                    Ok(step) => step,
                    Err(refused) => return Err(self.refused(refused).into()),
                };
                self.take(step)?.ok_or("the proposal is known already")?;
                Ok(Received::Proposal)
            }
            Stage::Commit(stage) => {
                let verdicts = accept_all(stage.credentials());
                let asked = stage.app_data().iter();
                let app_data =
                    asked.map(|a| answer(a.component_id, a.current.as_ref(), &a.updates)).collect();
                let answers = Answers { verdicts, psks: self.psks.clone(), app_data };
                let step = match stage.resolve(group, &*self.provider, now, &answers) {
                    Ok(step) => step,
                    Err(refused) => return Err(self.refused(refused).into()),
                };
                match self.take(step)? {
                    Committed::Epoch(change) => Ok(self.arrived(&change)),
                    Committed::Removal(_) => {
                        // The script stands for the delivery service, which orders commits.
                        let deletion = self.group()?.delete()?;
                        self.take(deletion)?;
                        Ok(Received::Removed)
                    }
                }
            }
            Stage::Known => Err("the message is known already".into()),
            other => Err(format!("unexpected: {other:?}").into()),
        }
    }

    fn send(&mut self, data: &[u8], authenticated_data: &[u8]) -> Result<Vec<u8>> {
        let framing =
            Framing { authenticated_data: authenticated_data.to_vec(), ..Framing::default() };
        let group = self.group.as_ref().ok_or("in no group")?;
        let step = group.encrypt(&*self.provider, &mut self.rng, data, &framing)?;
        self.take(step)
    }

    fn view(&mut self, context: &[u8]) -> Result<View> {
        let rows = self.rows.iter().map(|(key, value)| (*key, value.clone()));
        let group = Group::load(&*self.provider, self.drafts.config(), rows)?;
        let label = EXPORT_LABEL.as_bytes();
        let exported = group.export(&*self.provider, label, context, EXPORT_LENGTH)?;
        let identity = |credential: &Credential| match credential {
            Credential::Basic { identity } => identity.to_vec(),
            _ => Vec::new(),
        };

        let view = View {
            epoch: group.epoch().0,
            authenticator: group.epoch_authenticator()?.as_secret().expose().to_vec(),
            exported: exported.expose().to_vec(),
            roster: group.members().map(|m| (m.index.0, identity(&m.credential))).collect(),
            extensions: group
                .extensions()
                .iter()
                .map(|e| Extension { kind: e.extension_type.0, data: e.extension_data.to_vec() })
                .collect(),
        };

        self.group = Some(group);
        Ok(view)
    }

    fn external_sender(&mut self) -> Result<Vec<u8>> {
        encode_external_sender(&self.signer.public, &self.name)
    }

    fn propose_outside(&mut self, group_info: &[u8], what: &Outside) -> Result<Vec<u8>> {
        let MlsMessageBody::GroupInfo(info) = MlsMessage::from_bytes(group_info)?.body else {
            return Err("not a GroupInfo".into());
        };

        let context = &info.group_context;
        let mut target =
            ExternalTarget::new(context.group_id.clone(), context.epoch, context.cipher_suite);
        let dictionary = AppDataDictionary::find(&context.extensions)?.unwrap_or_default();
        if dictionary.get(ComponentId::SAFE_AAD).is_some() {
            target = target.with_safe_aad();
        }
        let proposal = match what {
            Outside::Add(message) => Proposal::Add(Box::new(key_package_from_message(message)?)),
            Outside::Remove(index) => Proposal::Remove(LeafIndex(*index)),
            Outside::ExternalPsk(id) => {
                let suite = crypto::Suite::new(&*self.provider, self.suite)?;
                let nonce = Secret::random(suite.nh(), &mut self.rng);
                Proposal::PreSharedKey(PreSharedKeyId {
                    psktype: PskType::External { psk_id: id.as_slice().into() },
                    psk_nonce: nonce.expose().into(),
                })
            }
            Outside::AppData(component, update) => Proposal::AppDataUpdate(AppDataUpdate {
                component_id: ComponentId(*component),
                operation: AppDataUpdateOperation::Update(update.as_slice().into()),
            }),
            Outside::Itself => {
                self.key_package()?;
                let own = self.key_packages.last().ok_or("no key package")?;
                return Ok(target.propose_self(&*self.provider, now(), own)?);
            }
        };

        Ok(target.propose(&*self.provider, 0, &self.signer, proposal)?)
    }

    fn reinit_key_package(&mut self, suite: Suite) -> Result<Vec<u8>> {
        self.change_suite(suite)?;
        self.key_package()
    }

    fn reinit(&mut self, next: &ReInit, key_packages: &[Vec<u8>]) -> Result<Linked> {
        let link = self.group()?.reinit_link()?;
        self.change_suite(next.suite)?;
        let group_id = next.group_id.as_slice().into();
        let params = GroupParams {
            extensions: extensions(&next.extensions),
            ..GroupParams::new(group_id, self.suite, self.leaf()?, lifetime())
        };
        self.open_linked(params, link, key_packages)
    }

    fn join_reinit(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        let link = self.group()?.reinit_link()?;
        self.join_by(welcome, tree, Some(&link))
    }

    fn branch(
        &mut self,
        group_id: &[u8],
        other: Option<&[Extension]>,
        key_packages: &[Vec<u8>],
    ) -> Result<Linked> {
        let link = self.group()?.branch_link()?;
        let own = self.group()?.extensions().to_vec();
        let params = GroupParams {
            extensions: other.map_or(own, extensions),
            ..GroupParams::new(group_id.into(), self.suite, self.leaf()?, lifetime())
        };

        self.open_linked(params, link, key_packages)
    }

    fn join_branch(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        let link = self.group()?.branch_link()?;
        self.join_by(welcome, tree, Some(&link))
    }
}
