//! Every kind of save: what stands before it, the system calls by which a program makes it, and
//! each state in which its end, or a crash, may leave the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// In every secret.
pub const CANARY: &str = "CANARY-point";

/// A file that no save touches.
pub const BYSTANDER: &str = "other.toml";

/// What a mount shows: each file and its text, or the errno of opening it.
pub type World = BTreeMap<String, Result<String, i32>>;

/// One kind of save.
pub struct Save {
    /// The files before it, and their texts.
    pub before: Vec<(&'static str, String)>,
    /// Further names: of the first file, the second.
    pub links: Vec<(&'static str, &'static str)>,
    /// What the program does.
    pub calls: Vec<Value>,
    /// What a crash may leave, in the order in which it comes about; the last one is the end.
    pub states: Vec<World>,
    /// The file that is written.
    pub target: &'static str,
    /// Whether it writes to every file of the store.
    pub is_of_all: bool,
}

/// A version of a file, with a secret where its format has one.
pub fn content(name: &str, version: u32) -> String {
    let secret = format!("{CANARY}-{version}");
    match name.rsplit('.').next() {
        Some("toml" | "tmp") => {
            format!("version = {version}\npassword = \"{secret}\" # {version}\n")
        }
        Some("key") => {
            format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n")
        }
        _ => format!("version {version}\n{secret}\n"),
    }
}

/// What stands in `mount`, and in its directory `fixed`.
pub fn world(mount: &Path) -> World {
    let mut world = World::new();
    for (dir, prefix) in [(mount.to_owned(), ""), (mount.join("fixed"), "fixed/")] {
        let Ok(entries) = fs::read_dir(&dir) else {
            assert!(!prefix.is_empty(), "the mount cannot be listed");
            continue;
        };
        for entry in entries.map(|entry| entry.expect("an entry")) {
            if entry.file_type().expect("its type").is_dir() {
                continue;
            }
            let name = entry.file_name().into_string().expect("a name");
            let text = fs::read(entry.path()).map_err(|error| error.raw_os_error().unwrap_or(0));
            let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            world.insert(format!("{prefix}{name}"), text);
        }
    }
    world
}

/// Saves `target` in place with `calls` between opening and closing it.
fn in_place(target: &'static str, how: &str, calls: Vec<Value>, after: String) -> Save {
    let mut all = vec![json!(["open", target, how])];
    all.extend(calls);
    all.push(json!(["close"]));
    Save::of(target, &[target], all, |old| vec![old.clone(), old.with(target, &after)])
}

/// Writes the second version of `name` in two pieces.
fn pieces(name: &str) -> Vec<Value> {
    let text = content(name, 2);
    let (one, two) = text.split_at(text.len() / 2);
    vec![json!(["write", one]), json!(["write", two])]
}

impl Save {
    fn of(
        target: &'static str,
        names: &[&'static str],
        calls: Vec<Value>,
        states: impl FnOnce(&World) -> Vec<World>,
    ) -> Self {
        let names = names.iter().chain([&BYSTANDER]);
        let before: Vec<_> = names.map(|name| (*name, content(name, 1))).collect();
        let old = before.iter().map(|(name, text)| ((*name).to_owned(), Ok(text.clone())));
        let states = states(&old.collect());
        Self { before, links: Vec::new(), calls, states, target, is_of_all: false }
    }

    /// `open(O_TRUNC)`, two writes, `close`.
    pub fn truncated_and_written() -> Self {
        in_place("app.toml", "truncate", pieces("app.toml"), content("app.toml", 2))
    }

    /// The same with `fsync`.
    pub fn written_and_synced() -> Self {
        let mut calls = pieces("app.toml");
        calls.push(json!(["fsync"]));
        in_place("app.toml", "truncate", calls, content("app.toml", 2))
    }

    /// `pwrite` into the middle, `ftruncate`.
    pub fn patched() -> Self {
        let old = content("app.toml", 1);
        let at = old.find("-1\"").expect("its secret") + 1;
        let after = format!("{}9{}", &old[..at], &old[at + 1..old.len() - 1]);
        let calls = vec![json!(["pwrite", at, "9"]), json!(["truncate", old.len() - 1])];
        in_place("app.toml", "update", calls, after)
    }

    /// `O_APPEND`.
    pub fn appended() -> Self {
        let more = format!("token = \"{CANARY}-more\"\n");
        let after = content("app.toml", 1) + &more;
        in_place("app.toml", "append", vec![json!(["write", more])], after)
    }

    /// A file that is sealed as a whole.
    pub fn sealed_whole() -> Self {
        in_place("server.key", "truncate", pieces("server.key"), content("server.key", 2))
    }

    /// A file with two names.
    pub fn of_two_names() -> Self {
        let mut save = in_place("app.toml", "truncate", pieces("app.toml"), content("app.toml", 2));
        save.links.push(("app.toml", "second.toml"));
        for state in &mut save.states {
            let text = state["app.toml"].clone();
            state.insert("second.toml".into(), text);
        }
        save
    }

    /// A file in the directory `fixed`, which takes no new file.
    pub fn in_a_fixed_directory() -> Self {
        let target = "fixed/app.toml";
        in_place(target, "truncate", pieces(target), content(target, 2))
    }

    /// A file that was not there.
    pub fn made() -> Self {
        let new = content("app.toml", 2);
        let calls =
            vec![json!(["open", "app.toml", "new"]), json!(["write", new]), json!(["close"])];
        Self::of("app.toml", &[], calls, |old| {
            vec![old.clone(), old.with("app.toml", ""), old.with("app.toml", &new)]
        })
    }

    /// A new file, `fsync`, `rename` over the old one.
    pub fn renamed_into_place() -> Self {
        let new = content("app.toml", 2);
        let calls = vec![
            json!(["open", "app.toml.tmp", "new"]),
            json!(["write", new]),
            json!(["fsync"]),
            json!(["close"]),
            json!(["rename", "app.toml.tmp", "app.toml"]),
        ];
        Self::of("app.toml.tmp", &["app.toml"], calls, |old| {
            let beside = |text: &str| old.with("app.toml.tmp", text);
            vec![old.clone(), beside(""), beside(&new), old.with("app.toml", &new)]
        })
    }

    /// `rename` over a file that was there before.
    pub fn renamed_over() -> Self {
        let calls = vec![json!(["rename", "new.toml", "app.toml"])];
        Self::of("app.toml", &["app.toml", "new.toml"], calls, |old| {
            vec![old.clone(), old.without("new.toml")]
        })
        .with_version("new.toml", 2)
    }

    /// `RENAME_EXCHANGE`.
    pub fn exchanged() -> Self {
        let calls = vec![json!(["exchange", "new.toml", "app.toml"])];
        let save = Self::of("app.toml", &["app.toml", "new.toml"], calls, |old| {
            vec![old.clone(), old.clone()]
        });
        let mut save = save.with_version("new.toml", 2);
        let (one, two) = (content("app.toml", 1), content("new.toml", 2));
        save.states[1] = save.states[1].with("app.toml", &two).with("new.toml", &one);
        save
    }

    /// `unlink`.
    pub fn removed() -> Self {
        let calls = vec![json!(["unlink", "app.toml"])];
        Self::of("app.toml", &["app.toml"], calls, |old| vec![old.clone(), old.without("app.toml")])
    }

    /// `rename` to a name under which the file has to be sealed differently. Both names may be
    /// there in between, each with the whole file.
    pub fn resealed() -> Self {
        let calls = vec![json!(["rename", "app.toml", "app.key"])];
        let text = content("app.toml", 1);
        Self::of("app.key", &["app.toml"], calls, |old| {
            let both = old.with("app.key", &text);
            vec![old.clone(), both.clone(), both.without("app.toml")]
        })
    }

    /// The same over a file that was there before.
    pub fn resealed_over() -> Self {
        let calls = vec![json!(["rename", "app.toml", "app.key"])];
        let text = content("app.toml", 1);
        Self::of("app.key", &["app.toml", "app.key"], calls, |old| {
            let both = old.with("app.key", &text);
            vec![old.clone(), both.clone(), both.without("app.toml")]
        })
    }

    /// Everything anew under the master key, a file with two names among it.
    pub fn rewrapped() -> Self {
        let calls = vec![json!(["control", "rewrap --all\n"])];
        let names = ["app.toml", "notes"];
        let mut save = Self::of("app.toml", &names, calls, |old| vec![old.clone()]);
        save.is_of_all = true;
        save.links.push(("app.toml", "second.toml"));
        save.states[0] = save.states[0].with("second.toml", &content("app.toml", 1));
        save
    }

    /// Has `name` begin at another version.
    fn with_version(mut self, name: &str, version: u32) -> Self {
        let text = content(name, version);
        for (file, before) in &mut self.before {
            if *file == name {
                before.clone_from(&text);
            }
        }
        let first = self.states[0].with(name, &text);
        let last = self.states.len() - 1;
        if !self.states[last].contains_key(name) {
            let over = self.states[last].with("app.toml", &text);
            self.states[last] = over;
        }
        self.states[0] = first;
        self
    }

    /// Brings the files of a mount to where the save begins.
    pub fn prepare(&self, mount: &Path) {
        let now = world(mount);
        let wanted = &self.states[0];
        let linked = |name: &String| self.links.iter().any(|(_, second)| name == second);
        for name in now.keys().filter(|name| !wanted.contains_key(*name)) {
            fs::remove_file(mount.join(name)).expect(name);
        }
        for (name, text) in &self.before {
            if now.get(*name) != Some(&Ok(text.clone())) {
                fs::write(mount.join(name), text).expect(name);
            }
        }
        for (first, second) in &self.links {
            if !now.keys().any(|name| name == second && linked(name)) {
                fs::hard_link(mount.join(first), mount.join(second)).expect(second);
            }
        }
        assert_eq!(world(mount), *wanted, "prepared");
    }
}

/// A world that differs in one file.
trait Differs {
    fn with(&self, name: &str, text: &str) -> World;
    fn without(&self, name: &str) -> World;
}

impl Differs for World {
    fn with(&self, name: &str, text: &str) -> World {
        let mut world = self.clone();
        world.insert(name.to_owned(), Ok(text.to_owned()));
        world
    }

    fn without(&self, name: &str) -> World {
        let mut world = self.clone();
        world.remove(name);
        world
    }
}
