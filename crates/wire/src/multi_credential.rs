//! Credentials of several credentials (draft-ietf-mls-extensions-10, "Multi-Credentials").

use crate::code_points::{CipherSuite, CredentialType};
use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec};
use crate::credential::Credential;
use crate::ids::{Bytes, SignaturePublicKey};
use alloc::vec::Vec;

/// A statement, signed by the holder of a credential, that the signature key of a leaf node is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialBinding {
    /// The suite of [`Self::credential_key`], which need not be the group's.
    pub cipher_suite: CipherSuite,
    /// The credential.
    pub credential: Credential,
    /// The key of the credential.
    pub credential_key: SignaturePublicKey,
    /// `SignWithLabel(., "CredentialBindingTBS", CredentialBindingTBS)` by the credential's key.
    pub signature: Bytes,
}
codec!(CredentialBinding { cipher_suite, credential, credential_key, signature });

/// CredentialBindingTBS: what a binding's signature covers.
#[derive(Clone, Copy, Debug)]
pub struct CredentialBindingTbs<'a> {
    /// The binding, whose signature is not looked at.
    pub binding: &'a CredentialBinding,
    /// The leaf node's signature key.
    pub signature_key: &'a SignaturePublicKey,
}

impl Encode for CredentialBindingTbs<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let CredentialBinding { cipher_suite, credential, credential_key, .. } = self.binding;
        cipher_suite.encode(w)?;
        credential.encode(w)?;
        credential_key.encode(w)?;
        self.signature_key.encode(w)
    }
}

/// The body of a credential of type `multi` or `weak-multi`.
///
/// ```
/// use conclave_wire::{Credential, MultiCredential};
///
/// let multi = MultiCredential { weak: false, bindings: Vec::new() };
/// let credential = multi.to_credential()?;
/// assert_eq!(MultiCredential::from_credential(&credential)?, Some(multi));
/// assert_eq!(MultiCredential::from_credential(&Credential::basic(b"alice"))?, None);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiCredential {
    /// Whether it is of type `weak-multi`: a client checks the bindings that it supports. Otherwise all
    /// clients support and check all.
    pub weak: bool,
    /// The bindings.
    pub bindings: Vec<CredentialBinding>,
}

impl MultiCredential {
    /// Whether credentials of a type have such a body.
    #[must_use]
    pub fn is_type(credential_type: CredentialType) -> bool {
        [CredentialType::MULTI, CredentialType::WEAK_MULTI].contains(&credential_type)
    }

    /// The credential with this body.
    ///
    /// # Errors
    /// If a part is too long to encode.
    pub fn to_credential(&self) -> Result<Credential, EncodeError> {
        let credential_type =
            if self.weak { CredentialType::WEAK_MULTI } else { CredentialType::MULTI };
        let mut w = Writer::new();
        self.bindings.iter().try_for_each(|binding| binding.encode(&mut w))?;
        Ok(Credential::Other { credential_type, data: w.finish().into() })
    }

    /// The body of a credential of these two types, decoded. None for one of another type.
    ///
    /// # Errors
    /// If the body is malformed.
    pub fn from_credential(credential: &Credential) -> Result<Option<Self>, DecodeError> {
        let (weak, data) = match credential {
            Credential::Other { credential_type: CredentialType::MULTI, data } => (false, data),
            Credential::Other { credential_type: CredentialType::WEAK_MULTI, data } => (true, data),
            Credential::Basic { .. } | Credential::X509 { .. } | Credential::Other { .. } => {
                return Ok(None);
            }
        };

        let mut r = Reader::new(data);
        let mut bindings = Vec::new();
        while !r.is_empty() {
            r.set_aside(size_of::<CredentialBinding>())?;
            bindings.push(Decode::decode(&mut r)?);
        }
        Ok(Some(Self { weak, bindings }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn multi(weak: bool) -> MultiCredential {
        let binding = |name: &[u8]| CredentialBinding {
            cipher_suite: CipherSuite(1),
            credential: Credential::basic(name),
            credential_key: [7; 32].as_slice().to_vec().into(),
            signature: [8; 64].into(),
        };
        MultiCredential { weak, bindings: [binding(b"a"), binding(b"b")].into() }
    }

    #[test]
    fn the_body_is_one_vector_of_bindings() {
        for weak in [false, true] {
            let multi = multi(weak);
            let credential = multi.to_credential().unwrap();
            assert_eq!(MultiCredential::from_credential(&credential), Ok(Some(multi.clone())));

            let mut want = Writer::new();
            credential.credential_type().encode(&mut want).unwrap();
            multi.bindings.encode(&mut want).unwrap();
            assert_eq!(credential.to_bytes().unwrap(), want.finish());
            assert_eq!(credential.credential_type().0, if weak { 4 } else { 3 });
        }
    }

    #[test]
    fn a_body_that_ends_inside_a_binding_is_refused() {
        let Ok(Credential::Other { credential_type, data }) = multi(false).to_credential() else {
            panic!("another type");
        };
        let data: Bytes = data.get(..data.len() - 1).unwrap().into();
        let credential = Credential::Other { credential_type, data };
        assert_eq!(MultiCredential::from_credential(&credential), Err(DecodeError::Truncated));
    }

    #[test]
    fn the_signed_content_covers_the_leafs_key_and_not_the_signature() {
        let multi = multi(false);
        let [binding, _] = multi.bindings.as_slice() else { panic!("two bindings") };
        let key = |byte| SignaturePublicKey::from([byte; 4].as_slice().to_vec());
        let tbs = |binding, key: &SignaturePublicKey| {
            CredentialBindingTbs { binding, signature_key: key }.to_bytes().unwrap()
        };
        let resigned = CredentialBinding { signature: [9].into(), ..binding.clone() };
        assert_eq!(tbs(binding, &key(1)), tbs(&resigned, &key(1)));
        assert_ne!(tbs(binding, &key(1)), tbs(binding, &key(2)));
    }
}
