//! How commands end: one table, from which `conclave --help` and docs/command-line.md are made; a test holds the help
//! of each command to its codes.

use std::fmt::Write;

/// `chat`, `send`: something was refused.
pub(crate) const REFUSED: u8 = 3;
/// `chat`, `send`: something is not done yet.
pub(crate) const PENDING: u8 = 4;
/// `listen`: there were fewer events than were asked for.
pub(crate) const TOO_FEW: u8 = 3;
/// `audit`: the service has lied.
pub(crate) const LIED: u8 = 3;
/// `audit`: the service withholds something.
pub(crate) const WITHHELD: u8 = 4;
/// `peek`: nothing waits.
pub(crate) const NOTHING: u8 = 3;
/// `doctor`: something was found.
pub(crate) const FOUND: u8 = 3;
/// `validate`: something is not valid.
pub(crate) const NOT_VALID: u8 = 3;
/// `inspect`: something cannot be read to its end.
pub(crate) const NOT_READABLE: u8 = 3;

/// A code of a command, and what it means.
struct Ending {
    /// The command; empty for all commands.
    command: &'static str,
    code: u8,
    means: &'static str,
}

const fn ending(command: &'static str, code: u8, means: &'static str) -> Ending {
    Ending { command, code, means }
}

/// Those of all commands, then those that commands have beside them.
const ENDINGS: [Ending; 16] = [
    ending("", 0, "done"),
    ending("", 1, "failed; standard error says why"),
    ending("", 2, "an option or argument is wrong"),
    ending("chat", REFUSED, "something in the input was refused"),
    ending("chat", PENDING, "something is not done yet, and kept for the next time"),
    ending("send", REFUSED, "there is no such room, or the message may not be sent there"),
    ending("send", PENDING, "the service does not have the message yet; it is kept"),
    ending("save", REFUSED, "there is no such room, message or file, or it is not what was sent"),
    ending("save", PENDING, "not all of the file is there yet; it goes on later"),
    ending("listen", TOO_FEW, "there were fewer events than were asked for"),
    ending("peek", NOTHING, "nothing waits"),
    ending("doctor", FOUND, "something is not as it should be"),
    ending("audit", LIED, "the service has lied; the evidence is in a file"),
    ending("audit", WITHHELD, "the service withholds a root or a proof"),
    ending("validate", NOT_VALID, "something is not valid"),
    ending("inspect", NOT_READABLE, "a file is not readable to its end"),
];

/// The table for `conclave --help`.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for Ending { command, code, means } in &ENDINGS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {code}  {command:<9}{means}");
    }
    text.push_str("A service that a second signal ends has 128 and the signal's number.");
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::Cli;
    use crate::pages::page_has;
    use clap::CommandFactory;
    use std::collections::BTreeSet;

    /// The table as Markdown.
    fn rows() -> String {
        let mut text = String::from("| command | code | what it means |\n|---|---|---|\n");
        for Ending { command, code, means } in &ENDINGS {
            let command = if command.is_empty() { "all".into() } else { format!("`{command}`") };
            let _ = writeln!(text, "| {command} | {code} | {means} |");
        }
        text
    }

    #[test]
    fn the_page_has_this_table_of_exit_codes() {
        page_has("command-line.md", "exit codes", &format!("\n{}\n", rows()), "exit_codes");
    }

    /// Every code of a command is in its own help, and a command that has codes of its own is in the table.
    #[test]
    fn each_command_says_its_own_codes() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let own: BTreeSet<u8> = ENDINGS
                .iter()
                .filter(|ending| ending.command == command.get_name())
                .map(|ending| ending.code)
                .collect();
            let Some((_, codes)) = more.split_once("Exit codes:") else {
                assert!(own.is_empty(), "{}", command.get_name());
                continue;
            };
            let said = codes.split(|c: char| !c.is_ascii_digit());
            let said: BTreeSet<u8> =
                said.filter_map(|n| n.parse().ok()).filter(|n| *n > 2).collect();
            assert_eq!(said, own, "{}", command.get_name());
        }
        let names: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
        assert!(ENDINGS.iter().all(|e| e.command.is_empty() || names.contains(&e.command)));
    }
}
