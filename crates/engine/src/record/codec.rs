//! How the records are encoded.

use super::{
    GroupRecord, Identity, Item, Kept, Line, News, OwnKey, Payload, RoomChange, RoomPolicy, Stage,
    Unpublished, Who, Work,
};
use crate::coding::{VERSION, check_version, flag, put_text, text, unknown};
use crate::content::{Content, TEXT};
use crate::notice::{Notice, Warning};
use crate::reason::Reason;
use crate::watch::PassedRoot;
use conclave_delivery_api::{DeviceId, JoinLink};
use conclave_directory::SignedRoot;
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{Secret, SignatureKeyPair};
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use conclave_mls::{CipherSuite, GroupId};

/// The format of identities. Before version 3 devices had no accounts: such a state is not read.
pub(crate) const IDENTITY_VERSION: u8 = 3;
/// The format of groups' records. In version 1 there was no epoch, in version 2 nobody asked, in version 3 no root
/// was passed on, before version 7 nothing was noted of the own key.
const GROUP_VERSION: u8 = 7;

fn put_link(w: &mut Writer, link: &JoinLink) -> Result<(), EncodeError> {
    put_text(w, &link.to_text()?)
}

fn link(r: &mut Reader<'_>) -> Result<JoinLink, DecodeError> {
    let text = text(r)?;
    let invalid = DecodeError::InvalidValue { field: "join link", value: text.len() as u64 };
    text.parse().map_err(|_| invalid)
}

fn content(r: &mut Reader<'_>) -> Result<Content, DecodeError> {
    let (media_type, bytes) = (text(r)?, r.opaque()?);
    let invalid = DecodeError::InvalidValue { field: "media type", value: media_type.len() as u64 };
    Content::new(&media_type, bytes).map_err(|_| invalid)
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
        if version != IDENTITY_VERSION {
            return unknown("record version", version);
        }
        let device = DeviceId::decode(r)?;
        let cipher_suite = CipherSuite::decode(r)?;
        let other_suites = Vec::<CipherSuite>::decode(r)?;
        let public = SignaturePublicKey::decode(r)?;
        let private = Secret::copy_from(r.opaque()?);
        let signer = SignatureKeyPair::new(private, public);
        Ok(Self { device, cipher_suite, other_suites, signer })
    }
}

impl Encode for GroupRecord {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        GROUP_VERSION.encode(w)?;
        put_text(w, &self.name)?;
        self.cursor.encode(w)?;
        self.chain.encode(w)?;
        self.receipt.encode(w)?;
        self.epoch.encode(w)?;
        self.joined_at.encode(w)?;
        self.asked_by.encode(w)?;
        match &self.passed {
            Some((key, epoch)) => {
                1u8.encode(w)?;
                w.put(key);
                epoch.encode(w)?;
            }
            None => 0u8.encode(w)?,
        }
        self.own_key.since.encode(w)?;
        self.own_key.sent.encode(w)?;
        match &self.stage {
            Stage::Creating(request) => {
                1u8.encode(w)?;
                w.put_opaque(request)
            }
            Stage::Active => 2u8.encode(w),
            Stage::Removed => 3u8.encode(w),
            Stage::Left => 4u8.encode(w),
            Stage::Ended => 5u8.encode(w),
        }
    }
}

impl Decode for GroupRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::decode(r)?;
        if !(VERSION..=GROUP_VERSION).contains(&version) {
            return unknown("record version", version);
        }
        let (name, cursor) = (text(r)?, u64::decode(r)?);
        let chain = if version < 5 { None } else { Decode::decode(r)? };
        let receipt = if version < 6 { None } else { Decode::decode(r)? };
        let epoch = if version == VERSION { 0 } else { u64::decode(r)? };
        let joined_at = u64::decode(r)?;
        let asked_by = if version < 3 { None } else { Decode::decode(r)? };
        let passed = match version >= 4 && flag(r)? {
            true => Some((r.take_array()?, u64::decode(r)?)),
            false => None,
        };
        let own_key = match version < 7 {
            true => OwnKey::default(),
            false => OwnKey { since: u64::decode(r)?, sent: u32::decode(r)? },
        };
        let stage = match u8::decode(r)? {
            1 => Stage::Creating(r.opaque()?.to_vec()),
            2 => Stage::Active,
            3 => Stage::Removed,
            4 => Stage::Left,
            5 => Stage::Ended,
            other => return unknown("stage", other),
        };
        Ok(Self {
            name,
            cursor,
            chain,
            receipt,
            epoch,
            stage,
            joined_at,
            asked_by,
            passed,
            own_key,
        })
    }
}

