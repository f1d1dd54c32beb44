//! What is stored beside the groups' own rows, and how it is encoded.

use conclave_delivery::api::{DeviceId, Name};
use conclave_mls::crypto::{Secret, SignatureKeyPair};
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use conclave_mls::{CipherSuite, GroupId, SignaturePublicKey};

/// The format of the records; a later one gets another number.
const VERSION: u8 = 1;
/// The format of identities. In version 1 a device had one suite.
const IDENTITY_VERSION: u8 = 2;
/// The format of groups' records. In version 1 there was no epoch.
const GROUP_VERSION: u8 = 2;

/// Who this device is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) device: DeviceId,
    /// The suite of the groups that it makes, unless another is chosen.
    pub(crate) cipher_suite: CipherSuite,
    /// The other suites that it can be invited into, all with the same signature scheme.
    pub(crate) other_suites: Vec<CipherSuite>,
    pub(crate) signer: SignatureKeyPair,
}

impl Identity {
    /// All suites of the device: it has key packages of each.
    pub(crate) fn suites(&self) -> impl Iterator<Item = CipherSuite> {
        core::iter::once(self.cipher_suite).chain(self.other_suites.iter().copied())
    }
}

/// How far a group has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Made here; the service does not have it yet. Holds the request that creates it.
    Creating(Vec<u8>),
    /// A member.
    Active,
    /// Removed by somebody else.
    Removed,
    /// Left.
    Left,
}

/// A group, apart from its MLS state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupRecord {
    /// The name that this user knows it by; empty while it is not known.
    pub(crate) name: String,
    /// The number of the last log entry that was processed.
    pub(crate) cursor: u64,
    /// The last epoch that this device was a member in; 0 if that was not noted.
    pub(crate) epoch: u64,
    pub(crate) stage: Stage,
    /// When this device came in, in milliseconds since 1970.
    pub(crate) joined_at: u64,
}

/// Whom a command is about: all devices of a user, or one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The user.
    pub user: Name,
    /// One device; none for all of them.
    pub device: Option<Name>,
}

impl Who {
    /// Whether a device is meant.
    #[must_use]
    pub fn includes(&self, id: &DeviceId) -> bool {
        self.user == id.user && self.device.as_ref().is_none_or(|device| *device == id.device)
    }
}

impl core::fmt::Display for Who {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.device {
            Some(device) => write!(f, "{}/{device}", self.user),
            None => write!(f, "{}", self.user),
        }
    }
}

/// Something that the user wants and that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) group: GroupId,
    pub(crate) work: Work,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Send a payload. Sealed in the write that advanced the ratchet, sent then.
    Send { payload: Payload, sealed: Option<Vec<u8>> },
    /// Add whoever of these devices is not in the group. `committing`: the group's pending commit
    /// does it.
    Invite { who: Who, committing: bool },
    /// Remove whoever of these devices is in the group.
    Remove { who: Who, committing: bool },
    /// Leave: remove the user's other devices, then propose to be removed. The proposal is of one
    /// epoch.
    Leave { committing: bool, proposed: Option<(u64, Vec<u8>)> },
}

/// What an application message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Text(String),
    /// What the group is called: for new members, who cannot have heard it before.
    Name(String),
    /// Something that a later version says.
    Unknown,
}

/// What a user is told, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Somebody said something: oneself, too.
    Message {
        /// The number in the group's log.
        seq: u64,
        /// When the service had it, in seconds since 1970.
        time: u64,
        /// Who.
        sender: DeviceId,
        /// Whether that is this device.
        own: bool,
        /// What.
        text: String,
    },
    /// A group that was made here is at the service.
    Created {
        /// Its suite; none in news that were stored before suites were told.
        suite: Option<CipherSuite>,
    },
    /// This device is in a group from now on.
    Joined {
        /// The number of the commit that added it.
        seq: u64,
        /// Who submitted that commit.
        by: DeviceId,
        /// The group's suite; none in news that were stored before suites were told.
        suite: Option<CipherSuite>,
    },
    /// A device came in.
    Added {
        /// The number of the commit.
        seq: u64,
        /// Which.
        who: DeviceId,
        /// Who committed; the device itself, if it came by an external commit.
        by: DeviceId,
    },
    /// A device is out.
    Removed {
        /// The number of the commit.
        seq: u64,
        /// Which.
        who: DeviceId,
        /// Who committed.
        by: DeviceId,
    },
    /// A device wants to leave.
    Leaving {
        /// The number of the proposal.
        seq: u64,
        /// Which.
        who: DeviceId,
    },
    /// This device is out.
    Out {
        /// The number of the commit.
        seq: u64,
        /// Who committed.
        by: DeviceId,
        /// Whether this device had asked for it.
        left: bool,
    },
    /// A message could not be read.
    Unreadable {
        /// Its number.
        seq: u64,
        /// Who submitted it, as the service says.
        sender: DeviceId,
        /// Why.
        reason: String,
    },
    /// Something that the user wanted did not come about.
    Failed {
        /// What and why.
        what: String,
    },
    /// Something that the user wanted came about in part, or needed nothing.
    Note {
        /// What.
        what: String,
    },
}

