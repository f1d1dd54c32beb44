//! Targeted messages: each step of the draft's "Recipient Validation", past epochs, replays, rows.

use super::fixture::*;
use super::limits::limits_of;
use crate::state::targeted::supports_targeted;
use crate::store::rows::{Batch, RowKey, Table, content};
use crate::{
    ApplyError, CommitOptions, Config, Error, Event, Framing, FramingError, Group, LeafParams,
    Limit, Misuse, NewProposal, Obstacle, Padding, Received, Rejection, TargetedApplicationMessage,
    Transition, Verdict, apply, begin,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::hpke::Psk;
use conclave_crypto::{Secret, SignatureKeyPair};
use conclave_framing::TargetedSecrets;
use conclave_schedule::{MessageKey, SenderDataSecret, sender_data_key_nonce};
use conclave_tree::TreeRead;
use conclave_wire::{
    Bytes, Decode, Encode, Epoch, Extension, ExtensionType, GroupId, HpkeCiphertext, HpkePublicKey,
    LeafIndex, MlsMessage, MlsMessageBody, ProtocolVersion, PskId, ReInit, SenderAuthDataAad,
    TargetedMessage, TargetedMessageContent, TargetedMessageContext, TargetedMessageContextData,
    TargetedMessageSenderAuthData, TargetedMessageTbs, UnixTime, WireFormat,
};
use core::convert::Infallible;

const ALICE: LeafIndex = LeafIndex(0);
const BOB: LeafIndex = LeafIndex(1);
const CAROL: LeafIndex = LeafIndex(2);
/// A leaf that is blank.
const NOBODY: LeafIndex = LeafIndex(3);

/// A leaf that invites targeted messages.
fn inviting(name: &str) -> LeafParams {
    let formats = [WireFormat::PRIVATE_MESSAGE, WireFormat::TARGETED_MESSAGE];
    leaf_params(name).with_wire_formats(&formats).unwrap()
}

fn three_with(config: Config) -> Vec<Peer> {
    group_of_leaves(&["alice", "bob", "carol"], config, inviting)
}

fn three() -> Vec<Peer> {
    three_with(Config::default())
}

fn keeping(past_epochs: usize) -> Config {
    let mut config = Config::default();
    config.limits.past_epochs = past_epochs;
    config
}

impl Peer {
    fn try_tell(&mut self, recipient: LeafIndex, data: &[u8]) -> Result<Vec<u8>, Error> {
        let framing = Framing { authenticated_data: b"aad".to_vec(), ..Framing::default() };
        self.group.encrypt_to(&PROVIDER, &mut self.rng, recipient, data, &framing)
    }

    fn tell(&mut self, recipient: LeafIndex, data: &[u8]) -> Vec<u8> {
        let message = self.try_tell(recipient, data).unwrap();
        self.check();
        message
    }

    /// The step of a targeted message.
    fn opens(&self, message: &[u8]) -> Transition<Group, TargetedApplicationMessage> {
        match self.group.process(&PROVIDER, NOW, message) {
            Ok(Received::Targeted(step)) => step,
            other => panic!("not a targeted message: {other:?}"),
        }
    }

    fn hears(&mut self, message: &[u8]) -> TargetedApplicationMessage {
        let step = self.opens(message);
        self.take(step)
    }

    fn count(&self, table: Table) -> usize {
        self.rows.keys().filter(|key| key.table == table).count()
    }
}

/// A targeted message with any contents, made with the secrets of a member.
struct Forged {
    group_id: GroupId,
    epoch: Epoch,
    sender: LeafIndex,
    recipient: LeafIndex,
    recipient_key: HpkePublicKey,
    signer: SignatureKeyPair,
    secrets: TargetedSecrets,
    plaintext: Vec<u8>,
    /// Put in the place of the ciphertext before it is signed.
    garbage: bool,
}

impl Forged {
    /// An honest message of a member to another.
    fn new(peer: &Peer, recipient: LeafIndex) -> Self {
        let group = &peer.group;
        let exporter = &group.secrets.as_ref().unwrap().exporter;
        let content = TargetedMessageContent { application_data: b"data", padding: 3 };
        Self {
            group_id: group.group_id().clone(),
            epoch: group.epoch(),
            sender: group.own_leaf(),
            recipient,
            recipient_key: group.tree().encryption_key(recipient.node()).unwrap(),
            signer: group.signer.clone(),
            secrets: TargetedSecrets::derive(&suite(), exporter).unwrap(),
            plaintext: content.to_bytes().unwrap(),
            garbage: false,
        }
    }

    /// The same each time.
    fn sealed(&self) -> HpkeCiphertext {
        let context = TargetedMessageContextData {
            recipient_leaf_index: self.recipient,
            sender_leaf_index: self.sender,
        };
        let info = TargetedMessageContext { context }.to_bytes().unwrap();
        let id = PskId { group_id: &self.group_id, epoch: self.epoch }.to_bytes().unwrap();
        let psk = Psk { psk: &self.secrets.psk, id: &id };
        let rng = &mut TestRng(77);
        suite().seal_psk(&self.recipient_key, &psk, &info, b"", &self.plaintext, rng).unwrap()
    }

    fn message(&self) -> TargetedMessage {
        let mut message = TargetedMessage {
            group_id: self.group_id.clone(),
            epoch: self.epoch,
            recipient_leaf_index: self.recipient,
            authenticated_data: Bytes::default(),
            encrypted_sender_auth_data: Bytes::default(),
            ciphertext: if self.garbage { [7; 64].into() } else { self.sealed().ciphertext },
        };
        self.sign(&mut message);
        message
    }

    /// Signs a message, and encrypts the signature.
    fn sign(&self, message: &mut TargetedMessage) {
        let kem_output = self.sealed().kem_output;
        let tbs = TargetedMessageTbs {
            message,
            sender_leaf_index: self.sender,
            kem_output: &kem_output,
            ciphertext_hash: &suite().hash(&[&message.ciphertext]).unwrap(),
        };
        let label = b"TargetedMessageTBS";
        let signature = suite().sign_encoded_with_label(&self.signer, label, &tbs).unwrap().into();
        let sender_leaf_index = self.sender;
        let sender_data =
            TargetedMessageSenderAuthData { sender_leaf_index, signature, kem_output };
        self.seal_sender_data(message, &sender_data.to_bytes().unwrap());
    }

    fn seal_sender_data(&self, message: &mut TargetedMessage, sender_data: &[u8]) {
        let suite = suite();
        let secret = &self.secrets.sender_auth_data;
        let MessageKey { key, nonce } =
            sender_data_key_nonce(&suite, secret, &message.ciphertext).unwrap();
        let aad = SenderAuthDataAad {
            group_id: &message.group_id,
            epoch: message.epoch,
            recipient_leaf_index: message.recipient_leaf_index,
        };
        let aad = aad.to_bytes().unwrap();
        let sealed = suite.aead_seal(&key, nonce.expose(), &aad, sender_data).unwrap();
        message.encrypted_sender_auth_data = sealed.into();
    }

    fn bytes(&self) -> Vec<u8> {
        encoded(self.message())
    }
}

fn encoded(message: TargetedMessage) -> Vec<u8> {
    MlsMessage::from(MlsMessageBody::TargetedMessage(message)).to_bytes().unwrap()
}

fn decoded(message: &[u8]) -> TargetedMessage {
    match MlsMessage::from_bytes(message).unwrap().body {
        MlsMessageBody::TargetedMessage(message) => message,
        other => panic!("not a targeted message: {other:?}"),
    }
}

fn framing(error: FramingError) -> Error {
    Rejection::Framing(error).into()
}

fn wrong_epoch(message: u64, current: u64) -> Error {
    Rejection::WrongEpoch { message: Epoch(message), current: Epoch(current) }.into()
}

fn not_possible(obstacle: Obstacle) -> Error {
    Misuse::NotPossible(obstacle).into()
}

#[test]
fn a_message_to_one_member_is_read_by_that_member() {
    let mut peers = three();
    for data in [&b"psst"[..], b"", &[7; 5000]] {
        let message = peers[0].tell(CAROL, data);
        let read = peers[2].hears(&message);
        assert_eq!((read.data.as_slice(), &*read.authenticated_data), (data, &b"aad"[..]));
        assert_eq!(read.epoch, peers[2].group.epoch());
        assert_eq!(Some(read.sender), peers[2].group.member(ALICE));
    }
}

#[test]
fn an_honest_message_made_by_hand_opens() {
    let mut peers = three();
    let message = Forged::new(&peers[0], BOB).bytes();
    assert_eq!(peers[1].hears(&message).data, b"data");
}

#[test]
fn padding_hides_the_length_of_a_targeted_message() {
    let peers = three();
    let framing = Framing { padding: Padding::ToMultipleOf(256), ..Framing::default() };
    let lengths = [0, 1, 200].map(|n| {
        let data = vec![1; n];
        let rng = &mut TestRng(5);
        let message = peers[0].group.encrypt_to(&PROVIDER, rng, BOB, &data, &framing).unwrap();
        assert_eq!(peers[1].opens(&message).into_outcome().data, data);
        message.len()
    });
    assert!(lengths[1] > 256 && lengths[1] == lengths[2], "{lengths:?}");
    peers[1].check();
}

#[test]
fn a_message_for_another_member_is_refused() {
    let mut peers = three();
    let message = peers[0].tell(BOB, b"psst");
    assert_eq!(peers[2].error(&message), Rejection::NotRecipient(BOB).into());
    assert_eq!(peers[0].error(&message), Rejection::NotRecipient(BOB).into());
}

#[test]
fn a_message_that_was_readdressed_does_not_open() {
    let mut peers = three();
    let mut message = decoded(&peers[0].tell(BOB, b"psst"));
    message.recipient_leaf_index = CAROL;
    let error = framing(FramingError::SenderDataNotOpened);
    assert_eq!(peers[2].error(&encoded(message)), error);
}

#[test]
fn a_targeted_message_of_another_group_is_refused() {
    let peers = three();
    let mut forged = Forged::new(&peers[0], BOB);
    forged.group_id = b"another group".as_slice().into();
    assert_eq!(peers[1].error(&forged.bytes()), Rejection::WrongGroup.into());
}

#[test]
fn a_targeted_message_of_an_unknown_epoch_is_refused() {
    let peers = three();
    for epoch in [0, 2, u64::MAX] {
        let mut forged = Forged::new(&peers[0], BOB);
        forged.epoch = Epoch(epoch);
        assert_eq!(peers[1].error(&forged.bytes()), wrong_epoch(epoch, 1));
    }
}

#[test]
fn sender_data_that_does_not_open_or_decode_is_refused() {
    let peers = three();
    let forged = Forged::new(&peers[0], BOB);
    let mut other = Forged::new(&peers[0], BOB);
    other.secrets.sender_auth_data = SenderDataSecret::from_secret(Secret::zero(32));
    let error = framing(FramingError::SenderDataNotOpened);
    assert_eq!(peers[1].error(&other.bytes()), error);

    let mut message = forged.message();
    forged.seal_sender_data(&mut message, b"no sender data");
    let error = peers[1].error(&encoded(message));
    let Error::Rejected(Rejection::Framing(FramingError::MalformedSenderData(_))) = error else {
        panic!("{error}")
    };
}

#[test]
fn a_targeted_message_from_a_blank_leaf_is_refused() {
    let peers = three();
    for nobody in [NOBODY, LeafIndex(1000), LeafIndex(u32::MAX)] {
        let mut forged = Forged::new(&peers[0], BOB);
        forged.sender = nobody;
        assert_eq!(peers[1].error(&forged.bytes()), Rejection::SenderNotMember(nobody).into());
    }
}

#[test]
fn a_targeted_message_in_anothers_name_is_refused() {
    let peers = three();
    let mut forged = Forged::new(&peers[0], BOB);
    forged.sender = CAROL;
    assert_eq!(peers[1].error(&forged.bytes()), framing(FramingError::InvalidSignature));
}

#[test]
fn a_message_whose_signature_is_bad_is_never_decrypted() {
    let peers = three();
    let mut forged = Forged::new(&peers[0], BOB);
    // Decrypting this fails, as the second half shows. The signature is refused before that.
    forged.garbage = true;
    forged.signer = peers[2].group.signer.clone();
    assert_eq!(peers[1].error(&forged.bytes()), framing(FramingError::InvalidSignature));
    forged.signer = peers[0].group.signer.clone();
    assert_eq!(peers[1].error(&forged.bytes()), framing(FramingError::ContentNotOpened));
}

#[test]
fn every_field_of_a_targeted_message_is_authenticated() {
    let mut peers = three();
    let message = decoded(&peers[0].tell(BOB, &[1; 100]));
    let changed = |change: fn(&mut TargetedMessage)| {
        let mut message = message.clone();
        change(&mut message);
        peers[1].error(&encoded(message))
    };

    assert_eq!(
        changed(|m| m.authenticated_data = b"add".as_slice().into()),
        framing(FramingError::InvalidSignature)
    );
    // The sender data's key depends on the first bytes of the ciphertext, its signature on all.
    assert_eq!(
        changed(|m| m.ciphertext = [&[!m.ciphertext[0]], &m.ciphertext[1..]].concat().into()),
        framing(FramingError::SenderDataNotOpened)
    );
    assert_eq!(
        changed(|m| m.ciphertext = [&m.ciphertext[..], &[0]].concat().into()),
        framing(FramingError::InvalidSignature)
    );
    assert_eq!(
        changed(|m| m.encrypted_sender_auth_data = m.encrypted_sender_auth_data[1..].into()),
        framing(FramingError::SenderDataNotOpened)
    );
}

#[test]
fn non_zero_padding_is_refused_although_the_message_is_signed() {
    let peers = three();
    for (plaintext, error) in [
        (vec![4, b'd', b'a', b't', b'a', 0, 0, 1], FramingError::NonZeroPadding),
        (vec![4, b'd', b'a', b't', b'a', 9], FramingError::NonZeroPadding),
    ] {
        let forged = Forged { plaintext, ..Forged::new(&peers[0], BOB) };
        assert_eq!(peers[1].error(&forged.bytes()), framing(error));
    }
    let forged = Forged { plaintext: vec![5, b'd'], ..Forged::new(&peers[0], BOB) };
    let error = peers[1].error(&forged.bytes());
    let Error::Rejected(Rejection::Framing(FramingError::MalformedContent(_))) = error else {
        panic!("{error}")
    };
}

#[test]
fn a_message_to_our_former_key_does_not_open() {
    let mut peers = three();
    let former = peers[1].group.tree().encryption_key(BOB.node()).unwrap();
    let update = CommitOptions { force_path: true, ..CommitOptions::default() };
    commits(&mut peers, 1, update);
    let forged = Forged { recipient_key: former, ..Forged::new(&peers[0], BOB) };
    assert_eq!(peers[1].error(&forged.bytes()), framing(FramingError::ContentNotOpened));
}

#[test]
fn a_message_is_read_once() {
    let mut peers = three();
    let message = peers[0].tell(BOB, b"psst");
    assert_eq!(peers[1].hears(&message).data, b"psst");
    let replayed = Error::from(Rejection::ReplayedTargetedMessage);
    assert_eq!(peers[1].error(&message), replayed);
    peers[1].reload();
    assert_eq!(peers[1].error(&message), replayed);
    assert_eq!(peers[1].count(Table::TargetedRead), 1);

    // In a later epoch, too.
    commits(&mut peers, 0, CommitOptions::default());
    assert_eq!(peers[1].error(&message), replayed);
}

#[test]
fn a_replay_under_another_signature_is_refused() {
    let mut peers = three();
    let forged = Forged::new(&peers[0], BOB);
    let mut message = forged.message();
    peers[1].hears(&encoded(message.clone()));
    message.authenticated_data = b"again".as_slice().into();
    forged.sign(&mut message);
    let error = peers[1].error(&encoded(message));
    assert_eq!(error, Rejection::ReplayedTargetedMessage.into());
}

#[test]
fn as_many_targeted_messages_are_read_as_the_limits_allow() {
    let mut peers = three();
    peers[1].group.public.config.limits = limits_of(Limit::TargetedMessages, 2);
    for n in 0..2 {
        let message = peers[0].tell(BOB, &[n]);
        peers[1].hears(&message);
    }
    let one_more = peers[0].tell(BOB, b"3");
    let over = Rejection::OverLimit { limit: Limit::TargetedMessages, found: 3, allowed: 2 };
    assert_eq!(peers[1].error(&one_more), over.into());

    // Each epoch has room of its own.
    commits(&mut peers, 0, CommitOptions::default());
    let message = peers[0].tell(BOB, b"next");
    peers[1].hears(&message);
    peers[1].group.public.config.limits = limits_of(Limit::TargetedMessages, 3);
    peers[1].hears(&one_more);
}

#[test]
fn a_late_message_opens_with_the_keys_of_its_epoch() {
    let mut peers = three();
    let late = [peers[0].tell(BOB, b"1"), peers[2].tell(BOB, b"2")];
    // Bob's own commit replaces the key that they were encrypted to.
    for who in [1, 0, 1] {
        let update = CommitOptions { force_path: true, ..CommitOptions::default() };
        commits(&mut peers, who, update);
        peers[1].reload();
    }
    assert_eq!(peers[1].count(Table::TargetedKeys), 3);
    assert_eq!(peers[1].hears(&late[0]).data, b"1");
    peers[1].reload();
    let read = peers[1].hears(&late[1]);
    assert_eq!((read.epoch, read.sender.index), (Epoch(1), CAROL));
}

#[test]
fn a_removed_members_late_message_names_it_as_it_was() {
    let mut peers = three();
    let late = peers[2].tell(BOB, b"my last words");
    let carol = peers[1].group.member(CAROL);
    let mut forged = Forged::new(&peers[2], BOB);

    let messages = peers[0].commit(commit_of(vec![NewProposal::Remove(CAROL)]));
    peers[1].follows(&messages.commit);
    peers[0].accepted();
    peers[1].reload();
    assert_eq!(Some(peers[1].hears(&late).sender), carol);

    // In the epoch that she is not in, nobody has her leaf.
    forged.epoch = peers[0].group.epoch();
    forged.secrets = Forged::new(&peers[0], BOB).secrets;
    let error = peers[1].error(&forged.bytes());
    assert_eq!(error, Rejection::SenderNotMember(CAROL).into());
}

#[test]
fn a_successor_at_a_leaf_is_not_taken_for_its_former_member() {
    let mut peers = three();
    let late = peers[2].tell(BOB, b"from carol");
    let own = key_package("dave", 300);
    let swap = commit_of(vec![NewProposal::Remove(CAROL), NewProposal::Add(valid(&own))]);
    let messages = peers[0].commit(swap);
    peers[1].follows(&messages.commit);
    peers[0].accepted();
    let mut dave = Peer::join(&messages.welcomes[0].message, &own, Config::default(), 9);
    assert_eq!(dave.group.own_leaf(), CAROL);

    let new = dave.tell(BOB, b"from dave");
    let name = |read: TargetedApplicationMessage| read.sender.credential.identity().map(Vec::from);
    assert_eq!(name(peers[1].hears(&late)).as_deref(), Some(&b"carol"[..]));
    assert_eq!(name(peers[1].hears(&new)).as_deref(), Some(&b"dave"[..]));
}

#[test]
fn an_epoch_beyond_the_limits_takes_its_keys_and_messages_along() {
    let mut peers = three_with(keeping(1));
    let late = peers[0].tell(BOB, b"late");
    let read = peers[0].tell(BOB, b"in time");
    peers[1].hears(&read);
    commits(&mut peers, 0, CommitOptions::default());
    assert_eq!(peers[1].opens(&late).into_outcome().data, b"late");
    assert_eq!((peers[1].count(Table::TargetedKeys), peers[1].count(Table::TargetedRead)), (1, 1));

    commits(&mut peers, 0, CommitOptions::default());
    assert_eq!(peers[1].error(&late), wrong_epoch(1, 3));
    assert_eq!(peers[1].error(&read), wrong_epoch(1, 3));
    assert_eq!((peers[1].count(Table::TargetedKeys), peers[1].count(Table::TargetedRead)), (1, 0));

    let step = peers[1].group.expire_past_epochs(UnixTime::MAX).unwrap();
    peers[1].take(step);
    assert_eq!(peers[1].count(Table::TargetedKeys), 0);
    peers[1].reload();
}

#[test]
fn nothing_of_an_epoch_is_kept_if_no_past_epochs_are() {
    let mut peers = three_with(keeping(0));
    let late = peers[0].tell(BOB, b"late");
    let read = peers[0].tell(BOB, b"in time");
    peers[1].hears(&read);
    commits(&mut peers, 0, CommitOptions::default());
    assert_eq!(peers[1].error(&late), wrong_epoch(1, 2));
    assert_eq!((peers[1].count(Table::TargetedKeys), peers[1].count(Table::TargetedRead)), (0, 0));
    peers[1].reload();
}

#[test]
fn a_member_that_invites_no_targeted_messages_stores_nothing_for_them() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let message = Forged::new(&peers[0], BOB).bytes();
    commits(&mut peers, 0, CommitOptions::default());
    assert_eq!(peers[1].count(Table::TargetedKeys), 0);
    let ledger = peers[1].rows.iter().find(|(key, _)| key.table == Table::Ledger).unwrap().1;
    assert_eq!(ledger.len(), 3 * 4 + 1 + 5);
    assert_eq!(peers[1].error(&message), wrong_epoch(1, 2));

    // One that comes all the same is read, and its epoch then kept as if it were invited.
    let [first, late] = [7, 8].map(|n| {
        let content = TargetedMessageContent { application_data: &[n], padding: 0 };
        let plaintext = content.to_bytes().unwrap();
        Forged { plaintext, ..Forged::new(&peers[0], BOB) }.bytes()
    });
    assert_eq!(peers[1].hears(&first).data, [7]);
    commits(&mut peers, 0, CommitOptions::default());
    assert_eq!((peers[1].count(Table::TargetedKeys), peers[1].count(Table::TargetedRead)), (1, 1));
    assert_eq!(peers[1].error(&first), Rejection::ReplayedTargetedMessage.into());
    assert_eq!(peers[1].hears(&late).data, [8]);
}

