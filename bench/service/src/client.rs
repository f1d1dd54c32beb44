//! One client, as `conclave chat` runs it with lines from a script, with its state on the disk: how long many lines, many
//! messages and many invitations take, beside what the disk or the protocol library alone takes.

use crate::Failure;
use crate::floor;
use crate::people::{now, provider, rng};
use crate::process::Service;
use crate::results::Results;
use conclave_client::{
    Answer, CertificateFiles, CipherError, Engine, FileCipher, FileKey, HYBRID, KeyPolicy, Message,
    News, Options, Screen, Setup, Shown, os_rng, run,
};
use conclave_mls::group::{CommitOptions, Framing, NewProposal};
use conclave_mls::join::WelcomeStage;
use conclave_mls::key_package::{
    Lifetime, OwnKeyPackage, ValidKeyPackage, key_package_from_message,
};
use conclave_mls::{Config, Credential, Group, Identity, Received, Verdict, apply};
use conclave_store::{MemoryStore, SqliteStore, Store};
use core::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(600);

/// How much one client has to do.
pub struct Load {
    /// Lines that are said at once.
    pub lines: usize,
    /// Messages that a member catches up with, those lines among them.
    pub missed: usize,
    /// Users that are invited by one line.
    pub users: usize,
}

pub fn measure(
    results: &mut Results,
    dir: &Path,
    Load { lines, missed, users }: Load,
) -> Result<(), Failure> {
    let folder = dir.join("clients");
    std::fs::create_dir_all(&folder)?;
    let service = Service::start(&dir.join("of-clients"))?;
    let on_disk = |name: &str| -> Result<Person, Failure> {
        let store = SqliteStore::open(folder.join(name))?;
        Person::start(&service.url, name, store, &folder)
    };

    let talker = on_disk("talker")?;
    talker.is_ready()?;
    let other = on_disk("other")?;
    other.is_ready()?;
    talker.write("/new talk")?;
    talker.write("/invite other")?;
    talker.wait(|news| matches!(news, News::Added { .. }))?;
    other.wait(|news| matches!(news, News::Invited { .. }))?;
    other.write("/accept")?;
    other.stop()?;

    let begun = Instant::now();
    talker.say(0..lines)?;
    let took = begun.elapsed();
    let written = floor::write(&dir.join("floor-client.db"), lines)?;
    put(results, format!("client: {lines} lines at once"), took, written);

    talker.say(lines..missed)?;
    let begun = Instant::now();
    let other = on_disk("other")?;
    other.hear(missed)?;
    let took = begun.elapsed();
    other.stop()?;
    put(results, format!("client: catches up {missed} messages"), took, decryption(missed)?);

    invite(results, &service, &talker, &folder, users)?;
    talker.stop()
}

fn put(results: &mut Results, what: String, took: Duration, floor: Duration) {
    let [took, floor] = [took, floor].map(|time| time.as_secs_f64() * 1e3);
    results.beside(what, took, "ms", Some(floor));
}

/// One user invites many, who have registered and gone.
fn invite(
    results: &mut Results,
    service: &Service,
    host: &Person,
    folder: &Path,
    count: usize,
) -> Result<(), Failure> {
    let names: Vec<String> = (0..count).map(|n| format!("guest{n}")).collect();
    for name in &names {
        // What they have is never needed again.
        let guest = Person::start(&service.url, name, MemoryStore::new(), folder)?;
        guest.is_ready()?;
        guest.stop()?;
    }
    host.write("/new crowd")?;
    host.wait(|news| matches!(news, News::Created { .. }))?;

    let begun = Instant::now();
    host.write(&format!("/invite {}", names.join(" ")))?;
    let mut commits = std::collections::BTreeSet::new();
    for _ in 0..count {
        host.wait(|news| match news {
            News::Added { seq, .. } => {
                commits.insert(*seq);
                true
            }
            _ => false,
        })?;
    }
    let took = begun.elapsed();
    put(results, format!("client: invites {count} users"), took, addition(count)?);
    results.put(format!("client: invites {count} users, by"), commits.len() as f64, "commits");
    Ok(())
}

