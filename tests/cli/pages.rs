//! Manual pages, completions, and the table of mount options: made of the program, or held against it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use regex::Regex;

use crate::scene::Scene;

#[test]
fn every_manual_page_is_set_without_a_warning() {
    let scene = Scene::empty();
    scene.run(&["man", "--dir", "pages"]).code(0);
    let pages: Vec<_> =
        fs::read_dir(scene.path("pages")).unwrap().map(|page| page.unwrap().path()).collect();
    assert!(pages.len() > 25, "{pages:?}");
    let set = Command::new("groff")
        .args(["-man", "-ww", "-z", "-Tutf8", "-rLL=100n"])
        .args(&pages)
        .output()
        .expect("groff runs: install package groff-base (tests/run does)");
    let warnings = String::from_utf8_lossy(&set.stderr);
    assert!(set.status.success() && warnings.is_empty(), "{warnings}");
}

#[test]
fn one_page_is_printed_and_an_unknown_one_is_named() {
    let scene = Scene::empty();
    scene.run(&["man"]).code(0).says(&[".TH confseal 1"]);
    scene.run(&["man", "key", "new"]).code(0).says(&[".TH confseal-key-new 1"]);
    scene.run(&["man", "mount.confseal"]).code(0).says(&[".TH mount.confseal 8"]);
    scene.run(&["man", "nothing"]).code(2).complains(&["there is no page `nothing`"]);
}

#[test]
fn each_shell_has_completions_and_bash_takes_its_own() {
    let scene = Scene::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = scene.run(&["completions", shell]).code(0).says(&["with-store", "read-only"]);
        fs::write(scene.path(shell), said.out).unwrap();
    }
    let words = "source ./bash; COMP_WORDS=(confseal mo); COMP_CWORD=1; _confseal confseal mo confseal; \
                 echo ${COMPREPLY[*]}";
    let said =
        Command::new("bash").args(["-euc", words]).current_dir(scene.path("")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "mount\n", "{said:?}");
}

/// What stands in backquotes in one column of the first table of docs/mount-options.md, up to `=` or
/// a blank.
fn column(number: usize) -> BTreeSet<String> {
    let page = include_str!("../../docs/mount-options.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells = rows.take_while(|line| line.starts_with('|')).map(|row| row.split('|').nth(number));
    let named = cells.flat_map(|cell| cell.expect("a cell").split('`').skip(1).step_by(2));
    let bare = |words: &str| words.split([' ', '=']).next().unwrap_or_default().to_owned();
    named.filter(|words| !words.starts_with('[')).map(bare).collect()
}

fn found(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn the_table_of_mount_options_is_the_programs_own() {
    let scene = Scene::empty();
    // Each of the three names what it knows when it is asked for what it does not know, or for help.
    let instance = scene.path("x.toml");
    let text = "store = '/srv'\n[keys]\nmaster = 'env:K'\n[mount]\nnothing = 1\n";
    fs::write(&instance, text).unwrap();
    fs::set_permissions(&instance, PermissionsExt::from_mode(0o600)).unwrap();
    let said = scene.run(&["mount", "--instance", instance.to_str().unwrap()]).code(5);
    let known = said.err.rsplit_once("expected one of").expect("a list").1;
    assert_eq!(found("`([a-z_]+)`", known), column(1));

    let said = scene.run(&["mount", "--help"]).code(0);
    let mut flags = found("(?m)^ +(?:-., )?(--[a-z-]+)", &said.out);
    flags.remove("--help");
    assert_eq!(flags, column(2));

    let helper = scene.path("mount.confseal");
    symlink(env!("CARGO_BIN_EXE_confseal"), &helper).unwrap();
    let said = Command::new(helper).args(["/a", "/b", "-o", "nothing"]).output().unwrap();
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8(said.stderr).unwrap();
    let known = said.rsplit_once("known are ").expect("a list").1;
    assert_eq!(found(r"\b([a-z_]+)\b", &known.replace('=', " = ")), column(3));

    let pages = scene.run(&["man", "confseal.toml"]).code(0).out;
    let pages = pages + &scene.run(&["man", "mount.confseal"]).code(0).out;
    for name in column(1).into_iter().chain(column(3)) {
        assert!(pages.contains(&name), "{name} is in no manual page");
    }
}

#[test]
fn the_page_of_the_instance_names_every_entry() {
    let scene = Scene::empty();
    let instance = scene.path("x.toml");
    let page = scene.run(&["man", "confseal.toml"]).code(0).out;
    for table in ["keys", "mount", "audit"] {
        let key = if table == "keys" { "" } else { "[keys]\nmaster = 'env:K'\n" };
        let text = format!("store = '/srv'\n{key}[{table}]\nnothing = 1\n");
        fs::write(&instance, text).unwrap();
        fs::set_permissions(&instance, PermissionsExt::from_mode(0o600)).unwrap();
        let said = scene.run(&["mount", "--instance", instance.to_str().unwrap()]).code(5);
        let known = said.err.rsplit_once("expected one of").expect("a list").1;
        let names = found("`([a-z_]+)`", known);
        assert!(names.len() > 2, "{known}");
        let section = page.split(".SS ").find(|section| section.starts_with(&format!("[{table}]")));
        for name in names {
            let is_there = section.is_some_and(|section| section.contains(&name));
            assert!(is_there || page.contains(&format!("[[{table}.{name}]]")), "[{table}] {name}");
        }
    }
}

#[test]
fn the_page_of_the_service_has_the_drop_in_of_the_documentation() {
    let block = include_str!("../../docs/systemd.md").split("```ini\n").nth(1).expect("a block");
    let block = block.split("```").next().expect("its end");
    let page = Scene::empty().run(&["man", "confseal@.service"]).code(0).out;
    let page = page.replace("\\-", "-");
    for line in block.lines().filter(|line| !line.starts_with('#')) {
        let line = line.replace("@shop", "@NAME");
        assert!(page.lines().any(|other| other == line), "{line}");
    }
}
