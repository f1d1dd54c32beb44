use super::*;
use crate::{
    AppDataDictionary, Capabilities, CipherSuite, ComponentId, Credential, Extension,
    ExtensionType, LeafNode, LeafNodeSource, Lifetime, PskType, Welcome,
};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

fn context() -> GroupContext {
    GroupContext {
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: CipherSuite(1),
        group_id: b"a group".as_slice().into(),
        epoch: Epoch(7),
        tree_hash: Bytes::default(),
        confirmed_transcript_hash: Bytes::default(),
        extensions: Vec::new(),
    }
}

fn key_package() -> KeyPackage {
    let leaf_node = LeafNode {
        encryption_key: b"encryption".as_slice().into(),
        signature_key: b"signature".as_slice().into(),
        credential: Credential::basic(b"alice"),
        capabilities: Capabilities::default(),
        leaf_node_source: LeafNodeSource::KeyPackage(Lifetime { not_before: 1, not_after: 2 }),
        extensions: Vec::new(),
        signature: Bytes::default(),
    };
    KeyPackage {
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: CipherSuite(1),
        init_key: b"init".as_slice().into(),
        leaf_node,
        extensions: Vec::new(),
        signature: Bytes::default(),
    }
}

fn commit(confirmation_tag: Option<Mac>) -> PublicMessage {
    let content = Content::Commit(Commit { proposals: Vec::new(), path: None });
    PublicMessage {
        content: FramedContent {
            group_id: b"a group".as_slice().into(),
            epoch: Epoch(7),
            sender: Sender::Member(LeafIndex(3)),
            authenticated_data: Bytes::default(),
            content,
        },
        auth: FramedContentAuthData { signature: b"signed".as_slice().into(), confirmation_tag },
        membership_tag: None,
    }
}

/// A message of each wire format.
fn messages() -> [MlsMessage; 6] {
    let info = GroupInfo {
        group_context: context(),
        extensions: Vec::new(),
        confirmation_tag: Mac::default(),
        signer: LeafIndex(0),
        signature: Bytes::default(),
    };
    let private = PrivateMessage {
        group_id: b"a group".as_slice().into(),
        epoch: Epoch(7),
        content_type: ContentType::Proposal,
        authenticated_data: Bytes::default(),
        encrypted_sender_data: Bytes::default(),
        ciphertext: Bytes::default(),
    };
    let welcome = Welcome {
        cipher_suite: CipherSuite(1),
        secrets: Vec::new(),
        encrypted_group_info: Bytes::default(),
    };
    let targeted = TargetedMessage {
        group_id: b"a group".as_slice().into(),
        epoch: Epoch(7),
        recipient_leaf_index: LeafIndex(2),
        authenticated_data: Bytes::default(),
        encrypted_sender_auth_data: Bytes::default(),
        ciphertext: Bytes::default(),
    };
    [
        MlsMessageBody::PublicMessage(Box::new(commit(Some(Mac::default())))),
        MlsMessageBody::PrivateMessage(private),
        MlsMessageBody::GroupInfo(Box::new(info)),
        MlsMessageBody::Welcome(welcome),
        MlsMessageBody::KeyPackage(Box::new(key_package())),
        MlsMessageBody::TargetedMessage(targeted),
    ]
    .map(MlsMessage::from)
}

#[test]
fn messages_show_their_unencrypted_group_epoch_and_content_type() {
    let group = b"a group".as_slice().into();
    let place = Some((&group, Epoch(7)));
    let shown = [
        (place, Some(ContentType::Commit)),
        (place, Some(ContentType::Proposal)),
        (place, None),
        (None, None),
        (None, None),
        (place, None),
    ];
    for (message, shown) in messages().iter().zip(shown) {
        assert_eq!((message.group_and_epoch(), message.content_type()), shown, "{message:?}");
    }
}

#[test]
fn a_message_of_an_unknown_wire_format_or_version_is_refused() {
    for message in messages() {
        let bytes = message.to_bytes().unwrap();
        assert_eq!(MlsMessage::from_bytes(&bytes).unwrap().to_bytes().unwrap(), bytes);
        for value in [0, 7, 0x0a0a] {
            let mut changed = bytes.clone();
            changed.splice(2..4, u16::to_be_bytes(value));
            let unknown = DecodeError::InvalidValue { field: "WireFormat", value: value.into() };
            assert_eq!(MlsMessage::from_bytes(&changed), Err(unknown));
            changed.splice(0..2, u16::to_be_bytes(value));
            let unknown =
                DecodeError::InvalidValue { field: "ProtocolVersion", value: value.into() };
            assert_eq!(MlsMessage::from_bytes(&changed), Err(unknown));
        }
    }
}

#[test]
fn a_psk_of_an_unknown_type_is_refused() {
    for value in [0, 4, 255] {
        let unknown = DecodeError::InvalidValue { field: "PSKType", value: value.into() };
        assert_eq!(PskType::from_bytes(&[value, 0, 0]), Err(unknown));
    }
}

#[test]
fn a_missing_tag_is_encoded_as_an_empty_one() {
    let bytes = commit(None).to_bytes().unwrap();
    let decoded = PublicMessage::from_bytes(&bytes).unwrap();
    assert_eq!(decoded.auth.confirmation_tag, Some(Mac::default()));
    assert_eq!(decoded.membership_tag, Some(Mac::default()));
    assert_eq!(decoded.to_bytes().unwrap(), bytes);
}

