//! Protecting and opening messages (RFC 9420 section 6).

use super::compare::same;
use super::hex::Hex;
use super::keys;
use super::problem::{At, Problem, ensure};
use super::sample;
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::{SignatureKeyPair, Suite};
use conclave_framing::{
    Padding, UnverifiedContent, Verified, open_private, open_public, open_sender_data,
    protect_private, protect_public, sign_content,
};
use conclave_schedule::{
    EncryptionSecret, MembershipKey, RatchetKind, RatchetLimits, SecretTree, SenderDataSecret,
};
use conclave_wire::{
    AuthenticatedContent, AuthenticatedContentTbm, Bytes, Commit, Content, Encode, FramedContent,
    FramedContentTbs, GroupContext, LeafIndex, Mac, MlsMessage, MlsMessageBody, PrivateMessage,
    Proposal, ProposalOrRef, PublicMessage, Sender, TreeSize, WireFormat, Writer,
};
use serde::{Deserialize, Serialize};

/// The member that sends all messages.
const SENDER: LeafIndex = LeafIndex(1);

#[derive(Default, Serialize, Deserialize)]
pub(super) struct MessageProtection {
    cipher_suite: u16,

    group_id: Hex,
    epoch: u64,
    tree_hash: Hex,
    confirmed_transcript_hash: Hex,

    signature_priv: Hex,
    signature_pub: Hex,

    encryption_secret: Hex,
    sender_data_secret: Hex,
    membership_key: Hex,

    proposal: Hex,
    proposal_pub: Hex,
    proposal_priv: Hex,

    commit: Hex,
    commit_pub: Hex,
    commit_priv: Hex,

    application: Hex,
    application_priv: Hex,
}

/// The name of a content, the content, its PublicMessage if it may have one, and its PrivateMessage.
type Listed<'a> = (&'static str, Content, Option<&'a Hex>, &'a Hex);

/// The group that a vector describes, in the view of its two members.
struct Group<'a> {
    suite: &'a Suite<'a>,
    context: GroupContext,
    signer: SignatureKeyPair,
    sender_data_secret: SenderDataSecret,
    membership_key: MembershipKey,
    secret_tree: SecretTree,
}

impl MessageProtection {
    fn group<'a>(&self, suite: &'a Suite<'a>) -> Result<Group<'a>, Problem> {
        let private = &self.signature_priv;
        let public = (&self.signature_pub).into();
        let signer = keys::signature_key_pair_of(suite, "signature_priv", private, &public)?;
        let encryption = EncryptionSecret::from_secret(self.encryption_secret.secret());
        let two = TreeSize::for_leaves(2).at("no tree has 2 leaves")?;
        Ok(Group {
            suite,
            context: sample::context(
                suite,
                &self.group_id,
                self.epoch,
                &self.tree_hash,
                &self.confirmed_transcript_hash,
            ),
            signer,
            sender_data_secret: SenderDataSecret::from_secret(self.sender_data_secret.secret()),
            membership_key: MembershipKey::from_secret(self.membership_key.secret()),
            secret_tree: SecretTree::new(two, encryption),
        })
    }

    /// Each content with its PublicMessage, if it may have one, and its PrivateMessage.
    fn contents(&self) -> Result<[Listed<'_>; 3], Problem> {
        let proposal: Proposal = self.proposal.decode("proposal")?;
        let commit: Commit = self.commit.decode("commit")?;
        let application = Bytes::from(&self.application);
        Ok([
            (
                "proposal",
                Content::Proposal(proposal),
                Some(&self.proposal_pub),
                &self.proposal_priv,
            ),
            ("commit", Content::Commit(commit), Some(&self.commit_pub), &self.commit_priv),
            ("application", Content::Application(application), None, &self.application_priv),
        ])
    }
}

fn public_message(bytes: &Hex) -> Result<PublicMessage, Problem> {
    match bytes.decode::<MlsMessage>("it")?.body {
        MlsMessageBody::PublicMessage(message) => Ok(*message),
        _ => Err(Problem::new("it is no PublicMessage")),
    }
}

fn private_message(bytes: &Hex) -> Result<PrivateMessage, Problem> {
    match bytes.decode::<MlsMessage>("it")?.body {
        MlsMessageBody::PrivateMessage(message) => Ok(message),
        _ => Err(Problem::new("it is no PrivateMessage")),
    }
}

fn body(content: &Content) -> Result<Vec<u8>, Problem> {
    let mut w = Writer::new();
    content.encode_body(&mut w)?;
    Ok(w.finish())
}

