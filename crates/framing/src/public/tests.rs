use super::*;
use crate::testing::{Fixture, MEMBER, TestRng, application, contents, remove, sent_contents};
use crate::{Verified, sign_content, sign_proposal_from_outside, verify_signature};
use conclave_crypto::Secret;
use conclave_wire::{
    Content, Decode, Epoch, FramedContentAuthData, Mac, Proposal, ProposalType, SenderType,
    SignaturePublicKey,
};

const PUBLIC: WireFormat = WireFormat::PUBLIC_MESSAGE;
const OUTSIDERS: [Sender; 3] =
    [Sender::External(1), Sender::NewMemberProposal, Sender::NewMemberCommit];

impl Fixture {
    fn open_public(&self, message: PublicMessage) -> Result<UnverifiedContent, FramingError> {
        open_public(&self.suite, message, &self.context, Some(&self.membership_key))
    }

    /// As it is on the wire, whether the rules allow it or not.
    fn unchecked(&self, sender: Sender, content: Content) -> PublicMessage {
        let content = self.framed(sender, content);
        let auth = FramedContentAuthData { signature: [1; 64].into(), confirmation_tag: None };
        let mut message = AuthenticatedContent { wire_format: PUBLIC, content, auth };
        crate::testing::confirm(&mut message);
        let membership_tag = matches!(sender, Sender::Member(_)).then(|| {
            let tbm = tbm(&message, &self.context).unwrap();
            self.suite.mac(self.membership_key.as_secret(), &tbm).unwrap()
        });
        PublicMessage { content: message.content, auth: message.auth, membership_tag }
    }

    fn protect_public(&self, message: AuthenticatedContent) -> PublicMessage {
        protect_public(&self.suite, message, &self.context, &self.membership_key).unwrap()
    }
}

fn through_the_wire(message: &PublicMessage) -> PublicMessage {
    PublicMessage::from_bytes(&message.to_bytes().unwrap()).unwrap()
}

#[test]
fn members_proposals_and_commits_come_back_as_they_were_sent() {
    let f = Fixture::new();
    for content in [remove(), f.commit(true), f.commit(false)] {
        let sent = f.signed(PUBLIC, MEMBER, content);
        let opened = f.open_public(through_the_wire(&f.protect_public(sent.clone()))).unwrap();
        assert_eq!((opened.sender(), opened.epoch()), (MEMBER, Epoch(7)));
        assert_eq!((opened.group_id(), opened.wire_format()), (&f.context.group_id, PUBLIC));
        assert_eq!(opened.content_type(), sent.content.content.content_type());
        assert_eq!(opened.new_member_key(), None);
        let verified = opened.verify(&f.suite, &f.context, &f.signer.public).unwrap();
        assert_eq!(contents(&verified), sent_contents(&sent));
        match verified {
            Verified::Proposal(proposal) => {
                let reference = f.suite.proposal_ref(&sent.to_bytes().unwrap()).unwrap();
                assert_eq!(*proposal.reference(), reference);
            }
            Verified::Commit(commit) => {
                assert_eq!(AuthenticatedContent::from((*commit).clone()), sent);
            }
            Verified::Application(_) => panic!("application data in a PublicMessage"),
        }
    }
}

#[test]
fn messages_from_outside_come_back_without_a_membership_tag() {
    let f = Fixture::new();
    for (sender, content) in [
        (Sender::External(3), remove()),
        (Sender::NewMemberProposal, Content::Proposal(f.add())),
        (Sender::NewMemberCommit, f.commit(true)),
    ] {
        let sent = f.signed(PUBLIC, sender, content);
        let message = through_the_wire(&protect_public_from_outside(sent.clone()).unwrap());
        assert_eq!(message.membership_tag, None);
        let opened = f.open_public(message).unwrap();
        // New members bring their key with them; it is this one's.
        let brought = !matches!(sender, Sender::External(_));
        assert_eq!(opened.new_member_key(), brought.then_some(&f.signer.public));
        let verified = opened.verify(&f.suite, &f.context, &f.signer.public).unwrap();
        assert_eq!(contents(&verified), sent_contents(&sent));
    }
}

