//! Rust's source as words and marks: as much of its grammar as finding imports takes.

/// What is left of a source without comments, literals and lifetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// An identifier or a keyword.
    Word(&'a str),
    /// `::`
    Separator,
    /// Any other character.
    Mark(char),
}

/// The rest of a text after a quoted literal that ends with `quote`; a backslash escapes.
fn after_quoted(text: &str, quote: char) -> &str {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            break;
        }
    }
    chars.as_str()
}

/// The rest of a text after what follows the `r` of a raw string, if it is one.
fn after_raw_string(text: &str) -> Option<&str> {
    let quoted = text.trim_start_matches('#');
    let hashes = text.strip_suffix(quoted)?;
    let end = format!("\"{hashes}");
    quoted.strip_prefix('"').map(|body| body.split_once(&end).map_or("", |(_, rest)| rest))
}

/// The rest of a text after a block comment, whose opening is read already. Block comments nest.
fn after_block_comment(text: &str) -> &str {
    let mut depth = 1_u32;
    let mut rest = text;
    while depth > 0 && !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("/*") {
            depth += 1;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("*/") {
            depth -= 1;
            rest = after;
        } else {
            let mut chars = rest.chars();
            chars.next();
            rest = chars.as_str();
        }
    }
    rest
}

/// The rest of a text after a character literal or a lifetime, whose first quote is read already.
fn after_single_quote(text: &str) -> &str {
    let mut chars = text.chars();
    let first = chars.next();
    let second = chars.next();
    if first == Some('\\') || second == Some('\'') {
        after_quoted(text, '\'')
    } else {
        text.trim_start_matches(is_of_word)
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The tokens of a source.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("//") {
            rest = after.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(after) = rest.strip_prefix("/*") {
            rest = after_block_comment(after);
        } else if let Some(after) = rest.strip_prefix("::") {
            found.push(Token::Separator);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('"') {
            rest = after_quoted(after, '"');
        } else if let Some(after) = rest.strip_prefix('\'') {
            rest = after_single_quote(after);
        } else if is_of_word(c) {
            let after = rest.trim_start_matches(is_of_word);
            let word = rest.strip_suffix(after).unwrap_or(rest);
            let raw_string =
                if matches!(word, "r" | "br" | "cr") { after_raw_string(after) } else { None };
            if let Some(after) = raw_string {
                rest = after;
                continue;
            }
            // `r#name` is a word like any other; a number is not.
            let raw_word = word == "r" && after.starts_with('#');
            if !raw_word && !c.is_ascii_digit() {
                found.push(Token::Word(word));
            }
            rest = if raw_word { after.trim_start_matches('#') } else { after };
        } else {
            if !c.is_whitespace() {
                found.push(Token::Mark(c));
            }
            let mut chars = rest.chars();
            chars.next();
            rest = chars.as_str();
        }
    }
    found
}

#[test]
fn comments_literals_and_lifetimes_are_left_out() {
    let source = r####"
        // crate::a /* "
        /* crate::b /* nested */ crate::c */
        let x: &'a str = "crate::d \" crate::e"; let y = ['"', '\'', '\u{2003}', b'\\'];
        let z = r#"crate::f " "#; let w = br##"crate::g "# "##; 7u8; r#type
    "####;
    let words: Vec<&str> = tokens(source)
        .iter()
        .filter_map(|token| if let Token::Word(word) = token { Some(*word) } else { None })
        .collect();
    assert_eq!(words, ["let", "x", "str", "let", "y", "b", "let", "z", "let", "w", "type"]);
}