fn authenticated(content: Content, confirmation_tag: Option<Mac>) -> AuthenticatedContent {
    let PublicMessage { content: framed, auth, .. } = commit(confirmation_tag);
    let content = FramedContent { content, ..framed };
    AuthenticatedContent { wire_format: WireFormat::PUBLIC_MESSAGE, content, auth }
}

#[test]
fn a_signed_commit_encodes_like_the_message_it_is() {
    let content = Content::Commit(Commit { proposals: Vec::new(), path: None });
    let message = authenticated(content, Some([7; 32].as_slice().into()));
    let commit = AuthenticatedCommit::try_from(message.clone()).unwrap();
    assert_eq!(commit.to_bytes(), message.to_bytes());
    assert_eq!(AuthenticatedCommit::from_bytes(&message.to_bytes().unwrap()).as_ref(), Ok(&commit));

    let hashed = commit.transcript_hash_input().to_bytes();
    assert_eq!(hashed, message.transcript_hash_input().to_bytes());
    assert_eq!(AuthenticatedContent::from(commit), message);
}

#[test]
fn only_a_commit_with_its_tag_converts_to_a_signed_commit() {
    let commit = Content::Commit(Commit { proposals: Vec::new(), path: None });
    let untagged = AuthenticatedCommit::try_from(authenticated(commit, None));
    assert_eq!(untagged, Err(DecodeError::Truncated));

    let others = [
        (Content::Application([1].into()), 1),
        (Content::Proposal(Proposal::Remove(LeafIndex(2))), 2),
    ];
    for (content, value) in others {
        let refused = DecodeError::InvalidValue { field: "ContentType of a commit", value };
        let message = authenticated(content, None);
        assert_eq!(AuthenticatedCommit::from_bytes(&message.to_bytes().unwrap()), Err(refused));
        let tagged = AuthenticatedContent {
            auth: FramedContentAuthData { confirmation_tag: Some(Mac::default()), ..message.auth },
            ..message
        };
        assert_eq!(AuthenticatedCommit::try_from(tagged), Err(refused));
    }
}

#[test]
fn padding_is_all_zeros_up_to_the_end() {
    let content = Content::Proposal(Proposal::Remove(LeafIndex(2)));
    let auth = FramedContentAuthData { signature: [5; 64].into(), confirmation_tag: None };
    let content = PrivateMessageContent { content, auth };
    let encode = |padding| {
        let mut w = Writer::new();
        content.encode_padded(padding, &mut w).unwrap();
        w.finish()
    };
    let decode =
        |b: &[u8]| PrivateMessageContent::decode_padded(ContentType::Proposal, Reader::new(b));
    let bare = encode(0);
    for padding in [0, 1, 63, 64, 65, 200] {
        let padded = encode(padding);
        assert_eq!(padded.len(), bare.len() + padding);
        assert_eq!(decode(&padded).as_ref(), Ok(&content));
        for place in bare.len()..padded.len() {
            let mut changed = padded.clone();
            changed[place] = 1;
            assert_eq!(decode(&changed), Err(DecodeError::NonZeroPadding));
        }
    }
}

#[test]
fn application_data_is_not_printed_but_proposals_are() {
    assert_eq!(
        format!("{:?}", Content::Application(b"hush".as_slice().into())),
        "Application(4 bytes)"
    );
    let proposal = format!("{:?}", Content::Proposal(Proposal::Remove(LeafIndex(2))));
    assert!(proposal.starts_with("Proposal(Remove("), "{proposal}");
}

#[test]
fn a_last_resort_key_package_has_the_extension() {
    let mut key_package = key_package();
    assert!(!key_package.is_last_resort());
    let extension = |extension_type| Extension { extension_type, extension_data: Bytes::default() };
    key_package.extensions = vec![extension(ExtensionType::APPLICATION_ID)];
    assert!(!key_package.is_last_resort());
    key_package.extensions.push(extension(ExtensionType::LAST_RESORT));
    assert!(key_package.is_last_resort());
}

#[test]
fn a_last_resort_key_package_has_the_component() {
    let mut key_package = key_package();
    let mut dictionary = AppDataDictionary::default();
    dictionary.set(ComponentId(0x8001), Bytes::default());
    key_package.extensions = vec![dictionary.to_extension().unwrap()];
    assert!(!key_package.is_last_resort());
    dictionary.set(ComponentId::LAST_RESORT_KEY_PACKAGE, Bytes::default());
    key_package.extensions = vec![dictionary.to_extension().unwrap()];
    assert!(key_package.is_last_resort());

    let extension_type = ExtensionType::APP_DATA_DICTIONARY;
    key_package.extensions = vec![Extension { extension_type, extension_data: [9].into() }];
    assert!(!key_package.is_last_resort());
}

#[test]
fn only_a_basic_credential_has_an_identity() {
    assert_eq!(Credential::basic(b"alice").identity(), Some(&b"alice"[..]));
    assert_eq!(Credential::X509 { certificates: Vec::new() }.identity(), None);
}
