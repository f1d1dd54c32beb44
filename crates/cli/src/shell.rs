//! `conclave completions` and `conclave man`: made of the definition that the command line is read by.

use crate::failure::Failure;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

/// Where shells look for it.
const PLACES: &str = "\
  bash        conclave completions bash > ~/.local/share/bash-completion/completions/conclave
  zsh         conclave completions zsh > _conclave     in a folder of $fpath
  fish        conclave completions fish > ~/.config/fish/completions/conclave.fish
  powershell  conclave completions powershell | Out-String | Invoke-Expression";

#[derive(Debug, clap::Args)]
#[command(after_help = PLACES)]
pub(crate) struct Completions {
    /// Which shell.
    shell: Shell,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
  conclave man admin invite | man -l -
  conclave man --out ~/.local/share/man/man1      all pages; then `man conclave-admin-invite`")]
pub(crate) struct ManPage {
    /// Of which command: its words, as in `conclave man admin invite` [default: of conclave itself].
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Vec<String>,
    /// Write the pages of all commands into this folder instead, which is made unless it is there.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints what makes a shell complete command lines.
pub(crate) fn complete(args: &Completions, mut command: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "conclave", &mut script);
    stdout().write_all(&script)?;
    Ok(())
}

/// Prints a page of the manual, or writes all.
pub(crate) fn man(args: &ManPage, command: Command) -> Result<(), Failure> {
    let command = built(command);
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder)
            .map_err(|e| format!("{} cannot be made: {e}", folder.display()))?;
        return write_pages(&command, folder);
    }
    let mut named = &command;
    for word in &args.command {
        named = named
            .find_subcommand(word)
            .ok_or_else(|| format!("there is no command {:?}", args.command.join(" ")))?;
    }
    stdout().write_all(&page(named)?)?;
    Ok(())
}

/// A command whose subcommands know their names. What `help` repeats has no page.
fn built(command: Command) -> Command {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    command
}

fn page(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}

