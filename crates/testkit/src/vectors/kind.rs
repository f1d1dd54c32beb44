use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// A kind of file, with the name of the working group's file if it is one of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    TreeMath,
    CryptoBasics,
    SecretTree,
    MessageProtection,
    KeySchedule,
    PskSecret,
    TranscriptHashes,
    Welcome,
    TreeOperations,
    TreeValidation,
    TreeKem,
    Messages,
    PassiveClientWelcome,
    PassiveClientHandlingCommit,
    PassiveClientRandom,
    Deserialization,
    Components,
    TargetedMessages,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 18] = [
        Self::TreeMath,
        Self::CryptoBasics,
        Self::SecretTree,
        Self::MessageProtection,
        Self::KeySchedule,
        Self::PskSecret,
        Self::TranscriptHashes,
        Self::Welcome,
        Self::TreeOperations,
        Self::TreeValidation,
        Self::TreeKem,
        Self::Messages,
        Self::PassiveClientWelcome,
        Self::PassiveClientHandlingCommit,
        Self::PassiveClientRandom,
        Self::Deserialization,
        Self::Components,
        Self::TargetedMessages,
    ];

    /// The name of the file, without `.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TreeMath => "tree-math",
            Self::CryptoBasics => "crypto-basics",
            Self::SecretTree => "secret-tree",
            Self::MessageProtection => "message-protection",
            Self::KeySchedule => "key-schedule",
            Self::PskSecret => "psk_secret",
            Self::TranscriptHashes => "transcript-hashes",
            Self::Welcome => "welcome",
            Self::TreeOperations => "tree-operations",
            Self::TreeValidation => "tree-validation",
            Self::TreeKem => "treekem",
            Self::Messages => "messages",
            Self::PassiveClientWelcome => "passive-client-welcome",
            Self::PassiveClientHandlingCommit => "passive-client-handling-commit",
            Self::PassiveClientRandom => "passive-client-random",
            Self::Deserialization => "deserialization",
            Self::Components => "components",
            Self::TargetedMessages => "targeted-messages",
        }
    }

    /// Whether the working group's collection has files of this kind. The format of others is in
    /// `vectors/FORMAT.md`.
    #[must_use]
    pub fn is_of_working_group(self) -> bool {
        !matches!(self, Self::Components | Self::TargetedMessages)
    }

    /// Whether vectors of this kind name a cipher suite.
    #[must_use]
    pub fn has_suites(self) -> bool {
        !matches!(self, Self::TreeMath | Self::Messages | Self::Deserialization)
    }

    /// The kind of some vectors, determined by the fields of the first vector that has telling ones; none
    /// if no vector has any.
    ///
    /// The three kinds of passive clients share one format. They follow the group for no commit, for two,
    /// or for more.
    #[must_use]
    pub fn detect(vectors: &[Value]) -> Option<Self> {
        let kind = vectors.iter().find_map(Self::of_vector)?;
        if kind != Self::PassiveClientWelcome {
            return Some(kind);
        }
        let epochs = |v: &Value| v.get("epochs").and_then(Value::as_array).map_or(0, Vec::len);
        Some(match vectors.iter().map(epochs).max() {
            None | Some(0) => Self::PassiveClientWelcome,
            Some(1..=2) => Self::PassiveClientHandlingCommit,
            Some(_) => Self::PassiveClientRandom,
        })
    }

    /// The kind, determined by a field that no other format has.
    fn of_vector(vector: &Value) -> Option<Self> {
        const TELLING: [(&str, Kind); 16] = [
            ("n_leaves", Kind::TreeMath),
            ("derive_tree_secret", Kind::CryptoBasics),
            ("sender_data", Kind::SecretTree),
            ("application_priv", Kind::MessageProtection),
            ("initial_init_secret", Kind::KeySchedule),
            ("psks", Kind::PskSecret),
            ("authenticated_content", Kind::TranscriptHashes),
            ("signer_pub", Kind::Welcome),
            ("tree_before", Kind::TreeOperations),
            ("resolutions", Kind::TreeValidation),
            ("update_paths", Kind::TreeKem),
            ("mls_welcome", Kind::Messages),
            ("initial_epoch_authenticator", Kind::PassiveClientWelcome),
            ("vlbytes_header", Kind::Deserialization),
            ("component_operation_label", Kind::Components),
            ("targeted_message", Kind::TargetedMessages),
        ];
        let fields = vector.as_object()?;
        TELLING.iter().find(|(field, _)| fields.contains_key(*field)).map(|(_, kind)| *kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No kind has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKind(String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no kind is called {:?}; there are", self.0)?;
        Kind::ALL.iter().try_for_each(|kind| write!(f, " {kind}"))
    }
}

impl std::error::Error for UnknownKind {}

impl FromStr for Kind {
    type Err = UnknownKind;

    /// Parses a name. `-` and `_` are the same.
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let plain = |s: &str| s.to_ascii_lowercase().replace('_', "-");
        let wanted = plain(text);
        Self::ALL
            .into_iter()
            .find(|kind| plain(kind.name()) == wanted)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}
