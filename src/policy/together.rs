//! Two policies at once: the one in the store, and the one that was last accepted.
//!
//! Must stay true: what holds for a file or a value protects it at least as well as each of the two
//! would by itself; where neither is the stronger, the file is sealed whole.

use super::judge::RulesOfOne;
use super::{Class, ClassReason, Classified, Reason, Secret, Verdict, value};
use crate::format::FieldPath;

/// The rules for the fields of one file, see [`super::Policy::fields`].
#[derive(Debug, Clone)]
pub struct FieldRules<'a> {
    pub(super) own: RulesOfOne<'a>,
    pub(super) accepted: Option<RulesOfOne<'a>>,
}

impl FieldRules<'_> {
    /// Whether `other`, made of the same policy and ledger, judges every value alike.
    pub fn is_same(&self, other: &Self) -> bool {
        let accepted = match (&self.accepted, &other.accepted) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is_same(other),
            _ => false,
        };
        accepted && self.own.is_same(&other.own)
    }

    /// Whether the value at `path` is secret. `value` is decoded: what a program takes it for.
    pub fn judge(&self, path: &FieldPath, value: &[u8]) -> Verdict {
        let own = self.own.judge(path, value);
        match &self.accepted {
            None => own,
            Some(accepted) => verdict(value, accepted.judge(path, value), own),
        }
    }
}

/// What a file is by both. `Unknown` and `Fields` do not compare: a new file that nobody knows is
/// sealed whole, a plain one left alone, so only `Whole` protects as well as either.
pub(super) fn class(accepted: Classified, changed: Classified) -> Classified {
    let stronger = match (&accepted.class, &changed.class) {
        (a, c) if a == c => {
            accepted.is_by_content() == changed.is_by_content() || !changed.is_by_content()
        }
        (_, Class::Whole) | (Class::Plain, _) => true,
        (Class::Whole, _) | (_, Class::Plain) => false,
        (Class::Fields(_) | Class::Unknown, Class::Fields(_) | Class::Unknown) => {
            let reason = ClassReason::Apart {
                accepted: Box::new(accepted.reason),
                changed: Box::new(changed.reason),
            };
            return Classified { class: Class::Whole, reason, base: changed.base };
        }
    };
    if stronger {
        return changed;
    }
    let reason = ClassReason::Accepted {
        accepted: Box::new(accepted.reason),
        changed: Box::new(changed.reason),
    };
    Classified { reason, ..accepted }
}

/// What `value` is by both.
fn verdict(value: &[u8], accepted: Verdict, changed: Verdict) -> Verdict {
    if let (Secret::Parts(one), Secret::Parts(other)) = (&accepted.secret, &changed.secret)
        && one != other
    {
        let secret = value::within(value, [&one[..], other].concat());
        return Verdict { secret, ..stronger(accepted, changed) };
    }
    stronger(accepted, changed)
}

fn stronger(accepted: Verdict, changed: Verdict) -> Verdict {
    if strength(&accepted) <= strength(&changed) {
        return changed;
    }
    let reason =
        Reason::Accepted { accepted: Box::new(accepted.reason), changed: Box::new(changed.reason) };
    Verdict { reason, ..accepted }
}

