//! As much of Markdown as a messenger needs without rendering it: what is code, tags that must not be sent (section
//! 7.1.1), and links (section 9.5).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

/// The most octets of a link's target.
const MAX_TARGET: usize = 1024;

/// Markdown whose HTML tags show as text: their opening `<` is written as `&lt;`, as a sender has to (section 7.1.1).
///
/// Code in fences and in backticks stays as it is, since it holds no tags. Where `<` cannot begin a tag, nothing
/// changes; where it might, it is replaced, which nobody sees.
#[must_use]
pub fn without_html(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    for Segment { is_code, text } in code_and_text(markdown) {
        if is_code {
            out.push_str(text);
            continue;
        }
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            out.push_str(before);
            let begins_tag =
                after.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c));
            let replaced = begins_tag && !is_escaped(before) && autolink(after).is_none();
            out.push_str(if replaced { "&lt;" } else { "<" });
            rest = after;
        }
        out.push_str(rest);
    }
    out
}

/// Markdown that shows this text as it is, on one line.
#[must_use]
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

/// A mention of a user or a room by its URI (section 5.4). The name is a hint to the receiver.
#[must_use]
pub fn mention(name: &str, uri: &str) -> String {
    let mut out = alloc::format!("[{}](", literal(name));
    for byte in uri.bytes() {
        // What would end the link, or is in no URI.
        if byte.is_ascii_graphic() && !b"<>()\\\"".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&alloc::format!("%{byte:02X}"));
        }
    }
    out.push(')');
    out
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What the sender wants it to show as, as Markdown without its backslashes.
    pub text: String,
    /// Where it leads. It is a mention if this is the URI of a member of the group.
    pub target: String,
}

impl Link {
    /// Whether the text says where the link leads: it is the target, or the target without its scheme `https` or that
    /// scheme's port. For others, a user should be asked before the link is followed (section 9.5).
    #[must_use]
    pub fn shows_target(&self) -> bool {
        let text = self.text.trim();
        let shown = if text.contains("://") { text } else { &alloc::format!("https://{text}") };
        text == self.target || without_port(shown) == without_port(&self.target)
    }
}

