//! `docs/rules.toml` against the sources: everything that it names exists, and it names every rule.

use conclave_testkit::docs::tables::{Rule, Tables};
use conclave_testkit::docs::{code_spans, workspace, wrong_tests};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How often each section of RFC 9420 says MUST (or MUST NOT, REQUIRED, SHALL): 144 times in all, without
/// the boilerplate of section 2.
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

/// An enum whose variants are rules. Exempt variants are none; each is listed with the reason.
struct Rules {
    name: &'static str,
    /// The folder of its crate.
    folder: &'static str,
    exempt: &'static [(&'static str, &'static str)],
}

const ENUMS: [Rules; 6] = [
    Rules {
        name: "Rejection",
        folder: "group",
        exempt: &[
            ("Framing", "holds a FramingError"),
            ("Tree", "holds a TreeError"),
            ("LeafRule", "holds a LeafRule"),
            ("Ratchet", "holds a RatchetError"),
        ],
    },
    Rules {
        name: "TreeError",
        folder: "tree",
        exempt: &[
            ("NoSuchMember", "the caller's mistake: see Rejection::RemoveOfNobody"),
            ("NoSuchLeaf", "the caller's mistake"),
            ("DamagedRow", "storage"),
            ("MissingRow", "storage"),
            ("WrongCache", "storage"),
            ("Crypto", "the provider"),
        ],
    },
    Rules { name: "LeafRule", folder: "tree", exempt: &[] },
    Rules {
        name: "FramingError",
        folder: "framing",
        exempt: &[
            ("WrongSenderType", "the caller's mistake"),
            ("Encode", "too long to send"),
            ("Crypto", "the provider"),
        ],
    },
    Rules {
        name: "RatchetError",
        folder: "schedule",
        exempt: &[
            ("SecretMissing", "storage"),
            ("DamagedRow", "storage"),
            ("MissingRow", "storage"),
            ("SkippedKeysMissing", "storage"),
            ("Crypto", "the provider"),
        ],
    },
    Rules { name: "DecodeError", folder: "wire", exempt: &[] },
];

/// Enums that the table may name, but need not.
const OTHER_ENUMS: [(&str, &str); 1] = [("Misuse", "group")];

/// The rules of all parts.
fn rules() -> Vec<Rule> {
    let parts = Tables::load().rules.part;
    let rules: Vec<Rule> = parts.into_iter().flat_map(|part| part.rule).collect();
    assert!(rules.len() > 100, "docs/rules.toml: only {} rules were found", rules.len());
    rules
}

/// The source files below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            texts.push(std::fs::read_to_string(&path).unwrap());
        }
    }
    texts
}

/// The variants of an enum that some file of a crate defines.
fn variants(name: &str, folder: &str) -> BTreeSet<String> {
    let start = format!("pub enum {name} {{\n");
    let texts = sources(&workspace().join("crates").join(folder).join("src"));
    let mut bodies = texts.iter().filter_map(|text| text.split_once(&start));
    let (_, body) = bodies.next().unwrap_or_else(|| panic!("crates/{folder}: no enum {name}"));
    assert!(bodies.next().is_none(), "crates/{folder}: several enums {name}");

    let (body, _) = body.split_once("\n}").expect("an end");
    let variant = |line: &str| {
        let line = line.strip_prefix("    ")?;
        let end = line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len());
        line.starts_with(char::is_uppercase).then(|| line[..end].to_owned())
    };
    let found: BTreeSet<String> = body.lines().filter_map(variant).collect();
    assert!(found.len() > 3, "crates/{folder}: {name} has only the variants {found:?}");
    found
}

#[test]
fn every_rule_that_a_peer_can_break_is_in_the_table() {
    let rules = rules();
    let named: BTreeSet<&String> = rules.iter().flat_map(|rule| &rule.errors).collect();
    let mut missing = Vec::new();
    for Rules { name, folder, exempt } in ENUMS {
        let variants = variants(name, folder);
        for (variant, _) in exempt {
            assert!(variants.contains(*variant), "{name}::{variant} is exempt and not there");
        }
        let exempt = |variant: &str| exempt.iter().any(|(other, _)| *other == variant);
        let rules = variants.iter().filter(|variant| !exempt(variant));
        missing.extend(rules.map(|v| format!("{name}::{v}")).filter(|rule| !named.contains(rule)));
    }

    assert!(
        missing.is_empty(),
        "docs/rules.toml has no rule for {missing:?}. Add one for each (CONTRIBUTING.md says how):\n\
         [[part.rule]]\n\
         section = \"the section; no such line for a rule of our own\"\n\
         rule = \"The rule in a short sentence.\"\n\
         errors = [\"{}\"]\n\
         must = [\"the sections that tell a receiver to refuse it\"]\n\
         ours = \"or why we refuse it all the same\"\n\
         tests = [\"testkit::rules::module::name_of_its_negative_test\"]\n\
         If the variant is no rule that a peer can break, say so in ENUMS of \
         crates/testkit/tests/rules/table.rs.",
        missing[0]
    );
}