#[test]
fn a_group_closed_by_a_reinit_takes_late_messages_and_sends_none() {
    let mut peers = three();
    let late = peers[0].tell(BOB, b"late");
    let reinit = ReInit {
        group_id: b"its successor".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: SUITE,
        extensions: Vec::new(),
    };
    commits(&mut peers, 0, commit_of(vec![NewProposal::ReInit(reinit)]));
    assert_eq!(peers[1].hears(&late).data, b"late");
    assert_eq!(peers[0].try_tell(BOB, b"x"), Err(Misuse::Reinitialized.into()));
}

#[test]
fn a_targeted_message_is_not_sent_where_it_cannot_arrive() {
    let mut peers = three();
    assert_eq!(peers[0].try_tell(ALICE, b"x"), Err(not_possible(Obstacle::OwnLeaf)));
    for nobody in [NOBODY, LeafIndex(1000), LeafIndex(u32::MAX)] {
        assert_eq!(peers[0].try_tell(nobody, b"x"), Err(not_possible(Obstacle::NoSuchMember)));
    }

    // Received proposals go first, as before all application data.
    let proposal = peers[2].propose_update(None, &Framing::default());
    peers[0].receive(&proposal);
    assert_eq!(peers[0].try_tell(BOB, b"x"), Err(Misuse::ProposalsPending.into()));
    peers[0].commit(CommitOptions::default());
    peers[0].tell(BOB, b"x");

    let step = peers[0].group.delete().unwrap();
    peers[0].take(step);
    assert_eq!(peers[0].try_tell(BOB, b"x"), Err(Misuse::Deleted.into()));
}

