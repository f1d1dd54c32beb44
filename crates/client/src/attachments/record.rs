//! What is kept of a transfer that is under way, so that it goes on whenever the device is next in use.
//!
//! One row each, by number. The key of a file is in it, so the row is as secret as the messages are.

use crate::attachments::ask::Ask;
use crate::attachments::cipher::FileKey;
use crate::lines::ChosenExpiry;
use conclave_content::Aead;
use conclave_delivery_api::{
    Bytes, Decode, DecodeError, DeviceId, Encode, EncodeError, GroupId, Reader, Writer,
};
use conclave_mls::crypto::Secret;

/// The table of transfers in the engine's store.
pub(super) const TABLE: &str = "files";

/// How rows are encoded.
const VERSION: u8 = 1;
const SEND: u8 = 0;
const SAVE: u8 = 1;
const GIVE: u8 = 2;
const TAKE: u8 = 3;
/// As [`SEND`], with an expiry behind it.
const SEND_EXPIRING: u8 = 4;
const AFTER_SENDING: u8 = 0;
const AFTER_READING: u8 = 1;

/// A file on the service, encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) key: FileKey,
    /// SHA-256 of the encrypted file, by which the service names it.
    pub(crate) hash: [u8; 32],
    /// The length of the encrypted file; of one that is fetched, the most that it may have.
    pub(crate) length: u64,
}

/// A file that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToSend {
    pub(crate) path: String,
    /// What is said with it; may be empty.
    pub(crate) text: String,
    /// What a client calls the message; may be empty.
    pub(crate) label: String,
    /// Whether the message is to cause no event.
    pub(crate) quiet: bool,
    /// When the message is to disappear, if its sender chooses that.
    pub(crate) expiry: Option<ChosenExpiry>,
    /// The encrypted copy, once there is one.
    pub(crate) sealed: Option<Sealed>,
}

/// A file that is to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToSave {
    /// The number of the message that it came with.
    pub(crate) number: u64,
    /// Where it is to be.
    pub(crate) path: String,
    pub(crate) sealed: Sealed,
}

/// What was said, for another device of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToGive {
    pub(crate) device: DeviceId,
    /// What it has asked.
    pub(crate) ask: Ask,
    /// The file, once it is written.
    pub(crate) sealed: Option<Sealed>,
}

/// What another device of the user's has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToTake {
    pub(crate) by: DeviceId,
    pub(crate) sealed: Sealed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Send(ToSend),
    Save(ToSave),
    Give(ToGive),
    Take(ToTake),
}

/// A transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) group: GroupId,
    /// What the file is called.
    pub(crate) name: String,
    pub(crate) task: Task,
}

fn put_text(w: &mut Writer, text: &str) -> Result<(), EncodeError> {
    w.put_opaque(text.as_bytes())
}

fn text(r: &mut Reader<'_>) -> Result<String, DecodeError> {
    String::from_utf8(Bytes::decode(r)?.into_vec()).map_err(|_| invalid("text", 0))
}

fn put_expiry(w: &mut Writer, chosen: ChosenExpiry) -> Result<(), EncodeError> {
    let (kind, seconds) = match chosen {
        ChosenExpiry::AfterSending(seconds) => (AFTER_SENDING, seconds),
        ChosenExpiry::AfterReading(seconds) => (AFTER_READING, seconds),
    };
    kind.encode(w)?;
    seconds.encode(w)
}

fn expiry(r: &mut Reader<'_>) -> Result<ChosenExpiry, DecodeError> {
    match u8::decode(r)? {
        AFTER_SENDING => Ok(ChosenExpiry::AfterSending(u32::decode(r)?)),
        AFTER_READING => Ok(ChosenExpiry::AfterReading(u32::decode(r)?)),
        other => Err(invalid("expiry", other.into())),
    }
}

fn flag(r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match u8::decode(r)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::InvalidPresence(other)),
    }
}

fn invalid(field: &'static str, value: u64) -> DecodeError {
    DecodeError::InvalidValue { field, value }
}

impl Encode for Sealed {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        (self.key.aead as u16).encode(w)?;
        w.put_opaque(self.key.key.expose())?;
        w.put_opaque(&self.key.nonce)?;
        w.put_opaque(&self.key.aad)?;
        w.put_opaque(&self.hash)?;
        self.length.encode(w)
    }
}

impl Decode for Sealed {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let aead = match u16::decode(r)? {
            1 => Aead::Aes128Gcm,
            2 => Aead::Aes256Gcm,
            29 => Aead::ChaCha20Poly1305,
            other => return Err(invalid("AEAD", other.into())),
        };
        let key = Secret::copy_from(&Bytes::decode(r)?);
        let (nonce, aad) = (Bytes::decode(r)?.into_vec(), Bytes::decode(r)?.into_vec());
        let hash = Bytes::decode(r)?;
        let hash = hash.as_ref().try_into().map_err(|_| invalid("hash", hash.len() as u64))?;
        let key = FileKey { aead, key, nonce, aad };
        Ok(Self { key, hash, length: u64::decode(r)? })
    }
}

