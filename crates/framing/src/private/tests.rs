use super::*;
use crate::testing::{
    Fixture, MEMBER, TestRng, application, confirm, contents, remove, sent_contents,
};
use crate::{Verified, sign_content};
use RatchetKind::Application;
use alloc::format;
use alloc::string::String;
use conclave_schedule::{
    EncryptionSecret, RatchetKind, RatchetLimits, SecretTree, SecretTreeDelta,
};
use conclave_wire::{Content, ContentType, LeafIndex, Proposal, ProposalType, TreeSize};

const PRIVATE: WireFormat = WireFormat::PRIVATE_MESSAGE;

fn key() -> MessageKey {
    let bytes = |from: u8, n| (from..).take(n).collect::<Vec<u8>>();
    MessageKey { key: Secret::new(bytes(0x40, 16)), nonce: Secret::new(bytes(0x90, 12)) }
}

impl Fixture {
    fn protect_private(&self, content: Content, padding: Padding) -> PrivateMessage {
        let signed = self.signed(PRIVATE, MEMBER, content);
        self.seal(&signed, padding, &mut TestRng(5)).unwrap()
    }

    fn seal(
        &self,
        signed: &AuthenticatedContent,
        padding: Padding,
        rng: &mut TestRng,
    ) -> Result<PrivateMessage, FramingError> {
        let secret = &self.sender_data_secret;
        protect_private(&self.suite, signed, 3, key(), secret, padding, rng)
    }

    fn open_private(&self, message: &PrivateMessage) -> Result<Verified, FramingError> {
        let sender_data = open_sender_data(&self.suite, message, &self.sender_data_secret)?;
        open_private(&self.suite, message, &sender_data, key(), &[])?.verify(
            &self.suite,
            &self.context,
            &self.signer.public,
        )
    }

    /// Seals any plaintext in the way of an honest sender.
    fn seal_plaintext(&self, content_type: ContentType, plaintext: &[u8]) -> PrivateMessage {
        let mut message = self.protect_private(application(b""), Padding::None);
        message.content_type = content_type;
        let PrivateMessage { group_id, epoch, authenticated_data, .. } = &message;
        let aad = PrivateContentAad { group_id, epoch: *epoch, content_type, authenticated_data };

        let nonce = guarded(key().nonce, [0; 4]);
        let aad = aad.to_bytes().unwrap();
        let sealed = self.suite.aead_seal(&key().key, nonce.expose(), &aad, plaintext).unwrap();
        message.ciphertext = sealed.into();
        message
    }

    fn open_content(&self, message: &PrivateMessage) -> Result<UnverifiedContent, FramingError> {
        let sender_data =
            SenderData { leaf_index: LeafIndex(5), generation: 3, reuse_guard: [0; 4] };
        open_private(&self.suite, message, &sender_data, key(), &[])
    }
}

#[test]
fn messages_of_every_content_type_round_trip() {
    let f = Fixture::new();
    for content in [application(b"hello"), application(b""), remove(), f.commit(true)] {
        let sent = f.signed(PRIVATE, MEMBER, content);
        for padding in [Padding::None, Padding::ToMultipleOf(256), Padding::Bytes(10_000)] {
            let sealed = f.seal(&sent, padding, &mut TestRng(1)).unwrap();
            let sealed = PrivateMessage::from_bytes(&sealed.to_bytes().unwrap()).unwrap();
            assert_eq!(sealed.content_type, sent.content.content.content_type());
            assert_eq!(contents(&f.open_private(&sealed).unwrap()), sent_contents(&sent));
        }
    }
}

#[test]
fn sender_data_names_the_leaf_and_generation() {
    let f = Fixture::new();
    let message = f.protect_private(application(b"x"), Padding::None);
    let data = open_sender_data(&f.suite, &message, &f.sender_data_secret).unwrap();
    assert_eq!((data.leaf_index, data.generation), (LeafIndex(5), 3));
}

