//! Mentions in what people type (section 5.4), and Markdown as people read it on a line.

use crate::markdown::{FoundLink, Segment, code_and_text, found_links, is_escaped, mention};
use alloc::string::String;

/// The longest name that is looked up.
const MAX_NAME: usize = 64;

/// A text without markup as Markdown that shows the same, in which each `@name` of somebody is a mention. `uri_of`
/// returns the URI of a user who can be mentioned. None if the text mentions nobody: then it can go as it is.
///
/// A name is not part of a longer word, so an e-mail address mentions nobody. A full stop may follow it: the longest
/// beginning that is a name counts. Case does not.
#[must_use]
pub fn with_mentions(text: &str, uri_of: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 64);
    let mut is_any = false;
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        is_any |= put_line(line, uri_of, &mut out);
        if let Some(next) = lines.peek() {
            // A line end within a paragraph shows as a space unless there is a backslash.
            out.push_str(if line.trim().is_empty() || next.trim().is_empty() {
                "\n"
            } else {
                "\\\n"
            });
        }
    }
    is_any.then_some(out)
}

/// Markdown in which each `@name` of somebody is a mention, except in code and in links.
#[must_use]
pub fn with_mentions_in_markdown(
    markdown: &str,
    uri_of: &dyn Fn(&str) -> Option<String>,
) -> String {
    let mut out = String::with_capacity(markdown.len() + 64);
    for Segment { is_code, text } in code_and_text(markdown) {
        if is_code {
            out.push_str(text);
            continue;
        }
        let links = found_links(text);
        let mut links = links.iter().peekable();
        let mut at = 0;
        while let Some(found) = text.get(at..).and_then(|rest| rest.find('@')) {
            let sign = at + found;
            while links.next_if(|link| link.range.end <= sign).is_some() {}
            let is_in_link = links.peek().is_some_and(|link| link.range.start <= sign);
            let before = text.get(..sign).unwrap_or_default();
            let after = text.get(sign + 1..).unwrap_or_default();
            let named =
                if is_in_link || is_escaped(before) { None } else { named(before, after, uri_of) };
            let end = sign + 1 + named.as_ref().map_or(0, |(name, _)| name.len());
            match named {
                Some((_, uri)) => {
                    out.push_str(text.get(at..sign).unwrap_or_default());
                    out.push_str(&mention(text.get(sign..end).unwrap_or_default(), &uri));
                }
                None => out.push_str(text.get(at..end).unwrap_or_default()),
            }
            at = end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
    }
    out
}

/// Markdown as it reads without being rendered: mentions are `@name`, and what had to be escaped is not. All else stays
/// as it was written.
///
/// Only a link that shows the name of its own user becomes a name, so no link shows as what it is not.
#[must_use]
pub fn readable(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    for Segment { is_code, text } in code_and_text(markdown) {
        if is_code {
            out.push_str(text);
            continue;
        }
        let mut at = 0;
        for link in found_links(text) {
            let FoundLink { range, link } = link;
            let Some((_, user)) = link.target.rsplit_once("/u/") else { continue };
            let name = link.text.strip_prefix('@');
            let shows_user = name.is_some_and(|name| name.eq_ignore_ascii_case(user));
            if shows_user && link.target.starts_with("mimi://") && range.start >= at {
                put_unescaped(text.get(at..range.start).unwrap_or_default(), &mut out);
                out.push_str(&link.text);
                at = range.end;
            }
        }
        put_unescaped(text.get(at..).unwrap_or_default(), &mut out);
    }
    out
}

/// The name after an `@`, and the URI of its user.
fn named<'a>(
    before: &str,
    after: &'a str,
    uri_of: &dyn Fn(&str) -> Option<String>,
) -> Option<(&'a str, String)> {
    // Before an `@`, these make it part of an address, a path or a longer word.
    let joins = |c: char| c.is_alphanumeric() || "._-+@/:=&?#%".contains(c);
    if before.chars().next_back().is_some_and(joins) {
        return None;
    }
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let length = after.bytes().take(MAX_NAME + 1).take_while(|b| is_part(*b)).count();
    let rest = after.get(length..)?;
    if length > MAX_NAME || rest.starts_with(|c: char| c == '@' || c.is_alphanumeric()) {
        return None;
    }

    let mut name = after.get(..length)?;
    loop {
        if let Some(uri) = uri_of(&name.to_ascii_lowercase()).filter(|_| !name.is_empty()) {
            return Some((name, uri));
        }
        name = name.strip_suffix(['.', '_', '-'])?;
    }
}

