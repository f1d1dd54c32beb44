//! The names that a certificate attests to.

use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5String, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Encode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The identifiers that an end entity's certificate presents, in the certificate's order (section
/// 5.3).
///
/// None holds a control character. They are not fit for showing to people as they are: what one
/// sees need not be what is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentedIdentifiers {
    /// The dNSNames, in lower case, since they compare so. One that begins with `*.` is a pattern,
    /// and no name of anybody.
    pub dns_names: Vec<String>,
    /// The rfc822Names, as they are: only the part after the `@` compares without case.
    pub email_addresses: Vec<String>,
    /// The uniformResourceIdentifiers, as they are.
    pub uris: Vec<String>,
    /// The common names of the subject, as far as they are UTF8Strings or PrintableStrings.
    ///
    /// No name constraint limits what a CA writes there: rely on it only if every CA below the
    /// roots may speak for everybody.
    pub common_names: Vec<String>,
    /// The subject's distinguished name in DER; as little limited as the common names.
    pub subject: Vec<u8>,
}

impl PresentedIdentifiers {
    /// Those of a certificate; none if its names are malformed.
    pub(crate) fn of(certificate: &Certificate) -> Option<Self> {
        let tbs = certificate.tbs_certificate();
        let mut names = Self { subject: tbs.subject().to_der().ok()?, ..Self::default() };
        for attribute in tbs.subject().iter().filter(|a| a.oid == COMMON_NAME) {
            let value = &attribute.value;
            match value.tag() {
                Tag::Utf8String => {
                    let name: Utf8StringRef<'_> = value.decode_as().ok()?;
                    names.common_names.push(printable(name.as_str())?);
                }
                Tag::PrintableString => {
                    let name: PrintableStringRef<'_> = value.decode_as().ok()?;
                    names.common_names.push(printable(name.as_str())?);
                }
                _ => {}
            }
        }
        let alternatives = match tbs.get_extension::<SubjectAltName>().ok()? {
            Some((_, SubjectAltName(alternatives))) => alternatives,
            None => Vec::new(),
        };
        for name in &alternatives {
            let text = |name: &Ia5String| printable(name.as_str());
            match name {
                GeneralName::DnsName(n) => names.dns_names.push(text(n)?.to_ascii_lowercase()),
                GeneralName::Rfc822Name(n) => names.email_addresses.push(text(n)?),
                GeneralName::UniformResourceIdentifier(n) => names.uris.push(text(n)?),
                _ => {}
            }
        }
        Some(names)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        let Self { dns_names, email_addresses, uris, common_names, subject: _ } = self;
        [dns_names, email_addresses, uris, common_names].iter().map(|names| names.len()).sum()
    }
}

/// A name without control characters: a zero byte or a line break in a name serves only to
/// deceive whatever reads it next.
fn printable(name: &str) -> Option<String> {
    (!name.chars().any(char::is_control)).then(|| name.to_owned())
}
