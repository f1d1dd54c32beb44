//! Pages with blocks that are rendered from tables. A block is everything between a line
//! `<!-- cargo docs: NAME -->` and the next `<!-- cargo docs: end -->`; the rest of a page is written by hand.

use super::tables::{Claims, Floor, Pitfalls, Rule, Rules, Tables, ThreatModel};
use std::fmt::Write as _;

const BEGIN: &str = "<!-- cargo docs: ";
const CLOSE: &str = " -->";
const END: &str = "<!-- cargo docs: end -->";

/// The names of the blocks of a page.
#[must_use]
pub fn blocks(page: &str) -> Vec<&str> {
    page.lines().filter(|line| *line != END).filter_map(block_name).collect()
}

/// The names of all blocks that the tables can fill. Each must be in some page.
#[must_use]
pub fn known_blocks(tables: &Tables) -> Vec<String> {
    let fixed = ["rules", "pitfalls", "promises", "promises in short"].map(str::to_owned);
    let claims = tables.threat_model.claims.iter().map(|c| format!("claims {}", c.name));
    let mutants = tables.mutants.floor.iter().map(|f| format!("mutants {}", f.folder));
    fixed.into_iter().chain(claims).chain(mutants).collect()
}

/// A page with its blocks rendered again.
///
/// # Errors
/// If a block has no end, or no table has its name.
pub fn render(page: &str, tables: &Tables) -> Result<String, String> {
    let mut out = String::new();
    let mut open = None;
    for line in page.lines() {
        match (open, block_name(line)) {
            (None, Some(_)) if line == END => return Err("an end without a beginning".to_owned()),
            (None, Some(name)) => {
                let text =
                    block(name, tables).ok_or_else(|| format!("there is no block {name:?}"))?;
                let _ = write!(out, "{line}\n\n{}\n\n", text.trim_end());
                open = Some(name);
            }
            (Some(_), Some(_)) if line == END => {
                let _ = writeln!(out, "{line}");
                open = None;
            }
            (Some(name), Some(_)) => return Err(format!("the block {name:?} has no end")),
            (Some(_), None) => {}
            (None, None) => {
                let _ = writeln!(out, "{line}");
            }
        }
    }

    match open {
        Some(name) => Err(format!("the block {name:?} has no end")),
        None => Ok(out),
    }
}

fn block_name(line: &str) -> Option<&str> {
    line.strip_prefix(BEGIN)?.strip_suffix(CLOSE)
}

fn block(name: &str, tables: &Tables) -> Option<String> {
    match name {
        "rules" => Some(rules(&tables.rules)),
        "pitfalls" => Some(pitfalls(&tables.pitfalls)),
        "promises" => Some(promises(&tables.threat_model)),
        "promises in short" => Some(promises_in_short(&tables.threat_model)),
        _ => {
            let (kind, wanted) = name.split_once(' ')?;
            match kind {
                "claims" => {
                    tables.threat_model.claims.iter().find(|c| c.name == wanted).map(claims)
                }
                "mutants" => tables.mutants.floor.iter().find(|f| f.folder == wanted).map(mutants),
                _ => None,
            }
        }
    }
}

/// A list of tests that a reader can unfold, under the names of what they show.
fn tests<'t>(groups: impl Iterator<Item = (String, &'t [String])>) -> String {
    let mut list = String::new();
    for (name, tests) in groups.filter(|(_, tests)| !tests.is_empty()) {
        let _ = writeln!(list, "* {name}");
        for test in tests {
            let _ = writeln!(list, "  * `{test}`");
        }
    }
    folded(&list)
}

fn folded(list: &str) -> String {
    format!("<details><summary>Tests</summary>\n\n{list}\n</details>\n")
}

