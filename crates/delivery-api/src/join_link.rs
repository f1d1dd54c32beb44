//! Join links: a text that lets whoever has it, and an account, into one group.
//!
//! A link holds a secret, from which an Ed25519 key pair follows. The group's state names the public key
//! ([`JoinLinks`](super::JoinLinks)); the secret is in the text alone. So neither the service, which sees the group's
//! state, nor whoever steals its storage can join by a link, or make one.

use super::{
    Decode, DecodeError, DeviceId, Encode, EncodeError, GroupId, Reader, SESSION_SCHEME, Writer,
    sha256,
};
use conclave_account::{base32, from_base32};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{CryptoError, CryptoProvider, CryptoRng, Kdf, Secret, SignatureKeyPair};
use core::fmt;
use core::str::FromStr;

const VERSION: u8 = 1;
const SECRET: usize = 16;
const CHECKSUM: usize = 4;
/// The longest name of a group in a link, in bytes.
const MAX_NAME: usize = 128;
/// The longest text of a link, in characters; an identifier of a group has up to 128 bytes.
const MAX_TEXT: usize = 600;
const SALT: &[u8] = b"Conclave join link 1";
const USE_LABEL: &[u8] = b"Conclave join link use 1";
const FETCH_LABEL: &[u8] = b"Conclave join link fetch 1";

/// A link into a group. A secret: whoever has it can join.
#[derive(Clone)]
pub struct JoinLink {
    group_id: GroupId,
    name: String,
    secret: Secret,
}

impl fmt::Debug for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinLink").field("group_id", &self.group_id).finish_non_exhaustive()
    }
}

impl PartialEq for JoinLink {
    fn eq(&self, other: &Self) -> bool {
        // The secrets in constant time.
        let same = self.secret == other.secret;
        same && self.group_id == other.group_id && self.name == other.name
    }
}

impl Eq for JoinLink {}

/// A text is not that of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoJoinLink;

impl fmt::Display for NoJoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this is not a join link: one begins with {}. Part of it may be missing or mistyped, or it is from a \
             later version",
            JoinLink::PREFIX
        )
    }
}

impl core::error::Error for NoJoinLink {}

/// What the joiner signs in its commit: it is good for one group, epoch and leaf alone.
fn use_content(
    group_id: &GroupId,
    epoch: u64,
    leaf_key: &SignaturePublicKey,
) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    w.put_opaque(USE_LABEL)?;
    group_id.encode(&mut w)?;
    epoch.encode(&mut w)?;
    leaf_key.encode(&mut w)?;
    Ok(w.finish())
}

/// What whoever asks for the group's state signs: it is good for one group and device alone.
fn fetch_content(group_id: &GroupId, device: &DeviceId) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    w.put_opaque(FETCH_LABEL)?;
    group_id.encode(&mut w)?;
    device.encode(&mut w)?;
    Ok(w.finish())
}

impl JoinLink {
    /// What the text of a link begins with.
    pub const PREFIX: &str = "conclave-join-";
    /// How many bytes the secret of a link has.
    pub const SECRET_BYTES: usize = SECRET;

    /// A new link into a group. `name` is what its maker calls the group, and is cut if it has more than 128 bytes.
    #[must_use]
    pub fn new(rng: &mut dyn CryptoRng, group_id: GroupId, name: &str) -> Self {
        let secret = Secret::random(SECRET, rng);
        let name = name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default().to_string();
        Self { group_id, name, secret }
    }

    /// The group.
    #[must_use]
    pub fn group_id(&self) -> &GroupId {
        &self.group_id
    }

    /// What the link's maker calls the group. Anybody can make a text with any name: look at it before it is shown.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key pair of the link, which is of this group alone.
    ///
    /// # Errors
    /// If the provider has no HKDF-SHA256 or Ed25519.
    pub fn key_pair(&self, provider: &dyn CryptoProvider) -> Result<SignatureKeyPair, CryptoError> {
        let seed = provider.extract(Kdf::HkdfSha256, SALT, &[self.secret.expose()])?;
        let info = [b"ed25519 ".as_slice(), self.group_id.as_ref()];
        let private = provider.expand(Kdf::HkdfSha256, &seed, &info, 32)?;
        let public = provider.signature_public_key(SESSION_SCHEME, &private)?;
        Ok(SignatureKeyPair::new(private, public))
    }

