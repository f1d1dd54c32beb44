//! One message to many listeners: how long until the last has heard of it, and what a listener costs that hears nothing.

use crate::Failure;
use crate::people::{self, Device};
use crate::process::Service;
use crate::results::{Results, percentile};
use conclave_delivery_api::{
    ContentType, EVENTS_PATH, Outcome, PROOF_HEADER, Proof, SendMessage, SubmitCommit,
};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The most devices of one user.
const DEVICES: usize = 50;
const ROUNDS: usize = 12;
/// Longer than any of it should take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An event stream, as a socket.
struct Listener {
    stream: TcpStream,
    /// What has come since it was looked at.
    heard: Vec<u8>,
}

impl Listener {
    fn open(address: &str, device: &Device) -> Result<Self, Failure> {
        let (pair, token) = &device.session;
        // The first request of its session, and the only one.
        let proof =
            Proof::signed(&*people::provider(), pair, token, 1, (EVENTS_PATH, &[]))?.to_text();
        let token = token.expose();
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "GET {EVENTS_PATH} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{PROOF_HEADER}: {proof}\r\n\r\n"
        )?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, heard: Vec::new() })
    }

    fn has_heard(&mut self, what: &[u8]) -> Result<bool, Failure> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("an event stream has ended".into()),
                Ok(n) => self.heard.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(self.heard.windows(what.len()).any(|part| part == what))
    }
}

/// Waits until all have heard something, and forgets what they heard.
fn wait(listeners: &mut [Listener], what: &[u8]) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut waiting: Vec<&mut Listener> = listeners.iter_mut().collect();
    while !waiting.is_empty() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{} listeners hear nothing", waiting.len()).into());
        }
        let mut left = Vec::new();
        for listener in waiting {
            if listener.has_heard(what)? {
                listener.heard = Vec::new();
            } else {
                left.push(listener);
            }
        }
        waiting = left;
    }
    Ok(())
}

pub fn measure(results: &mut Results, service: &Service, count: usize) -> Result<(), Failure> {
    let url = &service.url;
    let sender = people::user(url, "sender", 1)?.remove(0);
    let mut devices = Vec::new();
    for n in 0..count.div_ceil(DEVICES) {
        let some = DEVICES.min(count - devices.len());
        devices.extend(people::user(url, &format!("listener-{n}"), some)?);
    }
    let group = people::group(&sender)?;
    let commit = SubmitCommit {
        added: devices.iter().map(|device| device.id.clone()).collect(),
        ..SubmitCommit::new(people::private(&group, 0, ContentType::Commit, vec![1])?)
    };
    sender.client.call(&commit)?;

    let before = service.memory()?;
    let address = url.trim_start_matches("http://");
    let mut listeners = Vec::new();
    let begun = Instant::now();
    for device in &devices {
        listeners.push(Listener::open(address, device)?);
    }
    wait(&mut listeners, b"event: ready")?;
    let what = format!("{count} listeners of one group");
    results.put(format!("{what}: all connect"), begun.elapsed().as_secs_f64() * 1e3, "ms");
    let each = (service.memory()? - before) / count as f64;
    results.put(format!("{what}: memory each, when idle"), each, "KiB");

    let (mut answered, mut heard) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let message = people::message(&group, 1)?;
        let Outcome::Accepted { receipt, .. } = sender.client.call(&SendMessage { message })?
        else {
            return Err("the message is refused".into());
        };
        answered.push(begun.elapsed().as_secs_f64() * 1e3);
        wait(&mut listeners, format!(" 1 {} ", receipt.position.seq).as_bytes())?;
        heard.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    answered.sort_by(f64::total_cmp);
    heard.sort_by(f64::total_cmp);
    results.put(format!("{what}: the sender is answered"), percentile(&answered, 50), "ms");
    results.put(format!("{what}: the last has heard"), percentile(&heard, 50), "ms");
    results.put(format!("{what}: the last has heard, longest"), percentile(&heard, 100), "ms");
    Ok(())
}
