//! Proof that a service lied, for others to check.

use crate::entry::MAX_NAME;
use crate::error::{ProofError, RootError};
use crate::extension::{Extension, MAX_EXTENSION};
use crate::finding::Finding;
use crate::root::{Root, ServiceKey, SignedRoot, take_bounded};
use crate::statement::{Facts, Statement};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt;
use core::fmt::Write as _;

/// The version of the file.
const VERSION: u8 = 1;
/// The longest file in bytes.
pub const MAX_EVIDENCE: usize = MAX_EXTENSION + (64 << 10);

/// A file that shows what a service did to whoever has nothing else: it holds the service's key and what the
/// service signed. [`Evidence::check`] says what follows.
///
/// ```text
/// struct {
///     opaque magic[8] = "CNCLVEVD";
///     uint8 version = 1;
///     ServiceKey key;
///     uint8 kind;
///     select (kind) {
///         case 1: SignedRoot roots[2];
///         case 2: SignedRoot old; SignedRoot new; opaque extension<V>;
///         case 3: opaque user<V>; Statement statements[2];
///     };
/// } Evidence;
/// ```
///
/// Whoever reads it has to know from elsewhere whose key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    key: Arc<ServiceKey>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Roots([SignedRoot; 2]),
    Extension { old: SignedRoot, new: SignedRoot, proof: Vec<u8> },
    Statements { user: Vec<u8>, statements: [Statement; 2] },
}

/// Why a file convicts nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The bytes are no evidence.
    Malformed(DecodeError),
    /// The file is longer than evidence gets: the number of bytes.
    TooLong(usize),
    /// A root in it was not signed by the key in it.
    Root(RootError),
    /// A proof in it does not verify, and is not signed by itself.
    Proof(ProofError),
    /// All of it is signed, and can be true.
    NoContradiction,
}

impl fmt::Display for EvidenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "this is no file of evidence: {error}"),
            Self::TooLong(bytes) => write!(f, "a file of {bytes} bytes is too long"),
            Self::Root(error) => write!(f, "this proves nothing: {error}"),
            Self::Proof(error) => write!(f, "this proves nothing: {error}"),
            Self::NoContradiction => {
                f.write_str("this proves nothing: all that the service signed here can be true")
            }
        }
    }
}

impl core::error::Error for EvidenceError {}

impl Evidence {
    /// What a file starts with.
    pub const MAGIC: &[u8; 8] = b"CNCLVEVD";

    /// Whether a file is of this kind, whatever is in it.
    #[must_use]
    pub fn is_kind_of(bytes: &[u8]) -> bool {
        bytes.starts_with(Self::MAGIC)
    }

    /// Two roots of one epoch.
    #[must_use]
    pub fn two_roots(key: Arc<ServiceKey>, first: SignedRoot, second: SignedRoot) -> Self {
        Self { key, kind: Kind::Roots([first, second]) }
    }

    /// A proof that the service signed, and that does not lead from one root to the other.
    #[must_use]
    pub fn broken_extension(
        key: Arc<ServiceKey>,
        old: SignedRoot,
        new: SignedRoot,
        proof: Vec<u8>,
    ) -> Self {
        Self { key, kind: Kind::Extension { old, new, proof } }
    }

    /// Two proofs about a name that cannot both be true. Twice the same one, if it contradicts itself.
    #[must_use]
    pub fn statements(
        key: Arc<ServiceKey>,
        user: &[u8],
        first: Statement,
        second: Statement,
    ) -> Self {
        let statements = [first, second];
        Self { key, kind: Kind::Statements { user: user.to_vec(), statements } }
    }

    /// Decodes a file.
    ///
    /// # Errors
    /// [`EvidenceError::Malformed`], [`EvidenceError::TooLong`].
    pub fn read(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > MAX_EVIDENCE {
            return Err(EvidenceError::TooLong(bytes.len()));
        }
        Self::from_bytes(bytes).map_err(EvidenceError::Malformed)
    }

    /// The key of the service that this is about.
    #[must_use]
    pub fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// What this proves, by itself and nothing else.
    ///
    /// # Errors
    /// [`EvidenceError`] says why it proves nothing.
    pub fn check(&self, provider: &dyn CryptoProvider) -> Result<Finding, EvidenceError> {
        match &self.kind {
            Kind::Roots([first, second]) => {
                let first = self.root(provider, first)?;
                let second = self.root(provider, second)?;
                let same_root = first.signed().root == second.signed().root;
                if first.epoch() != second.epoch() || same_root {
                    return Err(EvidenceError::NoContradiction);
                }
                Ok(Finding::TwoRoots { epoch: first.epoch() })
            }
            Kind::Extension { old, new, proof } => {
                let old = self.root(provider, old)?;
                let new = self.root(provider, new)?;
                let extension = Extension::read(proof).map_err(EvidenceError::Proof)?;
                extension.verify_signature(provider, &self.key).map_err(EvidenceError::Proof)?;
                convicted(provider, &extension, &old, &new)
            }
            Kind::Statements { user, statements } => {
                let facts = |statement: &Statement| {
                    let root = self.root(provider, &statement.root)?;
                    Facts::verify(provider, &root, user, &statement.claim)
                        .map_err(EvidenceError::Proof)
                };
                let [first, second] = statements;
                facts(first)?
                    .contradiction(&facts(second)?, user)
                    .ok_or(EvidenceError::NoContradiction)
            }
        }
    }

