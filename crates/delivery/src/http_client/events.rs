use super::Client;
use conclave_delivery_api::{CallError, EventParser, StreamEvent};
use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long the first wait between two attempts is; each doubles, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The longest wait that the service can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// The longest line of the stream that is read, in bytes.
const MAX_LINE: u64 = 64 * 1024;

impl Client {
    /// Listens to what the service pushes to this device. The first event comes when the service
    /// can be reached; the stream reconnects by itself.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.clone())
    }
}

#[derive(Debug, Default)]
struct Flag {
    stopped: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

/// Stops an event stream from another thread: at once if it waits to reconnect, else when the
/// next line comes, which is within ten seconds.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Flag>);

impl Stop {
    /// Stops the stream.
    pub fn stop(&self) {
        let _guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.stopped.store(true, Ordering::SeqCst);
        self.0.wake.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    fn wait(&self, time: Duration) {
        let guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it was stopped or has waited long enough, the caller looks.
        let _ = self.0.wake.wait_timeout_while(guard, time, |()| !self.is_stopped());
    }
}

/// What the service pushes, for ever: an iterator that blocks, and ends when it is
/// [stopped](Self::stop_handle).
pub struct Events {
    client: Client,
    stop: Stop,
    stream: Option<BufReader<Box<dyn Read + Send>>>,
    parser: EventParser,
    /// Up to where the service has told all, by its own name for it.
    last_id: Option<String>,
    wait: Option<Duration>,
    next_wait: Duration,
    /// How long the service has asked to wait when the stream ends.
    retry: Option<Duration>,
}

impl core::fmt::Debug for Events {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Events").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Events {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            stop: Stop::default(),
            stream: None,
            parser: EventParser::default(),
            last_id: None,
            wait: None,
            next_wait: FIRST_WAIT,
            retry: None,
        }
    }

    /// Up to where the service has told all, by its own name for it, once [`Event::Ready`](conclave_delivery_api::Event::Ready) was heard. When the stream
    /// reconnects, the service tells of groups only what is new since.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Begins where another stream of this device has ended: whoever calls it has kept what that one told.
    #[must_use]
    pub fn after(mut self, last_id: Option<String>) -> Self {
        self.last_id = last_id;
        self
    }

    /// What stops the stream.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    fn disconnected(&mut self, error: CallError) -> StreamEvent {
        self.stream = None;
        self.parser = EventParser::default();
        let asked = self.retry.take().or_else(|| error.retry_after()).unwrap_or_default();
        let retry_in = self.next_wait.max(asked.min(LONGEST_ASKED));
        self.wait = Some(retry_in);
        self.next_wait = (self.next_wait * 2).min(LONGEST_WAIT);
        StreamEvent::Disconnected { error, retry_in }
    }

    /// Reads lines until one completes an event.
    fn read(&mut self) -> Option<StreamEvent> {
        loop {
            let stream = self.stream.as_mut()?;
            let mut line = Vec::new();
            let read = stream.take(MAX_LINE).read_until(b'\n', &mut line);
            if self.stop.is_stopped() {
                return None;
            }
            let reason = match read {
                Ok(_) if line.last() == Some(&b'\n') => {
                    let line = String::from_utf8_lossy(&line);
                    let line = line.trim_end_matches(['\n', '\r']);
                    if let Some(millis) = line.strip_prefix("retry: ") {
                        self.retry = millis.parse().ok().map(Duration::from_millis);
                        continue;
                    }
                    match self.parser.line(line) {
                        Some(event) => {
                            self.next_wait = FIRST_WAIT;
                            if let Some(id) = self.parser.last_id() {
                                self.last_id = Some(id.into());
                            }
                            return Some(StreamEvent::Event(event));
                        }
                        None => continue,
                    }
                }
                Ok(_) => "the event stream has ended".to_string(),
                Err(e) => e.to_string(),
            };
            let url = self.client.url.clone();
            return Some(self.disconnected(CallError::Unreachable { url, reason }));
        }
    }
}

impl Iterator for Events {
    type Item = StreamEvent;

    fn next(&mut self) -> Option<StreamEvent> {
        if let Some(time) = self.wait.take() {
            self.stop.wait(time);
        }
        if self.stop.is_stopped() {
            return None;
        }
        if self.stream.is_some() {
            return self.read();
        }
        Some(match self.client.open_events(self.last_id.as_deref()) {
            Ok(stream) => {
                self.stream = Some(BufReader::new(Box::new(stream)));
                StreamEvent::Connected
            }
            Err(error) => self.disconnected(error),
        })
    }
}