#[test]
fn a_targeted_message_goes_only_to_a_leaf_that_lists_it() {
    let unsupported = not_possible(Obstacle::TargetedUnsupported);
    let mut peers = group_of(&["alice", "bob"]);
    assert_eq!(peers[0].try_tell(BOB, b"x"), Err(unsupported.clone()));

    fn other_formats(name: &str) -> LeafParams {
        let mut leaf = inviting(name);
        let formats = vec![WireFormat::PUBLIC_MESSAGE, WireFormat::PRIVATE_MESSAGE];
        *leaf.extensions.last_mut().unwrap() =
            Extension::new(ExtensionType::SUPPORTED_WIRE_FORMATS, &formats).unwrap();
        leaf
    }
    let mut peers = group_of_leaves(&["alice", "bob"], Config::default(), other_formats);
    assert_eq!(peers[0].try_tell(BOB, b"x"), Err(unsupported));

    // A list that does not decode lists nothing.
    let mut leaf = three()[0].group.tree().leaf(BOB).unwrap();
    assert!(supports_targeted(&leaf));
    leaf.extensions.last_mut().unwrap().extension_data = vec![3, 0, 6, 0].into();
    assert!(!supports_targeted(&leaf));
}

#[test]
fn a_targeted_message_over_the_message_limit_is_neither_sent_nor_read() {
    let mut peers = three();
    let message = peers[0].tell(BOB, &[1; 500]);
    let allowed = message.len() - 1;
    let over = Rejection::OverLimit { limit: Limit::MessageBytes, found: allowed + 1, allowed };
    for peer in &mut peers {
        peer.group.public.config.limits = limits_of(Limit::MessageBytes, allowed);
    }
    assert_eq!(peers[0].try_tell(BOB, &[1; 500]), Err(over.clone().into()));
    assert_eq!(peers[1].error(&message), over.into());
}

