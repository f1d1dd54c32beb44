//! The types of fields and replies: those that declare themselves, and those with a codec of their own.

use super::described::{Described, Parts, Structure};
use super::samples::{NOW, alice, cut, device, group, hash, position, receipt, root, successor};
use crate::{
    AccountHead, AccountPage, Acknowledged, AttachmentPart, Bytes, CertificateChain,
    CertificateTaken, CertificatesPage, ChainHash, CipherSuite, ClaimedKeyPackage,
    ClaimedKeyPackages, ClientVersion, ContentType, Created, Deleted, Details, DeviceRemedy,
    DirectoryPage, Encode, Ending, ExtensionProof, FieldMisfit, GroupKind, GroupState, InboxItem,
    InboxPage, Incarnation, KeyPackageCount, KeyPackageCounts, KeyPackageRef, LogEntry, LogPage,
    LogRestored, MissingProposal, Mode, OpenedSession, Outcome, OutdatedDevice, Published, Refusal,
    Registration, RelayContent, RelayStored, RootsPage, SentMessages, ServiceInfo,
    SignaturePublicKey, StateMark, StateMarked, Token, Upload, WasReset, WelcomeItem, Withdrawn,
};
use conclave_account::Author;
use conclave_room::Text;

/// Replies and what is in them.
pub(super) fn structures() -> Vec<Structure> {
    macro_rules! all {
        ($($name:ident)*) => { vec![$(<$name as Described>::STRUCTURE),*] };
    }
    all!(
        AccountHead AccountPage Acknowledged AttachmentPart CertificateChain CertificateTaken CertificatesPage
        ClaimedKeyPackage ClaimedKeyPackages ClientVersion Created Deleted DirectoryPage ExtensionProof FieldMisfit GroupState InboxItem
        InboxPage KeyPackageCount KeyPackageCounts LogEntry LogPage LogRestored MissingProposal OpenedSession OutdatedDevice Published
        RelayContent
        Refusal RelayStored RootsPage SentMessages ServiceInfo StateMarked Upload WasReset WelcomeItem Withdrawn
    )
}