impl Encode for Kept {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.before.encode(w)?;
        self.entry.encode(w)?;
        self.receipt.encode(w)
    }
}

impl Decode for Kept {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        check_version(r)?;
        let (before, entry) = (Decode::decode(r)?, Decode::decode(r)?);
        Ok(Self { before, entry, receipt: Decode::decode(r)? })
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

/// A root that is passed on: its service, its length in two bytes, and the root.
fn passed_bytes(PassedRoot { key, root }: &PassedRoot) -> Vec<u8> {
    // A root is shorter than that: its signature is bounded.
    let root = root.to_bytes().unwrap_or_default();
    let length = u16::try_from(root.len()).unwrap_or(u16::MAX);
    [key.as_slice(), &length.to_be_bytes(), &root].concat()
}

/// The root, if it is one, and what comes after it.
fn split_passed(data: &[u8]) -> Option<(Option<PassedRoot>, &[u8])> {
    let (key, data) = data.split_first_chunk()?;
    let (length, data) = data.split_first_chunk()?;
    let (root, rest) = data.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let root = SignedRoot::from_bytes(root).ok();
    Some((root.map(|root| PassedRoot { key: *key, root }), rest))
}

/// The kinds of data of application messages. Text has kinds without a media type, which every version reads.
const SAID_TEXT: u8 = 1;
const SAID_NAME: u8 = 2;
const SAID_ROOTED_TEXT: u8 = 3;
/// A media type, then the content to the end.
const SAID: u8 = 4;
const SAID_ROOTED: u8 = 5;

/// Whether this is text in the words of [`TEXT`] itself, so that nothing is lost if they are left out.
fn is_plain_text(content: &Content) -> bool {
    content.media_type() == TEXT
}

/// A media type, then the content to the end.
fn split_content(data: &[u8]) -> Option<Content> {
    let mut r = Reader::new(data);
    let media_type = core::str::from_utf8(r.opaque().ok()?).ok()?;
    Content::new(media_type, r.rest()).ok()
}

fn content_bytes(content: &Content) -> Vec<u8> {
    let mut w = Writer::secret();
    // No media type is too long for it.
    let _ = put_text(&mut w, content.media_type());
    let mut bytes = w.finish();
    bytes.extend_from_slice(content.bytes());
    bytes
}

impl Payload {
    /// As the data of an application message.
    pub(crate) fn to_data(&self) -> Vec<u8> {
        match self {
            Self::Content(content) if is_plain_text(content) => {
                [&[SAID_TEXT], content.bytes()].concat()
            }
            Self::Content(content) => [&[SAID][..], &content_bytes(content)].concat(),
            Self::Rooted(root, content) if is_plain_text(content) => {
                [&[SAID_ROOTED_TEXT], &passed_bytes(root)[..], content.bytes()].concat()
            }
            Self::Rooted(root, content) => {
                [&[SAID_ROOTED], &passed_bytes(root)[..], &content_bytes(content)].concat()
            }
            Self::Name(name) => [&[SAID_NAME], name.as_bytes()].concat(),
            Self::Unknown(data) => data.clone(),
        }
    }

    /// From the data of an application message.
    pub(crate) fn from_data(data: &[u8]) -> Self {
        Self::of_known_kind(data).unwrap_or_else(|| Self::Unknown(data.to_vec()))
    }

    fn of_known_kind(data: &[u8]) -> Option<Self> {
        let (kind, rest) = data.split_first()?;
        // What is said counts, whatever its root is.
        let rooted = |root: Option<PassedRoot>, content| match root {
            Some(root) => Self::Rooted(Box::new(root), content),
            None => Self::Content(content),
        };
        match *kind {
            SAID_TEXT => Some(Self::Content(Content::text_of(rest.to_vec()))),
            SAID_NAME => core::str::from_utf8(rest).ok().map(|name| Self::Name(name.to_string())),
            SAID_ROOTED_TEXT => {
                let (root, rest) = split_passed(rest)?;
                Some(rooted(root, Content::text_of(rest.to_vec())))
            }
            SAID => split_content(rest).map(Self::Content),
            SAID_ROOTED => {
                let (root, rest) = split_passed(rest)?;
                Some(rooted(root, split_content(rest)?))
            }
            _ => None,
        }
    }
}

impl Encode for Unpublished {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.length.encode(w)?;
        self.epoch.encode(w)?;
        self.since.encode(w)
    }
}