fn code(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn rules(rules: &Rules) -> String {
    let mut out = String::new();
    let mut named = rules.named().into_iter();
    for part in &rules.part {
        let named: Vec<(String, &Rule)> = named.by_ref().take(part.rule.len()).collect();
        let _ = write!(out, "## {}\n\n", part.title);
        if let Some(note) = &part.note {
            let _ = write!(out, "{note}\n\n");
        }
        out.push_str("| | MUST | rule | enforced by | receiver |\n|---|--:|---|---|---|\n");
        for (name, rule) in &named {
            let musts = if rule.musts > 0 { rule.musts.to_string() } else { String::new() };
            let enforced = enforced(rule);
            let receiver = receiver(rule);
            let _ = writeln!(out, "| {name} | {musts} | {} | {enforced} | {receiver} |", rule.rule);
        }
        out.push('\n');
        out.push_str(&tests(named.iter().map(|(name, rule)| (name.clone(), &*rule.tests))));
        out.push('\n');
    }
    out
}

fn enforced(rule: &Rule) -> String {
    match (&*rule.errors, &rule.by) {
        ([], None) => "–".to_owned(),
        ([], Some(by)) => by.clone(),
        (errors, None) => code(errors),
        (errors, Some(by)) => format!("{}; {by}", code(errors)),
    }
}

fn receiver(rule: &Rule) -> String {
    let note = rule.must_note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
    let must = format!("MUST {}{note}", rule.must.join(", "));
    match (rule.must.is_empty(), &rule.ours) {
        (true, None) => "–".to_owned(),
        (true, Some(why)) => format!("ours: {why}"),
        (false, None) => must,
        (false, Some(why)) => format!("{must}; ours: {why}"),
    }
}

fn pitfalls(pitfalls: &Pitfalls) -> String {
    let mut out = String::new();
    for part in &pitfalls.part {
        let _ = write!(out, "## {}\n\n", part.title);
        out.push_str("| class | what goes wrong | seen in |\n|---|---|---|\n");
        for pitfall in &part.pitfall {
            let seen =
                if pitfall.seen.is_empty() { "–".to_owned() } else { pitfall.seen.join(", ") };
            let _ = writeln!(out, "| {} | {} | {seen} |", pitfall.class, pitfall.what);
        }
        out.push('\n');
        let groups = part.pitfall.iter().map(|pitfall| (pitfall.class.clone(), &*pitfall.tests));
        out.push_str(&tests(groups));
        out.push('\n');
    }
    out
}

fn promises_in_short(model: &ThreatModel) -> String {
    let mut out = String::from("| promise | | holds if |\n|---|---|---|\n");
    for (n, promise) in (1..).zip(&model.promise) {
        let summary = &promise.summary;
        let condition = &promise.summary_if;
        let _ = writeln!(out, "| {n}. {} | {summary} | {condition} |", promise.title);
    }
    out
}

fn promises(model: &ThreatModel) -> String {
    let mut out = String::new();
    for (n, promise) in (1..).zip(&model.promise) {
        let _ = write!(
            out,
            "### {n}. {}\n\n**Promised.** {}\n\n**If.** {}\n\n**Where.** {}.\n\n",
            promise.title,
            promise.promised,
            promise.holds_if,
            code(&promise.modules)
        );
        let shown: Vec<String> = promise.tests.iter().map(|test| format!("* `{test}`\n")).collect();
        let _ = writeln!(out, "{}", folded(&shown.concat()));
    }
    out
}

fn claims(claims: &Claims) -> String {
    let numbered = || (1..).zip(&claims.claim);
    let mut out = String::new();
    for (n, claim) in numbered() {
        let _ = writeln!(out, "{n}. {}", claim.text);
    }
    out.push('\n');
    out.push_str(&tests(numbered().map(|(n, claim)| (format!("Claim {n}"), &*claim.tests))));
    out
}

fn mutants(floor: &Floor) -> String {
    let mut out = format!("## `crates/{}`\n\n{}\n", floor.folder, floor.summary);
    if floor.mutant.is_empty() {
        return out;
    }
    out.push_str("\n| where | mutant | why no test of the crate notices |\n|---|---|---|\n");
    for mutant in &floor.mutant {
        let file = &mutant.file;
        let functions = code(&mutant.functions);
        let _ = writeln!(out, "| `{file}`, {functions} | {} | {} |", mutant.change, mutant.why);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rendering_changes_only_the_blocks() {
        let tables = Tables::load();
        let page = "# A page\n\n<!-- cargo docs: promises in short -->\nstale\n<!-- cargo docs: end -->\nkept\n";
        let rendered = render(page, &tables).unwrap();
        assert!(
            rendered.starts_with("# A page\n\n<!-- cargo docs: promises in short -->\n\n| promise")
        );
        assert!(rendered.ends_with("|\n\n<!-- cargo docs: end -->\nkept\n"), "{rendered}");
        assert!(!rendered.contains("stale"));
        assert_eq!(render(&rendered, &tables).as_ref(), Ok(&rendered));
    }

    #[test]
    fn blocks_without_end_or_table_are_errors() {
        let tables = Tables::load();
        for page in [
            "<!-- cargo docs: rules -->\n",
            "<!-- cargo docs: end -->\n",
            "<!-- cargo docs: nothing -->\n<!-- cargo docs: end -->\n",
            "<!-- cargo docs: claims nothing -->\n<!-- cargo docs: end -->\n",
            "<!-- cargo docs: rules -->\n<!-- cargo docs: pitfalls -->\n<!-- cargo docs: end -->\n",
        ] {
            assert!(render(page, &tables).is_err(), "{page}");
        }
    }
}
