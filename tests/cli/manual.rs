//! docs/cli.md tells the truth: its examples, run one after the other, say what stands there. Keys
//! and tokens are other ones each time.

use std::fs;
use std::path::Path;
use std::process::Command;

use regex::Regex;

use crate::scene::Scene;

/// The text between ` ```LANGUAGE ` and ` ``` `.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    let inner = text.split(&*opening).skip(1);
    inner.map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// Command lines, each with what it says; an exit code other than 0 as a last line `? CODE`.
fn examples(text: &str) -> Vec<(String, String)> {
    let mut examples: Vec<(String, String)> = Vec::new();
    for line in blocks(text, "console").into_iter().flat_map(str::lines) {
        match line.strip_prefix("$ ") {
            Some(command) => examples.push((command.to_owned(), String::new())),
            None => {
                let said = &mut examples.last_mut().expect("a command first").1;
                *said += line;
                *said += "\n";
            }
        }
    }
    examples
}

/// Lines in order of their text: standard output and standard error have none between them.
fn comparable(said: &str) -> Vec<String> {
    let token = Regex::new("(ENC:v1:)[0-9a-f]{8}:[A-Za-z0-9_-]{40,}").unwrap();
    let name = Regex::new(r"\b([0-9a-f]{64}|[0-9a-f]{8})\b").unwrap();
    let said = token.replace_all(said, "${1}TOKEN");
    let said = name.replace_all(&said, |found: &regex::Captures<'_>| match &found[0] {
        "00000000" => "00000000".to_owned(),
        name => format!("NAME-{}", name.len()),
    });
    let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_examples_of_the_manual_are_true() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let manual = fs::read_to_string(manual).unwrap();
    let scene = Scene::empty();
    fs::create_dir_all(scene.path("shop/tls")).unwrap();
    fs::write(scene.path("shop/app.toml"), blocks(&manual, "toml")[0]).unwrap();
    fs::write(scene.path("shop/deploy.conf"), "$replicas = 2;\n1;\n").unwrap();
    let key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
    fs::write(scene.path("shop/tls/server.key"), key).unwrap();

    let program = Path::new(env!("CARGO_BIN_EXE_confseal")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let examples = examples(&manual);
    assert!(examples.len() > 15, "{examples:?}");
    for (command, expected) in examples {
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(scene.path(""))
            .env("PATH", &path)
            .env("CONFSEAL_STATE_DIRECTORY", scene.path("state"))
            .output()
            .unwrap();
        let mut said = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() {
            said += &format!("? {}\n", output.status.code().unwrap());
        }
        assert_eq!(comparable(&said), comparable(&expected), "$ {command}\n{said}");
    }
}

/// Every name and extension in the first table of docs/formats.md is read as the page says.
#[test]
fn the_formats_are_those_that_the_page_names() {
    let page = include_str!("../../docs/formats.md");
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let mut seen = 0;
    for row in rows.take_while(|row| !row.starts_with("| toml, json")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let words = |cell: &'static str| cell.split('`').skip(1).step_by(2);
        let Some(format) = words(cells[0]).next().or(cells[0].contains("by content").then_some(""))
        else {
            continue;
        };
        let extensions = words(cells[2]).map(|extension| format!("x{extension}"));
        for name in words(cells[1]).map(str::to_owned).chain(extensions) {
            let read = confseal::format::Format::by_file_name(name.as_bytes());
            let read = read.unwrap_or_else(|| panic!("{name} is not known"));
            match format {
                "" => assert!(read.is_by_content(), "{name}"),
                format => assert_eq!(read.to_string(), format, "{name}"),
            }
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} names were found in the page");
}
