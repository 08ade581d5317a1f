//! A directory of its own for one test: a store with a realistic tree, and two keys.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What stands in every secret of the tree and nowhere else.
pub const CANARY: &str = "canary";

/// What stands in the store before anything is sealed.
pub const TREE: &[(&str, &str)] = &[
    (
        "app.toml",
        "title = \"shop\"\r\n[database]\r\nhost = 'db1'   # near\r\npassword = 'canary-\"pw'\r\n\
         url = \"postgres://app:canary-url@db/shop\"\r\n# token = \"canary-old\"",
    ),
    (
        "conf.d/deep/api.json",
        "{\n  // who we are\n  \"name\": \"shop\",\n  \"apiKey\": \"canary-\\u00e9\",\n  \
         \"pins\": {\"client_secret\": \"canary-list\"}, // kept\n}\n",
    ),
    (".env", "export DB_PASSWORD=\"canary-env\"\n\nPORT=80\nAPI_TOKEN='canary-token'\n"),
    ("tls/server.key", "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5canary\n-----END PRIVATE KEY-----\n"),
    ("README.md", "How the shop is set up.\n"),
    ("notes.txt", ""),
];

/// See the head of this file.
pub struct Scene {
    place: TempDir,
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub bytes: Vec<u8>,
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

    /// Demands that all of `parts` stand in standard error.
    #[track_caller]
    pub fn complains(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is missing in {self:#?}");
        }
        self
    }

    /// Demands that all of `parts` stand in standard output.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.out.contains(part), "{part:?} is missing in {self:#?}");
        }
        self
    }
}

impl Scene {
    /// The tree in `store/`, nothing sealed; `one.key` and `two.key`.
    pub fn new() -> Self {
        let scene = Self::empty();
        for (name, content) in TREE {
            scene.put(name, content);
        }
        scene.put(".git/config", "token = canary-in-git\n");
        symlink("../outside.toml", scene.store("link.toml")).unwrap();
        fs::write(scene.path("outside.toml"), "password = 'canary-outside'\n").unwrap();
        scene
    }

    /// The tree, sealed under `one.key`.
    pub fn sealed() -> Self {
        let scene = Self::new();
        scene.run(&["seal", "store", "--key", "file:one.key"]).code(0);
        scene
    }

    /// An empty store and the keys.
    pub fn empty() -> Self {
        let scene = Self { place: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.path("store")).unwrap();
        for key in ["one.key", "two.key"] {
            scene.run(&["key", "new", key]).code(0);
        }
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn store(&self, name: &str) -> PathBuf {
        self.path("store").join(name)
    }

    pub fn put(&self, name: &str, content: &str) {
        let path = self.store(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.store(name)).unwrap()
    }

    /// Replaces `from`, which stands once in the file `name` of the store.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
        fs::write(self.store(name), text.replace(from, to)).unwrap();
    }

    /// The first token in the file `name`.
    pub fn token(&self, name: &str) -> String {
        let text = self.read(name);
        let at = text.find("ENC:v1:").expect("a token");
        let end = |c: char| !(c.is_ascii_alphanumeric() || "_:-".contains(c));
        text[at..].split(end).next().unwrap().to_owned()
    }

    pub fn key_id(&self, key: &str) -> String {
        self.run(&["key", "fingerprint", key]).code(0).out[..8].to_owned()
    }

    /// Runs the program in the scene's directory, with none of the caller's keys.
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[], b"")
    }

    /// The same with variables and standard input.
    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_confseal"))
            .args(arguments)
            .current_dir(self.place.path())
            .env_remove("CONFSEAL_MASTER_KEY")
            .env_remove("CREDENTIALS_DIRECTORY")
            .env("CONFSEAL_STATE_DIRECTORY", self.path("state"))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that reads no input may have ended by now.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        Said {
            code: output.status.code().expect("an exit code"),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            bytes: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Content, modification time and inode of every file of the store, but the lock.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64, u64)> {
        let mut files = BTreeMap::new();
        self.each_file(&mut |path, content| {
            let metadata = fs::metadata(path).unwrap();
            let stamp = (metadata.mtime(), metadata.mtime_nsec(), metadata.ino());
            files.insert(path.to_owned(), (content.to_vec(), stamp.0, stamp.1, stamp.2));
        });
        files.remove(&self.store(".confseal/lock"));
        files
    }

    /// The files of the store in which `text` stands, without version control's.
    pub fn holding(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        self.each_file(&mut |path, content| {
            let in_git = path.starts_with(self.store(".git"));
            if !in_git && content.windows(text.len()).any(|part| part == text.as_bytes()) {
                found.push(path.strip_prefix(self.store("")).unwrap().to_owned());
            }
        });
        found
    }

    fn each_file(&self, visit: &mut dyn FnMut(&Path, &[u8])) {
        let mut directories = vec![self.store("")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    directories.push(entry.path());
                } else if kind.is_file() {
                    visit(&entry.path(), &fs::read(entry.path()).unwrap());
                }
            }
        }
    }
}