impl Decode for Unpublished {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        check_version(r)?;
        let (length, epoch) = (u64::decode(r)?, u64::decode(r)?);
        Ok(Self { length, epoch, since: u64::decode(r)? })
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
            Work::Invite { who, committing, by_itself } => {
                (if *by_itself { 6u8 } else { 2 }).encode(w)?;
                who.encode(w)?;
                u8::from(*committing).encode(w)
            }
            Work::Remove { who, committing } => {
                3u8.encode(w)?;
                who.encode(w)?;
                u8::from(*committing).encode(w)
            }
            Work::Leave { alone, committing, proposed } => {
                (if *alone { 5u8 } else { 4 }).encode(w)?;
                u8::from(*committing).encode(w)?;
                let (epoch, message) = proposed.clone().unwrap_or_default();
                epoch.encode(w)?;
                w.put_opaque(&message)
            }
            Work::MakeLink { link, expires_at, max_uses, committing } => {
                7u8.encode(w)?;
                put_link(w, link)?;
                expires_at.encode(w)?;
                max_uses.encode(w)?;
                u8::from(*committing).encode(w)
            }
            Work::Unlink { number, committing } => {
                8u8.encode(w)?;
                number.encode(w)?;
                u8::from(*committing).encode(w)
            }
            Work::Room { change, committing } => {
                20u8.encode(w)?;
                change.encode(w)?;
                u8::from(*committing).encode(w)
            }
            Work::Join { link, commit } => {
                9u8.encode(w)?;
                put_link(w, link)?;
                w.put_opaque(commit.as_ref().map(Secret::expose).unwrap_or_default())
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
            kind @ (2 | 6) => {
                let (who, committing) = (Who::decode(r)?, flag(r)?);
                Work::Invite { who, committing, by_itself: kind == 6 }
            }
            3 => Work::Remove { who: Who::decode(r)?, committing: flag(r)? },
            kind @ (4 | 5) => {
                let (committing, epoch) = (flag(r)?, u64::decode(r)?);
                let proposed = some(r.opaque()?).map(|message| (epoch, message));
                Work::Leave { alone: kind == 5, committing, proposed }
            }
            7 => Work::MakeLink {
                link: link(r)?,
                expires_at: Decode::decode(r)?,
                max_uses: Decode::decode(r)?,
                committing: flag(r)?,
            },
            8 => Work::Unlink { number: Decode::decode(r)?, committing: flag(r)? },
            9 => {
                let (link, commit) = (link(r)?, r.opaque()?);
                let commit = (!commit.is_empty()).then(|| Secret::copy_from(commit));
                Work::Join { link, commit }
            }
            20 => Work::Room { change: Decode::decode(r)?, committing: flag(r)? },
            other => return unknown("work", other),
        };
        Ok(Self { group, work })
    }
}

