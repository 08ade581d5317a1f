//! Two hosts with one key, each with a clone of a bare repository between them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What every secret holds, and nothing else.
pub const CANARY: &str = "canary";

pub const APP: &str = "title = \"shop\"\nhost = 'db1'\n\n[db]\npassword = 'canary-db'\npool = 20\n\n\
                       [mail]\ntoken = 'canary-mail'\nfrom = 'shop@example.org'\n";

/// See the head of this file.
pub struct Scene {
    place: TempDir,
}

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Demands this exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Demands that both say all of `parts`, together.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            let said = self.out.contains(part) || self.err.contains(part);
            assert!(said, "{part:?} is missing in {self:#?}");
        }
        self
    }

    #[track_caller]
    pub fn says_nothing_of(self, part: &str) -> Self {
        assert!(!self.out.contains(part) && !self.err.contains(part), "{part:?} in {self:#?}");
        self
    }
}

impl Scene {
    /// `one` and `two`, set up, with `app.toml` sealed and committed.
    pub fn new() -> Self {
        let scene = Self::bare();
        scene.write("one", "app.toml", APP);
        scene.confseal("one", &["seal", "."]).code(0);
        scene.setup("one", &[]).code(0);
        scene.commit_all("one", "store");
        scene.git("one", &["push", "-q", "origin", "HEAD"]).code(0);
        scene.git("two", &["pull", "-q"]).code(0);
        scene.setup("two", &[]).code(0);
        scene
    }

    /// The clones, empty.
    pub fn bare() -> Self {
        let scene = Self { place: tempfile::tempdir().unwrap() };
        scene.confseal(".", &["key", "new", "master.key"]).code(0);
        scene.git(".", &["init", "-q", "--bare", "-b", "main", "origin.git"]).code(0);
        for clone in ["one", "two"] {
            scene.git(".", &["clone", "-q", "origin.git", clone]);
        }
        scene
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn write(&self, clone: &str, file: impl AsRef<Path>, text: &str) {
        let path = self.path(clone).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, clone: &str, file: &str) -> String {
        fs::read_to_string(self.path(clone).join(file)).unwrap()
    }

    /// The plaintext of a file of a clone.
    #[track_caller]
    pub fn view(&self, clone: &str, file: &str) -> String {
        self.confseal(clone, &["view", file]).code(0).out
    }

    /// Edits the view of a file as a mount would: opened, changed, sealed with the tokens it had.
    #[track_caller]
    pub fn edit(&self, clone: &str, file: &str, from: &str, to: &str) {
        let script = format!("sed -i -e 's|{from}|{to}|'");
        let said = self.run(
            clone,
            OsStr::new(env!("CARGO_BIN_EXE_confseal")),
            &["edit", file, "--key", &self.key()],
            &[("EDITOR", &script)],
        );
        said.code(0);
    }

    fn key(&self) -> String {
        format!("file:{}", self.path("master.key").display())
    }

    /// Our program, in a clone, with the key.
    pub fn confseal(&self, clone: &str, arguments: &[&str]) -> Said {
        let key = self.key();
        let needs_key = ["seal", "view", "verify", "git-setup"].contains(&arguments[0]);
        let keys: &[&str] = if needs_key { &["--key", &key] } else { &[] };
        let program = OsStr::new(env!("CARGO_BIN_EXE_confseal"));
        self.run(clone, program, &[arguments, keys].concat(), &[])
    }

    pub fn setup(&self, clone: &str, arguments: &[&str]) -> Said {
        self.confseal(clone, &[&["git-setup"], arguments].concat())
    }

    pub fn git(&self, clone: &str, arguments: &[&str]) -> Said {
        self.run(clone, OsStr::new("git"), arguments, &[])
    }

    #[track_caller]
    pub fn commit_all(&self, clone: &str, message: &str) {
        self.git(clone, &["add", "-A"]).code(0);
        self.git(clone, &["commit", "-q", "-m", message]).code(0);
    }

    /// Runs a program with nothing of the caller's git and keys.
    pub fn run(
        &self,
        dir: &str,
        program: &OsStr,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Said {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.path(dir))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.place.path())
            .env("CONFSEAL_STATE_DIRECTORY", self.place.path().join("state"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
            .envs([("GIT_COMMITTER_NAME", "C"), ("GIT_COMMITTER_EMAIL", "c@example.org")])
            .env("GIT_EDITOR", "true")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        Said {
            code: output.status.code().expect("an exit code"),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Demands that no plaintext secret stands in any file of the scene, below `.git` too, nor in
    /// any object of git's; and that the search would have found one.
    #[track_caller]
    pub fn assert_no_canary(&self) {
        self.write(".", "control", CANARY);
        let found = self.holding(CANARY);
        fs::remove_file(self.path("control")).unwrap();
        assert_eq!(found, [self.path("control")], "and nowhere else");
        for clone in ["one", "two"] {
            let ids = self.git(clone, &["cat-file", "--batch-all-objects", "--batch-check"]).out;
            assert!(ids.lines().count() > 3, "{ids}");
            for line in ids.lines() {
                let (id, rest) = line.split_once(' ').unwrap();
                let kind = rest.split(' ').next().unwrap();
                let object = self.git(clone, &["cat-file", kind, id]).code(0).out;
                assert!(!object.contains(CANARY), "{line}: {object}");
            }
        }
    }

    fn holding(&self, text: &str) -> Vec<PathBuf> {
        let (mut found, mut directories) = (Vec::new(), vec![self.place.path().to_owned()]);
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    directories.push(entry.path());
                } else if kind.is_file() {
                    let content = fs::read(entry.path()).unwrap();
                    if content.windows(text.len()).any(|part| part == text.as_bytes()) {
                        found.push(entry.path());
                    }
                }
            }
        }
        found
    }
}