#[test]
fn a_fresh_reuse_guard_is_xored_into_the_nonces_first_four_bytes() {
    let f = Fixture::new();
    let signed = f.signed(PRIVATE, MEMBER, application(b"x"));
    let mut rng = TestRng(9);
    let mut seen = Vec::new();
    for _ in 0..8 {
        let message = f.seal(&signed, Padding::None, &mut rng).unwrap();
        let data = open_sender_data(&f.suite, &message, &f.sender_data_secret).unwrap();
        assert!(!seen.contains(&data.reuse_guard));
        seen.push(data.reuse_guard);

        let mut nonce = key().nonce;
        let [a, b, c, d] = data.reuse_guard;
        let bytes = nonce.expose_mut();
        bytes[0] ^= a;
        bytes[1] ^= b;
        bytes[2] ^= c;
        bytes[3] ^= d;

        let aad = PrivateContentAad {
            group_id: &message.group_id,
            epoch: message.epoch,
            content_type: message.content_type,
            authenticated_data: &message.authenticated_data,
        };
        let aad = aad.to_bytes().unwrap();
        let ciphertext = &message.ciphertext;
        assert!(f.suite.aead_open(&key().key, nonce.expose(), &aad, ciphertext).is_ok());
    }
}

#[test]
fn only_members_may_send_private_messages() {
    let f = Fixture::new();
    let refused = FramingError::PrivateMessageFromOutside;
    let mut signed = f.signed(PRIVATE, MEMBER, remove());
    for sender in [Sender::External(5), Sender::NewMemberProposal, Sender::NewMemberCommit] {
        let framed = f.framed(sender, remove());
        assert_eq!(sign_content(&f.suite, PRIVATE, framed, &f.context, &f.signer), Err(refused));
        signed.content.sender = sender;
        assert_eq!(f.seal(&signed, Padding::None, &mut TestRng(1)), Err(refused));
    }
}

#[test]
fn only_confirmed_messages_signed_as_private_are_sealed() {
    let f = Fixture::new();
    let public = f.signed(WireFormat::PUBLIC_MESSAGE, MEMBER, remove());
    let wrong = FramingError::WrongWireFormat(WireFormat::PUBLIC_MESSAGE);
    assert_eq!(f.seal(&public, Padding::None, &mut TestRng(1)), Err(wrong));

    let mut commit = f.signed(PRIVATE, MEMBER, f.commit(false));
    commit.auth.confirmation_tag = None;
    let missing = FramingError::MissingConfirmationTag;
    assert_eq!(f.seal(&commit, Padding::None, &mut TestRng(1)), Err(missing));

    for content in [remove(), application(b"hello")] {
        let mut confirmed = f.signed(PRIVATE, MEMBER, content);
        confirmed.auth.confirmation_tag = Some([0; 32].as_slice().into());
        let unexpected = FramingError::UnexpectedConfirmationTag;
        assert_eq!(f.seal(&confirmed, Padding::None, &mut TestRng(1)), Err(unexpected));
    }
}

#[test]
fn ciphertexts_of_other_lengths_or_with_flipped_bits_are_refused() {
    let f = Fixture::new();
    let message = f.protect_private(application(b"hello"), Padding::None);
    let data = open_sender_data(&f.suite, &message, &f.sender_data_secret).unwrap();
    let open = |bytes: &[u8]| {
        let changed = PrivateMessage { ciphertext: bytes.into(), ..message.clone() };
        open_private(&f.suite, &changed, &data, key(), &[])
    };
    let ciphertext = message.ciphertext.to_vec();
    assert!(open(&ciphertext).is_ok());

    let mut longer = ciphertext.clone();
    longer.push(0);
    for n in (0..=longer.len()).filter(|n| *n != ciphertext.len()) {
        assert_eq!(open(&longer[..n]), Err(FramingError::ContentNotOpened), "{n} bytes");
    }
    for bit in 0..ciphertext.len() * 8 {
        let mut flipped = ciphertext.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&flipped), Err(FramingError::ContentNotOpened));
    }
}

