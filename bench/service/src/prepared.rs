//! The same messages from senders that take next to nothing of the machine: all requests are made and signed before, and
//! one thread writes them and reads the answers.

use crate::Failure;
use crate::floor::{self, SENDERS};
use crate::messages::senders;
use crate::people::{self, Device};
use crate::process::{Service, cpu};
use crate::results::{Results, percentile};
use conclave_delivery_api::{
    CONTENT_TYPE, Call, Decode, Encode, GroupId, Outcome, PROOF_HEADER, Proof, SendMessage,
};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The number of the first request: others of its session came before.
const FIRST: u64 = 1000;

pub fn name(senders: usize) -> String {
    format!("messages, {senders} senders of prepared requests")
}

fn request(
    address: &str,
    device: &Device,
    group: &GroupId,
    number: u64,
) -> Result<Vec<u8>, Failure> {
    let body = SendMessage { message: people::message(group, 0)? }.to_bytes()?;
    let path = SendMessage::PATH;
    let (pair, token) = &device.session;
    let proof = Proof::signed(&*people::provider(), pair, token, number, (path, &body))?.to_text();
    let (token, length) = (token.expose(), body.len());
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {length}\r\n\
         authorization: Bearer {token}\r\n{PROOF_HEADER}: {proof}\r\n\r\n"
    );
    Ok([head.as_bytes(), &body].concat())
}

/// A connection, and what came beyond the last answer.
struct Sender {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Sender {
    /// Reads an answer: its message is in the log.
    async fn accepted(&mut self) -> Result<(), Failure> {
        loop {
            if let Some(end) = self.read.windows(4).position(|part| part == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.read[..end]).to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).ok_or("no length")?;
                let length: usize = length.lines().next().unwrap_or_default().parse()?;
                let (begin, end) = (end + 4, end + 4 + length);
                if self.read.len() >= end {
                    if !head.starts_with("http/1.1 200") {
                        return Err(head.into());
                    }
                    match Outcome::from_bytes(&self.read[begin..end])? {
                        Outcome::Accepted { .. } => {}
                        other => return Err(format!("{other:?}").into()),
                    }
                    self.read.drain(..end);
                    return Ok(());
                }
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the service has hung up".into());
            }
        }
    }
}

/// Sends one after the other, until the time is over or none is left. How long each took, in milliseconds.
async fn send(
    address: &str,
    mut requests: VecDeque<Vec<u8>>,
    time: Duration,
) -> Result<Vec<f64>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut sender = Sender { stream, read: Vec::new() };
    let (mut took, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < time
        && let Some(request) = requests.pop_front()
    {
        let started = Instant::now();
        sender.stream.write_all(&request).await?;
        sender.accepted().await?;
        took.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took)
}

pub fn rates(results: &mut Results, service: &Service, time: Duration) -> Result<(), Failure> {
    let address = service.url.trim_start_matches("http://").to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    for count in SENDERS {
        // Twice as many as the senders that sign as they go have sent.
        let rate = results.get(&crate::messages::name(count)).unwrap_or(0.0);
        let each = (2.0 * rate * time.as_secs_f64() / count as f64) as u64 + 1;
        let mut all = Vec::new();
        for (device, group) in senders(&service.url, &format!("prepared-{count}-"), count)? {
            let one = |n| request(&address, &device, &group, FIRST + n);
            all.push((0..each).map(one).collect::<Result<VecDeque<_>, _>>()?);
        }

        let (before, own, begun) = (service.cpu()?, cpu("self")?, Instant::now());
        let mut took = runtime.block_on(async {
            let tasks: Vec<_> = all
                .into_iter()
                .map(|requests| {
                    let address = address.clone();
                    tokio::spawn(async move {
                        send(&address, requests, time).await.map_err(|e| e.to_string())
                    })
                })
                .collect();
            let mut took = Vec::new();
            for task in tasks {
                took.extend(task.await??);
            }
            Ok::<_, Failure>(took)
        })?;
        let sent = took.len() as f64;
        let (rate, name) = (sent / begun.elapsed().as_secs_f64(), name(count));
        results.beside(&name, rate, "/s", results.get(&floor::name(count)));
        took.sort_by(f64::total_cmp);
        results.put(format!("{name}: p50"), percentile(&took, 50), "ms");
        results.put(format!("{name}: p99"), percentile(&took, 99), "ms");
        let (service, senders) = (service.cpu()? - before, cpu("self")? - own);
        let floor = results.get(&floor::cpu_name(count));
        results.beside(
            format!("{name}: CPU of the service each"),
            service * 1e6 / sent,
            "µs",
            floor,
        );
        results.put(format!("{name}: CPU of the senders each"), senders * 1e6 / sent, "µs");
    }
    Ok(())
}
