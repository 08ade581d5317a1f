//! `man`: the manual pages. Those of the verbs are made of what `--help` says; those of files, units
//! and mount(8) are written by hand, beside this file.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::error::Failure;
use super::{Arguments, Outcome, Result};

/// Pages that no verb has, each under the name of its file.
const BY_HAND: [(&str, &str); 3] = [
    ("confseal.toml.5", include_str!("man/confseal.toml.5")),
    ("mount.confseal.8", include_str!("man/mount.confseal.8")),
    ("confseal@.service.8", include_str!("man/confseal@.service.8")),
];

/// What every page ends with: the documentation that a package installs.
const SEE_ALSO: &str = ".SH \"SEE ALSO\"\n\
    .BR confseal (1),\n.BR confseal.toml (5),\n.BR mount.confseal (8),\n.BR confseal@.service (8)\n\
    .PP\nFull documentation, exit codes among it: /usr/share/doc/confseal/\n";

/// Show a manual page, or write them all
///
/// `confseal man mount | man -l -` shows one.
#[derive(Args)]
pub(super) struct ManVerb {
    /// Of which verb, or the name of a page; without it, of confseal.
    #[arg(value_name = "PAGE", conflicts_with = "dir")]
    page: Vec<String>,
    /// Write every page into this directory.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl ManVerb {
    pub(super) fn run(self) -> Result {
        let pages = pages().map_err(Failure::io("the manual"))?;
        match self.dir {
            Some(dir) => {
                fs::create_dir_all(&dir).map_err(Failure::io(&dir))?;
                for (name, page) in pages {
                    let path = dir.join(name);
                    fs::write(&path, page).map_err(Failure::io(&path))?;
                }
            }
            None => {
                let wanted = ["confseal".to_owned()].into_iter().chain(self.page.iter().cloned());
                let wanted = format!("{}.1", wanted.collect::<Vec<_>>().join("-"));
                let by_hand = self.page.first();
                let is_it = |name: &str| {
                    name == wanted
                        || by_hand.is_some_and(|page| name.rsplit_once('.').unwrap().0 == page)
                };
                let (_, page) = pages.iter().find(|(name, _)| is_it(name)).ok_or_else(|| {
                    Failure::Usage(format!("there is no page `{}`", self.page.join(" ")))
                })?;
                let written = io::stdout().lock().write_all(page);
                written.map_err(Failure::io("standard output"))?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// Every page: its file's name, and the page.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    add(&program, &mut pages)?;
    pages.extend(BY_HAND.map(|(name, page)| (name.to_owned(), page.as_bytes().to_vec())));
    Ok(pages)
}

/// The page of `command`, and those of its verbs.
fn add(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let source = concat!("confseal ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).manual("confseal").source(source);
    let mut page = Vec::new();
    man.render(&mut page)?;
    page.write_all(SEE_ALSO.as_bytes())?;
    pages.push((man.get_filename(), page));
    command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .try_for_each(|verb| add(verb, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_that_help_lists_has_a_page() {
        let pages = pages().unwrap();
        let has = |name: &str| pages.iter().any(|(page, _)| page == name);
        for verb in Arguments::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            assert!(has(&format!("confseal-{}.1", verb.get_name())), "{}", verb.get_name());
        }
        for name in ["confseal.1", "confseal-key-new.1", "mount.confseal.8", "confseal.toml.5"] {
            assert!(has(name), "{name}");
        }
        assert!(!has("confseal-git-merge.1") && !has("confseal-help.1"));
    }

    #[test]
    fn a_page_says_what_help_says() {
        let pages = pages().unwrap();
        let (_, page) = pages.iter().find(|(name, _)| name == "confseal-mount.1").unwrap();
        let text = String::from_utf8_lossy(page);
        for part in ["read\\-only", "confseal mount", "SEE ALSO", ".TH confseal-mount 1"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
