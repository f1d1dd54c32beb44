//! `docs/rules.md` against the sources: what it names is there, and what has to be named is named.

use conclave_testkit::docs::{all_tests_exist, code_spans, is_test_name, source};
use std::collections::{BTreeMap, BTreeSet};

/// How often each section of RFC 9420 says MUST (or MUST NOT, REQUIRED, SHALL), the boilerplate of
/// section 2 apart: 144 times in all.
const MUSTS: [(&str, u32); 47] = [
    ("2", 1),
    ("2.1.1", 1),
    ("2.1.2", 3),
    ("5.1.2", 1),
    ("5.3", 1),
    ("5.3.1", 2),
    ("5.3.3", 1),
    ("6", 1),
    ("6.1", 7),
    ("6.2", 3),
    ("6.3.1", 8),
    ("6.3.2", 2),
    ("7.1", 1),
    ("7.2", 7),
    ("7.3", 2),
    ("7.5", 3),
    ("7.6", 2),
    ("7.8", 1),
    ("7.9.2", 2),
    ("8.4", 2),
    ("9.1", 1),
    ("9.2", 2),
    ("10", 8),
    ("11", 2),
    ("11.2", 5),
    ("11.3", 6),
    ("12.1", 1),
    ("12.1.4", 1),
    ("12.1.8", 3),
    ("12.2", 4),
    ("12.3", 3),
    ("12.4", 4),
    ("12.4.1", 5),
    ("12.4.2", 3),
    ("12.4.3", 4),
    ("12.4.3.1", 2),
    ("12.4.3.2", 6),
    ("12.4.3.3", 4),
    ("13.2", 1),
    ("13.4", 10),
    ("13.5", 6),
    ("14", 4),
    ("15.2", 2),
    ("16.3", 1),
    ("16.7", 1),
    ("17.1", 3),
    ("17.9", 1),
];

/// An enum whose variants are rules, and those that are none, with what they are instead.
struct Rules {
    name: &'static str,
    file: &'static str,
    exempt: &'static [(&'static str, &'static str)],
}

const ENUMS: [Rules; 6] = [
    Rules {
        name: "Rejection",
        file: "crates/group/src/error.rs",
        exempt: &[
            ("Framing", "holds a FramingError"),
            ("Tree", "holds a TreeError"),
            ("LeafRule", "holds a LeafRule"),
            ("Ratchet", "holds a RatchetError"),
        ],
    },
    Rules {
        name: "TreeError",
        file: "crates/tree/src/error.rs",
        exempt: &[
            ("NoSuchMember", "the caller's mistake: see Rejection::RemoveOfNobody"),
            ("NoSuchLeaf", "the caller's mistake"),
            ("DamagedRow", "storage"),
            ("MissingRow", "storage"),
            ("WrongCache", "storage"),
            ("Crypto", "the provider"),
        ],
    },
    Rules { name: "LeafRule", file: "crates/tree/src/error.rs", exempt: &[] },
    Rules {
        name: "FramingError",
        file: "crates/framing/src/error.rs",
        exempt: &[
            ("WrongSenderType", "the caller's mistake"),
            ("Encode", "too long to send"),
            ("Crypto", "the provider"),
        ],
    },
    Rules {
        name: "RatchetError",
        file: "crates/schedule/src/secret_tree/error.rs",
        exempt: &[
            ("SecretMissing", "storage"),
            ("DamagedRow", "storage"),
            ("MissingRow", "storage"),
            ("SkippedKeysMissing", "storage"),
            ("Crypto", "the provider"),
        ],
    },
    Rules { name: "DecodeError", file: "crates/wire/src/codec.rs", exempt: &[] },
];

/// What may be named in the table, though it need not be.
const OTHER_ENUMS: [(&str, &str); 1] = [("Misuse", "crates/group/src/error.rs")];

/// A row of the table.
struct Row {
    line: usize,
    section: String,
    musts: u32,
    /// The code spans of the column that says how the rule is enforced.
    enforced: Vec<String>,
    /// Who says that a receiver is to refuse what breaks the rule.
    receiver: String,
    /// Those of the column of tests.
    tests: Vec<String>,
}

