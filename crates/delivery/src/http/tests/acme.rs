//! Certificates by ACME: what a service does without its CA, with a hostile one, and with a real one.

use super::tls::Authority;
use super::*;
use crate::http::{AcmeConfig, TlsFiles};
use crate::http_client::TlsRoots;
use rcgen::{CertificateParams, KeyPair};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

const PATIENCE: Duration = Duration::from_secs(40);

/// A service with a certificate for `localhost`, and what it has said of that.
struct Service {
    server: Server,
    said: Arc<Mutex<Vec<(u16, String)>>>,
}

impl Service {
    fn start(dir: &Path, acme: AcmeConfig, port: u16) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = said.clone();
        let on_request = Arc::new(move |o: &Observed| {
            if o.operation == "tls" {
                hears.lock().unwrap().push((o.status, o.summary.clone()));
            }
        });
        let config = Config {
            acme: Some(acme),
            monitor: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            on_request: Some(on_request),
            ..config(port)
        };
        Self { server: serve(&dir.join("service"), config), said }
    }

    fn heard(&self, status: u16, what: &str) -> usize {
        let said = self.said.lock().unwrap();
        said.iter().filter(|(of, said)| *of == status && said.contains(what)).count()
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", self.said);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_trusted(&self, roots: &TlsRoots) -> bool {
        let url = self.server.url().replace("127.0.0.1", "localhost");
        Client::with_roots(&url, roots).call(&DescribeService {}).is_ok()
    }

    /// What those who watch it read.
    fn watched(&self, path: &str) -> String {
        let address = self.server.monitor_addr().unwrap().to_string();
        request(&address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }
}

fn request(address: &str, text: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn acme(dir: &Path, directory: String, roots: TlsRoots) -> AcmeConfig {
    let first_wait = Duration::from_millis(100);
    let domains = vec!["localhost".parse().unwrap()];
    let roots = Some(roots);
    AcmeConfig { directory, roots, first_wait, ..AcmeConfig::new(domains, dir.join("acme")) }
}

/// A port where nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Keeps a certificate as if a CA had given it.
fn keep(acme: &AcmeConfig, authority: &Authority, name: &str) {
    let params = CertificateParams::new([name.to_string()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let folder = acme.of_ca();
    std::fs::create_dir_all(&folder).unwrap();
    let pem = key.serialize_pem() + &certificate.pem();
    std::fs::write(folder.join("certificate.pem"), pem).unwrap();
}

#[test]
fn without_its_ca_a_service_serves_the_certificate_that_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let unreachable = format!("https://127.0.0.1:{}/directory", free_port());
    let acme = acme(dir.path(), unreachable, authority.roots());
    keep(&acme, &authority, "localhost");
    let service = Service::start(dir.path(), acme.clone(), 0);
    assert!(service.is_trusted(&authority.roots()));
    assert!(service.watched("/health/ready").contains("200 OK"));
    let expiry = service.watched("/metrics");
    let expiry = expiry.lines().find(|l| l.starts_with("conclave_certificate_expiry_seconds "));
    assert!(expiry.unwrap().split(' ').nth(1).unwrap().parse::<u64>().unwrap() > now().as_secs());
    assert_eq!(service.said.lock().unwrap().as_slice(), [], "nothing is due");
    drop(service);

    // One that lacks a name is due at once. It stays in use while its renewal fails, and that is told.
    let domains = ["localhost", "b.example"].map(|name| name.parse().unwrap()).to_vec();
    let service = Service::start(dir.path(), AcmeConfig { domains, ..acme }, 0);
    service.wait_for("no failure", || service.heard(503, "cannot be reached") >= 2);
    assert!(service.heard(503, "the one in use is valid for") > 0, "{:?}", service.said);
    assert!(service.is_trusted(&authority.roots()));
    assert!(service.watched("/health/ready").contains("200 OK"));
    let metrics = service.watched("/metrics");
    assert!(metrics.contains("conclave_requests_total{call=\"tls\",outcome=\"failed\"}"));
}

/// A server at `localhost` that gives everybody the same answer.
fn answers(dir: &Path, authority: &Authority, answer: &'static str) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_string()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let files = TlsFiles { certificate: dir.join("ca.pem"), key: dir.join("ca.key") };
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    let (tls, _) = crate::http::tls::Tls::open(files).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = tls.acceptor().accept(stream).await else { continue };
                let router = axum::Router::new().fallback(async move || answer);
                let service = hyper_util::service::TowerToHyperService::new(router);
                let io = hyper_util::rt::TokioIo::new(&mut stream);
                let _ = hyper::server::conn::http1::Builder::new()
                    .keep_alive(false)
                    .serve_connection(io, service)
                    .await;
            }
        });
    });
    format!("https://localhost:{port}/directory")
}

