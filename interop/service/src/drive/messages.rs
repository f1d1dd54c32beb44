//! Steps within an epoch: proposals, application data, GroupInfos, PSKs, comparisons.

use super::record::{Keys, key_package_of};
use super::run::{Failed, Run, extensions};
use super::script::Step;
use crate::proto::*;
use conclave_mls::Credential;
use conclave_mls::wire::{Decode, MlsMessage, MlsMessageBody, Node, RatchetTreeExtension};

impl Run {
    /// Notes that a proposal was sent, so that its sender is no longer passive.
    fn proposed(&mut self, who: &str, made: &ProposalResponse) {
        self.tally.proposals += 1;
        self.recorder.over(who);
        self.keep("proposal", &made.proposal);
    }

    pub(super) async fn add_proposal(&mut self, step: &Step) -> Result<(), Failed> {
        let who = &step.actor;
        let state_id = self.state(&step.actor)?;
        let key_package = self.made(step.step("keyPackage"), "key_package")?;
        let request = AddProposalRequest { state_id, key_package };
        let made =
            self.call(who, request, |mut c, r| async move { c.add_proposal(r).await }).await?;
        self.proposed(who, &made);
        Ok(())
    }

    pub(super) async fn update_proposal(&mut self, step: &Step) -> Result<(), Failed> {
        let who = &step.actor;
        let state_id = self.state(&step.actor)?;
        let request = UpdateProposalRequest { state_id };
        let made =
            self.call(who, request, |mut c, r| async move { c.update_proposal(r).await }).await?;
        self.proposed(who, &made);
        Ok(())
    }

    pub(super) async fn remove_proposal(&mut self, step: &Step) -> Result<(), Failed> {
        let who = &step.actor;
        let state_id = self.state(&step.actor)?;
        let removed_id = step.text("removed").as_bytes().to_vec();
        let request = RemoveProposalRequest { state_id, removed_id };
        let made =
            self.call(who, request, |mut c, r| async move { c.remove_proposal(r).await }).await?;
        self.proposed(who, &made);
        Ok(())
    }

    pub(super) async fn external_psk_proposal(&mut self, step: &Step) -> Result<(), Failed> {
        let who = &step.actor;
        let state_id = self.state(&step.actor)?;
        let psk_id = self.made(step.step("pskID"), "psk_id")?;
        let request = ExternalPskProposalRequest { state_id, psk_id };
        let made = self
            .call(who, request, |mut c, r| async move { c.external_psk_proposal(r).await })
            .await?;
        self.proposed(who, &made);
        Ok(())
    }

    pub(super) async fn resumption_psk_proposal(&mut self, step: &Step) -> Result<(), Failed> {
        let who = &step.actor;
        let state_id = self.state(&step.actor)?;
        let epoch_id = step.number("epochID");
        let request = ResumptionPskProposalRequest { state_id, epoch_id };
        let made = self
            .call(who, request, |mut c, r| async move { c.resumption_psk_proposal(r).await })
            .await?;
        self.proposed(who, &made);
        Ok(())
    }

    pub(super) async fn extensions_proposal(&mut self, step: &Step) -> Result<(), Failed> {
        let who = &step.actor;
        let state_id = self.state(&step.actor)?;
        let extensions = extensions(step)?;
        let request = GroupContextExtensionsProposalRequest { state_id, extensions };
        let made =
            self.call(who, request, |mut c, r| async move {
                c.group_context_extensions_proposal(r).await
            })
            .await?;
        self.proposed(who, &made);
        Ok(())
    }

    pub(super) async fn new_member_add_proposal(&mut self, step: &Step) -> Result<(), Failed> {
        let info = self.group_info(&step.actor, false).await?;
        let joiner = step.text("joiner");
        let identity = joiner.as_bytes().to_vec();
        let request = NewMemberAddProposalRequest { group_info: info.group_info, identity };
        let made = self
            .call(joiner, request, |mut c, r| async move { c.new_member_add_proposal(r).await })
            .await?;
        self.tally.proposals += 1;
        self.joins.insert(joiner.to_owned(), made.transaction_id);
        self.keep("proposal", &made.proposal);
        let keys = Keys {
            key_package: key_package_of(&made.proposal)?,
            init_priv: made.init_priv,
            encryption_priv: made.encryption_priv,
            signature_priv: made.signature_priv,
        };

        self.keys.insert(joiner.to_owned(), keys);
        Ok(())
    }

