//! What a user types and is shown: lines.
//!
//! The engine's own tests include this folder, too: they speak and read as users do. So it names the engine by its
//! crate's name, and its own files by `super`.

mod chat;
mod command;
mod expiring;
mod files;
mod listed;
mod output;
mod profiles;
mod rooms;
mod said;
mod shown;
mod suites;
mod text;
mod time;

pub use chat::{ChatCommand, DraftCommand};
pub use command::{Command, Input, LineError, MAX_LINE, help_line, help_text, parse_line};
pub use expiring::ChosenExpiry;
pub use files::{FileCommand, FileShown};
pub use output::Render;
pub use profiles::{ProfileCommand, ProfilePart, ProfileShown};
pub use rooms::{optionality_word, policy_sentence};
pub use said::{Did, Said};
pub use shown::Shown;
pub use suites::{SuiteError, find_suite, suite_list};
pub use text::{escaped, plain, unescaped};
pub use time::{parse_duration, timestamp};
