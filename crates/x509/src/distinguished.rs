//! Distinguished names in the form used for comparison.

use std::collections::BTreeSet;
use x509_cert::der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Any, Encode, Tag, Tagged};
use x509_cert::name::Name;

/// A distinguished name in the form that RFC 5280 section 7.1 compares: case, string type, and runs of
/// spaces make no difference.
///
/// Unicode is folded to lower case but not normalised (RFC 4518), so two encodings of one letter remain
/// different. Equal names grant nothing: they only select which keys are tried on a signature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CanonicalName(Vec<BTreeSet<(ObjectIdentifier, Value)>>);

/// The value of one attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Value {
    /// A string, folded.
    Text(String),
    /// Any other value in DER.
    Other(Vec<u8>),
}

impl CanonicalName {
    /// Folds a name. None if a string in it is malformed.
    pub(crate) fn of(name: &Name) -> Option<Self> {
        let mut sets = Vec::new();
        for rdn in name.iter_rdn() {
            let attributes = rdn.iter().map(|a| Some((a.oid, Value::of(&a.value)?)));
            sets.push(attributes.collect::<Option<_>>()?);
        }
        Some(Self(sets))
    }
}

impl Value {
    fn of(value: &Any) -> Option<Self> {
        let text = match value.tag() {
            Tag::Utf8String => fold(value.decode_as::<Utf8StringRef<'_>>().ok()?.as_str()),
            Tag::PrintableString => {
                fold(value.decode_as::<PrintableStringRef<'_>>().ok()?.as_str())
            }
            Tag::Ia5String => fold(value.decode_as::<Ia5StringRef<'_>>().ok()?.as_str()),
            _ => return Some(Self::Other(value.to_der().ok()?)),
        };
        Some(Self::Text(text))
    }
}

/// Folds a string to lower case, trims it, and replaces each run of spaces by one space.
fn fold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
