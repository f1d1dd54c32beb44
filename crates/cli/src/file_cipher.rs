//! How files that are sent are encrypted: by AWS-LC, in mapped memory.

use crate::mapped::Mapped;
use conclave_client::{CipherError, FileCipher, FileKey, TAG_LENGTH};
use conclave_content::Aead as ContentAead;
use conclave_mls::crypto::{Aead, CryptoError};
use conclave_provider_aws_lc::AwsLc;
use std::fs::File;
use std::sync::Arc;

#[derive(Debug)]
struct MappedFiles(AwsLc);

/// The cipher for files that all commands use.
pub(crate) fn file_cipher() -> Arc<dyn FileCipher> {
    Arc::new(MappedFiles(AwsLc::new()))
}

fn algorithm(aead: ContentAead) -> Result<Aead, CipherError> {
    match aead {
        ContentAead::Aes128Gcm => Ok(Aead::Aes128Gcm),
        ContentAead::Aes256Gcm => Ok(Aead::Aes256Gcm),
        ContentAead::ChaCha20Poly1305 => Ok(Aead::ChaCha20Poly1305),
        _ => Err(CipherError::Unsupported("this version does not know its AEAD".into())),
    }
}

fn failed(e: &CryptoError) -> CipherError {
    match e {
        CryptoError::OpenFailed => CipherError::Forged,
        e => CipherError::Unsupported(e.to_string()),
    }
}

impl FileCipher for MappedFiles {
    fn seal(&self, key: &FileKey, file: &File) -> Result<(), CipherError> {
        let mut mapped = Mapped::of(file)?;
        let with = (key.nonce.as_slice(), key.aad.as_slice());
        let sealed =
            self.0.aead_seal_in_place(algorithm(key.aead)?, &key.key, with, mapped.content());
        sealed.map_err(|e| failed(&e))?;
        Ok(mapped.write()?)
    }

    fn open(&self, key: &FileKey, file: &File) -> Result<(), CipherError> {
        if file.metadata()?.len() < TAG_LENGTH {
            return Err(CipherError::Forged);
        }
        let mut mapped = Mapped::of(file)?;
        let with = (key.nonce.as_slice(), key.aad.as_slice());
        let opened =
            self.0.aead_open_in_place(algorithm(key.aead)?, &key.key, with, mapped.content());
        opened.map_err(|e| failed(&e))?;
        Ok(mapped.write()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use conclave_mls::crypto::Secret;
    use std::io::{Read, Seek, Write};

    fn key(aead: ContentAead) -> FileKey {
        let key = Secret::copy_from(&vec![3; aead.key_length()]);
        FileKey { aead, key, nonce: vec![4; 12], aad: b"aad".to_vec() }
    }

    fn content(file: &mut File) -> Vec<u8> {
        let mut content = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut content).unwrap();
        content
    }

    #[test]
    fn a_file_is_decrypted_to_what_it_was_and_not_if_it_was_changed() {
        let cipher = file_cipher();
        for aead in [ContentAead::Aes128Gcm, ContentAead::Aes256Gcm, ContentAead::ChaCha20Poly1305]
        {
            for length in [0, 1, 100_000] {
                let plain: Vec<u8> = (0..length).map(|n| n as u8).collect();
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&[plain.as_slice(), &[0; 16]].concat()).unwrap();
                cipher.seal(&key(aead), &file).unwrap();
                let sealed = content(&mut file);
                assert_ne!(sealed[..], [plain.as_slice(), &[0; 16]].concat());
                cipher.open(&key(aead), &file).unwrap();
                assert_eq!(content(&mut file)[..length], plain);

                let mut changed = tempfile::tempfile().unwrap();
                let mut bytes = sealed;
                *bytes.last_mut().unwrap() ^= 1;
                changed.write_all(&bytes).unwrap();
                let opened = cipher.open(&key(aead), &changed);
                assert!(matches!(opened, Err(CipherError::Forged)), "{opened:?}");
            }
        }
        let empty = tempfile::tempfile().unwrap();
        assert!(matches!(
            cipher.open(&key(ContentAead::Aes128Gcm), &empty),
            Err(CipherError::Forged)
        ));
    }
}
