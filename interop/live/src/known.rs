//! The differences between the stacks that are known and explained. Scripts avoid them. A script of its own
//! looks for each that is more than a missing function, so this table cannot outlive what it says.

use crate::failure::Failure;
use crate::feature::Feature;
use crate::stack::{Stack, having};
use crate::suite::Suite;
use crate::tally::Cell;
use conclave_mls::crypto::PqSuite;

/// The cause of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// A stack has no function for it.
    Lacks,
    /// A stack departs from RFC 9420.
    Theirs,
    /// The RFC leaves it open.
    Open,
    /// Conclave departs from a draft, and means to.
    Ours,
}

/// A difference.
#[derive(Debug)]
pub struct Difference {
    /// Its mark in the matrix.
    pub mark: char,
    /// The features that it concerns.
    pub features: &'static [Feature],
    /// The stacks that show it as actors; any, if none is named.
    pub actors: &'static [Stack],
    /// The stacks that show it as receivers; any, if none is named.
    pub receivers: &'static [Stack],
    /// Whether it shows only between stacks that are not two versions of one.
    pub others: bool,
    /// The suites in which it shows.
    pub suites: fn(Suite) -> bool,
    /// The features that a probe tries; all, if none is named.
    pub shows: &'static [Feature],
    /// Its cause.
    pub blame: Blame,
    /// What happens, and what the RFC says.
    pub text: &'static str,
}

impl Difference {
    /// Whether a probe can show it.
    pub fn can_be_probed(&self) -> bool {
        self.blame != Blame::Lacks
    }

    /// The features that a probe tries.
    pub fn probes(&self) -> &'static [Feature] {
        if self.shows.is_empty() { self.features } else { self.shows }
    }

    fn covers(&self, (feature, actor, receiver, suite): Cell) -> bool {
        self.features.contains(&feature)
            && (self.suites)(suite)
            && !(self.others && actor.is_related(receiver))
            && (self.actors.is_empty() || self.actors.contains(&actor))
            && (self.receivers.is_empty() || self.receivers.contains(&receiver))
    }
}

/// The difference that concerns a cell.
pub fn find(cell: Cell) -> Option<&'static Difference> {
    ALL.iter().find(|difference| difference.covers(cell))
}

/// The difference that keeps two stacks out of each other's groups.
pub fn keeps_apart((one, other): (Stack, Stack), suite: Suite) -> Option<&'static Difference> {
    find((Feature::Create, one, other, suite))
}

/// The stacks that can share a group; earlier ones are preferred.
pub fn company(stacks: &[Stack], suite: Suite) -> Vec<Stack> {
    let meet = |one, other| keeps_apart((one, other), suite).is_none();
    let mut company = Vec::new();
    for stack in having(stacks, suite) {
        if company.iter().all(|&other| meet(stack, other) && meet(other, stack)) {
            company.push(stack);
        }
    }
    company
}

/// A difference that shows only in groups of a certain state. Scripts cannot avoid it: it ends them early.
#[derive(Debug)]
pub struct Circumstance {
    /// Its mark.
    pub mark: char,
    /// The stacks that refuse.
    pub receivers: &'static [Stack],
    /// What the stack says.
    pub says: &'static str,
    /// What happens, and what the RFC says.
    pub text: &'static str,
}

/// The circumstance that explains a failure.
pub fn circumstance(failure: &Failure) -> Option<&'static Circumstance> {
    let explains = |c: &&Circumstance| {
        c.receivers.contains(&failure.receiver) && failure.reason.contains(c.says)
    };
    CIRCUMSTANCES.iter().find(explains)
}

