//! What a change of the rules does to one file: which of its values would no longer be sealed, and
//! which would be from now on. Needs no key.

use std::fmt;

use super::Form;
use super::inspect::{Finding, Inspection, Standing, inspect};
use crate::format::FieldPath;
use crate::path::RelPath;
use crate::policy::{Class, ClassReason, Ledger, Policy, Reason, Secret};

/// The rules of one side.
#[derive(Clone, Copy)]
pub struct RuleSet<'a> {
    /// Which files and fields are secret.
    pub policy: &'a Policy,
    /// Fields that are sealed though no rule names them.
    pub ledger: &'a Ledger,
}

/// One thing that becomes otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// The field; `None` for the file as a whole.
    pub field: Option<FieldPath>,
    /// Whether less is sealed than before.
    pub loosens: bool,
    /// By what it is as it is.
    pub before: Because,
    /// By what it will be otherwise.
    pub after: Because,
}

/// Why a file or field is sealed, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// The file's class.
    Class(Class, ClassReason),
    /// The verdict on the field.
    Field(Reason),
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::Class(Class::Whole, reason) => write!(f, "sealed whole, by {reason}"),
            Because::Class(Class::Fields(format), reason) => {
                write!(f, "sealed by the fields of {format}, by {reason}")
            }
            Because::Class(Class::Plain, reason) => write!(f, "plain, by {reason}"),
            Because::Class(Class::Unknown, _) => f.write_str("not known by any rule"),
            Because::Field(reason) => reason.fmt(f),
        }
    }
}

/// How much of a file is sealed.
enum Extent {
    Nothing,
    Fields,
    All,
}

/// What becomes otherwise in `text`, the content of `file` in the store, when `after` replaces
/// `before`.
pub fn weigh(before: RuleSet<'_>, after: RuleSet<'_>, file: &RelPath, text: &[u8]) -> Vec<Shift> {
    let look = |rules: RuleSet<'_>| inspect(rules.policy, rules.ledger, file, text);
    let (old, new) = (look(before), look(after));
    let whole_file = |loosens| {
        let (before, after) = (class(&old), class(&new));
        vec![Shift { field: None, loosens, before, after }]
    };
    match (extent(&old), extent(&new)) {
        (Extent::All, Extent::All) | (Extent::Nothing, Extent::Nothing) => Vec::new(),
        (Extent::All, _) => whole_file(true),
        (_, Extent::All) => whole_file(false),
        (Extent::Fields, Extent::Nothing) => secrets(&old)
            .map(|field| {
                shift(field, true, Because::Field(field.verdict.reason.clone()), class(&new))
            })
            .collect(),
        (Extent::Nothing, Extent::Fields) => secrets(&new)
            .map(|field| {
                shift(field, false, class(&old), Because::Field(field.verdict.reason.clone()))
            })
            .collect(),
        // Taken apart in another way, the fields of the one are not those of the other.
        (Extent::Fields, Extent::Fields) if old.class.class != new.class.class => whole_file(true),
        (Extent::Fields, Extent::Fields) => {
            let pairs = old.fields.iter().zip(&new.fields);
            pairs.filter_map(|(old, new)| field_shift(old, new)).collect()
        }
    }
}

fn field_shift(old: &Finding, new: &Finding) -> Option<Shift> {
    let loosens = match (amount(old), amount(new)) {
        (before, after) if before == after => return None,
        (before, after) => before > after,
    };
    let because = |field: &Finding| Because::Field(field.verdict.reason.clone());
    Some(shift(old, loosens, because(old), because(new)))
}

fn shift(field: &Finding, loosens: bool, before: Because, after: Because) -> Shift {
    Shift { field: Some(field.path.clone()), loosens, before, after }
}

fn class(seen: &Inspection) -> Because {
    Because::Class(seen.class.class.clone(), seen.class.reason.clone())
}

fn secrets(seen: &Inspection) -> impl Iterator<Item = &Finding> {
    seen.fields.iter().filter(|field| amount(field) > 0)
}

/// How much of a field is sealed under these rules: nothing, parts, all. What stands sealed stays
/// so unless a rule calls it public.
fn amount(field: &Finding) -> u8 {
    let by_rules = match field.verdict.secret {
        Secret::All => 2,
        Secret::Parts(_) => 1,
        Secret::No => 0,
    };
    let standing = match field.standing {
        _ if field.verdict.reason.is_rule() => 0,
        Standing::Sealed(_)
        | Standing::Foreign(_)
        | Standing::Unimported(_)
        | Standing::Malformed => 2,
        Standing::PartsSealed(_) => 1,
        Standing::Clear => 0,
    };
    by_rules.max(standing)
}