impl Encode for News {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Message {
                seq,
                time,
                sender,
                own,
                moderates,
                expiration: Some(policy),
                content,
            } => {
                42u8.encode(w)?;
                seq.encode(w)?;
                time.encode(w)?;
                sender.encode(w)?;
                u8::from(*own).encode(w)?;
                u8::from(*moderates).encode(w)?;
                policy.encode(w)?;
                put_text(w, content.media_type())?;
                w.put_opaque(content.bytes())
            }
            Self::Message { seq, time, sender, own, moderates, expiration: None, content } => {
                // Valid text as earlier versions have stored it, and read it.
                let text = content.text().filter(|_| is_plain_text(content) && !moderates);
                let kind: u8 = match text {
                    Some(_) => 1,
                    None if *moderates => 41,
                    None => 19,
                };
                kind.encode(w)?;
                seq.encode(w)?;
                time.encode(w)?;
                sender.encode(w)?;
                u8::from(*own).encode(w)?;
                if text.is_none() {
                    put_text(w, content.media_type())?;
                }
                w.put_opaque(content.bytes())
            }
            // 2 and 3 are the same without the suite, 4 is the same as 13 without the code.
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
            Self::Added { seq, who, by, code } => {
                13u8.encode(w)?;
                seq.encode(w)?;
                who.encode(w)?;
                by.encode(w)?;
                put_text(w, code)
            }
            // 14 is the same in words, as 10 is of 26.
            Self::Alarm { warning } => {
                25u8.encode(w)?;
                warning.encode(w)
            }
            Self::Invited { seq, by, code } => {
                15u8.encode(w)?;
                seq.encode(w)?;
                by.encode(w)?;
                put_text(w, code)
            }
            Self::JoinedByLink { seq, maker, suite } => {
                16u8.encode(w)?;
                seq.encode(w)?;
                maker.encode(w)?;
                suite.encode(w)
            }
            Self::AddedByLink { seq, who, maker, code } => {
                17u8.encode(w)?;
                seq.encode(w)?;
                who.encode(w)?;
                maker.encode(w)?;
                put_text(w, code)
            }
            Self::LinkMade { text, max_uses, expires_at } => {
                18u8.encode(w)?;
                put_text(w, text)?;
                max_uses.encode(w)?;
                expires_at.encode(w)
            }
            Self::Removed { seq, who, by } => {
                5u8.encode(w)?;
                seq.encode(w)?;
                who.encode(w)?;
                by.encode(w)
            }
            Self::Room { seq, by, change } => {
                40u8.encode(w)?;
                seq.encode(w)?;
                by.encode(w)?;
                change.encode(w)
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
            Self::StateCopied { since, by_itself } => {
                30u8.encode(w)?;
                since.encode(w)?;
                u8::from(*by_itself).encode(w)
            }
            Self::KeyRenewed => 31u8.encode(w),
            Self::Rejoined { seq, missed } => {
                32u8.encode(w)?;
                seq.encode(w)?;
                missed.encode(w)
            }
            Self::RejoinLimited { until } => {
                33u8.encode(w)?;
                until.encode(w)
            }
            Self::Unreadable { seq, sender, reason } => {
                8u8.encode(w)?;
                seq.encode(w)?;
                sender.encode(w)?;
                put_text(w, reason)
            }
            // 9 is the same in words.
            Self::Failed { reason } => {
                22u8.encode(w)?;
                reason.encode(w)
            }
            Self::Note { notice } => {
                26u8.encode(w)?;
                notice.encode(w)
            }
            Self::Ended { successor } => {
                20u8.encode(w)?;
                successor.encode(w)
            }
            Self::Replaces { old } => {
                21u8.encode(w)?;
                old.encode(w)
            }
            Self::NotDone { reason } => {
                24u8.encode(w)?;
                reason.encode(w)
            }
            Self::Waits { reason } => {
                23u8.encode(w)?;
                reason.encode(w)
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
                moderates: false,
                expiration: None,
                content: Content::from_text(text(r)?),
            },
            2 => Self::Created { suite: None },
            3 => Self::Joined { seq: Decode::decode(r)?, by: Decode::decode(r)?, suite: None },
            4 => Self::Added {
                seq: Decode::decode(r)?,
                who: Decode::decode(r)?,
                by: Decode::decode(r)?,
                code: String::new(),
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
            9 => Self::Failed { reason: Reason::Text { what: text(r)? } },
            10 => Self::Note { notice: Notice::Text { what: text(r)? } },
            11 => Self::Created { suite: Decode::decode(r)? },
            12 => Self::Joined {
                seq: Decode::decode(r)?,
                by: Decode::decode(r)?,
                suite: Decode::decode(r)?,
            },
            13 => Self::Added {
                seq: Decode::decode(r)?,
                who: Decode::decode(r)?,
                by: Decode::decode(r)?,
                code: text(r)?,
            },
            14 => Self::Alarm { warning: Warning::Text { what: text(r)? } },
            15 => Self::Invited { seq: Decode::decode(r)?, by: Decode::decode(r)?, code: text(r)? },
            16 => Self::JoinedByLink {
                seq: Decode::decode(r)?,
                maker: Decode::decode(r)?,
                suite: Decode::decode(r)?,
            },
            17 => Self::AddedByLink {
                seq: Decode::decode(r)?,
                who: Decode::decode(r)?,
                maker: Decode::decode(r)?,
                code: text(r)?,
            },
            18 => Self::LinkMade {
                text: text(r)?,
                max_uses: Decode::decode(r)?,
                expires_at: Decode::decode(r)?,
            },
            kind @ (19 | 41) => Self::Message {
                seq: Decode::decode(r)?,
                time: Decode::decode(r)?,
                sender: Decode::decode(r)?,
                own: flag(r)?,
                moderates: kind == 41,
                expiration: None,
                content: content(r)?,
            },
            42 => Self::Message {
                seq: Decode::decode(r)?,
                time: Decode::decode(r)?,
                sender: Decode::decode(r)?,
                own: flag(r)?,
                moderates: flag(r)?,
                expiration: Some(Decode::decode(r)?),
                content: content(r)?,
            },
            20 => Self::Ended { successor: Decode::decode(r)? },
            21 => Self::Replaces { old: Decode::decode(r)? },
            22 => Self::Failed { reason: Decode::decode(r)? },
            23 => Self::Waits { reason: Decode::decode(r)? },
            24 => Self::NotDone { reason: Decode::decode(r)? },
            25 => Self::Alarm { warning: Decode::decode(r)? },
            26 => Self::Note { notice: Decode::decode(r)? },
            30 => Self::StateCopied { since: Decode::decode(r)?, by_itself: flag(r)? },
            31 => Self::KeyRenewed,
            32 => Self::Rejoined { seq: Decode::decode(r)?, missed: Decode::decode(r)? },
            33 => Self::RejoinLimited { until: Decode::decode(r)? },
            40 => Self::Room {
                seq: Decode::decode(r)?,
                by: Decode::decode(r)?,
                change: Decode::decode(r)?,
            },
            other => return unknown("news", other),
        })
    }
}

