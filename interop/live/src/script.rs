//! Random scripts. A script is a function of its suite, stacks, number of steps and seed, apart from the
//! keys, which every stack generates.

use crate::failure::Failure;
use crate::feature::Feature;
use crate::known;
use crate::rng::Dice;
use crate::stack::Stack;
use crate::suite::Suite;
use crate::tally::Tally;
use crate::world::{Outcome, World};
use std::collections::BTreeSet;

/// A script.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its suite.
    pub suite: Suite,
    /// The stacks that take part.
    pub stacks: Vec<Stack>,
    /// How many steps it has.
    pub steps: usize,
    /// Its seed.
    pub seed: u64,
    /// The one feature to show, with its actor and receiver, instead of random steps.
    pub only: Option<(Feature, Stack, Stack)>,
}

impl Script {
    /// The command that repeats it.
    pub fn command(&self) -> String {
        let suite = self.suite;
        let seed = self.seed;
        if let Some((feature, actor, receiver)) = self.only {
            return format!(
                "cargo interop --suites {suite} --seed {seed} --feature {feature} \
                 --actor {actor} --receiver {receiver}"
            );
        }

        let stacks: Vec<&str> = self.stacks.iter().map(|stack| stack.name()).collect();
        format!(
            "cargo interop --suites {suite} --stacks {} --steps {} --seed {seed} --scripts 1",
            stacks.join(","),
            self.steps
        )
    }

    /// Runs it, counts, and returns whether all went well.
    pub fn run(&self, tally: &mut Tally, verbose: bool) -> bool {
        tally.scripts += 1;
        let mut log = Vec::new();
        let outcome = match self.only {
            None => self.play(tally, &mut log),
            Some((feature, actor, receiver)) => {
                // Whoever asks for a known difference wants to see it.
                let known = known::find((feature, actor, receiver, self.suite)).is_some();
                self.show(tally, &mut log, (feature, actor, receiver), known).map(|_| ())
            }
        };

        if verbose {
            log.iter().for_each(|line| println!("    {line}"));
        }

        let Err(failure) = outcome else { return true };
        if let Some(met) = known::circumstance(&failure) {
            println!("    ends early: {} ({})", failure.reason, met.mark);
            *tally.met.entry(met.mark).or_default() += 1;
            return true;
        }

        let Failure { feature, actor, receiver, reason } = &failure;
        println!("\nsuite {}: {feature}, {actor} to {receiver}: {reason}", self.suite);
        for line in log.iter().rev().take(6).rev() {
            println!("    {line}");
        }

        println!("  to repeat it: {}", self.command());
        tally.failed.push((failure, self.suite, self.command()));
        false
    }

    fn play(&self, tally: &mut Tally, log: &mut Vec<String>) -> Outcome {
        let mut dice = Dice::new(self.seed);
        let mut stacks = self.stacks.clone();
        dice.shuffle(&mut stacks);
        if stacks.len() > 2 && dice.one_in(2) {
            // Fewer stacks, so that there are fewer differences to avoid.
            stacks.truncate(2 + dice.below(stacks.len() - 2));
        }
        let mut world = World::new(self.suite, &stacks, 1, self.seed, tally, false)?;
        let outcome = random_steps(&mut world, &mut dice, self.steps);
        log.append(&mut world.log);
        outcome
    }

    /// Shows one feature in a small group. `probing` looks for a known difference instead of avoiding it.
    pub fn show(
        &self,
        tally: &mut Tally,
        log: &mut Vec<String>,
        (feature, actor, receiver): (Feature, Stack, Stack),
        probing: bool,
    ) -> Outcome<bool> {
        let stacks = if actor == receiver { vec![actor] } else { vec![actor, receiver] };
        for turn in 0..10 {
            let seed = self.seed.wrapping_add(turn * 0x1_0000_0000);
            // Members of one stack can keep each other from a step that one alone can take.
            let members = if turn < 5 { 4 } else { 2 };
            let each = members / stacks.len();
            let mut world = World::new(self.suite, &stacks, each, seed, tally, probing)?;
            let done = world.perform(feature.step(), actor);
            log.append(&mut world.log);
            match done {
                Err(failure) if known::circumstance(&failure).is_some() => {}
                Err(failure) => return Err(failure),
                Ok(_) => {}
            }
            if tally.has_passed((feature, actor, receiver, self.suite)) {
                return Ok(true);
            }
        }

        Ok(false)
    }
}

/// Random steps, mostly ones that this script has not taken yet.
fn random_steps(world: &mut World<'_>, dice: &mut Dice, steps: usize) -> Outcome {
    let mut done: BTreeSet<(Feature, Stack)> = BTreeSet::new();
    let fits = |f: &Feature| f.is_step() && f.fits(world.suite);
    let all: Vec<Feature> = Feature::ALL.iter().copied().filter(fits).collect();
    for _ in 0..steps {
        let mut choices = Vec::new();
        for &feature in all.iter().filter(|feature| !feature.is_last()) {
            choices.extend(world.stacks.iter().map(|&stack| (feature, stack)));
        }
        dice.shuffle(&mut choices);
        if !dice.one_in(3) {
            choices.sort_by_key(|choice| done.contains(choice));
        }
        for choice in choices {
            if world.perform(choice.0, choice.1)? {
                done.insert(choice);
                break;
            }
        }
    }

    let mut last: Vec<(Feature, Stack)> = Vec::new();
    for &feature in all.iter().filter(|feature| feature.is_last()) {
        last.extend(world.stacks.iter().map(|&stack| (feature, stack)));
    }

    dice.shuffle(&mut last);
    for (feature, stack) in last {
        if world.perform(feature, stack)? {
            break;
        }
    }

    Ok(())
}

/// Looks for all known differences, each in the first suite that the two stacks share.
pub fn probe(tally: &mut Tally, stacks: &[Stack], suites: &[Suite], seed: u64) {
    for difference in known::ALL.iter().filter(|difference| difference.can_be_probed()) {
        for &feature in difference.probes() {
            for &actor in stacks {
                for &receiver in stacks {
                    let both = |suite: &&Suite| {
                        let found = known::find((feature, actor, receiver, **suite));
                        feature.is_shown(**suite)
                            && found.is_some_and(|found| std::ptr::eq(found, difference))
                            && actor.has(**suite)
                            && receiver.has(**suite)
                    };
                    let Some(&suite) = suites.iter().find(both) else { continue };
                    let only = Some((feature, actor, receiver));
                    let stacks = vec![actor, receiver];
                    let script = Script { suite, stacks, steps: 1, seed, only };
                    let mut log = Vec::new();
                    match script.show(tally, &mut log, (feature, actor, receiver), true) {
                        Err(failure) => tally.shown.push((failure, suite)),
                        Ok(_) => tally.gone.push((feature, actor, receiver, suite)),
                    }
                }
            }
        }
    }
}
