//! Death after each step, and what the next start makes of it.

use super::super::super::order::Order;
use super::*;

/// All that a crash can follow.
const ALL_STEPS: [Step; 12] = [
    Step::Open,
    Step::Draft,
    Step::Write,
    Step::Carry,
    Step::WriteOut,
    Step::Name,
    Step::Exchange,
    Step::Compare,
    Step::Keep,
    Step::Unlink,
    Step::Journal,
    Step::Overwrite,
];

#[test]
fn a_crash_after_any_step_leaves_old_or_new_and_recovery_the_rest() {
    // How many of the steps each way has.
    for (unnamed, exchange, links, steps) in [
        (true, true, 1, 10),
        (false, true, 1, 10),
        (true, false, 1, 9), // compares and keeps in one
        (false, false, 1, 9),
        (true, true, 2, 4),
        (false, true, 2, 4),
    ] {
        let mut deaths = 0;
        for step in ALL_STEPS {
            let fresh = Fresh::with(Means { unnamed, exchange });
            fresh.put("app.toml", "old");
            for link in 1..links {
                let link = fresh.path(&link.to_string());
                std::fs::hard_link(fresh.path("app.toml"), link).unwrap();
            }
            deaths += u32::from(crash::after(step, || drop(put(&fresh, b"new", b"old"))));
            let now = fresh.content("app.toml");
            assert!(now == b"old" || now == b"new", "{step:?}");
            let recovery = fresh.reopened().recover(&|_, bytes| seal(bytes)).unwrap();
            assert!(recovery.failed.is_empty(), "{step:?}: {recovery:?}");
            assert_eq!(fresh.content("app.toml"), now, "{step:?}");
            assert!(fresh.temporaries(".").is_empty(), "{step:?}");
            assert!(fresh.store.kept().unwrap().is_empty(), "{step:?}");
        }
        assert_eq!(deaths, steps, "unnamed {unnamed}, exchange {exchange}, links {links}");
    }
}

#[test]
fn a_crash_after_any_step_of_a_durable_commit_leaves_old_or_new_and_recovery_the_rest() {
    for order in [Order::Journal, Order::Unknown] {
        let mut deaths = 0;
        for step in ALL_STEPS.into_iter().chain([Step::SyncFile]) {
            let fresh = Fresh::ordered(order);
            fresh.put("app.toml", "old");
            let durable = Commit { durable: true, ..commit(b"new", b"old") };
            let life = || drop(fresh.store.root().commit(os("app.toml"), &durable));
            deaths += u32::from(crash::after(step, life));
            let now = fresh.content("app.toml");
            assert!(now == b"old" || now == b"new", "{step:?}");
            let recovery = fresh.reopened().recover(&|_, bytes| seal(bytes)).unwrap();
            assert!(recovery.failed.is_empty(), "{step:?}: {recovery:?}");
            assert_eq!(fresh.content("app.toml"), now, "{step:?}");
            assert!(fresh.temporaries(".").is_empty(), "{step:?}");
            assert!(fresh.store.kept().unwrap().is_empty(), "{step:?}");
        }
        assert_eq!(deaths, 11, "{order:?}");
    }
}

#[test]
fn a_crash_after_any_step_of_a_conflict_loses_neither_version() {
    for links in [1, 2] {
        for step in ALL_STEPS {
            let fresh = Fresh::new();
            fresh.put("app.toml", "somebody else's");
            for link in 1..links {
                let link = fresh.path(&link.to_string());
                std::fs::hard_link(fresh.path("app.toml"), link).unwrap();
            }
            crash::after(step, || drop(put(&fresh, b"new", b"old")));
            fresh.reopened().recover(&|_, bytes| seal(bytes)).unwrap();
            let in_place = fresh.content("app.toml") == b"somebody else's";
            let is_kept = kept(&fresh).contains(&b"sealed:somebody else's".to_vec());
            assert!(in_place || is_kept, "{step:?}");
            assert!(fresh.temporaries(".").is_empty(), "{step:?}");
        }
    }
}