/// How well a verdict protects. Where as much is secret, the reason counts: what stood sealed stays
/// so unless a rule calls it public, and a name says less than a rule where the value itself names a
/// list element.
fn strength(verdict: &Verdict) -> (u8, u8) {
    let reason = &verdict.reason;
    match verdict.secret {
        Secret::No if reason.is_rule() => (0, 0),
        Secret::No if reason.is_unruled() => (0, 2),
        Secret::No => (0, 1),
        Secret::Parts(_) => (1, u8::from(!reason.is_by_name())),
        Secret::All => (2, u8::from(!reason.is_by_name())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ledger, Policy};
    use super::*;
    use crate::path::RelPath;
    use proptest::prelude::*;

    fn file(path: &str) -> RelPath {
        RelPath::new(path).unwrap()
    }

    fn policy(rules: &str) -> Policy {
        Policy::parse(&format!("version = 1\n{rules}")).unwrap()
    }

    fn judge(policy: &Policy, name: &str, path: &str, value: &str) -> Verdict {
        let path = FieldPath::parse(path).unwrap();
        policy.fields(&file(name), &Ledger::new()).judge(&path, value.as_bytes())
    }

    #[test]
    fn a_public_field_of_the_changed_one_counts_only_if_the_accepted_one_agrees() {
        let accepted = policy("[[file]]\npath='a.toml'\nsecret=['pin']\npublic=['token']\n");
        let changed = policy("[[file]]\npath='a.toml'\npublic=['pin', 'token', 'other']\n");
        let both = changed.together_with(&accepted);
        let pin = judge(&both, "a.toml", "pin", "4711");
        assert_eq!(pin.secret, Secret::All);
        assert_eq!(
            pin.reason.to_string(),
            "by the accepted policy: secret by the rule `pin` (policy line 4); by the changed \
             one: public by the rule `pin` (policy line 4)"
        );
        // Both say so.
        let token = judge(&both, "a.toml", "token", "x");
        assert_eq!((token.secret, token.reason.is_rule()), (Secret::No, true));
        // What stands sealed under it may not be laid open: only the changed one says so.
        let other = judge(&both, "a.toml", "other", "x");
        assert_eq!((other.secret, other.reason.is_rule()), (Secret::No, false));
    }

    #[test]
    fn what_the_changed_one_adds_holds_at_once() {
        let both =
            policy("[[file]]\npath='a.toml'\nsecret=['port']\n").together_with(&Policy::builtin());
        let port = judge(&both, "a.toml", "port", "80");
        assert_eq!(port.reason.to_string(), "secret by the rule `port` (policy line 4)");
    }

    #[test]
    fn of_two_classes_the_stronger_holds_and_whole_where_neither_is() {
        let none = "[[file]]\npath='x'\nseal='none'\n";
        let whole = "[[file]]\npath='x'\nseal='whole'\n";
        let toml = "[[file]]\npath='x'\nformat='toml'\n";
        let json = "[[file]]\npath='x'\nformat='json'\n";
        let regex = "[[file]]\npath='x'\nformat='regex'\npattern='a(?P<value>b)'\n";
        let other = "[[file]]\npath='x'\nformat='regex'\npattern='a(?P<value>c)'\n";
        let unknown = "";
        for (one, two, expected) in [
            (none, whole, whole),
            (none, toml, toml),
            (none, unknown, unknown),
            (toml, whole, whole),
            (toml, toml, toml),
            (regex, regex, regex),
            (toml, json, whole),
            (regex, toml, whole),
            (regex, other, whole),
            (unknown, toml, whole),
            (unknown, whole, whole),
            (unknown, unknown, unknown),
        ] {
            let expected = policy(expected).classify(&file("x")).class;
            // A comment makes them different texts.
            for (accepted, changed) in [(one, two), (two, one)] {
                let both = policy(changed).together_with(&policy(&format!("#\n{accepted}")));
                assert_eq!(both.classify(&file("x")).class, expected, "{accepted}{changed}");
            }
        }
        let both = policy(none).together_with(&policy(whole)).classify(&file("x"));
        assert_eq!(
            both.reason.to_string(),
            "the accepted policy: the rule for `x` (policy line 3); the changed one: the rule for \
             `x` (policy line 3)"
        );
    }

    #[test]
    fn a_policy_that_leaves_a_file_plain_says_nothing_of_its_fields() {
        let none = policy("[[file]]\npath='a.toml'\nseal='none'\n");
        let public = policy("[[file]]\npath='a.toml'\npublic=['token']\n");
        for both in [none.together_with(&public), public.together_with(&none)] {
            assert!(matches!(both.classify(&file("a.toml")).class, Class::Fields(_)));
            assert_eq!(judge(&both, "a.toml", "token", "x").secret, Secret::No);
        }
    }

    #[test]
    fn the_larger_padding_holds_and_one_text_is_no_pair() {
        let wide = policy("padding = 64\n");
        assert_eq!(Policy::builtin().together_with(&wide).bucket(), 64);
        assert_eq!(wide.together_with(&Policy::builtin()).bucket(), 64);
        assert!(wide.together_with(&wide).accepted().is_none());
    }

    /// Rules over a few names, so that two policies meet often.
    fn rules() -> impl Strategy<Value = String> {
        let path = prop::sample::select(vec!["a.toml", "*.toml", "**", "x", "x.conf", "*.conf"]);
        let pattern =
            prop::sample::select(vec!["token", "pin", "**", "db.*", "db.token", "list[]"]);
        let kind = prop::sample::select(vec!["secret", "public"]);
        let rule = (path, 0..6usize, kind, pattern).prop_map(|(path, how, kind, pattern)| {
            let how = match how {
                0 => "seal='none'".to_owned(),
                1 => "seal='whole'".to_owned(),
                2 => format!("format='toml'\n{kind}=['{pattern}']"),
                3 => "format='regex'\npattern='(?P<value>s.*)'".to_owned(),
                _ => format!("{kind}=['{pattern}']"),
            };
            format!("[[file]]\npath='{path}'\n{how}\n")
        });
        let word = prop::sample::select(vec!["pin", "token", "name", "*_x"]);
        let words = prop::collection::vec(word, 0..2);
        let secrets = (words.clone(), words)
            .prop_map(|(names, except)| format!("[secrets]\nnames={names:?}\nexcept={except:?}\n"));
        (secrets, prop::collection::vec(rule, 0..4)).prop_map(|(s, rules)| s + &rules.concat())
    }

    fn class_is_at_least(both: &Class, one: &Class) -> bool {
        match (both, one) {
            (Class::Whole, _) | (_, Class::Plain) => true,
            (both, one) => both == one,
        }
    }

    fn covers(both: &Secret, one: &Secret) -> bool {
        match (both, one) {
            (Secret::All, _) | (_, Secret::No) => true,
            (Secret::Parts(both), Secret::Parts(one)) => one.iter().all(|part| {
                both.iter().any(|whole| whole.start <= part.start && part.end <= whole.end)
            }),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn both_protect_at_least_as_well_as_each(
            accepted in rules(),
            changed in rules(),
            name in prop::sample::select(vec![
                "a.toml", "x", "x.conf", "b.toml", "a.toml~", ".x.swp", "d/y.json", "new",
            ]),
            field in prop::sample::select(vec![
                "token", "pin", "db.token", "db.name", "list[]", "note", "db.pin_x",
            ]),
            value in prop::sample::select(vec![
                "", "true", "hunter2", "postgres://a:b-c@d/e", "DB_PASSWORD=x y", "${X}",
                "PIN=1 http://u:pw@h/", "ENC:x",
            ]),
        ) {
            let (accepted, changed) = (policy(&accepted), policy(&changed));
            let both = changed.together_with(&accepted);
            let name = file(name);
            let (path, ledger) = (FieldPath::parse(field).unwrap(), Ledger::new());
            let class = both.classify(&name).class;
            for one in [&accepted, &changed] {
                let alone = one.classify(&name);
                prop_assert!(class_is_at_least(&class, &alone.class), "{class:?} {alone:?}");
                if !matches!(class, Class::Fields(_)) || alone.class == Class::Plain {
                    continue;
                }
                let by_both = [both.fields(&name, &ledger), both.fields_of_newcomer(&name, &ledger)];
                let by_one = [one.fields(&name, &ledger), one.fields_of_newcomer(&name, &ledger)];
                for (both, one) in by_both.iter().zip(&by_one) {
                    let together = both.judge(&path, value.as_bytes());
                    let alone = one.judge(&path, value.as_bytes());
                    prop_assert!(covers(&together.secret, &alone.secret), "{together:?} {alone:?}");
                    // Only a rule for it lays open what stands sealed.
                    let lays_open = |verdict: &Verdict| {
                        verdict.secret == Secret::No && verdict.reason.is_rule()
                    };
                    prop_assert!(!lays_open(&together) || lays_open(&alone));
                }
            }
        }
    }
}
