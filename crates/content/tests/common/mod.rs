//! CBOR's diagnostic notation, as much of it as the drafts' examples use, encoded by other code than the library's.

use std::iter::Peekable;
use std::str::Chars;

/// The deterministic encoding of what a text in diagnostic notation says.
pub(crate) fn encoded(text: &str) -> Vec<u8> {
    let mut parser = Parser(text.chars().peekable());
    let mut out = Vec::new();
    parser.item(&mut out);
    parser.space();
    assert_eq!(parser.0.next(), None, "text after the item");
    out
}

/// The bytes of a hex dump.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The beginning of an item: its major type and its argument.
pub(crate) fn head(major: u8, argument: u64) -> Vec<u8> {
    let first = |low: u8| major << 5 | low;
    let bytes = argument.to_be_bytes();
    match argument {
        0..24 => vec![first(bytes[7])],
        24..0x100 => [&[first(24)], &bytes[7..]].concat(),
        0x100..0x1_0000 => [&[first(25)], &bytes[6..]].concat(),
        0x1_0000..0x1_0000_0000 => [&[first(26)], &bytes[4..]].concat(),
        _ => [&[first(27)], &bytes[..]].concat(),
    }
}

struct Parser<'a>(Peekable<Chars<'a>>);

impl Parser<'_> {
    fn space(&mut self) {
        while let Some(&c) = self.0.peek() {
            if c == '#' {
                while self.0.next_if(|c| *c != '\n').is_some() {}
            } else if c.is_whitespace() || c == ',' {
                self.0.next();
            } else {
                return;
            }
        }
    }

    /// The next character; NUL at the end.
    fn peek(&mut self) -> char {
        self.space();
        self.0.peek().copied().unwrap_or_default()
    }

    fn item(&mut self, out: &mut Vec<u8>) {
        match self.peek() {
            '[' => self.items(4, ']', 1, out),
            '{' => self.items(5, '}', 2, out),
            '"' => self.string(3, '"', out),
            '\'' => self.string(2, '\'', out),
            c if c.is_ascii_digit() => {
                let n = self.take(|c| c.is_ascii_digit()).parse().unwrap();
                out.extend(head(0, n));
            }
            _ => match self.take(char::is_alphanumeric).as_str() {
                "null" => out.push(0xf6),
                "true" => out.push(0xf5),
                "false" => out.push(0xf4),
                "h" => {
                    let bytes = unhex(&self.quoted('\''));
                    out.extend(head(2, bytes.len() as u64));
                    out.extend(bytes);
                }
                // `32(…)`, which begins with a digit, is not in the examples.
                other => panic!("{other:?}"),
            },
        }
    }

    fn take(&mut self, of: impl Fn(char) -> bool) -> String {
        std::iter::from_fn(|| self.0.next_if(|c| of(*c))).collect()
    }

    fn items(&mut self, major: u8, end: char, per_entry: u64, out: &mut Vec<u8>) {
        self.0.next();
        let (mut count, mut inner) = (0, Vec::new());
        while self.peek() != end {
            // A map's colon.
            if self.peek() == ':' {
                self.0.next();
            }
            self.item(&mut inner);
            count += 1;
        }
        self.0.next();
        out.extend(head(major, count / per_entry));
        out.extend(inner);
    }

    fn string(&mut self, major: u8, quote: char, out: &mut Vec<u8>) {
        let mut text = self.quoted(quote);
        while self.peek() == '+' {
            self.0.next();
            self.space();
            text += &self.quoted(quote);
        }
        out.extend(head(major, text.len() as u64));
        out.extend(text.bytes());
    }

    fn quoted(&mut self, quote: char) -> String {
        assert_eq!(self.0.next(), Some(quote));
        let mut text = String::new();
        loop {
            match self.0.next().expect("the end of a string") {
                c if c == quote => return text,
                '\\' => match self.0.next().expect("an escape") {
                    'n' => text.push('\n'),
                    c => text.push(c),
                },
                c => text.push(c),
            }
        }
    }
}
