//! What one member can do to another's ratchets.
//!
//! Every member can derive every ratchet of an epoch (RFC 9420 section 9), so Mallory can seal anything
//! with Alice's keys. Only the signature shows that it is not hers, and a receiver verifies that after it
//! has opened the message. What the receiver has done to Alice's ratchet by then decides which of her
//! messages it can still read. Mallory runs Conclave; Alice and Bob run the stack under test.

use crate::conclave::{self, Conclave};
use crate::member::{Change, How, Member, Received, Result};
use crate::stack::Stack;
use crate::suite::Suite;
use conclave_mls::group::{LeafIndex, Sender};
use conclave_mls::wire::{
    Content, ContentType, FramedContent, PrivateMessageContent, WireFormat, Writer,
};
use conclave_testkit::SeededRng;
use conclave_testkit::forge::Insider;

/// How many messages Alice sends after the attack.
const MESSAGES: usize = 100;
/// How many forged messages are sent to measure how much a receiver stores for them.
const STORED: u32 = 20;

/// A message that Mallory seals with Alice's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// Bytes that are not a valid content.
    Garbage,
    /// Content that Mallory has signed.
    WrongSignature,
}

/// How much a stack lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Losses {
    /// How many of Alice's messages Bob cannot read after two forgeries, each as far ahead in her ratchet
    /// as Bob follows.
    pub far: usize,
    /// Whether Bob follows Alice's encrypted commit after two such forgeries in the handshake ratchet.
    pub follows_far: bool,
    /// As `far`, after one forgery with the key of her next message.
    pub next: usize,
    /// As `follows_far`, after one forgery with the key of her next handshake message.
    pub follows_next: bool,
    /// As `far`, but with the two forgeries sent to Alice alone.
    pub own: usize,
    /// By how many bytes Bob's stored group has grown after [`STORED`] forgeries.
    pub grown: usize,
}

/// How far ahead in a ratchet a stack follows, by default.
fn reach(stack: Stack) -> Result<u32> {
    match stack {
        // SenderRatchetConfiguration::default.
        Stack::OpenMls => Ok(1000),
        // MAX_RATCHET_BACK_HISTORY.
        Stack::MlsRs => Ok(1024),
        other => Err(format!("not tried: {other}").into()),
    }
}

/// Prints what the other stacks lose.
pub fn print(stacks: &[Stack], suite: Suite) -> Result<()> {
    for &stack in stacks.iter().filter(|stack| stack.has(suite) && reach(**stack).is_ok()) {
        for forgery in [Forgery::Garbage, Forgery::WrongSignature] {
            let lost = losses(stack, suite, forgery)?;
            let follows = |yes| if yes { "followed" } else { "not followed" };
            println!("{stack} {}, suite {suite}, {forgery:?}:", stack.version());
            println!("  two far ahead: {} of {MESSAGES} messages lost", lost.far);
            println!("  two far ahead: the encrypted commit is {}", follows(lost.follows_far));
            println!("  one with the next key: {} of {MESSAGES} messages lost", lost.next);
            println!(
                "  one with the next key: the encrypted commit is {}",
                follows(lost.follows_next)
            );
            println!("  two to the victim alone: {} of {MESSAGES} messages lost", lost.own);
            println!("  {STORED} far ahead: the stored group grows by {} bytes", lost.grown);
        }
    }

    Ok(())
}

/// Runs the attacks on a stack.
pub fn losses(stack: Stack, suite: Suite, forgery: Forgery) -> Result<Losses> {
    use ContentType as Kind;
    let reach = reach(stack)?;
    let far = [reach, 2 * reach + 1];
    let scene = || Scene::new(stack, suite, forgery);

    let mut applications = scene()?;
    applications.attack(Victim::Bob, Kind::Application, &far)?;
    let mut handshakes = scene()?;
    handshakes.attack(Victim::Bob, Kind::Commit, &far)?;
    let mut next = scene()?;
    next.attack(Victim::Bob, Kind::Application, &[0])?;
    let mut next_commit = scene()?;
    next_commit.attack(Victim::Bob, Kind::Commit, &[0])?;
    let mut own = scene()?;
    own.attack(Victim::Alice, Kind::Application, &far)?;

    Ok(Losses {
        far: applications.lost()?,
        follows_far: handshakes.follows()?,
        next: next.lost()?,
        follows_next: next_commit.follows()?,
        own: own.lost()?,
        grown: scene()?.grown(reach)?,
    })
}

/// The receiver of Mallory's messages.
#[derive(Clone, Copy)]
enum Victim {
    Alice,
    Bob,
}

/// A group of three.
struct Scene {
    alice: Box<dyn Member>,
    bob: Box<dyn Member>,
    mallory: Conclave,
    insider: Insider,
    /// Alice's leaf.
    leaf: LeafIndex,
    forgery: Forgery,
}

