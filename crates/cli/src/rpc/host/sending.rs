//! What clients have a device send, and the files that it saves for them.

use super::{Failed, Host, Outcome};
use crate::rpc::fault::Fault;
use crate::rpc::request::{Acknowledge, Save, Send, SendFile};
use crate::rpc::sent::{Fate, Sent, digest};
use conclave_client::{
    AppRows, ChosenExpiry, CommandError, Content, FileToSend, GroupId, Markup, News, Output,
    RunError, TransferNews, TransferReport, choose_expiry, compose, expires_by_policy,
    message_kept_by_messenger,
};
use conclave_content::{Expiration, Limits, MimiContent};
use conclave_store::Store;

impl<S: Store> Host<S> {
    pub(super) fn send(&mut self, send: &Send) -> Result<Outcome, Failed> {
        let room = self.room(&send.room)?;
        let asked = asked(send);
        let taken = match send.acknowledge {
            Some(cursor) => self.acknowledged(&Acknowledge::UpTo { cursor, rooms: Vec::new() }),
            None => Vec::new(),
        };

        let is_it = |sent: &Sent| sent.asked == asked && sent.room == room;
        if let Some((key, fate)) = self.sent_as(send.id.as_deref(), is_it)? {
            self.device.engine().acknowledge(&taken)?;
            return outcome(key, &fate, send.wait);
        }

        let content = self.content(&room, send)?;
        self.tell_first(&room)?;
        let sent = Sent { asked, ..Sent::queued(send.id.clone(), &room, &content, send.quiet) };
        let key = self.enqueue(sent, content, &taken, AppRows::new())?;
        outcome(key, &Fate::Queued, send.wait)
    }

    /// Hands a message to the engine, which sends it. In the same write it is remembered, these events are acknowledged and
    /// these rows are written. Returns its number among what is remembered.
    pub(super) fn enqueue(
        &mut self,
        sent: Sent,
        content: Content,
        taken: &[Output],
        rows: AppRows,
    ) -> Result<u64, CommandError> {
        let (key, mut planned) = self.outgoing.plan(&sent);
        planned.merge(rows);
        self.device.send_with(&sent.room, content, taken, planned)?;
        self.outgoing.add(key, sent);
        Ok(key)
    }

    /// What became of a message that was sent under this id. It is refused if that was another one.
    fn sent_as(
        &self,
        id: Option<&str>,
        is_it: impl Fn(&Sent) -> bool,
    ) -> Result<Option<(u64, Fate)>, Fault> {
        match id.and_then(|id| self.outgoing.find(id)) {
            Some((_, sent)) if !is_it(sent) => {
                Err(Fault::refused("id-in-use", "another message was sent under this id"))
            }
            found => Ok(found.map(|(key, sent)| (key, sent.fate.clone()))),
        }
    }

    /// What is sent: text as it is, unless it is Markdown, mentions somebody, or expires.
    fn content(&mut self, room: &GroupId, send: &Send) -> Result<Content, Failed> {
        let plain = Content::from_text(send.text.as_str());
        let is_plain = send.markup == Markup::Plain && !send.text.contains('@');
        let expires = self.chosen_expiration(room, send.expiry)?;
        if is_plain && expires.is_none() && !expires_by_policy(self.device.engine(), room) {
            return Ok(plain);
        }
        let text = (send.text.as_str(), send.markup);
        let content = compose(self.device.engine(), room, text, expires, &mut *self.rng);
        content.map_err(|why| Fault::params(why).into())
    }

    /// The expiration that a client chooses for a message that is sent now.
    fn chosen_expiration(
        &mut self,
        room: &GroupId,
        chosen: Option<ChosenExpiry>,
    ) -> Result<Option<Expiration>, Fault> {
        let engine = self.device.engine();
        let expiration = chosen.map(|chosen| choose_expiry(engine, room, chosen)).transpose();
        expiration.map_err(|why| Fault::refused("expiry-not-allowed", why))
    }