/// News of a group, or of none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) group: Option<GroupId>,
    pub(crate) news: News,
}

fn put_text(w: &mut Writer, text: &str) -> Result<(), EncodeError> {
    w.put_opaque(text.as_bytes())
}

fn text(r: &mut Reader<'_>) -> Result<String, DecodeError> {
    let bytes = r.opaque()?;
    let invalid = DecodeError::InvalidValue { field: "text", value: bytes.len() as u64 };
    core::str::from_utf8(bytes).map(str::to_string).map_err(|_| invalid)
}

fn flag(r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    Ok(u8::decode(r)? != 0)
}

fn unknown<T>(field: &'static str, value: u8) -> Result<T, DecodeError> {
    Err(DecodeError::InvalidValue { field, value: value.into() })
}

impl Encode for Identity {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        IDENTITY_VERSION.encode(w)?;
        self.device.encode(w)?;
        self.cipher_suite.encode(w)?;
        self.other_suites.encode(w)?;
        self.signer.public.encode(w)?;
        w.put_opaque(self.signer.private.expose())
    }
}

impl Decode for Identity {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::decode(r)?;
        if version != VERSION && version != IDENTITY_VERSION {
            return unknown("record version", version);
        }
        let (device, cipher_suite) = (DeviceId::decode(r)?, CipherSuite::decode(r)?);
        let other_suites =
            if version == VERSION { Vec::new() } else { Vec::<CipherSuite>::decode(r)? };
        let public = SignaturePublicKey::decode(r)?;
        let private = Secret::copy_from(r.opaque()?);
        let signer = SignatureKeyPair::new(private, public);
        Ok(Self { device, cipher_suite, other_suites, signer })
    }
}

fn check_version(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    match u8::decode(r)? {
        VERSION => Ok(()),
        other => unknown("record version", other),
    }
}

impl Encode for GroupRecord {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        GROUP_VERSION.encode(w)?;
        put_text(w, &self.name)?;
        self.cursor.encode(w)?;
        self.epoch.encode(w)?;
        self.joined_at.encode(w)?;
        match &self.stage {
            Stage::Creating(request) => {
                1u8.encode(w)?;
                w.put_opaque(request)
            }
            Stage::Active => 2u8.encode(w),
            Stage::Removed => 3u8.encode(w),
            Stage::Left => 4u8.encode(w),
        }
    }
}

impl Decode for GroupRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::decode(r)?;
        if version != VERSION && version != GROUP_VERSION {
            return unknown("record version", version);
        }
        let (name, cursor) = (text(r)?, u64::decode(r)?);
        let epoch = if version == VERSION { 0 } else { u64::decode(r)? };
        let joined_at = u64::decode(r)?;
        let stage = match u8::decode(r)? {
            1 => Stage::Creating(r.opaque()?.to_vec()),
            2 => Stage::Active,
            3 => Stage::Removed,
            4 => Stage::Left,
            other => return unknown("stage", other),
        };
        Ok(Self { name, cursor, epoch, stage, joined_at })
    }
}

impl Encode for Who {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.user.encode(w)?;
        self.device.encode(w)
    }
}

impl Decode for Who {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { user: Decode::decode(r)?, device: Decode::decode(r)? })
    }
}

impl Payload {
    /// As the data of an application message.
    pub(crate) fn to_data(&self) -> Vec<u8> {
        let (kind, text) = match self {
            Self::Text(text) => (1u8, text.as_str()),
            Self::Name(name) => (2, name.as_str()),
            Self::Unknown => (0, ""),
        };
        let mut data = vec![kind];
        data.extend_from_slice(text.as_bytes());
        data
    }

    /// From the data of an application message.
    pub(crate) fn from_data(data: &[u8]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match data {
            [1, rest @ ..] => Self::Text(text(rest)),
            [2, rest @ ..] => Self::Name(text(rest)),
            _ => Self::Unknown,
        }
    }
}