#[test]
fn a_targeted_message_that_was_not_stored_can_be_read_again() {
    let mut peers = three();
    let message = peers[0].tell(BOB, b"psst");
    let bob = &mut peers[1];

    let step = bob.opens(&message);
    let failed = apply(&mut bob.group, step, |_| Err::<(), _>(NotWritten));
    assert!(matches!(failed, Err(ApplyError::Write(NotWritten))), "{failed:?}");
    bob.check();
    let step = bob.opens(&message);
    drop(begin(&mut bob.group, step).unwrap());
    bob.reload();
    assert_eq!(bob.hears(&message).data, b"psst");
}

#[test]
fn a_targeted_messages_step_fits_no_other_state() {
    let mut peers = three();
    let messages = [peers[0].tell(BOB, b"1"), peers[0].tell(BOB, b"2")];
    let mut twin = peers[1].twin();
    let [first, second] = [peers[1].opens(&messages[0]), peers[1].opens(&messages[1])];
    let late = peers[1].opens(&messages[0]);

    let ignore = |_: crate::Write<'_, Event>| Ok::<_, Infallible>(());
    assert!(matches!(apply(&mut twin.group, late, ignore), Err(ApplyError::Stale)));
    peers[1].take(first);
    assert!(matches!(apply(&mut peers[1].group, second, ignore), Err(ApplyError::Stale)));
    assert_eq!(peers[1].hears(&messages[1]).data, b"2");
}

