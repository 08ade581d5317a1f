//! The mount against a model: whatever is done to it at random, it answers as a plain directory
//! (or a plain file in memory) does, and no secret is left in the store.
//!
//! `CONFSEAL_ROUNDS=N` plays N times as many cases, from other seeds, and all 20,000 operations for
//! each format N times; `CONFSEAL_SEED` is the first seed.

#[path = "../support/mod.rs"]
mod support;

mod documents;
mod draw;
mod expect;
mod found;
mod helper;
mod look;
mod play;
mod random_file;
mod step;
mod world;

use std::cell::Cell;

use play::{Tally, play};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

/// How many rounds are asked for: one, unless told.
fn rounds() -> u64 {
    number("CONFSEAL_ROUNDS").unwrap_or(1)
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, and not {value}")))
}

#[test]
fn random_operations_on_the_mount_give_what_they_give_on_a_plain_directory() {
    let first = number("CONFSEAL_SEED").unwrap_or(0);
    for seed in first..first + rounds() {
        let config = Config {
            cases: 20,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            max_shrink_iters: 400,
            ..Config::default()
        };
        let tally = Tally::default();
        let played = TestRunner::new(config)
            .run(&draw::cases(60), |case| play(&case, &tally).map_err(TestCaseError::fail));
        match played {
            Err(TestError::Fail(reason, case)) => panic!("seed {seed}: {reason}\n{case:?}"),
            other => other.expect("no case is given up"),
        }
        let [taken, done, refused] = [tally.taken, tally.done, tally.refused].map(Cell::into_inner);
        let counts = format!("of {taken} steps {done} took place, {refused} were refused");
        assert!(done > taken / 3 && refused > 0, "seed {seed}: {counts}");
        println!("seed {seed}: {counts}");
    }
}

/// 20,000 random operations on one file, in all over all formats; with `CONFSEAL_ROUNDS`, 20,000 for
/// each format and round.
mod twenty_thousand_random_operations_on_one_file_leave_what_they_leave_in_memory {
    use super::{documents, number, random_file};

    const OPERATIONS: usize = 20_000;

    fn play(at: usize) {
        match number("CONFSEAL_ROUNDS") {
            None => random_file::play(at, 0, OPERATIONS / documents::FORMATS.len()),
            Some(rounds) => {
                let first = number("CONFSEAL_SEED").unwrap_or(0);
                (first..first + rounds).for_each(|seed| random_file::play(at, seed, OPERATIONS));
            }
        }
    }

    /// A test for each, by its place in [`documents::FORMATS`].
    macro_rules! formats {
        ($($name:ident $at:literal,)*) => {$(
            #[test]
            fn $name() {
                assert_eq!(documents::FORMATS[$at].1.name(), stringify!($name));
                play($at);
            }
        )*};
    }

    formats! {
        toml 0, json 1, yaml 2, xml 3, ini 4, dotenv 5, properties 6, hcl 7, git 8, systemd 9, mysql 10,
        php 11, grafana 12, configparser 13, redis 14, sshd 15, postgresql 16, nginx 17, directives 18,
        regex 19,
    }
}
