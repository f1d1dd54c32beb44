//! A channel with a topic, made of what RFC 9420 leaves to applications:
//!
//! * a **credential** of our own: a badge that the company signs and that says who is an admin;
//! * a **proposal** of our own: "set the topic", which members learn from `EpochChange::custom`;
//! * a **GroupContext extension** of our own: the topic, for those who join later;
//! * a **policy** over them: only admins set the topic, and the extension says what was set.

use crate::common::{CRYPTO, Result, SUITE, lifetime, new_signer, now, rng};
use crate::member::{Member, agree};
use conclave_mls::credential::{CredentialRequest, CredentialType, LeafParams, SignaturePublicKey};
use conclave_mls::crypto::{SignatureKeyPair, Suite};
use conclave_mls::group::{
    CommitOptions, CustomProposal, EpochChange, Extension, ExtensionType, GroupParams, GroupView,
    LeafIndex, NewProposal, Proposal, ProposalType, RequiredCapabilities, Sender,
};
use conclave_mls::join::WelcomeStage;
use conclave_mls::key_package::{KeyPackageParams, OwnKeyPackage, ValidKeyPackage};
use conclave_mls::policy::{Policy, Proposed, ProposedCommit, Rules};
use conclave_mls::wire::Bytes;
use conclave_mls::wire::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use conclave_mls::{Config, Credential, Event, Group, Verdict};
use std::sync::Arc;

// Code points of the ranges for private use (section 17). They are this application's: another
// application may use the same for something else, in groups of its own.
const BADGE: CredentialType = CredentialType(0xf0a0);
const SET_TOPIC: ProposalType = ProposalType(0xf0a0);
const TOPIC: ExtensionType = ExtensionType(0xf0a0);

/// The contents of a credential: who it is, and the company's signature over that and the key.
struct Badge {
    name: Bytes,
    admin: bool,
    signature: Bytes,
}

impl Encode for Badge {
    fn encode(&self, w: &mut Writer) -> std::result::Result<(), EncodeError> {
        self.name.encode(w)?;
        u8::from(self.admin).encode(w)?;
        self.signature.encode(w)
    }
}

impl Decode for Badge {
    fn decode(r: &mut Reader<'_>) -> std::result::Result<Self, DecodeError> {
        let (name, admin) = (Decode::decode(r)?, u8::decode(r)? == 1);
        Ok(Self { name, admin, signature: Decode::decode(r)? })
    }
}

impl Badge {
    fn of(credential: &Credential) -> Option<Self> {
        match credential {
            Credential::Other { credential_type: BADGE, data } => Self::from_bytes(data).ok(),
            _ => None,
        }
    }

    /// What the company signs.
    fn signed(&self, holder: &SignaturePublicKey) -> Result<Vec<u8>> {
        let unsigned =
            Self { name: self.name.clone(), admin: self.admin, signature: Bytes::default() };
        Ok([unsigned.to_bytes()?, holder.to_bytes()?].concat())
    }
}

/// The authentication service: it hands out badges, and everybody knows its public key.
struct Company(SignatureKeyPair);

impl Company {
    fn badge(&self, name: &str, admin: bool, holder: &SignaturePublicKey) -> Result<Credential> {
        let mut badge = Badge { name: name.as_bytes().into(), admin, signature: Bytes::default() };
        let suite = Suite::new(&CRYPTO, SUITE)?;
        let signature = suite.sign_with_label(&self.0, b"Badge", &badge.signed(holder)?)?;
        badge.signature = signature.into();
        Ok(Credential::Other { credential_type: BADGE, data: badge.to_bytes()?.into() })
    }

    fn verifies(&self, request: &CredentialRequest) -> Result<bool> {
        let Some(badge) = Badge::of(&request.credential) else { return Ok(false) };
        let old = request.replaces.as_ref().and_then(Badge::of);
        let (suite, signed) = (Suite::new(&CRYPTO, SUITE)?, badge.signed(&request.signature_key)?);
        let valid = suite.verify_with_label(&self.0.public, b"Badge", &signed, &badge.signature);
        Ok(valid.is_ok() && old.is_none_or(|old| old.name == badge.name))
    }