fn extent(seen: &Inspection) -> Extent {
    match seen.class.class {
        Class::Plain => Extent::Nothing,
        Class::Whole => Extent::All,
        // What stands sealed under a name that nobody knows stays so.
        Class::Unknown if seen.exposed_whole || seen.form == Form::Whole => Extent::All,
        Class::Unknown => Extent::Nothing,
        Class::Fields(_) if seen.exposed_whole => Extent::All,
        Class::Fields(_) => Extent::Fields,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifts(before: &str, after: &str, file: &str, text: &str) -> Vec<String> {
        let policy = |rules: &str| Policy::parse(&format!("version = 1\n{rules}")).unwrap();
        let (before, after, ledger) = (policy(before), policy(after), Ledger::new());
        let set = |policy| RuleSet { policy, ledger: &ledger };
        let file = RelPath::new(file).unwrap();
        let shifts = weigh(set(&before), set(&after), &file, text.as_bytes());
        let shown = |shift: &Shift| {
            let field = shift.field.as_ref().map_or("whole".to_owned(), ToString::to_string);
            format!("{}{field}", if shift.loosens { "-" } else { "+" })
        };
        shifts.iter().map(shown).collect()
    }

    const APP: &str = "password = 'hunter2'\nport = 80\nurl = 'http://a:secret-pw@h/'\n";

    #[test]
    fn fields_are_weighed_one_by_one() {
        let rule = |rest: &str| format!("[[file]]\npath='app.toml'\n{rest}\n");
        let public = rule("public=['password']\nsecret=['port']");
        assert_eq!(shifts("", &public, "app.toml", APP), ["-password", "+port"]);
        assert_eq!(shifts(&public, "", "app.toml", APP), ["+password", "-port"]);
        let all = rule("secret=['url']");
        assert_eq!(shifts(&all, "", "app.toml", APP), ["-url"]);
        assert!(shifts("", "", "app.toml", APP).is_empty());
    }

    #[test]
    fn a_file_that_is_no_longer_sealed_names_what_it_held() {
        let plain = "[[file]]\npath='app.toml'\nseal='none'\n";
        assert_eq!(shifts("", plain, "app.toml", APP), ["-password", "-url"]);
        assert_eq!(shifts(plain, "", "app.toml", APP), ["+password", "+url"]);
        assert_eq!(shifts("", plain, "other.toml", APP), [""; 0]);
    }

    #[test]
    fn whole_files_count_as_one() {
        let whole = "[[file]]\npath='app.toml'\nseal='whole'\n";
        let json = "[[file]]\npath='app.toml'\nformat='dotenv'\n";
        assert_eq!(shifts(whole, "", "app.toml", APP), ["-whole"]);
        assert_eq!(shifts("", whole, "app.toml", APP), ["+whole"]);
        assert_eq!(shifts("", json, "app.toml", "password=hunter2\n"), ["-whole"]);
        let sealed = "ENC:file:v1:00000000:\nAAAA\n";
        assert_eq!(shifts(whole, "", "app.toml", sealed), ["-whole"]);
        let none = "[[file]]\npath='notes'\nseal='none'\n";
        assert_eq!(shifts("", none, "notes", sealed), ["-whole"]);
        assert_eq!(shifts("", none, "notes", "nothing in it\n"), [""; 0]);
    }

    #[test]
    fn what_stands_sealed_is_laid_open_by_a_rule_alone() {
        let token = "pin = \"ENC:v1:e04f8d05:AbpJxYMOfq3sI1vvfqHBgTXkv8Tmly5dBTB7ECyvDDh6HRYvEj6tnOIF4C-G\"\n";
        let ruled = "[[file]]\npath='app.toml'\nsecret=['pin']\n";
        let public = "[[file]]\npath='app.toml'\npublic=['pin']\n";
        assert_eq!(shifts(ruled, public, "app.toml", token), ["-pin"]);
        assert_eq!(shifts("", public, "app.toml", token), ["-pin"]);
        assert!(shifts("", "", "app.toml", token).is_empty());
    }
}
