//! What one policy text says by itself: the class of a file, and the rules for its fields.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::judge::RulesOfOne;
use super::parse::Parsed;
use super::rules::Rule;
use super::{CONTROL_DIR, Class, ClassReason, Classified, Ledger, derived_from, names};
use crate::format::Format;
use crate::path::RelPath;

/// The padding bucket when a policy names none, in bytes.
const DEFAULT_BUCKET: usize = 16;

impl Parsed {
    /// See [`super::Policy::classify`].
    ///
    /// A rule that matches a derived name and not its origin was made for that name, and wins;
    /// one that matches both (`**`) says nothing of the derived name in particular.
    pub(super) fn classify(&self, file: &RelPath) -> Classified {
        if file.components().next() == Some(CONTROL_DIR) {
            return Classified {
                class: Class::Plain,
                reason: ClassReason::Name,
                base: file.clone(),
            };
        }
        let origin = self.origin(file);
        let format = format_of(file).or_else(|| format_of(origin.as_ref()?));
        let own = self.deciding_rule(file, format.as_ref());
        match origin {
            Some(origin) if own.as_ref().is_none_or(|(rule, _)| rule.glob.matches(&origin)) => {
                let rule = self.deciding_rule(&origin, format_of(&origin).as_ref());
                classified(rule, origin)
            }
            _ => classified(own, file.clone()),
        }
    }

    /// See [`super::Policy::fields`].
    pub(super) fn fields<'a>(&'a self, file: &RelPath, ledger: &'a Ledger) -> RulesOfOne<'a> {
        let mut kin = vec![file.clone()];
        kin.extend(origins(file));
        let rules = self.rules.iter();
        let rules = rules.filter(|rule| kin.iter().any(|name| rule.glob.matches(name)));
        RulesOfOne::new(
            &self.names,
            rules.flat_map(|rule| &rule.fields).collect(),
            kin.iter().filter_map(|name| ledger.entries(name)).collect(),
        )
    }

    /// See [`super::Policy::fields_of_newcomer`].
    pub(super) fn fields_of_newcomer<'a>(
        &'a self,
        file: &RelPath,
        ledger: &'a Ledger,
    ) -> RulesOfOne<'a> {
        let own = self.fields(file, ledger);
        if matches!(self.classify(file).reason, ClassReason::Rule { .. }) {
            return own;
        }
        let all = self.rules.iter().flat_map(|rule| &rule.fields);
        own.with(all.filter(|field| field.secret))
    }

    /// See [`super::Policy::bucket`].
    pub(super) fn bucket(&self) -> usize {
        self.padding.unwrap_or(DEFAULT_BUCKET)
    }

    /// The name that `file` is derived from, if a known one is among the candidates. A rule knows
    /// better than a list; and where names are guessed, `seal = "none"` for one of them does not
    /// lay open what may be another.
    fn origin(&self, file: &RelPath) -> Option<RelPath> {
        let rank = |name: &RelPath| match self.deciding_rule(name, format_of(name).as_ref()) {
            Some((_, Class::Plain)) => Some(2),
            Some(_) => Some(0),
            None => builtin_class(name).map(|_| 1),
        };
        let ranked = origins(file).into_iter().filter_map(|name| Some((rank(&name)?, name)));
        // The first of several of the best rank.
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, name)| name)
    }

    /// The last rule that matches `file` and says what it is.
    fn deciding_rule(&self, file: &RelPath, format: Option<&Format>) -> Option<(&Rule, Class)> {
        let rules = self.rules.iter().rev().filter(|rule| rule.glob.matches(file));
        rules.filter_map(|rule| Some((rule, rule.class(format)?))).next()
    }
}

fn classified(rule: Option<(&Rule, Class)>, base: RelPath) -> Classified {
    let (class, reason) = match rule {
        Some((rule, class)) => {
            (class, ClassReason::Rule { line: rule.line, pattern: rule.glob.text().into() })
        }
        None => match builtin_class(&base) {
            Some(class) => (class, ClassReason::Name),
            None => (Class::Unknown, ClassReason::Unruled),
        },
    };
    Classified { class, reason, base }
}

fn format_of(file: &RelPath) -> Option<Format> {
    Format::by_file_name(file.name().as_bytes())
}

fn builtin_class(file: &RelPath) -> Option<Class> {
    if names::is_whole_file(file.name().as_bytes()) {
        return Some(Class::Whole);
    }
    format_of(file).map(Class::Fields)
}

/// The paths that `file` may be derived from, best first.
pub(super) fn origins(file: &RelPath) -> Vec<RelPath> {
    let names = derived_from(file.name().as_bytes());
    let directory = file.parent();
    names.iter().map(|name| directory.join(OsStr::from_bytes(name))).collect()
}