#[test]
fn a_service_without_a_certificate_starts_and_says_why_it_has_none() {
    for (answer, why) in [
        ("<html>", "is no directory of a CA"),
        ("[]", "has no \"newNonce\""),
        (
            r#"{"newNonce":"http://127.0.0.1:1/","newAccount":"x","newOrder":"x"}"#,
            "http://127.0.0.1:1/: ",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let directory = answers(dir.path(), &authority, answer);
        let acme = acme(dir.path(), directory, authority.roots());
        let service = Service::start(dir.path(), acme, 0);
        service.wait_for(why, || service.heard(503, why) >= 2);
        assert!(service.heard(503, "there is none; next attempt in") > 0, "{:?}", service.said);
        let ready = service.watched("/health/ready");
        assert!(ready.contains("503"), "{ready}");
        assert!(ready.contains("no valid certificate for TLS: "), "{ready}");
        assert!(ready.contains(why), "{ready}");
        assert!(!service.is_trusted(&authority.roots()));
    }
}

#[test]
fn files_and_a_ca_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let directory = AcmeConfig::LETS_ENCRYPT.to_string();
    let acme = acme(dir.path(), directory, Authority::new().roots());
    let tls = TlsFiles { certificate: "tls.pem".into(), key: "tls.key".into() };
    let config = Config { acme: Some(acme), tls: Some(tls), ..config(0) };
    let storage = SqliteStorage::open(&dir.path().join("service")).unwrap();
    let refused = crate::http::serve(config, storage).unwrap_err().to_string();
    assert!(refused.contains("not both"), "{refused}");
}

/// Let's Encrypt's own CA for tests, with a name service that answers as it is told.
struct Pebble {
    processes: [Child; 2],
    directory: String,
    management: String,
    names: String,
    roots: TlsRoots,
}

impl Pebble {
    /// It checks names at this port of whatever they lead to, and gives certificates for 12 seconds.
    fn start(dir: &Path, tls_port: u16, leads_to: &str) -> Self {
        let authority = Authority::new();
        let files = TlsFiles { certificate: dir.join("pebble.pem"), key: dir.join("pebble.key") };
        authority.certify(&files);
        let [port, management, names, dns] = [(); 4].map(|()| free_port());
        let (certificate, key) = (files.certificate.display(), files.key.display());
        let config = format!(
            r#"{{ "pebble": {{ "listenAddress": "127.0.0.1:{port}", "managementListenAddress":
            "127.0.0.1:{management}", "certificate": "{certificate}", "privateKey": "{key}",
            "httpPort": 1, "tlsPort": {tls_port}, "certificateValidityPeriod": 12 }} }}"#
        );
        std::fs::write(dir.join("pebble.json"), config).unwrap();
        let quiet = |command: &mut Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let name_service = quiet(
            Command::new("pebble-challtestsrv")
                .args(["-defaultIPv6", "", "-defaultIPv4", leads_to, "-http01", "", "-https01", ""])
                .args(["-tlsalpn01", "", "-dns01", &format!("127.0.0.1:{dns}")])
                .args(["-management", &format!("127.0.0.1:{names}")]),
        );
        let ca = quiet(
            Command::new("pebble")
                .args(["-strict", "-dnsserver", &format!("127.0.0.1:{dns}"), "-config"])
                .arg(dir.join("pebble.json"))
                // Every fifth request has to be repeated.
                .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "20")]),
        );
        let begun = Instant::now();
        for port in [names, management, port] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(begun.elapsed() < PATIENCE, "Pebble does not start");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Self {
            processes: [name_service, ca],
            directory: format!("https://127.0.0.1:{port}/dir"),
            management: format!("https://127.0.0.1:{management}/roots/0"),
            names: format!("127.0.0.1:{names}"),
            roots: authority.roots(),
        }
    }

    fn lead_to(&self, address: &str) {
        let body = format!("{{\"ip\":\"{address}\"}}");
        let length = body.len();
        let head = "POST /set-default-ipv4 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
        let reply = request(&self.names, &format!("{head}content-length: {length}\r\n\r\n{body}"));
        assert!(reply.contains("200 OK"), "{reply}");
    }

    /// The root of what it issues.
    fn issues_from(&self) -> TlsRoots {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().tls_config(self.roots.config()).build().into();
        let mut root = agent.get(&self.management).call().unwrap();
        TlsRoots::from_pem(&root.body_mut().read_to_vec().unwrap()).unwrap()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
#[ignore = "it needs Debian's package pebble"]
fn a_ca_gives_a_certificate_to_who_proves_the_name_and_renews_it() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    // The name leads to where nobody listens.
    let pebble = Pebble::start(dir.path(), port, "127.0.0.9");
    let acme = acme(dir.path(), pebble.directory.clone(), pebble.roots.clone());
    let service = Service::start(dir.path(), acme.clone(), port);
    let refused = "the CA refuses (unauthorized): localhost: Failed to connect to 127.0.0.9";
    service.wait_for("no refusal", || service.heard(503, refused) >= 1);
    assert!(service.watched("/health/ready").contains("503"));

    pebble.lead_to("127.0.0.1");
    service.wait_for("no certificate", || service.heard(200, "a new certificate") == 1);
    let roots = pebble.issues_from();
    assert!(service.is_trusted(&roots));
    assert!(service.watched("/health/ready").contains("200 OK"));
    service.wait_for("it is not renewed", || service.heard(200, "a new certificate") == 2);
    assert!(service.is_trusted(&roots));
    drop(service);

    // Without its CA: the one that is kept, and renewing it fails.
    drop(pebble);
    let service = Service::start(dir.path(), acme, port);
    assert!(service.is_trusted(&roots));
    service.wait_for("no failure", || service.heard(503, "cannot be reached") >= 1);
}