    /// The signature by which a device joins in an epoch, with this signature key in its leaf.
    ///
    /// # Errors
    /// If the provider cannot sign.
    pub fn sign_use(
        &self,
        provider: &dyn CryptoProvider,
        epoch: u64,
        leaf_key: &SignaturePublicKey,
    ) -> Result<Vec<u8>, CryptoError> {
        let content = use_content(&self.group_id, epoch, leaf_key)?;
        provider.sign(SESSION_SCHEME, &self.key_pair(provider)?, &content)
    }

    /// The signature by which a device asks for the group's state.
    ///
    /// # Errors
    /// If the provider cannot sign.
    pub fn sign_fetch(
        &self,
        provider: &dyn CryptoProvider,
        device: &DeviceId,
    ) -> Result<Vec<u8>, CryptoError> {
        let content = fetch_content(&self.group_id, device)?;
        provider.sign(SESSION_SCHEME, &self.key_pair(provider)?, &content)
    }

    fn body(&self) -> Result<Vec<u8>, EncodeError> {
        let mut w = Writer::secret();
        VERSION.encode(&mut w)?;
        self.group_id.encode(&mut w)?;
        w.put_opaque(self.name.as_bytes())?;
        w.put(self.secret.expose());
        Ok(w.finish())
    }

    /// The text of the link.
    ///
    /// # Errors
    /// If the group's identifier is too long to encode.
    pub fn to_text(&self) -> Result<String, EncodeError> {
        let body = Secret::new(self.body()?);
        let checksum = sha256(body.expose());
        let checksum = checksum.get(..CHECKSUM).unwrap_or_default();
        let bytes = Secret::new([body.expose(), checksum].concat());
        Ok(format!("{}{}", Self::PREFIX, base32(bytes.expose())))
    }
}

/// Checks that a signature is by a link's key, for an external commit of this group and epoch with this key in its leaf.
///
/// # Errors
/// If it is not.
pub fn verify_use(
    provider: &dyn CryptoProvider,
    key: &SignaturePublicKey,
    (group_id, epoch, leaf_key): (&GroupId, u64, &SignaturePublicKey),
    signature: &[u8],
) -> Result<(), CryptoError> {
    let content = use_content(group_id, epoch, leaf_key)?;
    provider.verify(SESSION_SCHEME, key, &content, signature)
}

/// Checks that a signature is by a link's key, of a device that asks for the state of this group.
///
/// # Errors
/// If it is not.
pub fn verify_fetch(
    provider: &dyn CryptoProvider,
    key: &SignaturePublicKey,
    (group_id, device): (&GroupId, &DeviceId),
    signature: &[u8],
) -> Result<(), CryptoError> {
    let content = fetch_content(group_id, device)?;
    provider.verify(SESSION_SCHEME, key, &content, signature)
}

/// Reads a link in either case.
impl FromStr for JoinLink {
    type Err = NoJoinLink;

    fn from_str(text: &str) -> Result<Self, NoJoinLink> {
        let (prefix, digits) = text.split_at_checked(Self::PREFIX.len()).ok_or(NoJoinLink)?;
        if text.len() > MAX_TEXT || !prefix.eq_ignore_ascii_case(Self::PREFIX) {
            return Err(NoJoinLink);
        }
        let bytes = Secret::new(from_base32(digits).ok_or(NoJoinLink)?);
        let (body, checksum) = bytes
            .expose()
            .split_last_chunk::<CHECKSUM>()
            .map(|(b, c)| (b, *c))
            .ok_or(NoJoinLink)?;
        if sha256(body).get(..CHECKSUM) != Some(&checksum) {
            return Err(NoJoinLink);
        }
        let mut r = Reader::new(body);
        let link = read_body(&mut r).map_err(|_| NoJoinLink)?;
        if r.is_empty() { Ok(link) } else { Err(NoJoinLink) }
    }
}