#[test]
fn an_outsider_signs_a_proposal_without_knowing_the_context() {
    let f = Fixture::new();
    for (sender, content) in
        [(Sender::External(0), remove()), (Sender::NewMemberProposal, Content::Proposal(f.add()))]
    {
        let framed = f.framed(sender, content.clone());
        let signed = sign_proposal_from_outside(&f.suite, framed, &f.signer).unwrap();
        assert_eq!(signed, f.signed(PUBLIC, sender, content));
    }
    for (sender, kind) in
        [(MEMBER, SenderType::Member), (Sender::NewMemberCommit, SenderType::NewMemberCommit)]
    {
        let framed = f.framed(sender, f.commit(true));
        let refused = sign_proposal_from_outside(&f.suite, framed, &f.signer);
        assert_eq!(refused, Err(FramingError::WrongSenderType(kind)));
    }
}

#[test]
fn application_data_in_a_public_message_is_refused_when_sent_and_when_opened() {
    let f = Fixture::new();
    let refused = FramingError::ApplicationDataInPublicMessage;
    for sender in OUTSIDERS.into_iter().chain([MEMBER]) {
        let framed = f.framed(sender, application(b"hello"));
        let signed = sign_content(&f.suite, PUBLIC, framed, &f.context, &f.signer);
        assert_eq!(signed, Err(refused));
        assert_eq!(f.open_public(f.unchecked(sender, application(b"hello"))), Err(refused));
    }
    // Signed for a PrivateMessage, sent as a PublicMessage.
    let mut signed = f.signed(WireFormat::PRIVATE_MESSAGE, MEMBER, application(b"hello"));
    let protect = |m| protect_public(&f.suite, m, &f.context, &f.membership_key);
    let wrong = FramingError::WrongWireFormat(WireFormat::PRIVATE_MESSAGE);
    assert_eq!(protect(signed.clone()), Err(wrong));
    signed.wire_format = PUBLIC;
    assert_eq!(protect(signed), Err(refused));
}

#[test]
fn an_external_sender_may_send_only_the_proposals_registered_for_it() {
    let f = Fixture::new();
    // Whether a custom one may come from outside is checked by who knows its registration.
    let custom = Proposal::Custom { proposal_type: ProposalType(0xf042), body: [].into() };
    for proposal in f.proposals().into_iter().chain([custom]) {
        let kind = proposal.proposal_type();
        let allowed = !matches!(kind, ProposalType::UPDATE | ProposalType::EXTERNAL_INIT);
        let content = Content::Proposal(proposal);
        let opened = f.open_public(f.unchecked(Sender::External(0), content.clone())).map(|_| ());
        let want =
            if allowed { Ok(()) } else { Err(FramingError::ExternalSenderProposalType(kind)) };
        assert_eq!(opened, want);
        let framed = f.framed(Sender::External(0), content);
        let signed = sign_proposal_from_outside(&f.suite, framed, &f.signer);
        assert_eq!(signed.map(|_| ()), want);
    }
    let commit = f.unchecked(Sender::External(0), f.commit(true));
    assert_eq!(f.open_public(commit), Err(FramingError::ExternalSenderNotProposal));
}

#[test]
fn a_new_member_may_propose_only_an_add() {
    let f = Fixture::new();
    for proposal in f.proposals() {
        let kind = proposal.proposal_type();
        let content = Content::Proposal(proposal);
        let opened = f.open_public(f.unchecked(Sender::NewMemberProposal, content)).map(|_| ());
        let want = match kind {
            ProposalType::ADD => Ok(()),
            _ => Err(FramingError::NewMemberProposalNotAdd(kind)),
        };
        assert_eq!(opened, want);
    }
    let commit = f.unchecked(Sender::NewMemberProposal, f.commit(true));
    assert_eq!(f.open_public(commit), Err(FramingError::NewMemberProposalNotProposal));
}

#[test]
fn a_new_member_that_commits_may_send_only_a_commit_with_a_path() {
    let f = Fixture::new();
    let sender = Sender::NewMemberCommit;
    assert!(f.open_public(f.unchecked(sender, f.commit(true))).is_ok());
    let without = f.unchecked(sender, f.commit(false));
    assert_eq!(f.open_public(without), Err(FramingError::NewMemberCommitWithoutPath));
    for proposal in f.proposals() {
        let message = f.unchecked(sender, Content::Proposal(proposal));
        assert_eq!(f.open_public(message), Err(FramingError::NewMemberCommitNotCommit));
    }
}

