//! Users, their devices, and who they are.

use super::{
    Bytes, CipherSuite, Decode, DecodeError, DeviceId, Encode, EncodeError, Name, Reader,
    SignaturePublicKey, Writer,
};
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoError, SignatureKeyPair, Suite};
use core::fmt;

/// What a registration's signature is labelled with.
const LABEL: &[u8] = b"Conclave device registration";

structs! {
    /// Registers a device: user, device name, signature key.
    ///
    /// The first to register a device's name has it, and anybody may add a device to a user. It is in
    /// no group until a member adds it: members are shown it then, and people compare verification
    /// codes. The same key may register again, as often as it likes, and gets the same
    /// token; another key is refused ([`DeviceExists`](super::ErrorCode::DeviceExists)).
    pub struct Register {
        /// The device.
        pub device: DeviceId,
        /// A cipher suite whose signature scheme the key is of. The device's key packages can be
        /// of any suite with that scheme.
        pub cipher_suite: CipherSuite,
        /// The device's key, as in its leaf nodes.
        pub signature_key: SignaturePublicKey,
        /// When the request was signed, in seconds since 1970. The service takes requests from
        /// ten minutes ago to ten minutes ahead.
        pub issued_at: u64,
        /// `SignWithLabel(., "Conclave device registration", the fields above)`: shows that the
        /// one who registers has the key.
        pub signature: Bytes,
    }

    /// The reply to [`Register`].
    pub struct Registered {
        /// What shows later requests to be the device's.
        pub token: Token,
    }

    /// Asks for a user's devices.
    pub struct ListDevices {
        /// The user.
        pub user: Name,
    }

    /// The reply to [`ListDevices`]: what this service vouches for as an authentication service.
    pub struct Devices {
        /// The devices, in the order in which they registered.
        pub devices: Vec<DeviceInfo>,
    }

    /// A registered device.
    pub struct DeviceInfo {
        /// The device: accept its credential only with this identity and key.
        pub device: DeviceId,
        /// The cipher suite that it registered with.
        pub cipher_suite: CipherSuite,
        /// Its key.
        pub signature_key: SignaturePublicKey,
        /// When it registered, in seconds since 1970.
        pub registered_at: u64,
    }
}

struct RegisterTbs<'a>(&'a Register);

impl Encode for RegisterTbs<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.device.encode(w)?;
        self.0.cipher_suite.encode(w)?;
        self.0.signature_key.encode(w)?;
        self.0.issued_at.encode(w)
    }
}

impl Register {
    /// A signed request.
    ///
    /// # Errors
    /// If the provider cannot sign with the key.
    pub fn signed(
        suite: &Suite<'_>,
        device: DeviceId,
        key_pair: &SignatureKeyPair,
        now: UnixTime,
    ) -> Result<Self, CryptoError> {
        let mut request = Self {
            device,
            cipher_suite: suite.cipher_suite(),
            signature_key: key_pair.public.clone(),
            issued_at: now.as_secs(),
            signature: Bytes::default(),
        };
        let tbs = RegisterTbs(&request).to_bytes()?;
        request.signature = suite.sign_with_label(key_pair, LABEL, &tbs)?.into();
        Ok(request)
    }

    /// Whether the request is signed with its key. The suite must be the request's.
    ///
    /// # Errors
    /// If it is not.
    pub fn verify(&self, suite: &Suite<'_>) -> Result<(), CryptoError> {
        let tbs = RegisterTbs(self).to_bytes()?;
        suite.verify_with_label(&self.signature_key, LABEL, &tbs, &self.signature)
    }
}

/// What a device authenticates itself with. A secret: never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as it came in a reply or was stored.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, as it stands behind `Bearer`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Encode for Token {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_opaque(self.0.as_bytes())
    }
}

impl Decode for Token {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = r.opaque()?;
        let invalid = DecodeError::InvalidValue { field: "Token", value: bytes.len() as u64 };
        // What is no visible ASCII cannot stand in a header.
        if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(invalid);
        }
        String::from_utf8(bytes.to_vec()).map(Self).map_err(|_| invalid)
    }
}
