//! A transfer's thread: it encrypts and uploads a file, or fetches and decrypts one, however often it is cut off.

use crate::attachments::cipher::{CipherError, FileCipher, FileKey};
use crate::attachments::record::{Sealed, Task, ToGive, ToSave, ToSend, ToTake};
use crate::attachments::spool::Spool;
use crate::connection::Connection;
use crate::service::os_rng;
use conclave_delivery::http_client::{TransferError, attachment_hash};
use conclave_delivery_api::{CallError, ErrorCode};
use core::ops::ControlFlow;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The first wait before a transfer that was cut off goes on, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often a transfer checks whether it was stopped, and whether there is a session.
const LOOK: Duration = Duration::from_millis(50);
/// How many answers in a row may make no sense, as those of a proxy do while its service is away.
const MAX_STRANGE: u32 = 10;

/// What a thread reports of its transfer.
#[derive(Debug)]
pub(super) enum Report {
    /// The file is encrypted.
    Sealed(Sealed),
    /// How many bytes are there, and how many there are in all.
    Moved(u64, u64),
    /// The service has the file, until this time in seconds since 1970.
    Uploaded(Sealed, u64),
    /// The file is saved, and has this length.
    Saved(u64),
    /// The file is here, as it was uploaded.
    Fetched,
    /// It cannot be done: why.
    Failed(String),
}

/// Why a thread ends before its transfer is done.
enum Ended {
    Stopped,
    Failed(String),
}

impl From<String> for Ended {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// A transfer, as its thread knows it.
pub(super) struct Work {
    pub(super) id: u64,
    pub(super) connection: Connection,
    pub(super) cipher: Arc<dyn FileCipher>,
    pub(super) spool: Spool,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) say: Box<dyn Fn(Report) + Send>,
}

impl Work {
    /// Does all of it.
    pub(super) fn run(&self, task: &Task) {
        let done = match task {
            Task::Send(send) => self.send(send),
            Task::Save(save) => self.save(save),
            Task::Give(give) => self.give(give),
            Task::Take(take) => self.take(take),
        };
        match done {
            Ok(report) => (self.say)(report),
            Err(Ended::Failed(why)) => (self.say)(Report::Failed(why)),
            Err(Ended::Stopped) => {}
        }
    }

    fn send(&self, send: &ToSend) -> Result<Report, Ended> {
        let kept = send.sealed.clone().map(|sealed| (sealed, self.spool.sealed_file(self.id)));
        let (sealed, mut file) = match kept {
            Some((sealed, Ok(file))) => (sealed, file),
            // The copy is gone: the folder was restored, or somebody cleaned up there.
            Some((_, Err(_))) | None => {
                let (sealed, file) = self.seal(&send.path)?;
                (self.say)(Report::Sealed(sealed.clone()));
                (sealed, file)
            }
        };
        (self.say)(Report::Moved(0, sealed.length));
        let expires_at = self.upload(&sealed, &mut file)?;
        Ok(Report::Uploaded(sealed, expires_at))
    }

    /// Uploads a file that is sealed as it was written.
    fn give(&self, give: &ToGive) -> Result<Report, Ended> {
        let Some(sealed) = &give.sealed else { return Err(Ended::Stopped) };
        let failed = |e: std::io::Error| Ended::Failed(e.to_string());
        let mut file = self.spool.sealed_file(self.id).map_err(failed)?;
        (self.say)(Report::Moved(0, sealed.length));
        let expires_at = self.upload(sealed, &mut file)?;
        Ok(Report::Uploaded(sealed.clone(), expires_at))
    }

    /// Fetches a file that is read as it is.
    fn take(&self, take: &ToTake) -> Result<Report, Ended> {
        let failed = |e: std::io::Error| Ended::Failed(e.to_string());
        let mut file = self.spool.part_file(self.id).map_err(failed)?;
        (self.say)(Report::Moved(0, take.sealed.length));
        self.download(&take.sealed, &mut file)?;
        Ok(Report::Fetched)
    }

    /// An encrypted copy of a file, under a key of its own.
    fn seal(&self, path: &str) -> Result<(Sealed, File), Ended> {
        let failed = |e: &dyn core::fmt::Display| Ended::Failed(format!("{path}: {e}"));
        let mut file = self.spool.copy_in(self.id, Path::new(path)).map_err(|e| failed(&e))?;
        let key = FileKey::fresh(&mut *os_rng());
        self.cipher.seal(&key, &file).map_err(|e| failed(&e))?;
        file.sync_all().map_err(|e| failed(&e))?;
        let (hash, length) = attachment_hash(&mut file).map_err(|e| failed(&e))?;
        Ok((Sealed { key, hash, length }, file))
    }

