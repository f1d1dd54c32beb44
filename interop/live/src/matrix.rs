//! The page: results as tables.

use crate::feature::Feature;
use crate::known::{self, Blame};
use crate::member::Result;
use crate::stack::Stack;
use crate::suite::Suite;
use crate::tally::Tally;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const BEGIN: &str = "<!-- made by cargo interop: begin -->";
const END: &str = "<!-- made by cargo interop: end -->";

const DRAFT: &str = "Post-quantum suites, as the stacks publish them

Those of draft-ietf-mls-pq-ciphersuites-06, at OpenMLS's code points. TBD3, TBD4 and TBD5 are Conclave's \
alone: no other stack has the hybrids with P-256 and P-384. ts-mls has twelve suites of its own, 0x004d to \
0x0058 in version 1.6 and 0xf007 to 0xf012 in 2.0, all with HKDF-SHA512, which no suite of the draft has.";

const MENDED: &str = "Post-quantum suites, mended

A stack takes its cryptography from a provider, which its host can replace. Here OpenMLS's derives key pairs as \
HPKE-PQ specifies: nothing else kept its members out of a group. ts-mls's gets the components of the draft's \
suites, the same derivation (`@hpke/hybridkem-x-wing` makes the seed as hpke-rs 0.7 does; `@hpke/ml-kem` \
takes the input itself as the seed, which only a hash of 64 bytes fits), and ML-DSA-44 and -65 from the package \
that it takes ML-DSA-87 from. The KEMs, HPKE, the signatures and all of MLS are the stacks' own. mls-rs's \
provider has no place where its KEMs' identifiers or their combiner could be changed.";

const EXTENDED: &str = "Drafts of extensions and of targeted messages

Groups of clients that also implement draft-ietf-mls-extensions-10 and draft-ietf-mls-targeted-messages-02, as \
far as their stack does: OpenMLS with its features `extensions-draft` and `targeted-messages-draft`. The random \
scripts mix these steps with all those above. Two components are the driver's own: the last update of one \
replaces its data, those of the other are appended.";

const RCS: &str = "SelfRemove as in RCS

mls-rs, with its feature `self_remove_proposal`, has nothing of that draft but SelfRemove, and at the code point \
0xf003 of the GSMA's RCS. Conclave has it there if its configuration says so; OpenMLS has the draft's, 0x000a, \
alone.";

const TS_MLS_2: &str = "The host of ts-mls 2.0 supplies one thing: it checks whether a commit removes the client. \
ts-mls 2.0 does not notice, goes on to the commit's path, fails there, and never returns if its leaf lies \
outside of the new tree.";

/// Writes the results into a file, between its markers.
pub fn write(file: &Path, tally: &Tally, stacks: &[Stack], suites: &[Suite]) -> Result<()> {
    let page = std::fs::read_to_string(file)?;
    let missing = || format!("it has no `{BEGIN}` and `{END}`");
    let (before, rest) = page.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    let made = tables(tally, stacks, suites)?;
    Ok(std::fs::write(file, format!("{before}{BEGIN}\n\n{made}\n{END}{after}"))?)
}

