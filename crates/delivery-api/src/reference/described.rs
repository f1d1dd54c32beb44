//! Structures as their declarations have them, and how the page says them.

/// A structure, as the macro that declares it saw it.
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    /// `doc = "…"` for each line.
    pub(crate) docs: &'static [&'static str],
    /// Name, Rust type and lines of documentation.
    pub(crate) fields: &'static [(&'static str, &'static str, &'static [&'static str])],
}

/// A structure that knows its own declaration.
pub(crate) trait Described {
    const STRUCTURE: Structure;
}

/// A value that is shown part by part.
pub(crate) trait Parts {
    /// The parts in their order, each with its name and its encoding.
    fn parts(&self) -> Vec<(&'static str, Vec<u8>)>;
}

/// The text of a documentation comment, in Markdown whose code spans are no links.
pub(super) fn prose(docs: &[&str]) -> String {
    let line = |doc: &&str| {
        let (start, rest) = doc.split_once('"').unwrap();
        let (text, _) = rest.rsplit_once('"').unwrap();
        let text = text.strip_prefix(' ').unwrap_or(text);
        // As `doc = r"…"` it has no escapes.
        let is_raw = start.contains("= r");
        if is_raw { text.into() } else { text.replace("\\\"", "\"").replace("\\'", "'") }
    };
    let text = docs.iter().map(line).collect::<Vec<_>>().join("\n");
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, linked)) = rest.split_once("[`") {
        let (name, after) = linked.split_once("`]").unwrap();
        let after = match after.strip_prefix('(') {
            Some(target) => target.split_once(')').unwrap().1,
            None => after,
        };
        plain += &format!("{before}`{name}`");
        rest = after;
    }
    plain + rest
}

/// A Rust type in the presentation language, and the name of the type that has to be known for it.
fn presented(rust: &str) -> (String, String) {
    let rust = rust.replace(' ', "");
    let inner =
        |of: &str| rust.strip_prefix(of)?.strip_prefix('<')?.strip_suffix('>').map(presented);
    if let Some((_, element)) = inner("Vec") {
        return (format!("{element} <V>"), element);
    }
    if let Some((of, element)) = inner("Option") {
        let of = of.replace(' ', "");
        return (format!("optional<{of}>"), element);
    }
    let named = match rust.as_str() {
        "u8" => "uint8",
        "u16" => "uint16",
        "u32" => "uint32",
        "u64" => "uint64",
        other => other,
    };
    (named.to_string(), named.to_string())
}

/// A field as it is declared in the presentation language, and the type in it.
pub(super) fn declared(name: &str, rust: &str) -> (String, String) {
    let (presented, element) = presented(rust);
    let text = match presented.as_str() {
        // A vector of bytes needs no name of its own.
        "Bytes" => format!("opaque {name}<V>"),
        other => match other.strip_suffix(" <V>") {
            Some(of) => format!("{of} {name}<V>"),
            None => format!("{other} {name}"),
        },
    };
    (text, element)
}

impl Structure {
    /// Its declaration in the presentation language, with what is said of each field.
    pub(super) fn declaration(&self) -> String {
        if self.fields.is_empty() {
            return format!("struct {{}} {};\n", self.name);
        }
        let mut text = String::from("struct {\n");
        for (name, rust, docs) in self.fields {
            for line in prose(docs).lines() {
                text += &format!("    // {line}\n");
            }
            text += &format!("    {};\n", declared(name, rust).0);
        }
        text + &format!("}} {};\n", self.name)
    }

    /// The types that its fields have.
    pub(super) fn types(&self) -> impl Iterator<Item = String> {
        self.fields.iter().map(|(name, rust, _)| declared(name, rust).1)
    }
}
