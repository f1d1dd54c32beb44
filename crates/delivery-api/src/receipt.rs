//! What the service signs about a group's log, so that it can be held to it.

use super::{
    ChainHash, ChainInput, ContentType, Decode, DecodeError, DeviceId, Encode, EncodeError,
    GroupId, Incarnation, LogEntry, LogPosition, MAX_PAGE, Reader, SESSION_SCHEME, Writer, to_hex,
};
use conclave_mls::UnixTime;
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{CryptoError, CryptoProvider, SignatureKeyPair, Suite};
use core::fmt;

/// Separates a receipt's signature from everything else that the service's key signs.
const LABEL: &[u8] = b"Conclave log receipt 1";
/// The version of [`Receipt`].
const VERSION: u8 = 1;
/// The version of a [`LogEvidence`].
const EVIDENCE_VERSION: u8 = 1;
/// What a file of [`LogEvidence`] starts with.
const MAGIC: &[u8; 8] = b"CNCLVELG";
/// The most links of evidence: those of a page.
const MAX_LINKS: usize = MAX_PAGE as usize;
/// The longest file of [`LogEvidence`] in bytes.
pub const MAX_LOG_EVIDENCE: usize = 1 << 20;

/// The service's word that a group's log has an entry at a place, after which it has this hash.
///
/// ```text
/// struct {
///     uint8 version = 1;
///     opaque incarnation[16];
///     uint64 incarnation_number;
///     opaque group_id<V>;
///     uint64 seq;
///     uint64 epoch;
///     opaque chain[32];
///     uint64 issued_at;
///     opaque signature<V>;    // SignWithLabel(service key, "Conclave log receipt 1", all before)
/// } Receipt;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// In which life of the service.
    pub incarnation: Incarnation,
    /// The group.
    pub group_id: GroupId,
    /// The place.
    pub position: LogPosition,
    /// When it was signed, in seconds since 1970.
    pub issued_at: u64,
    /// The signature, by the key that signs the directory's roots.
    pub signature: Vec<u8>,
}

impl Receipt {
    /// The longest signature in bytes: that of [`SESSION_SCHEME`].
    pub const MAX_SIGNATURE: usize = 64;

    /// A signed receipt.
    ///
    /// # Errors
    /// If the provider cannot sign.
    pub fn signed(
        provider: &dyn CryptoProvider,
        key_pair: &SignatureKeyPair,
        incarnation: Incarnation,
        (group_id, position): (GroupId, LogPosition),
        now: UnixTime,
    ) -> Result<Self, CryptoError> {
        let (issued_at, signature) = (now.as_secs(), Vec::new());
        let mut receipt = Self { incarnation, group_id, position, issued_at, signature };
        receipt.signature = provider.sign(SESSION_SCHEME, key_pair, &receipt.signed_content()?)?;
        Ok(receipt)
    }

    /// Checks that a service signed this.
    ///
    /// # Errors
    /// If it did not.
    pub fn verify(
        &self,
        provider: &dyn CryptoProvider,
        service_key: &SignaturePublicKey,
    ) -> Result<(), CryptoError> {
        provider.verify(SESSION_SCHEME, service_key, &self.signed_content()?, &self.signature)
    }

    /// Whether the service cannot have given out both and be honest: they are about one place of one log.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        let place = |receipt: &Self| (receipt.incarnation, receipt.position.seq);
        self.group_id == other.group_id
            && place(self) == place(other)
            && self.position != other.position
    }

    fn signed_content(&self) -> Result<Vec<u8>, CryptoError> {
        let mut w = Writer::new();
        self.put_content(&mut w)?;
        Suite::sign_content(LABEL, w.written())
    }

    fn put_content(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&[VERSION]);
        self.incarnation.encode(w)?;
        self.group_id.encode(w)?;
        self.position.encode(w)?;
        self.issued_at.encode(w)
    }
}

impl Encode for Receipt {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.put_content(w)?;
        w.put_opaque(&self.signature)
    }
}