fn rows() -> Vec<Row> {
    let doc = source("docs/rules.md");
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(doc.lines()) {
        let Some(cells) = text.strip_prefix("| ").and_then(|t| t.strip_suffix(" |")) else {
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").collect();
        let [section, musts, _rule, enforced, receiver, tests] = cells[..] else {
            panic!(
                "docs/rules.md:{line}: a row has the cells section, MUST, rule, by, receiver, tests"
            )
        };
        if section == "section" {
            continue;
        }
        let musts = musts.parse();
        rows.push(Row {
            line,
            section: section.to_owned(),
            musts: musts.unwrap_or_else(|_| {
                panic!("docs/rules.md:{line}: the second cell counts the MUSTs of the row")
            }),
            enforced: code_spans(enforced).map(str::to_owned).collect(),
            receiver: receiver.to_owned(),
            tests: code_spans(tests).map(str::to_owned).collect(),
        });
    }
    assert!(rows.len() > 100, "docs/rules.md: only {} rows were found", rows.len());
    rows
}

/// The variants of an enum in a source file.
fn variants(name: &str, file: &str) -> BTreeSet<String> {
    let text = source(file);
    let start = format!("pub enum {name} {{\n");
    let (_, body) = text.split_once(&start).unwrap_or_else(|| panic!("{file}: no enum {name}"));
    let (body, _) = body.split_once("\n}").expect("an end");
    let variant = |line: &str| {
        let line = line.strip_prefix("    ")?;
        let end = line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len());
        line.starts_with(char::is_uppercase).then(|| line[..end].to_owned())
    };
    let found: BTreeSet<String> = body.lines().filter_map(variant).collect();
    assert!(found.len() > 3, "{file}: {name} seems to have the variants {found:?}");
    found
}

/// The rules that the table names, `Enum::Variant`, with the first line that names each.
fn named() -> BTreeMap<String, usize> {
    let mut named = BTreeMap::new();
    for row in rows() {
        for span in row.enforced.iter().filter(|span| span.contains("::")) {
            named.entry(span.clone()).or_insert(row.line);
        }
    }
    named
}

#[test]
fn every_rule_that_a_peer_can_break_is_in_the_table() {
    let named = named();
    let mut missing = Vec::new();
    for Rules { name, file, exempt } in ENUMS {
        let variants = variants(name, file);
        for (variant, _) in exempt {
            assert!(variants.contains(*variant), "{name}::{variant} is exempt and not there");
        }
        let exempt = |variant: &str| exempt.iter().any(|(other, _)| *other == variant);
        let rules = variants.iter().filter(|variant| !exempt(variant));
        missing
            .extend(rules.map(|v| format!("{name}::{v}")).filter(|rule| !named.contains_key(rule)));
    }
    assert!(
        missing.is_empty(),
        "docs/rules.md has no row for {missing:?}. Add one for each:\n\
         | section, or – for a rule of our own | 0 | the rule in a few words | `{}` | \
         MUST and the section that tells a receiver to refuse it, or ours: why | \
         `testkit::rules::module::name_of_its_negative_test` |\n\
         The test sends a forged message through Scene::refused_by_all. If the variant is no rule \
         that a peer can break, say so in ENUMS of crates/testkit/tests/rules/table.rs.",
        missing[0]
    );
}

#[test]
fn every_rule_in_the_table_is_one_of_the_sources() {
    let mut known = BTreeSet::new();
    let enums = ENUMS.iter().map(|rules| (rules.name, rules.file));
    for (name, file) in enums.chain(OTHER_ENUMS) {
        known.extend(variants(name, file).into_iter().map(|variant| format!("{name}::{variant}")));
    }
    for (rule, line) in named() {
        assert!(
            known.contains(&rule),
            "docs/rules.md:{line}: there is no {rule}. Was it renamed? The column names variants \
             of Rejection, TreeError, LeafRule, FramingError, RatchetError, DecodeError, Misuse."
        );
    }
}

#[test]
fn every_test_in_the_table_is_one_of_the_sources() {
    for Row { line, tests, .. } in rows() {
        let other = tests.iter().find(|span| !is_test_name(span));
        assert_eq!(other, None, "docs/rules.md:{line}: this is not the name of a test");
    }
    all_tests_exist("docs/rules.md");
}

#[test]
fn every_rule_in_the_table_has_a_test() {
    for row in rows() {
        let rule = row.enforced.iter().any(|span| span.contains("::"));
        assert!(
            !rule || !row.tests.is_empty(),
            "docs/rules.md:{}: what names a rejection names the test that shows it",
            row.line
        );
    }
}

