//! An application that is no messenger: a list that two people share, over a real service in this process.
//!
//! Each device keeps the list by itself: the engine gives all members the same messages in the same order, so the
//! same list comes out. `host` is the loop around the engine; what is left here is the application.

mod host;

use conclave_delivery::http::{Config, serve};
use conclave_delivery::http_client::Client;
use conclave_delivery::storage::SqliteStorage;
use conclave_engine::{
    Answer, CertificateFiles, Command, Content, Engine, GroupId, News, Output, SUITES, Setup, Who,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::MemoryStore;
use host::{Service, now, turn};
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Arc, mpsc::channel};
use std::time::{Duration, Instant};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The media type of this application's messages: `+` or `-`, and what is put on the list or taken off.
const CHANGE: &str = "application/vnd.example.list-change";
const PATIENCE: Duration = Duration::from_secs(60);

/// A device with the list, which is that of one group.
struct Device {
    engine: Engine<MemoryStore>,
    service: Service,
    group: Option<GroupId>,
    items: BTreeSet<String>,
    ready: bool,
}

impl Device {
    fn start(id: &str, url: &str, provider: Arc<RustCrypto>) -> Result<Self> {
        let engine = Engine::open(Setup {
            device: id.parse()?,
            cipher_suite: None,
            provider,
            rng: Box::new(rand_core::UnwrapErr(getrandom::SysRng)),
            store: MemoryStore::default(),
            invitation: None,
            certificates: CertificateFiles::default(),
            keys: Default::default(),
            evidence_place: String::new(),
        })?;
        let service = Service { client: Client::new(url), pushed: channel() };
        Ok(Self { engine, service, group: None, items: BTreeSet::new(), ready: false })
    }

    fn share_with(&mut self, user: &str) -> Result {
        let make = Command::New { name: "shopping".into(), suite: None };
        let group = self.engine.command(now(), make)?.ok_or("no group is made")?;
        self.group = Some(group.clone());
        let who = vec![Who { user: user.parse()?, device: None }];
        self.engine.command(now(), Command::Invite { group, who })?;
        Ok(())
    }

    fn change(&mut self, sign: char, item: &str) -> Result {
        let content = Content::new(CHANGE, format!("{sign}{item}"))?;
        let group = self.group.as_ref().ok_or("there is no list")?;
        Ok(self.engine.send(now(), group, vec![content])?)
    }

    /// Takes what the engine says.
    fn take(&mut self, output: Output) -> Result {
        match output {
            Output::Answer(Answer::Ready { .. }) => self.ready = true,
            Output::Answer(Answer::Failed { reason, .. }) => return Err(reason.to_string().into()),
            // A real application asks its user.
            Output::News { group: Some(group), news: News::Invited { .. }, .. } => {
                self.engine.command(now(), Command::Accept(group.clone()))?;
                self.group = Some(group);
            }
            Output::News { news: News::Message { content, .. }, .. }
                if content.media_type() == CHANGE =>
            {
                // The other one's application may have made up anything.
                let text = std::str::from_utf8(content.bytes()).unwrap_or_default();
                match text.split_at_checked(1) {
                    Some(("+", item)) => self.items.extend([item.to_string()]),
                    Some(("-", item)) => self.items.retain(|other| other != item),
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Lets devices run until something holds of all.
fn until(devices: &mut [&mut Device], what: &str, holds: impl Fn(&Device) -> bool) -> Result {
    let end = Instant::now() + PATIENCE;
    while !devices.iter().all(|device| holds(device)) {
        if Instant::now() > end {
            return Err(format!("in vain: {what}").into());
        }
        for device in devices.iter_mut() {
            for output in turn(&mut device.engine, &mut device.service)? {
                device.take(output)?;
            }
        }
    }
    Ok(())
}

fn main() -> Result {
    let folder = tempfile::tempdir()?;
    let provider = Arc::new(RustCrypto::new().with_suites(SUITES));
    let config = Config { addr: ([127, 0, 0, 1], 0).into(), ..Config::new(provider.clone()) };
    let server = serve(config, SqliteStorage::open(folder.path())?)?;

    let mut alice = Device::start("alice/phone", &server.url(), provider.clone())?;
    let mut bob = Device::start("bob/laptop", &server.url(), provider)?;
    until(&mut [&mut alice, &mut bob], "both can be invited", |device| device.ready)?;

    alice.share_with("bob")?;
    alice.change('+', "milk")?;
    alice.change('+', "coffee")?;
    let listed = |items: &[&str]| {
        let items: BTreeSet<String> = items.iter().map(ToString::to_string).collect();
        move |device: &Device| device.items == items
    };
    let both = &mut [&mut alice, &mut bob];
    until(both, "bob sees alice's list", listed(&["coffee", "milk"]))?;

    bob.change('-', "milk")?;
    bob.change('+', "bread")?;
    until(&mut [&mut alice, &mut bob], "alice sees bob's", listed(&["bread", "coffee"]))?;
    assert_eq!(alice.items, bob.items);
    Ok(())
}