impl Scene {
    fn new(stack: Stack, suite: Suite, forgery: Forgery) -> Result<Self> {
        let mut alice = stack.client("alice", suite)?;
        let mut bob = stack.client("bob", suite)?;
        let mut mallory = conclave::new("mallory", suite)?;
        mallory.create(b"ratchets", &[])?;
        let adds = [Change::Add(alice.key_package()?), Change::Add(bob.key_package()?)];
        let how = How { private: false, path: false, tree: true };
        let made = mallory.commit(&adds, how)?;
        mallory.accept()?;
        let welcome = made.welcome.ok_or("no Welcome")?;
        alice.join(&welcome, None)?;
        bob.join(&welcome, None)?;

        let roster = mallory.view(b"")?.roster;
        let place = roster.iter().find(|(_, name)| name == b"alice").ok_or("Alice is not there")?;
        let leaf = LeafIndex(place.0);
        let insider = mallory.insider()?;
        Ok(Self { alice, bob, mallory, insider, leaf, forgery })
    }

    /// A message from Mallory, sealed with one of Alice's keys.
    fn forged(&self, kind: ContentType, generation: u32) -> Result<Vec<u8>> {
        let content = match kind {
            ContentType::Application => Content::Application(b"from alice".as_slice().into()),
            _ => Insider::commit(Vec::new(), None),
        };

        let provider = self.mallory.provider();
        let sender = Sender::Member(self.leaf);
        let header = FramedContent { sender, ..self.insider.framed(content) };

        let plaintext = match self.forgery {
            Forgery::Garbage => b"made up".to_vec(),
            Forgery::WrongSignature => {
                let format = WireFormat::PRIVATE_MESSAGE;
                let signed = self.insider.sign(provider, format, header.clone());
                let mut w = Writer::new();
                PrivateMessageContent { content: signed.content.content, auth: signed.auth }
                    .encode_padded(0, &mut w)?;
                w.finish()
            }
        };

        let rng = &mut SeededRng::from_u64(generation.into());
        let sealed = self.insider.sealed(provider, rng, &header, &plaintext, generation);
        sealed.ok_or_else(|| "Mallory cannot derive that key".into())
    }

    /// Sends forgeries, which must be refused.
    fn attack(&mut self, victim: Victim, kind: ContentType, generations: &[u32]) -> Result<()> {
        for &generation in generations {
            let message = self.forged(kind, generation)?;
            let receiver = match victim {
                Victim::Alice => &mut self.alice,
                Victim::Bob => &mut self.bob,
            };
            if receiver.receive(&message).is_ok() {
                return Err("a forgery was accepted".into());
            }
        }
        Ok(())
    }

    /// How many of Alice's messages Bob cannot read.
    fn lost(&mut self) -> Result<usize> {
        let mut lost = 0;
        for _ in 0..MESSAGES {
            let message = self.alice.send(b"is anybody there?", b"")?;
            let read = self.bob.receive(&message);
            lost += usize::from(!matches!(read, Ok(Received::Data { .. })));
        }
        Ok(lost)
    }

    /// Whether Bob follows an encrypted commit by Alice.
    fn follows(&mut self) -> Result<bool> {
        let made = self.alice.commit(&[], How { private: true, path: true, tree: true })?;
        Ok(matches!(self.bob.receive(&made.commit), Ok(Received::Epoch)))
    }

    /// By how much Bob's stored group grows after forgeries that are as far apart as possible. Messages from
    /// Mallory, before and after, make Bob write it.
    fn grown(&mut self, reach: u32) -> Result<usize> {
        let greet = |scene: &mut Self| -> Result<usize> {
            let message = scene.mallory.send(b"hello", b"")?;
            scene.bob.receive(&message)?;
            scene.bob.stored_bytes()
        };
        let before = greet(self)?;
        let generations: Vec<u32> = (1..=STORED).map(|n| n * (reach + 1) - 1).collect();
        self.attack(Victim::Bob, ContentType::Application, &generations)?;
        Ok(greet(self)?.saturating_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds what `docs/pitfalls.md` says: a stack that does better, or worse, fails here.
    #[test]
    fn the_other_stacks_lose_what_the_page_says() {
        for forgery in [Forgery::Garbage, Forgery::WrongSignature] {
            let openmls = losses(Stack::OpenMls, Suite::Rfc(1), forgery).unwrap();
            assert!(openmls.grown < 1000, "{openmls:?}");
            let nothing = Losses {
                far: 0,
                follows_far: true,
                next: 0,
                follows_next: true,
                own: 0,
                grown: openmls.grown,
            };
            assert_eq!(openmls, nothing, "{forgery:?}");

            let mls_rs = losses(Stack::MlsRs, Suite::Rfc(1), forgery).unwrap();
            assert!(mls_rs.grown > 600_000, "{mls_rs:?}");
            let next = Losses { next: 1, follows_next: false, grown: mls_rs.grown, ..nothing };
            assert_eq!(mls_rs, next, "{forgery:?}");
        }
    }
}
