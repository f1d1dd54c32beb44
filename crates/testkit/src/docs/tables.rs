//! The tables that documents are rendered from: TOML files in `docs`.

use super::source;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// `docs/rules.toml`: the rules of RFC 9420 and our own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Groups of sections.
    pub part: Vec<RulePart>,
}

/// The rules of some sections.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulePart {
    /// The heading.
    pub title: String,
    /// A paragraph under the heading.
    pub note: Option<String>,
    /// The rules.
    pub rule: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The section of RFC 9420; none for a rule of our own.
    pub section: Option<String>,
    /// How many times the section says MUST, MUST NOT, REQUIRED or SHALL in this rule.
    #[serde(default)]
    pub musts: u32,
    /// The rule in a sentence.
    pub rule: String,
    /// The errors by which a breach is refused, as `Enum::Variant`.
    #[serde(default)]
    pub errors: Vec<String>,
    /// Other means by which it is enforced, or who enforces it.
    pub by: Option<String>,
    /// The sections that tell a receiver to refuse a breach.
    #[serde(default)]
    pub must: Vec<String>,
    /// When or why a receiver must refuse it.
    pub must_note: Option<String>,
    /// Why we refuse a breach that the RFC does not tell us to refuse.
    pub ours: Option<String>,
    /// The tests that break the rule.
    #[serde(default)]
    pub tests: Vec<String>,
}

/// `docs/pitfalls.toml`: faults seen in implementations of MLS.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pitfalls {
    /// The readers, and the pitfalls for each.
    pub part: Vec<PitfallPart>,
}

/// Pitfalls for some readers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PitfallPart {
    /// The heading.
    pub title: String,
    /// The pitfalls.
    pub pitfall: Vec<Pitfall>,
}

/// A class of faults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pitfall {
    /// Its name.
    pub class: String,
    /// A description of the fault.
    pub what: String,
    /// Where it was seen: threads as `repository#number`, advisories by their identifiers.
    #[serde(default)]
    pub seen: Vec<String>,
    /// The tests that show that it does not happen here.
    pub tests: Vec<String>,
}

/// `docs/threat-model.toml`: promises and claims.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreatModel {
    /// The promises.
    pub promise: Vec<Promise>,
    /// Other claims, by the place where they are made.
    pub claims: Vec<Claims>,
}

/// A promise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// Its name.
    pub title: String,
    /// The promise in a line.
    pub summary: String,
    /// The condition in a line.
    pub summary_if: String,
    /// The promise.
    pub promised: String,
    /// The condition under which it holds.
    pub holds_if: String,
    /// The modules that keep it, as `crate::module`.
    #[serde(rename = "where")]
    pub modules: Vec<String>,
    /// The tests that show it.
    pub tests: Vec<String>,
}

/// Claims of one place in the threat model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The block that renders them is `claims NAME`.
    pub name: String,
    /// The claims.
    pub claim: Vec<Claim>,
}

/// A claim.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The claim.
    pub text: String,
    /// The tests that show it.
    pub tests: Vec<String>,
}

/// `docs/mutants.toml`: changes to the code that no test notices.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutants {
    /// The floors that were examined.
    pub floor: Vec<Floor>,
}

/// A crate that was examined.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Its folder below `crates`.
    #[serde(rename = "crate")]
    pub folder: String,
    /// What was tried and found.
    pub summary: String,
    /// The changes that no test of the crate notices.
    #[serde(default)]
    pub mutant: Vec<Mutant>,
}

/// A change that no test of its crate notices.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// The file, below `src`.
    pub file: String,
    /// The functions.
    pub functions: Vec<String>,
    /// The change.
    pub change: String,
    /// Why no test can notice it, or which test of another crate does.
    pub why: String,
}

/// All tables.
#[derive(Debug)]
pub struct Tables {
    /// `docs/rules.toml`.
    pub rules: Rules,
    /// `docs/pitfalls.toml`.
    pub pitfalls: Pitfalls,
    /// `docs/threat-model.toml`.
    pub threat_model: ThreatModel,
    /// `docs/mutants.toml`.
    pub mutants: Mutants,
}

impl Tables {
    /// Reads all tables of the workspace.
    ///
    /// # Panics
    /// If a table cannot be read or is malformed; the message names the place.
    #[must_use]
    pub fn load() -> Self {
        Self {
            rules: table("docs/rules.toml"),
            pitfalls: table("docs/pitfalls.toml"),
            threat_model: table("docs/threat-model.toml"),
            mutants: table("docs/mutants.toml"),
        }
    }
}

fn table<T: DeserializeOwned>(file: &str) -> T {
    toml::from_str(&source(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

impl Rules {
    /// All rules, each with the name that the page gives it: its section, and a number if the section has
    /// several. Our own rules are `own-1`, `own-2` and so on.
    #[must_use]
    pub fn named(&self) -> Vec<(String, &Rule)> {
        let rules = || self.part.iter().flat_map(|part| &part.rule);
        let several = |section: &str| rules().filter(|rule| rule.place() == section).count() > 1;

        rules()
            .enumerate()
            .map(|(at, rule)| {
                let place = rule.place();
                let number = rules().take(at + 1).filter(|other| other.place() == place).count();
                let name =
                    if several(place) { format!("{place}-{number}") } else { place.to_owned() };
                (name, rule)
            })
            .collect()
    }
}

impl Rule {
    /// The section, or `own`.
    fn place(&self) -> &str {
        self.section.as_deref().unwrap_or("own")
    }
}