    pub(super) async fn add_external_signer(&mut self, step: &Step) -> Result<(), Failed> {
        let signer = step.text("signer");
        let identity = signer.as_bytes().to_vec();
        let request = CreateExternalSignerRequest { cipher_suite: self.suite, identity };
        let made = self
            .call(signer, request, |mut c, r| async move { c.create_external_signer(r).await })
            .await?;
        self.signers.insert(signer.to_owned(), made.signer_id);
        let who = &step.actor;
        let state_id = self.state(&step.actor)?;
        let external_sender = made.external_sender;
        let request = AddExternalSignerRequest { state_id, external_sender };
        let made = self
            .call(who, request, |mut c, r| async move { c.add_external_signer(r).await })
            .await?;
        self.proposed(who, &made);
        Ok(())
    }

    pub(super) async fn external_signer_proposal(&mut self, step: &Step) -> Result<(), Failed> {
        let info = self.group_info(step.text("member"), true).await?;
        let description = step.description("description").ok_or("the step has no description")?;
        let description = Some(self.description(&description)?);
        let signer = self.signers.get(&step.actor).copied();
        let request = ExternalSignerProposalRequest {
            signer_id: signer.ok_or_else(|| format!("{:?} is no signer", step.actor))?,
            // As in the working group's runner: the service knows its place.
            signer_index: 0,
            group_info: info.group_info,
            ratchet_tree: info.ratchet_tree,
            description,
        };

        let made =
            self.call(&step.actor, request, |mut c, r| async move {
                c.external_signer_proposal(r).await
            })
            .await?;
        self.tally.proposals += 1;
        self.keep("proposal", &made.proposal);
        Ok(())
    }

    pub(super) async fn protect(&mut self, step: &Step) -> Result<(), Failed> {
        let request = ProtectRequest {
            state_id: self.state(&step.actor)?,
            authenticated_data: step.text("authenticatedData").as_bytes().to_vec(),
            plaintext: step.text("plaintext").as_bytes().to_vec(),
        };
        self.keep("authenticated_data", &request.authenticated_data);
        self.keep("plaintext", &request.plaintext);
        let made =
            self.call(&step.actor, request, |mut c, r| async move { c.protect(r).await }).await?;
        self.tally.application += 1;
        self.keep("ciphertext", &made.ciphertext);
        Ok(())
    }

    pub(super) async fn unprotect(&mut self, step: &Step) -> Result<(), Failed> {
        let from = step.step("ciphertext");
        let state_id = self.state(&step.actor)?;
        let ciphertext = self.made(from, "ciphertext")?;
        let request = UnprotectRequest { state_id, ciphertext };
        let read =
            self.call(&step.actor, request, |mut c, r| async move { c.unprotect(r).await }).await?;
        self.tally.read += 1;
        let sent = (self.made(from, "authenticated_data")?, self.made(from, "plaintext")?);
        if (read.authenticated_data, read.plaintext) == sent {
            Ok(())
        } else {
            Err(format!("{} reads something else than was sent", step.actor))
        }
    }

    pub(super) async fn group_info(
        &mut self,
        who: &str,
        external_tree: bool,
    ) -> Result<GroupInfoResponse, Failed> {
        let request = GroupInfoRequest { state_id: self.state(who)?, external_tree };
        self.call(who, request, |mut c, r| async move { c.group_info(r).await }).await
    }

    pub(super) async fn keep_group_info(&mut self, step: &Step) -> Result<(), Failed> {
        let outside = self.outside(step.flag("externalTree"));
        let info = self.group_info(&step.actor, outside).await?;
        self.keep("group_info", &info.group_info);
        self.keep("ratchet_tree", &info.ratchet_tree);
        Ok(())
    }

