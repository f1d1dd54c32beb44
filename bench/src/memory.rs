//! Resident memory of a joiner, in a process of its own.
//!
//! The child makes a key package and writes it to its standard output; it reads the Welcome from its standard
//! input. Memory that is resident before the Welcome arrives does not count. The Welcome itself counts in the
//! peak only.

use crate::client::Result;
use crate::measure::{status, trim};
use crate::stack::Stack;
use std::io::{Read, Write, stdin, stdout};
use std::process::{Command, Stdio};

/// The argument that makes the program this child.
pub const CHILD: &str = "--memory-of-joiner";

/// Bytes beyond those that were resident before.
pub struct Measured {
    pub held: u64,
    pub peak: u64,
}

fn put(to: &mut impl Write, bytes: &[u8]) -> Result<()> {
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)?;
    Ok(to.flush()?)
}

fn take(from: &mut impl Read) -> Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Starts a child, lets it be added to the group, and reads what it measured.
pub fn of_joiner(stack: Stack, add: impl FnOnce(Vec<u8>) -> Result<Vec<u8>>) -> Result<Measured> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([CHILD, stack.name(), &crate::conclave::suite().0.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let (mut to, mut from) = pipes.ok_or("the child has no pipes")?;

    let welcome = add(take(&mut from)?)?;
    put(&mut to, &welcome)?;
    let answer = take(&mut from)?;
    drop(to);
    child.wait()?;

    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes);
    let (held, peak) = answer.split_at_checked(8).ok_or("the child measured nothing")?;
    Ok(Measured { held: number(held)?, peak: number(peak)? })
}

/// The child: joins and measures.
pub fn child(args: &[String]) -> Result<()> {
    let [stack, suite] = args else { return Err("which stack, which suite?".into()) };
    crate::conclave::choose_suite(suite)?;
    let stack = Stack::from_name(stack).ok_or("no such stack")?;
    let mut client = stack.client("joiner")?;

    put(&mut stdout(), &client.key_package()?)?;
    client.discard_store();
    trim();
    let before = status("VmRSS:");

    let welcome = take(&mut stdin())?;
    client.join(&welcome)?;
    let peak = status("VmHWM:");

    drop(welcome);
    client.discard_store();
    trim();
    let held = status("VmRSS:");

    let mut answer = held.saturating_sub(before).to_le_bytes().to_vec();
    answer.extend(peak.saturating_sub(before).to_le_bytes());
    put(&mut stdout(), &answer)
}