/// Nobody here sends files.
#[derive(Debug)]
struct NoFiles;

impl FileCipher for NoFiles {
    fn seal(&self, _: &FileKey, _: &File) -> Result<(), CipherError> {
        Err(CipherError::Unsupported("no files are measured".into()))
    }

    fn open(&self, key: &FileKey, file: &File) -> Result<(), CipherError> {
        self.seal(key, file)
    }
}

struct Mirror(Sender<Shown>);

impl Screen for Mirror {
    fn show(&mut self, shown: &[Shown]) -> std::io::Result<()> {
        let gone = |_| std::io::Error::other("nobody looks");
        shown.iter().try_for_each(|output| self.0.send(output.clone()).map_err(gone))
    }

    fn help(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn current_group(&mut self, _name: Option<&str>) {}
}

/// A client that is switched on.
struct Person {
    to: Sender<Message>,
    screen: Receiver<Shown>,
    thread: JoinHandle<Result<(), String>>,
}

impl Person {
    fn start<S: Store + Send + 'static>(
        url: &str,
        user: &str,
        store: S,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let engine = Engine::open(Setup {
            device: format!("{user}/main").parse()?,
            cipher_suite: None,
            provider: provider(),
            rng: os_rng(),
            store,
            invitation: None,
            certificates: CertificateFiles::default(),
            keys: KeyPolicy::default(),
            evidence_place: folder.display().to_string(),
        })?;
        let options = Options {
            url: url.to_string(),
            roots: None,
            in_turn: true,
            stay: false,
            linger: Duration::ZERO,
            patience: PATIENCE,
            folder: folder.to_path_buf(),
            cipher: Arc::new(NoFiles),
        };
        let ((to, inbox), (mirror, screen)) = (channel(), channel());
        let sender = to.clone();
        let thread = std::thread::spawn(move || {
            let ended = run(engine, &options, (sender, inbox), &mut Mirror(mirror));
            ended.map(drop).map_err(|e| e.to_string())
        });
        Ok(Self { to, screen, thread })
    }

    fn write(&self, line: &str) -> Result<(), Failure> {
        Ok(self.to.send(Message::Line(line.to_string()))?)
    }

    /// What it shows next. What went wrong ends the run: figures without it would be too good.
    fn next(&self) -> Result<Shown, Failure> {
        match self.screen.recv_timeout(PATIENCE)? {
            output @ (Shown::Refused(_)
            | Shown::Failed { .. }
            | Shown::Alarm { .. }
            | Shown::Answer(Answer::Offline { .. })
            | Shown::News { news: News::Unreadable { .. }, .. }) => {
                Err(format!("{output:?}").into())
            }
            output => Ok(output),
        }
    }

    fn is_ready(&self) -> Result<(), Failure> {
        while !matches!(self.next()?, Shown::Answer(Answer::Ready { .. })) {}
        Ok(())
    }

    fn wait(&self, mut wanted: impl FnMut(&News) -> bool) -> Result<(), Failure> {
        loop {
            if let Shown::News { news, .. } = self.next()?
                && wanted(&news)
            {
                return Ok(());
            }
        }
    }

    fn hear(&self, count: usize) -> Result<(), Failure> {
        let mut heard = 0;
        while heard < count {
            heard += usize::from(matches!(self.next()?, Shown::Said(_)));
        }
        Ok(())
    }

    /// Says a line for each number, and waits until all have come back from the group's log.
    fn say(&self, numbers: std::ops::Range<usize>) -> Result<(), Failure> {
        let count = numbers.len();
        numbers.into_iter().try_for_each(|n| self.write(&line(n)))?;
        self.hear(count)
    }

    /// Switches it off, after all that it has to do.
    fn stop(self) -> Result<(), Failure> {
        self.to.send(Message::End)?;
        Ok(self.thread.join().map_err(|_| "a client broke down")??)
    }
}

/// A line as people write them: 80 characters.
fn line(n: usize) -> String {
    format!("{n:>5} {}", "and so it goes on ".repeat(5).get(..74).unwrap_or_default())
}