#[test]
fn a_fold_of_targeted_messages_is_written_or_undone_as_a_whole() {
    let mut peers = three();
    let messages = [peers[0].tell(BOB, b"1"), peers[2].tell(BOB, b"2")];
    let commit = peers[0].commit(CommitOptions::default()).commit;
    let bob = &mut peers[1];

    for write in [false, true] {
        let mut fold = bob.group.fold();
        for message in [&messages[0], &commit, &messages[1]] {
            let step = match fold.state().process(&PROVIDER, NOW, message).unwrap() {
                Received::Targeted(step) => step.untyped(),
                Received::Commit(stage) => {
                    let answers = crate::Answers {
                        verdicts: vec![Verdict::Accept; stage.credentials().len()],
                        ..crate::Answers::default()
                    };
                    stage.resolve(fold.state(), &PROVIDER, NOW, &answers).unwrap().untyped()
                }
                other => panic!("{other:?}"),
            };
            fold.push(step).unwrap();
            // Known from then on, also within the fold.
            assert!(fold.state().process(&PROVIDER, NOW, message).is_err());
        }

        if write {
            let rows = &mut bob.rows;
            let events = fold.commit(|write| stored(rows, write.batch)).unwrap();
            assert!(matches!(
                &events[..],
                [Event::Targeted(_), Event::Epoch(_), Event::Targeted(_)]
            ));
        } else {
            drop(fold);
        }
        bob.check();
    }
    bob.reload();
}

