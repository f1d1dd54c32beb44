//! Reports for the user.

use super::run::Results;
use super::tally::Tally;
use std::collections::BTreeSet;

/// A service that answers.
pub(super) fn client(name: &str, suites: &[u32]) {
    println!("{name}, suites {}", list(suites));
}

/// Prints a table of a scenario's scripts by suite, and the failures. Returns the counts and the number of runs
/// that failed.
pub(super) fn scenario(name: &str, suites: &[u32], results: &Results) -> (Tally, usize) {
    let scripts: BTreeSet<&String> = results.keys().map(|(script, _)| script).collect();
    let mut tally = Tally::default();
    let mut failed = 0;
    println!("{name}");
    for script in scripts {
        let mut cells = String::new();
        for suite in suites {
            let runs =
                results.get(&(script.clone(), *suite)).map(Vec::as_slice).unwrap_or_default();
            let good = runs.iter().filter(|(_, run)| run.failure.is_none()).count();
            cells += &format!("  {suite}: {good}/{}", runs.len());
        }
        println!("  {script:<32}{cells}");
    }

    for (cell, run) in results.values().flatten() {
        tally += run.tally;
        if let Some((step, why)) = &run.failure {
            failed += 1;
            let handshake = if cell.encrypt { "private" } else { "public" };
            println!(
                "  FAILED {}, {}suite {}, {handshake} handshake, tree {:?}, roles {}:\n    \
                 {step}\n    {why}",
                cell.script.name,
                cell.script.note,
                cell.suite,
                cell.tree,
                list(&cell.roles),
            );
        }
    }

    (tally, failed)
}

/// Prints the summary.
pub(super) fn total(tally: &Tally, failed: usize) {
    println!("{tally}; {failed} failed");
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
