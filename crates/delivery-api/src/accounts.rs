//! Users, their devices, and who calls.

use super::{
    Bytes, ClientVersion, Decode, DecodeError, DirectoryPage, Encode, EncodeError, Incarnation,
    Name, Reader, Writer, parse_hex, to_hex,
};
use conclave_account::Author;
use conclave_mls::credential::{ExternalSender, SignaturePublicKey};
use conclave_mls::crypto::{
    CryptoError, CryptoProvider, Hash, SignatureKeyPair, SignatureScheme, Suite,
};
use conclave_mls::{Credential, UnixTime};
use conclave_room::Text;
use core::fmt;

/// What the signature that opens a session is labelled with.
const SESSION_LABEL: &[u8] = b"Conclave session";
/// What the signature of each request is labelled with.
const REQUEST_LABEL: &[u8] = b"Conclave request";
/// The signature scheme of session keys. They live for an hour, and sign every request.
pub const SESSION_SCHEME: SignatureScheme = SignatureScheme::Ed25519;
/// The identity of the service as an external sender: no device has it, as no user's name is empty.
const SENDER_IDENTITY: &[u8] = b"/service";

structs! {
    /// Asks what this service is.
    pub struct DescribeService {}

    /// The reply to [`DescribeService`].
    pub struct ServiceInfo {
        /// The service's public key, of [`SESSION_SCHEME`]. It signs the roots of the directory, too.
        pub key: SignaturePublicKey,
        /// The key of the service as an [external sender](Self::external_sender), of [`SESSION_SCHEME`].
        pub sender_key: SignaturePublicKey,
        /// Whose word it takes on which key is whose.
        pub mode: Mode,
        /// Who may create an account; nobody where devices are certified.
        pub registration: Registration,
        /// The service's time, in seconds since 1970.
        pub now: u64,
        /// The oldest version of each named client that the service accepts. If there are any,
        /// every client must name itself.
        pub minimum_clients: Vec<ClientVersion>,
        /// The incarnation of its state. It changes when the service is restored from a backup or set up anew.
        pub incarnation: Incarnation,
        /// The domain that the URIs of new rooms and their users begin with, if the service has one of its own.
        pub domain: Option<Text>,
    }

    /// Submits entries of a user's account log, and so creates an account, adds a device or revokes one.
    ///
    /// Whoever has the entries may submit them: each is signed, and nobody but the user's devices and recovery
    /// key could have made it. The service takes those that follow on its own log and passes over those that it has,
    /// so a request can be repeated, and a device submits its whole log to a service that has forgotten it.
    pub struct SubmitAccount {
        /// Whose log it is.
        pub user: Name,
        /// [`Entry`](conclave_account::Entry)s, ascending without gaps.
        pub entries: Vec<Bytes>,
        /// What lets a new account in, where registration is by invitation.
        pub invitation: Option<Bytes>,
    }

    /// The reply to [`SubmitAccount`]: where the log ends now.
    pub struct AccountHead {
        /// How many entries it has.
        pub length: u64,
        /// The hash of the last one.
        pub hash: Bytes,
    }

    /// Asks for a user's account log.
    pub struct FetchAccount {
        /// Whose.
        pub user: Name,
        /// How many entries the caller has.
        pub after: u64,
    }

    /// The reply to [`FetchAccount`].
    pub struct AccountPage {
        /// The entries after those, ascending; not all of them, if they are many.
        pub entries: Vec<Bytes>,
        /// How many entries the log has.
        pub length: u64,
        /// What the directory says about the user: not yet all that the log has, if it has grown since the
        /// last batch was published, and that there is no such name, if the account is that new.
        pub directory: DirectoryPage,
    }

    /// Opens a session: shows that the caller has a device's key, or the recovery key, and introduces the key
    /// that signs the session's requests.
    pub struct OpenSession {
        /// Whose account it is.
        pub user: Name,
        /// Who signs.
        pub author: Author,
        /// With which key: the account says whether it is the author's.
        pub key: SignaturePublicKey,
        /// The session's key, of [`SESSION_SCHEME`], made for it alone.
        pub session_key: SignaturePublicKey,
        /// When it was signed, in seconds since 1970. The service takes requests from ten minutes
        /// ago to ten minutes ahead.
        pub issued_at: u64,
        /// `SignWithLabel(., "Conclave session", service key and the fields above)`. It names the service, so that
        /// no other one can use it.
        pub signature: Bytes,
    }

    /// The reply to [`OpenSession`].
    pub struct OpenedSession {
        /// What names the session in its requests.
        pub token: Token,
        /// For how many seconds it is good.
        pub lifetime: u64,
        /// The incarnation of the service's state. If it has changed, compare the logs of all groups with what you
        /// hold.
        pub incarnation: Incarnation,
    }

    /// Leaves something at the service for somebody who is to fetch it within minutes: how a new device and one
    /// that is to admit it speak to each other.
    pub struct PutRelay {
        /// The place: 16 bytes that nobody guesses.
        pub slot: Bytes,
        /// What to keep: at most 64 KiB.
        pub content: Bytes,
    }

    /// The reply to [`PutRelay`].
    pub struct RelayStored {
        /// For how many seconds it is kept.
        pub lifetime: u64,
    }

    /// Fetches what was left at a place.
    pub struct FetchRelay {
        /// The place.
        pub slot: Bytes,
    }

    /// The reply to [`FetchRelay`].
    pub struct RelayContent {
        /// What is there; none if nothing is, or it has expired.
        pub content: Option<Bytes>,
    }
}

/// Whose word a service takes on which key is whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The users' own devices: each user has an account log, and a directory shows all of them.
    Accounts,
    /// A CA's: each device has a certificate.
    Certificates,
}

