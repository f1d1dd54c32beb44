//! The threads around the engine: one calls the service, one listens to it, and this one decides.

use crate::chat::{Chat, ChatError, Failure, Told};
use crate::files::write_private;
use crate::lines::{ChatCommand, Command, Input, LineError, Shown, parse_line};
use crate::messenger::Messenger;
use conclave_delivery::http_client::{Client, Events, Session, Stop, TlsRoots};
use conclave_delivery_api::Call;
use conclave_engine::{
    CallError, Content, Engine, EngineError, Evidence, Output, Reply, Request, StreamEvent,
    Transport,
};
use conclave_history::HistoryError;
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair};
use conclave_store::Store;
use core::fmt;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
    /// The service's answer.
    Reply(Result<Reply, CallError>),
    /// What the service pushes.
    Heard(StreamEvent),
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
    /// Where evidence against the service is written.
    pub folder: PathBuf,
}

/// How a messenger ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How much of the input was refused, at once or later.
    pub refused: usize,
    /// How many things were not done: they are kept, and tried next time.
    pub waiting: usize,
}

/// Why a messenger ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The state cannot be written, or is damaged.
    Engine(EngineError),
    /// Output cannot be shown.
    Screen(io::Error),
    /// Evidence against the service cannot be written to this file.
    Evidence(PathBuf, io::Error),
    /// What was said cannot be kept or read.
    History(HistoryError),
    /// The threads cannot be started.
    Threads(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(e) => fmt::Display::fmt(e, f),
            Self::Screen(e) => write!(f, "the output cannot be written: {e}"),
            Self::History(e) => fmt::Display::fmt(e, f),
            Self::Evidence(file, e) => write!(f, "{} cannot be written: {e}", file.display()),
            Self::Threads(e) => write!(f, "a thread cannot be started: {e}"),
        }
    }
}

impl core::error::Error for RunError {}

impl From<EngineError> for RunError {
    fn from(e: EngineError) -> Self {
        Self::Engine(e)
    }
}

impl From<ChatError> for RunError {
    fn from(e: ChatError) -> Self {
        match e {
            ChatError::History(e) => Self::History(e),
            ChatError::Engine(e) => Self::Engine(e),
        }
    }
}

/// The operating system's randomness.
#[must_use]
pub fn os_rng() -> Box<dyn CryptoRng + Send> {
    // Without randomness there is nothing that could be done safely.
    Box::new(rand_core::UnwrapErr(getrandom::SysRng))
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The service over HTTP.
pub(crate) struct Http<'a>(pub(crate) &'a Client);

impl Transport for Http<'_> {
    type Error = CallError;

    fn call<C: Call>(&mut self, request: &C) -> Result<C::Reply, CallError> {
        self.0.call(request)
    }
}

/// A call to be made.
struct Asked {
    request: Request,
    provider: Arc<dyn CryptoProvider>,
    /// The key of the session that is to be opened.
    session_key: Option<SignatureKeyPair>,
}

/// Makes calls, one after another, and hands on the answers; the first of them open a session, which
/// is what the listener needs.
fn caller(client: Client, requests: &Receiver<Asked>, to: &Sender<Message>) {
    let mut client = client;
    let mut listening: Option<Stop> = None;
    for Asked { request, provider, session_key } in requests {
        let reply = request.call(&mut Http(&client));
        if let (Ok(Reply::OpenSession(opened)), Some(key)) = (&reply, session_key) {
            // A listener lives on for a while after it was stopped: a new one only for a new session.
            if client.session().map(Session::token) != Some(&opened.token) {
                client = client.with_session(Session::new(provider, key, opened.token.clone()));
                if let Some(stop) = listening.take() {
                    stop.stop();
                }
                let (events, to) = (client.events(), to.clone());
                listening = Some(events.stop_handle());
                // Without it the messenger works, but hears of news only when it asks.
                let _ = std::thread::Builder::new()
                    .name("conclave-listener".into())
                    .spawn(move || listener(events, &to));
            }
        }
        if to.send(Message::Reply(reply)).is_err() {
            return;
        }
    }
}

fn listener(events: Events, to: &Sender<Message>) {
    for heard in events {
        if to.send(Message::Heard(heard)).is_err() {
            return;
        }
    }
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
    let (requests, asked) = channel();
    let client = match &options.roots {
        Some(roots) => Client::with_roots(&options.url, roots),
        None => Client::new(&options.url),
    };
    std::thread::Builder::new()
        .name("conclave-caller".into())
        .spawn(move || caller(client, &asked, &to))
        .map_err(RunError::Threads)?;
    let held = VecDeque::new();
    let (ended, settled, quit, refused) = (None, None, false, 0);
    let mut engine = engine;
    let messenger = Messenger::open(&engine)?;
    let chat = Chat::open(&mut engine, os_rng())?;
    let mut shell = Shell {
        engine,
        messenger,
        chat,
        options,
        inbox,
        requests,
        held,
        ended,
        settled,
        quit,
        refused,
    };
    shell.run(screen)
}

