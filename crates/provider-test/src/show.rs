//! Answers as text. Keys and secrets here are the kit's own, so they may be shown.

use conclave_crypto::{CryptoError, Digest, HpkeKeyPair, Secret};
use conclave_wire::{HpkeCiphertext, HpkePublicKey, SignaturePublicKey};
use std::fmt::Write;

/// The most bytes of an answer that are shown.
const SHOWN: usize = 48;

pub(crate) trait Show {
    fn show(&self) -> String;
}

impl Show for [u8] {
    fn show(&self) -> String {
        if self.is_empty() {
            return "no bytes".to_owned();
        }

        let mut text = String::new();
        for byte in self.iter().take(SHOWN) {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        if self.len() > SHOWN {
            let _ = write!(text, "… ({} bytes)", self.len());
        }
        text
    }
}

macro_rules! show_as_bytes {
    ($($name:ty),*) => {
        $(impl Show for $name {
            fn show(&self) -> String {
                let bytes: &[u8] = self;
                bytes.show()
            }
        })*
    };
}

show_as_bytes!(Vec<u8>, Digest, HpkePublicKey, SignaturePublicKey);

macro_rules! show_as_debug {
    ($($name:ty),*) => {
        $(impl Show for $name {
            fn show(&self) -> String {
                format!("{self:?}")
            }
        })*
    };
}

show_as_debug!((), bool, usize, CryptoError, &str);

impl Show for Secret {
    fn show(&self) -> String {
        self.expose().show()
    }
}

impl Show for HpkeKeyPair {
    fn show(&self) -> String {
        format!("private {}, public {}", self.private.0.show(), self.public.show())
    }
}

impl Show for HpkeCiphertext {
    fn show(&self) -> String {
        let (kem_output, ciphertext): (&[u8], &[u8]) = (&self.kem_output, &self.ciphertext);
        format!("kem_output {}, ciphertext {}", kem_output.show(), ciphertext.show())
    }
}

impl<A: Show, B: Show> Show for (A, B) {
    fn show(&self) -> String {
        format!("({}, {})", self.0.show(), self.1.show())
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "None".to_owned(), |t| format!("Some({})", t.show()))
    }
}

impl<T: Show, E: Show> Show for Result<T, E> {
    fn show(&self) -> String {
        match self {
            Ok(t) => format!("Ok({})", t.show()),
            Err(e) => format!("Err({})", e.show()),
        }
    }
}