impl Encode for Item {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.group.encode(w)?;
        match &self.work {
            Work::Send { payload, sealed } => {
                1u8.encode(w)?;
                w.put_opaque(&payload.to_data())?;
                w.put_opaque(sealed.as_deref().unwrap_or_default())
            }
            Work::Invite { who, committing } => {
                2u8.encode(w)?;
                who.encode(w)?;
                u8::from(*committing).encode(w)
            }
            Work::Remove { who, committing } => {
                3u8.encode(w)?;
                who.encode(w)?;
                u8::from(*committing).encode(w)
            }
            Work::Leave { committing, proposed } => {
                4u8.encode(w)?;
                u8::from(*committing).encode(w)?;
                let (epoch, message) = proposed.clone().unwrap_or_default();
                epoch.encode(w)?;
                w.put_opaque(&message)
            }
        }
    }
}

impl Decode for Item {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        check_version(r)?;
        let group = GroupId::decode(r)?;
        let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
        let work = match u8::decode(r)? {
            1 => Work::Send { payload: Payload::from_data(r.opaque()?), sealed: some(r.opaque()?) },
            2 => Work::Invite { who: Who::decode(r)?, committing: flag(r)? },
            3 => Work::Remove { who: Who::decode(r)?, committing: flag(r)? },
            4 => {
                let (committing, epoch) = (flag(r)?, u64::decode(r)?);
                Work::Leave { committing, proposed: some(r.opaque()?).map(|m| (epoch, m)) }
            }
            other => return unknown("work", other),
        };
        Ok(Self { group, work })
    }
}

impl Encode for News {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Message { seq, time, sender, own, text } => {
                1u8.encode(w)?;
                seq.encode(w)?;
                time.encode(w)?;
                sender.encode(w)?;
                u8::from(*own).encode(w)?;
                put_text(w, text)
            }
            // 2 and 3 are the same without the suite.
            Self::Created { suite } => {
                11u8.encode(w)?;
                suite.encode(w)
            }
            Self::Joined { seq, by, suite } => {
                12u8.encode(w)?;
                seq.encode(w)?;
                by.encode(w)?;
                suite.encode(w)
            }
            Self::Added { seq, who, by } => {
                4u8.encode(w)?;
                seq.encode(w)?;
                who.encode(w)?;
                by.encode(w)
            }
            Self::Removed { seq, who, by } => {
                5u8.encode(w)?;
                seq.encode(w)?;
                who.encode(w)?;
                by.encode(w)
            }
            Self::Leaving { seq, who } => {
                6u8.encode(w)?;
                seq.encode(w)?;
                who.encode(w)
            }
            Self::Out { seq, by, left } => {
                7u8.encode(w)?;
                seq.encode(w)?;
                by.encode(w)?;
                u8::from(*left).encode(w)
            }
            Self::Unreadable { seq, sender, reason } => {
                8u8.encode(w)?;
                seq.encode(w)?;
                sender.encode(w)?;
                put_text(w, reason)
            }
            Self::Failed { what } => {
                9u8.encode(w)?;
                put_text(w, what)
            }
            Self::Note { what } => {
                10u8.encode(w)?;
                put_text(w, what)
            }
        }
    }
}

impl Decode for News {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(r)? {
            1 => Self::Message {
                seq: Decode::decode(r)?,
                time: Decode::decode(r)?,
                sender: Decode::decode(r)?,
                own: flag(r)?,
                text: text(r)?,
            },
            2 => Self::Created { suite: None },
            3 => Self::Joined { seq: Decode::decode(r)?, by: Decode::decode(r)?, suite: None },
            4 => Self::Added {
                seq: Decode::decode(r)?,
                who: Decode::decode(r)?,
                by: Decode::decode(r)?,
            },
            5 => Self::Removed {
                seq: Decode::decode(r)?,
                who: Decode::decode(r)?,
                by: Decode::decode(r)?,
            },
            6 => Self::Leaving { seq: Decode::decode(r)?, who: Decode::decode(r)? },
            7 => Self::Out { seq: Decode::decode(r)?, by: Decode::decode(r)?, left: flag(r)? },
            8 => Self::Unreadable {
                seq: Decode::decode(r)?,
                sender: Decode::decode(r)?,
                reason: text(r)?,
            },
            9 => Self::Failed { what: text(r)? },
            10 => Self::Note { what: text(r)? },
            11 => Self::Created { suite: Decode::decode(r)? },
            12 => Self::Joined {
                seq: Decode::decode(r)?,
                by: Decode::decode(r)?,
                suite: Decode::decode(r)?,
            },
            other => return unknown("news", other),
        })
    }
}

impl Encode for Line {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.group.encode(w)?;
        self.news.encode(w)
    }
}