#[test]
fn membership_tags_of_every_other_length_are_refused() {
    let f = Fixture::new();
    let message = f.protect_public(f.signed(PUBLIC, MEMBER, remove()));
    let tag = message.membership_tag.clone().unwrap();
    let mut longer = tag.to_vec();
    longer.push(0);
    for n in 0..=longer.len() {
        let mut changed = message.clone();
        changed.membership_tag = Some(Mac::from(&longer[..n]));
        let opened = f.open_public(through_the_wire(&changed)).map(|_| ());
        let want = if n == tag.len() { Ok(()) } else { Err(FramingError::InvalidMembershipTag) };
        assert_eq!(opened, want, "{n} bytes");
    }
}

#[test]
fn a_membership_tag_covers_content_signature_confirmation_tag_and_context() {
    let f = Fixture::new();
    let message = f.protect_public(f.signed(PUBLIC, MEMBER, f.commit(true)));
    let invalid = Err(FramingError::InvalidMembershipTag);
    let with = |change: &dyn Fn(&mut PublicMessage)| {
        let mut changed = message.clone();
        change(&mut changed);
        f.open_public(changed)
    };
    assert!(with(&|_| {}).is_ok());
    assert_eq!(with(&|m| m.content.authenticated_data = [0].into()), invalid);
    assert_eq!(with(&|m| m.content.content = f.commit(false)), invalid);
    assert_eq!(with(&|m| m.content.sender = Sender::Member(conclave_wire::LeafIndex(6))), invalid);
    assert_eq!(with(&|m| m.auth.signature = [0; 64].into()), invalid);
    assert_eq!(with(&|m| m.auth.confirmation_tag = Some([0; 32].as_slice().into())), invalid);

    let key = Some(&f.membership_key);
    let mut context = f.context.clone();
    context.tree_hash = [0; 32].into();
    assert_eq!(open_public(&f.suite, message.clone(), &context, key), invalid);
    let other = MembershipKey::from_secret(Secret::zero(32));
    assert_eq!(open_public(&f.suite, message, &f.context, Some(&other)), invalid);
}

#[test]
fn tags_that_should_be_there_or_should_not_are_refused() {
    let f = Fixture::new();
    let mut proposal = f.unchecked(MEMBER, remove());
    proposal.membership_tag = None;
    assert_eq!(f.open_public(proposal), Err(FramingError::MissingMembershipTag));
    let mut external = f.unchecked(Sender::External(0), remove());
    external.membership_tag = Some(Mac::default());
    assert_eq!(f.open_public(external), Err(FramingError::UnexpectedMembershipTag));

    let verify = |message: AuthenticatedContent| {
        let message = UnverifiedContent(message);
        message.verify(&f.suite, &f.context, &f.signer.public)
    };
    for (format, content) in
        [(PUBLIC, remove()), (WireFormat::PRIVATE_MESSAGE, application(b"hello"))]
    {
        let mut confirmed = f.signed(format, MEMBER, content);
        assert!(verify(confirmed.clone()).is_ok());
        confirmed.auth.confirmation_tag = Some(Mac::default());
        assert_eq!(verify(confirmed), Err(FramingError::UnexpectedConfirmationTag));
    }
    let mut unconfirmed = f.signed(PUBLIC, MEMBER, f.commit(true));
    unconfirmed.auth.confirmation_tag = None;
    assert_eq!(verify(unconfirmed), Err(FramingError::MissingConfirmationTag));

    let mut unconfirmed = f.signed(PUBLIC, MEMBER, f.commit(true));
    unconfirmed.auth.confirmation_tag = None;
    let refused = protect_public(&f.suite, unconfirmed, &f.context, &f.membership_key);
    assert_eq!(refused, Err(FramingError::MissingConfirmationTag));
}

#[test]
fn each_way_of_protecting_takes_only_its_senders() {
    let f = Fixture::new();
    let member = f.signed(PUBLIC, MEMBER, remove());
    let wrong = FramingError::WrongSenderType(SenderType::Member);
    assert_eq!(protect_public_from_outside(member), Err(wrong));
    let external = f.signed(PUBLIC, Sender::External(0), remove());
    let wrong = FramingError::WrongSenderType(SenderType::External);
    let refused = protect_public(&f.suite, external, &f.context, &f.membership_key);
    assert_eq!(refused, Err(wrong));
}

