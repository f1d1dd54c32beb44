//! TLS: who is trusted, and what becomes of connections when the certificate changes.

use super::*;
use crate::http::TlsFiles;
use crate::http_client::TlsRoots;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// A CA, as a client knows it.
pub(super) struct Authority {
    pub(super) issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    pub(super) fn roots(&self) -> TlsRoots {
        TlsRoots::from_pem(self.issuer.pem().as_bytes()).unwrap()
    }

    /// Writes a certificate for this machine, and its key.
    pub(super) fn certify(&self, files: &TlsFiles) {
        let params = CertificateParams::new(["127.0.0.1".to_string()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
    }
}

fn files(dir: &Path) -> TlsFiles {
    TlsFiles { certificate: dir.join("tls.pem"), key: dir.join("tls.key") }
}

/// A session of a device over TLS.
fn member(server: &Server, roots: &TlsRoots, own: &Own) -> Client {
    let client = Client::with_roots(&server.url(), roots);
    client.call(&own.submission()).unwrap();
    let (pair, opened) = open_session(&client, own).unwrap();
    client.with_session(Session::new(provider(), pair, opened.token))
}

#[test]
fn calls_and_events_go_over_tls_to_whoever_trusts_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, files) = (Authority::new(), files(dir.path()));
    authority.certify(&files);
    let patience = Duration::from_millis(500);
    let server =
        serve(&dir.path().join("service"), Config { tls: Some(files), patience, ..config(0) });
    assert!(server.url().starts_with("https://127.0.0.1:"));
    let (own_alice, own_bob) = owners();
    let [alice, bob] = [own_alice, own_bob].map(|own| member(&server, &authority.roots(), &own));
    group_of_two(&alice);
    let mut events = bob.events();
    wait_for(&mut events, |heard| *heard == StreamEvent::Event(Event::Ready));
    send(&alice, "one");
    assert_eq!(head(&wait_for(&mut events, |heard| head(heard).is_some())), Some(2));

    // Not by another CA, nor by the system's, nor in the clear.
    for (client, what) in [
        (Client::with_roots(&server.url(), &Authority::new().roots()), "another CA"),
        (Client::new(&server.url()), "the system's CAs"),
        (Client::new(&server.url().replace("https", "http")), "no TLS"),
    ] {
        let refused = client.call(&DescribeService {}).unwrap_err();
        assert!(matches!(refused, CallError::Unreachable { .. }), "{what}: {refused}");
    }

    // Nobody is waited for who says nothing, or something else.
    for nothing in ["", "GET / HTTP/1.1\r\n\r\n"] {
        assert!(!exchange(&server, nothing, b"").is_ok_and(|reply| reply.contains("200")));
    }
}

#[test]
fn a_new_certificate_is_used_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let [first, second] = [(); 2].map(|()| Authority::new());
    first.certify(&files);
    let seen = Arc::new(Mutex::new(Vec::<Observed>::new()));
    let tell = {
        let seen = seen.clone();
        Arc::new(move |o: &Observed| seen.lock().unwrap().push(o.clone()))
    };
    let tls = Some(files.clone());
    let server =
        serve(&dir.path().join("service"), Config { tls, on_request: Some(tell), ..config(0) });
    let (own_alice, own_bob) = owners();
    let [alice, bob] = [own_alice, own_bob].map(|own| member(&server, &first.roots(), &own));
    group_of_two(&alice);
    let mut events = bob.events();
    wait_for(&mut events, |heard| *heard == StreamEvent::Event(Event::Ready));
    let wait_until = |what: &str, is_so: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let trusts = |authority: &Authority| {
        let client = Client::with_roots(&server.url(), &authority.roots());
        client.call(&DescribeService {}).is_ok()
    };

    std::fs::write(&files.key, "no key").unwrap();
    let is_told = || seen.lock().unwrap().iter().any(|o| o.operation == "tls" && o.status == 503);
    wait_until("it does not say that the key is broken", &is_told);
    assert!(trusts(&first), "the old one stays in use");

    second.certify(&files);
    wait_until("it goes on with the old one", &|| trusts(&second));
    assert!(!trusts(&first));
    send(&alice, "over the connection of before");
    let heard =
        wait_for(&mut events, |h| head(h) == Some(2) || !matches!(h, StreamEvent::Event(_)));
    assert_eq!(head(&heard), Some(2), "{heard:?}");
}

#[test]
fn a_server_does_not_start_with_a_certificate_of_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    Authority::new().certify(&files);
    assert_eq!(files.check(), Ok(()));
    std::fs::write(&files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(files.check().unwrap_err().contains("do not fit"));
    let storage = SqliteStorage::open(&dir.path().join("service")).unwrap();
    let config = Config { tls: Some(files.clone()), ..config(0) };
    assert!(crate::http::serve(config, storage).is_err());
    std::fs::write(&files.certificate, "").unwrap();
    assert!(files.check().unwrap_err().contains("has no certificate in PEM"));
    std::fs::remove_file(&files.key).unwrap();
    assert!(files.check().unwrap_err().contains("tls.key cannot be read"));
}