#[test]
fn every_error_in_the_table_exists() {
    let mut known = BTreeSet::new();
    let enums = ENUMS.iter().map(|rules| (rules.name, rules.folder));
    for (name, folder) in enums.chain(OTHER_ENUMS) {
        known.extend(variants(name, folder).into_iter().map(|v| format!("{name}::{v}")));
    }
    for rule in rules() {
        let unknown = rule.errors.iter().find(|error| !known.contains(*error));
        assert_eq!(unknown, None, "docs/rules.toml, {:?}: was the error renamed?", rule.rule);
        // Errors stand in `errors` alone, where they are checked.
        let stray = code_spans(rule.by.as_deref().unwrap_or_default()).find(|s| s.contains("::"));
        assert_eq!(stray, None, "docs/rules.toml, {:?}: this belongs into `errors`", rule.rule);
    }
}

#[test]
fn every_test_in_the_table_exists() {
    for rule in rules() {
        let wrong = wrong_tests(&rule.tests);
        assert!(
            wrong.is_empty(),
            "docs/rules.toml, {:?}: renamed or moved?\n{}",
            rule.rule,
            wrong.join("\n")
        );
    }
}

#[test]
fn every_rule_with_an_error_has_a_test() {
    for rule in rules() {
        let shown = rule.errors.is_empty() || !rule.tests.is_empty();
        assert!(shown, "docs/rules.toml, {:?}: a refusal has a test", rule.rule);
        let enforced = !rule.errors.is_empty() || rule.by.is_some();
        assert!(enforced, "docs/rules.toml, {:?}: how is it enforced, or by whom?", rule.rule);
    }
}

/// Whether a rule names a rejection; a caller's mistake is none.
fn refuses(rule: &Rule) -> bool {
    let of_enum =
        |error: &String| ENUMS.iter().any(|e| error.starts_with(&format!("{}::", e.name)));
    rule.errors.iter().any(of_enum)
}

/// The error in a rule's answer to the question whether RFC 9420 tells a receiver to refuse a breach.
fn wrong_answer(rule: &Rule, sections: &BTreeSet<String>) -> Option<String> {
    let answered = !rule.must.is_empty() || rule.ours.is_some();
    if !refuses(rule) {
        let nothing = !answered && rule.must_note.is_none();
        return (!nothing).then(|| "the rule refuses nothing".to_owned());
    }

    if !answered {
        return Some("which section tells a receiver to refuse it?".to_owned());
    }
    if rule.ours.as_ref().is_some_and(|why| why.trim().is_empty()) {
        return Some("`ours` has a reason".to_owned());
    }

    if rule.must.is_empty() && rule.must_note.is_some() {
        return Some("`must_note` goes with `must`".to_owned());
    }
    // The RFC has no MUST for a rule of our own.
    if rule.section.is_none() && !rule.must.is_empty() {
        return Some("a rule without a section is ours".to_owned());
    }
    let unknown = rule.must.iter().find(|section| !sections.contains(*section));
    unknown.map(|section| format!("there is no section {section:?}"))
}

/// The sections that rules name, and those that say MUST.
fn sections(rules: &[Rule]) -> BTreeSet<String> {
    let named = rules.iter().filter_map(|rule| rule.section.clone());
    named.chain(MUSTS.map(|(section, _)| section.to_owned())).collect()
}

#[test]
fn every_refusal_names_its_must_or_our_reason() {
    let rules = rules();
    let sections = sections(&rules);
    for rule in &rules {
        assert_eq!(wrong_answer(rule, &sections), None, "docs/rules.toml, {:?}", rule.rule);
    }
}

#[test]
fn an_answer_has_sections_or_a_reason() {
    let sections = BTreeSet::from(["7.3".to_owned(), "10".to_owned()]);
    let answer = |fields: &str| {
        let rule = format!("rule = \"A rule.\"\nerrors = [\"Rejection::PathMissing\"]\n{fields}");
        let rule: Rule = toml::from_str(&rule).unwrap();
        wrong_answer(&rule, &sections)
    };

    let section = "section = \"7.3\"\n";
    for good in [
        "must = [\"7.3\"]",
        "must = [\"7.3\", \"10\"]",
        "must = [\"7.3\"]\nmust_note = \"before sending\"",
        "ours = \"memory; and work\"",
        "must = [\"10\"]\nours = \"the limit: memory\"",
    ] {
        assert_eq!(answer(&format!("{section}{good}")), None, "{good}");
    }

    for bad in [
        "",
        "must = []",
        "must = [\"7.4\"]",
        "must = [\"7.3\", \"9\"]",
        "ours = \"\"",
        "ours = \" \"",
        "must_note = \"before sending\"",
        "must = [\"7.3\"]\nours = \"\"",
    ] {
        assert!(answer(&format!("{section}{bad}")).is_some(), "{bad}");
    }
    assert!(answer("must = [\"7.3\"]").is_some());
    assert!(answer("ours = \"memory\"").is_none());
}

#[test]
fn every_must_of_the_rfc_is_in_the_table() {
    let mut counted: BTreeMap<String, u32> = BTreeMap::new();
    for rule in rules() {
        *counted.entry(rule.section.unwrap_or_default()).or_default() += rule.musts;
    }

    for (section, musts) in MUSTS {
        let found = counted.remove(section).unwrap_or(0);
        assert_eq!(
            found, musts,
            "section {section} of RFC 9420 says MUST {musts} times, its rules in docs/rules.toml \
             count {found}: add the rules that are missing, or correct `musts`"
        );
    }

    let surplus: Vec<_> = counted.iter().filter(|(_, musts)| **musts > 0).collect();
    assert!(surplus.is_empty(), "docs/rules.toml: these sections do not say MUST: {surplus:?}");
    assert_eq!(MUSTS.iter().map(|(_, musts)| musts).sum::<u32>(), 144);
}
