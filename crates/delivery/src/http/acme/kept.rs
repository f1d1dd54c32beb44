//! The certificate that is kept with its key, and what it says of itself.

use super::folder::Folder;
use super::names::Domain;
use super::order::Issued;
use super::resolver::certified_key;
use conclave_mls::crypto::Secret;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The file of both: a key and a certificate that do not belong together cannot be left by a crash.
const FILE: &str = "certificate.pem";

/// A certificate that can be used, with its key.
pub(super) struct Kept {
    pub(super) certified: CertifiedKey,
    /// Both, as the file has them.
    pem: Secret,
    /// The seconds since 1970 from which and until which it is valid.
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    names: Vec<String>,
}

impl Kept {
    /// The one of a folder; none if there is none.
    pub(super) fn open(folder: &Folder) -> Result<Option<Self>, String> {
        let Some(pem) = folder.read(FILE)? else { return Ok(None) };
        let shown = folder.path(FILE);
        let kept = Self::from_pem(pem);
        kept.map(Some).map_err(|e| format!("{} cannot be used: {e}", shown.display()))
    }

    /// What the CA has issued, if it is good for these names.
    pub(super) fn check(issued: &Issued, domains: &[Domain], now: u64) -> Result<Self, String> {
        let pem = format!("{}{}", issued.key.serialize_pem(), issued.chain);
        let kept = Self::from_pem(pem.into_bytes())
            .map_err(|e| format!("the CA's certificate cannot be used: {e}"))?;
        if !kept.is_for(domains) {
            return Err("the CA's certificate is not for all domains".into());
        }
        if now >= kept.not_after {
            return Err("the CA's certificate has expired already: is the clock right?".into());
        }
        Ok(kept)
    }

    /// Keeps it in a folder, in place of the one that is there.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), String> {
        folder.write(FILE, self.pem.expose())
    }

    fn from_pem(pem: Vec<u8>) -> Result<Self, String> {
        let held = Secret::new(pem);
        let pem = held.expose();
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|e| format!("its key: {e}"))?;
        let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let chain: Vec<CertificateDer<'static>> = chain.map_err(|e| e.to_string())?;
        let first = chain.first().ok_or("it has no certificate")?;
        let parsed = Certificate::from_der(first).map_err(|e| e.to_string())?;
        let tbs = parsed.tbs_certificate();
        let [not_before, not_after] = [tbs.validity().not_before, tbs.validity().not_after]
            .map(|time| time.to_unix_duration().as_secs());
        let names = tbs.get_extension::<SubjectAltName>().ok().flatten();
        let names = names.map(|(_, names)| names.0).unwrap_or_default().into_iter();
        let names = names.filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string().to_ascii_lowercase()),
            _ => None,
        });
        let names = names.collect();
        let certified = certified_key(chain, key)?;
        Ok(Self { certified, pem: held, not_before, not_after, names })
    }

    /// Whether it names all of these.
    pub(super) fn is_for(&self, domains: &[Domain]) -> bool {
        domains.iter().all(|domain| self.names.iter().any(|name| name == domain.as_str()))
    }

    /// When it is to be renewed: a third of its time is left for whatever may go wrong.
    pub(super) fn renew_at(&self) -> u64 {
        let time = self.not_after.saturating_sub(self.not_before);
        self.not_after.saturating_sub(time / 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn issued(names: &[&str]) -> Issued {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 4, 1);
        let key = KeyPair::generate().unwrap();
        Issued { chain: params.self_signed(&key).unwrap().pem(), key }
    }

    fn domains(names: &[&str]) -> Vec<Domain> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    /// 2026-01-01 and 2026-04-01.
    const BEGIN: u64 = 1_767_225_600;
    const END: u64 = BEGIN + 90 * 86_400;

    #[test]
    fn a_third_of_its_time_is_left_when_a_certificate_is_renewed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path().into()).unwrap();
        assert!(Kept::open(&folder).unwrap().is_none());
        let domains = domains(&["a.example", "b.example"]);
        let issued = issued(&["a.example", "B.example"]);
        Kept::check(&issued, &domains, BEGIN).unwrap().write(&folder).unwrap();
        let kept = Kept::open(&folder).unwrap().unwrap();
        assert_eq!((kept.not_before, kept.not_after), (BEGIN, END));
        assert_eq!(kept.renew_at(), BEGIN + 60 * 86_400);
        assert!(kept.is_for(&domains));
    }

    #[test]
    fn a_certificate_that_is_no_good_replaces_none() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path().into()).unwrap();
        let wanted = domains(&["a.example"]);
        let good = issued(&["a.example"]);
        Kept::check(&good, &wanted, BEGIN).unwrap().write(&folder).unwrap();
        let refused = |issued: &Issued, now| Kept::check(issued, &wanted, now).err().unwrap();

        assert!(refused(&issued(&["b.example"]), BEGIN).contains("not for all domains"));
        assert!(refused(&good, END).contains("has expired already"));
        let of_another_key = Issued { key: KeyPair::generate().unwrap(), ..issued(&["a.example"]) };
        assert!(refused(&of_another_key, BEGIN).contains("cannot be used"));
        let nothing = Issued { chain: "<html>".into(), ..issued(&["a.example"]) };
        assert!(refused(&nothing, BEGIN).contains("it has no certificate"));
        assert!(Kept::open(&folder).unwrap().unwrap().is_for(&wanted), "the good one is kept");

        std::fs::write(folder.path(FILE), "half").unwrap();
        let refused = Kept::open(&folder).err().unwrap();
        assert!(refused.contains("certificate.pem cannot be used: its key"), "{refused}");
    }
}
