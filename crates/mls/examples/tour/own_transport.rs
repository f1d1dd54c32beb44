//! A transport of one's own: two members and a delivery service, each a thread, with channels
//! between them. Both members change the group at the same moment; the service takes the first
//! commit of an epoch; the other member follows it and makes its own change anew.

use crate::common::{Directory, Result, SUITE, key_package};
use crate::member::{Member, agree, group_of};
use conclave_mls::group::{CommitOptions, NewProposal};
use conclave_mls::key_package::ValidKeyPackage;
use conclave_mls::wire::{Decode, MlsMessage};
use conclave_mls::{Epoch, Event};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

type Message = Vec<u8>;

/// The epoch that a message was sent in, which its outside shows.
fn epoch_of(message: &[u8]) -> Option<Epoch> {
    Some(MlsMessage::from_bytes(message).ok()?.group_and_epoch()?.1)
}

/// The delivery service: the first commit of an epoch goes to everybody, its sender included; the
/// others go nowhere. That is all that MLS asks of it. Returns how many commits came too late.
fn serve(commits: &Receiver<Message>, members: &[Sender<Message>]) -> u32 {
    let mut current = Epoch(1);
    let mut late = 0;
    // For the example there is always a race: the service waits until both have committed.
    let both: Vec<Message> = commits.iter().take(members.len()).collect();
    for commit in both.into_iter().chain(commits.iter()) {
        if epoch_of(&commit) != Some(current) {
            late += 1;
            continue;
        }
        current = Epoch(current.0 + 1);
        for member in members {
            // One that has left does not listen any more.
            let _ = member.send(commit.clone());
        }
    }
    late
}

/// Adds a client to the group, however often it takes, and follows the group to an epoch.
fn add(
    member: &mut Member,
    newcomer: &ValidKeyPackage,
    (service, inbox): (&Sender<Message>, &Receiver<Message>),
    directory: &Directory,
    last_epoch: u64,
) -> Result {
    let key = &newcomer.key_package().leaf_node.signature_key;
    while member.group.epoch() < Epoch(last_epoch) {
        // What is to be done is judged by the group as it is now: "rebase".
        let there = member.group.members().any(|m| m.signature_key == *key);
        if !there && member.group.pending_commit().is_none() {
            let proposals = vec![NewProposal::Add(Box::new(newcomer.clone()))];
            let options = CommitOptions { proposals, ..CommitOptions::default() };
            // The commit is in the rows now. After a crash `pending_commit` has it, to be sent
            // again.
            service.send(member.commit(options)?.commit)?;
        }
        // The own commit that comes back was accepted; another one of this epoch replaces it.
        let event = member.receive(&inbox.recv()?, directory)?;
        let Some(Event::Epoch(change)) = event else { return Err("not a new epoch".into()) };
        let what = if change.own {
            "has won"
        } else if change.discarded_own_commit {
            "has lost and tries again"
        } else {
            "follows"
        };
        println!("{} {what}: epoch {}", member.name, change.epoch);
    }
    Ok(())
}

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let members = group_of(["alice", "bob"], &mut directory)?;
    let mut newcomers = Vec::new();
    for name in ["carol", "dave"] {
        let own = key_package(name, directory.register(name, SUITE)?)?;
        newcomers.push(directory.valid(own.key_package())?);
    }

    let (service, commits) = channel();
    let (outlets, inboxes): (Vec<_>, Vec<_>) = members.iter().map(|_| channel()).unzip();
    let served = thread::spawn(move || serve(&commits, &outlets));
    let directory = Arc::new(directory);
    let mut threads = Vec::new();
    for ((mut member, inbox), newcomer) in members.into_iter().zip(inboxes).zip(newcomers) {
        let (service, directory) = (service.clone(), Arc::clone(&directory));
        threads.push(thread::spawn(move || {
            let done = add(&mut member, &newcomer, (&service, &inbox), &directory, 3);
            done.map(|()| member).map_err(|e| e.to_string())
        }));
    }
    drop(service);
    let mut members = Vec::new();
    for thread in threads {
        members.push(thread.join().map_err(|_| "a thread panicked")??);
    }
    let late = served.join().map_err(|_| "the service panicked")?;

    // Both changes were made, one after the other, and the members agree.
    agree(&members.iter().collect::<Vec<_>>())?;
    for member in &members {
        assert_eq!((member.group.epoch(), member.group.members().count()), (Epoch(3), 4));
    }
    assert_eq!(late, 1);
    println!("{late} commit came too late; both newcomers were added, in two epochs");
    Ok(())
}