    pub(super) async fn install_psk(&mut self, step: &Step) -> Result<(), Failed> {
        // Some clients forget their PSKs when a group is replaced.
        let (psk_id, psk_secret) = match step.reference("again") {
            Some(stored) => (self.made(stored, "psk_id")?, self.made(stored, "psk_secret")?),
            None => (super::fresh_id(), super::fresh_id()),
        };

        for who in step.texts("clients") {
            let state = self.states.get(&who).or_else(|| self.joins.get(&who)).copied();
            let request = StorePskRequest {
                state_or_transaction_id: state.unwrap_or_default(),
                psk_id: psk_id.clone(),
                psk_secret: psk_secret.clone(),
            };
            self.call(&who, request, |mut c, r| async move { c.store_psk(r).await }).await?;
            self.recorder.psk(&who, &psk_id, &psk_secret);
        }

        self.keep("psk_id", &psk_id);
        self.keep("psk_secret", &psk_secret);
        Ok(())
    }

    /// Checks that all members have the same epoch authenticator, exported secret, tree and context, and that
    /// members and extensions are those that the step names.
    pub(super) async fn agree(&mut self, step: &Step) -> Result<(), Failed> {
        let mut names = step.texts("members");
        let mut first = None;
        for who in &names {
            let view = self.view(who).await?;
            match &first {
                None => first = Some(view),
                Some(first) if *first == view => {}
                Some(_) => return Err(format!("{who} sees the group otherwise than the first")),
            }
        }

        let view = first.ok_or("there is nobody to agree")?;
        names.sort();
        if names != view.members {
            return Err(format!("the tree's members are {:?}", view.members));
        }

        if step.types("extensionTypes").is_some_and(|wanted| wanted != view.extensions) {
            return Err(format!("the group's extensions are {:?}", view.extensions));
        }

        self.tally.agreements += 1;
        Ok(())
    }

    /// A member's view of the group.
    async fn view(&mut self, who: &str) -> Result<View, Failed> {
        let state_id = self.state(who)?;
        let request = StateAuthRequest { state_id };
        let auth = self.call(who, request, |mut c, r| async move { c.state_auth(r).await }).await?;
        let label = "interop".to_owned();
        let context = b"agree".to_vec();
        let request = ExportRequest { state_id, label, context, key_length: 42 };
        let export = self.call(who, request, |mut c, r| async move { c.export(r).await }).await?;
        if export.exported_secret.len() != 42 {
            return Err(format!("{who} exports a secret of another length"));
        }

        let info = self.group_info(who, true).await?;
        let message = MlsMessage::from_bytes(&info.group_info).map_err(|e| e.to_string())?;
        let MlsMessageBody::GroupInfo(group_info) = message.body else {
            return Err(format!("{who} gives something else as a GroupInfo"));
        };

        let tree = RatchetTreeExtension::from_bytes(&info.ratchet_tree);
        let tree = tree.map_err(|e| format!("{who}'s tree: {e}"))?;
        let leaves = tree.nodes.iter().flatten().filter_map(|node| match node {
            Node::Leaf(leaf) => Some(&leaf.credential),
            Node::Parent(_) => None,
        });

        let mut members: Vec<String> = leaves.map(name_of).collect();
        members.sort();
        let context = group_info.group_context;
        let types = context.extensions.iter().map(|e| e.extension_type.0.into());
        let extensions = types.collect();
        let authenticator = auth.state_auth_secret;
        let context = format!("{context:?}");
        let exported = export.exported_secret;
        let tree = info.ratchet_tree;
        Ok(View { authenticator, exported, tree, context, members, extensions })
    }
}

/// The view that all members must share.
#[derive(PartialEq, Eq)]
struct View {
    authenticator: Vec<u8>,
    exported: Vec<u8>,
    tree: Vec<u8>,
    context: String,
    members: Vec<String>,
    extensions: Vec<u64>,
}

fn name_of(credential: &Credential) -> String {
    String::from_utf8_lossy(credential.identity().unwrap_or_default()).into_owned()
}