#[test]
fn an_observer_refuses_targeted_messages() {
    let mut peers = three();
    let observer = observer_of(&peers[0]);
    let message = peers[0].tell(BOB, b"psst");
    let refused = observer.process(&PROVIDER, &message).unwrap_err();
    assert_eq!(refused, Rejection::UnexpectedMessage.into());
}

#[test]
fn each_row_of_targeted_messages_is_missed() {
    let mut peers = three();
    for n in 0..2 {
        let message = peers[0].tell(BOB, &[n]);
        peers[1].hears(&message);
        commits(&mut peers, 0, CommitOptions::default());
    }
    let message = peers[0].tell(BOB, b"now");
    peers[1].hears(&message);
    let load = |rows: &Rows| Group::load(&PROVIDER, Config::default(), rows.clone());
    assert!(load(&peers[1].rows).is_ok());

    let ours = |table| matches!(table, Table::TargetedKeys | Table::TargetedRead);
    let keys: Vec<_> = peers[1].rows.keys().filter(|key| ours(key.table)).copied().collect();
    assert_eq!(keys.len(), 2 + 3);
    for key in keys {
        let mut rows = peers[1].rows.clone();
        let row = rows.remove(&key).unwrap();
        let Err(Error::Storage(what)) = load(&rows) else { panic!("{key} is not missed") };
        assert!(what.contains(&alloc::format!("{:?}", key.table)), "{key}: {what}");

        // Nor is one taken that is of no epoch that is kept.
        let inner = content(&row).unwrap();
        let mut stray = Batch::new(peers[1].group.group_id().clone());
        let other = RowKey { epoch: 77, ..key };
        stray.put(other, inner);
        let mut rows = peers[1].rows.clone();
        stray.apply_to(&mut rows);
        let Err(Error::Storage(what)) = load(&rows) else { panic!("{other} is loaded") };
        assert!(what.contains("PastEpoch"), "{other}: {what}");
    }
}
