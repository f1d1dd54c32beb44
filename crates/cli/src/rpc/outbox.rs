//! What waits to be written to one client of the daemon: bounded, however slowly the client reads.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many requests of a client may be under way; no more are read until one is done. It is done before its answer is
/// written: otherwise the daemon and a client that writes a request for each event, and reads nothing meanwhile, would wait
/// for each other.
const MAX_IN_FLIGHT: usize = 64;
/// How many bytes may wait: beyond that no event is taken, and if that many are answers, no request is read.
const MAX_WAITING: usize = 256 << 10;

enum Line {
    /// The answer to a request.
    Reply(String),
    Event(String),
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Line>,
    /// How many bytes wait, and how many of them are answers.
    bytes: usize,
    answer_bytes: usize,
    in_flight: usize,
    /// Whether an event was not taken.
    is_full: bool,
    /// No more requests come: it ends when all are answered.
    is_ending: bool,
    is_closed: bool,
}

/// The queue of one client.
pub(super) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
    /// Says that events are taken again.
    drained: Box<dyn Fn() + Send + Sync>,
}

impl Outbox {
    /// An empty one; `drained` is called when events are taken again after one was not.
    pub(super) fn new(drained: impl Fn() + Send + Sync + 'static) -> Self {
        let drained = Box::new(drained);
        Self { state: Mutex::default(), changed: Condvar::new(), drained }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more request may be read. Returns whether the client is still there.
    pub(super) fn begin_request(&self) -> bool {
        let mut state = self.state();
        let is_full =
            |state: &State| state.in_flight >= MAX_IN_FLIGHT || state.answer_bytes >= MAX_WAITING;
        while is_full(&state) && !state.is_closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.in_flight += 1;
        !state.is_closed
    }

    /// Takes the answer to a request; none if the client wants none.
    pub(super) fn reply(&self, line: Option<String>) {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        if let Some(line) = line {
            state.bytes += line.len();
            state.answer_bytes += line.len();
            state.waiting.push_back(Line::Reply(line));
        }
        self.changed.notify_all();
    }

    /// Takes an event, unless too much waits already.
    pub(super) fn offer(&self, line: String) -> bool {
        let mut state = self.state();
        if state.bytes >= MAX_WAITING {
            state.is_full = true;
            return false;
        }
        state.bytes += line.len();
        state.waiting.push_back(Line::Event(line));
        self.changed.notify_all();
        true
    }

    /// No more requests come.
    pub(super) fn end(&self) {
        self.state().is_ending = true;
        self.changed.notify_all();
    }

    /// The client is gone.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Writes what waits, until the client is gone or all is answered and no more requests come.
    pub(super) fn write_to(&self, mut output: impl Write) {
        while let Some(line) = self.next() {
            let (text, is_reply) = match &line {
                Line::Reply(text) => (text, true),
                Line::Event(text) => (text, false),
            };
            let mut bytes = Vec::with_capacity(text.len() + 1);
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b'\n');
            if output.write_all(&bytes).and_then(|()| output.flush()).is_err() {
                break;
            }
            self.written(text.len(), is_reply);
        }
        self.close();
    }

    /// The next line to be written.
    fn next(&self) -> Option<Line> {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(line) = state.waiting.pop_front() {
                return Some(line);
            }
            if state.is_ending && state.in_flight == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn written(&self, len: usize, is_reply: bool) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(len);
        if is_reply {
            state.answer_bytes = state.answer_bytes.saturating_sub(len);
        }
        let is_drained = state.is_full && state.bytes < MAX_WAITING / 2;
        if is_drained {
            state.is_full = false;
        }
        drop(state);

        self.changed.notify_all();
        if is_drained {
            (self.drained)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_client_that_reads_nothing_is_given_a_bounded_number_of_events() {
        let drained = Arc::new(AtomicUsize::new(0));
        let count = drained.clone();
        let outbox = Outbox::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let event = "x".repeat(1024);
        let taken = (0..10_000).take_while(|_| outbox.offer(event.clone())).count();
        assert_eq!(taken, MAX_WAITING / 1024);

        // When it reads, the rest comes.
        outbox.end();
        let mut written = Vec::new();
        outbox.write_to(&mut written);
        assert_eq!(written.len(), taken * 1025);
        assert_eq!(drained.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_client_that_reads_no_answers_is_asked_no_more() {
        let outbox = Arc::new(Outbox::new(|| {}));
        assert!((0..MAX_IN_FLIGHT).all(|_| outbox.begin_request()));
        let other = outbox.clone();
        let next = std::thread::spawn(move || other.begin_request());
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!next.is_finished());
        outbox.reply(None);
        assert!(next.join().unwrap());
    }

    #[test]
    fn a_client_that_answers_each_of_many_events_before_it_reads_on_is_served() {
        let outbox = Outbox::new(|| {});
        while outbox.offer("x".repeat(400)) {}
        // Nothing is written meanwhile: the client is about to write, and reads later.
        for _ in 0..1000 {
            assert!(outbox.begin_request());
            outbox.reply(Some("y".repeat(60)));
        }
    }

    #[test]
    fn the_answers_that_wait_for_a_client_are_bounded() {
        let outbox = Arc::new(Outbox::new(|| {}));
        for _ in 0..MAX_WAITING / 1024 {
            assert!(outbox.begin_request());
            outbox.reply(Some("y".repeat(1024)));
        }
        let other = outbox.clone();
        let next = std::thread::spawn(move || other.begin_request());
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!next.is_finished());
        outbox.end();
        outbox.written(1024, true);
        assert!(next.join().unwrap());
    }
}