/// Writes a line of text as Markdown. Returns whether it mentions anybody.
fn put_line(line: &str, uri_of: &dyn Fn(&str) -> Option<String>, out: &mut String) -> bool {
    let mut is_any = false;
    let mut rest = line;
    // Space at the beginning of a line may make it code.
    if let Some(space) = rest.chars().next().filter(|c| matches!(c, ' ' | '\t')) {
        out.push_str(if space == ' ' { "&#32;" } else { "&#9;" });
        rest = rest.get(1..).unwrap_or_default();
    }
    // So may a number make it a list.
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && rest.get(digits..).is_some_and(|rest| rest.starts_with(['.', ')'])) {
        out.push_str(rest.get(..digits).unwrap_or_default());
        out.push('\\');
        out.push_str(rest.get(digits..=digits).unwrap_or_default());
        rest = rest.get(digits + 1..).unwrap_or_default();
    }
    let start = line.len() - rest.len();

    let (mut is_first, mut is_url) = (digits == 0, false);
    let mut at = start;
    while let Some(c) = line.get(at..).and_then(|rest| rest.chars().next()) {
        let (before, after) = (line.get(..at).unwrap_or_default(), line.get(at + c.len_utf8()..));
        let word = line.get(at..).unwrap_or_default();
        let begins_word = before.chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        is_url |=
            begins_word && ["https://", "http://", "www."].iter().any(|b| word.starts_with(b));
        is_url &= !c.is_whitespace();
        at += c.len_utf8();
        if c == '@'
            && let Some((name, uri)) = named(before, after.unwrap_or_default(), uri_of)
        {
            out.push_str(&mention(line.get(at - 1..at + name.len()).unwrap_or_default(), &uri));
            at += name.len();
            is_any = true;
        } else {
            // Renderers take addresses as they are.
            let markup = if is_url { "\\`[]<>" } else { "\\`*_[]<>&~|" };
            let is_markup = markup.contains(c) || is_first && "#+-=".contains(c);
            if is_markup {
                out.push('\\');
            }
            out.push(c);
        }
        is_first &= c == ' ' || c == '\t';
    }
    is_any
}

