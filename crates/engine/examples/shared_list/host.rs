use conclave_delivery::http_client::{Client, Session};
use conclave_delivery_api::Call;
use conclave_engine::{CallError, Engine, EngineError, Output, Reply, StreamEvent, Transport};
use conclave_store::Store;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The service over HTTP, and what it pushes.
pub(crate) struct Service {
    pub(crate) client: Client,
    pub(crate) pushed: (Sender<StreamEvent>, Receiver<StreamEvent>),
}

impl Transport for Service {
    type Error = CallError;

    fn call<C: Call>(&mut self, request: &C) -> Result<C::Reply, CallError> {
        self.client.call(request)
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Waits until there may be something to do, does it, and returns what the engine has to say.
pub(crate) fn turn<S: Store>(
    engine: &mut Engine<S>,
    service: &mut Service,
) -> Result<Vec<Output>, EngineError> {
    // (Not for long: the example's devices share a thread.)
    let left = engine.wake_at().map_or(20, |at| at.saturating_sub(now()).min(20));
    if let Ok(hint) = service.pushed.1.recv_timeout(Duration::from_millis(left)) {
        engine.heard(now(), hint);
    }

    while let Some((call, request)) = engine.next(now())? {
        let reply = request.call(service);
        if let (Ok(Reply::OpenSession(opened)), Some(key)) = (&reply, engine.session_key()) {
            // From now on requests are signed, and the service pushes.
            let session = Session::new(engine.provider(), key.clone(), opened.token.clone());
            service.client = service.client.clone().with_session(session);
            let (events, to) = (service.client.events(), service.pushed.0.clone());
            std::thread::spawn(move || {
                events.take_while(|hint| to.send(hint.clone()).is_ok()).count()
            });
        }
        engine.reply(now(), call, reply)?;
    }

    // An application stores or shows them here: what is not acknowledged is given again, after a crash, too.
    let outputs = engine.outputs(now());
    engine.acknowledge(&outputs)?;
    Ok(outputs)
}