impl Encode for RoomChange {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let (kind, text) = match self {
            Self::Name(text) => (1u8, text),
            Self::Topic(text) => (2, text),
            Self::Picture(text) => (3, text),
            Self::Role { user, role } => {
                4u8.encode(w)?;
                user.encode(w)?;
                return put_text(w, role);
            }
            Self::Policy(RoomPolicy::History(seconds)) => {
                5u8.encode(w)?;
                return seconds.encode(w);
            }
            Self::Policy(RoomPolicy::Expiry(policy)) => {
                6u8.encode(w)?;
                return policy.encode(w);
            }
            Self::Policy(RoomPolicy::Reports(policy)) => {
                7u8.encode(w)?;
                return policy.encode(w);
            }
            Self::Preauthorized { user, role } => {
                // 9 is the same without a role.
                let kind: u8 = if role.is_none() { 9 } else { 8 };
                kind.encode(w)?;
                user.encode(w)?;
                return role.as_ref().map_or(Ok(()), |role| put_text(w, role));
            }
        };
        kind.encode(w)?;
        put_text(w, text)
    }
}

impl Decode for RoomChange {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match u8::decode(r)? {
            1 => Self::Name(text(r)?),
            2 => Self::Topic(text(r)?),
            3 => Self::Picture(text(r)?),
            4 => Self::Role { user: Decode::decode(r)?, role: text(r)? },
            5 => Self::Policy(RoomPolicy::History(Decode::decode(r)?)),
            6 => Self::Policy(RoomPolicy::Expiry(Decode::decode(r)?)),
            7 => Self::Policy(RoomPolicy::Reports(Decode::decode(r)?)),
            8 => Self::Preauthorized { user: Decode::decode(r)?, role: Some(text(r)?) },
            9 => Self::Preauthorized { user: Decode::decode(r)?, role: None },
            other => return unknown("room change", other),
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
    use conclave_crypto::testing::TestRng;
    use conclave_delivery_api::{
        ChainHash, ContentType, Incarnation, LogEntry, LogPosition, Receipt,
    };
    use conclave_room::MessageExpiration;

    fn device(name: &str) -> DeviceId {
        name.parse().unwrap()
    }