/// A type whose codec is written by hand.
pub(super) struct Other {
    pub(super) name: &'static str,
    pub(super) declaration: &'static str,
    /// What is encoded, and how it is: a codec that changes changes the page.
    pub(super) examples: Vec<(&'static str, Vec<u8>)>,
}

fn other(
    name: &'static str,
    declaration: &'static str,
    examples: &[(&'static str, &dyn Encoded)],
) -> Other {
    let examples = examples.iter().map(|(what, value)| (*what, value.encoded())).collect();
    Other { name, declaration, examples }
}

trait Encoded {
    fn encoded(&self) -> Vec<u8>;
}

impl<T: Encode> Encoded for T {
    fn encoded(&self) -> Vec<u8> {
        self.to_bytes().unwrap()
    }
}

pub(super) fn others() -> Vec<Other> {
    let tracked = GroupKind::Tracked { group_info: cut(8), ratchet_tree: cut(9) };
    let accepted = Outcome::Accepted { receipt: receipt(), received_at: NOW };
    let suite = CipherSuite(1);
    vec![
        other(
            "Author",
            "enum { device(1), recovery(2), (255) } AuthorType;\n\n\
             struct {\n    AuthorType author_type;\n    select (Author.author_type) {\n        \
             case device:   Name device;\n        case recovery: struct {};\n    };\n} Author;",
            &[
                ("the device pc", &Author::Device(device("alice/pc").device)),
                ("the recovery key", &Author::Recovery),
            ],
        ),
        other("Bytes", "opaque Bytes<V>;", &[("two bytes", &Bytes::from([1, 2]))]),
        other(
            "ChainHash",
            "// SHA-256: of a message, or of ChainInput for a log up to an entry. 32 zeros for a log without entries.\n\
             opaque ChainHash[32];\n\n\
             struct {\n    opaque label<V> = \"Conclave log entry 1\";\n    GroupId group_id;\n    uint64 seq;\n    \
             uint64 epoch;\n    ContentType content_type;\n    DeviceId sender;\n    uint64 received_at;\n    \
             ChainHash message_hash;\n    ChainHash before;   // of the log before the entry\n} ChainInput;",
            &[("the hash of an empty log", &ChainHash::EMPTY)],
        ),
        other(
            "CipherSuite",
            "uint16 CipherSuite;     // RFC 9420 section 17.1",
            &[("suite 1", &suite)],
        ),
        other(
            "ContentType",
            "// RFC 9420 section 6.\nenum { application(1), proposal(2), commit(3), (255) } ContentType;",
            &[("a commit", &ContentType::Commit)],
        ),
        other(
            "Details",
            "enum { group_info(1), proposals(2), devices(3), (255) } DetailsType;\n\n\
             // Each list has at most 64 items.\n\
             struct {\n    DetailsType details;\n    select (Details.details) {\n        \
             // The parts of a GroupInfo or ratchet tree that do not fit the group, by their order in it.\n        \
             case group_info:\n            FieldMisfit misfits<V>;\n        \
             // Pending proposals that a commit has to cover and does not: fetch the log up to its end, and make the\n        \
             // commit again with them.\n        \
             case proposals:\n            LogPosition end;         // of the log\n            \
             MissingProposal missing<V>;\n            uint32 total;            // how many there are in all\n        \
             // Devices of which a message holds an outdated credential or key.\n        \
             case devices:\n            OutdatedDevice devices<V>;\n            uint32 total;\n    };\n} Details;",
            &[
                ("a GroupInfo of another epoch", &Details::GroupInfo(vec![epoch_misfit()])),
                (
                    "a missing proposal",
                    &Details::Proposals {
                        end: position(),
                        missing: vec![MissingProposal { reference: cut(0x9f), seq: 7 }],
                        total: 1,
                    },
                ),
                (
                    "a revoked device",
                    &Details::Devices {
                        devices: vec![OutdatedDevice {
                            device: device("bob/pc"),
                            remedy: DeviceRemedy::Remove,
                        }],
                        total: 1,
                    },
                ),
            ],
        ),
        other(
            "DeviceId",
            "struct {\n    Name user;\n    Name device;\n} DeviceId;",
            &[("alice/pc", &device("alice/pc"))],
        ),
        other(
            "DeviceRemedy",
            "// What is expected of a device that is out of date, or of those who meant to add it. Remove: it was revoked,\n\
             // so leave it out, and remove what leaf it has. Renew: it has another key now, so claim one of its new key\n\
             // packages; if it is in the group, it renews its leaf.\n\
             enum { remove(1), renew(2), (255) } DeviceRemedy;",
            &[("remove", &DeviceRemedy::Remove), ("renew", &DeviceRemedy::Renew)],
        ),
        other(
            "Ending",
            "// How a group ended: the group that a member began in its place, by `reset-group`. Empty if the service's\n\
             // administrator ended it, and no member has begun another yet.\n\
             opaque Ending<V>;",
            &[
                ("by a member", &Ending::Succeeded(successor())),
                ("by the administrator", &Ending::Unsucceeded),
            ],
        ),
        other(
            "GroupId",
            "opaque GroupId<V>;      // 1 to 128 bytes, unless the service is set up otherwise",
            &[("16 bytes", &group())],
        ),
        other(
            "GroupKind",
            "enum { tracked_group(1), opaque_group(2), (255) } GroupKindType;\n\n\
             struct {\n    GroupKindType kind;\n    select (GroupKind.kind) {\n        \
             // Handshake messages are PublicMessages, and the service checks them.\n        \
             case tracked_group:\n            \
             // An MLSMessage that holds a GroupInfo of the first epoch, with `external_pub`.\n            \
             opaque group_info<V>;\n            \
             // The ratchet tree of that epoch.\n            \
             opaque ratchet_tree<V>;\n        \
             // Handshake messages are PrivateMessages, and the service orders them.\n        \
             case opaque_group:\n            \
             // The epoch that the group is in.\n            \
             uint64 epoch;\n    };\n} GroupKind;",
            &[("tracked", &tracked), ("opaque", &GroupKind::Opaque { epoch: 0 })],
        ),
        other(
            "Incarnation",
            "// One life of the service's state: from when it was set up or restored from a backup to when it is\n\
             // restored. Within one, logs only grow.\n\
             struct {\n    opaque id[16];      // random\n    \
             uint64 number;      // 1, and one more with each restoration\n} Incarnation;",
            &[("the first", &Incarnation { id: [0x1d; 16], number: 1 })],
        ),
        other(
            "KeyPackageRef",
            "opaque KeyPackageRef<V>;    // RFC 9420 section 5.2",
            &[("of a suite with SHA-256", &KeyPackageRef::from(hash(0x4b).to_vec()))],
        ),
        other(
            "LogPosition",
            "// A place in a group's log.\n\
             struct {\n    uint64 seq;         // the number of an entry; 0 for the beginning\n    \
             uint64 epoch;       // that the group is in after the entry\n    \
             ChainHash chain;    // of the log up to and with the entry\n} LogPosition;",
            &[("entry 7", &position())],
        ),
        other(
            "Mode",
            "// Whose word the service takes on which key is whose: the users' devices', or a CA's.\n\
             enum { accounts(1), certificates(2), (255) } Mode;",
            &[("accounts", &Mode::Accounts), ("certificates", &Mode::Certificates)],
        ),
        other(
            "Name",
            "// 1 to 64 of the characters a-z, 0-9, '.', '_' and '-', not all of them dots.\nopaque Name<V>;",
            &[("alice", &alice())],
        ),
        other(
            "Outcome",
            "enum { accepted(1), wrong_epoch(2), (255) } OutcomeType;\n\n\
             struct {\n    OutcomeType outcome;\n    select (Outcome.outcome) {\n        \
             // The message is in the log.\n        \
             case accepted:\n            \
             // Its place there.\n            \
             Receipt receipt;\n            \
             // When it came, in seconds since 1970.\n            \
             uint64 received_at;\n        \
             // It was made in an epoch that is over or has not begun, and is not in the log: fetch the log, and\n        \
             // make it again.\n        \
             case wrong_epoch:\n            \
             // Where the log ends.\n            \
             Receipt receipt;\n    };\n} Outcome;",
            &[
                ("accepted", &accepted),
                ("wrong epoch", &Outcome::WrongEpoch { receipt: receipt() }),
            ],
        ),
        other(
            "Receipt",
            "// The service's word that a group's log has an entry at a place. Two receipts of one group, incarnation and\n\
             // number that differ in the rest of the place convict it.\n\
             struct {\n    uint8 version = 1;\n    Incarnation incarnation;\n    GroupId group_id;\n    \
             LogPosition position;\n    uint64 issued_at;       // in seconds since 1970\n    \
             // SignWithLabel(service key, \"Conclave log receipt 1\", all before): 64 bytes at most\n    \
             opaque signature<V>;\n} Receipt;",
            &[("a receipt", &receipt())],
        ),
        other(
            "Registration",
            "// Who may create an account: anybody, whoever has an invitation, nobody.\n\
             enum { open(1), invitation(2), closed(3), (255) } Registration;",
            &[
                ("open", &Registration::Open),
                ("invitation", &Registration::Invitation),
                ("closed", &Registration::Closed),
            ],
        ),
        other(
            "SignaturePublicKey",
            "opaque SignaturePublicKey<V>;   // RFC 9420 section 5.1.1",
            &[("of Ed25519", &SignaturePublicKey::from(vec![0x6b; 32]))],
        ),
        other(
            "SignedRoot",
            "// A root of the directory.\n\
             struct {\n    uint8 version = 1;\n    uint64 epoch;           // 0 for the empty directory\n    \
             opaque root[32];\n    uint64 published_at;    // in seconds since 1970\n    \
             // SignWithLabel(service key, \"Conclave directory root 1\", all before)\n    \
             opaque signature<V>;\n} SignedRoot;",
            &[("a root", &root())],
        ),
        other(
            "StateMark",
            "// A mark of a device's state.\n\
             struct {\n    uint64 number;      // from 1; each is higher than those before\n    \
             opaque id[16];      // random\n} StateMark;",
            &[("the first", &StateMark { number: 1, id: [0x3a; 16] })],
        ),
        other(
            "Token",
            "opaque Token<V>;        // visible ASCII, at least one character",
            &[("a short one", &Token::new("3f".into()))],
        ),
        other(
            "Text",
            "opaque Text<V>;         // UTF-8 without NUL, at most 65535 bytes",
            &[("a domain", &Text::try_from("example.org").unwrap_or_default())],
        ),
    ]
}

fn epoch_misfit() -> FieldMisfit {
    let epoch = |n: u64| n.encoded();
    FieldMisfit::of("epoch", Some(&epoch(3)), Some(&epoch(2)))
}

impl Parts for Outcome {
    fn parts(&self) -> Vec<(&'static str, Vec<u8>)> {
        match self {
            Self::Accepted { receipt, received_at } => vec![
                ("accepted", vec![1]),
                ("receipt", receipt.encoded()),
                ("received_at", received_at.encoded()),
            ],
            Self::WrongEpoch { receipt } => {
                vec![("wrong_epoch", vec![2]), ("receipt", receipt.encoded())]
            }
        }
    }
}
