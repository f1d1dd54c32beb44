//! What users say of themselves, as lines: always beside the user's name, and in quotation marks.

use super::files::{first_word, size_text};
use super::text::{escaped, plain, split_word};
use conclave_delivery_api::Name;

/// Something about a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileCommand {
    /// Show somebody's; the user's own, if nobody is named.
    Show(Option<Name>),
    /// Give the user this display name.
    Name(String),
    /// Give the user the picture in this file.
    Picture(String),
    /// Take back name and picture.
    Remove,
    /// Save somebody's picture.
    Save {
        /// Whose.
        user: Name,
        /// To which file, which is new.
        path: String,
    },
}

const USAGE: &str = "/profile [USER], /profile name TEXT, /profile picture FILE, /profile remove, or /profile USER save PATH, \
                     with quotes around a file's name that has spaces";

/// Reads a line; none if it is another command. The error is the command's usage.
pub(super) fn parse_profile(line: &str) -> Option<Result<ProfileCommand, &'static str>> {
    let rest = line.strip_prefix("/profile")?;
    if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
        return None;
    }
    Some(parse(rest.trim()).ok_or(USAGE))
}

fn parse(rest: &str) -> Option<ProfileCommand> {
    let (word, rest) = split_word(rest);
    // A path with nothing behind it.
    let path = |rest| first_word(rest).filter(|(_, rest)| rest.is_empty()).map(|(path, _)| path);
    match (word, rest) {
        ("", _) => Some(ProfileCommand::Show(None)),
        ("name", "") => None,
        ("name", text) => Some(ProfileCommand::Name(text.into())),
        ("picture", file) => path(file).map(ProfileCommand::Picture),
        ("remove", "") => Some(ProfileCommand::Remove),
        (user, "") => Some(ProfileCommand::Show(Some(user.parse().ok()?))),
        (user, rest) => {
            let path = path(rest.strip_prefix("save")?.strip_prefix(char::is_whitespace)?.trim())?;
            Some(ProfileCommand::Save { user: user.parse().ok()?, path })
        }
    }
}

/// A user's profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileShown {
    /// Whose.
    pub user: Name,
    /// Whether it is the user's own.
    pub own: bool,
    /// The display name; empty for none.
    pub name: String,
    /// The picture's media type and size.
    pub picture: Option<(&'static str, u64)>,
    /// What of it is new; none if it is shown because somebody has asked.
    pub changed: Option<ProfilePart>,
}

/// What of a profile is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfilePart {
    /// The name, perhaps with the picture.
    Name,
    /// The picture.
    Picture,
}

/// A display name, to stand beside the name of its user.
pub(super) fn quoted(name: &str) -> String {
    format!("“{}”", plain(name))
}

/// The display name of somebody in a list, for scripts: one more line, or nothing.
pub(super) fn called_line(group: &str, user: &str, called: &str) -> String {
    match called {
        "" => String::new(),
        called => format!("\ncalled {group} {user} {}", escaped(called)),
    }
}

impl ProfileShown {
    /// For scripts: the group in which it came or a dash, the user, the picture's media type and size or dashes, and the name.
    pub(super) fn to_line(&self, group: &str) -> String {
        let picture = self.picture.map_or("- -".into(), |(media, size)| format!("{media} {size}"));
        let (user, name) = (&self.user, escaped(&self.name));
        format!("profile {group} {user} {picture} {name}").trim_end().to_string()
    }

    pub(super) fn to_text(&self, group: &str) -> String {
        let user = &self.user;
        let (is, has) = if self.own {
            ("you are".to_string(), "you have".to_string())
        } else {
            (format!("{user} is"), format!("{user} has"))
        };
        let name = if self.name.is_empty() {
            format!("{has} no display name")
        } else {
            format!("{is} shown as {}", quoted(&self.name))
        };

        let Some(changed) = self.changed else {
            let picture = self.picture.map_or(String::new(), |(media, size)| {
                let size = size_text(size);
                format!("; picture: {media}, {size} (/profile {user} save PATH)")
            });
            return format!("  {name}{picture}");
        };
        let what = match changed {
            ProfilePart::Name if self.name.is_empty() => format!("{name} now"),
            ProfilePart::Name => name,
            ProfilePart::Picture if self.picture.is_some() => {
                format!("{has} a new picture: /profile {user} save PATH saves it")
            }
            ProfilePart::Picture => format!("{has} no picture now"),
        };
        if group.is_empty() { format!("* {what}") } else { format!("{group} * {what}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_set_shown_and_saved_by_one_command() {
        let parsed = |line: &str| parse_profile(line).and_then(Result::ok);
        let alice: Name = "alice".parse().unwrap();
        assert_eq!(parsed("/profile"), Some(ProfileCommand::Show(None)));
        assert_eq!(parsed("/profile alice"), Some(ProfileCommand::Show(Some(alice.clone()))));
        let name = "Alice  L.".to_string();
        assert_eq!(parsed("/profile name Alice  L."), Some(ProfileCommand::Name(name)));
        let file = "my face.png".to_string();
        assert_eq!(parsed("/profile picture 'my face.png'"), Some(ProfileCommand::Picture(file)));
        assert_eq!(parsed("/profile remove"), Some(ProfileCommand::Remove));
        let path = "a b.png".to_string();
        let save = ProfileCommand::Save { user: alice, path };
        assert_eq!(parsed("/profile alice save \"a b.png\""), Some(save));
        for wrong in [
            "/profile name",
            "/profile name ",
            "/profile picture",
            "/profile picture a b",
            "/profile Alice",
            "/profile alice save",
            "/profile alice saves x",
            "/profile alice save a b",
        ] {
            assert_eq!(parse_profile(wrong), Some(Err(USAGE)), "{wrong}");
        }
        assert_eq!(parse_profile("/profiles"), None);
    }

    #[test]
    fn a_name_stands_in_quotes_beside_the_user_whose_it_is() {
        let shown = |name: &str, changed| ProfileShown {
            user: "alice".parse().unwrap(),
            own: false,
            name: name.into(),
            picture: Some(("image/png", 2048)),
            changed,
        };
        let new = shown("bob/phone", Some(ProfilePart::Name));
        assert_eq!(new.to_text("g"), "g * alice is shown as “bob/phone”");
        assert_eq!(new.to_line("g"), "profile g alice image/png 2048 bob/phone");
        assert_eq!(
            shown("Al", None).to_text(""),
            "  alice is shown as “Al”; picture: image/png, 2.0 KiB (/profile alice save PATH)"
        );
        let gone = ProfileShown { picture: None, ..shown("", Some(ProfilePart::Name)) };
        assert_eq!(gone.to_text("g"), "g * alice has no display name now");
        assert_eq!(gone.to_line("g"), "profile g alice - -");
        // What is not fit to show does not come so far; if it did, it would be escaped.
        let line = shown("a\nb\u{202e}", None).to_line("g");
        assert_eq!(line, "profile g alice image/png 2048 a\\nb\\u{202e}");
    }
}