impl Encode for Mode {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let number: u8 = match self {
            Self::Accounts => 1,
            Self::Certificates => 2,
        };
        number.encode(w)
    }
}

impl Decode for Mode {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::Accounts),
            2 => Ok(Self::Certificates),
            other => Err(DecodeError::InvalidValue { field: "Mode", value: other.into() }),
        }
    }
}

/// Who may create an account at a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anybody.
    Open,
    /// Whoever has an invitation.
    Invitation,
    /// Nobody.
    Closed,
}

impl Encode for Registration {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let number: u8 = match self {
            Self::Open => 1,
            Self::Invitation => 2,
            Self::Closed => 3,
        };
        number.encode(w)
    }
}

impl Decode for Registration {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::Open),
            2 => Ok(Self::Invitation),
            3 => Ok(Self::Closed),
            other => Err(DecodeError::InvalidValue { field: "Registration", value: other.into() }),
        }
    }
}

impl ServiceInfo {
    /// What a group puts into its `external_senders` (RFC 9420 section 12.1.8.1) for the service to propose the
    /// removal of members that were revoked. The identity is no device's. Only groups of a suite whose signature
    /// scheme is [`SESSION_SCHEME`] can use it.
    #[must_use]
    pub fn external_sender(&self) -> ExternalSender {
        external_sender(self.sender_key.clone())
    }
}

/// The service with this key as an external sender.
#[must_use]
pub fn external_sender(signature_key: SignaturePublicKey) -> ExternalSender {
    ExternalSender { signature_key, credential: Credential::basic(SENDER_IDENTITY) }
}

impl OpenSession {
    /// A signed request.
    ///
    /// # Errors
    /// If the provider cannot sign with the key.
    pub fn signed(
        provider: &dyn CryptoProvider,
        service_key: &SignaturePublicKey,
        (user, author): (Name, Author),
        (scheme, key_pair): (SignatureScheme, &SignatureKeyPair),
        session_key: SignaturePublicKey,
        now: UnixTime,
    ) -> Result<Self, CryptoError> {
        let (key, issued_at) = (key_pair.public.clone(), now.as_secs());
        let signature = Bytes::default();
        let mut request = Self { user, author, key, session_key, issued_at, signature };
        let content = request.content(service_key)?;
        request.signature = provider.sign(scheme, key_pair, &content)?.into();
        Ok(request)
    }

    /// Whether the request is signed with the key that it names, for a service.
    ///
    /// # Errors
    /// If it is not.
    pub fn verify(
        &self,
        provider: &dyn CryptoProvider,
        service_key: &SignaturePublicKey,
        scheme: SignatureScheme,
    ) -> Result<(), CryptoError> {
        provider.verify(scheme, &self.key, &self.content(service_key)?, &self.signature)
    }

    fn content(&self, service_key: &SignaturePublicKey) -> Result<Vec<u8>, CryptoError> {
        let mut w = Writer::new();
        service_key.encode(&mut w)?;
        self.user.encode(&mut w)?;
        self.author.encode(&mut w)?;
        self.key.encode(&mut w)?;
        self.session_key.encode(&mut w)?;
        self.issued_at.encode(&mut w)?;
        Suite::sign_content(SESSION_LABEL, w.written())
    }
}

/// The signature that goes with a request of a session, in the header [`PROOF_HEADER`](super::PROOF_HEADER): the
/// request's number and, after a space, the signature in hexadecimal. So a token alone is worth nothing to whoever
/// overhears it, and no request counts twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The request's number in the session: no two have the same.
    pub number: u64,
    /// `SignWithLabel(session key, "Conclave request", token, path, number, SHA-256(body))`.
    pub signature: Bytes,
}

impl Proof {
    /// The proof for a request.
    ///
    /// # Errors
    /// If the provider cannot sign.
    pub fn signed(
        provider: &dyn CryptoProvider,
        key_pair: &SignatureKeyPair,
        token: &Token,
        number: u64,
        (path, body): (&str, &[u8]),
    ) -> Result<Self, CryptoError> {
        let content = request_content(provider, token.expose(), number, (path, body))?;
        let signature = provider.sign(SESSION_SCHEME, key_pair, &content)?.into();
        Ok(Self { number, signature })
    }

    /// Whether a session's key signed this request.
    ///
    /// # Errors
    /// If it did not.
    pub fn verify(
        &self,
        provider: &dyn CryptoProvider,
        session_key: &SignaturePublicKey,
        token: &str,
        request: (&str, &[u8]),
    ) -> Result<(), CryptoError> {
        let content = request_content(provider, token, self.number, request)?;
        provider.verify(SESSION_SCHEME, session_key, &content, &self.signature)
    }

    /// The text of the header.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{} {}", self.number, to_hex(&self.signature))
    }

    /// The proof in a header's text; none if it is none.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (number, signature) = text.split_once(' ')?;
        let signature = parse_hex(signature)?;
        Some(Self { number: number.parse().ok()?, signature: signature.into() })
    }
}

fn request_content(
    provider: &dyn CryptoProvider,
    token: &str,
    number: u64,
    (path, body): (&str, &[u8]),
) -> Result<Vec<u8>, CryptoError> {
    signed_content((token, path), number, &provider.hash(Hash::Sha256, &[body])?)
}

/// What a request's signature is over.
pub(crate) fn signed_content(
    (token, path): (&str, &str),
    number: u64,
    body_hash: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let mut w = Writer::new();
    w.put_opaque(token.as_bytes())?;
    w.put_opaque(path.as_bytes())?;
    number.encode(&mut w)?;
    w.put_opaque(body_hash)?;
    Suite::sign_content(REQUEST_LABEL, w.written())
}

/// What names a session. It takes the session's key to use it; still, it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as it came in a reply.
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
