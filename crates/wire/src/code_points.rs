//! Code points that the IANA registers (section 17).

use alloc::vec::Vec;
use core::fmt;

macro_rules! code_point {
    ($($(#[$meta:meta])* $name:ident {
        $($(#[$cmeta:meta])* $const:ident = $value:literal $iana:literal),* $(,)?
    })*) => {$(
        $(#[$meta])*
        ///
        /// It can hold any 16-bit value; the constants are the registered values used here. It is
        /// displayed as its name at IANA if it is one of these, in hexadecimal otherwise.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u16);

        impl $name {
            $($(#[$cmeta])* pub const $const: Self = Self($value);)*
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$const => f.write_str($iana),)*
                    Self(other) => write!(f, "{other:#06x}"),
                }
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$const => f.write_str(concat!(stringify!($name), "::", stringify!($const))),)*
                    Self(other) => write!(f, concat!(stringify!($name), "({:#06x})"), other),
                }
            }
        }
    )*};
}

code_point! {
    /// A protocol version (section 6).
    ProtocolVersion {
        /// MLS 1.0.
        MLS_1_0 = 1 "mls10",
    }
    /// A cipher suite (section 17.1).
    CipherSuite {
        /// Suite 1: X25519, AES-128-GCM, SHA-256, Ed25519.
        MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519 = 1
            "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
        /// Suite 2: P-256, AES-128-GCM, SHA-256, ECDSA P-256.
        MLS_128_DHKEMP256_AES128GCM_SHA256_P256 = 2
            "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
        /// Suite 3: X25519, ChaCha20-Poly1305, SHA-256, Ed25519.
        MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_ED25519 = 3
            "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
        /// Suite 4: X448, AES-256-GCM, SHA-512, Ed448.
        MLS_256_DHKEMX448_AES256GCM_SHA512_ED448 = 4
            "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448",
        /// Suite 5: P-521, AES-256-GCM, SHA-512, ECDSA P-521.
        MLS_256_DHKEMP521_AES256GCM_SHA512_P521 = 5
            "MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
        /// Suite 6: X448, ChaCha20-Poly1305, SHA-512, Ed448.
        MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_ED448 = 6
            "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448",
        /// Suite 7: P-384, AES-256-GCM, SHA-384, ECDSA P-384.
        MLS_256_DHKEMP384_AES256GCM_SHA384_P384 = 7
            "MLS_256_DHKEMP384_AES256GCM_SHA384_P384",
    }
    /// The kind of content of an MLSMessage (section 17.2).
    WireFormat {
        /// A PublicMessage.
        PUBLIC_MESSAGE = 1 "mls_public_message",
        /// A PrivateMessage.
        PRIVATE_MESSAGE = 2 "mls_private_message",
        /// A Welcome.
        WELCOME = 3 "mls_welcome",
        /// A GroupInfo.
        GROUP_INFO = 4 "mls_group_info",
        /// A KeyPackage.
        KEY_PACKAGE = 5 "mls_key_package",
        /// A TargetedMessage (draft-ietf-mls-targeted-messages-02).
        TARGETED_MESSAGE = 6 "mls_targeted_message",
    }
    /// A type of extension (section 17.3).
    ExtensionType {
        /// `application_id`, in a leaf node (section 5.3.3).
        APPLICATION_ID = 1 "application_id",
        /// `ratchet_tree`, in a GroupInfo (section 12.4.3.3).
        RATCHET_TREE = 2 "ratchet_tree",
        /// `required_capabilities`, in a GroupContext (section 11.1).
        REQUIRED_CAPABILITIES = 3 "required_capabilities",
        /// `external_pub`, in a GroupInfo (section 12.4.3.2).
        EXTERNAL_PUB = 4 "external_pub",
        /// `external_senders`, in a GroupContext (section 12.1.8.1).
        EXTERNAL_SENDERS = 5 "external_senders",
        /// `app_data_dictionary`, in a GroupContext, LeafNode, KeyPackage or GroupInfo
        /// (draft-ietf-mls-extensions-10).
        APP_DATA_DICTIONARY = 6 "app_data_dictionary",
        /// `supported_wire_formats`, in a LeafNode (draft-ietf-mls-extensions-10).
        SUPPORTED_WIRE_FORMATS = 7 "supported_wire_formats",
        /// `required_wire_formats`, in a GroupContext (draft-ietf-mls-extensions-10).
        REQUIRED_WIRE_FORMATS = 8 "required_wire_formats",
        /// `last_resort`, in a KeyPackage (draft-ietf-mls-extensions up to -07; in wide use).
        LAST_RESORT = 0x000a "last_resort_key_package",
    }
    /// A type of proposal (section 17.4).
    ProposalType {
        /// Add (section 12.1.1).
        ADD = 1 "add",
        /// Update (section 12.1.2).
        UPDATE = 2 "update",
        /// Remove (section 12.1.3).
        REMOVE = 3 "remove",
        /// PreSharedKey (section 12.1.4).
        PSK = 4 "psk",
        /// ReInit (section 12.1.5).
        REINIT = 5 "reinit",
        /// ExternalInit (section 12.1.6).
        EXTERNAL_INIT = 6 "external_init",
        /// GroupContextExtensions (section 12.1.7).
        GROUP_CONTEXT_EXTENSIONS = 7 "group_context_extensions",
        /// AppDataUpdate (draft-ietf-mls-extensions-10).
        APP_DATA_UPDATE = 8 "app_data_update",
        /// AppEphemeral (draft-ietf-mls-extensions-10).
        APP_EPHEMERAL = 9 "app_ephemeral",
        /// SelfRemove (draft-ietf-mls-extensions-10).
        SELF_REMOVE = 0x000a "self_remove",
    }
    /// A type of credential (section 17.5).
    CredentialType {
        /// An identity without proof.
        BASIC = 1 "basic",
        /// A chain of X.509 certificates.
        X509 = 2 "x509",
        /// Several credentials, all of which hold (draft-ietf-mls-extensions-10).
        MULTI = 3 "multi",
        /// Several credentials, of which each client checks those that it supports
        /// (draft-ietf-mls-extensions-10).
        WEAK_MULTI = 4 "weak-multi",
    }
    /// An application component (draft-ietf-mls-extensions-10, "MLS Component Types"). Values from
    /// 0x8000 are for private use.
    ComponentId {
        /// The components that a client supports or a group requires.
        APP_COMPONENTS = 1 "app_components",
        /// The components that send safe AAD.
        SAFE_AAD = 2 "safe_aad",
        /// The media types that a client supports or a group requires.
        CONTENT_MEDIA_TYPES = 3 "content_media_types",
        /// Marks a key package as one of last resort.
        LAST_RESORT_KEY_PACKAGE = 4 "last_resort_key_package",
        /// Acknowledgements of application messages.
        APP_ACK = 5 "app_ack",
    }
}

