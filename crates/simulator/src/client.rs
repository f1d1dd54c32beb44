//! The engine as the simulator uses it: what users ask for, what devices say, and what is seen of groups.

use crate::disk::Disk;
use crate::sealing::Provider;
use conclave_crypto::testing::TestRng;
use conclave_delivery_api::{DeviceId, JoinLink, Name};
use conclave_engine::{
    Answer, CLASSIC, CertificateFiles, Command, CommandError, Content, Engine, EngineError,
    GroupId, KeyPolicy, News, Output, Phase, Reason, Setup, Who,
};
use std::sync::Arc;

/// What a user asks a device for.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Make { name: String },
    Invite { group: GroupId, users: Vec<Name> },
    Remove { group: GroupId, who: Who },
    Leave { group: GroupId },
    Say { group: GroupId, texts: Vec<String> },
    MakeLink { group: GroupId, uses: u32 },
    Join { link: String },
    Accept { group: GroupId },
    Admit { code: String },
    Revoke { device: Name },
}

/// What came of asking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// The group that was made.
    pub(crate) made: Option<GroupId>,
    /// How many texts were taken to be sent.
    pub(crate) taken: usize,
    /// Why it was refused.
    pub(crate) refused: Option<String>,
}

impl Ask {
    /// What it is, in a word, the group and the rest.
    pub(crate) fn told(&self) -> (&'static str, Option<&GroupId>, String) {
        match self {
            Self::Make { name } => ("make", None, name.clone()),
            Self::Invite { group, users } => {
                let users: Vec<&str> = users.iter().map(Name::as_str).collect();
                ("invite", Some(group), users.join(" "))
            }
            Self::Remove { group, who } => ("remove", Some(group), who.to_string()),
            Self::Leave { group } => ("leave", Some(group), String::new()),
            Self::Say { group, texts } => ("say", Some(group), texts.join(" ")),
            Self::MakeLink { group, uses } => ("make link", Some(group), format!("for {uses}")),
            Self::Join { .. } => ("join", None, String::new()),
            Self::Accept { group } => ("accept", Some(group), String::new()),
            Self::Admit { .. } => ("admit", None, String::new()),
            Self::Revoke { device } => ("revoke", None, device.to_string()),
        }
    }
}

/// What a device says.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// An event, with its number and its group.
    Event(u64, Option<GroupId>, News),
    /// It can be invited.
    Ready,
    /// The code by which another device of the user's admits it.
    Code(String),
    /// Something has gone wrong.
    Error(String),
    /// A group cannot be followed any further, and why.
    Stuck(GroupId, Reason),
    /// Anything else.
    Other,
}

/// A group as one device sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) group: GroupId,
    /// The epoch and its code.
    pub(crate) epoch: (u64, String),
    pub(crate) members: Vec<DeviceId>,
    /// Why the group cannot be followed any further.
    pub(crate) stuck: Option<String>,
}

/// Opens a device's engine from its disk.
pub(crate) fn open(
    device: &DeviceId,
    provider: Arc<Provider>,
    rng: TestRng,
    disk: &Disk,
) -> Result<Engine<Disk>, EngineError> {
    Engine::open(Setup {
        device: device.clone(),
        cipher_suite: Some(CLASSIC),
        provider,
        rng: Box::new(rng),
        store: disk.clone(),
        invitation: None,
        certificates: CertificateFiles::default(),
        keys: KeyPolicy::default(),
        evidence_place: String::new(),
    })
}

/// Asks for something.
pub(crate) fn ask(engine: &mut Engine<Disk>, now: u64, ask: Ask) -> Result<Asked, EngineError> {
    match try_ask(engine, now, ask) {
        Ok(asked) => Ok(asked),
        Err(CommandError::Refused(reason)) => {
            Ok(Asked { refused: Some(reason.to_string()), ..Asked::default() })
        }
        Err(CommandError::Engine(error)) => Err(error),
    }
}

