//! Clients that are too old.

use super::hostile::{rows, said};
use super::*;

const CURRENT: &str = env!("CARGO_PKG_VERSION");

fn version(text: &str) -> ClientVersion {
    text.parse().unwrap()
}

/// A service for clients like this one and later.
fn serve_current(dir: &Path) -> Server {
    let minimum_clients = vec![version(&format!("conclave/{CURRENT}")), version("other/2.0.0")];
    let limits = Limits { minimum_clients, ..Limits::default() };
    serve(dir, Config { limits, ..config(0) })
}

#[test]
fn a_client_that_is_too_old_is_told_so_and_a_later_one_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve_current(dir.path());
    let (alice, _) = owners();
    for (old, oldest) in
        [("conclave/0.0.9", format!("conclave/{CURRENT}")), ("other/1.9.0", "other/2.0.0".into())]
    {
        let client = Client::new(&server.url()).with_version(&version(old));
        let info = client.call(&DescribeService {}).unwrap();
        assert!(info.minimum_clients.contains(&version(&oldest)), "{info:?}");
        match client.call(&alice.submission()).unwrap_err() {
            CallError::Refused { code: ErrorCode::ClientOutdated, detail, .. } => {
                let expected = format!(
                    "{old} is too old for this service, which serves {oldest} and later: update it"
                );
                assert_eq!(detail, expected);
            }
            e => panic!("{e}"),
        }
    }

    // This one, a later one, and one of whose name nothing is said.
    let session = own_session(&server, &alice);
    let known = Session::new(provider(), session.pair, session.token);
    for good in [format!("conclave/{CURRENT}"), "conclave/99.0.0".into(), "new/0.0.1".into()] {
        let client = Client::new(&server.url()).with_version(&version(&good));
        let client = client.with_session(known.clone());
        assert!(client.call(&FetchInbox { limit: 1 }).is_ok(), "{good}");
        assert_eq!(client.events().next(), Some(StreamEvent::Connected), "{good}");
    }
    let old = Client::new(&server.url()).with_version(&version("conclave/0.0.9"));
    match old.with_session(known).events().next() {
        Some(StreamEvent::Disconnected { error, .. }) => {
            assert_eq!(error.code(), Some(ErrorCode::ClientOutdated));
        }
        heard => panic!("{heard:?}"),
    }
}

#[test]
fn every_call_but_one_is_refused_to_clients_that_do_not_say_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve_current(dir.path());
    let (alice, _) = owners();
    let session = own_session(&server, &alice);
    let mut number = 0;
    for row in rows() {
        for header in
            ["", "x-conclave-client: conclave\r\n", "x-conclave-client: conclave/0.0.9\r\n"]
        {
            number += 1;
            let body = row.request(1);
            let head = if row.is_anonymous() {
                posted(&row.name, None, body.len())
            } else {
                signed(&session, number, &row.path(), &body)
            };
            let head = head.replace("host: x\r\n", &format!("host: x\r\n{header}"));
            let said = said(&exchange(&server, &head, &body).unwrap());
            let expected = if row.name == "describe-service" { "ok" } else { "client-outdated" };
            assert_eq!(said, expected, "{}, {header:?}", row.name);
        }
    }
    assert!(number > 60, "the page's table is not read");
}