#[test]
fn messages_of_another_group_or_epoch_are_refused() {
    let f = Fixture::new();
    let sent = f.signed(PUBLIC, Sender::External(0), remove());
    let message = protect_public_from_outside(sent.clone()).unwrap();
    let next = f.next_context();
    let mut elsewhere = f.context.clone();
    elsewhere.group_id = b"another".as_slice().into();
    let wrong_epoch = FramingError::WrongEpoch { message: Epoch(7), context: Epoch(8) };
    for (context, error) in [(next, wrong_epoch), (elsewhere, FramingError::WrongGroup)] {
        assert_eq!(open_public(&f.suite, message.clone(), &context, None), Err(error));
        let key = &f.signer.public;
        assert_eq!(verify_signature(&f.suite, &sent, &context, key), Err(error));
        let framed = sent.content.clone();
        assert_eq!(sign_content(&f.suite, PUBLIC, framed, &context, &f.signer), Err(error));
        let member = f.signed(PUBLIC, MEMBER, remove());
        assert_eq!(protect_public(&f.suite, member, &context, &f.membership_key), Err(error));
    }
}

#[test]
fn a_signature_is_of_the_labelled_encoding_of_section_6_1() {
    let f = Fixture::new();
    let signed = f.signed(PUBLIC, MEMBER, remove());
    let tbs =
        FramedContentTbs { wire_format: PUBLIC, content: &signed.content, context: &f.context };
    let (tbs, signature) = (tbs.to_bytes().unwrap(), &signed.auth.signature);
    let key = &f.signer.public;
    assert_eq!(f.suite.verify_with_label(key, b"FramedContentTBS", &tbs, signature), Ok(()));
}

#[test]
fn only_the_signatures_of_members_and_joiners_cover_the_context() {
    let f = Fixture::new();
    let mut context = f.context.clone();
    context.confirmed_transcript_hash = [0; 32].into();
    for (sender, content, covered) in [
        (MEMBER, remove(), true),
        (Sender::NewMemberCommit, f.commit(true), true),
        (Sender::External(0), remove(), false),
        (Sender::NewMemberProposal, Content::Proposal(f.add()), false),
    ] {
        let signed = f.signed(PUBLIC, sender, content);
        let result = verify_signature(&f.suite, &signed, &context, &f.signer.public);
        let want = if covered { Err(FramingError::InvalidSignature) } else { Ok(()) };
        assert_eq!(result, want, "{sender:?}");
    }
}

#[test]
fn a_signature_is_of_one_key_one_message_and_one_wire_format() {
    let f = Fixture::new();
    let signed = f.signed(PUBLIC, MEMBER, remove());
    let invalid = Err(FramingError::InvalidSignature);
    let verify = |m: &AuthenticatedContent, key: &SignaturePublicKey| {
        verify_signature(&f.suite, m, &f.context, key)
    };
    assert_eq!(verify(&signed, &f.signer.public), Ok(()));
    let other = f.suite.signature_key_pair(&mut TestRng(2)).unwrap();
    assert_eq!(verify(&signed, &other.public), invalid);
    assert_eq!(verify(&signed, &[0xff; 31].as_slice().into()), invalid);

    let mut changed = signed.clone();
    changed.wire_format = WireFormat::PRIVATE_MESSAGE;
    assert_eq!(verify(&changed, &f.signer.public), invalid);
    let mut changed = signed.clone();
    changed.content.authenticated_data = Vec::new().into();
    assert_eq!(verify(&changed, &f.signer.public), invalid);
    let n = signed.auth.signature.len();
    let mut longer = signed.auth.signature.to_vec();
    longer.push(0);
    for length in (0..=n + 1).filter(|length| *length != n) {
        let mut changed = signed.clone();
        changed.auth.signature = longer[..length].into();
        assert_eq!(verify(&changed, &f.signer.public), invalid, "{length} bytes");
    }
}

#[test]
fn an_observer_opens_without_the_membership_key_and_still_needs_the_signature() {
    let f = Fixture::new();
    let mut message = f.protect_public(f.signed(PUBLIC, MEMBER, remove()));
    let open = |m: &PublicMessage| open_public(&f.suite, m.clone(), &f.context, None).unwrap();
    assert!(open(&message).verify(&f.suite, &f.context, &f.signer.public).is_ok());
    message.content.authenticated_data = [0].into();
    let refused = open(&message).verify(&f.suite, &f.context, &f.signer.public);
    assert_eq!(refused, Err(FramingError::InvalidSignature));
}

#[test]
fn other_wire_formats_are_not_signed() {
    let f = Fixture::new();
    for wire_format in [0, 3, 4, 5, 0xffff].map(WireFormat) {
        let framed = f.framed(MEMBER, remove());
        let signed = sign_content(&f.suite, wire_format, framed, &f.context, &f.signer);
        assert_eq!(signed, Err(FramingError::WrongWireFormat(wire_format)));
    }
}
