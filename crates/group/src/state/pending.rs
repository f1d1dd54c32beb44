//! What waits: our Update proposals for somebody's commit, and our commit for its verdict.

use crate::config::Config;
use crate::error::Error;
use crate::event::{CommitId, CommitMessages, WelcomeMessage};
use crate::store::row_codec::{nothing_left, put_secret, take_secret};
use alloc::vec::Vec;
use conclave_crypto::{HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_wire::{
    AuthenticatedCommit, AuthenticatedContent, Bytes, Decode, Encode, KeyPackageRef, MlsMessage,
    MlsMessageBody, NodeIndex, PreSharedKeyId, PublicMessage, Reader, WireFormat, Writer,
};

/// The private keys of an Update proposal of ours.
#[derive(Clone)]
pub(crate) struct PendingUpdate {
    pub(crate) leaf_key: HpkePrivateKey,
    /// The new signature key pair, if the Update changes it.
    pub(crate) signer: Option<SignatureKeyPair>,
}

/// Our commit, with what it takes to apply it once it is accepted.
pub(crate) struct PendingCommit {
    pub(crate) content: AuthenticatedCommit,
    pub(crate) path: Option<OwnPath>,
    /// The PSKs that the commit injects, in its order.
    pub(crate) psks: Vec<(PreSharedKeyId, Secret)>,
    /// The new data of the components that the commit updates, in ascending order.
    pub(crate) app_data: Vec<Bytes>,
    pub(crate) messages: CommitMessages,
}

/// The secrets of a path of ours.
#[derive(Clone)]
pub(crate) struct OwnPath {
    pub(crate) leaf_key: HpkePrivateKey,
    pub(crate) keys: Vec<(NodeIndex, HpkePrivateKey)>,
    pub(crate) commit_secret: Secret,
    /// The new signature key pair, if the path changes it.
    pub(crate) signer: Option<SignatureKeyPair>,
}

fn put_signer(w: &mut Writer, signer: Option<&SignatureKeyPair>) -> Result<(), Error> {
    u8::from(signer.is_some()).encode(w)?;
    if let Some(signer) = signer {
        put_secret(w, &signer.private)?;
        signer.public.encode(w)?;
    }
    Ok(())
}

fn take_signer(r: &mut Reader<'_>) -> Result<Option<SignatureKeyPair>, Error> {
    if !take_flag(r)? {
        return Ok(None);
    }
    Ok(Some(SignatureKeyPair::new(take_secret(r)?, Decode::decode(r)?)))
}

fn take_flag(r: &mut Reader<'_>) -> Result<bool, Error> {
    match u8::decode(r)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(conclave_wire::DecodeError::InvalidPresence(other).into()),
    }
}

fn take_list<T>(
    r: &mut Reader<'_>,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let count = u32::decode(r)?;
    (0..count).map(|_| item(r)).collect()
}

fn put_count(w: &mut Writer, n: usize) -> Result<(), Error> {
    let n = u32::try_from(n).map_err(|_| Error::storage("too many items for a row"))?;
    Ok(n.encode(w)?)
}

impl PendingUpdate {
    pub(crate) fn to_row(&self) -> Result<Secret, Error> {
        let mut w = Writer::secret();
        put_secret(&mut w, &self.leaf_key.0)?;
        put_signer(&mut w, self.signer.as_ref())?;
        Ok(Secret::new(w.finish()))
    }

    pub(crate) fn from_row(bytes: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let leaf_key = HpkePrivateKey(take_secret(&mut r)?);
        let signer = take_signer(&mut r)?;
        nothing_left(&r)?;
        Ok(Self { leaf_key, signer })
    }
}

impl OwnPath {
    fn encode(&self, w: &mut Writer) -> Result<(), Error> {
        put_secret(w, &self.leaf_key.0)?;
        put_count(w, self.keys.len())?;
        for (node, key) in &self.keys {
            node.0.encode(w)?;
            put_secret(w, &key.0)?;
        }
        put_secret(w, &self.commit_secret)?;
        put_signer(w, self.signer.as_ref())
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            leaf_key: HpkePrivateKey(take_secret(r)?),
            keys: take_list(r, |r| {
                Ok((NodeIndex(Decode::decode(r)?), HpkePrivateKey(take_secret(r)?)))
            })?,
            commit_secret: take_secret(r)?,
            signer: take_signer(r)?,
        })
    }
}

