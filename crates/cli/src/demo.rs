//! `conclave demo`: the story of a group, told while it happens. What is told is checked: the
//! command fails if anything is not as it says.

mod people;
mod print;

use crate::failure::Failure;
use conclave_client::{Answer, News, Shown, is_post_quantum};
use conclave_delivery::http::Config;
use conclave_delivery::storage::{SqliteStorage, Storage};
use conclave_delivery::{Observed, Server, serve};
use conclave_delivery_api::GroupId;
use conclave_mls::{CipherSuite, Config as GroupConfig, Group, Received, UnixTime, apply};
use conclave_store::{SqliteStore, Store};
use people::{Device, state_file};
use print::{step, tell};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What is said, and must not be found at the service.
const FRIDAY: &str = "What shall we cook on Friday?";
const TIRAMISU: &str = "Tiramisu. And I bring my sister.";
const SHOPPING: [&str; 3] =
    ["Who buys mascarpone?", "I do.", "Bob is on a train, he reads this later."];
const PHONE: &str = "Now I also write from my phone.";
const SECRET: &str = "The party is a surprise for Carol: not a word to her.";

fn check(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(format!("the demonstration is not true: {what}").into()) }
}

/// A folder that is deleted in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let name = format!("conclave-demo-{}-{now}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        crate::folders::make_private(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The service, and what it saw since the last look.
struct Service {
    server: Server,
    seen: Arc<Mutex<Vec<Observed>>>,
}

impl Service {
    fn start(folder: &Path) -> Result<Self, Failure> {
        let seen: Arc<Mutex<Vec<Observed>>> = Arc::default();
        let mut config = Config::new(crate::provider::provider());
        config.addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let to = seen.clone();
        config.on_request = Some(Arc::new(move |observed| {
            to.lock().unwrap_or_else(PoisonError::into_inner).push(observed.clone());
        }));
        Ok(Self { server: serve(config, SqliteStorage::open(folder)?)?, seen })
    }

    /// Tells what it saw: what clients send in full, what they fetch in sum.
    fn tell_seen(&self) -> Result<(), Failure> {
        let seen = core::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let mut others = 0;
        for observed in seen {
            match observed.operation {
                "submit-account"
                | "publish-key-packages"
                | "create-group"
                | "claim-key-packages"
                | "submit-commit"
                | "submit-proposal"
                | "send-message"
                | "send-messages" => {
                    print::line(&format!("{:>14} | {}", "service sees", observed.summary))?;
                }
                _ => others += 1,
            }
        }
        if others > 0 {
            let what = format!("(and {others} requests that look for news)");
            print::line(&format!("{:>14} | {what}", "service sees"))?;
        }
        Ok(())
    }
}

/// The code of the epoch that a device shows, and how many members.
fn epoch_code(device: &mut Device) -> Result<String, Failure> {
    device.loud = false;
    device.write("/members")?;
    let code = device.wait("the members", |output| match output {
        Shown::Epoch { code, .. } => Some(code.clone()),
        _ => None,
    })?;
    device.loud = true;
    Ok(code)
}

fn created(output: &Shown) -> Option<Option<CipherSuite>> {
    match output {
        Shown::News { news: News::Created { suite }, .. } => Some(*suite),
        _ => None,
    }
}

/// Waits until a device is asked about an invitation, and takes it.
fn accept(device: &Device) -> Result<(), Failure> {
    device.wait("the invitation", |output| {
        matches!(output, Shown::News { news: News::Invited { .. }, .. }).then_some(())
    })?;
    device.write("/accept")
}

/// The code that a new device of a known user shows.
fn link_code(device: &Device) -> Result<String, Failure> {
    device.wait("the code", |output| match output {
        Shown::Answer(Answer::Link { code, .. }) => Some(code.clone()),
        _ => None,
    })
}

fn out_of_it(output: &Shown) -> Option<()> {
    matches!(output, Shown::News { news: News::Removed { .. }, .. }).then_some(())
}

fn ready(device: &Device) -> Result<(), Failure> {
    device.wait("the service", |output| {
        matches!(output, Shown::Answer(Answer::Ready { .. })).then_some(())
    })
}

fn added(output: &Shown, who: &str) -> Option<()> {
    match output {
        Shown::News { news: News::Added { who: added, .. }, .. } => {
            (added.to_string() == who).then_some(())
        }
        _ => None,
    }
}

pub(crate) fn run() -> Result<(), Failure> {
    let folder = Folder::new()?;
    let result = story(&folder.0);
    if result.is_ok() {
        next_steps()?;
    }
    result
}