    #[test]
    fn items_and_news_are_read_as_they_were_written() {
        let who = Who { user: "bob".parse().unwrap(), device: Some("phone".parse().unwrap()) };
        let link = JoinLink::new(&mut TestRng(1), b"g".as_slice().into(), "lunch");
        let other = Content::new("application/mimi-content", [0xa0, 0xff]).unwrap();
        let preauthorized = |role: Option<&str>| RoomChange::Preauthorized {
            user: "bob".parse().unwrap(),
            role: role.map(String::from),
        };
        let policy = RoomChange::Policy;
        for work in [
            Work::Send { payload: Payload::Content(Content::from_text("hi")), sealed: None },
            Work::Send { payload: Payload::Content(other.clone()), sealed: None },
            Work::Send { payload: Payload::Name("lunch".into()), sealed: Some(vec![1, 2]) },
            Work::Invite { who: who.clone(), committing: true, by_itself: false },
            Work::Invite { who: who.clone(), committing: false, by_itself: true },
            Work::Remove { who: Who { device: None, ..who }, committing: false },
            Work::Leave { alone: true, committing: false, proposed: Some((7, vec![9])) },
            Work::Leave { alone: false, committing: true, proposed: None },
            Work::MakeLink { link: link.clone(), expires_at: 9, max_uses: 2, committing: true },
            Work::Unlink { number: 3, committing: false },
            Work::Room { change: RoomChange::Topic("soup".into()), committing: true },
            Work::Room { change: policy(RoomPolicy::History(Some(86_400))), committing: false },
            Work::Room {
                change: policy(RoomPolicy::Expiry(MessageExpiration::after(7))),
                committing: true,
            },
            Work::Room {
                change: policy(RoomPolicy::Reports(Default::default())),
                committing: false,
            },
            Work::Room { change: preauthorized(Some("moderator")), committing: false },
            Work::Room { change: preauthorized(None), committing: true },
            Work::Join { link: link.clone(), commit: None },
            Work::Join { link, commit: Some(Secret::copy_from(&[1, 2])) },
        ] {
            let item = Item { group: b"g".as_slice().into(), work };
            assert_eq!(Item::from_bytes(&item.to_bytes().unwrap()).unwrap(), item);
        }
        let (a, b) = (device("alice/laptop"), device("bob/phone"));
        let message = |own, moderates, content| {
            let sender = a.clone();
            News::Message { seq: 1, time: 2, sender, own, moderates, expiration: None, content }
        };
        let expiring = |own, moderates, policy, content| {
            let (sender, expiration) = (a.clone(), Some(policy));
            News::Message { seq: 1, time: 2, sender, own, moderates, expiration, content }
        };
        for news in [
            message(true, false, Content::from_text("x")),
            message(false, true, Content::from_text("x")),
            message(false, false, other.clone()),
            expiring(true, false, MessageExpiration::after(60), Content::from_text("x")),
            expiring(false, true, MessageExpiration::Forbidden, other),
            message(false, false, Content::text_of(vec![0xff])),
            News::Created { suite: Some(CipherSuite(0xf0c2)) },
            News::Created { suite: None },
            News::Joined { seq: 3, by: a.clone(), suite: Some(CipherSuite(1)) },
            News::Added { seq: 4, who: b.clone(), by: a.clone(), code: "1".into() },
            News::Alarm { warning: Warning::OtherServiceKey { by: a.clone() } },
            News::Invited { seq: 4, by: a.clone(), code: "3".into() },
            News::Removed { seq: 5, who: b.clone(), by: a.clone() },
            News::Room { seq: 6, by: a.clone(), change: RoomChange::Name("lunch".into()) },
            News::Room { seq: 6, by: a.clone(), change: RoomChange::Picture("u".into()) },
            News::Room { seq: 6, by: a.clone(), change: policy(RoomPolicy::History(None)) },
            News::Room {
                seq: 6,
                by: a.clone(),
                change: policy(RoomPolicy::Expiry(MessageExpiration::OPEN)),
            },
            News::Room {
                seq: 6,
                by: a.clone(),
                change: RoomChange::Role { user: b.user.clone(), role: "admin".into() },
            },
            News::Leaving { seq: 6, who: b.clone() },
            News::Out { seq: 7, by: a, left: true },
            News::JoinedByLink { seq: 9, maker: b.clone(), suite: CipherSuite(1) },
            News::AddedByLink { seq: 9, who: b.clone(), maker: b.clone(), code: "1".into() },
            News::LinkMade { text: "t".into(), max_uses: 1, expires_at: 2 },
            News::Unreadable { seq: 8, sender: b.clone(), reason: "r".into() },
            News::Failed { reason: Reason::NotMember },
            News::Failed { reason: Reason::NotInvited { who: "bob".into(), why: "w".into() } },
            News::Note { notice: Notice::MessagesLost { count: 1, why: "w".into() } },
            News::Waits { reason: Reason::LogBehind { end: 1, seen: 2 } },
            News::NotDone { reason: Reason::UnknownUser { who: b.clone().into() } },
            News::Ended { successor: None },
            News::Ended { successor: Some(b"h".as_slice().into()) },
            News::Replaces { old: b"f".as_slice().into() },
        ] {
            let line = Line { group: Some(b"g".as_slice().into()), news };
            assert_eq!(Line::from_bytes(&line.to_bytes().unwrap()).unwrap(), line);
        }
    }

