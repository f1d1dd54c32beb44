//! Where settings come from: a flag counts more than a variable, that more than the file, that more than the default.

use super::settings::{Setting, Settings, TABLE};
use clap::{Arg, ArgMatches, Command};
use core::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The variable that names the file.
pub(super) const CONFIG_VARIABLE: &str = "CONCLAVE_CONFIG";

/// What was said on the command line, by a setting's place in the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags(Vec<(usize, String)>);

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        TABLE.iter().fold(command, |command, setting| {
            let default = setting.default();
            let help = match default {
                Some(default) => {
                    format!("{} [default: {}]", setting.help(), default.trim_matches('"'))
                }
                _ => setting.help().to_string(),
            };
            let arg = Arg::new(setting.name)
                .long(setting.name)
                .value_name(setting.placeholder)
                .help(help)
                .help_heading(setting.section);
            command.arg(match setting.is_switch {
                true => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                false => arg,
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = TABLE.iter().enumerate().filter_map(|(at, setting)| {
            Some((at, matches.get_one::<String>(setting.name)?.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    /// A line of the file.
    File(PathBuf, usize),
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// What is in force, and from where: one source for each row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    pub(crate) settings: Settings,
    pub(crate) sources: Vec<Source>,
}

/// A file of settings, as it was read.
pub(crate) struct File<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
}

impl File<'_> {
    /// The number of the line that has this byte.
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn source(&self, span: Range<usize>) -> Source {
        Source::File(self.path.to_path_buf(), self.line(span.start))
    }

    /// What the file says, by the settings' places; and what is wrong in it.
    fn read(&self) -> (Vec<(usize, Source, String)>, Vec<String>) {
        let (mut said, mut wrong) = (Vec::new(), Vec::new());
        let table = match DeTable::parse(self.text) {
            Ok(table) => table,
            Err(e) => {
                let source = self.source(e.span().unwrap_or_default());
                wrong.push(format!("{source}: this is no TOML: {}", e.message()));
                return (said, wrong);
            }
        };
        for (key, value) in table.get_ref() {
            let source = self.source(key.span());
            let name: &str = key.get_ref();
            let Some(at) = TABLE.iter().position(|setting| setting.name == name) else {
                wrong.push(format!(
                    "{source}: there is no setting {name:?}: `conclave serve --check` lists all"
                ));
                continue;
            };
            match text(value.get_ref()) {
                Some(text) => said.push((at, source, text)),
                None => wrong.push(format!(
                    "{source}: {name} takes a text, a number, true or false, or a list of texts; tables have no place here"
                )),
            }
        }
        (said, wrong)
    }
}

/// A value of the file as it would be written after a flag.
fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().replace('_', "")),
        DeValue::Boolean(switch) => Some(switch.to_string()),
        DeValue::Array(list) => {
            let texts = list.iter().map(|item| item.get_ref().as_str());
            texts.collect::<Option<Vec<&str>>>().map(|texts| texts.join(","))
        }
        _ => None,
    }
}

/// Puts all sources together. What is wrong is told at once, one sentence each.
pub(crate) fn gather(
    flags: &Flags,
    variable: impl Fn(&str) -> Option<String>,
    file: Option<&File<'_>>,
) -> Result<Gathered, Vec<String>> {
    let (mut said, mut wrong) = file.map(File::read).unwrap_or_default();
    for (at, setting) in TABLE.iter().enumerate() {
        let name = setting.variable();
        said.extend(variable(&name).map(|text| (at, Source::Variable(name), text)));
    }
    let flags = flags
        .0
        .iter()
        .filter_map(|(at, text)| Some((*at, Source::Flag(TABLE.get(*at)?.name), text.clone())));
    said.extend(flags);

    // The later ones count. One that is overruled has to be right all the same.
    let mut settings = Settings::default();
    let mut sources = vec![Source::Default; TABLE.len()];
    for (at, source, text) in said {
        let Some(Setting { name, set, .. }) = TABLE.get(at) else { continue };
        match set(&mut settings, &text) {
            Ok(()) => {
                if let Some(place) = sources.get_mut(at) {
                    *place = source;
                }
            }
            Err(why) => wrong.push(match source {
                Source::File(..) => format!("{source}: {name}: {why}"),
                _ => format!("{source}: {why}"),
            }),
        }
    }
    if wrong.is_empty() { Ok(Gathered { settings, sources }) } else { Err(wrong) }
}

impl Gathered {
    /// A file of settings that says all that is in force, and in comments what it is for and where it comes from.
    pub(crate) fn to_toml(&self) -> String {
        use std::fmt::Write;

        let mut text = String::from(
            "# What is in force. This is a file for `conclave serve --config`, too.\n",
        );
        let mut section = "";
        for (setting, source) in TABLE.iter().zip(&self.sources) {
            if setting.section != section {
                section = setting.section;
                let _ = write!(text, "\n# {section}\n# {}\n", "-".repeat(section.len()));
            }
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{}", wrapped(setting.help()));
            let name = setting.name;
            let _ = match (setting.get)(&self.settings) {
                Some(value) => writeln!(text, "{name} = {value}  # from: {source}"),
                None => writeln!(text, "# {name} =  # not set"),
            };
        }
        text
    }
}

/// A sentence as lines of a comment.
fn wrapped(sentence: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in sentence.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 100 => *line += &format!(" {word}"),
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File<'_> {
        File { path: Path::new("conclave.toml"), text }
    }

    fn flag(name: &str, text: &str) -> Flags {
        let at = TABLE.iter().position(|setting| setting.name == name).unwrap();
        Flags(vec![(at, text.into())])
    }

    fn variable(text: &'static str) -> impl Fn(&str) -> Option<String> {
        move |name| (name == "CONCLAVE_PUBLISH_EVERY").then(|| text.to_string())
    }

    #[test]
    fn a_flag_counts_more_than_a_variable_and_that_more_than_the_file() {
        let in_file = file("# x\npublish-every = 3\n");
        let none = Flags::default();
        let found = |flags: &Flags, variable: &dyn Fn(&str) -> Option<String>, file| {
            let Gathered { settings, sources } = gather(flags, variable, file).unwrap();
            let mut said = sources.iter().filter(|source| **source != Source::Default);
            (settings.publish_every.as_secs(), said.next().unwrap_or(&Source::Default).to_string())
        };
        let unset = |_: &str| None;
        assert_eq!(found(&none, &unset, None), (10, "default".into()));
        assert_eq!(found(&none, &unset, Some(&in_file)), (3, "conclave.toml:2".into()));
        let said = found(&none, &variable("4 s"), Some(&in_file));
        assert_eq!(said, (4, "CONCLAVE_PUBLISH_EVERY".into()));
        let said = found(&flag("publish-every", "5"), &variable("4 s"), Some(&in_file));
        assert_eq!(said, (5, "--publish-every".into()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_all_at_once() {
        let text = "\npublish-evry = 3\nsession = \"soon\"\nlisten = 80\n[limits]\ndevices = 3\n";
        let none = Flags::default();
        let wrong = gather(&none, |_| None, Some(&file(text))).unwrap_err().join("\n");
        for place in [
            "conclave.toml:2: there is no setting \"publish-evry\"",
            "conclave.toml:3: session: \"soon\" is no time: write seconds",
            "conclave.toml:4: listen: \"80\" is no address",
            "conclave.toml:5: there is no setting \"limits\"",
        ] {
            assert!(wrong.contains(place), "{place}: {wrong}");
        }
        let broken = gather(&none, |_| None, Some(&file("a = 1\nb = = 2\n"))).unwrap_err();
        assert!(broken[0].starts_with("conclave.toml:2: this is no TOML"), "{broken:?}");
        let twice = gather(&none, |_| None, Some(&file("devices = 1\ndevices = 2\n"))).unwrap_err();
        assert!(twice[0].starts_with("conclave.toml:2: "), "{twice:?}");
        let wrong = gather(&flag("publish-every", "0"), variable("x"), None).unwrap_err();
        assert!(wrong[0].starts_with("CONCLAVE_PUBLISH_EVERY: \"x\" is no time"), "{wrong:?}");
        assert!(
            wrong[1].starts_with("--publish-every: 0 is out of range: write 1 to"),
            "{wrong:?}"
        );
    }

    #[test]
    fn what_is_shown_is_a_file_that_says_the_same() {
        let said = "listen = \"[::1]:80\"\ndata = \"/a \\\"b\\\"\"\nsessions = 7\nmax-body = 70_000\nlog-names = true\n";
        let first = gather(&Flags::default(), |_| None, Some(&file(said))).unwrap();
        let shown = first.to_toml();
        let again = gather(&Flags::default(), |_| None, Some(&file(&shown))).unwrap();
        assert_eq!(again.settings, first.settings);
        assert!(shown.contains("sessions = 7  # from: conclave.toml:3\n"), "{shown}");
        assert!(shown.lines().all(|line| line.len() < 120), "{shown}");
    }
}