    fn root(
        &self,
        provider: &dyn CryptoProvider,
        root: &SignedRoot,
    ) -> Result<Root, EvidenceError> {
        root.verify(provider, &self.key).map_err(EvidenceError::Root)
    }

    fn roots(&self) -> [&SignedRoot; 2] {
        match &self.kind {
            Kind::Roots([first, second]) => [first, second],
            Kind::Extension { old, new, .. } => [old, new],
            Kind::Statements { statements: [first, second], .. } => [&first.root, &second.root],
        }
    }

    /// What this proves, in words for people, with what they need to compare it.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn report(&self, provider: &dyn CryptoProvider) -> Result<String, EvidenceError> {
        let finding = self.check(provider)?;
        let mut text = format!("{finding}\n\n");
        for root in self.roots() {
            let SignedRoot { epoch, root, published_at, .. } = root;
            let at = Utc(*published_at);
            // Writing to a string does not fail.
            let _ = writeln!(text, "Directory number {epoch}, signed {at}: {}", hex(root));
        }
        let _ = writeln!(
            text,
            "Signed by the service with the {} key {}.",
            self.key.scheme,
            hex(&self.key.public)
        );
        text.push_str(
            "Anybody can check this file: it needs neither the service nor its consent.\n",
        );
        Ok(text)
    }
}

/// What a signed proof shows if it is wrong. A proof between other epochs than those of the roots shows
/// nothing.
fn convicted(
    provider: &dyn CryptoProvider,
    extension: &Extension,
    old: &Root,
    new: &Root,
) -> Result<Finding, EvidenceError> {
    match extension.verify(provider, old, new) {
        Ok(()) => Err(EvidenceError::NoContradiction),
        Err(
            error @ (ProofError::OtherEpochs | ProofError::OtherService | ProofError::Crypto(_)),
        ) => Err(EvidenceError::Proof(error)),
        Err(why) => Ok(Finding::BrokenExtension { from: old.epoch(), to: new.epoch(), why }),
    }
}

impl Encode for Evidence {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(Self::MAGIC);
        w.put(&[VERSION]);
        self.key.encode(w)?;
        match &self.kind {
            Kind::Roots(roots) => {
                w.put(&[1]);
                roots.iter().try_for_each(|root| root.encode(w))
            }
            Kind::Extension { old, new, proof } => {
                w.put(&[2]);
                old.encode(w)?;
                new.encode(w)?;
                w.put_opaque(proof)
            }
            Kind::Statements { user, statements } => {
                w.put(&[3]);
                w.put_opaque(user)?;
                statements.iter().try_for_each(|statement| statement.encode(w))
            }
        }
    }
}

impl Decode for Evidence {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let invalid =
            |value: u8| DecodeError::InvalidValue { field: "Evidence", value: value.into() };
        let magic: [u8; 8] = r.take_array()?;
        let version = u8::decode(r)?;
        if magic != *Self::MAGIC || version != VERSION {
            return Err(invalid(version));
        }

        let key = Arc::new(ServiceKey::decode(r)?);
        let kind = match u8::decode(r)? {
            1 => Kind::Roots([SignedRoot::decode(r)?, SignedRoot::decode(r)?]),
            2 => Kind::Extension {
                old: SignedRoot::decode(r)?,
                new: SignedRoot::decode(r)?,
                proof: take_bounded(r, MAX_EXTENSION, "Extension")?.to_vec(),
            },
            3 => Kind::Statements {
                user: take_bounded(r, MAX_NAME, "user")?.to_vec(),
                statements: [Statement::decode(r)?, Statement::decode(r)?],
            },
            other => return Err(invalid(other)),
        };
        Ok(Self { key, kind })
    }
}

/// Bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Seconds since 1970 as a date and a time of day.
struct Utc(u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if days > 2_932_896 {
            return write!(f, "{} seconds after 1970 began", self.0);
        }

        // A year starts in March here, so that a leap day is its last.
        let since_march = days + 719_468;
        let (era, day_of_era) = (since_march / 146_097, since_march % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn seconds_are_shown_as_a_date() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_827_696, "2000-02-29 12:34:56 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
            (u64::MAX, "18446744073709551615 seconds after 1970 began"),
        ] {
            assert_eq!(Utc(seconds).to_string(), shown);
        }
    }
}