/// A URL without the port that `https` has anyway.
fn without_port(url: &str) -> String {
    let Some(rest) = url.strip_prefix("https://") else { return url.into() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    alloc::format!("https://{}{path}", authority.strip_suffix(":443").unwrap_or(authority))
}

/// The links of a text, `[text](target)` and `<scheme:target>`, in the order in which they end. Code holds none, and images are none.
/// Targets of more than 1024 octets, and links by reference, are left out.
#[must_use]
pub fn links(markdown: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for segment in code_and_text(markdown).into_iter().filter(|segment| !segment.is_code) {
        let found = found_links(segment.text).into_iter();
        links.extend(found.map(|found| found.link));
    }
    links
}

/// A link, and where it stands in its text.
pub(crate) struct FoundLink {
    pub(crate) range: Range<usize>,
    pub(crate) link: Link,
}

/// The links of a text without code.
pub(crate) fn found_links(text: &str) -> Vec<FoundLink> {
    let (mut links, mut open) = (Vec::new(), Vec::new());
    for (at, mark) in text.match_indices(['<', '[', ']']) {
        let (before, after) =
            (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
        if is_escaped(before) {
            continue;
        }
        match mark {
            "<" => links.extend(autolink(after).map(|uri| FoundLink {
                range: at..at + uri.len() + 2,
                link: Link { text: uri.into(), target: uri.into() },
            })),
            "[" => open.push(at),
            _ => {
                let Some(start) = open.pop() else { continue };
                let is_image = text.get(..start).is_some_and(|text| text.ends_with('!'));
                let found = after.strip_prefix('(').and_then(target);
                if let (false, Some((target, length))) = (is_image, found) {
                    let label = without_backslashes(text.get(start + 1..at).unwrap_or_default());
                    let range = start..at + 2 + length;
                    links.push(FoundLink { range, link: Link { text: label, target } });
                    // No link contains another.
                    open.clear();
                }
            }
        }
    }
    links
}

/// The target of a link, behind its opening bracket, and how long the rest of the link is: without a title, if it has
/// one.
fn target(rest: &str) -> Option<(String, usize)> {
    let space = rest.len() - rest.trim_start().len();
    let rest = rest.trim_start();
    let is_closed = |end: usize| usize::from(rest.as_bytes().get(end) == Some(&b')'));
    if let Some(inner) = rest.strip_prefix('<') {
        let end = inner.bytes().take(MAX_TARGET).position(|b| matches!(b, b'>' | b'<' | b'\n'))?;
        let target = inner.get(..end).map(without_backslashes)?;
        return Some((target, space + end + 2 + is_closed(end + 2)));
    }
    let (mut depth, mut escaped) = (0_usize, false);
    let is_end = |byte: u8| {
        if core::mem::take(&mut escaped) {
            return false;
        }
        match byte {
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' if depth == 0 => return true,
            b')' => depth -= 1,
            _ => return byte.is_ascii_whitespace(),
        }
        false
    };
    let end = rest.bytes().take(MAX_TARGET).position(is_end)?;
    let target = rest.get(..end).map(without_backslashes)?;
    Some((target, space + end + is_closed(end)))
}

/// The URI of an autolink, behind its opening bracket.
fn autolink(rest: &str) -> Option<&str> {
    let end = rest.bytes().take(MAX_TARGET).position(|b| matches!(b, b'<' | b'>') || b <= b' ')?;
    let uri = rest.get(..end).filter(|_| rest.as_bytes().get(end) == Some(&b'>'))?;
    let (scheme, _) = uri.split_once(':')?;
    let is_scheme = (2..=32).contains(&scheme.len())
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    is_scheme.then_some(uri)
}

/// Whether what follows this text is escaped by a backslash.
pub(crate) fn is_escaped(before: &str) -> bool {
    before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn without_backslashes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// A piece of a text that is code, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) is_code: bool,
    pub(crate) text: &'a str,
}

/// Splits a text into what is code, in fences or in backticks, and what is not.
pub(crate) fn code_and_text(text: &str) -> Vec<Segment<'_>> {
    let mut found = Vec::new();
    let mut fence = None;
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let is_fence_line = fence.is_some();
        if let Some(open) = fence {
            if closes(line, open) {
                fence = None;
            }
        } else {
            fence = opened(line);
        }
        // A paragraph, in which a code span ends at the latest, ends before a fence and at an empty line.
        let is_code = is_fence_line || fence.is_some();
        if is_code || line.trim().is_empty() {
            spans(text.get(start..at).unwrap_or_default(), &mut found);
            found.push(Segment { is_code, text: line });
            start = end;
        }
        at = end;
    }
    spans(text.get(start..).unwrap_or_default(), &mut found);
    found
}

/// The character and the length of a fence that a line opens.
fn opened(line: &str) -> Option<(char, usize)> {
    let text = line.trim_start_matches(' ');
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = text.trim_start_matches(mark);
    let length = text.len() - rest.len();
    let is_fence =
        line.len() - text.len() < 4 && length >= 3 && !(mark == '`' && rest.contains('`'));
    is_fence.then_some((mark, length))
}

fn closes(line: &str, (mark, length): (char, usize)) -> bool {
    let text = line.trim_start_matches(' ');
    let rest = text.trim_start_matches(mark);
    line.len() - text.len() < 4 && text.len() - rest.len() >= length && rest.trim().is_empty()
}

/// Splits a paragraph at its code spans: a run of backticks ends with the next run of the same length.
fn spans<'a>(text: &'a str, found: &mut Vec<Segment<'a>>) {
    let runs = runs_of_backticks(text);
    let mut push = |is_code, text: Option<&'a str>| {
        let text = text.unwrap_or_default();
        if !text.is_empty() {
            found.push(Segment { is_code, text });
        }
    };

    let (mut start, mut at) = (0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(['`', '\\'])) {
        at += found;
        let rest = text.get(at..).unwrap_or_default();
        if let Some(rest) = rest.strip_prefix('\\') {
            at += 1 + rest.chars().next().map_or(0, char::len_utf8);
            continue;
        }
        let length = rest.len() - rest.trim_start_matches('`').len();
        let same = runs.get(&length).map_or(&[][..], Vec::as_slice);
        let next = same.partition_point(|run| *run < at + length);
        let Some(end) = same.get(next).map(|run| run + length) else {
            at += length;
            continue;
        };
        push(false, text.get(start..at));
        push(true, text.get(at..end));
        (start, at) = (end, end);
    }
    push(false, text.get(start..));
}