#[test]
fn sender_data_of_other_lengths_or_with_flipped_bits_is_refused() {
    let f = Fixture::new();
    let message = f.protect_private(application(b"hello"), Padding::None);
    let open = |bytes: &[u8]| {
        let changed = PrivateMessage { encrypted_sender_data: bytes.into(), ..message.clone() };
        open_sender_data(&f.suite, &changed, &f.sender_data_secret)
    };
    let sealed = message.encrypted_sender_data.to_vec();
    assert!(open(&sealed).is_ok());

    let mut longer = sealed.clone();
    longer.push(0);
    for n in (0..=longer.len()).filter(|n| *n != sealed.len()) {
        assert_eq!(open(&longer[..n]), Err(FramingError::SenderDataNotOpened), "{n} bytes");
    }
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&flipped), Err(FramingError::SenderDataNotOpened));
    }
}

#[test]
fn unencrypted_fields_are_authenticated() {
    let f = Fixture::new();
    let message = f.protect_private(application(b"hello"), Padding::None);
    let data = open_sender_data(&f.suite, &message, &f.sender_data_secret).unwrap();
    let with = |change: &dyn Fn(&mut PrivateMessage)| {
        let mut changed = message.clone();
        change(&mut changed);
        let sender = open_sender_data(&f.suite, &changed, &f.sender_data_secret).is_ok();
        (sender, open_private(&f.suite, &changed, &data, key(), &[]).is_ok())
    };

    assert_eq!(with(&|_| {}), (true, true));
    assert_eq!(with(&|m| m.group_id = b"other".as_slice().into()), (false, false));
    assert_eq!(with(&|m| m.epoch.0 += 1), (false, false));
    assert_eq!(with(&|m| m.content_type = ContentType::Proposal), (false, false));
    // Only the ciphertext binds the sender data to the authenticated data.
    assert_eq!(with(&|m| m.authenticated_data = [0].into()), (true, false));
    // Another ciphertext sample gives another key.
    assert_eq!(with(&|m| m.ciphertext = [0; 40].into()), (false, false));
}

#[test]
fn ciphertexts_shorter_than_the_sample_are_refused() {
    let f = Fixture::new();
    let mut message = f.protect_private(application(b"hello"), Padding::None);
    for n in 0..32 {
        message.ciphertext = alloc::vec![0xcc; n].into();
        let data = SenderData { leaf_index: LeafIndex(5), generation: 0, reuse_guard: [0; 4] };
        let aad = SenderDataAad {
            group_id: &message.group_id,
            epoch: message.epoch,
            content_type: message.content_type,
        };
        let secret = &f.sender_data_secret;
        let sealed = seal_sender_data(&f.suite, secret, &data, &aad, &message.ciphertext).unwrap();
        message.encrypted_sender_data = sealed.into();

        assert_eq!(open_sender_data(&f.suite, &message, secret), Ok(data));
        let opened = open_private(&f.suite, &message, &data, key(), &[]);
        assert_eq!(opened, Err(FramingError::ContentNotOpened));
    }
}

#[test]
fn malformed_sealed_sender_data_is_refused() {
    let f = Fixture::new();
    let mut message = f.protect_private(application(b"hello"), Padding::None);
    let secret = &f.sender_data_secret;
    for n in (0..20).filter(|n| *n != 12) {
        let MessageKey { key, nonce } =
            sender_data_key_nonce(&f.suite, secret, &message.ciphertext).unwrap();
        let aad = SenderDataAad {
            group_id: &message.group_id,
            epoch: message.epoch,
            content_type: message.content_type,
        };
        let aad = aad.to_bytes().unwrap();
        let plaintext = alloc::vec![0; n];
        let sealed = f.suite.aead_seal(&key, nonce.expose(), &aad, &plaintext).unwrap();
        message.encrypted_sender_data = sealed.into();

        let malformed = match n.checked_sub(12) {
            Some(more) => DecodeError::TrailingBytes(more),
            None => DecodeError::Truncated,
        };
        let opened = open_sender_data(&f.suite, &message, secret);
        assert_eq!(opened, Err(FramingError::MalformedSenderData(malformed)));
    }
}

