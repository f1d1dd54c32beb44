use super::*;
use crate::SeededRng;
use std::path::Path;

/// Runs a target on random edits of its seeds: a short check that nothing panics. The fuzzer goes
/// deeper.
fn run(name: &str, rounds: u32, target: Target) {
    let mut rng = SeededRng::from_u64(1).fork(name);
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| target(seed));
    for _ in 0..rounds {
        let mut input = rng.pick(&seeds).expect("seeds").clone();
        for _ in 0..rng.below(6) {
            let at = rng.below(input.len().max(1) as u64) as usize;
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        if rng.one_in(4) {
            let keep = rng.below(input.len().max(1) as u64) as usize;
            input.truncate(keep);
        }
        target(&input);
        let n = rng.below(12) as usize;
        target(&rng.bytes(n));
    }
}

#[test]
fn decoded_values_encode_to_the_same_bytes() {
    run("decode", 3000, decode);
}

#[test]
fn a_member_refuses_edited_messages() {
    run("process", 1000, process);
}

#[test]
fn signed_messages_do_not_panic_other_members() {
    run("insider", 1000, insider);
}

#[test]
fn edited_messages_do_not_panic_an_observer() {
    run("observer", 700, observer);
}

#[test]
fn forged_welcomes_do_not_panic_a_newcomer() {
    run("join", 300, join);
}

#[test]
fn edited_rows_do_not_panic_the_loader() {
    run("load", 300, load);
}

/// Inputs that a fuzzer has kept: together they reach all code that it has reached.
#[test]
fn the_fuzzers_corpus_breaks_no_invariant() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in TARGETS {
        let files = std::fs::read_dir(corpus.join(name)).expect("a committed corpus");
        let mut count = 0;
        for file in files {
            let input = std::fs::read(file.expect("a file").path()).expect("its bytes");
            target(&input);
            count += 1;
        }
        assert!(count > 10, "{name} has only {count} inputs");
    }
}

/// Otherwise the edited messages would be refused for other reasons than the edit.
#[test]
fn the_seeds_real_messages_are_accepted() {
    stage::with(|stage| {
        let group = &stage.bob.group;
        let taken = |m: &&Vec<u8>| messages::received(group, m).is_ok_and(|step| step.is_some());
        let accepted = stage.messages.iter().filter(taken).count();
        assert_eq!(accepted, stage.messages.len() - 2, "all but the Welcome and the GroupInfo");
        let seen = |m: &&Vec<u8>| messages::observed(&stage.observer, m).is_ok();
        let observed = stage.messages.iter().filter(seen).count();
        assert_eq!(observed, 8, "five commits and three proposals in public");
    });
}
