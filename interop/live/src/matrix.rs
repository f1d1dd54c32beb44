//! The page: what was found, as tables.

use crate::feature::Feature;
use crate::known::{self, Blame};
use crate::member::Result;
use crate::stack::{SUITES, Stack};
use crate::tally::Tally;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const BEGIN: &str = "<!-- made by cargo interop: begin -->";
const END: &str = "<!-- made by cargo interop: end -->";

/// Writes what was found into a file, between its markers.
pub fn write(file: &Path, tally: &Tally, stacks: &[Stack], suites: &[u16]) -> Result<()> {
    let page = std::fs::read_to_string(file)?;
    let missing = || format!("it has no `{BEGIN}` and `{END}`");
    let (before, rest) = page.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    let made = tables(tally, stacks, suites)?;
    Ok(std::fs::write(file, format!("{before}{BEGIN}\n\n{made}\n{END}{after}"))?)
}

fn tables(tally: &Tally, stacks: &[Stack], suites: &[u16]) -> Result<String> {
    let mut page = String::new();
    let cells = tally.passed.len();
    writeln!(
        page,
        "This run: {} scripts, {} epochs in which all members agreed, {} messages read, {cells} \
         cells passed, {} failures that are not explained.\n",
        tally.scripts,
        tally.epochs,
        tally.messages,
        tally.failed.len(),
    )?;
    stack_table(&mut page, stacks, suites)?;
    let mut pairs = Vec::new();
    for &one in stacks {
        for &other in stacks.iter().filter(|&&other| other > one) {
            pairs.extend([(one, other), (other, one)]);
        }
    }
    let (ours, theirs): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(one, other)| [*one, *other].contains(&Stack::Conclave));
    for (title, pairs) in [("Conclave and the others", ours), ("The others", theirs)] {
        if !pairs.is_empty() {
            writeln!(page, "\n### {title}\n")?;
            pair_table(&mut page, tally, &pairs, suites)?;
        }
    }
    differences(&mut page, tally)?;
    Ok(page)
}

fn stack_table(page: &mut String, stacks: &[Stack], suites: &[u16]) -> Result<()> {
    let run = |suite: &&u16| suites.contains(suite);
    let all: Vec<&u16> = SUITES.iter().filter(run).collect();
    let head: Vec<String> = all.iter().map(|suite| format!("suite {suite}")).collect();
    writeln!(page, "| stack | version | {} |", head.join(" | "))?;
    writeln!(page, "|---|---|{}", "---|".repeat(head.len()))?;
    for stack in stacks {
        let has = |suite: &&u16| if stack.suites().contains(suite) { "yes" } else { "" };
        let row: Vec<&str> = all.iter().map(has).collect();
        writeln!(page, "| {stack} | {} | {} |", stack.version(), row.join(" | "))?;
    }
    Ok(())
}

fn pair_table(
    page: &mut String,
    tally: &Tally,
    pairs: &[(Stack, Stack)],
    suites: &[u16],
) -> Result<()> {
    let shared = |(one, other): (Stack, Stack)| -> Vec<u16> {
        let both = |suite: &u16| one.suites().contains(suite) && other.suites().contains(suite);
        suites.iter().copied().filter(both).collect()
    };
    let head: Vec<String> = pairs.iter().map(|(one, other)| format!("{one} → {other}")).collect();
    writeln!(page, "| who does it → to whom | {} |", head.join(" | "))?;
    writeln!(page, "|---|{}", "---|".repeat(head.len()))?;
    let numbers: Vec<String> = pairs.iter().map(|&pair| numbers(&shared(pair))).collect();
    writeln!(page, "| *suites* | {} |", numbers.join(" | "))?;
    for &feature in Feature::ALL {
        let row: Vec<String> = pairs
            .iter()
            .map(|&(one, other)| cell(tally, feature, (one, other), &shared((one, other))))
            .collect();
        writeln!(page, "| {} | {} |", feature.text(), row.join(" | "))?;
    }
    Ok(())
}

fn numbers(suites: &[u16]) -> String {
    let all: Vec<String> = suites.iter().map(u16::to_string).collect();
    all.join(" ")
}

/// One cell: what came of it in all suites, or in which suites what.
fn cell(tally: &Tally, feature: Feature, (one, other): (Stack, Stack), suites: &[u16]) -> String {
    let mut found: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for &suite in suites {
        let cell = (feature, one, other, suite);
        let failed = |(failure, at, _): &(crate::world::Failure, u16, String)| {
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
    use crate::world::Failure;

    const PAIR: (Stack, Stack) = (Stack::Conclave, Stack::OpenMls);

    fn shown(tally: &Tally, feature: Feature, pair: (Stack, Stack)) -> String {
        cell(tally, feature, pair, &[1, 2])
    }

    #[test]
    fn a_cell_is_green_only_if_it_passed_in_every_suite() {
        let mut tally = Tally::default();
        assert_eq!(shown(&tally, Feature::CommitAdd, PAIR), "·");
        tally.passed(Feature::CommitAdd, PAIR.0, PAIR.1, 1);
        assert_eq!(shown(&tally, Feature::CommitAdd, PAIR), "· (2), ✓ (1)");
        tally.passed(Feature::CommitAdd, PAIR.0, PAIR.1, 2);
        assert_eq!(shown(&tally, Feature::CommitAdd, PAIR), "✓");
    }

    #[test]
    fn a_failure_shows_even_if_the_same_passed_before() {
        let mut tally = Tally::default();
        for suite in [1, 2] {
            tally.passed(Feature::CommitAdd, PAIR.0, PAIR.1, suite);
        }
        let failure = Failure {
            feature: Feature::CommitAdd,
            actor: PAIR.0,
            receiver: PAIR.1,
            reason: "no".to_owned(),
        };
        tally.failed.push((failure, 2, String::new()));
        assert_eq!(shown(&tally, Feature::CommitAdd, PAIR), "**?** (2), ✓ (1)");
    }

    #[test]
    fn a_known_difference_has_its_mark_in_its_suites_only() {
        let mut tally = Tally::default();
        let pair = (Stack::TsMls, Stack::Conclave);
        tally.passed(Feature::StackKeys, pair.0, pair.1, 1);
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