fn story(folder: &Path) -> Result<(), Failure> {
    tell(
        "Conclave, demonstrated: a delivery service and three people, one of them with two \
         devices, all in this process and over real connections. Left of > is who writes, left of \
         | whose screen you see; beside them, what the service could see of it.",
    )?;
    let files = folder.join("service");
    let service = Service::start(&files)?;
    let url = service.server.url();
    let start = |id: &str| Device::start(id, &url, folder);

    step(1, "Everybody creates an account, and publishes key packages")?;
    let mut alice = start("alice/laptop")?;
    let mut bob = start("bob/phone")?;
    let mut carol = start("carol/laptop")?;
    for device in [&alice, &bob, &carol] {
        ready(device)?;
    }
    tell(
        "A key package lets others invite somebody who is offline. Each is used once. A device has \
         eleven of a post-quantum suite, and eleven of one of today for groups with devices that \
         have no other.",
    )?;
    service.tell_seen()?;

    step(2, "Alice makes a group and invites Bob and Carol")?;
    alice.write("/new dinner")?;
    let suite = alice.wait("the group", created)?;
    check(suite.is_some_and(is_post_quantum), "the group is post-quantum")?;
    alice.write("/invite bob carol")?;
    alice.wait("carol", |output| added(output, "carol/laptop"))?;
    accept(&bob)?;
    (bob.loud, carol.loud) = (false, false);
    bob.loud = true;
    accept(&carol)?;
    service.tell_seen()?;
    tell(
        "The service checks these commits, so it sees who is in. The group's name and the \
         invitations are encrypted.",
    )?;
    tell(
        "Post-quantum: who records all of this now, and has a quantum computer in twenty years, \
         must break ML-KEM and X25519 both to read it.",
    )?;

    step(3, "They make sure that nobody stands between them")?;
    let (alices, bobs) = (epoch_code(&mut alice)?, epoch_code(&mut bob)?);
    for (device, code) in [(&alice, &alices), (&bob, &bobs)] {
        print::line(&format!("{:>14} | /members shows the code {code}", device.id.to_string()))?;
    }
    check(alices == bobs, "Alice and Bob see the same code")?;
    tell("Equal: they read it to each other on the telephone. The service cannot know it.")?;

    step(4, "They talk")?;
    alice.write(FRIDAY)?;
    bob.hears(FRIDAY)?;
    bob.write(TIRAMISU)?;
    alice.hears(TIRAMISU)?;
    carol.hears(TIRAMISU)?;
    service.tell_seen()?;

    step(5, "Bob is offline while the others talk")?;
    bob.stop()?;
    let [question, answer, later] = SHOPPING;
    alice.write(question)?;
    carol.hears(question)?;
    carol.loud = true;
    carol.write(answer)?;
    carol.loud = false;
    alice.hears(answer)?;
    alice.write(later)?;
    alice.hears(later)?;
    tell("Bob switches his phone on again:")?;
    let bob = start("bob/phone")?;
    let heard = [bob.hears(question)?, bob.hears(answer)?, bob.hears(later)?];
    check(heard.is_sorted(), "Bob hears it in order")?;
    service.tell_seen()?;

    step(6, "Mallory wants to be Alice, and cannot; Alice links her phone")?;
    let mallory = start("alice/tablet")?;
    link_code(&mallory)?;
    mallory.quit()?;
    tell(
        "Mallory has started a device in Alice's name. It waits until one of Alice's own devices signs for \
         it, which none will. The service cannot sign for it either.",
    )?;
    let phone = start("alice/phone")?;
    let code = link_code(&phone)?;
    tell("Alice's phone shows a code, which she types on her laptop:")?;
    alice.write(&format!("/link {code}"))?;
    phone.wait("the group", |output| {
        matches!(output, Shown::News { news: News::Joined { .. }, .. }).then_some(())
    })?;
    bob.wait("the phone", |output| added(output, "alice/phone"))?;
    phone.write(PHONE)?;
    bob.hears(PHONE)?;
    alice.hears(PHONE)?;
    tell(
        "A device of its own, with keys of its own: it reads what comes, not what was before. The laptop \
         has signed for it and brought it into the group; everybody sees by whom it was added.",
    )?;
    service.tell_seen()?;

    step(7, "Carol is removed; the others keep a secret from her")?;
    // A backup of what her device holds now; and one of Bob's, after he knows that she is out.
    carol.stop()?;
    let carols_backup = folder.join("carols-backup.sqlite");
    std::fs::copy(state_file(folder, "carol/laptop"), &carols_backup)?;
    alice.write("/remove carol")?;
    alice.wait("the removal", out_of_it)?;
    bob.wait("the removal", out_of_it)?;
    bob.stop()?;
    let bobs_backup = folder.join("bobs-backup.sqlite");
    std::fs::copy(state_file(folder, "bob/phone"), &bobs_backup)?;
    alice.write(SECRET)?;
    alice.hears(SECRET)?;
    let bob = start("bob/phone")?;
    let number = bob.hears(SECRET)?;
    let carol = start("carol/laptop")?;
    carol.wait("her removal", |output| {
        matches!(output, Shown::News { news: News::Out { .. }, .. }).then_some(())
    })?;
    service.tell_seen()?;
    tell("The service gives her nothing that came after. Need she trust in that?")?;
    for device in [alice, bob, carol, phone] {
        device.stop()?;
    }

    step(8, "Somebody takes over the service, with Carol's help")?;
    service.server.shutdown();
    takeover(&files, number, &carols_backup, &bobs_backup)
}