/// Whether a rejection is named; what the caller did wrong is none.
fn refuses(row: &Row) -> bool {
    let of_rule = |span: &String| ENUMS.iter().any(|e| span.starts_with(&format!("{}::", e.name)));
    row.enforced.iter().any(of_rule)
}

/// What is wrong with an answer to whether RFC 9420 tells a receiver to refuse: `MUST` with sections,
/// `ours` with a reason, or both.
fn wrong_answer(answer: &str, sections: &BTreeSet<String>) -> Option<String> {
    let (must, ours): (&str, Vec<&str>) = match answer.strip_prefix("ours") {
        Some(ours) => ("", vec![ours]),
        None => {
            let mut parts = answer.split("; ours");
            (parts.next().unwrap_or_default(), parts.collect())
        }
    };
    let reason = |part: &&str| part.split_once(": ").is_some_and(|(_, why)| !why.trim().is_empty());
    if !ours.iter().all(reason) {
        return Some("`ours` has a reason: `ours: memory`".to_owned());
    }
    if must.is_empty() && !ours.is_empty() {
        return None;
    }

    let Some(named) = must.strip_prefix("MUST ") else {
        return Some("it is `MUST`, with sections, or `ours`, with a reason".to_owned());
    };
    let end = |c: char| !c.is_ascii_digit() && c != '.' && c != ',' && c != ' ';
    let list = named.split(end).next().unwrap_or_default();
    let mut named = list.split(", ").map(str::trim);
    let unknown = named.find(|section| !sections.contains(*section));
    unknown.map(|section| format!("there is no section {section:?}"))
}

#[test]
fn every_refusal_says_whether_the_rfc_tells_a_receiver_to_refuse() {
    let rows = rows();
    let in_table = rows.iter().map(|row| row.section.clone());
    let sections: BTreeSet<String> =
        in_table.chain(MUSTS.map(|(section, _)| section.to_owned())).collect();
    for row in &rows {
        let line = row.line;
        if !refuses(row) {
            assert_eq!(row.receiver, "–", "docs/rules.md:{line}: the row refuses nothing");
            continue;
        }
        assert_ne!(row.receiver, "–", "docs/rules.md:{line}: who tells a receiver to refuse it?");
        let wrong = wrong_answer(&row.receiver, &sections);
        assert_eq!(wrong, None, "docs/rules.md:{line}: {}", row.receiver);
        // A rule of our own is nobody else's.
        assert!(row.section != "–" || row.receiver.starts_with("ours: "), "docs/rules.md:{line}");
    }
}

#[test]
fn an_answer_without_sections_or_reason_is_none() {
    let sections = BTreeSet::from(["7.3".to_owned(), "10".to_owned()]);
    for good in [
        "MUST 7.3",
        "MUST 7.3, 10",
        "MUST 7.3 before one sends it",
        "MUST 10: it cannot be read",
        "ours: memory; and work",
        "MUST 10; ours for the limit: memory",
    ] {
        assert_eq!(wrong_answer(good, &sections), None, "{good}");
    }
    for bad in
        ["", "MUST", "MUST 7.4", "MUST 7.3, 9", "ours", "ours:", "ours: ", "MUST 7.3; ours", "no"]
    {
        assert!(wrong_answer(bad, &sections).is_some(), "{bad}");
    }
}

#[test]
fn every_must_of_the_rfc_is_in_the_table() {
    let mut counted: BTreeMap<String, u32> = BTreeMap::new();
    for row in rows() {
        *counted.entry(row.section).or_default() += row.musts;
    }
    for (section, musts) in MUSTS {
        let found = counted.remove(section).unwrap_or(0);
        assert_eq!(
            found, musts,
            "section {section} of RFC 9420 says MUST {musts} times, its rows in docs/rules.md \
             count {found}: add the rules that are missing, or correct the second cell"
        );
    }
    let surplus: Vec<_> = counted.iter().filter(|(_, musts)| **musts > 0).collect();
    assert!(surplus.is_empty(), "docs/rules.md: these sections do not say MUST: {surplus:?}");
    assert_eq!(MUSTS.iter().map(|(_, musts)| musts).sum::<u32>(), 144);
}
