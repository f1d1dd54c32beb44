//! Transcript hashes and confirmation tags (RFC 9420 sections 6.1 and 8.2).

use super::compare::same;
use super::hex::Hex;
use super::problem::{At, Problem, ensure};
use super::sample;
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::{Digest, Suite};
use conclave_schedule::{
    ConfirmationKey, confirmation_tag, confirmation_tag_matches, confirmed_transcript_hash,
    interim_transcript_hash,
};
use conclave_wire::{
    AuthenticatedContent, Bytes, ConfirmedTranscriptHashInput, Content, ContentType, Encode, Epoch,
    FramedContent, FramedContentAuthData, LeafIndex, Sender, WireFormat,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct TranscriptHashes {
    cipher_suite: u16,
    confirmation_key: Hex,
    authenticated_content: Hex,
    interim_transcript_hash_before: Hex,
    confirmed_transcript_hash_after: Hex,
    interim_transcript_hash_after: Hex,
}

fn confirmed(
    suite: &Suite<'_>,
    interim_before: &[u8],
    commit: &AuthenticatedContent,
) -> Result<Digest, Problem> {
    let AuthenticatedContent { wire_format, content, auth } = commit;
    let signature = &auth.signature;
    let input = ConfirmedTranscriptHashInput { wire_format: *wire_format, content, signature };
    Ok(confirmed_transcript_hash(suite, interim_before, &input)?)
}

impl SuiteVector for TranscriptHashes {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, _: &mut SeededRng) -> Result<(), Problem> {
        let commit: AuthenticatedContent =
            self.authenticated_content.decode("authenticated_content")?;
        let is_commit = commit.content.content.content_type() == ContentType::Commit;
        ensure(is_commit, "authenticated_content is no commit")?;
        let tag = commit.auth.confirmation_tag.as_ref().at("the commit has no confirmation tag")?;

        let after = confirmed(suite, &self.interim_transcript_hash_before, &commit)?;
        same("confirmed_transcript_hash_after", &after, &self.confirmed_transcript_hash_after)?;
        let key = ConfirmationKey::from_secret(self.confirmation_key.secret());
        let matches = confirmation_tag_matches(suite, &key, &after, tag)?;
        ensure(matches, "the confirmation tag is not valid")?;
        let interim = interim_transcript_hash(suite, &after, tag)?;
        same("interim_transcript_hash_after", &interim, &self.interim_transcript_hash_after)
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        let mut vectors = Vec::new();
        for wire_format in [WireFormat::PUBLIC_MESSAGE, WireFormat::PRIVATE_MESSAGE] {
            let before = Hex(rng.bytes(suite.nh()));
            let key = ConfirmationKey::from_secret(sample::secret(suite, rng));
            let content = FramedContent {
                group_id: rng.bytes(16).into(),
                epoch: Epoch(rng.below(1 << 40)),
                sender: Sender::Member(LeafIndex(rng.below(1 << 16) as u32)),
                authenticated_data: rng.bytes(10).into(),
                content: Content::Commit(sample::commit(rng)),
            };
            let signature = Bytes::from(rng.bytes(64));
            let auth = FramedContentAuthData { signature, confirmation_tag: None };
            let mut commit = AuthenticatedContent { wire_format, content, auth };
            let after = confirmed(suite, &before, &commit)?;
            let tag = confirmation_tag(suite, &key, &after)?;
            let interim = interim_transcript_hash(suite, &after, &tag)?;
            commit.auth.confirmation_tag = Some(tag);
            vectors.push(Self {
                cipher_suite: suite.cipher_suite().0,
                confirmation_key: Hex::of(key.expose()),
                authenticated_content: commit.to_bytes()?.into(),
                interim_transcript_hash_before: before,
                confirmed_transcript_hash_after: Hex::of(&after),
                interim_transcript_hash_after: Hex::of(&interim),
            });
        }
        Ok(vectors)
    }
}