impl Decode for Receipt {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::decode(r)?;
        if version != VERSION {
            return Err(DecodeError::InvalidValue { field: "Receipt", value: version.into() });
        }
        let (incarnation, group_id) = (Decode::decode(r)?, Decode::decode(r)?);
        let (position, issued_at) = (Decode::decode(r)?, u64::decode(r)?);
        let signature = r.opaque()?;
        if signature.len() > Self::MAX_SIGNATURE {
            let value = signature.len() as u64;
            return Err(DecodeError::InvalidValue { field: "signature", value });
        }
        Ok(Self { incarnation, group_id, position, issued_at, signature: signature.to_vec() })
    }
}

structs! {
    /// An entry of a log without its message: what its hash is made of, beside group and number.
    pub struct Link {
        /// The epoch that the message was made in.
        pub epoch: u64,
        /// What the message holds.
        pub content_type: ContentType,
        /// Who submitted it.
        pub sender: DeviceId,
        /// When it came, in seconds since 1970.
        pub received_at: u64,
        /// SHA-256 of the message.
        pub message_hash: ChainHash,
    }
}

impl Link {
    /// An entry's.
    #[must_use]
    pub fn of(entry: &LogEntry) -> Self {
        Self {
            epoch: entry.epoch,
            content_type: entry.content_type,
            sender: entry.sender.clone(),
            received_at: entry.received_at,
            message_hash: ChainHash(super::sha256(&entry.message)),
        }
    }

    fn after(
        &self,
        group_id: &GroupId,
        seq: u64,
        before: &ChainHash,
    ) -> Result<ChainHash, EncodeError> {
        let input = ChainInput {
            group_id,
            seq,
            epoch: self.epoch,
            content_type: self.content_type,
            sender: &self.sender,
            received_at: self.received_at,
            message_hash: self.message_hash.0,
        };
        input.after(before)
    }
}

/// A file that shows to anybody that a service went on with a group's log in two ways.
///
/// ```text
/// struct {
///     opaque magic[8] = "CNCLVELG";
///     uint8 version = 1;
///     opaque service_key<V>;      // Ed25519
///     Receipt first;
///     Receipt second;
///     opaque before[32];
///     Link links<V>;              // the entries after first.seq, up to second.seq
/// } LogEvidence;
/// ```
///
/// Both receipts are of one group and one incarnation. If they are of one place, there are no links, and the places
/// are not the same. If the second one is of a later place, the links lead from the hash `before`, which is another
/// one than the first receipt's, to the second's: so the second is of a log that never had the first's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvidence {
    /// The service's key, which whoever reads this has to know from elsewhere.
    pub service_key: SignaturePublicKey,
    /// The receipt of the earlier place.
    pub first: Receipt,
    /// The other one.
    pub second: Receipt,
    /// The hash of the second one's log at the first one's place.
    pub before: ChainHash,
    /// The entries between them in the second one's log.
    pub links: Vec<Link>,
}

/// Why a [`LogEvidence`] convicts nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogEvidenceError {
    /// The bytes are none.
    Malformed(DecodeError),
    /// The file is longer than such evidence gets: the number of bytes.
    TooLong(usize),
    /// A receipt was not signed by the key in it.
    Receipt(CryptoError),
    /// The links do not lead from one place to the other.
    Links,
    /// All of it can be true.
    NoContradiction,
}

impl fmt::Display for LogEvidenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(e) => write!(f, "this is no file of evidence: {e}"),
            Self::TooLong(bytes) => write!(f, "a file of {bytes} bytes is too long"),
            Self::Receipt(e) => write!(f, "this proves nothing: a receipt does not verify: {e}"),
            Self::Links => f.write_str(
                "this proves nothing: its entries do not lead from one receipt to the other",
            ),
            Self::NoContradiction => {
                f.write_str("this proves nothing: all that the service signed here can be true")
            }
        }
    }
}

impl core::error::Error for LogEvidenceError {}

