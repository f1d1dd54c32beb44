//! The messenger's thread: it takes the user's lines and what comes from the service, and shows what the engine says.

mod introducing;

use crate::attachments::{
    FileCipher, FileToSend, TransferNews, TransferRefusal, TransferReport, TransferSetup, Transfers,
};
use crate::chat::Chat;
use crate::drafts::{NO_DRAFT, draft_in, drafts_shown, rows_of_draft};
use crate::error::RunError;
use crate::expiry::choose_expiry;
use crate::lines::{
    ChatCommand, Command, FileCommand, FileShown, Input, LineError, Shown, parse_line,
};
use crate::messenger::{IN_NO_GROUP, Messenger};
use crate::service::{Arrived, Service, now, os_rng, write_evidence};
use crate::sharing::{Sharing, Wanted};
use crate::told::{Failure, Told, refused};
use crate::words;
use conclave_delivery::http_client::TlsRoots;
use conclave_engine::{
    AppRows, CallError, CallId, CommandError, Content, Engine, GroupId, Output, Reply, StreamEvent,
};
use conclave_store::Store;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// How many lines of text are sent together.
const MAX_LINES_TOGETHER: usize = 256;

/// How long a user who quits is kept waiting for what is not sent yet.
const QUIT_PATIENCE: Duration = Duration::from_secs(3);

/// What comes to the messenger's thread.
#[derive(Debug)]
pub enum Message {
    /// A line that the user has written.
    Line(String),
    /// Input that is no line, and why: it is refused.
    NoLine(String),
    /// There is no more input: what is to be sent is sent, then the messenger ends.
    End,
    /// The service's answer to a call.
    Reply(CallId, Result<Reply, CallError>),
    /// What the service pushes.
    Heard(StreamEvent),
    /// What a transfer's thread reports.
    Transfer(TransferReport),
}

impl From<Arrived> for Message {
    fn from(arrived: Arrived) -> Self {
        match arrived {
            Arrived::Reply(call, reply) => Self::Reply(call, reply),
            Arrived::Heard(heard) => Self::Heard(heard),
        }
    }
}

/// Where output goes.
pub trait Screen {
    /// Shows these, in order. When it returns, they are counted as seen.
    ///
    /// # Errors
    /// If nobody can see them any more; the messenger ends then.
    fn show(&mut self, shown: &[Shown]) -> io::Result<()>;

    /// Shows what can be said.
    ///
    /// # Errors
    /// As of [`Self::show`].
    fn help(&mut self) -> io::Result<()>;

    /// Which group lines go to from now on.
    fn current_group(&mut self, name: Option<&str>);
}

/// How a messenger runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service's address.
    pub url: String,
    /// Which roots the certificate of a service at `https://` may come from. If none are named, the system's.
    pub roots: Option<TlsRoots>,
    /// Whether each command waits until what was asked for before it is done, unless the service or a device that was
    /// admitted does not answer. Lines of text that wait one after another are sent together.
    pub in_turn: bool,
    /// Whether it goes on when there is no more input.
    pub stay: bool,
    /// How long, after there is no more input and nothing left to do, it still listens: for ever, if
    /// that is longer than clocks reach.
    pub linger: Duration,
    /// How long, after there is no more input, it tries to do what is left to do.
    pub patience: Duration,
    /// Where evidence against the service is written, and where files that are under way lie.
    pub folder: PathBuf,
    /// What encrypts files.
    pub cipher: Arc<dyn FileCipher>,
}

/// How a messenger ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How much of the input was refused, at once or later.
    pub refused: usize,
    /// How many things were not done: they are kept, and tried next time.
    pub waiting: usize,
}