impl PendingCommit {
    pub(crate) fn to_row(&self) -> Result<Secret, Error> {
        let mut w = Writer::secret();
        // A PublicMessage holds its content in the clear, so it is stored once, with the messages.
        let sealed = self.content.wire_format == WireFormat::PRIVATE_MESSAGE;
        u8::from(sealed).encode(&mut w)?;
        if sealed {
            self.content.encode(&mut w)?;
        }

        u8::from(self.path.is_some()).encode(&mut w)?;
        if let Some(path) = &self.path {
            path.encode(&mut w)?;
        }

        put_count(&mut w, self.psks.len())?;
        for (id, psk) in &self.psks {
            id.encode(&mut w)?;
            put_secret(&mut w, psk)?;
        }

        self.messages.encode(&mut w)?;
        if !self.app_data.is_empty() {
            self.app_data.encode(&mut w)?;
        }
        Ok(Secret::new(w.finish()))
    }

    pub(crate) fn from_row(
        suite: &Suite<'_>,
        bytes: &[u8],
        config: &Config,
    ) -> Result<Self, Error> {
        let mut r = Reader::with_proposals(bytes, &config.proposals);
        let sealed =
            if take_flag(&mut r)? { Some(AuthenticatedCommit::decode(&mut r)?) } else { None };
        let path = if take_flag(&mut r)? { Some(OwnPath::decode(&mut r)?) } else { None };
        let psks = take_list(&mut r, |r| Ok((Decode::decode(r)?, take_secret(r)?)))?;
        let messages = CommitMessages::decode(suite, &mut r)?;
        let app_data = if r.is_empty() { Vec::new() } else { Decode::decode(&mut r)? };
        nothing_left(&r)?;

        let content = match sealed {
            Some(content) => content,
            None => public_content(&messages.commit, config)?,
        };
        Ok(Self { content, path, psks, app_data, messages })
    }
}

/// The name of a commit, an encoded MLSMessage.
pub(crate) fn commit_id(suite: &Suite<'_>, message: &[u8]) -> Result<CommitId, Error> {
    Ok(CommitId(suite.hash(&[message])?.to_vec().into()))
}

/// The signed content of a PublicMessage, an encoded MLSMessage.
fn public_content(message: &[u8], config: &Config) -> Result<AuthenticatedCommit, Error> {
    let reader = Reader::with_proposals(message, &config.proposals);
    match MlsMessage::from_reader(reader)?.body {
        MlsMessageBody::PublicMessage(message) => {
            let PublicMessage { content, auth, .. } = *message;
            let wire_format = WireFormat::PUBLIC_MESSAGE;
            Ok(AuthenticatedContent { wire_format, content, auth }.try_into()?)
        }
        MlsMessageBody::PrivateMessage(_)
        | MlsMessageBody::Welcome(_)
        | MlsMessageBody::GroupInfo(_)
        | MlsMessageBody::KeyPackage(_)
        | MlsMessageBody::TargetedMessage(_) => {
            Err(Error::storage("the pending commit is not a PublicMessage"))
        }
    }
}

impl CommitMessages {
    fn encode(&self, w: &mut Writer) -> Result<(), Error> {
        w.put_opaque(&self.commit)?;
        put_count(w, self.welcomes.len())?;
        for welcome in &self.welcomes {
            w.put_opaque(&welcome.message)?;
            welcome.recipients.encode(w)?;
        }
        self.group_info.as_deref().map(Bytes::from).encode(w)?;
        Ok(())
    }

    fn decode(suite: &Suite<'_>, r: &mut Reader<'_>) -> Result<Self, Error> {
        let commit = r.opaque()?.to_vec();
        Ok(Self {
            id: commit_id(suite, &commit)?,
            commit,
            welcomes: take_list(r, |r| {
                let message = r.opaque()?.to_vec();
                let recipients = Vec::<KeyPackageRef>::decode(r)?;
                Ok(WelcomeMessage { message, recipients })
            })?,
            group_info: Option::<Bytes>::decode(r)?.map(Bytes::into_vec),
        })
    }
}
