//! What the service says of its work, on standard error: a line for each event, as text or as JSON.
//!
//! A line at `debug` for each request, at `info` for what the server does by itself, at `warn` for what fails. It names
//! no user, device or group unless it is told to; contents and tokens never come here.

use conclave_client::{plain, timestamp};
use conclave_delivery::http::Observed;
use conclave_delivery_api::ErrorCode;
use std::io::Write;
use std::time::SystemTime;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// `TIME LEVEL EVENT KEY=VALUE...`
    Text,
    /// One object a line.
    Json,
}

/// How much is said: each says what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Warn,
    Info,
    Debug,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// A value of a line.
enum Field {
    Text(String),
    Number(u64),
}

/// Writes lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: Level,
    /// Whether users, devices and groups are named.
    pub(crate) names: bool,
}

impl Log {
    /// A request, or something that the server did by itself.
    pub(crate) fn observed(self, observed: &Observed) {
        let (level, line) = self.observed_line(observed);
        self.write(level, || line);
    }

    /// Something that the process does.
    pub(crate) fn say(self, level: Level, event: &'static str, what: &str) {
        self.write(level, || vec![("event", text(event)), ("what", text(what))]);
    }

    fn observed_line(self, observed: &Observed) -> (Level, Vec<(&'static str, Field)>) {
        let failed = match observed.code {
            Some(code) => code == ErrorCode::Unavailable,
            None => observed.status != 200,
        };
        let Some(id) = observed.id else {
            let level = if failed { Level::Warn } else { Level::Info };
            // When certificates end, it says whose.
            let shown = observed.operation != "certificates" || failed || self.names;
            let mut line = vec![("event", text(observed.operation))];
            if shown {
                line.push(("what", text(&observed.summary)));
            }
            return (level, line);
        };

        let mut line = vec![("event", text("request")), ("id", text(id.to_string()))];
        line.push(("call", text(observed.operation)));
        line.push(("status", Field::Number(observed.status.into())));
        line.extend(observed.code.map(|code| ("code", text(code.name()))));
        line.extend(observed.limit.map(|limit| ("limit", text(limit))));
        let millis =
            observed.elapsed.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        line.extend(millis.map(|millis| ("ms", Field::Number(millis))));
        line.push(("request_bytes", Field::Number(observed.request_bytes as u64)));
        line.push(("reply_bytes", Field::Number(observed.reply_bytes as u64)));
        line.extend(observed.address.map(|address| ("address", text(address.to_string()))));
        if self.names {
            line.extend(observed.who.as_ref().map(|who| ("device", text(who.to_string()))));
        }
        // What fails here is no caller's doing, and names none.
        if self.names || failed {
            line.push(("what", text(&observed.summary)));
        }
        (if failed { Level::Warn } else { Level::Debug }, line)
    }

    fn write(self, level: Level, line: impl FnOnce() -> Vec<(&'static str, Field)>) {
        if level > self.level {
            return;
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = timestamp(now.as_secs());
        let line = render(self.format, &time, level, &line());
        // If that is gone, there is nowhere left to say it.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

fn text(text: impl Into<String>) -> Field {
    Field::Text(text.into())
}

fn render(format: LogFormat, time: &str, level: Level, line: &[(&'static str, Field)]) -> String {
    let level = level.name();
    match format {
        LogFormat::Text => {
            let mut shown = format!("{time} {level}");
            for (key, value) in line {
                shown += &match value {
                    Field::Text(text) if *key == "event" => format!(" {text}"),
                    Field::Text(text) if text.contains([' ', '"', '=']) => {
                        format!(" {key}=\"{}\"", plain(text).replace('"', "'"))
                    }
                    Field::Text(text) => format!(" {key}={}", plain(text)),
                    Field::Number(number) => format!(" {key}={number}"),
                };
            }
            shown + "\n"
        }
        LogFormat::Json => {
            let mut shown = format!("{{\"time\":{},\"level\":\"{level}\"", json(time));
            for (key, value) in line {
                shown += &match value {
                    Field::Text(text) => format!(",\"{key}\":{}", json(text)),
                    Field::Number(number) => format!(",\"{key}\":{number}"),
                };
            }
            shown + "}\n"
        }
    }
}

/// A text as JSON writes it.
fn json(text: &str) -> String {
    let mut shown = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            // Besides what has to be, what would disturb a terminal.
            c if c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c) => {
                shown += &format!("\\u{:04x}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_in_either_format() {
        let line = [
            ("event", text("tls")),
            ("what", text("a \"b\"\nc \u{1b}[31m \u{202e}")),
            ("id", text("12-3")),
            ("ms", Field::Number(4)),
        ];
        let shown = render(LogFormat::Json, "now", Level::Warn, &line);
        assert_eq!(
            shown,
            "{\"time\":\"now\",\"level\":\"warn\",\"event\":\"tls\",\
             \"what\":\"a \\\"b\\\"\\u000ac \\u001b[31m \\u202e\",\"id\":\"12-3\",\"ms\":4}\n"
        );
        let shown = render(LogFormat::Text, "now", Level::Info, &line);
        assert!(shown.starts_with("now info tls what=\"a 'b'"), "{shown}");
        assert!(shown.ends_with("id=12-3 ms=4\n"), "{shown}");
        assert!(shown.trim_end().chars().all(|c| !c.is_control()), "{shown}");
    }
}
