//! Runs the model test for any length of time: `cargo model --help`.
#![allow(clippy::print_stdout, clippy::indexing_slicing)]

use clap::Parser;
use conclave_crypto::Suites;
use conclave_testkit::world::{Counts, World, WorldParams};
use conclave_wire::CipherSuite;
use std::time::{Duration, Instant};

/// Lets random groups take random steps. A check that fails panics with the seed and the step.
#[derive(Parser)]
struct Args {
    /// The seed of the first world; the next worlds take the next numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps per world.
    #[arg(long, default_value_t = 100)]
    steps: u64,
    /// Stop after this many worlds.
    #[arg(long, default_value_t = u64::MAX)]
    worlds: u64,
    /// Stop after this many minutes.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Only this cipher suite: 1 to 7, or a post-quantum one, 61633 (0xf0c1) to 61643. Without it the
    /// suites take turns, with a post-quantum one in every eighth world.
    #[arg(long, value_parser = suite)]
    suite: Option<CipherSuite>,
    /// Whether handshake messages are encrypted. Without it they are in every second world.
    #[arg(long)]
    encrypt: Option<bool>,
    /// The largest number of members.
    #[arg(long, default_value_t = 40)]
    members: usize,
}

/// Parses the number of a suite.
fn suite(text: &str) -> Result<CipherSuite, String> {
    let number = text.parse().map_err(|e| format!("{e}"))?;
    let known = Suites::CONCLAVE.get(CipherSuite(number));
    known.map(|suite| suite.cipher_suite).ok_or_else(|| "no such suite".into())
}

fn main() {
    let args = Args::parse();
    let end = Instant::now() + Duration::from_secs(args.minutes * 60);
    let mut counts = Counts::new();
    let mut refusals = Counts::new();
    let mut seed = args.seed;
    let suites: Vec<CipherSuite> = Suites::CONCLAVE.iter().map(|s| s.cipher_suite).collect();
    let (registered, post_quantum) = suites.split_at(7);
    while Instant::now() < end && seed - args.seed < args.worlds {
        let turn = match seed % 8 {
            7 => post_quantum[(seed / 8) as usize % post_quantum.len()],
            n => registered[n as usize],
        };
        let params = WorldParams {
            seed,
            cipher_suite: args.suite.unwrap_or(turn),
            max_members: args.members,
            encrypt: args.encrypt.unwrap_or(seed % 2 == 0),
        };
        println!("{params:?}");
        let mut world = World::new(params);
        for (what, n) in world.run(args.steps) {
            *counts.entry(what).or_default() += n;
        }
        for (kind, n) in world.refusals() {
            *refusals.entry(*kind).or_default() += n;
        }
        seed += 1;
    }
    println!("{} worlds of {} steps: {counts:?}", seed - args.seed, args.steps);
    println!("hostile messages, all refused: {refusals:#?}");
}