#[test]
fn non_zero_padding_is_refused() {
    let f = Fixture::new();
    let signed = f.signed(PRIVATE, MEMBER, application(b"hello"));
    let mut w = Writer::new();
    signed.content.content.encode_body(&mut w).unwrap();
    signed.auth.signature.encode(&mut w).unwrap();
    let content = w.finish();

    for (padding, ok) in
        [(&[][..], true), (&[0; 9], true), (&[1], false), (&[0, 0, 1], false), (&[1, 0], false)]
    {
        let plaintext = [content.as_slice(), padding].concat();
        let opened = f.open_content(&f.seal_plaintext(ContentType::Application, &plaintext));
        if ok {
            assert_eq!(opened.unwrap().0, signed);
        } else {
            assert_eq!(opened.unwrap_err(), FramingError::NonZeroPadding);
        }
    }
}

#[test]
fn truncated_content_is_refused() {
    let f = Fixture::new();
    for content in [application(b"hello"), remove(), f.commit(true)] {
        let kind = content.content_type();
        let mut signed = f.signed(PRIVATE, MEMBER, content);
        confirm(&mut signed);
        let whole = padded_plaintext(&f.suite, &signed, Padding::None).unwrap().finish();
        assert!(f.open_content(&f.seal_plaintext(kind, &whole)).is_ok());
        for n in 0..whole.len() {
            let error = f.open_content(&f.seal_plaintext(kind, &whole[..n])).unwrap_err();
            assert!(matches!(error, FramingError::MalformedContent(_)), "{n}: {error}");
        }
    }
}

#[test]
fn padding_adds_just_its_bytes_to_the_ciphertext() {
    let f = Fixture::new();
    let len = |n: usize, padding| {
        f.protect_private(application(&alloc::vec![1; n]), padding).ciphertext.len()
    };

    let bare = len(5, Padding::None);
    assert_eq!(len(5, Padding::Bytes(100)), bare + 100);

    let tag = f.suite.params().aead.tag_len();
    for n in 0..300 {
        assert_eq!((len(n, Padding::ToMultipleOf(128)) - tag) % 128, 0);
    }
    assert_eq!(len(5, Padding::ToMultipleOf(256)), len(50, Padding::ToMultipleOf(256)));
}

#[test]
fn padding_over_the_vector_limit_is_refused_without_allocation() {
    let f = Fixture::new();
    let signed = f.signed(PRIVATE, MEMBER, application(b"hello"));
    for n in [1 << 30, u32::MAX] {
        let refused = f.seal(&signed, Padding::Bytes(n), &mut TestRng(1));
        assert!(matches!(refused, Err(FramingError::Encode(_))));
    }
}

#[test]
fn a_ciphertext_fits_a_vector_with_its_padding_and_tag() {
    const MAX: usize = MAX_VECTOR_LEN;
    assert_eq!(padded_length(MAX - 16 - 9, 9, 16), Ok(MAX - 16));
    for (plaintext, padding) in [(MAX - 16 - 8, 9), (MAX - 16 - 9, 10), (MAX - 15, 0)] {
        assert_eq!(padded_length(plaintext, padding, 16), Err(EncodeError { length: MAX + 1 }));
    }
    assert_eq!(padded_length(1, usize::MAX, 16), Err(EncodeError { length: usize::MAX }));
}

#[test]
fn a_custom_proposal_opens_only_if_its_type_is_known() {
    let f = Fixture::new();
    let proposal_type = ProposalType(0xf042);
    let body = [2, 7, 8].into();
    let proposal = Content::Proposal(Proposal::Custom { proposal_type, body });
    let sent = f.signed(PRIVATE, MEMBER, proposal);
    let sealed = f.seal(&sent, Padding::ToMultipleOf(64), &mut TestRng(1)).unwrap();
    let data = open_sender_data(&f.suite, &sealed, &f.sender_data_secret).unwrap();
    let open = |known: &[CustomProposal]| open_private(&f.suite, &sealed, &data, key(), known);

    let opened = open(&[CustomProposal::vector(proposal_type)]).unwrap();
    assert_eq!(opened, UnverifiedContent(sent));
    for others in [&[] as &[_], &[CustomProposal::vector(ProposalType(0xf043))]] {
        assert!(matches!(open(others), Err(FramingError::MalformedContent(_))));
    }
}