/// The encoded body of a message, and the confirmation tag of a commit.
fn body_and_tag(message: &Verified) -> Result<(Vec<u8>, Option<Mac>), Problem> {
    Ok(match message {
        Verified::Proposal(proposal) => (proposal.proposal().to_bytes()?, None),
        Verified::Commit(commit) => {
            (commit.content.commit.to_bytes()?, Some(commit.confirmation_tag.clone()))
        }
        Verified::Application(application) => (Bytes::from(application.data()).to_bytes()?, None),
    })
}

impl Group<'_> {
    fn verify(&self, message: UnverifiedContent) -> Result<Verified, Problem> {
        ensure(
            message.sender() == Sender::Member(SENDER),
            format_args!("the sender is {:?}, not member 1", message.sender()),
        )?;
        Ok(message.verify(self.suite, &self.context, &self.signer.public)?)
    }

    fn open_public(&self, message: PublicMessage) -> Result<Verified, Problem> {
        let key = Some(&self.membership_key);
        self.verify(open_public(self.suite, message, &self.context, key)?)
    }

    /// Opens a message as a receiver that has seen none yet. The secret tree stays as it is.
    fn open_private(&self, message: &PrivateMessage) -> Result<Verified, Problem> {
        ensure(message.group_id == self.context.group_id, "it is of another group")?;
        ensure(message.epoch == self.context.epoch, "it is of another epoch")?;
        let sender_data = open_sender_data(self.suite, message, &self.sender_data_secret)?;
        let kind = RatchetKind::from(message.content_type);
        let leaf = sender_data.leaf_index;
        let generation = sender_data.generation;
        let limits = RatchetLimits::default();
        let (key, _) = self.secret_tree.receive(self.suite, leaf, kind, generation, limits)?;
        self.verify(open_private(self.suite, message, &sender_data, key, &[])?)
    }

    fn sign(
        &self,
        wire_format: WireFormat,
        content: &Content,
        tag: Option<&Mac>,
    ) -> Result<AuthenticatedContent, Problem> {
        let content = FramedContent {
            group_id: self.context.group_id.clone(),
            epoch: self.context.epoch,
            sender: Sender::Member(SENDER),
            authenticated_data: Bytes::default(),
            content: content.clone(),
        };
        let mut signed =
            sign_content(self.suite, wire_format, content, &self.context, &self.signer)?;
        signed.auth.confirmation_tag = tag.cloned();
        Ok(signed)
    }

    fn protect_public(
        &self,
        content: &Content,
        tag: Option<&Mac>,
    ) -> Result<PublicMessage, Problem> {
        let signed = self.sign(WireFormat::PUBLIC_MESSAGE, content, tag)?;
        Ok(protect_public(self.suite, signed, &self.context, &self.membership_key)?)
    }

    fn protect_private(
        &self,
        content: &Content,
        tag: Option<&Mac>,
        rng: &mut SeededRng,
    ) -> Result<PrivateMessage, Problem> {
        let signed = self.sign(WireFormat::PRIVATE_MESSAGE, content, tag)?;
        let kind = RatchetKind::from(content.content_type());
        let (generation, key, _) = self.secret_tree.send(self.suite, SENDER, kind)?;
        let secret = &self.sender_data_secret;
        let padding = Padding::ToMultipleOf(64);
        Ok(protect_private(self.suite, &signed, generation, key, secret, padding, rng)?)
    }

    fn check_public(&self, content: &Content, listed: &Hex) -> Result<(), Problem> {
        let opened = self.open_public(public_message(listed)?)?;
        let (opened, tag) = body_and_tag(&opened)?;
        same("the content", &opened, &body(content)?)?;
        // The confirmation tag does not depend on the framing: take that of the listed message.
        let again = self.protect_public(content, tag.as_ref()).at("protecting again")?;
        // Encode and decode it, as on its way to a receiver.
        let again = MlsMessage { body: MlsMessageBody::PublicMessage(Box::new(again)) };
        let again = public_message(&again.to_bytes()?.into())?;
        let opened = self.open_public(again).at("opening what was protected again")?;
        same("the content, protected again,", &body_and_tag(&opened)?.0, &body(content)?)
    }

    fn check_private(
        &self,
        content: &Content,
        listed: &Hex,
        rng: &mut SeededRng,
    ) -> Result<(), Problem> {
        let opened = self.open_private(&private_message(listed)?)?;
        let (opened, tag) = body_and_tag(&opened)?;
        same("the content", &opened, &body(content)?)?;
        let again = self.protect_private(content, tag.as_ref(), rng).at("protecting again")?;
        let again = MlsMessage { body: MlsMessageBody::PrivateMessage(again) };
        let again = private_message(&again.to_bytes()?.into())?;
        let opened = self.open_private(&again).at("opening what was protected again")?;
        same("the content, protected again,", &body_and_tag(&opened)?.0, &body(content)?)
    }

    /// Checks that application data neither becomes a PublicMessage nor is accepted in one, even in one
    /// that is correct in all other respects.
    fn check_public_refused(&self, content: &Content) -> Result<(), Problem> {
        ensure(
            self.protect_public(content, None).is_err(),
            "application data was signed as a PublicMessage",
        )?;

        let mut message = self.sign(WireFormat::PRIVATE_MESSAGE, content, None)?;
        message.wire_format = WireFormat::PUBLIC_MESSAGE;
        let wire_format = message.wire_format;
        let context = &self.context;
        let tbs =
            FramedContentTbs { wire_format, content: &message.content, context }.to_bytes()?;
        message.auth.signature =
            self.suite.sign_with_label(&self.signer, b"FramedContentTBS", &tbs)?.into();
        ensure(
            protect_public(self.suite, message.clone(), context, &self.membership_key).is_err(),
            "application data was protected as a PublicMessage",
        )?;

        let AuthenticatedContent { content, auth, .. } = &message;
        let content_tbs = FramedContentTbs { wire_format, content, context };
        let tbm = AuthenticatedContentTbm { content_tbs, auth }.to_bytes()?;
        let membership_tag = Some(self.suite.mac(self.membership_key.as_secret(), &tbm)?);
        let AuthenticatedContent { content, auth, .. } = message;
        ensure(
            self.open_public(PublicMessage { content, auth, membership_tag }).is_err(),
            "application data in a PublicMessage was taken",
        )
    }
}

