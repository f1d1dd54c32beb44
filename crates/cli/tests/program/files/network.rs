//! A network between messengers and their service, which can be cut and held up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long no connection can be made after a cut.
const OUTAGE: Duration = Duration::from_millis(400);
/// The most bytes that move on a connection that is not a transfer's.
const SMALL: u64 = 256 << 10;

#[derive(Default)]
struct State {
    /// How many bytes have moved, in both directions.
    moved: AtomicU64,
    /// After how many bytes nothing moves any more; nothing is held if this is 0.
    hold_at: AtomicU64,
    /// How many threads are held.
    held: AtomicU64,
    /// Whether connections on which little has moved are not held.
    small_passes: AtomicBool,
    /// At which numbers of bytes all connections are cut, the last one first.
    cuts: Mutex<Vec<u64>>,
    open: Mutex<Vec<TcpStream>>,
    /// Whether nobody gets through.
    is_down: AtomicBool,
}

pub(crate) struct Network {
    address: String,
    state: Arc<State>,
}

impl Network {
    /// A network that leads to a service.
    pub(crate) fn new(service: &str) -> Self {
        let service = service.strip_prefix("http://").unwrap().to_string();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.is_down.load(Ordering::Relaxed) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&service) else { continue };
                let mut open = shared.open.lock().unwrap();
                open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                drop(open);
                for (from, to) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    let state = shared.clone();
                    std::thread::spawn(move || pump(&state, from, to));
                }
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn moved(&self) -> u64 {
        self.state.moved.load(Ordering::Relaxed)
    }

    /// Nothing more moves once so many bytes have.
    pub(crate) fn hold_at(&self, bytes: u64) {
        self.state.hold_at.store(bytes, Ordering::Relaxed);
    }

    /// Whether something waits.
    pub(crate) fn holds(&self) -> bool {
        self.state.held.load(Ordering::Relaxed) > 0
    }

    /// What does not belong to a transfer moves even while transfers are held.
    pub(crate) fn let_small_pass(&self) {
        self.state.small_passes.store(true, Ordering::Relaxed);
    }

    pub(crate) fn open(&self) {
        self.hold_at(0);
    }

    /// All connections are cut whenever so many more bytes have moved.
    pub(crate) fn cut_at(&self, bytes: impl DoubleEndedIterator<Item = u64>) {
        let now = self.moved();
        *self.state.cuts.lock().unwrap() = bytes.rev().map(|at| now + at).collect();
    }

    pub(crate) fn cuts_left(&self) -> usize {
        self.state.cuts.lock().unwrap().len()
    }
}

fn pump(state: &Arc<State>, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 << 10];
    let mut own = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        own += count as u64;
        let moved = state.moved.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        let is_due = |cuts: &mut Vec<u64>| cuts.pop_if(|at| moved >= *at).is_some();
        if is_due(&mut state.cuts.lock().unwrap()) {
            cut(state);
            return;
        }
        let is_held = || {
            let at = state.hold_at.load(Ordering::Relaxed);
            let passes = state.small_passes.load(Ordering::Relaxed) && own < SMALL;
            at > 0 && state.moved.load(Ordering::Relaxed) > at && !passes
        };
        if is_held() {
            state.held.fetch_add(1, Ordering::Relaxed);
            while is_held() {
                std::thread::sleep(Duration::from_millis(5));
            }
            state.held.fetch_sub(1, Ordering::Relaxed);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Everybody is cut off for a while.
fn cut(state: &Arc<State>) {
    state.is_down.store(true, Ordering::Relaxed);
    for stream in state.open.lock().unwrap().drain(..) {
        let _ = stream.shutdown(Shutdown::Both);
    }
    let state = state.clone();
    std::thread::spawn(move || {
        std::thread::sleep(OUTAGE);
        state.is_down.store(false, Ordering::Relaxed);
    });
}