/// All circumstances.
pub static CIRCUMSTANCES: &[Circumstance] = &[
    Circumstance {
        mark: 'y',
        receivers: &[Stack::MlsRs],
        says: "not a subgroup",
        text: "mls-rs compares the lengths of the two ratchet trees, blank nodes included, to check that \
           the successor of a group has as many members (`check_that_subgroup_is_a_subset`). So it \
           does not join the successor of a group whose tree had a blank leaf, or whose leaves are \
           placed differently. Section 11.2 asks for the same members.",
    },
    Circumstance {
        mark: 'z',
        receivers: TS_MLS,
        says: "non-blank intermediate node must list leaf node in its unmerged_leaves",
        text: "ts-mls does not join a group whose tree has two parent nodes, one above the other, with \
           different `unmerged_leaves`. Section 12.4.3.1 asks only that a leaf that is unmerged at a \
           node is unmerged at all nodes between the two; ts-mls compares the whole lists of all nodes \
           up to the root (`validateRatchetTree`).",
    },
];

/// Both versions of ts-mls.
const TS_MLS: &[Stack] = &[Stack::TsMls1, Stack::TsMls2];

const ANY: Difference = Difference {
    mark: ' ',
    features: &[],
    actors: &[],
    receivers: &[],
    others: false,
    suites: |_| true,
    shows: &[],
    blame: Blame::Lacks,
    text: "",
};

const UNLISTED: Difference = Difference {
    mark: 'e',
    features: &[Feature::UnlistedExtensions],
    blame: Blame::Theirs,
    text: "OpenMLS accepts GroupContext extensions only of types that RFC 9420 defines or that the \
           `required_capabilities` of the same proposal list. Section 12.1.7 names one reason to \
           refuse: required capabilities that not all members have. Here all members advertise the \
           type.",
    ..ANY
};

const EXTERNAL_PUB: Difference = Difference {
    mark: 'i',
    features: &[Feature::GroupInfo, Feature::GroupInfoTreeApart],
    others: true,
    blame: Blame::Theirs,
    text: "ts-mls writes and reads the content of the `external_pub` extension as the bare key. \
           Section 12.4.3.2 has `struct { HPKEPublicKey external_pub; }`, and an HPKEPublicKey is \
           `opaque<V>`, with its length before it. So only ts-mls joins by its GroupInfos, \
           and it joins by no other. (The matrix still has the external commits of ts-mls: into mixed \
           groups, by the GroupInfo of a member that runs ts-mls.)",
    ..ANY
};

const HALF_EMPTY: Difference = Difference {
    mark: 'n',
    features: &[Feature::HalfEmpty],
    blame: Blame::Theirs,
    text: "ts-mls derives the commit secret from the path secret of the root (`pathToRoot`) even where \
           the root is not on the committer's filtered direct path, because the other half of the \
           tree is empty: 1.6 always, 2.0 as a receiver. Sections 12.4.1 and 12.4.2 derive it from the \
           last path secret of the UpdatePath. So the confirmation tags differ.",
    ..ANY
};

const EXTERNAL_SENDERS: Difference = Difference {
    mark: 'j',
    features: &[
        Feature::ExternalSenderAdd,
        Feature::ExternalSenderRemove,
        Feature::ExternalSenderPsk,
    ],
    blame: Blame::Theirs,
    text: "ts-mls reads the content of the `external_senders` extension as one ExternalSender, and expects \
           an extension of the type for each sender. Section 12.1.8.1 has \
           `ExternalSender external_senders<V>`. So ts-mls refuses every group with external \
           senders.",
    ..ANY
};

/// In post-quantum suites, as the stacks publish them.
const IN_DRAFT: fn(Suite) -> bool = |suite| matches!(suite, Suite::Draft(_));

const OTHER_KEM: Difference = Difference {
    mark: 'o',
    features: Feature::ALL,
    others: true,
    suites: IN_DRAFT,
    shows: &[Feature::Create],
    blame: Blame::Theirs,
    text: "mls-rs's AWS-LC provider (0.27, feature `post-quantum`) uses an older construction: all its \
           KEMs have the identifier 15, which goes into every derivation of HPKE (the draft's have 0x0041, \
           0x0042 and 0x647a); the hybrid combines as the first X-Wing drafts did, with its label before \
           the secrets; and key pairs are derived with HKDF. Of its four suites, 65100 and 65003 have the \
           components of TBD1 and TBD8; they were tried at the others' code points. Neither side opens the \
           other's first Welcome.",
    ..ANY
};

