//! The transcript and the key schedule from one epoch to the next (section 8).

use crate::error::Error;
use crate::state::exporter::epoch_secrets;
use crate::view::GroupView;
use conclave_crypto::{Secret, Suite};
use conclave_schedule::{
    CommitSecret, EpochSecrets, InitSecret, JoinerSecret, MemberSecret, confirmed_transcript_hash,
    psk_secret,
};
use conclave_wire::{Bytes, ConfirmedTranscriptHashInput, Encode, GroupContext, PreSharedKeyId};

/// Derives the secrets of the next epoch, and those for its Welcomes. `exports` says whether components
/// [export](crate::state::exporter::exports) in it.
pub(crate) fn next_epoch(
    suite: &Suite<'_>,
    init: &InitSecret,
    commit: &CommitSecret,
    psks: &[(PreSharedKeyId, Secret)],
    context: &GroupContext,
    exports: bool,
) -> Result<(WelcomeKeys, EpochSecrets), Error> {
    let context = context.to_bytes()?;
    let joiner = JoinerSecret::derive(suite, init, commit, &context)?;
    let member = MemberSecret::derive(suite, &joiner, &psk_secret(suite, psks)?)?;
    let (key, nonce) = member.welcome_key(suite)?;
    Ok((WelcomeKeys { joiner, key, nonce }, epoch_secrets(suite, member, &context, exports)?))
}

/// The secrets that a Welcome holds or is encrypted with.
pub(crate) struct WelcomeKeys {
    pub(crate) joiner: JoinerSecret,
    pub(crate) key: Secret,
    pub(crate) nonce: Secret,
}

/// The confirmed transcript hash with a commit added (section 8.2).
pub(crate) fn confirmed_after(
    group: GroupView<'_>,
    suite: &Suite<'_>,
    commit: &ConfirmedTranscriptHashInput<'_, impl Encode>,
) -> Result<Bytes, Error> {
    let interim = &group.epoch.interim_transcript_hash;
    Ok(confirmed_transcript_hash(suite, interim, commit)?.to_vec().into())
}
