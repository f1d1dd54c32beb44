//! A delivery service follows a group from its public messages, without secrets: it orders
//! commits, refuses invalid ones before they reach anybody, and hands newcomers what they need.

use crate::common::{CRYPTO, Directory, Result, Rows, SUITE, key_package, leaf, rng};
use crate::member::{Member, agree, group_of};
use conclave_mls::group::{CommitOptions, NewProposal, TreeRead};
use conclave_mls::join::{ExternalJoinOptions, ExternalJoinStage, GroupInfoOptions};
use conclave_mls::observe::{Observer, ObserverEvent, ObserverStage};
use conclave_mls::storage::Outcome;
use conclave_mls::{Config, Transition, apply};

/// The service's state: an observer and its rows.
struct Service {
    observer: Observer,
    rows: Rows,
}

impl Service {
    /// Checks a commit or proposal; whoever sent it hears the answer.
    fn submit(&mut self, message: &[u8], directory: &Directory) -> Result<ObserverEvent> {
        let stage = self.observer.process(&CRYPTO, message)?;
        // A service can enforce rules of its own here: `stage.sender()`, `stage.proposals()`.
        let verdicts = directory.judge_all(stage.credentials());
        let step = stage.resolve(&self.observer, &CRYPTO, &verdicts.into())?;
        self.take(step)
    }

    fn take<O: Outcome<ObserverEvent>>(&mut self, step: Transition<Observer, O>) -> Result<O> {
        let rows = &mut self.rows;
        Ok(apply(&mut self.observer, step, |write| {
            write.batch.apply_to(rows);
            Ok::<_, std::convert::Infallible>(())
        })?)
    }
}

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let [mut alice, mut bob] = group_of(["alice", "bob"], &mut directory)?;

    // A member shows the service the group. The tree is in the GroupInfo or given apart.
    let options = GroupInfoOptions { ratchet_tree: true, external_pub: true };
    let info = alice.group.group_info(&CRYPTO, options)?;
    let stage = ObserverStage::open(&CRYPTO, Config::default(), &info, None)?;
    let verdicts = directory.judge_all(stage.credentials());
    let observer = stage.resolve(&verdicts)?;
    let mut rows = Rows::new();
    observer.rows()?.apply_to(&mut rows);
    let mut service = Service { observer, rows };
    println!("the service sees {} members", service.observer.members().count());

    // Two commits for one epoch. They are PublicMessages, which is what lets the service follow.
    let from_alice = alice.commit(CommitOptions::default())?;
    let from_bob = bob.commit(CommitOptions::default())?;
    service.submit(&from_bob.commit, &directory)?;
    let Err(late) = service.submit(&from_alice.commit, &directory) else {
        return Err("two commits for one epoch".into());
    };
    println!("the second commit of an epoch is refused: {late}");
    bob.accepted()?;
    alice.receive(&from_bob.commit, &directory)?;
    agree(&[&alice, &bob])?;

    // A commit that brings in somebody under a false name is refused before it reaches anybody.
    // Bob accepts Mallory; the service does not.
    let mut bobs_directory = Directory::default();
    let mallory = key_package("mallory", bobs_directory.register("mallory", SUITE)?)?;
    let add = NewProposal::Add(Box::new(bobs_directory.valid(mallory.key_package())?));
    let messages =
        bob.commit(CommitOptions { proposals: vec![add], ..CommitOptions::default() })?;
    let Err(refused) = service.submit(&messages.commit, &directory) else {
        return Err("mallory was let in".into());
    };
    println!("refused for all: {refused}");
    let step = bob.group.commit_rejected(&messages.id)?;
    bob.take(step)?;

    // The service restarts, and is where it was.
    let stored = service.rows.clone();
    service.observer = Observer::load(&CRYPTO, Config::default(), stored)?;
    assert_eq!(service.observer.context(), alice.group.context());

    // It keeps the last GroupInfo that a member gave it, together with the tree that it has
    // itself, for those who join from outside.
    let small = GroupInfoOptions { ratchet_tree: false, external_pub: true };
    let info = bob.group.group_info(&CRYPTO, small)?;
    let step = service.observer.take_group_info(&CRYPTO, &info)?;
    service.take(step)?;
    let info = service.observer.group_info().ok_or("it was given one")?;
    let tree = tree_bytes(&service.observer)?;
    let stage = ExternalJoinStage::open(&CRYPTO, Config::default(), info, Some(&tree))?;
    let verdicts = directory.judge_all(stage.credentials());
    let signer = directory.register("carol", SUITE)?;
    let options = ExternalJoinOptions::new(leaf("carol"), signer);
    let joined = stage.commit(&CRYPTO, &mut rng(), &verdicts, options)?;
    service.submit(&joined.commit, &directory)?;
    alice.receive(&joined.commit, &directory)?;
    let carol = Member::store("carol", joined.group)?;
    agree(&[&alice, &carol])?;
    println!(
        "carol joined with the service's GroupInfo; it sees {}",
        service.observer.members().count()
    );

    // What it does not see: anything encrypted.
    let message = alice.encrypt("a secret")?;
    assert!(service.observer.process(&CRYPTO, &message).is_err());
    Ok(())
}

fn tree_bytes(observer: &Observer) -> Result<Vec<u8>> {
    Ok(observer.tree().to_extension_bytes()?)
}
