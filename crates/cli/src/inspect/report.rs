//! What is printed of a file, as JSON and for people.

use super::checks::{Check, Judged, Verdict};
use super::input::Encoding;
use super::kinds::{Contents, Item, Kind};
use super::value::Value;
use conclave_client::plain;
use serde_json::{Map, Value as Json, json};
use std::fmt::Write;

/// A file, as one object.
pub(super) fn to_json(file: &str, encoding: Encoding, bytes: usize, contents: &Contents) -> Json {
    let stopped = contents
        .stopped
        .as_ref()
        .map(|stop| json!({ "at": stop.at, "field": stop.field, "reason": stop.reason }));
    json!({
        "file": file,
        "encoding": encoding.name(),
        "bytes": bytes,
        "kind": contents.kind.map(Kind::name),
        "also": contents.also.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
        "items": contents.items.iter().map(item_json).collect::<Vec<_>>(),
        "stopped": stopped,
    })
}

fn item_json(item: &Item) -> Json {
    let fields = item.fields.iter().map(|field| (field.name.to_string(), field.value.to_json()));
    let Judged { checks, fingerprints, trees } = &item.judged;
    let fingerprint = fingerprints
        .iter()
        .map(|print| json!({ "of": print.of, "name": print.name, "hex": print.hex }));
    json!({
        "at": item.at,
        "bytes": item.bytes,
        "value": Json::Object(fields.collect::<Map<_, _>>()),
        "fingerprints": fingerprint.collect::<Vec<_>>(),
        "checks": checks.iter().map(check_json).collect::<Vec<_>>(),
        "trees": trees.iter().map(|(of, tree)| tree.to_json(of)).collect::<Vec<_>>(),
    })
}

fn check_json(check: &Check) -> Json {
    let (verdict, reason) = match &check.verdict {
        Verdict::Valid => ("valid", None),
        Verdict::Invalid(why) => ("invalid", Some(why)),
        Verdict::Unchecked(why) => ("unchecked", Some(why)),
    };
    json!({ "of": check.of, "check": check.check, "verdict": verdict, "reason": reason })
}

/// A file, for people. Nothing of it moves their cursor.
pub(super) fn to_text(file: &str, encoding: Encoding, bytes: usize, contents: &Contents) -> String {
    let mut text = String::new();
    let kind = contents.kind.map_or("not recognised".into(), Kind::name);
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}: {kind}, {bytes} bytes ({})", plain(file), encoding.name());
    if !contents.also.is_empty() {
        let also: Vec<String> = contents.also.iter().map(|kind| kind.name()).collect();
        let _ = writeln!(text, "also readable as {}: see --as", also.join(", "));
    }
    for item in &contents.items {
        if contents.items.len() > 1 {
            let _ = writeln!(text, "\nbytes {} to {}", item.at, item.at + item.bytes);
        }
        item.fields.iter().for_each(|field| field.value.write_lines(field.name, 1, &mut text));
        write_judged(&item.judged, &mut text);
    }
    if let Some(stop) = &contents.stopped {
        let _ = writeln!(text, "STOPPED at {}", plain(&stop.to_string()));
    }
    text
}

fn write_judged(judged: &Judged, text: &mut String) {
    let path = |of: &str, what: &str| match of {
        "" => what.to_string(),
        of => format!("{of}, {what}"),
    };

    for (of, tree) in &judged.trees {
        let _ = writeln!(text, "  tree: {}", if of.is_empty() { "the whole" } else { of });
        tree.lines().iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }

    if !judged.fingerprints.is_empty() {
        text.push_str("  fingerprints:\n");
    }
    for print in &judged.fingerprints {
        Value::Words(print.hex.clone()).write_lines(&path(&print.of, print.name), 2, text);
    }

    if !judged.checks.is_empty() {
        text.push_str("  checks:\n");
    }
    for check in &judged.checks {
        let verdict = match &check.verdict {
            Verdict::Valid => "valid".to_string(),
            Verdict::Invalid(why) => format!("INVALID: {why}"),
            Verdict::Unchecked(why) => format!("not checked: {why}"),
        };
        Value::Words(verdict).write_lines(&path(&check.of, check.check), 2, text);
    }
}