impl LogEvidence {
    /// Whether a file is of this kind, whatever is in it.
    #[must_use]
    pub fn is_kind_of(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Decodes a file.
    ///
    /// # Errors
    /// [`LogEvidenceError::Malformed`], [`LogEvidenceError::TooLong`].
    pub fn read(bytes: &[u8]) -> Result<Self, LogEvidenceError> {
        if bytes.len() > MAX_LOG_EVIDENCE {
            return Err(LogEvidenceError::TooLong(bytes.len()));
        }
        Self::from_bytes(bytes).map_err(LogEvidenceError::Malformed)
    }

    /// Checks that this convicts the service with the key in it, by itself and nothing else.
    ///
    /// # Errors
    /// [`LogEvidenceError`] says why it does not.
    pub fn check(&self, provider: &dyn CryptoProvider) -> Result<(), LogEvidenceError> {
        for receipt in [&self.first, &self.second] {
            receipt.verify(provider, &self.service_key).map_err(LogEvidenceError::Receipt)?;
        }
        let Self { first, second, .. } = self;
        if self.links.is_empty() {
            return match first.contradicts(second) {
                true => Ok(()),
                false => Err(LogEvidenceError::NoContradiction),
            };
        }

        let one_log = first.group_id == second.group_id && first.incarnation == second.incarnation;
        let mut place = LogPosition { chain: self.before, ..first.position };
        for link in &self.links {
            place.seq = place.seq.checked_add(1).ok_or(LogEvidenceError::Links)?;
            let next = link.after(&first.group_id, place.seq, &place.chain);
            place.chain = next.map_err(|_| LogEvidenceError::Links)?;
        }
        if (place.seq, place.chain) != (second.position.seq, second.position.chain) {
            return Err(LogEvidenceError::Links);
        }
        if !one_log || self.before == first.position.chain {
            return Err(LogEvidenceError::NoContradiction);
        }
        Ok(())
    }

    /// What this proves, in words for people, with what they need to compare it.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn report(&self, provider: &dyn CryptoProvider) -> Result<String, LogEvidenceError> {
        self.check(provider)?;
        let group = to_hex(&self.first.group_id);
        let mut text = format!(
            "The service has gone on with the log of group {group} in two ways, without having been restored \
             between them: members were shown different messages, or in another order, or messages that it had \
             acknowledged were taken out.\n\n"
        );
        for receipt in [&self.first, &self.second] {
            let LogPosition { seq, epoch, chain } = receipt.position;
            let at = receipt.issued_at;
            text += &format!(
                "Up to message {seq}, epoch {epoch}, signed {at} seconds after 1970 began: {chain}\n"
            );
        }
        if !self.links.is_empty() {
            let (seq, before) = (self.first.position.seq, self.before);
            text += &format!("The second one's log, up to message {seq}: {before}\n");
        }
        let key = to_hex(&self.service_key);
        text += &format!(
            "Signed by the service with the Ed25519 key {key}.\nAnybody can check this file: it needs neither the \
             service nor its consent.\n"
        );
        Ok(text)
    }
}

impl Encode for LogEvidence {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(MAGIC);
        w.put(&[EVIDENCE_VERSION]);
        self.service_key.encode(w)?;
        self.first.encode(w)?;
        self.second.encode(w)?;
        self.before.encode(w)?;
        self.links.encode(w)
    }
}

impl Decode for LogEvidence {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let invalid = |value: u64| DecodeError::InvalidValue { field: "LogEvidence", value };
        let magic: [u8; 8] = r.take_array()?;
        let version = u8::decode(r)?;
        if magic != *MAGIC || version != EVIDENCE_VERSION {
            return Err(invalid(version.into()));
        }
        let service_key = Decode::decode(r)?;
        let (first, second) = (Decode::decode(r)?, Decode::decode(r)?);
        let (before, links) = (Decode::decode(r)?, Vec::decode(r)?);
        if links.len() > MAX_LINKS {
            return Err(invalid(links.len() as u64));
        }
        Ok(Self { service_key, first, second, before, links })
    }
}
