//! Identifiers of messages (section 3.3).

use crate::cbor::{Reader, Writer};
use crate::error::{ContentError, Fault};
use core::fmt;
use sha2::{Digest, Sha256};

/// 16 octets that are random for each message (section 4.1), so that nobody can guess a message from its identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Salt(pub [u8; 16]);

impl Salt {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ContentError> {
        bytes_of(reader, "the salt").map(Self)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.0);
    }
}

/// The identifier of a message: the number of a hash algorithm and 31 octets of a hash of the message, its
/// sender, its room and its salt.
///
/// Its order is that of messages whose accepted timestamps are equal (section 5.11).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 32]);

/// A URI has more octets than the two of its length can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriTooLong;

impl fmt::Display for UriTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sender's or room's URI has more than 65535 octets: no message identifier includes it")
    }
}

impl core::error::Error for UriTooLong {}

impl MessageId {
    /// The number of SHA-256 in the IANA's registry of named information, which every identifier begins with.
    pub const SHA_256: u8 = 0x01;

    /// Derives the identifier of a message from its bytes as they were sent (section 3.3).
    ///
    /// `sender` is the URI of the user who sent it, `room` the room's. Both have to be the authenticated ones: whoever
    /// could choose them could give a message the identifier that it has from somebody else.
    ///
    /// # Errors
    /// If a URI has more than 65535 octets.
    pub fn derive(
        sender: &str,
        room: &str,
        message: &[u8],
        salt: &Salt,
    ) -> Result<Self, UriTooLong> {
        let mut hash = Sha256::new();
        for uri in [sender, room] {
            let length = u16::try_from(uri.len()).map_err(|_| UriTooLong)?;
            hash.update(length.to_be_bytes());
            hash.update(uri.as_bytes());
        }
        hash.update(message);
        hash.update(salt.0);

        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [Self::SHA_256; 32];
        id.iter_mut().skip(1).zip(digest).for_each(|(to, from)| *to = from);
        Ok(Self(id))
    }

    /// Reads an identifier of whatever algorithm, as status reports may hold it.
    pub(crate) fn read_any(reader: &mut Reader<'_>) -> Result<Self, ContentError> {
        bytes_of(reader, "a message identifier").map(Self)
    }

    /// Reads an identifier whose algorithm is known: a message that names another is to be discarded (section 9.1).
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ContentError> {
        let start = reader.offset();
        let id = Self::read_any(reader)?;
        let [algorithm, ..] = id.0;
        if algorithm == Self::SHA_256 {
            Ok(id)
        } else {
            Err(Fault::UnknownHashAlgorithm(algorithm).at(start))
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.0);
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

fn bytes_of<const N: usize>(
    reader: &mut Reader<'_>,
    what: &'static str,
) -> Result<[u8; N], ContentError> {
    let start = reader.offset();
    reader.bytes()?.try_into().map_err(|_| Fault::WrongLength(what).at(start))
}