impl ExtensionType {
    /// Whether every client supports it, so capabilities must not list it (section 7.2).
    #[must_use]
    pub fn is_default(self) -> bool {
        (1..=5).contains(&self.0)
    }
}

impl ProposalType {
    /// Whether every client supports it, so capabilities must not list it (section 7.2).
    #[must_use]
    pub fn is_default(self) -> bool {
        (1..=7).contains(&self.0)
    }

    /// Whether this library defines it: RFC 9420's types, and those of draft-ietf-mls-extensions-10.
    #[must_use]
    pub fn is_known(self) -> bool {
        (1..=0x000a).contains(&self.0)
    }
}

/// Whether a code point is reserved for GREASE (section 13.5).
#[must_use]
pub const fn is_grease(code_point: u16) -> bool {
    code_point & 0x0f0f == 0x0a0a && code_point >> 8 == code_point & 0xff && code_point != 0xfafa
}

/// Picks one of the fifteen code points that are reserved for GREASE (section 13.5). Any number
/// picks one.
#[must_use]
pub fn grease(pick: u8) -> u16 {
    let i = u16::from(pick % 15);
    (i << 12) | (i << 4) | 0x0a0a
}

/// Inserts a value at a place that `at` picks, unless the list already has it.
pub(crate) fn put_in<T: PartialEq>(list: &mut Vec<T>, value: T, at: u8) {
    if !list.contains(&value) {
        // At most the length of the list, so the place exists.
        let place = usize::from(at) % list.len().saturating_add(1);
        list.insert(place, value);
    }
}

/// Picks one of the eight components that are reserved for GREASE (draft-ietf-mls-extensions-10, "MLS
/// Component Types"): 0x0a0a to 0x7a7a. Any number picks one.
pub(crate) fn grease_component(pick: u8) -> u16 {
    grease(pick % 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_number_picks_a_grease_value_and_each_can_be_picked() {
        let picked: Vec<u16> = (0..=u8::MAX).map(grease).collect();
        assert!(picked.iter().all(|v| is_grease(*v)));
        assert!((0..=u16::MAX).filter(|v| is_grease(*v)).all(|v| picked.contains(&v)));
    }

    #[test]
    fn components_for_grease_are_below_those_for_private_use() {
        let picked: Vec<u16> = (0..=u8::MAX).map(grease_component).collect();
        assert!(picked.iter().all(|v| is_grease(*v) && *v < 0x8000));
        assert!((0..0x8000).filter(|v| is_grease(*v)).all(|v| picked.contains(&v)));
    }

    #[test]
    fn code_points_are_displayed_by_name_or_in_hexadecimal() {
        let shown = [
            ProtocolVersion::MLS_1_0.to_string(),
            CipherSuite(1).to_string(),
            WireFormat::WELCOME.to_string(),
            ExtensionType::LAST_RESORT.to_string(),
            ProposalType::PSK.to_string(),
            CredentialType::X509.to_string(),
            CredentialType(0xf00).to_string(),
        ];
        let expected = [
            "mls10",
            "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
            "mls_welcome",
            "last_resort_key_package",
            "psk",
            "x509",
            "0x0f00",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn grease_is_the_fifteen_registered_values() {
        let found: Vec<u16> = (0..=u16::MAX).filter(|v| is_grease(*v)).collect();
        let want: Vec<u16> = (0..15).map(|i| (i << 12 | i << 4) | 0x0a0a).collect();
        assert_eq!(found, want);
    }
}