fn tables(tally: &Tally, stacks: &[Stack], suites: &[Suite]) -> Result<String> {
    let mut page = String::new();
    let cells = tally.passed.len();
    writeln!(
        page,
        "This run: {} scripts, {} epochs in which all members agreed, {} messages read, {cells} \
         cells passed, {} unexplained failures.\n",
        tally.scripts,
        tally.epochs,
        tally.messages,
        tally.failed.len(),
    )?;
    let of = |kind: fn(&Suite) -> bool| suites.iter().copied().filter(kind).collect();
    let of_rfc: Vec<Suite> = of(|suite| matches!(suite, Suite::Rfc(_)));
    let draft: Vec<Suite> = of(|suite| matches!(suite, Suite::Draft(_)));
    let mended: Vec<Suite> = of(|suite| matches!(suite, Suite::Mended(_)));
    stack_table(&mut page, stacks, &of_rfc)?;
    if stacks.contains(&Stack::TsMls2) {
        writeln!(page, "\n{TS_MLS_2}")?;
    }

    let mut pairs = Vec::new();
    for &one in stacks {
        for &other in stacks.iter().filter(|&&other| other > one) {
            pairs.extend([(one, other), (other, one)]);
        }
    }

    let (ours, theirs): (Vec<_>, Vec<_>) =
        pairs.iter().partition(|(one, other)| [*one, *other].contains(&Stack::Conclave));
    for (title, pairs) in [("Conclave and the others", ours), ("The others", theirs)] {
        writeln!(page, "\n### {title}\n")?;
        pair_table(&mut page, tally, &pairs, &of_rfc)?;
    }

    let extended: Vec<Suite> = of(|suite| matches!(suite, Suite::Extended(_)));
    let rcs: Vec<Suite> = of(|suite| matches!(suite, Suite::Rcs(_)));
    for (text, suites) in [(EXTENDED, extended), (RCS, rcs)] {
        writeln!(page, "\n### {text}\n")?;
        pair_table(&mut page, tally, &pairs, &suites)?;
    }

    for (text, suites) in [(DRAFT, draft), (MENDED, mended)] {
        writeln!(page, "\n### {text}\n")?;
        stack_table(&mut page, stacks, &suites)?;
        writeln!(page)?;
        pair_table(&mut page, tally, &pairs, &suites)?;
    }

    differences(&mut page, tally)?;
    Ok(page)
}

fn stack_table(page: &mut String, stacks: &[Stack], suites: &[Suite]) -> Result<()> {
    let head: Vec<String> = suites.iter().map(|suite| format!("suite {suite}")).collect();
    writeln!(page, "| stack | version | {} |", head.join(" | "))?;
    writeln!(page, "|---|---|{}", "---|".repeat(head.len()))?;
    for stack in stacks {
        let has = |suite: &Suite| if stack.has(*suite) { "yes" } else { "" };
        let row: Vec<&str> = suites.iter().map(has).collect();
        writeln!(page, "| {stack} | {} | {} |", stack.version(), row.join(" | "))?;
    }
    Ok(())
}

fn pair_table(
    page: &mut String,
    tally: &Tally,
    pairs: &[(Stack, Stack)],
    suites: &[Suite],
) -> Result<()> {
    let shared = |(one, other): (Stack, Stack)| -> Vec<Suite> {
        suites.iter().copied().filter(|suite| one.has(*suite) && other.has(*suite)).collect()
    };

    let (apart, pairs): (Vec<_>, Vec<_>) =
        pairs.iter().copied().filter(|pair| !shared(*pair).is_empty()).partition(|&pair| {
            shared(pair).iter().all(|suite| known::keeps_apart(pair, *suite).is_some())
        });
    let head: Vec<String> = pairs.iter().map(|(one, other)| format!("{one} → {other}")).collect();
    writeln!(page, "| actor → receiver | {} |", head.join(" | "))?;
    writeln!(page, "|---|{}", "---|".repeat(head.len()))?;
    let row: Vec<String> = pairs.iter().map(|&pair| numbers(&shared(pair))).collect();
    writeln!(page, "| *suites* | {} |", row.join(" | "))?;
    let shown = |feature: &&Feature| suites.iter().any(|suite| feature.is_shown(*suite));
    for &feature in Feature::ALL.iter().filter(shown) {
        let row: Vec<String> = pairs
            .iter()
            .map(|&(one, other)| cell(tally, feature, (one, other), &shared((one, other))))
            .collect();
        writeln!(page, "| {} | {} |", feature.text(), row.join(" | "))?;
    }

    if !apart.is_empty() {
        writeln!(page, "\nNothing passes here, the first Welcome included:\n")?;
    }

    for (one, other) in apart {
        let suites = shared((one, other));
        let marks = suites.iter().filter_map(|suite| known::keeps_apart((one, other), *suite));
        let mark = marks.map(|difference| difference.mark).next().unwrap_or_default();
        writeln!(page, "* {one} → {other}, {}: ✗ {mark}", numbers(&suites))?;
    }

    Ok(())
}

fn numbers(suites: &[Suite]) -> String {
    let all: Vec<String> = suites.iter().map(Suite::to_string).collect();
    all.join(" ")
}