/// Runs a messenger until there is no more input and nothing left to do, or the user ends it.
///
/// `inbox` is what the messenger listens to: whoever reads the user's input sends it
/// [`Message::Line`]s and at last [`Message::End`] through a clone of its sender.
///
/// # Errors
/// If the state cannot be written or the output cannot be shown. What was not shown is shown next
/// time.
pub fn run<S: Store>(
    engine: Engine<S>,
    options: &Options,
    inbox: (Sender<Message>, Receiver<Message>),
    screen: &mut dyn Screen,
) -> Result<Ended, RunError> {
    let (to, inbox) = inbox;
    let reports = to.clone();
    let service = Service::start(&options.url, options.roots.as_ref(), to)?;
    let mut engine = engine;
    engine.reached_at(&options.url);
    let messenger = Messenger::open(&engine)?;
    let chat = Chat::open(&mut engine, os_rng())?;
    // The messenger lives as long as its end of the channel.
    let to = Arc::new(move |report| drop(reports.send(Message::Transfer(report))));
    let setup = TransferSetup { cipher: options.cipher.clone(), to };
    let transfers = Transfers::open(&mut engine, &options.folder, service.connection(), setup)?;
    let mut shell = Shell {
        engine,
        messenger,
        chat,
        transfers,
        sharing: Sharing::default(),
        options,
        inbox,
        service,
        held: VecDeque::new(),
        ended: None,
        settled: None,
        quit: false,
        has_answered: false,
        refused: 0,
    };
    shell.run(screen)
}

impl From<TransferRefusal> for Failure {
    fn from(e: TransferRefusal) -> Self {
        match e {
            TransferRefusal::Refused(why) => Self::Refused(why),
            TransferRefusal::Engine(e) => e.into(),
        }
    }
}

/// How many of these say that something was refused.
fn refusals(shown: &[Shown]) -> usize {
    shown.iter().filter(|shown| matches!(shown, Shown::Refused(_))).count()
}

struct Shell<'a, S> {
    engine: Engine<S>,
    messenger: Messenger,
    chat: Chat,
    transfers: Transfers,
    sharing: Sharing,
    options: &'a Options,
    inbox: Receiver<Message>,
    service: Service,
    /// Input that waits for its turn.
    held: VecDeque<Message>,
    /// Since when there is no more input.
    ended: Option<Instant>,
    /// Since when, after that, nothing is left to do.
    settled: Option<Instant>,
    quit: bool,
    /// Whether what was shown has led to something to send, such as a receipt: a call is due.
    has_answered: bool,
    /// How many lines were refused at once.
    refused: usize,
}