impl SuiteVector for MessageProtection {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<(), Problem> {
        let group = self.group(suite)?;
        for (what, content, public, private) in self.contents()? {
            match public {
                Some(listed) => {
                    group.check_public(&content, listed).at(format_args!("{what}_pub"))?;
                }
                None => group.check_public_refused(&content).at(what)?,
            }
            group.check_private(&content, private, rng).at(format_args!("{what}_priv"))?;
        }
        Ok(())
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        let signer = suite.signature_key_pair(rng)?;
        let proposal = Proposal::Remove(LeafIndex(rng.below(1 << 32) as u32));
        let reference = sample::hash(suite, rng);
        let proposals = vec![
            ProposalOrRef::Reference(reference.0.into()),
            ProposalOrRef::Proposal(proposal.clone()),
        ];

        let mut vector = Self {
            cipher_suite: suite.cipher_suite().0,
            group_id: Hex(rng.bytes(16)),
            epoch: rng.below(1 << 40),
            tree_hash: sample::hash(suite, rng),
            confirmed_transcript_hash: sample::hash(suite, rng),
            signature_priv: Hex::of(signer.private.expose()),
            signature_pub: Hex::of(&signer.public),
            encryption_secret: Hex(rng.bytes(suite.nh())),
            sender_data_secret: Hex(rng.bytes(suite.nh())),
            membership_key: Hex(rng.bytes(suite.nh())),
            proposal: proposal.to_bytes()?.into(),
            commit: Commit { proposals, path: None }.to_bytes()?.into(),
            application: Hex(rng.bytes(50)),
            ..Self::default()
        };
        vector.protect_all(suite, rng)?;
        Ok(vec![vector])
    }
}

impl MessageProtection {
    fn protect_all(&mut self, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<(), Problem> {
        let group = self.group(suite)?;
        let mut protected = Vec::new();
        for (_, content, public, _) in self.contents()? {
            let tag = Mac(sample::hash(suite, rng).0.into());
            let tag = matches!(content, Content::Commit(_)).then_some(&tag);
            let message = |body| MlsMessage { body }.to_bytes();
            let public = match public {
                Some(_) => {
                    let protected = group.protect_public(&content, tag)?;
                    message(MlsMessageBody::PublicMessage(Box::new(protected)))?
                }
                None => Vec::new(),
            };
            let private = group.protect_private(&content, tag, rng)?;
            let private = message(MlsMessageBody::PrivateMessage(private))?;
            protected.push((Hex(public), Hex(private)));
        }

        let mut protected = protected.into_iter();
        let mut next = || protected.next().unwrap_or_default();
        (self.proposal_pub, self.proposal_priv) = next();
        (self.commit_pub, self.commit_priv) = next();
        (_, self.application_priv) = next();
        Ok(())
    }
}