/// Opens a message with a receiver's secret tree. Returns the change of the tree.
fn receive(
    f: &Fixture,
    tree: &SecretTree,
    message: &PrivateMessage,
) -> Option<(Verified, SecretTreeDelta)> {
    let data = open_sender_data(&f.suite, message, &f.sender_data_secret).ok()?;
    let kind = message.content_type.into();
    let limits = RatchetLimits::default();
    let (key, delta) =
        tree.receive(&f.suite, data.leaf_index, kind, data.generation, limits).ok()?;
    let opened = open_private(&f.suite, message, &data, key, &[]).ok()?;
    Some((opened.verify(&f.suite, &f.context, &f.signer.public).ok()?, delta))
}

#[test]
fn garbage_ciphertexts_burn_no_key() {
    let f = Fixture::new();
    let root = EncryptionSecret::from_secret(Secret::zero(32));
    let mut sender = SecretTree::new(TreeSize::for_leaves(8).unwrap(), root);
    let mut receiver = sender.clone();
    let mut messages = Vec::new();

    for n in 0..6u8 {
        let (generation, key, mut delta) =
            sender.send(&f.suite, LeafIndex(5), Application).unwrap();
        let signed = f.signed(PRIVATE, MEMBER, application(&[n]));
        let secret = &f.sender_data_secret;
        let mut rng = TestRng(n.into());
        let sealed =
            protect_private(&f.suite, &signed, generation, key, secret, Padding::Padme, &mut rng);
        messages.push(sealed.unwrap());
        sender.swap(&mut delta);
    }

    for order in [4, 0, 5, 2, 1, 3] {
        // Damage the content after the sample, so that the sender data stays the same.
        let message: &PrivateMessage = &messages[order];
        let mut garbage = message.clone();
        let mut bytes = garbage.ciphertext.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        garbage.ciphertext = bytes.into();
        assert!(open_sender_data(&f.suite, &garbage, &f.sender_data_secret).is_ok());
        let before = receiver.clone();
        assert!(receive(&f, &receiver, &garbage).is_none());
        assert_eq!(receiver, before);

        let (content, mut delta) = receive(&f, &receiver, message).unwrap();
        assert_eq!(contents(&content).2, application(&[order as u8]));
        receiver.swap(&mut delta);
        assert!(receive(&f, &receiver, message).is_none(), "a replay");
    }
    assert_eq!(receiver, sender);
}

#[test]
fn a_wrong_key_does_not_open_a_message() {
    let f = Fixture::new();
    let message = f.protect_private(application(b"hello"), Padding::None);
    let data = open_sender_data(&f.suite, &message, &f.sender_data_secret).unwrap();
    let other = MessageKey { key: Secret::zero(16), ..key() };
    let error = open_private(&f.suite, &message, &data, other, &[]).unwrap_err();
    assert_eq!(error, FramingError::ContentNotOpened);

    let short = MessageKey { key: Secret::zero(15), ..key() };
    let error = open_private(&f.suite, &message, &data, short, &[]).unwrap_err();
    assert!(matches!(error, FramingError::Crypto(_)));
}

#[test]
fn errors_and_opened_messages_print_neither_plaintext_nor_keys() {
    let f = Fixture::new();
    let message = f.protect_private(application(b"secret text"), Padding::None);
    let opened = f.open_private(&message).unwrap();
    let shown = format!("{opened:?} {:?} {message:?}", key());
    let plain: String = b"secret text".iter().map(|b| format!("{b:02x}")).collect();
    assert!(!shown.contains("secret text") && !shown.contains(&plain), "{shown}");
    assert!(!shown.contains("404142") && !shown.contains("64, 65"), "{shown}");
}