    pub(super) fn send_file(&mut self, send: &SendFile) -> Result<Outcome, Failed> {
        let room = self.room(&send.room)?;
        let label = send.id.as_deref();
        // A file that is asked for again is found by its name alone: its key was made here.
        if let Some((key, fate)) = self.sent_as(label, |sent| sent.room == room)? {
            return outcome(key, &fate, send.wait);
        }
        if let Some(transfer) = label.and_then(|label| self.files.transfers.labelled(label)) {
            return under_way(transfer, send.wait);
        }

        self.chosen_expiration(&room, send.expiry)?;
        let file = FileToSend {
            path: send.path.clone(),
            text: send.text.clone(),
            label: send.id.clone().unwrap_or_default(),
            quiet: send.quiet,
            expiry: send.expiry,
        };
        let transfer = self.files.transfers.send(self.device.engine(), &room, file)?;
        under_way(transfer, send.wait)
    }

    pub(super) fn save(&mut self, save: &Save) -> Result<Outcome, Failed> {
        let room = self.room(&save.room)?;
        let engine = self.device.engine();
        let kept = message_kept_by_messenger(engine, &room, save.seq);
        let content = match kept.map_err(|e| Failed::Device(RunError::History(e)))? {
            Some(entry) => entry.content(),
            None => {
                let is_it =
                    |news: &News| matches!(news, News::Message { seq, .. } if *seq == save.seq);
                match engine.history(&room, usize::MAX)?.into_iter().find(is_it) {
                    Some(News::Message { content, .. }) => {
                        MimiContent::decode(content.bytes(), &Limits::default()).ok()
                    }
                    _ => {
                        let why = "this device has no message of that number there";
                        return Err(Fault::refused("unknown-message", why).into());
                    }
                }
            }
        };
        let (of, to) = ((&room, save.seq), Some(save.path.as_str()));
        let transfers = self.files.transfers.save(engine, of, content.as_ref(), to)?;
        Ok(Outcome::After(transfers))
    }

    /// Takes what a transfer's thread says. The message of an upload is sent.
    pub(super) fn transferred(&mut self, report: TransferReport) -> Result<(), RunError> {
        let Some(news) = self.files.transfers.take(self.device.engine(), report)? else {
            return Ok(());
        };
        match news {
            TransferNews::Moved { id, percent, size, .. } => {
                self.files.report(id, &self.name, (percent, size));
            }
            TransferNews::Saved { id, path, size, .. } => self.files.saved(id, &path, size),
            // The messenger of this device goes on with these.
            TransferNews::Given { .. } | TransferNews::Fetched { .. } => {}
            TransferNews::Failed { id, name, why, .. } => {
                let fault = Fault::not_sent(format!("{name}: {why}"));
                self.files.failed(id, &self.name, fault);
            }
            TransferNews::Uploaded { id, group, content, label, quiet, rows } => {
                self.tell_first(&group)?;
                let label = Some(label).filter(|label| !label.is_empty());
                let sent = Sent::queued(label, &group, &content, quiet);
                match self.enqueue(sent, content, &[], rows) {
                    Ok(key) => {
                        self.files.transfers.sent(id);
                        self.waiting.extend(self.files.take(id).into_iter().map(|ask| (key, ask)));
                    }
                    Err(CommandError::Refused(reason)) => {
                        self.files.transfers.discard(self.device.engine(), id)?;
                        self.files.failed(id, &self.name, Fault::because(&reason));
                    }
                    Err(CommandError::Engine(e)) => return Err(e.into()),
                }
            }
        }
        Ok(())
    }
}

/// The hash of what a client asks to be sent.
fn asked(send: &Send) -> String {
    let mut asked = digest(&Content::from_text(send.text.as_str()));
    let mut and = |what: String| asked = digest(&Content::from_text(format!("{what} {asked}")));
    if send.markup == Markup::Markdown {
        and("markdown".into());
    }
    match send.expiry {
        Some(ChosenExpiry::AfterSending(seconds)) => and(format!("expires {seconds}")),
        Some(ChosenExpiry::AfterReading(seconds)) => and(format!("expires read {seconds}")),
        None => {}
    }
    asked
}

fn outcome(key: u64, fate: &Fate, wait: bool) -> Result<Outcome, Failed> {
    match fate {
        Fate::Queued if wait => Ok(Outcome::When(key)),
        fate => Ok(Outcome::Now(fate.answer()?)),
    }
}

/// What comes of a request to send a file that is under way.
fn under_way(transfer: u64, wait: bool) -> Result<Outcome, Failed> {
    match wait {
        true => Ok(Outcome::After(vec![transfer])),
        false => Ok(Outcome::Now(Fate::Queued.answer()?)),
    }
}
