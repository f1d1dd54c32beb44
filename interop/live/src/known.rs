//! Differences between the stacks that are known and explained. Scripts go around them; each that
//! is more than a missing function is looked for by a script of its own, so that this table cannot
//! outlive what it says.

use crate::failure::Failure;
use crate::feature::Feature;
use crate::stack::{Stack, having};
use crate::suite::Suite;
use crate::tally::Cell;
use conclave_mls::crypto::PqSuite;

/// Whose a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The stack has no function for it.
    Lacks,
    /// A stack departs from RFC 9420.
    Theirs,
    /// The RFC leaves it open.
    Open,
}

/// A difference.
#[derive(Debug)]
pub struct Difference {
    /// Its mark in the matrix.
    pub mark: char,
    /// What it concerns.
    pub features: &'static [Feature],
    /// Whom as an actor; nobody in particular.
    pub actor: Option<Stack>,
    /// Whom as a receiver.
    pub receiver: Option<Stack>,
    /// Whether it is between different stacks only.
    pub others: bool,
    /// In which suites.
    pub suites: fn(Suite) -> bool,
    /// By which of the features it is looked for; by all, if none is named.
    pub shows: &'static [Feature],
    /// Whose it is.
    pub blame: Blame,
    /// What happens, and what the RFC says.
    pub text: &'static str,
}

impl Difference {
    /// Whether there is something to see.
    pub fn can_be_probed(&self) -> bool {
        self.blame != Blame::Lacks
    }

    /// The features by which it is looked for.
    pub fn probes(&self) -> &'static [Feature] {
        if self.shows.is_empty() { self.features } else { self.shows }
    }

    fn covers(&self, (feature, actor, receiver, suite): Cell) -> bool {
        self.features.contains(&feature)
            && (self.suites)(suite)
            && (actor != receiver || !self.others)
            && self.actor.is_none_or(|stack| stack == actor)
            && self.receiver.is_none_or(|stack| stack == receiver)
    }
}

/// The difference that concerns a cell.
pub fn find(cell: Cell) -> Option<&'static Difference> {
    ALL.iter().find(|difference| difference.covers(cell))
}

/// The difference because of which two stacks cannot be in one group.
pub fn keeps_apart((one, other): (Stack, Stack), suite: Suite) -> Option<&'static Difference> {
    find((Feature::Create, one, other, suite))
}

/// Those of some that can be in one group, the first ones before others.
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

/// A difference that shows only in groups of a certain state, which scripts cannot go around: it
/// ends them early.
#[derive(Debug)]
pub struct Circumstance {
    /// Its mark.
    pub mark: char,
    /// Who refuses.
    pub receiver: Stack,
    /// What the stack says.
    pub says: &'static str,
    /// What happens, and what the RFC says.
    pub text: &'static str,
}

/// The circumstance that explains a failure.
pub fn circumstance(failure: &Failure) -> Option<&'static Circumstance> {
    let explains =
        |c: &&Circumstance| c.receiver == failure.receiver && failure.reason.contains(c.says);
    CIRCUMSTANCES.iter().find(explains)
}

/// All of them.
pub static CIRCUMSTANCES: &[Circumstance] = &[
    Circumstance {
        mark: 'y',
        receiver: Stack::MlsRs,
        says: "not a subgroup",
        text: "mls-rs compares the lengths of the two ratchet trees, blank nodes included, to see that \
           the successor of a group has as many members (`check_that_subgroup_is_a_subset`). So it \
           does not join the successor of a group whose tree had a blank leaf, nor one whose \
           leaves lie otherwise. Section 11.2 asks for the same members.",
    },
    Circumstance {
        mark: 'z',
        receiver: Stack::TsMls,
        says: "non-blank intermediate node must list leaf node in its unmerged_leaves",
        text: "ts-mls does not join a group in whose tree a parent node and another one above or below \
           it have different `unmerged_leaves`. Section 12.4.3.1 asks only that a leaf which is \
           unmerged at a node is unmerged at the nodes between the two; ts-mls compares the whole \
           lists, of all nodes up to the root (`validateRatchetTree`).",
    },
];

const ANY: Difference = Difference {
    mark: ' ',
    features: &[],
    actor: None,
    receiver: None,
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
    text: "OpenMLS takes GroupContext extensions only of types that RFC 9420 defines or that the \
           `required_capabilities` of the same proposal list. Section 12.1.7 names one ground of \
           refusal: required capabilities that not all members have. Here all members advertise \
           the type.",
    ..ANY
};