impl Record {
    pub(super) fn to_row(&self) -> Result<Secret, EncodeError> {
        let mut w = Writer::secret();
        VERSION.encode(&mut w)?;
        w.put_opaque(&self.group)?;
        put_text(&mut w, &self.name)?;
        match &self.task {
            Task::Send(send) => {
                let kind = if send.expiry.is_some() { SEND_EXPIRING } else { SEND };
                kind.encode(&mut w)?;
                put_text(&mut w, &send.path)?;
                put_text(&mut w, &send.text)?;
                put_text(&mut w, &send.label)?;
                u8::from(send.quiet).encode(&mut w)?;
                send.sealed.encode(&mut w)?;
                if let Some(chosen) = send.expiry {
                    put_expiry(&mut w, chosen)?;
                }
            }
            Task::Save(save) => {
                SAVE.encode(&mut w)?;
                save.number.encode(&mut w)?;
                put_text(&mut w, &save.path)?;
                save.sealed.encode(&mut w)?;
            }
            Task::Give(give) => {
                GIVE.encode(&mut w)?;
                give.device.encode(&mut w)?;
                give.ask.encode(&mut w)?;
                give.sealed.encode(&mut w)?;
            }
            Task::Take(take) => {
                TAKE.encode(&mut w)?;
                take.by.encode(&mut w)?;
                take.sealed.encode(&mut w)?;
            }
        }
        Ok(Secret::new(w.finish()))
    }

    pub(super) fn from_row(row: &[u8]) -> Result<Self, DecodeError> {
        Self::from_bytes(row)
    }
}

impl Decode for Record {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            VERSION => {}
            other => return Err(invalid("version", other.into())),
        }
        let group = GroupId::from(&*Bytes::decode(r)?);
        let name = text(r)?;
        let task = match u8::decode(r)? {
            kind @ (SEND | SEND_EXPIRING) => Task::Send(ToSend {
                path: text(r)?,
                text: text(r)?,
                label: text(r)?,
                quiet: flag(r)?,
                sealed: Option::decode(r)?,
                expiry: if kind == SEND_EXPIRING { Some(expiry(r)?) } else { None },
            }),
            SAVE => Task::Save(ToSave {
                number: u64::decode(r)?,
                path: text(r)?,
                sealed: Sealed::decode(r)?,
            }),
            GIVE => Task::Give(ToGive {
                device: Decode::decode(r)?,
                ask: Ask::decode(r)?,
                sealed: Option::decode(r)?,
            }),
            TAKE => Task::Take(ToTake { by: Decode::decode(r)?, sealed: Sealed::decode(r)? }),
            other => return Err(invalid("task", other.into())),
        };
        Ok(Self { group, name, task })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_mls::CipherSuite;

    fn sealed() -> Sealed {
        let key = Secret::copy_from(&[7; 16]);
        let key = FileKey { aead: Aead::Aes128Gcm, key, nonce: vec![1; 12], aad: Vec::new() };
        Sealed { key, hash: [3; 32], length: 99 }
    }

    fn records() -> Vec<Record> {
        let expiring = |sealed, expiry| {
            Task::Send(ToSend {
                path: "/tmp/a b".into(),
                text: "look".into(),
                label: "id".into(),
                quiet: true,
                sealed,
                expiry,
            })
        };
        let send = |sealed| expiring(sealed, None);
        let soon = expiring(None, Some(ChosenExpiry::AfterSending(7)));
        let read = expiring(Some(sealed()), Some(ChosenExpiry::AfterReading(7)));
        let save = Task::Save(ToSave { number: 7, path: "/tmp/c".into(), sealed: sealed() });
        let record =
            |task| Record { group: GroupId::from([1, 2].as_slice()), name: "a".into(), task };
        let device: DeviceId = "alice/tablet".parse().unwrap();
        let ask = Ask { id: [4; 16], suite: CipherSuite(1), key: vec![5; 32].into() };
        let give = |sealed| Task::Give(ToGive { device: device.clone(), ask: ask.clone(), sealed });
        let take = Task::Take(ToTake { by: device.clone(), sealed: sealed() });
        let tasks = [
            send(None),
            send(Some(sealed())),
            save,
            give(None),
            give(Some(sealed())),
            take,
            soon,
            read,
        ];
        tasks.map(record).into()
    }

    #[test]
    fn rows_are_read_back_as_they_were_written() {
        for record in records() {
            let row = record.to_row().unwrap();
            assert_eq!(Record::from_row(row.expose()).unwrap(), record);
            for cut in 0..row.len() {
                assert!(Record::from_row(&row.expose()[..cut]).is_err(), "{cut}");
            }
            let longer = [row.expose(), &[0]].concat();
            assert!(Record::from_row(&longer).is_err());
        }
    }

    /// What is under way when a new version is installed goes on.
    #[test]
    fn the_rows_of_the_first_version_stay_readable() {
        let rows = [
            "010201020161000\
             82f746d702f612062046c6f6f6b0269640100",
            "010201020161000\
             82f746d702f612062046c6f6f6b02696401010001100707070707070707070707070707070\
             70c0101010101010101010101010020030303030303030303030303030303030303030303030303030303030303\
             03030000000000000063",
            "0102010201610100000000000000070\
             62f746d702f630001100707070707070707070707070707070\
             70c0101010101010101010101010020030303030303030303030303030303030303030303030303030303030303\
             03030000000000000063",
        ];
        for (record, row) in records().iter().zip(rows) {
            let row = conclave_delivery_api::parse_hex(row).unwrap();
            assert_eq!(&Record::from_row(&row).unwrap(), record);
        }
    }
}
