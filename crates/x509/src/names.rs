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
/// The strings hold no control characters. Do not show them to people as they are: names that look
/// alike need not be the same.
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
    /// The iPAddresses, of 4 or 16 bytes each.
    pub ip_addresses: Vec<Vec<u8>>,
    /// The directoryNames among the alternative names, in DER.
    pub directory_names: Vec<Vec<u8>>,
    /// The user principal names of Microsoft's directories. No name constraint limits them.
    pub user_principal_names: Vec<String>,
    /// The other names of any other type: the type, and the value in DER.
    pub other_names: Vec<(ObjectIdentifier, Vec<u8>)>,
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

    /// Those of a CA. It is its key that is trusted, so malformed names do not rule it out: then
    /// only the distinguished name is there.
    pub(crate) fn of_authority(certificate: &Certificate) -> Self {
        let subject = || certificate.tbs_certificate().subject().to_der().unwrap_or_default();
        Self::of(certificate).unwrap_or_else(|| Self { subject: subject(), ..Self::default() })
    }

    /// How many there are.
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

/// A name without control characters: a zero byte or a line break in a name serves only to
/// deceive whatever reads it next.
fn printable(name: &str) -> Option<String> {
    (!name.chars().any(char::is_control)).then(|| name.to_owned())
}