    fn judge(&self, request: &CredentialRequest) -> Verdict {
        match self.verifies(request) {
            Ok(true) => Verdict::Accept,
            _ => Verdict::refuse("this badge is not the company's, or another's"),
        }
    }

    fn valid(&self, own: &OwnKeyPackage) -> Result<ValidKeyPackage> {
        let key_package = own.key_package().clone();
        let stage = ValidKeyPackage::check(&CRYPTO, now(), &config(), key_package)?;
        let verdict = self.judge(stage.credential());
        Ok(stage.resolve(verdict)?)
    }
}

/// What a client of this application implements, and by which rules it judges.
fn config() -> Config {
    Config {
        // The body is one vector. Without this, a message that holds one could not be read.
        proposals: vec![CustomProposal::vector(SET_TOPIC)],
        policy: Arc::new(ChannelPolicy),
        ..Config::default()
    }
}

/// What it advertises: without that, nobody may use it in a group that this client is in.
fn leaf(badge: Credential) -> LeafParams {
    let mut leaf = LeafParams::new(badge, &[SUITE]);
    leaf.capabilities.proposals.push(SET_TOPIC);
    leaf.capabilities.extensions.push(TOPIC);
    leaf.capabilities.credentials.push(BADGE);
    leaf
}

/// The extensions of a channel: what it requires of all its members, and its topic.
fn extensions(topic: &str) -> Result<Vec<Extension>> {
    let required = RequiredCapabilities {
        extension_types: vec![TOPIC],
        proposal_types: vec![SET_TOPIC],
        credential_types: vec![BADGE],
    };
    let topic = Bytes::from(topic.as_bytes());
    Ok(vec![
        Extension::new(ExtensionType::REQUIRED_CAPABILITIES, &required)?,
        Extension::new(TOPIC, &topic)?,
    ])
}

/// A topic as the extension has it, which is as the proposal has it: a vector.
fn topic_of(extensions: &[Extension]) -> Option<&Bytes> {
    let topic = extensions.iter().find(|e| e.extension_type == TOPIC)?;
    Some(&topic.extension_data)
}

fn text_of(topic: &Bytes) -> Result<String> {
    Ok(String::from_utf8(Bytes::from_bytes(topic)?.into_vec())?)
}

#[derive(Debug)]
struct ChannelPolicy;

impl Policy for ChannelPolicy {
    fn proposal(&self, group: GroupView<'_>, proposed: Proposed<'_>) -> Verdict {
        let admin = match proposed.sender {
            Sender::Member(leaf) => group.credential(leaf).as_ref().and_then(Badge::of),
            _ => None,
        };
        if proposed.proposal.proposal_type() == SET_TOPIC && !admin.is_some_and(|b| b.admin) {
            Verdict::refuse("only admins set the topic")
        } else {
            Verdict::Accept
        }
    }

    fn commit(&self, group: GroupView<'_>, commit: &ProposedCommit<'_>) -> Verdict {
        let before = topic_of(&group.context().extensions);
        let (mut wanted, mut written) = (before, before);
        for item in &commit.proposals {
            match item.proposal {
                Proposal::Custom { proposal_type: SET_TOPIC, body } => wanted = Some(body),
                Proposal::GroupContextExtensions(new) => written = topic_of(new),
                _ => {}
            }
        }
        if wanted == written {
            Verdict::Accept
        } else {
            Verdict::refuse("the extension must hold the topic that was set")
        }
    }
}

/// A commit that sets the topic.
fn set_topic(topic: &str) -> Result<CommitOptions> {
    let body = Bytes::from(topic.as_bytes()).to_bytes()?.into();
    let proposals = vec![
        NewProposal::Custom { proposal_type: SET_TOPIC, body },
        NewProposal::GroupContextExtensions(extensions(topic)?),
    ];
    Ok(CommitOptions { proposals, ..CommitOptions::default() })
}