const EXTERNAL_PUB: Difference = Difference {
    mark: 'i',
    features: &[Feature::GroupInfo, Feature::GroupInfoTreeApart],
    others: true,
    blame: Blame::Theirs,
    text: "ts-mls writes and reads the content of the `external_pub` extension as the bare key. \
           Section 12.4.3.2 has `struct { HPKEPublicKey external_pub; }`, and an HPKEPublicKey is \
           `opaque<V>`, with its length before it. So nobody joins by a GroupInfo of ts-mls but \
           ts-mls, nor ts-mls by another's. (The external commits of ts-mls are in the matrix all \
           the same: into mixed groups, by a GroupInfo of a member that runs ts-mls.)",
    ..ANY
};

const HALF_EMPTY: Difference = Difference {
    mark: 'n',
    features: &[Feature::HalfEmpty],
    others: true,
    blame: Blame::Theirs,
    text: "ts-mls derives the commit secret from the path secret of the root (`pathToRoot`) even if \
           the root is not on the committer's filtered direct path, because the other half of the \
           tree is empty. Sections 12.4.1 and 12.4.2: from the last path secret of the UpdatePath. \
           So the confirmation tags differ.",
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
    text: "ts-mls takes the content of the `external_senders` extension for one ExternalSender, and \
           several extensions of the type for several senders. Section 12.1.8.1 has \
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
    text: "mls-rs's AWS-LC provider (0.27, feature `post-quantum`) has suites by an older construction: \
           its KEMs all have the identifier 15, which goes into every derivation of HPKE (the draft's have \
           0x0041, 0x0042, 0x647a), the hybrid combines as the first X-Wing drafts did, its label before \
           the secrets, and key pairs are derived with HKDF. Of its four suites, 65100 and 65003 have the \
           components of TBD1 and TBD8; they were tried, at the others' code points. Neither side opens the \
           other's first Welcome.",
    ..ANY
};

/// What goes with an UpdatePath, or with a key that the group's secrets make.
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
    text: "OpenMLS 0.9 (openmls_rust_crypto 0.6, feature `draft-ietf-mls-pq-ciphersuites`) has HPKE of \
           hpke-rs 0.7, whose DeriveKeyPair takes SHAKE256(ikm) for a key's seed. draft-ietf-hpke-pq, sections 3 \
           and 4: SHAKE256.LabeledDerive(ikm, \"DeriveKeyPair\", \"\", Nsk). So a path secret makes other \
           keys (RFC 9420 section 7.4) than the UpdatePath holds, and neither side follows a commit with a path: \
           what needs one is left out, external joins and changes of a group's extensions with it. Commits \
           without one, their Welcomes and all messages pass. hpke-rs 0.8 has the label, but no release of \
           OpenMLS takes it.",
    ..ANY
};

/// What leads into groups that continue others.
const CONTINUED: &[Feature] =
    &[Feature::ReInit, Feature::ReInitSuite, Feature::Branch, Feature::BranchExtensions];

const OWN_EXTENSIONS: Difference = Difference {
    mark: 'q',
    features: &[Feature::BranchExtensions],
    text: "mls-rs and ts-mls open a branch with the extensions of the old group; they take no others \
           for it.",
    ..ANY
};