fn try_ask(engine: &mut Engine<Disk>, now: u64, ask: Ask) -> Result<Asked, CommandError> {
    let command = match ask {
        Ask::Make { name } => Command::New { name, suite: None },
        Ask::Invite { group, users } => {
            let all = |user| Who { user, device: None };
            Command::Invite { group, who: users.into_iter().map(all).collect() }
        }
        Ask::Remove { group, who } => Command::Remove { group, who: vec![who] },
        Ask::Leave { group } => Command::Leave(group),
        Ask::Say { group, texts } => {
            let before = engine.waiting();
            engine.send(now, &group, texts.into_iter().map(Content::from_text).collect())?;
            let taken = engine.waiting().saturating_sub(before);
            return Ok(Asked { taken, ..Asked::default() });
        }
        Ask::MakeLink { group, uses } => {
            Command::InviteLink { group, max_uses: uses, lifetime: 24 * 60 * 60 }
        }
        Ask::Join { link } => match link.parse::<JoinLink>() {
            Ok(link) => Command::Join(link),
            Err(_) => return Ok(Asked::default()),
        },
        Ask::Accept { group } => Command::Accept(group),
        Ask::Admit { code } => match code.parse() {
            Ok(code) => Command::Link(code),
            Err(_) => return Ok(Asked::default()),
        },
        Ask::Revoke { device } => Command::Revoke(device),
    };
    let made = engine.command(now, command)?;
    Ok(Asked { made, ..Asked::default() })
}

/// What an output says.
pub(crate) fn told(output: Output) -> Told {
    match output {
        Output::News { key, group, news } => Told::Event(key, group, news),
        Output::Answer(Answer::Ready { .. }) => Told::Ready,
        Output::Answer(Answer::Link { code, .. }) => Told::Code(code),
        Output::Answer(Answer::Failed { reason, .. }) => Told::Error(reason.to_string()),
        Output::Answer(Answer::Stuck { group, reason }) => Told::Stuck(group, reason),
        Output::Answer(_) => Told::Other,
    }
}

/// All groups that a device is in, as it sees them.
pub(crate) fn views(engine: &Engine<Disk>) -> Result<Vec<View>, EngineError> {
    let mut views = Vec::new();
    for group in engine.groups() {
        let stuck = match group.phase {
            Phase::Stuck { reason } => Some(reason.to_string()),
            _ => None,
        };
        if let Some(roster) = engine.roster(&group.id)? {
            let members = roster.members.into_iter().map(|member| member.device).collect();
            views.push(View {
                group: group.id,
                epoch: (roster.epoch, roster.code),
                members,
                stuck,
            });
        }
    }
    Ok(views)
}

/// What an event is, in a word; its number in the log; the rest.
pub(crate) fn news_told(news: &News) -> (&'static str, Option<u64>, String) {
    match news {
        News::Message { seq, sender, content, .. } => {
            let text = content.text().unwrap_or_default();
            ("message", Some(*seq), format!("{sender}: {text}"))
        }
        News::Created { .. } => ("created", None, String::new()),
        News::Joined { seq, by, .. } => ("joined", Some(*seq), format!("by {by}")),
        News::Added { seq, who, by, .. } => ("added", Some(*seq), format!("{who} by {by}")),
        News::JoinedByLink { seq, maker, .. } => ("joined", Some(*seq), format!("link of {maker}")),
        News::AddedByLink { seq, who, .. } => ("added", Some(*seq), format!("{who} by link")),
        News::LinkMade { max_uses, .. } => ("link made", None, format!("for {max_uses}")),
        News::Invited { seq, by, .. } => ("invited", Some(*seq), format!("by {by}")),
        News::Removed { seq, who, by } => ("removed", Some(*seq), format!("{who} by {by}")),
        News::Room { seq, by, change } => ("room", Some(*seq), format!("{change:?} by {by}")),
        News::Leaving { seq, who } => ("leaving", Some(*seq), who.to_string()),
        News::Out { seq, by, .. } => ("out", Some(*seq), format!("by {by}")),
        News::Ended { .. } => ("ended", None, String::new()),
        News::Replaces { .. } => ("replaces", None, String::new()),
        News::Unreadable { seq, sender, reason } => {
            ("unreadable", Some(*seq), format!("{sender}: {reason}"))
        }
        News::StateCopied { .. } => ("copied", None, String::new()),
        News::KeyRenewed => ("key renewed", None, String::new()),
        News::Rejoined { seq, missed } => ("rejoined", Some(*seq), format!("{missed} missed")),
        News::RejoinLimited { until } => ("rejoin limited", None, until.to_string()),
        News::Waits { reason } => ("waits", None, reason.to_string()),
        News::Failed { reason } => ("failed", None, reason.to_string()),
        News::NotDone { reason } => ("not done", None, reason.to_string()),
        News::Alarm { warning } => ("alarm", None, warning.to_string()),
        News::Note { notice } => ("note", None, notice.to_string()),
    }
}