/// Writes Markdown without its backslashes and character references.
fn put_unescaped(text: &str, out: &mut String) {
    const REFERENCES: [(&str, &str); 6] = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
        ("&quot;", "\""),
        ("&#32;", " "),
        ("&#9;", "\t"),
    ];
    let mut rest = text;
    while let Some(found) = rest.find(['\\', '&']) {
        let (before, mark) = rest.split_at(found);
        out.push_str(before);
        let reference = REFERENCES.iter().find(|(name, _)| mark.starts_with(name));
        let next = mark.chars().nth(1);
        rest = match (reference, next) {
            (Some((name, shown)), _) => {
                out.push_str(shown);
                mark.get(name.len()..).unwrap_or_default()
            }
            (None, Some(next))
                if mark.starts_with('\\') && (next.is_ascii_punctuation() || next == '\n') =>
            {
                out.push(next);
                mark.get(2..).unwrap_or_default()
            }
            _ => {
                out.push_str(mark.get(..1).unwrap_or_default());
                mark.get(1..).unwrap_or_default()
            }
        };
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::links;
    use alloc::format;
    use alloc::vec::Vec;

    fn uri_of(name: &str) -> Option<String> {
        ["bob", "carol.x", "d"].contains(&name).then(|| format!("mimi://a.example/u/{name}"))
    }

    fn mentioned(text: &str) -> Vec<String> {
        let markdown = with_mentions(text, &uri_of).unwrap_or_default();
        links(&markdown)
            .into_iter()
            .map(|link| link.target.rsplit_once('/').unwrap().1.into())
            .collect()
    }

    #[test]
    fn names_of_members_become_mentions_and_nothing_else_does() {
        for (text, expected) in [
            ("@bob hi", &["bob"][..]),
            ("hi @bob.", &["bob"]),
            ("(@bob, @Carol.X!) @d...", &["bob", "carol.x", "d"]),
            ("one\n@bob\n\n@d", &["bob", "d"]),
            ("é@bob", &[]),
            ("mail bob@bob or x.@bob, a/@bob", &[]),
            ("@bob@b.example @bobby @bobé @ @nobody @", &[]),
            ("no names", &[]),
        ] {
            assert_eq!(mentioned(text), expected, "{text}");
            assert_eq!(with_mentions(text, &uri_of).is_some(), !expected.is_empty(), "{text}");
        }
        let long = format!("@{}", "d".repeat(100));
        assert_eq!(with_mentions(&long, &uri_of), None);
    }

    #[test]
    fn what_was_typed_around_a_mention_reads_as_it_was() {
        for text in [
            "@bob *not bold* _x_ `code` <b> [a](b) &amp; \\ ~~x~~ a|b",
            "# @bob\n- one\n+ two\n1. three\n2) four\n    five\n\tsix\n===\n> seven",
            "one\ntwo\n\n\nthree @d\n",
            "```\n@bob\n```",
            "![x](y) @bob https://example.org/a_b_c?d=e&f#g",
        ] {
            let markdown = with_mentions(text, &uri_of).unwrap();
            assert_eq!(readable(&markdown), text, "{markdown}");
            assert_eq!(links(&markdown).len(), 1, "{markdown}");
            assert_eq!(crate::markdown::without_html(&markdown), markdown);
        }
    }

    #[test]
    fn markdown_keeps_its_markup_and_its_code_and_links_mention_nobody() {
        let sent = with_mentions_in_markdown(
            "**@bob** `@bob` [@bob](https://x) <https://x/@bob> \\@bob @d\n```\n@bob\n```",
            &uri_of,
        );
        let expected = "**[\\@bob](mimi://a.example/u/bob)** `@bob` [@bob](https://x) <https://x/@bob> \\@bob \
                        [\\@d](mimi://a.example/u/d)\n```\n@bob\n```";
        assert_eq!(sent, expected);
    }

    #[test]
    fn no_link_reads_as_a_name_that_it_does_not_lead_to() {
        for (markdown, text) in [
            ("[@bob](mimi://a.example/u/bob) **hi**", "@bob **hi**"),
            ("[@bob](mimi://a.example/u/eve)", "[@bob](mimi://a.example/u/eve)"),
            ("[@bob](https://a.example/u/bob)", "[@bob](https://a.example/u/bob)"),
            ("[bob](mimi://a.example/u/bob)", "[bob](mimi://a.example/u/bob)"),
            ("\\*a\\* &lt;b> &copy; \\x `\\*`", "*a* <b> &copy; \\x `\\*`"),
        ] {
            assert_eq!(readable(markdown), text);
        }
    }

    #[test]
    fn hostile_text_takes_little_time() {
        for unit in ["@", "@d", "[@d](mimi://a/u/d)", "@d.", "\\", "&", "@-"] {
            let text = unit.repeat(100_000 / unit.len());
            let _ = (with_mentions(&text, &uri_of), readable(&text));
            let _ = with_mentions_in_markdown(&text, &uri_of);
        }
    }
}