    #[test]
    fn news_that_were_stored_before_suites_and_codes_were_told_are_read() {
        assert_eq!(News::from_bytes(&[2]).unwrap(), News::Created { suite: None });
        let by = device("alice/laptop");
        let mut w = Writer::new();
        3u8.encode(&mut w).unwrap();
        9u64.encode(&mut w).unwrap();
        by.encode(&mut w).unwrap();
        let joined = News::Joined { seq: 9, by: by.clone(), suite: None };
        assert_eq!(News::from_bytes(&w.finish()).unwrap(), joined);
        let mut w = Writer::new();
        4u8.encode(&mut w).unwrap();
        9u64.encode(&mut w).unwrap();
        (0..2).for_each(|_| by.encode(&mut w).unwrap());
        let added = News::Added { seq: 9, who: by.clone(), by, code: String::new() };
        assert_eq!(News::from_bytes(&w.finish()).unwrap(), added);
    }

    #[test]
    fn what_was_stored_in_words_is_read_as_words() {
        let (reason, warning) =
            (Reason::Text { what: "w".into() }, Warning::Text { what: "w".into() });
        let notice = Notice::Text { what: "w".into() };
        for (kind, news) in [
            (9u8, News::Failed { reason }),
            (14, News::Alarm { warning }),
            (10, News::Note { notice }),
        ] {
            assert_eq!(News::from_bytes(&[kind, 1, b'w']).unwrap(), news);
            assert_eq!(News::from_bytes(&news.to_bytes().unwrap()).unwrap(), news);
        }
    }

    #[test]
    fn a_groups_record_is_read_as_it_was_written() {
        for stage in [Stage::Creating(vec![1]), Stage::Active, Stage::Removed, Stage::Left] {
            let (name, asked_by) = ("lunch".into(), Some(device("alice/laptop")));
            let (cursor, epoch, joined_at, passed) = (7, 3, 9, Some(([8; 8], 5)));
            let chain = Some(ChainHash([6; 32]));
            let receipt = Receipt {
                incarnation: Incarnation { id: [3; 16], number: 2 },
                group_id: [7; 16].into(),
                position: LogPosition::beginning(3),
                issued_at: 5,
                signature: vec![6; 64],
            };
            let receipt = Some(receipt);
            let record = GroupRecord {
                name,
                cursor,
                chain,
                receipt,
                epoch,
                stage,
                joined_at,
                asked_by,
                passed,
                own_key: OwnKey { since: 4, sent: 2 },
            };
            let mut bytes = record.to_bytes().unwrap();
            assert_eq!(GroupRecord::from_bytes(&bytes).unwrap(), record);
            bytes[0] = 8;
            assert!(GroupRecord::from_bytes(&bytes).is_err(), "of a later version");
        }
    }

    #[test]
    fn a_kept_entry_is_read_as_it_was_written() {
        let entry = LogEntry {
            seq: 7,
            epoch: 3,
            content_type: ContentType::Proposal,
            sender: device("alice/laptop"),
            received_at: 9,
            message: [1, 2].into(),
        };
        let kept = Kept { before: ChainHash([4; 32]), entry, receipt: None };
        let mut bytes = kept.to_bytes().unwrap();
        assert_eq!(Kept::from_bytes(&bytes).unwrap(), kept);
        bytes[0] = 2;
        assert!(Kept::from_bytes(&bytes).is_err(), "of a later version");
    }