    /// Uploads a file until the service has all of it. Returns until when the service keeps it.
    fn upload(&self, sealed: &Sealed, file: &mut File) -> Result<u64, Ended> {
        let mut patience = Patience::new();
        loop {
            let client = self.connection.with_session(|| self.pause(LOOK))?;
            let mut received = None;
            let uploaded = client.upload(file, (&sealed.hash, sealed.length), |now| {
                let before = received.replace(now);
                self.moved(
                    now,
                    sealed.length,
                    before.is_some_and(|before| now > before),
                    &mut patience,
                )
            });
            let e = match uploaded {
                Ok(uploaded) => return Ok(uploaded.expires_at),
                Err(e) => e,
            };
            // It was begun, and has expired since: it begins again.
            let is_gone = code(&e) == Some(ErrorCode::UnknownAttachment) && received.is_some();
            self.wait_after(e, is_gone, &mut patience)?;
        }
    }

    fn save(&self, save: &ToSave) -> Result<Report, Ended> {
        let failed = |e: std::io::Error| Ended::Failed(format!("{}: {e}", save.path));
        let to = Path::new(&save.path);
        if let Some(length) = self.spool.delivered(self.id, to).map_err(failed)? {
            return Ok(Report::Saved(length));
        }
        let mut file = self.spool.part_file(self.id).map_err(failed)?;
        (self.say)(Report::Moved(0, save.sealed.length));
        self.download(&save.sealed, &mut file)?;

        self.spool.begin_opening(self.id).map_err(failed)?;
        self.cipher.open(&save.sealed.key, &file).map_err(|e| match e {
            CipherError::Forged => Ended::Failed(
                "the file does not fit the key in its message: ask its sender to send it again"
                    .into(),
            ),
            e => Ended::Failed(format!("{}: {e}", save.path)),
        })?;
        let delivered = self.spool.deliver(self.id, file, to);
        let length = delivered.map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => Ended::Failed(format!(
                "{}: there is a file of that name, and it stays as it is: save this one under another name",
                save.path
            )),
            _ => failed(e),
        })?;
        Ok(Report::Saved(length))
    }

    /// Fetches what is missing of a file, until it has the hash.
    fn download(&self, sealed: &Sealed, file: &mut File) -> Result<(), Ended> {
        let mut patience = Patience::new();
        loop {
            let client = self.connection.with_session(|| self.pause(LOOK))?;
            let fetched = client.download((&sealed.hash, sealed.length), file, |now, of| {
                self.moved(now, of, true, &mut patience)
            });
            match fetched {
                Ok(_) => return Ok(()),
                Err(TransferError::OtherFile) => {
                    return Err(Ended::Failed(
                        "what the service has is not the file that was sent, and was thrown away: ask its sender to \
                         send it again"
                            .into(),
                    ));
                }
                Err(e) if code(&e) == Some(ErrorCode::UnknownAttachment) => {
                    return Err(Ended::Failed(
                        "the service does not have the file (it may have expired): ask its sender to send it again".into(),
                    ));
                }
                Err(e) => self.wait_after(e, false, &mut patience)?,
            }
        }
    }

    /// Reports how far a transfer is. It goes on unless it was stopped.
    fn moved(&self, now: u64, of: u64, grew: bool, patience: &mut Patience) -> ControlFlow<()> {
        if grew {
            patience.restore();
        }
        (self.say)(Report::Moved(now, of));
        if self.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits, unless the transfer is stopped.
    fn pause(&self, wait: Duration) -> Result<(), Ended> {
        let begun = Instant::now();
        while !self.is_stopped() {
            let left = wait.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
        Err(Ended::Stopped)
    }

    /// Waits before a transfer that was cut off goes on. If it cannot, it ends.
    fn wait_after(
        &self,
        e: TransferError,
        is_gone: bool,
        patience: &mut Patience,
    ) -> Result<(), Ended> {
        let e = match e {
            TransferError::Client(e) => e,
            TransferError::Stopped => return Err(Ended::Stopped),
            e => return Err(Ended::Failed(e.to_string())),
        };
        let is_strange = matches!(e, CallError::Strange(_));
        // By the next attempt the engine has opened another session, or another number is signed.
        let is_renewed = matches!(
            e.code(),
            Some(ErrorCode::Unauthorized | ErrorCode::Replayed | ErrorCode::UploadGap)
        );
        if !(e.is_temporary() || is_renewed || is_gone || is_strange) {
            return Err(Ended::Failed(e.to_string()));
        }
        let wait = patience.next(is_strange).ok_or_else(|| Ended::Failed(e.to_string()))?;
        self.pause(e.retry_after().unwrap_or_default().max(wait))
    }
}

fn code(e: &TransferError) -> Option<ErrorCode> {
    match e {
        TransferError::Client(e) => e.code(),
        _ => None,
    }
}

/// How long to wait before the next attempt: longer each time, until something moves.
struct Patience {
    wait: Duration,
    strange: u32,
}

impl Patience {
    fn new() -> Self {
        Self { wait: FIRST_WAIT, strange: 0 }
    }

    fn restore(&mut self) {
        *self = Self::new();
    }

    /// The next wait; none if answers have made no sense for too long.
    fn next(&mut self, is_strange: bool) -> Option<Duration> {
        self.strange = if is_strange { self.strange + 1 } else { 0 };
        let wait = self.wait;
        self.wait = (wait * 2).min(LONGEST_WAIT);
        (self.strange < MAX_STRANGE).then_some(wait)
    }
}
