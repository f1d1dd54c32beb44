//! The account at the CA: a key that signs requests (JWS with ES256, RFC 7515 and RFC 7518).

use super::folder::Folder;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64ct::{Base64UrlUnpadded, Encoding};
use conclave_delivery_api::sha256;
use rcgen::KeyPair;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// The file of the account's key.
const FILE: &str = "account.key";

pub(super) fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Who signs a request: a key that the CA is to learn, or the account that it has given for it.
pub(super) enum Signer<'a> {
    Key,
    Account(&'a str),
}

/// The account's key. It is all that is kept of the account: the CA names the account to whoever has the key.
pub(super) struct AccountKey {
    key: EcdsaKeyPair,
    /// The public key as a JSON Web Key.
    jwk: Value,
    thumbprint: String,
}

impl AccountKey {
    /// Reads the key of a folder, or makes it.
    pub(super) fn open(folder: &Folder) -> Result<Self, String> {
        let pem = match folder.read(FILE)? {
            Some(pem) => pem,
            None => {
                let key = KeyPair::generate().map_err(|e| e.to_string())?;
                let pem = key.serialize_pem();
                folder.write(FILE, pem.as_bytes())?;
                pem.into_bytes()
            }
        };
        Self::from_pem(&pem).ok_or_else(|| {
            let shown = folder.path(FILE);
            format!(
                "`{}` is not an account key: remove it, and a new account is made",
                shown.display()
            )
        })
    }

    fn from_pem(pem: &[u8]) -> Option<Self> {
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        let pkcs8 = pkcs8.secret_pkcs8_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
        // An uncompressed point: 4, x, y.
        let point = key.public_key().as_ref();
        let (x, y) = (base64url(point.get(1..33)?), base64url(point.get(33..65)?));
        // The members in this order, without spaces (RFC 7638).
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint = base64url(&sha256(canonical.as_bytes()));
        let jwk = json!({ "crv": "P-256", "kty": "EC", "x": x, "y": y });
        Some(Self { key, jwk, thumbprint })
    }

    /// What proves a challenge (RFC 8737 section 3): the hash of its token and this key.
    pub(super) fn proof(&self, token: &str) -> [u8; 32] {
        sha256(format!("{token}.{}", self.thumbprint).as_bytes())
    }

    /// A request's body (RFC 8555 section 6.2). Without a payload it asks for what is at the URL.
    pub(super) fn sign(
        &self,
        signer: &Signer<'_>,
        (url, nonce): (&str, &str),
        payload: Option<&Value>,
    ) -> Result<String, String> {
        let (name, who) = match signer {
            Signer::Key => ("jwk", self.jwk.clone()),
            Signer::Account(account) => ("kid", json!(account)),
        };
        let header = json!({ "alg": "ES256", "nonce": nonce, "url": url, (name): who });
        let protected = base64url(header.to_string().as_bytes());
        let payload = payload.map(|payload| base64url(payload.to_string().as_bytes()));
        let payload = payload.unwrap_or_default();
        let signed = format!("{protected}.{payload}");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_| "the account's key cannot sign".to_string())?;
        let signature = base64url(signature.as_ref());
        Ok(json!({ "protected": protected, "payload": payload, "signature": signature })
            .to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    fn decoded(text: &Value) -> Vec<u8> {
        Base64UrlUnpadded::decode_vec(text.as_str().unwrap()).unwrap()
    }

    #[test]
    fn requests_are_signed_over_their_header_and_payload() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(folder.path().join("ca")).unwrap();
        let key = AccountKey::open(&folder).unwrap();
        let payload = json!({ "contact": [] });
        for (signer, member, sent) in [
            (Signer::Key, "jwk", Some(&payload)),
            (Signer::Account("https://ca.example/1"), "kid", None),
        ] {
            let body = key.sign(&signer, ("https://ca.example/new", "nonce-1"), sent).unwrap();
            let body: Value = serde_json::from_str(&body).unwrap();
            let header: Value = serde_json::from_slice(&decoded(&body["protected"])).unwrap();
            assert_eq!(header["nonce"], "nonce-1");
            assert_eq!(header["url"], "https://ca.example/new");
            assert!(header.get(member).is_some(), "{header}");
            let payload = decoded(&body["payload"]);
            let expected = sent.map(|sent| sent.to_string()).unwrap_or_default();
            assert_eq!(payload, expected.into_bytes());

            let signed = [&body["protected"], &body["payload"]].map(|part| part.as_str().unwrap());
            let public = UnparsedPublicKey::new(
                &ECDSA_P256_SHA256_FIXED,
                key.key.public_key().as_ref().to_vec(),
            );
            let signature = decoded(&body["signature"]);
            public.verify(signed.join(".").as_bytes(), &signature).unwrap();
        }
    }

    #[test]
    fn an_account_outlives_a_restart_and_a_broken_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path().join("ca")).unwrap();
        let first = AccountKey::open(&folder).unwrap();
        let again = AccountKey::open(&folder).unwrap();
        assert_eq!(first.proof("token"), again.proof("token"));
        assert_ne!(first.proof("token"), again.proof("other"));

        std::fs::write(folder.path(FILE), "no key").unwrap();
        let refused = AccountKey::open(&folder).err().unwrap();
        assert!(refused.contains("account.key` is not an account key"), "{refused}");
    }
}