impl<S: Store> Shell<'_, S> {
    fn run(&mut self, screen: &mut dyn Screen) -> Result<Ended, RunError> {
        let here = self.messenger.group_to_look_at(&self.engine);
        let drafts = self.drafts_of(here.into_iter().collect())?;
        self.show(drafts, screen)?;
        loop {
            screen.current_group(self.messenger.current_name(&self.engine).as_deref());
            self.service.make_calls(&mut self.engine)?;
            write_evidence(&mut self.engine, &self.options.folder)?;
            // Deciding what is next may lead to news, too.
            self.show(Vec::new(), screen)?;
            if core::mem::take(&mut self.has_answered) {
                continue;
            }
            let ready = !self.options.in_turn || self.engine.is_ready();
            if ready && let Some(message) = self.held.pop_front() {
                self.take(message, screen)?;
                continue;
            }
            if !self.quit && self.sharing.is_busy(&self.transfers) {
                self.share(screen)?;
                continue;
            }
            let deadline = match self.deadline() {
                Ok(deadline) => deadline,
                Err(ended) => return self.finish(ended, screen),
            };
            if let Some(message) = self.receive(deadline) {
                self.take_in_turn(message, screen)?;
            }
        }
    }

    fn take_in_turn(&mut self, message: Message, screen: &mut dyn Screen) -> Result<(), RunError> {
        match message {
            Message::Line(_) | Message::NoLine(_) | Message::End => self.held.push_back(message),
            message => self.take(message, screen)?,
        }
        Ok(())
    }

    /// Does a step of what another device is given or has given, and then what waits in the inbox.
    fn share(&mut self, screen: &mut dyn Screen) -> Result<(), RunError> {
        let of = (&mut self.engine, self.chat.history());
        let shown = self.sharing.step(of, &mut self.transfers)?;
        self.refused += self.show(shown, screen)?;
        while let Ok(message) = self.inbox.try_recv() {
            self.take_in_turn(message, screen)?;
        }
        Ok(())
    }

    /// Says at the end what is not kept for the next time.
    fn finish(&mut self, ended: Ended, screen: &mut dyn Screen) -> Result<Ended, RunError> {
        self.engine.abandon();
        let refused = ended.refused + self.show(Vec::new(), screen)?;
        Ok(Ended { refused, ..ended })
    }

    /// Until when to wait; or the end.
    fn deadline(&mut self) -> Result<Option<Instant>, Ended> {
        let Some(ended) = self.ended else { return Ok(None) };
        let refused = self.refused + self.engine.failures();
        let done = Ended { refused, waiting: self.engine.waiting() + self.transfers.count() };
        let settled = self.engine.is_settled() && self.transfers.count() == 0;
        if settled && self.quit {
            return Err(done);
        }
        if self.options.stay && !self.quit {
            return Ok(None);
        }
        let now = Instant::now();
        let until = if settled {
            self.settled.get_or_insert(now).checked_add(self.options.linger)
        } else {
            self.settled = None;
            let longest = if self.quit { QUIT_PATIENCE } else { Duration::MAX };
            // A transfer may take long, as long as it goes on.
            let since = if self.quit { ended } else { ended.max(self.transfers.moved_at()) };
            since.checked_add(self.options.patience.min(longest))
        };
        if until.is_some_and(|until| now >= until) { Err(done) } else { Ok(until) }
    }

    /// The next message; none when the time is up.
    fn receive(&self, deadline: Option<Instant>) -> Option<Message> {
        let wakes = [self.engine.wake_at(), self.chat.wake_at(&self.engine)];
        let wake = wakes.into_iter().flatten().min().and_then(|at| {
            let wait = Duration::from_millis(at.saturating_sub(now()));
            Instant::now().checked_add(wait)
        });
        let until = [wake, deadline].into_iter().flatten().min();
        let Some(until) = until else { return self.inbox.recv().ok() };
        let wait = until.saturating_duration_since(Instant::now());
        // At least a little, so that rounding does not make this spin.
        self.inbox.recv_timeout(wait.max(Duration::from_millis(1))).ok()
    }

    fn take(&mut self, message: Message, screen: &mut dyn Screen) -> Result<(), RunError> {
        match message {
            Message::Line(line) => match parse_line(&line) {
                Ok(Input::Quit) => self.end(true),
                Ok(Input::Help) => screen.help().map_err(RunError::Screen)?,
                Ok(Input::Command(Command::Send(content))) => {
                    let said = self.said_after(content);
                    let answer = self.say(said)?;
                    self.refused += self.show(answer, screen)?;
                }
                Ok(Input::Command(Command::SendDraft)) => {
                    let told = self.send_draft();
                    let answer = self.do_told(told)?;
                    self.refused += self.show(answer, screen)?;
                }
                Ok(Input::Command(Command::Chat(command))) => {
                    let answer = self.chat_command(command)?;
                    self.refused += self.show(answer, screen)?;
                }
                Ok(Input::Command(Command::File(command))) => {
                    let answer = self.file_command(command)?;
                    self.refused += self.show(answer, screen)?;
                }
                Ok(Input::Command(Command::Profile(command))) => {
                    let told = self.chat.profiles().command(&self.engine, command);
                    let answer = self.do_told(told)?;
                    self.refused += self.show(answer, screen)?;
                }
                Ok(Input::Command(Command::AskHistory)) => {
                    let answer = self.history_command(Wanted::Ask)?;
                    self.refused += self.show(answer, screen)?;
                }
                Ok(Input::Command(Command::GiveHistory(device))) => {
                    let answer = self.history_command(Wanted::Give(device))?;
                    self.refused += self.show(answer, screen)?;
                }
                Ok(Input::Command(Command::History(limit))) => {
                    let answer =
                        self.chat_command(ChatCommand::Page { limit, before: u64::MAX })?;
                    self.refused += self.show(answer, screen)?;
                }
                Ok(Input::Command(command)) => {
                    // An empty list is an answer, too.
                    let can_fail = command != Command::Groups;
                    // Switching to a group that waits for an answer accepts it.
                    let accepts = matches!(command, Command::Accept(_) | Command::Switch(_));
                    let drafts = self.groups_to_open(&command);
                    let mut answer = self.messenger.command(&mut self.engine, now(), command)?;
                    if accepts {
                        self.chat.profiles().accepted(&self.engine);
                    }
                    answer.extend(self.drafts_of(drafts)?);
                    let refused = self.show(answer, screen)?;
                    self.refused += if can_fail { refused } else { 0 };
                }
                Err(LineError::Empty) => {}
                Err(e) => self.refuse(e.to_string(), screen)?,
            },
            Message::NoLine(why) => self.refuse(why, screen)?,
            Message::End => self.end(false),
            Message::Reply(call, reply) => self.engine.reply(now(), call, reply)?,
            Message::Heard(heard) => self.engine.heard(now(), heard),
            Message::Transfer(report) => {
                let shown = self.transferred(report)?;
                self.refused += self.show(shown, screen)?;
            }
        }
        Ok(())
    }

    /// What a line says, with what the lines that wait behind it say: it goes together.
    fn said_after(&mut self, content: Content) -> Vec<Content> {
        let mut said = vec![content];
        while said.len() < MAX_LINES_TOGETHER
            && let Some(Message::Line(line)) = self.held.front()
            && let Ok(Input::Command(Command::Send(content))) = parse_line(line)
        {
            said.push(content);
            self.held.pop_front();
        }
        said
    }

    /// Says what was typed, as MIMI content. A user who says something in a group has read it.
    fn say(&mut self, typed: Vec<Content>) -> Result<Vec<Shown>, RunError> {
        let Ok(group) = self.messenger.group_to_talk_in(&self.engine) else {
            return Ok(self.messenger.send(&mut self.engine, now(), typed)?);
        };
        self.introduce_before(&group)?;
        let read = self.chat.mark_read(&self.engine, &group, (u64::MAX, now() / 1000));
        let mut shown = self.do_told(read.map_err(Failure::Fatal))?;
        let mut said = Vec::new();
        for typed in typed {
            match self.chat.outgoing(&self.engine, &group, typed) {
                Ok(content) => said.push(content),
                Err(why) => shown.push(Shown::Refused(why)),
            }
        }
        shown.extend(self.messenger.send(&mut self.engine, now(), said)?);
        Ok(shown)
    }

    /// The groups whose drafts are shown after a command.
    fn groups_to_open(&self, command: &Command) -> Vec<GroupId> {
        let name = match command {
            Command::Groups => None,
            Command::Switch(name) => Some(name),
            _ => return Vec::new(),
        };
        let mut groups = self.engine.groups();
        groups.retain(|group| name.is_none_or(|name| group.name == *name));
        groups.into_iter().map(|group| group.id).collect()
    }

    fn drafts_of(&self, groups: Vec<GroupId>) -> Result<Vec<Shown>, RunError> {
        Ok(drafts_shown(&self.engine, self.chat.history(), groups)?)
    }

    /// Sends what the user has kept to be sent. It stays kept if it cannot be sent.
    fn send_draft(&mut self) -> Result<Told, Failure> {
        let group = self.messenger.group_to_talk_in(&self.engine).map_err(Failure::Refused)?;
        let (history, now) = (self.chat.history(), now() / 1000);
        let text = draft_in(&self.engine, history, &group)?.ok_or_else(|| refused(NO_DRAFT))?;
        let rows = rows_of_draft(&self.engine, history, &group, (String::new(), now))?;

        let typed = Content::from_text(text);
        let content = self.chat.outgoing(&self.engine, &group, typed).map_err(Failure::Refused)?;
        self.introduce_before(&group)?;
        self.send_with(&group, content, rows)?;
        Ok(self.chat.mark_read(&self.engine, &group, (u64::MAX, now))?)
    }

    fn chat_command(&mut self, command: ChatCommand) -> Result<Vec<Shown>, RunError> {
        if command.says_something()
            && let Ok(group) = self.messenger.group_to_talk_in(&self.engine)
        {
            self.introduce_before(&group)?;
        }
        let told = self.chat.command((&self.engine, &self.messenger), now() / 1000, command);
        self.do_told(told)
    }

    fn history_command(&mut self, wanted: Wanted) -> Result<Vec<Shown>, RunError> {
        let group = match self.messenger.group_to_talk_in(&self.engine) {
            Ok(group) => group,
            Err(why) => return Ok(vec![Shown::Refused(why)]),
        };
        let of = (&mut self.engine, &mut self.transfers);
        let told = Sharing::command(of, &group, wanted);
        self.do_told(told)
    }

    fn file_command(&mut self, command: FileCommand) -> Result<Vec<Shown>, RunError> {
        let done = self.do_with_files(command);
        self.do_told(done.map(|shown| Told { shown, ..Told::default() }))
    }

    fn do_with_files(&mut self, command: FileCommand) -> Result<Vec<Shown>, Failure> {
        let refused = Failure::Refused;
        match command {
            FileCommand::Send { path, text, expiry } => {
                let group = self.messenger.group_to_talk_in(&self.engine).map_err(refused)?;
                if let Some(expiry) = expiry {
                    choose_expiry(&self.engine, &group, expiry).map_err(refused)?;
                }
                let file = FileToSend { path, text, expiry, ..FileToSend::default() };
                self.transfers.send(&mut self.engine, &group, file)?;
                Ok(Vec::new())
            }
            FileCommand::Save { number, path } => {
                let group = self.messenger.group_to_look_at(&self.engine);
                let group = group.ok_or_else(|| refused(IN_NO_GROUP.into()))?;
                let content = self.chat.entry(&self.engine, &group, number)?.content();
                let of = (&group, number);
                self.transfers.save(&mut self.engine, of, content.as_ref(), path.as_deref())?;
                Ok(Vec::new())
            }
            FileCommand::Cancel(id) => {
                let name = self.transfers.cancel(&mut self.engine, id)?;
                Ok(vec![Shown::Note { group: String::new(), what: format!("stopped: {name}") }])
            }
        }
    }

    /// Takes what a transfer's thread reports. The message of an upload is sent.
    fn transferred(&mut self, report: TransferReport) -> Result<Vec<Shown>, RunError> {
        let Some(news) = self.transfers.take(&mut self.engine, report)? else {
            return Ok(Vec::new());
        };
        let (group, file) = match news {
            TransferNews::Moved { group, id, sends, name, percent, size, is_step } => {
                (group, FileShown::Moved { id, sends, name, percent, size, is_step })
            }
            TransferNews::Saved { group, number, path, size, .. } => {
                (group, FileShown::Saved { number, size, path })
            }
            TransferNews::Failed { name, why, .. } => {
                return Ok(vec![Shown::Refused(format!("{name}: {why}"))]);
            }
            TransferNews::Uploaded { id, group, content, rows, .. } => {
                return self.send_of(id, &group, content, rows);
            }
            TransferNews::Given { id } => {
                return match Sharing::answer(&self.engine, &self.transfers, id) {
                    Some(Ok((group, content, rows))) => self.send_of(id, &group, content, rows),
                    Some(Err(why)) => {
                        self.transfers.discard(&mut self.engine, id)?;
                        Ok(vec![Shown::Refused(why)])
                    }
                    None => Ok(Vec::new()),
                };
            }
            TransferNews::Fetched { id } => {
                self.sharing.fetched(id);
                return Ok(Vec::new());
            }
        };
        Ok(vec![Shown::File { group: self.engine.group_name(&group), file }])
    }

    /// Sends the message of a transfer, which is done then.
    fn send_of(
        &mut self,
        id: u64,
        group: &GroupId,
        content: Content,
        rows: AppRows,
    ) -> Result<Vec<Shown>, RunError> {
        self.introduce_before(group)?;
        match self.send_with(group, content, rows) {
            Ok(()) => {
                self.transfers.sent(id);
                Ok(Vec::new())
            }
            Err(Failure::Refused(why)) => {
                self.transfers.discard(&mut self.engine, id)?;
                Ok(vec![Shown::Refused(why)])
            }
            Err(Failure::Fatal(e)) => Err(e.into()),
        }
    }

    /// Has a message sent, with other rows in the same write.
    fn send_with(
        &mut self,
        group: &GroupId,
        content: Content,
        rows: AppRows,
    ) -> Result<(), Failure> {
        match self.engine.send_with(now(), group, content, &[], rows) {
            Ok(()) => Ok(()),
            Err(CommandError::Refused(reason)) => {
                Err(refused(words::about_group(&self.engine, Some(group), &reason)))
            }
            Err(CommandError::Engine(e)) => Err(e.into()),
        }
    }

    /// Writes and sends what a command leads to, and returns what is shown of it.
    fn do_told(&mut self, told: Result<Told, Failure>) -> Result<Vec<Shown>, RunError> {
        let told = match told {
            Ok(told) => told,
            Err(Failure::Refused(why)) => return Ok(vec![Shown::Refused(why)]),
            Err(Failure::Fatal(e)) => return Err(e.into()),
        };
        if !told.rows.is_empty() {
            self.engine.write_app_rows(told.rows)?;
        }
        let mut shown = told.shown;
        for (group, content) in told.to_send {
            shown.extend(Messenger::send_to(&mut self.engine, now(), &group, vec![content])?);
        }
        Ok(shown)
    }

    fn refuse(&mut self, why: String, screen: &mut dyn Screen) -> Result<(), RunError> {
        self.refused += self.show(vec![Shown::Refused(why)], screen)?;
        Ok(())
    }

    /// Shows the answer to a line, and what the engine has to say. Returns how much of it are refusals.
    fn show(&mut self, mut shown: Vec<Shown>, screen: &mut dyn Screen) -> Result<usize, RunError> {
        let outputs = self.engine.outputs(now());
        let (engine, messenger) = (&self.engine, &mut self.messenger);
        let otherwise = |output: &Output| messenger.take(engine, core::slice::from_ref(output));
        let told = self.chat.take(engine, &outputs, now() / 1000, otherwise)?;
        shown.extend(told.shown);
        let (mut rows, mut begins) = (told.rows, Vec::new());
        for heard in told.heard {
            let done = Sharing::hear(&self.engine, &mut self.transfers, heard)?;
            // A question has one answer.
            if done.begins.is_some() && !begins.is_empty() {
                continue;
            }
            shown.extend(done.shown);
            rows.merge(done.rows);
            begins.extend(done.begins);
        }
        self.chat.profiles().add_names(&self.engine, &mut shown);
        if !shown.is_empty() {
            screen.show(&shown).map_err(RunError::Screen)?;
        }
        if !shown.is_empty() || !outputs.is_empty() {
            let (engine, adopted) = (&mut self.engine, &told.adopted);
            self.messenger.acknowledge_adopting(engine, &outputs, rows, adopted)?;
        }
        for (id, record) in begins {
            self.transfers.start(id, record)?;
        }
        for (group, content) in told.to_send {
            // Nobody has asked for it, so nobody misses it if it is refused.
            self.has_answered = true;
            Messenger::send_to(&mut self.engine, now(), &group, vec![content])?;
        }
        self.introduce_where_due()?;
        Ok(refusals(&shown))
    }

    fn end(&mut self, quit: bool) {
        self.ended.get_or_insert(Instant::now());
        self.quit |= quit;
    }
}
