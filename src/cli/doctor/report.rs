//! What was found, in the order in which it was looked for.

use serde_json::{Map, Value, json};

use super::super::Result;
use super::super::output::{count, on_one_line, say};
use super::place::Place;

/// How a finding is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Grade {
    Fine,
    /// Worth knowing, and not what is wrong.
    Note,
    Wrong,
}

/// One finding.
#[derive(Debug)]
pub(super) struct Finding {
    about: &'static str,
    grade: Grade,
    text: String,
    todo: Vec<String>,
    facts: Map<String, Value>,
}

impl Finding {
    /// What to do about it.
    pub(super) fn todo(&mut self, text: impl Into<String>) -> &mut Self {
        self.todo.push(text.into());
        self
    }

    /// A fact for scripts.
    pub(super) fn fact(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

/// All findings.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Something is as it should be.
    pub(super) fn fine(&mut self, about: &'static str, text: impl Into<String>) -> &mut Finding {
        self.add(about, Grade::Fine, text.into())
    }

    /// Something is worth knowing.
    pub(super) fn note(&mut self, about: &'static str, text: impl Into<String>) -> &mut Finding {
        self.add(about, Grade::Note, text.into())
    }

    /// Something is wrong.
    pub(super) fn wrong_with(
        &mut self,
        about: &'static str,
        text: impl Into<String>,
    ) -> &mut Finding {
        self.add(about, Grade::Wrong, text.into())
    }

    /// How much is wrong.
    pub(super) fn wrong(&self) -> usize {
        self.findings.iter().filter(|finding| finding.grade == Grade::Wrong).count()
    }

    fn add(&mut self, about: &'static str, grade: Grade, text: String) -> &mut Finding {
        let (todo, facts) = (Vec::new(), Map::new());
        let at = self.findings.len();
        self.findings.push(Finding { about, grade, text, todo, facts });
        &mut self.findings[at]
    }

    /// For a person.
    pub(super) fn say(&self, place: &Place) -> Result<()> {
        say(format_args!("{}", on_one_line(&place.path.to_string_lossy())))?;
        for finding in &self.findings {
            let mark = match finding.grade {
                Grade::Fine => "ok",
                Grade::Note => "--",
                Grade::Wrong => "!!",
            };
            let (about, text) = (finding.about, on_one_line(&finding.text));
            say(format_args!("{mark}  {about:<11} {text}"))?;
            for todo in &finding.todo {
                say(format_args!("                -> {}", on_one_line(todo)))?;
            }
        }
        match self.wrong() {
            0 => say(format_args!("nothing wrong was found")),
            wrong => say(format_args!("{} wrong", count(wrong, "thing"))),
        }
    }

    /// For a script.
    pub(super) fn to_json(&self, place: &Place) -> Value {
        let finding = |finding: &Finding| {
            let grade = match finding.grade {
                Grade::Fine => "fine",
                Grade::Note => "note",
                Grade::Wrong => "wrong",
            };
            let mut value = Value::Object(finding.facts.clone());
            value["about"] = finding.about.into();
            value["grade"] = grade.into();
            value["text"] = finding.text.as_str().into();
            value["todo"] = finding.todo.clone().into();
            value
        };
        let shown = |path: &std::path::Path| path.to_string_lossy().into_owned();
        json!({
            "path": shown(&place.path),
            "file": place.file.as_ref().map(ToString::to_string),
            "instance": place.instance.as_ref().map(|(name, _)| name),
            "store": place.store.as_deref().map(shown),
            "mountpoint": place.mountpoint.as_deref().map(shown),
            "wrong": self.wrong(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}