impl Decode for Line {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        check_version(r)?;
        Ok(Self { group: Decode::decode(r)?, news: Decode::decode(r)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceId {
        name.parse().unwrap()
    }

    #[test]
    fn items_and_news_are_read_as_they_were_written() {
        let who = Who { user: "bob".parse().unwrap(), device: Some("phone".parse().unwrap()) };
        for work in [
            Work::Send { payload: Payload::Text("hi".into()), sealed: None },
            Work::Send { payload: Payload::Name("lunch".into()), sealed: Some(vec![1, 2]) },
            Work::Invite { who: who.clone(), committing: true },
            Work::Remove { who: Who { device: None, ..who }, committing: false },
            Work::Leave { committing: false, proposed: Some((7, vec![9])) },
            Work::Leave { committing: true, proposed: None },
        ] {
            let item = Item { group: b"g".as_slice().into(), work };
            assert_eq!(Item::from_bytes(&item.to_bytes().unwrap()).unwrap(), item);
        }
        let (a, b) = (device("alice/laptop"), device("bob/phone"));
        for news in [
            News::Message { seq: 1, time: 2, sender: a.clone(), own: true, text: "x".into() },
            News::Created { suite: Some(CipherSuite(0xf0c2)) },
            News::Created { suite: None },
            News::Joined { seq: 3, by: a.clone(), suite: Some(CipherSuite(1)) },
            News::Added { seq: 4, who: b.clone(), by: a.clone() },
            News::Removed { seq: 5, who: b.clone(), by: a.clone() },
            News::Leaving { seq: 6, who: b.clone() },
            News::Out { seq: 7, by: a, left: true },
            News::Unreadable { seq: 8, sender: b, reason: "r".into() },
            News::Failed { what: "f".into() },
            News::Note { what: "n".into() },
        ] {
            let line = Line { group: Some(b"g".as_slice().into()), news };
            assert_eq!(Line::from_bytes(&line.to_bytes().unwrap()).unwrap(), line);
        }
    }

    #[test]
    fn news_that_were_stored_before_suites_were_told_are_read() {
        assert_eq!(News::from_bytes(&[2]).unwrap(), News::Created { suite: None });
        let by = device("alice/laptop");
        let mut w = Writer::new();
        3u8.encode(&mut w).unwrap();
        9u64.encode(&mut w).unwrap();
        by.encode(&mut w).unwrap();
        let joined = News::Joined { seq: 9, by, suite: None };
        assert_eq!(News::from_bytes(&w.finish()).unwrap(), joined);
    }

    #[test]
    fn a_groups_record_is_read_as_it_was_written() {
        for stage in [Stage::Creating(vec![1]), Stage::Active, Stage::Removed, Stage::Left] {
            let record =
                GroupRecord { name: "lunch".into(), cursor: 7, epoch: 3, stage, joined_at: 9 };
            let mut bytes = record.to_bytes().unwrap();
            assert_eq!(GroupRecord::from_bytes(&bytes).unwrap(), record);
            bytes[0] = 3;
            assert!(GroupRecord::from_bytes(&bytes).is_err(), "of a later version");
        }
    }

    #[test]
    fn a_groups_record_that_was_stored_before_epochs_were_noted_is_read() {
        let bytes = [&[1, 1, b'g'][..], &[0, 0, 0, 0, 0, 0, 0, 7], &[0, 0, 0, 0, 0, 0, 0, 9], &[2]];
        let (name, stage) = ("g".into(), Stage::Active);
        let record = GroupRecord { name, cursor: 7, epoch: 0, stage, joined_at: 9 };
        assert_eq!(GroupRecord::from_bytes(&bytes.concat()).unwrap(), record);
    }

    #[test]
    fn an_identity_is_read_as_it_was_written() {
        let signer = SignatureKeyPair::new(Secret::copy_from(&[1, 2]), vec![3].into());
        let (device, other_suites) = (device("alice/laptop"), vec![CipherSuite(1)]);
        let identity = Identity { device, cipher_suite: CipherSuite(0xf0c2), other_suites, signer };
        let mut bytes = identity.to_bytes().unwrap();
        let read = Identity::from_bytes(&bytes).unwrap();
        assert_eq!(read.device, identity.device);
        assert!(read.suites().eq([CipherSuite(0xf0c2), CipherSuite(1)]));
        assert_eq!(read.signer.public, identity.signer.public);
        assert_eq!(read.signer.private.expose(), [1, 2]);
        bytes[0] = 3;
        assert!(Identity::from_bytes(&bytes).is_err(), "of a later version");
    }

    #[test]
    fn a_record_of_another_version_is_not_guessed_at() {
        let item = Item {
            group: b"g".as_slice().into(),
            work: Work::Leave { committing: false, proposed: None },
        };
        let mut bytes = item.to_bytes().unwrap();
        bytes[0] = 2;
        assert!(Item::from_bytes(&bytes).is_err());
    }
}
