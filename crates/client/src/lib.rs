//! A messenger for one device, at a terminal or in a script: the engine ([`conclave_engine`]) and what moves it.
//!
//! * [`run`]: the shell around the engine, with threads that call the service and one that listens to it;
//! * [`Headless`]: the same threads for a program that has no user, as a bot; with the feature `tokio` there is
//!   `AsyncDevice`, for one that is asynchronous;
//! * [`peek`]: what waits for a device, read beside the process that has it;
//! * [`Messenger`]: which group lines go to, and names instead of identifiers;
//! * [`Transfers`]: the files that are sent and saved;
//! * [`Profiles`]: what users say of themselves;
//! * [`parse_line`]: what a user can type;
//! * [`Render`]: what a user is told, as a line for scripts or for people.
//!
//! Events are given to the [`Screen`] first and acknowledged then: a process that dies between the two shows the last
//! ones again when it comes back, with the same group and number. What a screen has not drawn yet when the process is
//! killed, as a terminal's while a line is being edited, is not shown again; messages are in the history.
#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
mod asynchronous;
mod attachments;
mod catch_up;
mod chat;
mod compose;
mod connection;
mod drafts;
mod engine_rows;
mod error;
mod expiry;
mod files;
mod headless;
mod history_word;
#[cfg(test)]
mod hostile;
mod lines;
mod messenger;
mod mimi;
mod peeking;
mod profiles;
mod service;
mod sharing;
mod shell;
mod telling;
mod told;
mod words;

#[cfg(feature = "tokio")]
pub use asynchronous::AsyncDevice;
pub use attachments::{
    CipherError, FileCipher, FileKey, FileToSend, TAG_LENGTH, TransferNews, TransferRefusal,
    TransferReport, TransferSetup, Transfers,
};
pub use catch_up::catch_up;
pub use compose::{Markup, compose, expires_by_policy};
pub use conclave_engine::{
    Answer, AppRows, CLASSIC, CertificateFiles, Command as EngineCommand, CommandError, Content,
    DeviceId, Engine, EngineError, Evidence, Expired, Finding, GroupId, GroupView, HYBRID,
    KeyPolicy, MAX_CONTENT, Member, MessageExpiration, Name, NameError, News, Optionality, Output,
    Peek, PeekError, Peeked, PeekedGroup, PeekedMessage, Phase, Problem, Reason, Reply, Request,
    RoomChange, RoomPolicy, Roster, SUITES, Setup, StatusNotificationPolicy, Who,
    certificate_request, epoch_code, is_post_quantum, member_code, pair_code, suite_name,
    suite_number,
};
pub use conclave_history::{Body, Entry};
pub use engine_rows::{kept_by_messenger, message_kept_by_messenger};
pub use error::RunError;
pub use expiry::{choose_expiry, expires_at};
pub use files::{read_at_most, write_new, write_private};
pub use headless::{Headless, open_device};
pub use lines::{
    ChatCommand, ChosenExpiry, Command, Did, DraftCommand, FileCommand, FileShown, Input,
    LineError, MAX_LINE, ProfileCommand, ProfilePart, ProfileShown, Render, Said, Shown,
    SuiteError, escaped, find_suite, help_line, help_text, optionality_word, parse_duration,
    parse_line, plain, policy_sentence, suite_list, timestamp, unescaped,
};
pub use messenger::Messenger;
pub use mimi::{MimiMessage, Texts, mentions_in, text_of};
pub use peeking::peek;
pub use profiles::{
    PictureChange, ProfileChange, ProfileNews, ProfileRefusal, ProfileView, Profiles,
};
pub use service::{Arrived, Take, client, now, os_rng};
pub use shell::{Ended, Message, Options, Screen, run};
