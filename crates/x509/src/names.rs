//! The names that a certificate attests to.

use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5String, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Encode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// `id-on-userPrincipalName` of Microsoft's directories.
const USER_PRINCIPAL_NAME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");

/// The identifiers that a certificate presents, in the certificate's order (section 5.3).
///
/// The strings contain no control characters. Do not show them to people as they are: different names can
/// look alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresentedIdentifiers {
    /// The dNSNames, in lower case, as they compare without case. One that begins with `*.` is a pattern and
    /// identifies nobody.
    pub dns_names: Vec<String>,
    /// The rfc822Names, unchanged: only the part after the `@` compares without case.
    pub email_addresses: Vec<String>,
    /// The uniformResourceIdentifiers, unchanged.
    pub uris: Vec<String>,
    /// The subject's common names that are UTF8Strings or PrintableStrings.
    ///
    /// Name constraints do not limit what a CA writes there. Rely on common names only if every CA below the
    /// roots may speak for everybody.
    pub common_names: Vec<String>,
    /// The subject's distinguished name in DER. Name constraints do not limit it either.
    pub subject: Vec<u8>,
    /// The iPAddresses, 4 or 16 bytes each.
    pub ip_addresses: Vec<Vec<u8>>,
    /// The directoryNames among the alternative names, in DER.
    pub directory_names: Vec<Vec<u8>>,
    /// The user principal names of Microsoft's directories. Name constraints do not limit them.
    pub user_principal_names: Vec<String>,
    /// The otherNames of other types: the type and the value in DER.
    pub other_names: Vec<(ObjectIdentifier, Vec<u8>)>,
}

impl PresentedIdentifiers {
    /// Reads a certificate's identifiers. None if a name is malformed.
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
                GeneralName::IpAddress(n) => names.ip_addresses.push(n.as_bytes().to_vec()),
                GeneralName::DirectoryName(n) => names.directory_names.push(n.to_der().ok()?),
                GeneralName::OtherName(OtherName { type_id, value })
                    if *type_id == USER_PRINCIPAL_NAME =>
                {
                    let name: Utf8StringRef<'_> = value.decode_as().ok()?;
                    names.user_principal_names.push(printable(name.as_str())?);
                }
                GeneralName::OtherName(OtherName { type_id, value }) => {
                    names.other_names.push((*type_id, value.to_der().ok()?));
                }
                _ => {}
            }
        }
        Some(names)
    }

    /// Reads a CA's identifiers. What is trusted is its key, so a CA with malformed names is not ruled out:
    /// only its distinguished name is returned then.
    pub(crate) fn of_authority(certificate: &Certificate) -> Self {
        let subject = || certificate.tbs_certificate().subject().to_der().unwrap_or_default();
        Self::of(certificate).unwrap_or_else(|| Self { subject: subject(), ..Self::default() })
    }

    /// The number of identifiers. The distinguished name does not count.
    pub(crate) fn count(&self) -> usize {
        let Self {
            dns_names,
            email_addresses,
            uris,
            common_names,
            subject: _,
            ip_addresses,
            directory_names,
            user_principal_names,
            other_names,
        } = self;
        let strings = [dns_names, email_addresses, uris, common_names, user_principal_names];
        let others = ip_addresses.len() + directory_names.len() + other_names.len();
        strings.iter().map(|names| names.len()).sum::<usize>() + others
    }
}

/// Returns a name unless it contains control characters: a zero byte or a line break in a name can only
/// deceive whatever reads it next.
fn printable(name: &str) -> Option<String> {
    (!name.chars().any(char::is_control)).then(|| name.to_owned())
}
