//! A policy taken apart into single statements, so that two can be told apart by what they say.

use std::fmt;

use super::Policy;
use super::parse::Parsed;
use super::rules::{Rule, Seal};
use crate::format::Format;

/// One thing that a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its line, 1-based, where it has one of its own.
    pub line: Option<usize>,
    /// What it says, in one line.
    pub text: String,
}

/// How two policies differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What only the first says.
    pub gone: Vec<Statement>,
    /// What only the second says.
    pub new: Vec<Statement>,
    /// Whether what both say stands in another order; the last rule wins.
    pub is_reordered: bool,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl Policy {
    /// What became of `before` in this policy. Either by itself, whatever it holds together with.
    pub fn difference_from(&self, before: &Policy) -> Difference {
        let (mut gone, mut new) = (before.own.statements(), self.own.statements());
        let mut kept = Vec::new();
        new.retain(|statement| {
            let before = gone.iter().position(|other| other.text == statement.text);
            kept.extend(before.map(|at| gone.remove(at)));
            before.is_none()
        });
        let is_reordered = kept.windows(2).any(|pair| pair[0].line > pair[1].line);
        Difference { gone, new, is_reordered }
    }
}

impl Parsed {
    fn statements(&self) -> Vec<Statement> {
        let mut said = Vec::new();
        let padding = self.padding.map(|bytes| format!("padding = {bytes}"));
        said.extend(padding.map(|text| Statement { line: None, text }));
        for (list, words) in [("names", &self.names.names), ("except", &self.names.except)] {
            said.extend(words.iter().map(|word| {
                let word = word.named();
                Statement { line: word.line, text: format!("secrets: {list} `{}`", word.text) }
            }));
        }
        said.extend(self.rules.iter().flat_map(Rule::statements));
        said
    }
}

impl Rule {
    fn statements(&self) -> Vec<Statement> {
        let path = self.glob.text();
        let mut said = Vec::new();
        let mut say = |line, text: String| {
            said.push(Statement { line: Some(line), text: format!("{path}: {text}") });
        };
        if let Some(seal) = self.seal {
            let seal = match seal {
                Seal::Fields => "fields",
                Seal::Whole => "whole",
                Seal::None => "none",
            };
            say(self.line, format!("seal = \"{seal}\""));
        }
        match &self.format {
            Some(Format::Pattern(pattern)) => {
                say(self.line, format!("format = \"regex\", pattern = '{}'", pattern.text()));
            }
            Some(format) => say(self.line, format!("format = \"{format}\"")),
            None => {}
        }
        for field in &self.fields {
            let list = if field.secret { "secret" } else { "public" };
            say(field.line, format!("{list} `{}`", field.text));
        }
        if said.is_empty() {
            said.push(Statement { line: Some(self.line), text: format!("{path}: by its format") });
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &str) -> Policy {
        Policy::parse(&format!("version = 1\n{rules}")).unwrap()
    }

    fn lines(statements: &[Statement]) -> Vec<String> {
        statements.iter().map(Statement::to_string).collect()
    }

    #[test]
    fn what_went_and_what_came_is_named_with_its_line() {
        let before = policy(
            "padding = 32\n[secrets]\nnames=['pin']\n[[file]]\npath='a.toml'\nsecret=['x', 'y']\n\
             [[file]]\npath='k'\nseal='whole'\n",
        );
        let after = policy(
            "[[file]]\npath='a.toml'\nsecret=['x']\npublic=['y']\n[[file]]\npath='k'\n\
             format='regex'\npattern='(?P<value>x)'\n[[file]]\npath='b'\n",
        );
        let difference = after.difference_from(&before);
        assert_eq!(
            lines(&difference.gone),
            [
                "padding = 32",
                "line 4: secrets: names `pin`",
                "line 7: a.toml: secret `y`",
                "line 9: k: seal = \"whole\"",
            ]
        );
        assert_eq!(
            lines(&difference.new),
            [
                "line 5: a.toml: public `y`",
                "line 7: k: format = \"regex\", pattern = '(?P<value>x)'",
                "line 11: b: by its format",
            ]
        );
        assert!(!difference.is_reordered);
    }

    #[test]
    fn a_new_order_is_noticed_and_a_comment_is_not() {
        let one = "[[file]]\npath='a'\nseal='none'\n";
        let two = "[[file]]\npath='b'\nseal='whole'\n";
        let turned = policy(&[two, one].concat());
        let difference = turned.difference_from(&policy(&[one, two].concat()));
        assert!(difference.is_reordered && difference.gone.is_empty());
        let commented = policy(&["# more\n", one, two].concat());
        let difference = commented.difference_from(&policy(&[one, two].concat()));
        assert_eq!(difference, Difference::default());
    }
}
