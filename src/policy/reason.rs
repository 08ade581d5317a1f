//! Why a value is secret, or is not, as data and as a sentence.

use std::fmt;
use std::sync::Arc;

use super::names::Named;
use super::value::{Credential, Harmless};

/// Why a value is secret or not. Holds keys and patterns, never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It reads like a sealed value.
    LooksSealed,
    /// It is a credential whatever its name.
    Value(Credential),
    /// A `[[file]]` rule covers its path.
    Rule {
        /// The line of the field pattern, 1-based.
        line: usize,
        /// The field pattern.
        pattern: Arc<str>,
        /// Whether it is one of `secret`, or else of `public`.
        secret: bool,
    },
    /// The pattern of a `[[file]]` rule found it.
    Pattern,
    /// The ledger has it.
    Ledger,
    /// A key in its path is the name of a secret.
    Name {
        /// The name in the list.
        name: Named,
        /// The key.
        segment: String,
    },
    /// A key in its path would be, but for an exception.
    Excepted {
        /// The name in the list.
        name: Named,
        /// The exception in the list.
        except: Named,
        /// The key.
        segment: String,
    },
    /// A key in its path is, but the value is no secret.
    Harmless {
        /// The name in the list.
        name: Named,
        /// The key.
        segment: String,
        /// Why not.
        why: Harmless,
    },
    /// Nothing says that it is secret.
    Unruled,
    /// The accepted policy, which is stronger here than the changed one in the store.
    Accepted {
        /// Why by the accepted one.
        accepted: Box<Reason>,
        /// What the changed one says.
        changed: Box<Reason>,
    },
}

impl Reason {
    /// Whether an operator's rule for the file decided.
    pub fn is_rule(&self) -> bool {
        matches!(self.deciding(), Reason::Rule { .. })
    }

    /// Whether only the names in the path, or the ledger, speak of the value.
    pub fn is_by_name(&self) -> bool {
        matches!(self.deciding(), Reason::Name { .. } | Reason::Ledger)
    }

    /// Whether nothing makes the value secret, and nothing says that such a value never is.
    pub fn is_unruled(&self) -> bool {
        matches!(self.deciding(), Reason::Unruled | Reason::Excepted { .. })
    }

    /// Whether a rule that calls the value public decided.
    pub fn is_public_rule(&self) -> bool {
        matches!(self.deciding(), Reason::Rule { secret: false, .. })
    }

    /// Whether the value's own form decided, whatever the rules say.
    pub fn is_by_form(&self) -> bool {
        matches!(self.deciding(), Reason::Value(_) | Reason::LooksSealed)
    }

    /// The reason of the policy that decides.
    fn deciding(&self) -> &Self {
        match self {
            Reason::Accepted { accepted, .. } => accepted,
            other => other,
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "`{}` (policy line {line})", self.text),
            None => write!(f, "`{}`", self.text),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::LooksSealed => f.write_str("it reads like a sealed value"),
            Reason::Value(credential) => write!(f, "its value is {credential}"),
            Reason::Rule { line, pattern, secret } => {
                let list = if *secret { "secret" } else { "public" };
                write!(f, "{list} by the rule `{pattern}` (policy line {line})")
            }
            Reason::Pattern => f.write_str("found by its rule's pattern"),
            Reason::Ledger => {
                f.write_str("the ledger has it: it was found sealed though no rule names it")
            }
            Reason::Name { name, segment } => write!(f, "`{segment}` is named by {name}"),
            Reason::Excepted { name, except, segment } => {
                write!(f, "`{segment}` is named by {name} but excepted by {except}")
            }
            Reason::Harmless { name, segment, why } => {
                write!(f, "`{segment}` is named by {name} but {why}")
            }
            Reason::Unruled => f.write_str("no rule"),
            Reason::Accepted { accepted, changed } => {
                write!(f, "by the accepted policy: {accepted}; by the changed one: {changed}")
            }
        }
    }
}