fn add_and_join(name: &str, by: &mut Member, company: &Company) -> Result<(Member, Vec<u8>)> {
    let signer = new_signer(SUITE)?;
    let badge = company.badge(name, false, &signer.public)?;
    let params = KeyPackageParams::new(SUITE, leaf(badge), lifetime());
    let own = OwnKeyPackage::generate(&CRYPTO, &mut rng(), params, signer)?;
    let proposals = vec![NewProposal::Add(Box::new(company.valid(&own)?))];
    let messages = by.commit(CommitOptions { proposals, ..CommitOptions::default() })?;
    by.accepted()?;
    let welcome = messages.welcomes.first().ok_or("a Welcome")?;
    let stage = WelcomeStage::open(&CRYPTO, config(), &welcome.message, &own)?;
    let join = stage.join(&CRYPTO, &[], None, None)?;
    let verdicts: Vec<Verdict> = join.credentials().iter().map(|r| company.judge(r)).collect();
    Ok((Member::store(name, join.resolve(&verdicts)?)?, messages.commit))
}

pub(crate) fn run() -> Result {
    let company = Company(new_signer(SUITE)?);

    // Alice, an admin, opens the channel and adds Bob, who is none.
    let signer = new_signer(SUITE)?;
    let leaf_of_alice = leaf(company.badge("alice", true, &signer.public)?);
    let params = GroupParams {
        extensions: extensions("hello")?,
        ..GroupParams::new(b"a channel".as_slice().into(), SUITE, leaf_of_alice, lifetime())
    };
    let new = Group::create(&CRYPTO, &mut rng(), config(), params, signer)?;
    let mut alice = Member::store("alice", new)?;
    let (mut bob, _) = add_and_join("bob", &mut alice, &company)?;

    // She sets the topic. The members learn it from the step to the new epoch, with who set it.
    let messages = alice.commit(set_topic("lunch")?)?;
    alice.accepted()?;
    let event = bob.receive_judged(&messages.commit, |request| company.judge(request))?;
    let Some(Event::Epoch(EpochChange { custom, .. })) = event else {
        return Err("a new epoch".into());
    };
    let [change] = custom.as_slice() else { return Err("one proposal of ours".into()) };
    assert_eq!((change.proposal_type, change.sender), (SET_TOPIC, Sender::Member(LeafIndex(0))));
    assert_eq!(text_of(&change.body)?, "lunch");
    println!("bob sees that the topic is now '{}'", text_of(&change.body)?);

    // Bob may not: his own client refuses, and so does Alice's if he gets around his.
    let Err(refused) = bob.commit(set_topic("sports")?) else { return Err("bob set it".into()) };
    println!("bob: {refused}");
    let lax = Config { policy: Arc::new(Rules::default()), ..config() };
    let forced = bob.restarted(&lax)?.commit(set_topic("sports")?)?;
    let answer = alice.receive_judged(&forced.commit, |request| company.judge(request));
    let Err(refused) = answer else { return Err("bob set the topic by force".into()) };
    println!("alice: {refused}");
    assert!(refused.to_string().contains("only admins set the topic"));

    // Nor may anybody change the extension alone, an admin neither.
    let proposals = vec![NewProposal::GroupContextExtensions(extensions("nothing")?)];
    assert!(alice.commit(CommitOptions { proposals, ..CommitOptions::default() }).is_err());

    // Somebody whose client does not know the proposal cannot be added: the group requires it.
    let signer = new_signer(SUITE)?;
    let mut old_client = leaf(company.badge("dave", false, &signer.public)?);
    old_client.capabilities.proposals.clear();
    let params = KeyPackageParams::new(SUITE, old_client, lifetime());
    let own = OwnKeyPackage::generate(&CRYPTO, &mut rng(), params, signer)?;
    let proposals = vec![NewProposal::Add(Box::new(company.valid(&own)?))];
    let added = alice.commit(CommitOptions { proposals, ..CommitOptions::default() });
    let Err(refused) = added else { return Err("an old client was added".into()) };
    println!("dave: {refused}");

    // Carol comes later, and finds the topic in the group's context.
    let (carol, commit) = add_and_join("carol", &mut alice, &company)?;
    bob.receive_judged(&commit, |request| company.judge(request))?;
    agree(&[&alice, &bob, &carol])?;
    let topic = topic_of(carol.group.extensions()).ok_or("a channel has a topic")?;
    assert_eq!(text_of(topic)?, "lunch");
    println!("carol joins and finds the topic '{}'", text_of(topic)?);
    Ok(())
}