/// Where runs of backticks begin, by their length.
fn runs_of_backticks(text: &str) -> BTreeMap<usize, Vec<usize>> {
    let mut runs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('`')) {
        at += found;
        let rest = text.get(at..).unwrap_or_default();
        let length = rest.len() - rest.trim_start_matches('`').len();
        runs.entry(length).or_default().push(at);
        at += length;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn tags_are_sent_as_text() {
        for (written, sent) in [
            ("a <b>bold</b> word", "a &lt;b>bold&lt;/b> word"),
            ("<!-- x --><?php ?><![CDATA[]]>", "&lt;!-- x -->&lt;?php ?>&lt;![CDATA[]]>"),
            ("1 < 2 and 2 <3", "1 < 2 and 2 <3"),
            ("<mimi://example.com/u/alice>", "<mimi://example.com/u/alice>"),
            ("\\<b>", "\\<b>"),
            ("\\\\<b>", "\\\\&lt;b>"),
            ("code `<b>` and ``<i>`<u>`` and <b>", "code `<b>` and ``<i>`<u>`` and &lt;b>"),
            ("no `code <b>", "no `code &lt;b>"),
            ("\\`<b>`", "\\`&lt;b>`"),
            ("a `tick\n\n<b> ` later", "a `tick\n\n&lt;b> ` later"),
            ("```\n<b>\n```\n<b>", "```\n<b>\n```\n&lt;b>"),
            ("~~~~ x\n<b>\n~~~\n<i>\n~~~~~\n<b>", "~~~~ x\n<b>\n~~~\n<i>\n~~~~~\n&lt;b>"),
            ("<javascript:x <b>", "&lt;javascript:x &lt;b>"),
        ] {
            assert_eq!(without_html(written), sent);
            assert_eq!(without_html(sent), sent, "twice");
        }
    }

    fn found(text: &str) -> Vec<(String, String)> {
        links(text).into_iter().map(|link| (link.text, link.target)).collect()
    }

    #[test]
    fn links_are_found_where_markdown_has_them() {
        let pair = |text: &str, target: &str| (text.into(), target.into());
        let alice = "mimi://example.com/u/alice-smith";
        for (text, expected) in [
            ("Kudos to [@Alice](mimi://example.com/u/alice-smith)!", vec![pair("@Alice", alice)]),
            ("<mimi://example.com/u/alice-smith>", vec![pair(alice, alice)]),
            ("[a [b] c](https://x \"title\")", vec![pair("a [b] c", "https://x")]),
            (
                "[a](<https://x y>) [b](https://x/(y))",
                vec![pair("a", "https://x y"), pair("b", "https://x/(y)")],
            ),
            ("![image](https://x) \\[a](https://x) `[a](https://x)` [a] (https://x)", vec![]),
            ("```\n[a](https://x)\n```", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
        assert_eq!(
            found(&mention("Al](x) *b*", "mimi://a/(u)")),
            [pair("Al](x) *b*", "mimi://a/%28u%29")]
        );
    }

    #[test]
    fn a_link_says_where_it_leads_or_a_user_is_asked() {
        let shows = |text: &str, target: &str| {
            Link { text: text.into(), target: target.into() }.shows_target()
        };
        for text in
            ["example.com/foobar", "https://example.com/foobar", "https://example.com:443/foobar"]
        {
            assert!(shows(text, "https://example.com/foobar"), "{text}");
        }
        let text = "https://example.com/foobar";
        assert!(!shows(text, "https://spearphishers.example/foobar"));
        assert!(!shows(text, "http://example.com/foobar"));
        assert!(!shows("example.com", "http://example.com"));
        assert!(!shows("here", "https://example.com"));
    }

    #[test]
    fn hostile_markdown_takes_little_time() {
        // Each is quadratic if what was looked for and not found is looked for again.
        for unit in ["[", "`a``a```a````a", "<a", "[a](b", "<a:", "\\", "](", "[a](("] {
            let text = unit.repeat(200_000 / unit.len());
            let _ = (without_html(&text), links(&text));
        }
        let nested = "[".repeat(50_000) + &"](x)".repeat(50_000);
        assert_eq!(links(&nested).len(), 1);
    }
}
