//! Samples of several sides, taken in turns; what is printed of them, and whether it is enough.

use std::time::Duration;

/// One row: for each round the time that each side took, in seconds, in the order of `sides`.
pub struct Row {
    pub name: String,
    pub rounds: Vec<Vec<f64>>,
}

/// What a row is to reach.
#[derive(Clone, Copy)]
pub enum Goal {
    /// At most so many times the plain directory.
    Plain(f64),
    /// At most so many times the plain directory, and so many seconds.
    PlainAnd(f64, f64),
    /// At most so many times the best of the others; below one: so much faster.
    Best(f64),
}

/// Where the plain directory and confseal stand among the sides.
const PLAIN: usize = 0;
const OURS: usize = 1;

pub fn heading(sides: &[&str]) {
    print!("{:<34}", "median, microseconds");
    for side in sides {
        print!("{side:>11}");
    }
    println!("{:>9}{:>9}  goals", "x ext4", "x best");
}

impl Row {
    /// Prints the row; says whether it reached all that was wanted.
    pub fn print(&self, goals: &[Goal]) -> bool {
        let count = self.rounds.first().map_or(0, Vec::len);
        print!("{:<34}", self.name);
        for side in 0..count {
            let times = self.rounds.iter().map(|round| round[side]).collect();
            print!("{:>11.2}", median(times) * 1e6);
        }
        let best = self.best();
        let times = |other: usize| {
            median(self.rounds.iter().map(|round| round[OURS] / round[other]).collect())
        };
        let beside_best = best.map_or("-".to_owned(), |best| format!("{:.2}", times(best)));
        print!("{:>9.2}{beside_best:>9} ", times(PLAIN));
        let mut all_met = true;
        for goal in goals {
            let used = self.rounds.iter().map(|round| goal.used(round, best)).collect();
            let Some(used) = used else {
                print!(" {} ?;", goal.text());
                continue;
            };
            let is_met = median(used) <= 1.0;
            all_met &= is_met;
            print!(" {} {};", goal.text(), if is_met { "met" } else { "MISSED" });
        }
        println!();
        all_met
    }

    /// The fastest of the others over all rounds, if there is one.
    fn best(&self) -> Option<usize> {
        let count = self.rounds.first().map_or(0, Vec::len);
        let all = |side: usize| median(self.rounds.iter().map(|round| round[side]).collect());
        (OURS + 1..count).min_by(|one, other| all(*one).total_cmp(&all(*other)))
    }
}

impl Goal {
    /// How much of what is allowed a round used; `None` where the others are missing.
    fn used(self, round: &[f64], best: Option<usize>) -> Option<f64> {
        let allowed = match self {
            Goal::Plain(times) => round[PLAIN] * times,
            Goal::PlainAnd(times, seconds) => round[PLAIN] * times + seconds,
            Goal::Best(times) => round[best?] * times,
        };
        Some(round[OURS] / allowed)
    }

    fn text(self) -> String {
        match self {
            Goal::Plain(times) => format!("{times} x ext4"),
            Goal::PlainAnd(times, more) => format!("{times} x ext4 + {:.0} us", more * 1e6),
            Goal::Best(times) => format!("{times} x best"),
        }
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn micros(duration: Duration) -> String {
    format!("{:.2} us", duration.as_secs_f64() * 1e6)
}