fn read_body(r: &mut Reader<'_>) -> Result<JoinLink, DecodeError> {
    let version = u8::decode(r)?;
    if version != VERSION {
        return Err(DecodeError::InvalidValue { field: "JoinLink", value: version.into() });
    }
    let group_id = GroupId::decode(r)?;
    let name = r.opaque()?;
    let invalid = DecodeError::InvalidValue { field: "JoinLink name", value: name.len() as u64 };
    let name = core::str::from_utf8(name).ok().filter(|name| name.len() <= MAX_NAME);
    let name = name.ok_or(invalid)?.to_string();
    let secret = Secret::copy_from(&r.take_array::<SECRET>()?);
    Ok(JoinLink { group_id, name, secret })
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_crypto::testing::TestRng;
    use conclave_provider_rustcrypto::RustCrypto;

    const PROVIDER: RustCrypto = RustCrypto::new();

    fn link() -> JoinLink {
        JoinLink::new(&mut TestRng(1), [7; 16].into(), "lunch")
    }

    #[test]
    fn a_link_is_read_as_it_was_written_in_either_case_and_a_mistyped_one_is_noticed() {
        let text = link().to_text().unwrap();
        assert_eq!(text.parse(), Ok(link()));
        assert_eq!(text.to_uppercase().parse(), Ok(link()));
        assert!(text.len() < 100, "{text}");
        for at in 0..text.len() {
            let other = if text.as_bytes()[at] == b'x' { "y" } else { "x" };
            let mistyped = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(mistyped.parse::<JoinLink>(), Err(NoJoinLink), "{mistyped}");
            assert_eq!(text[..at].parse::<JoinLink>(), Err(NoJoinLink), "cut at {at}");
        }
        for wrong in ["", "conclave-join-", "conclave-join-ü", &"0".repeat(10_000), &(text + "0")]
        {
            assert_eq!(wrong.parse::<JoinLink>(), Err(NoJoinLink), "{wrong}");
        }
        let long = JoinLink::new(&mut TestRng(1), [7; 128].into(), &"ü".repeat(100));
        assert_eq!(long.to_text().unwrap().parse(), Ok(long));
    }

    #[test]
    fn a_signature_is_good_for_what_it_was_made_for_alone() {
        let (link, leaf) = (link(), SignaturePublicKey::from(vec![1; 32]));
        let key = link.key_pair(&PROVIDER).unwrap().public;
        let signature = link.sign_use(&PROVIDER, 3, &leaf).unwrap();
        let good = |group: [u8; 16], epoch, leaf: [u8; 32], signature: &[u8]| {
            let leaf = leaf.to_vec().into();
            verify_use(&PROVIDER, &key, (&group.into(), epoch, &leaf), signature).is_ok()
        };
        assert!(good([7; 16], 3, [1; 32], &signature));
        assert!(!good([8; 16], 3, [1; 32], &signature));
        assert!(!good([7; 16], 4, [1; 32], &signature));
        assert!(!good([7; 16], 3, [2; 32], &signature));

        let [alice, bob]: [DeviceId; 2] = ["alice/pc", "bob/pc"].map(|id| id.parse().unwrap());
        let fetch = link.sign_fetch(&PROVIDER, &alice).unwrap();
        let asks = |group: [u8; 16], device| {
            verify_fetch(&PROVIDER, &key, (&group.into(), device), &fetch).is_ok()
        };
        assert!(asks([7; 16], &alice) && !asks([7; 16], &bob) && !asks([8; 16], &alice));
        assert!(!good([7; 16], 3, [1; 32], &fetch));
    }

    /// Whoever moves a secret to another group gets another key.
    #[test]
    fn a_links_key_is_of_its_group_and_its_secret_and_does_not_print() {
        let (one, other_group) = (link(), JoinLink::new(&mut TestRng(1), [8; 16].into(), "lunch"));
        let other_secret = JoinLink::new(&mut TestRng(2), [7; 16].into(), "lunch");
        let key = |link: &JoinLink| link.key_pair(&PROVIDER).unwrap().public;
        assert_ne!(key(&one), key(&other_group));
        assert_ne!(key(&one), key(&other_secret));
        assert!(!format!("{one:?}").contains("secret"));
    }
}