    #[test]
    fn groups_records_of_earlier_formats_are_read() {
        let number = |n: u8| [0, 0, 0, 0, 0, 0, 0, n];
        let first = [&[1, 1, b'g'][..], &number(7), &number(9), &[2]];
        let record = GroupRecord {
            cursor: 7,
            own_key: OwnKey::default(),
            ..GroupRecord::new("g".into(), Stage::Active, 9)
        };
        assert_eq!(GroupRecord::from_bytes(&first.concat()).unwrap(), record);
        let second = [&[2, 1, b'g'][..], &number(7), &number(3), &number(9), &[2]];
        let record = GroupRecord { epoch: 3, ..record };
        assert_eq!(GroupRecord::from_bytes(&second.concat()).unwrap(), record);
        let third = [&[3, 1, b'g'][..], &number(7), &number(3), &number(9), &[0, 2]];
        assert_eq!(GroupRecord::from_bytes(&third.concat()).unwrap(), record);
        let sixth = [&[6, 1, b'g'][..], &number(7), &[0, 0], &number(3), &number(9), &[0, 0, 2]];
        assert_eq!(GroupRecord::from_bytes(&sixth.concat()).unwrap(), record);
        let fourth = [&[4, 1, b'g'][..], &number(7), &number(3), &number(9), &[0, 0, 2]];
        assert_eq!(GroupRecord::from_bytes(&fourth.concat()).unwrap(), record);
    }

    #[test]
    fn what_a_message_says_is_read_as_it_was_written_whatever_its_root_is() {
        let root = SignedRoot { epoch: 3, root: [1; 32], published_at: 2, signature: vec![4; 64] };
        let root = Box::new(PassedRoot { key: [9; 8], root });
        let (hello, mimi) = (Content::from_text("hello"), "application/mimi-content");
        let other = Content::new(mimi, [0xa0, 0xff]).unwrap();
        let rooted = Payload::Rooted(root.clone(), hello.clone());
        let rooted_other = Payload::Rooted(root, other.clone());
        let data = rooted.to_data();
        assert_eq!(data.len(), 1 + 8 + 2 + 115 + 5);
        let said =
            [Payload::Content(hello.clone()), Payload::Content(other), Payload::Name("g".into())];
        for said in said.into_iter().chain([rooted, rooted_other.clone()]) {
            assert_eq!(Payload::from_data(&said.to_data()), said);
        }

        let mut damaged = data.clone();
        damaged[11] ^= 1;
        assert_eq!(Payload::from_data(&damaged), Payload::Content(hello));
        let unknown = |data: &[u8]| Payload::Unknown(data.to_vec());
        for cut in 1..1 + 8 + 2 + 115 {
            assert_eq!(Payload::from_data(&data[..cut]), unknown(&data[..cut]), "{cut}");
        }
        let data = rooted_other.to_data();
        for cut in 1..1 + 8 + 2 + 115 + 1 + mimi.len() {
            assert_eq!(Payload::from_data(&data[..cut]), unknown(&data[..cut]), "{cut}");
        }
    }

    #[test]
    fn data_of_an_unknown_kind_or_media_type_is_kept_whole() {
        let long = [&[4, 0x41, 0x00][..], &[b'a'; 256], b"hi"].concat();
        for data in [
            &[][..],
            &[0],
            &[6, 1, 2],
            &[255],
            &[2, 0xff],
            &[4],
            &[4, 3, b'a'],
            &[4, 1, b'a'],
            &long,
        ] {
            assert_eq!(Payload::from_data(data), Payload::Unknown(data.to_vec()), "{data:?}");
            assert_eq!(Payload::from_data(data).to_data(), data);
        }
    }

    /// Byte for byte, so that earlier versions read what this one says, and this one what they have stored.
    #[test]
    fn text_is_said_and_stored_as_it_always_was() {
        let text = Content::from_text("hi");
        assert_eq!(Payload::Content(text.clone()).to_data(), b"\x01hi");
        let sender = device("a/b");
        let news = News::Message {
            seq: 7,
            time: 9,
            sender: sender.clone(),
            own: true,
            moderates: false,
            expiration: None,
            content: text,
        };
        let mut w = Writer::new();
        1u8.encode(&mut w).unwrap();
        7u64.encode(&mut w).unwrap();
        9u64.encode(&mut w).unwrap();
        sender.encode(&mut w).unwrap();
        1u8.encode(&mut w).unwrap();
        put_text(&mut w, "hi").unwrap();
        assert_eq!(news.to_bytes().unwrap(), w.finish());
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
        bytes[0] = 4;
        assert!(Identity::from_bytes(&bytes).is_err(), "of a later version");
    }

    #[test]
    fn a_record_of_another_version_is_not_guessed_at() {
        let item = Item {
            group: b"g".as_slice().into(),
            work: Work::Leave { alone: false, committing: false, proposed: None },
        };
        let mut bytes = item.to_bytes().unwrap();
        bytes[0] = 2;
        assert!(Item::from_bytes(&bytes).is_err());
    }
}