/// The features that need an UpdatePath, or a key derived from the group's secrets.
const PATHS: &[Feature] = &[
    Feature::CommitRemove,
    Feature::CommitRemoveAdd,
    Feature::Removed,
    Feature::RemovedReplaced,
    Feature::HalfEmpty,
    Feature::CommitUpdate,
    Feature::CommitExtensions,
    Feature::UnlistedExtensions,
    Feature::ClearExtensions,
    Feature::ProposeRemove,
    Feature::ProposeUpdate,
    Feature::ProposeExtensions,
    Feature::GroupInfo,
    Feature::GroupInfoTreeApart,
    Feature::ExternalJoin,
    Feature::ExternalJoinPsk,
    Feature::Resync,
    Feature::LateLeft,
    Feature::ExternalSenderAdd,
    Feature::ExternalSenderRemove,
    Feature::ExternalSenderPsk,
];

const DERIVE_KEY_PAIR: Difference = Difference {
    mark: 'p',
    features: PATHS,
    others: true,
    suites: IN_DRAFT,
    blame: Blame::Theirs,
    text: "OpenMLS 0.9 (openmls_rust_crypto 0.6, feature `draft-ietf-mls-pq-ciphersuites`) takes HPKE from \
           hpke-rs 0.7, whose DeriveKeyPair uses SHAKE256(ikm) as a key's seed. draft-ietf-hpke-pq, sections 3 \
           and 4, has SHAKE256.LabeledDerive(ikm, \"DeriveKeyPair\", \"\", Nsk). So a path secret yields other \
           keys (RFC 9420 section 7.4) than the UpdatePath holds, and neither side follows a commit with a path: \
           whatever needs one is left out, external joins and changes of a group's extensions included. Commits \
           without one, their Welcomes and all messages pass. hpke-rs 0.8 has the label, but no release of \
           OpenMLS uses it.",
    ..ANY
};

/// The features that lead into groups that continue others.
const CONTINUED: &[Feature] =
    &[Feature::ReInit, Feature::ReInitSuite, Feature::Branch, Feature::BranchExtensions];

const OWN_EXTENSIONS: Difference = Difference {
    mark: 'q',
    features: &[Feature::BranchExtensions],
    text: "mls-rs and ts-mls open a branch with the extensions of the old group; they have no way to \
           give it others.",
    ..ANY
};

/// The features of messages to one member.
const TARGETED: Difference = Difference {
    mark: 'A',
    features: &[Feature::Targeted],
    others: true,
    blame: Blame::Theirs,
    text: "OpenMLS 0.9 seals targeted messages as draft-ietf-mls-targeted-messages-01 does: HPKE's AAD is a \
           TargetedMessageTBM, its info an EncryptContext without a context. Version -02 (section \"Application \
           Data Encryption\") has the `authenticated_data` as AAD, and as info a TargetedMessageContext with both \
           leaves. All else is the same, as the next row shows: the driver gives OpenMLS's provider the inputs of \
           -02, and the messages open.",
    ..ANY
};

const TAIL: Difference = Difference {
    mark: 'B',
    features: &[Feature::SafeAadTail],
    receivers: &[Stack::OpenMls],
    blame: Blame::Theirs,
    text: "OpenMLS takes a SafeAAD with other data behind it, and sends it if its host sets both. Version -10 of \
           draft-ietf-mls-extensions (section \"Safe Additional Authenticated Data\") frames the entire \
           `authenticated_data`; before -10, data without a frame could follow.",
    ..ANY
};

const DICTIONARY_FIRST: Difference = Difference {
    mark: 'J',
    features: &[Feature::DictionaryFirst],
    others: true,
    blame: Blame::Theirs,
    text: "OpenMLS moves a dictionary that it changes to the end of the GroupContext's extensions \
           (`Extensions::add_or_replace`). By draft-ietf-mls-extensions-10 (section \"Updating Application Data in \
           the GroupContext\"), the entry's data is set; only an extension that is new goes to the end. So the \
           confirmation tags differ where another extension is behind the dictionary. (In all other steps it is the \
           last one.)",
    ..ANY
};