/// All of them.
pub static ALL: &[Difference] = &[
    Difference { actor: Some(Stack::MlsRs), ..OTHER_KEM },
    Difference { receiver: Some(Stack::MlsRs), ..OTHER_KEM },
    Difference { actor: Some(Stack::OpenMls), ..DERIVE_KEY_PAIR },
    Difference { receiver: Some(Stack::OpenMls), ..DERIVE_KEY_PAIR },
    Difference {
        mark: 'a',
        features: CONTINUED,
        actor: Some(Stack::OpenMls),
        text: "OpenMLS has no function that proposes a ReInit, or opens a successor or a branch.",
        ..ANY
    },
    Difference {
        mark: 'b',
        features: CONTINUED,
        receiver: Some(Stack::OpenMls),
        text: "OpenMLS has no function that joins a successor or a branch.",
        ..ANY
    },
    Difference {
        mark: 'c',
        features: &[Feature::ProposeUpdate],
        actor: Some(Stack::TsMls),
        text: "ts-mls has no function that proposes an Update and keeps the new leaf's key.",
        ..ANY
    },
    Difference {
        mark: 'd',
        features: &[Feature::ExternalJoinPsk],
        actor: Some(Stack::TsMls),
        text: "ts-mls takes no PSKs for an external commit.",
        ..ANY
    },
    Difference { actor: Some(Stack::OpenMls), ..UNLISTED },
    Difference { receiver: Some(Stack::OpenMls), ..UNLISTED },
    Difference {
        mark: 'f',
        features: &[Feature::CommitPsksBoth],
        actor: Some(Stack::OpenMls),
        blame: Blame::Theirs,
        text: "OpenMLS, when it commits a PSK by reference and another by value, lists the one by \
               reference first but puts the other first into the key schedule (`load_psks` takes \
               its own proposals before the stored ones). Nobody follows, OpenMLS neither. \
               Section 8.4: in the order listed in the Commit.",
        ..ANY
    },
    Difference {
        mark: 'g',
        features: &[Feature::LateLeft],
        receiver: Some(Stack::MlsRs),
        blame: Blame::Open,
        text: "mls-rs does not read a message of a past epoch whose sender has left since, or has \
               another signature key at its leaf: it keeps no credentials of past epochs and does \
               not want to name the wrong sender. Section 15.3 leaves it to the application how \
               long it keeps what; the other stacks read the message.",
        ..ANY
    },
    Difference {
        mark: 'h',
        features: &[
            Feature::CommitExtensions,
            Feature::UnlistedExtensions,
            Feature::ClearExtensions,
        ],
        actor: Some(Stack::TsMls),
        others: true,
        blame: Blame::Theirs,
        text: "ts-mls makes a commit of a GroupContextExtensions proposal without a path, and takes \
               one. Sections 12.4 and 17.4: it needs a path.",
        ..ANY
    },
    Difference {
        mark: 'l',
        features: &[Feature::ClearExtensions],
        receiver: Some(Stack::TsMls),
        others: true,
        blame: Blame::Theirs,
        text: "ts-mls takes an empty list of extensions for no change: it leaves the extensions as \
               they were, and its GroupContext differs from the others'. Section 12.1.7: the list \
               of the proposal replaces that of the group.",
        ..ANY
    },
    Difference { actor: Some(Stack::MlsRs), ..OWN_EXTENSIONS },
    Difference { actor: Some(Stack::TsMls), ..OWN_EXTENSIONS },
    Difference {
        mark: 'r',
        features: &[Feature::BranchExtensions],
        receiver: Some(Stack::MlsRs),
        blame: Blame::Theirs,
        text: "mls-rs joins a branch only if its extensions are those of the old group \
               (`Group::join_subgroup` compares the lists). Section 11.3 asks for the same version and \
               cipher suite, not for the same extensions.",
        ..ANY
    },
    Difference { actor: Some(Stack::TsMls), ..EXTERNAL_SENDERS },
    Difference { receiver: Some(Stack::TsMls), ..EXTERNAL_SENDERS },
    Difference {
        mark: 's',
        features: &[Feature::ExternalSenderPsk],
        actor: Some(Stack::OpenMls),
        text: "OpenMLS has no function by which an external sender proposes a PSK.",
        ..ANY
    },
    Difference {
        mark: 't',
        features: &[Feature::ExternalSenderPsk],
        receiver: Some(Stack::OpenMls),
        blame: Blame::Theirs,
        text: "OpenMLS refuses PSK proposals of external senders; of theirs it takes adds, removes and \
               GroupContext extensions. Section 12.1.8 lists PSKs, too, among what they may send.",
        ..ANY
    },
    Difference { actor: Some(Stack::TsMls), ..HALF_EMPTY },
    Difference { receiver: Some(Stack::TsMls), ..HALF_EMPTY },
    Difference { actor: Some(Stack::TsMls), ..EXTERNAL_PUB },
    Difference { receiver: Some(Stack::TsMls), ..EXTERNAL_PUB },
    Difference {
        mark: 'k',
        features: &[Feature::StackKeys],
        actor: Some(Stack::TsMls),
        receiver: Some(Stack::Conclave),
        suites: |suite| match suite {
            Suite::Rfc(n) => [2, 5, 7].contains(&n),
            Suite::Draft(suite) | Suite::Mended(suite) => {
                [PqSuite::MlKem768Aes256P256, PqSuite::MlKem1024Aes256P384].contains(&suite)
            }
        },
        blame: Blame::Theirs,
        text: "ts-mls makes ECDSA keys as compressed points. Section 5.1.1 has \
               UncompressedPointRepresentation, and Conclave takes nothing else, so that a key has \
               one encoding; OpenMLS and mls-rs happen to read both. (All other cells of ts-mls \
               are with uncompressed keys, which it takes from its host.)",
        ..ANY
    },
    Difference {
        mark: 'm',
        features: &[Feature::RemovedReplaced],
        receiver: Some(Stack::TsMls),
        blame: Blame::Theirs,
        text: "ts-mls does not notice that it was removed when the same commit adds somebody, who \
               takes the free leaf: it looks whether the leaf is empty after all proposals. It \
               then tries to decrypt the path and fails. Section 12.4.2: whether a Remove names \
               the receiver.",
        ..ANY
    },
];