fn lifetime() -> Result<Lifetime, Failure> {
    Ok(Lifetime::starting_at(now()?, Duration::from_secs(1_000_000)))
}

fn identity(name: &str) -> Result<Identity, Failure> {
    Ok(Identity::generate(&*provider(), &mut rng(), Credential::basic(name.as_bytes()), HYBRID)?)
}

fn alone() -> Result<Group, Failure> {
    let host = identity("host")?;
    let params = host.group_params(b"bare".as_slice().into(), lifetime()?);
    let new = Group::create(&*provider(), &mut rng(), Config::default(), params, host.signer)?;
    Ok(new.store(|_| Ok::<_, Infallible>(()))?)
}

/// A key package, and the same as others see it, who have checked it.
fn key_package(name: &str) -> Result<(OwnKeyPackage, ValidKeyPackage), Failure> {
    let guest = identity(name)?;
    let params = guest.key_package_params(lifetime()?);
    let own = OwnKeyPackage::generate(&*provider(), &mut rng(), params, guest.signer)?;
    let key_package = key_package_from_message(&own.message()?)?;
    let stage = ValidKeyPackage::check(&*provider(), now()?, &Config::default(), key_package)?;
    Ok((own, stage.resolve(Verdict::Accept)?))
}

/// A commit that adds these, and its merge; nothing is stored.
fn add(group: &mut Group, guests: Vec<ValidKeyPackage>) -> Result<Vec<Vec<u8>>, Failure> {
    let (provider, now) = (provider(), now()?);
    let proposals = guests.into_iter().map(|guest| NewProposal::Add(Box::new(guest))).collect();
    let options = CommitOptions { proposals, ..CommitOptions::default() };
    let step = group.commit(&*provider, &mut rng(), now, options)?;
    let sent = apply(group, step, |_| Ok::<_, Infallible>(()))?;
    let step = group.commit_accepted(&*provider, now, &sent.id)?;
    apply(group, step, |_| Ok::<_, Infallible>(()))?;
    Ok(sent.welcomes.into_iter().map(|welcome| welcome.message).collect())
}

/// How long the library takes to add so many by one commit.
fn addition(count: usize) -> Result<Duration, Failure> {
    let guests = (0..count).map(|n| Ok(key_package(&format!("guest{n}"))?.1));
    let guests = guests.collect::<Result<Vec<_>, Failure>>()?;
    let mut group = alone()?;
    let begun = Instant::now();
    add(&mut group, guests)?;
    Ok(begun.elapsed())
}

/// How long the library takes to decrypt so many messages.
fn decryption(count: usize) -> Result<Duration, Failure> {
    let (provider, now) = (provider(), now()?);
    let mut sender = alone()?;
    let (own, guest) = key_package("guest")?;
    let welcomes = add(&mut sender, vec![guest])?;
    let welcome = welcomes.first().ok_or("no Welcome")?;
    let stage = WelcomeStage::open(&*provider, Config::default(), welcome, &own)?;
    let stage = stage.join(&*provider, &[], None, None)?;
    let verdicts: Vec<Verdict> = stage.credentials().iter().map(|_| Verdict::Accept).collect();
    let mut receiver = stage.resolve(&verdicts)?.store(|_| Ok::<_, Infallible>(()))?;

    let mut messages = Vec::new();
    for n in 0..count {
        let said = line(n);
        let step = sender.encrypt(&*provider, &mut rng(), said.as_bytes(), &Framing::default())?;
        messages.push(apply(&mut sender, step, |_| Ok::<_, Infallible>(()))?);
    }
    let begun = Instant::now();
    for message in &messages {
        match receiver.process(&*provider, now, message) {
            Ok(Received::Application(step)) => {
                apply(&mut receiver, step, |_| Ok::<_, Infallible>(()))?;
            }
            Ok(_) => return Err("no application message".into()),
            Err(refused) => return Err(refused.error.into()),
        }
    }
    Ok(begun.elapsed())
}