/// One cell: the result in all suites, or each result with its suites.
fn cell(tally: &Tally, feature: Feature, (one, other): (Stack, Stack), suites: &[Suite]) -> String {
    let mut found: BTreeMap<String, Vec<Suite>> = BTreeMap::new();
    for &suite in suites {
        let cell = (feature, one, other, suite);
        let failed = |(failure, at, _): &(crate::failure::Failure, Suite, String)| {
            (failure.feature, failure.actor, failure.receiver, *at) == cell
        };
        let mark = match known::find(cell) {
            Some(difference) if difference.blame == Blame::Lacks => {
                format!("– {}", difference.mark)
            }
            Some(difference) => format!("✗ {}", difference.mark),
            None if tally.failed.iter().any(failed) => "**?**".to_owned(),
            None if tally.has_passed(cell) => "✓".to_owned(),
            None => "·".to_owned(),
        };
        found.entry(mark).or_default().push(suite);
    }

    if found.len() == 1 {
        return found.into_keys().next().unwrap_or_default();
    }

    let parts: Vec<String> =
        found.iter().map(|(mark, suites)| format!("{mark} ({})", numbers(suites))).collect();
    parts.join(", ")
}

fn differences(page: &mut String, tally: &Tally) -> Result<()> {
    writeln!(page, "\n### Differences\n")?;
    writeln!(page, "| | whose | what |\n|---|---|---|")?;
    let mut said = Vec::new();
    for difference in known::ALL {
        if said.contains(&difference.mark) {
            continue;
        }
        said.push(difference.mark);
        let whose = match difference.blame {
            Blame::Lacks => "not implemented",
            Blame::Theirs => "theirs",
            Blame::Open => "left open by the RFC",
            Blame::Ours => "ours, on purpose",
        };
        writeln!(page, "| {} | {whose} | {} |", difference.mark, difference.text)?;
    }

    for met in known::CIRCUMSTANCES {
        let times = tally.met.get(&met.mark).copied().unwrap_or_default();
        writeln!(
            page,
            "| {} | theirs | {} It ended {times} scripts of this run early. |",
            met.mark, met.text
        )?;
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    const PAIR: (Stack, Stack) = (Stack::Conclave, Stack::OpenMls);
    const SUITES: [Suite; 2] = [Suite::Rfc(1), Suite::Rfc(2)];

    fn shown(tally: &Tally, feature: Feature, pair: (Stack, Stack)) -> String {
        cell(tally, feature, pair, &SUITES)
    }

    #[test]
    fn a_cell_is_green_only_if_it_passed_in_every_suite() {
        let mut tally = Tally::default();
        assert_eq!(shown(&tally, Feature::CommitAdd, PAIR), "·");
        tally.passed(Feature::CommitAdd, PAIR.0, PAIR.1, SUITES[0]);
        assert_eq!(shown(&tally, Feature::CommitAdd, PAIR), "· (2), ✓ (1)");
        tally.passed(Feature::CommitAdd, PAIR.0, PAIR.1, SUITES[1]);
        assert_eq!(shown(&tally, Feature::CommitAdd, PAIR), "✓");
    }

    #[test]
    fn a_failure_shows_even_if_the_same_passed_before() {
        let mut tally = Tally::default();
        for suite in SUITES {
            tally.passed(Feature::CommitAdd, PAIR.0, PAIR.1, suite);
        }
        let failure = Failure {
            feature: Feature::CommitAdd,
            actor: PAIR.0,
            receiver: PAIR.1,
            reason: "no".to_owned(),
        };
        tally.failed.push((failure, SUITES[1], String::new()));
        assert_eq!(shown(&tally, Feature::CommitAdd, PAIR), "**?** (2), ✓ (1)");
    }

    #[test]
    fn a_known_difference_has_its_mark_in_its_suites_only() {
        let mut tally = Tally::default();
        let pair = (Stack::TsMls1, Stack::Conclave);
        tally.passed(Feature::StackKeys, pair.0, pair.1, SUITES[0]);
        assert_eq!(shown(&tally, Feature::StackKeys, pair), "✓ (1), ✗ k (2)");
    }

    #[test]
    fn every_difference_has_a_text_and_marks_are_of_one_text() {
        let mut texts = BTreeMap::new();
        for difference in known::ALL {
            assert!(difference.text.len() > 20 && !difference.features.is_empty());
            let text = *texts.entry(difference.mark).or_insert(difference.text);
            assert_eq!(text, difference.text, "{}", difference.mark);
        }
    }
}
