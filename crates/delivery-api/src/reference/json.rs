//! JSON, written with keys in the order in which they are given.

pub(super) enum Json {
    Text(String),
    Flag(bool),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

pub(super) fn text(value: impl Into<String>) -> Json {
    Json::Text(value.into())
}

pub(super) fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    Json::Object(fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
}

fn quoted(value: &str) -> String {
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The longest list or object that stands in one line.
const LINE: usize = 100;

/// Items in brackets: in one line if they are short, else one in each.
fn bracketed([open, close]: [char; 2], items: &[String], indent: usize) -> String {
    let line = format!("{open}{}{close}", items.join(", "));
    if line.len() <= LINE && !line.contains('\n') {
        return line;
    }
    let pad = "  ".repeat(indent + 1);
    let items: Vec<String> = items.iter().map(|item| format!("\n{pad}{item}")).collect();
    format!("{open}{}\n{}{close}", items.join(","), "  ".repeat(indent))
}

impl Json {
    pub(super) fn write(&self, indent: usize) -> String {
        let nested = |value: &Self| value.write(indent + 1);
        match self {
            Self::Text(value) => quoted(value),
            Self::Flag(value) => value.to_string(),
            Self::List(values) => {
                let items: Vec<String> = values.iter().map(nested).collect();
                bracketed(['[', ']'], &items, indent)
            }
            Self::Object(fields) => {
                let item =
                    |(name, value): &(String, Self)| format!("{}: {}", quoted(name), nested(value));
                let items: Vec<String> = fields.iter().map(item).collect();
                bracketed(['{', '}'], &items, indent)
            }
        }
    }
}
