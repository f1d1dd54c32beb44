//! Lets an engine do what is due, without a user: for a program that wants to know how the engine stands.

use crate::service::{Http, client, now};
use conclave_delivery::http_client::{Session, TlsRoots};
use conclave_engine::{Engine, EngineError, Reply};
use conclave_store::Store;
use std::time::{Duration, Instant};

/// How long to wait for something that is due, in milliseconds; what is due later is left.
const SOON: u64 = 2_000;

/// Makes the calls that the engine wants, until there is none for a while or the time is up. Events stay with the
/// engine, for the messenger.
///
/// # Errors
/// If the engine cannot go on.
pub fn catch_up<S: Store>(
    engine: &mut Engine<S>,
    url: &str,
    roots: Option<&TlsRoots>,
    patience: Duration,
) -> Result<(), EngineError> {
    let mut client = client(url, roots);
    let begun = Instant::now();
    while begun.elapsed() < patience {
        let Some((call, request)) = engine.next(now())? else {
            let due = engine.wake_at().map(|at| at.saturating_sub(now()));
            let Some(wait) = due.filter(|wait| *wait <= SOON) else { break };
            std::thread::sleep(Duration::from_millis(wait.max(1)));
            continue;
        };
        let key = engine.session_key().cloned();
        let reply = request.call(&mut Http(&client));
        if let (Ok(Reply::OpenSession(opened)), Some(key)) = (&reply, key) {
            let session = Session::new(engine.provider(), key, opened.token.clone());
            client = client.with_session(session);
        }
        engine.reply(now(), call, reply)?;
    }
    Ok(())
}