/// What can be had from the service's files: no text; and not with a former member's keys either.
fn takeover(files: &Path, number: u64, carols: &Path, bobs: &Path) -> Result<(), Failure> {
    let all = read_all(files)?;
    check(contains(&all, b"alice/laptop"), "who is in the group can be found at the service")?;
    let [one, two, three] = SHOPPING;
    for said in [FRIDAY, TIRAMISU, one, two, three, PHONE, SECRET, "dinner"] {
        check(!contains(&all, said.as_bytes()), "nothing that was said is in its files")?;
    }
    tell(&format!(
        "Its files, {} kB: the names of devices are in there; nothing that was said, nor what the \
         group is called.",
        all.len() / 1024
    ))?;
    let storage = SqliteStorage::open(files)?;
    let bob = "bob/phone".parse()?;
    let groups = storage.groups_of(&bob)?;
    let (group, end) = groups.first().ok_or("the service has lost the group")?;
    let log = storage.log(group, number.saturating_sub(1), end.seq, 1, usize::MAX)?;
    let entry = log.first().ok_or("the service has lost the message")?;
    let bytes = entry.message.len();
    tell(&format!("Message {number} of the log, {bytes} bytes, is the one about the surprise."))?;
    let carols = open_with(carols, group, &entry.message)?;
    let reason = carols.err().ok_or("the demonstration is not true: Carol could read it")?;
    tell(&format!(
        "With the keys that Carol had when she was removed, it does not open: \"{reason}\". The \
         keys of that epoch were encrypted to all members but her."
    ))?;
    let bobs = open_with(bobs, group, &entry.message)??;
    check(contains(&bobs, SECRET.as_bytes()), "Bob can read it")?;
    tell("With the keys that Bob had at that time it opens. His device has deleted them since.")
}

fn read_all(folder: &Path) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        all.extend(std::fs::read(entry?.path())?);
    }
    Ok(all)
}

fn contains(all: &[u8], wanted: &[u8]) -> bool {
    all.windows(wanted.len()).any(|window| window == wanted)
}

/// Opens a message with a backup of a device's state.
fn open_with(
    backup: &Path,
    group: &GroupId,
    message: &[u8],
) -> Result<Result<Vec<u8>, Failure>, Failure> {
    let provider = crate::provider::provider();
    let now = UnixTime::try_from(SystemTime::now())?;
    let rows = SqliteStore::open(backup)?.load(group)?;
    // What a room allows is no question here.
    let config = GroupConfig { adopt_policy: true, ..GroupConfig::default() };
    let mut state = Group::load(&*provider, config, rows)?;
    let step = match state.process(&*provider, now, message) {
        Ok(Received::Application(step)) => step,
        Ok(_) => return Ok(Err("it is no message".into())),
        Err(refused) => return Ok(Err(refused.to_string().into())),
    };
    let message = apply(&mut state, step, |_| Ok::<_, core::convert::Infallible>(()))?;
    Ok(Ok(message.data))
}

fn next_steps() -> Result<(), Failure> {
    tell("")?;
    tell("All of this was checked while it was told. What you can try next, in three terminals:")?;
    tell("")?;
    for command in [
        "  conclave serve",
        "  conclave chat bob",
        "  conclave chat alice          then: /new dinner, /invite bob, and talk",
        "",
        "  conclave chat alice --device phone         another device, which shows a code",
        "  echo 'Is anybody there?' | conclave chat alice       for scripts",
        "  conclave serve --log-level debug --log-names         what the service sees",
    ] {
        print::plain(command)?;
    }
    Ok(())
}