const DICTIONARY_BY_EXTENSIONS: Difference = Difference {
    mark: 'C',
    features: &[Feature::DictionaryByExtensions],
    blame: Blame::Ours,
    text: "Conclave never lets a GroupContextExtensions proposal change the dictionary. \
           draft-ietf-mls-extensions-10 (section \"Updating Application Data in the GroupContext\") forbids it where \
           `required_capabilities` list AppDataUpdate. In other groups it would be a way around the components' own \
           rules; the draft itself says that AppDataUpdate is used after the group's creation.",
    ..ANY
};

/// All differences.
pub static ALL: &[Difference] = &[
    Difference {
        mark: 's',
        features: &[Feature::ExternalSenderPsk],
        actors: &[Stack::OpenMls],
        text: "OpenMLS has no function by which an external sender proposes a PSK.",
        ..ANY
    },
    Difference { actors: &[Stack::MlsRs], ..OTHER_KEM },
    Difference { receivers: &[Stack::MlsRs], ..OTHER_KEM },
    Difference { actors: &[Stack::OpenMls], ..DERIVE_KEY_PAIR },
    Difference { receivers: &[Stack::OpenMls], ..DERIVE_KEY_PAIR },
    Difference {
        mark: 'a',
        features: CONTINUED,
        actors: &[Stack::OpenMls],
        text: "OpenMLS has no function that proposes a ReInit or opens a successor or a branch.",
        ..ANY
    },
    Difference {
        mark: 'b',
        features: CONTINUED,
        receivers: &[Stack::OpenMls],
        text: "OpenMLS has no function that joins a successor or a branch.",
        ..ANY
    },
    Difference {
        mark: 'c',
        features: &[Feature::ProposeUpdate],
        actors: TS_MLS,
        text: "ts-mls has no function that proposes an Update and keeps the new leaf's key.",
        ..ANY
    },
    Difference {
        mark: 'd',
        features: &[Feature::ExternalJoinPsk],
        actors: TS_MLS,
        text: "ts-mls takes no PSKs for an external commit.",
        ..ANY
    },
    Difference { actors: &[Stack::OpenMls], ..UNLISTED },
    Difference { receivers: &[Stack::OpenMls], ..UNLISTED },
    Difference {
        mark: 'f',
        features: &[Feature::CommitPsksBoth],
        actors: &[Stack::OpenMls],
        blame: Blame::Theirs,
        text: "When OpenMLS commits one PSK by reference and another by value, it lists the one by \
               reference first but puts the other first into the key schedule (`load_psks` takes the \
               committer's own proposals before the stored ones). Nobody follows, not even OpenMLS. \
               Section 8.4 has the order listed in the Commit.",
        ..ANY
    },
    Difference {
        mark: 'g',
        features: &[Feature::LateLeft],
        receivers: &[Stack::MlsRs],
        blame: Blame::Open,
        text: "mls-rs does not read a message of a past epoch if the sender has left since, or its leaf \
               has another signature key: it keeps no credentials of past epochs and avoids naming \
               the wrong sender. Section 15.3 leaves it to the application how long it keeps what; \
               the other stacks read the message.",
        ..ANY
    },
    Difference {
        mark: 'h',
        features: &[
            Feature::CommitExtensions,
            Feature::UnlistedExtensions,
            Feature::ClearExtensions,
        ],
        actors: TS_MLS,
        others: true,
        blame: Blame::Theirs,
        text: "ts-mls commits a GroupContextExtensions proposal without a path, and accepts such a \
               commit. By sections 12.4 and 17.4 it needs a path.",
        ..ANY
    },
    Difference {
        mark: 'l',
        features: &[Feature::ClearExtensions],
        receivers: TS_MLS,
        others: true,
        blame: Blame::Theirs,
        text: "ts-mls treats an empty list of extensions as no change: it keeps the old extensions, and \
               its GroupContext differs from the others'. By section 12.1.7 the proposal's list \
               replaces the group's.",
        ..ANY
    },
    Difference { actors: &[Stack::MlsRs], ..OWN_EXTENSIONS },
    Difference { actors: TS_MLS, ..OWN_EXTENSIONS },
    Difference {
        mark: 'r',
        features: &[Feature::BranchExtensions],
        receivers: &[Stack::MlsRs],
        blame: Blame::Theirs,
        text: "mls-rs joins a branch only if its extensions are those of the old group \
               (`Group::join_subgroup` compares the lists). Section 11.3 asks for the same version and \
               cipher suite, not for the same extensions.",
        ..ANY
    },
    Difference { actors: TS_MLS, ..EXTERNAL_SENDERS },
    Difference { receivers: TS_MLS, ..EXTERNAL_SENDERS },
    Difference {
        mark: 't',
        features: &[Feature::ExternalSenderPsk],
        receivers: &[Stack::OpenMls],
        blame: Blame::Theirs,
        text: "OpenMLS refuses PSK proposals from external senders; it accepts adds, removes and \
               GroupContext extensions. Section 12.1.8 also lists PSKs among what they may send.",
        ..ANY
    },
    Difference {
        actors: &[Stack::TsMls1],
        receivers: &[Stack::Conclave, Stack::OpenMls, Stack::MlsRs],
        ..HALF_EMPTY
    },
    Difference {
        actors: &[Stack::Conclave, Stack::OpenMls, Stack::MlsRs, Stack::TsMls2],
        receivers: TS_MLS,
        ..HALF_EMPTY
    },
    Difference { actors: TS_MLS, ..EXTERNAL_PUB },
    Difference { receivers: TS_MLS, ..EXTERNAL_PUB },
    Difference {
        mark: 'u',
        features: &[
            Feature::CommitRemove,
            Feature::CommitRemoveAdd,
            Feature::Removed,
            Feature::RemovedReplaced,
        ],
        actors: &[Stack::TsMls2],
        receivers: &[Stack::Conclave, Stack::OpenMls, Stack::MlsRs, Stack::TsMls1],
        shows: &[Feature::CommitRemove, Feature::CommitRemoveAdd],
        blame: Blame::Theirs,
        text: "ts-mls 2.0 commits one Remove, or one Update, without a path, and accepts such a commit: \
               `applyProposals` asks for a path only if there are two. So the removed member knows the \
               next epoch's secrets. By section 12.4 it needs a path; ts-mls 1.6 sends one.",
        ..ANY
    },
    Difference {
        mark: 'v',
        features: &[Feature::CommitResumptionPsk],
        actors: &[Stack::TsMls2],
        blame: Blame::Theirs,
        text: "ts-mls 2.0 cannot commit a resumption PSK, because `createCommit` looks it up without the \
               group's state. It follows another's commit of one.",
        ..ANY
    },
    Difference {
        mark: 'w',
        features: &[Feature::ReInit, Feature::ReInitSuite],
        receivers: &[Stack::TsMls2],
        blame: Blame::Theirs,
        text: "ts-mls 2.0 joins no successor of a group if the ReInit has a `required_capabilities` extension: \
               `extensionEqual` compares two decoded values by their identity. Section 11.2 asks for the \
               extensions of the ReInit, which these are.",
        ..ANY
    },
    Difference {
        mark: 'k',
        features: &[Feature::StackKeys],
        actors: TS_MLS,
        receivers: &[Stack::Conclave],
        suites: |suite| match suite {
            Suite::Rfc(n) | Suite::Extended(n) | Suite::Rcs(n) => [2, 5, 7].contains(&n),
            Suite::Draft(suite) | Suite::Mended(suite) => {
                [PqSuite::MlKem768Aes256P256, PqSuite::MlKem1024Aes256P384].contains(&suite)
            }
        },
        blame: Blame::Theirs,
        text: "ts-mls encodes ECDSA keys as compressed points. Section 5.1.1 has \
               UncompressedPointRepresentation, and Conclave accepts nothing else, so that a key has \
               one encoding; OpenMLS and mls-rs read both. (All other cells of ts-mls use \
               uncompressed keys, which its host gives it.)",
        ..ANY
    },
    Difference {
        mark: 'm',
        features: &[Feature::RemovedReplaced],
        receivers: &[Stack::TsMls1],
        blame: Blame::Theirs,
        text: "ts-mls 1.6 does not notice its removal if the same commit adds a member that takes the free \
               leaf: it checks whether the leaf is empty after all proposals. It then tries to \
               decrypt the path and fails. By section 12.4.2 it has to check whether a Remove names \
               it.",
        ..ANY
    },
    TARGETED,
    TAIL,
    DICTIONARY_FIRST,
    Difference { actors: &[Stack::Conclave], ..DICTIONARY_BY_EXTENSIONS },
    Difference { receivers: &[Stack::Conclave], ..DICTIONARY_BY_EXTENSIONS },
    Difference {
        mark: 'K',
        features: &[Feature::DataThenExtensions],
        actors: &[Stack::OpenMls],
        blame: Blame::Theirs,
        text: "OpenMLS cannot commit a GroupContextExtensions proposal that it received after an AppDataUpdate: it \
               lists them in that order, and refuses the order. By draft-ietf-mls-extensions-10 (section \"Updating \
               Application Data in the GroupContext\"), a GroupContextExtensions proposal can be followed by \
               AppDataUpdates; Conclave puts them behind it, and reads any order.",
        ..ANY
    },
    Difference {
        mark: 'L',
        features: &[Feature::OutsideSafeAad],
        actors: &[Stack::OpenMls],
        blame: Blame::Theirs,
        text: "OpenMLS's proposals from outside the group, of newcomers and of external senders, have no \
               authenticated data, and its host cannot give them any. In a group with the component `safe_aad` all \
               members refuse them, OpenMLS's too. By draft-ietf-mls-extensions-10 (section \"Safe Additional \
               Authenticated Data\"), a SafeAAD without items is sent there.",
        ..ANY
    },
    Difference {
        mark: 'D',
        features: &[Feature::MalformedSafeAad],
        actors: &[Stack::OpenMls],
        text: "OpenMLS has no function that sends a malformed SafeAAD.",
        ..ANY
    },
    Difference {
        mark: 'E',
        features: &[Feature::ProposeEphemeral, Feature::ExternalJoinEphemeral],
        actors: &[Stack::OpenMls],
        text: "OpenMLS commits an AppEphemeral by value; it has no function that proposes one, or adds one to an \
               external commit.",
        ..ANY
    },
    Difference {
        mark: 'F',
        features: &[Feature::ExternalJoinEphemeral],
        receivers: &[Stack::OpenMls],
        blame: Blame::Theirs,
        text: "OpenMLS refuses an external commit with an AppEphemeral (`validate_external_commit`). By \
               draft-ietf-mls-extensions-10 (section \"Attaching Application Data to a Commit\"), AppEphemeral \
               proposals can be included in an external Commit.",
        ..ANY
    },
    Difference {
        mark: 'G',
        features: &[Feature::ExternalSenderAppData],
        actors: &[Stack::OpenMls],
        text: "OpenMLS has no function by which an external sender proposes an AppDataUpdate.",
        ..ANY
    },
    Difference {
        mark: 'H',
        features: &[Feature::ExternalSenderAppData],
        receivers: &[Stack::OpenMls],
        blame: Blame::Theirs,
        text: "OpenMLS refuses AppDataUpdates from external senders \
               (`process_external_authenticated_content`). By draft-ietf-mls-extensions-10 (section \"Updating \
               Application Data in the GroupContext\"), an AppDataUpdate proposal can be sent by an external sender.",
        ..ANY
    },
    Difference {
        mark: 'I',
        features: &[Feature::LateSafeAad],
        receivers: &[Stack::OpenMls],
        blame: Blame::Theirs,
        text: "OpenMLS asks the current epoch's GroupContext whether authenticated data is a SafeAAD, for a message \
               of a past epoch too. So a late message from before the group had the component `safe_aad` is refused \
               (and with debug assertions, tls_codec 0.5 panics at some of them). The framing of a message is that of its epoch's GroupContext (RFC 9420 section 6.1).",
        ..ANY
    },
];