/// How many of these say that something was refused.
fn refusals(shown: &[Shown]) -> usize {
    shown.iter().filter(|shown| matches!(shown, Shown::Refused(_))).count()
}

struct Shell<'a, S> {
    engine: Engine<S>,
    messenger: Messenger,
    chat: Chat,
    options: &'a Options,
    inbox: Receiver<Message>,
    requests: Sender<Asked>,
    /// Input that waits for its turn.
    held: VecDeque<Message>,
    /// Since when there is no more input.
    ended: Option<Instant>,
    /// Since when, after that, nothing is left to do.
    settled: Option<Instant>,
    quit: bool,
    /// How many lines were refused at once.
    refused: usize,
}

impl<S: Store> Shell<'_, S> {
    fn run(&mut self, screen: &mut dyn Screen) -> Result<Ended, RunError> {
        loop {
            screen.current_group(self.messenger.current_name(&self.engine).as_deref());
            if let Some(request) = self.engine.next(now())? {
                // The thread lives as long as this end of the channel.
                let session_key = self.engine.session_key().cloned();
                let provider = self.engine.provider();
                let _ = self.requests.send(Asked { request, provider, session_key });
            }
            self.write_evidence()?;
            // Deciding what is next may lead to news, too.
            self.show(Vec::new(), screen)?;
            let ready = !self.options.in_turn || self.engine.is_ready();
            if ready && let Some(message) = self.held.pop_front() {
                self.take(message, screen)?;
                continue;
            }
            let deadline = match self.deadline() {
                Ok(deadline) => deadline,
                Err(ended) => return self.finish(ended, screen),
            };
            match self.receive(deadline) {
                Some(message @ (Message::Line(_) | Message::NoLine(_) | Message::End)) => {
                    self.held.push_back(message);
                }
                Some(message) => self.take(message, screen)?,
                None => continue,
            }
        }
    }

    /// Says at the end what is not kept for the next time.
    fn finish(&mut self, ended: Ended, screen: &mut dyn Screen) -> Result<Ended, RunError> {
        self.engine.abandon();
        let refused = ended.refused + self.show(Vec::new(), screen)?;
        Ok(Ended { refused, ..ended })
    }

    /// Writes evidence against the service to files, before the user is told of them.
    fn write_evidence(&mut self) -> Result<(), RunError> {
        while let Some(Evidence { file_name, bytes }) = self.engine.next_evidence()? {
            let file = self.options.folder.join(file_name);
            if std::fs::read(&file).ok().as_ref() != Some(&bytes) {
                write_private(&file, &bytes).map_err(|e| RunError::Evidence(file, e))?;
            }
        }
        Ok(())
    }

    /// Until when to wait; or the end.
    fn deadline(&mut self) -> Result<Option<Instant>, Ended> {
        let Some(ended) = self.ended else { return Ok(None) };
        let refused = self.refused + self.engine.failures();
        let done = Ended { refused, waiting: self.engine.waiting() };
        let settled = self.engine.is_settled();
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
            ended.checked_add(self.options.patience.min(longest))
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
                Ok(Input::Command(Command::Chat(command))) => {
                    let answer = self.chat_command(command)?;
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
                    let answer = self.messenger.command(&mut self.engine, now(), command)?;
                    let refused = self.show(answer, screen)?;
                    self.refused += if can_fail { refused } else { 0 };
                }
                Err(LineError::Empty) => {}
                Err(e) => self.refuse(e.to_string(), screen)?,
            },
            Message::NoLine(why) => self.refuse(why, screen)?,
            Message::End => self.end(false),
            Message::Reply(reply) => self.engine.reply(now(), reply)?,
            Message::Heard(heard) => self.engine.heard(now(), heard),
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

    /// Says what was typed, as MIMI content. Whoever says something in a group has read it.
    fn say(&mut self, typed: Vec<Content>) -> Result<Vec<Shown>, RunError> {
        let Ok(group) = self.messenger.group_to_talk_in(&self.engine) else {
            return Ok(self.messenger.send(&mut self.engine, now(), typed)?);
        };
        let read = self.chat.mark_read(&self.engine, &group, (u64::MAX, now() / 1000));
        let mut shown = self.do_told(read.map_err(Failure::Fatal))?;
        let mut said = Vec::new();
        for typed in typed {
            match self.chat.outgoing(&group, typed) {
                Ok(content) => said.push(content),
                Err(why) => shown.push(Shown::Refused(why)),
            }
        }
        shown.extend(self.messenger.send(&mut self.engine, now(), said)?);
        Ok(shown)
    }

    fn chat_command(&mut self, command: ChatCommand) -> Result<Vec<Shown>, RunError> {
        let told = self.chat.command((&self.engine, &self.messenger), now() / 1000, command);
        self.do_told(told)
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
        for (group, content) in told.reports {
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
        if !shown.is_empty() {
            screen.show(&shown).map_err(RunError::Screen)?;
        }
        if !shown.is_empty() || !outputs.is_empty() {
            let (engine, adopted) = (&mut self.engine, &told.adopted);
            self.messenger.acknowledge_adopting(engine, &outputs, told.rows, adopted)?;
        }
        for (group, content) in told.reports {
            // Nobody has asked for it, so nobody misses it if it is refused.
            Messenger::send_to(&mut self.engine, now(), &group, vec![content])?;
        }
        Ok(refusals(&shown))
    }

    fn end(&mut self, quit: bool) {
        self.ended.get_or_insert(Instant::now());
        self.quit |= quit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_account::Author;
    use conclave_delivery_api::{
        Bytes, Decode, Encode, ErrorCode, Incarnation, MAX_BODY, OpenSession, OpenedSession,
        SendMessage, Token,
    };
    use conclave_mls::crypto::SignatureScheme;
    use conclave_provider_rustcrypto::RustCrypto;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// Answers one request: a session with a token that is its time, anything else with an event
    /// stream.
    fn answer(stream: &mut TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim_end().to_lowercase().split_once(": ") {
                Some(("content-length", n)) => length = n.parse().unwrap(),
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body).unwrap();
        let (mut head, mut reply) = ("HTTP/1.1 200 OK\r\n".to_string(), Vec::new());
        if let Ok(open) = OpenSession::from_bytes(&body) {
            let token = Token::new(open.issued_at.to_string());
            let incarnation = Incarnation { id: [1; 16], number: 1 };
            reply = OpenedSession { token, lifetime: 3600, incarnation }.to_bytes().unwrap();
            head += &format!("connection: close\r\ncontent-length: {}\r\n", reply.len());
        }
        stream.write_all(&[head.as_bytes(), b"\r\n", &reply].concat()).unwrap();
    }

    #[test]
    fn there_is_one_listener_for_each_session() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for mut stream in server.incoming().flatten() {
                answer(&mut stream);
                open.push(stream);
            }
        });
        let ((requests, asked), (to, inbox)) = (channel(), channel());
        std::thread::spawn(move || caller(Client::new(&url), &asked, &to));
        let provider: Arc<dyn CryptoProvider> = Arc::new(RustCrypto::new());
        let session_key =
            provider.signature_key_pair(SignatureScheme::Ed25519, &mut *os_rng()).unwrap();
        for (issued_at, connected) in [(1, true), (1, false), (1, false), (2, true), (2, false)] {
            let open = OpenSession {
                user: "a".parse().unwrap(),
                author: Author::Recovery,
                key: vec![1].into(),
                session_key: session_key.public.clone(),
                issued_at,
                signature: Bytes::default(),
            };
            let (request, provider) = (open.into(), provider.clone());
            let session_key = Some(session_key.clone());
            requests.send(Asked { request, provider, session_key }).unwrap();
            let next = |ms| inbox.recv_timeout(Duration::from_millis(ms));
            let expected = 0..=usize::from(connected);
            let mut heard: Vec<Message> = expected.map(|_| next(10_000).unwrap()).collect();
            heard.extend(core::iter::from_fn(|| next(200).ok()));
            let is_connected = |m: &&Message| matches!(m, Message::Heard(StreamEvent::Connected));
            let count = heard.iter().filter(is_connected).count();
            assert_eq!(count, usize::from(connected), "{heard:?}");
        }
    }

    /// Sent, it would be cut off on the way, which looks as if nobody answered.
    #[test]
    fn what_no_service_takes_is_refused_before_it_is_sent() {
        let nobody = Client::new("http://127.0.0.1:1");
        let send = |len| {
            let message = vec![0; len].into();
            Request::from(SendMessage { message }).call(&mut Http(&nobody)).unwrap_err()
        };
        assert_eq!(send(MAX_BODY).code(), Some(ErrorCode::TooLarge));
        assert!(send(1).is_temporary());
    }
}