fn write_pages(command: &Command, folder: &Path) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let file = folder.join(format!("{name}.1"));
    let unwritten = |e: std::io::Error| format!("{} cannot be written: {e}", file.display());
    std::fs::write(&file, page(command)?).map_err(unwritten)?;
    command.get_subcommands().try_for_each(|command| write_pages(command, folder))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::Cli;
    use clap::{CommandFactory, ValueEnum};

    /// Every command with its words, and its options.
    fn commands(command: &Command, words: &str, all: &mut Vec<(String, Vec<String>, Command)>) {
        let words = format!("{words} {}", command.get_name()).trim().to_string();
        let options = command.get_arguments().filter(|arg| !arg.is_hide_set());
        let options = options.filter_map(|arg| arg.get_long().map(|long| format!("--{long}")));
        all.push((words.clone(), options.collect(), command.clone()));
        command.get_subcommands().for_each(|command| commands(command, &words, all));
    }

    fn all() -> Vec<(String, Vec<String>, Command)> {
        let mut all = Vec::new();
        commands(&built(Cli::command()), "", &mut all);
        let names: Vec<&str> = all.iter().map(|(words, ..)| words.as_str()).collect();
        for known in
            ["conclave serve", "conclave ca issue", "conclave admin invite", "conclave man"]
        {
            assert!(names.contains(&known), "{names:?}");
        }
        all
    }

    /// The lines after those that are named one after another, up to one that ends them.
    fn block<'a>(script: &'a str, begin: &[String], end: &str) -> Vec<&'a str> {
        let mut lines = script.lines().map(str::trim);
        for begin in begin {
            assert!(lines.any(|line| line == begin), "{begin}");
        }
        lines.take_while(|line| *line != end).collect()
    }

    /// What a script offers after a command's words: lines, and what is in one of them for an option or a command.
    fn offers(shell: Shell, script: &str, words: &str, wanted: &str) -> bool {
        let words: Vec<&str> = words.split(' ').collect();
        let joined = words.join("__subcmd__").replace('-', "__subcmd__");
        let any = |lines: Vec<&str>, forms: &[String]| {
            lines.iter().any(|line| forms.iter().any(|form| line.contains(form.as_str())))
        };
        match shell {
            Shell::Bash => {
                let lines = block(script, &[format!("{joined})")], ";;");
                let opts = lines.iter().find_map(|line| line.strip_prefix("opts=\""));
                opts.unwrap().trim_end_matches('"').split(' ').any(|word| word == wanted)
            }
            Shell::Elvish => {
                let lines = block(script, &[format!("&'{}'= {{", words.join(";"))], "}");
                lines.iter().any(|line| line.starts_with(&format!("cand {wanted} ")))
            }
            Shell::PowerShell => {
                let lines = block(script, &[format!("'{}' {{", words.join(";"))], "break");
                any(lines, &[format!("::new('{wanted}',")])
            }
            Shell::Fish => {
                let place = match words[..] {
                    [_] => "__fish_conclave_needs_command\"".into(),
                    [_, one] => format!("__fish_conclave_using_subcommand {one}"),
                    [_, one, two] => format!(
                        "__fish_conclave_using_subcommand {one}; and __fish_seen_subcommand_from {two}\""
                    ),
                    _ => panic!("{words:?}"),
                };
                let place = format!("complete -c conclave -n \"{place}");
                let elsewhere = "; and __fish_seen_subcommand_from";
                let mut lines = script.lines().filter(|line| line.starts_with(&place));
                lines.any(|line| {
                    let here = words.len() != 2 || !line.contains(elsewhere);
                    here && match wanted.strip_prefix("--") {
                        Some(long) => format!("{line} ").contains(&format!(" -l {long} ")),
                        None => line.contains(&format!("-f -a \"{wanted}\"")),
                    }
                })
            }
            Shell::Zsh if !wanted.starts_with('-') => {
                let lines = block(script, &[format!("_{joined}_commands() {{")], "}");
                lines.iter().any(|line| line.starts_with(&format!("'{wanted}:")))
            }
            Shell::Zsh => {
                let state = |above: &[&str]| {
                    let above = above.join("-");
                    format!("curcontext=\"${{curcontext%:*:*}}:{above}-command-$line[1]:\"")
                };
                let begin = match words.split_last() {
                    Some((last, above)) if !above.is_empty() => {
                        vec![state(above), format!("({last})")]
                    }
                    _ => vec!["_conclave() {".into()],
                };
                let lines = block(script, &begin, "&& ret=0");
                any(lines, &[format!("{wanted}["), format!("{wanted}=[")])
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_command_and_option_is_in_the_completions_of_every_shell() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "conclave", &mut script);
            let script = String::from_utf8(script).unwrap();
            for (words, options, command) in all() {
                let below = command.get_subcommands().map(|below| below.get_name().to_string());
                for wanted in below.chain(options) {
                    assert!(offers(*shell, &script, &words, &wanted), "{shell}: {words} {wanted}");
                }
                assert!(!offers(*shell, &script, &words, "--nonsense"), "{shell}: {words}");
            }
            // What other commands take is not offered.
            assert!(!offers(*shell, &script, "conclave admin status", "--days"), "{shell}");
            assert!(!offers(*shell, &script, "conclave admin", "--days"), "{shell}");
        }
    }

    #[test]
    fn every_command_has_a_page_with_all_its_options() {
        for (words, options, command) in all() {
            let text = String::from_utf8(page(&command).unwrap()).unwrap().replace("\\-", "-");
            let title = words.replace(' ', "-");
            assert!(text.contains(&title), "{words}: {text}");
            assert!(text.contains(".SH DESCRIPTION"), "{words}");
            for option in options {
                assert!(text.contains(&option), "{words} {option}");
            }
            for below in command.get_subcommands() {
                assert!(text.contains(&format!("{title}-{}", below.get_name())), "{words}");
            }
        }
    }

    /// clap's own checks of the definition.
    #[test]
    fn the_definition_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
