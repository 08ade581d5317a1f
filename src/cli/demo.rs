//! `demo`: the main job, shown on a throw-away store with the program's own verbs and ordinary
//! tools. Leaves nothing behind, also when interrupted.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use parking_lot::{Mutex, MutexGuard};

use super::error::Failure;
use super::{Outcome, Result};
use crate::keyring::Key;
use crate::pins::STATE_VARIABLE;
use crate::sys::process::{Signals, with_signals_open};

/// Show what confseal does, on a throw-away store: sealed, mounted, seen from both sides, edited,
/// moved to a new key, cleaned up.
#[derive(Args)]
pub(super) struct Demo {}

/// The files of a small web shop, as they lie around on many hosts.
const FILES: [(&str, &str); 4] = [
    (
        "app.toml",
        "# shop, production\n\
         [database]\n\
         url = \"postgres://shop:correct-horse@db.internal/shop\"\n\
         password = 'correct-horse'   # rotated in March\n\
         pool = 20\n\
         # password = 'battery-staple'\n\
         \n\
         [mail]\n\
         host = \"smtp.internal\"\n\
         api_token = \"tok-9f8e7d6c5b4a\"\n",
    ),
    (
        "cache.json",
        "{\n  \"redis\": { \"host\": \"10.0.0.7\", \"password\": \"swordfish-2026\" },\n  \
         // seconds\n  \"ttl\": 300\n}\n",
    ),
    (".env", "export APP_SECRET=\"s3cr3t with spaces\"\nDEBUG=0\n"),
    ("README", "Ask the platform team before you change anything here.\n"),
];

/// A private key for show: sealed whole by its name. Made of no key material.
const PRIVATE_KEY: &str = "tls.key";

impl Demo {
    pub(super) fn run(self) -> Result {
        // Blocked before there is anything to clean up.
        let signals = Signals::block().map_err(Failure::io(std::env::temp_dir()))?;
        let stage = Stage::new()?;
        stage.clean_up_when_interrupted(signals)?;
        let told = stage.play();
        stage.clear();
        told.map(|()| Outcome::Done)
    }
}

/// The directory in which the demo takes place.
#[derive(Clone)]
struct Stage {
    dir: PathBuf,
    /// Whether it is still there: it is cleared once. Held while something is made in it or a program
    /// runs, so that nothing is cleared away below one, a mount that is coming up above all.
    there: Arc<Mutex<bool>>,
}

impl Stage {
    fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("confseal-demo-").tempdir();
        let dir = dir.map_err(Failure::io(std::env::temp_dir()))?.keep();
        Ok(Self { dir, there: Arc::new(Mutex::new(true)) })
    }

    /// SIGINT and SIGTERM end the demo, and what it made with it.
    fn clean_up_when_interrupted(&self, signals: Signals) -> Result<()> {
        let stage = self.clone();
        let wait = move || {
            if signals.wait().is_ok() {
                stage.clear();
                std::process::exit(130);
            }
        };
        std::thread::Builder::new().spawn(wait).map_err(Failure::io(&self.dir))?;
        Ok(())
    }

    fn play(&self) -> Result<()> {
        self.prepare()?;
        chapter("1. The store is sealed: only the secret values change");
        self.confseal(&["seal", "store", "--instance", "./shop.toml"])?;

        chapter("2. It is mounted: programs see plaintext, the disk holds tokens");
        self.confseal(&["mount", "--instance", "./shop.toml"])?;
        for name in FILES.iter().map(|(name, _)| *name).chain([PRIVATE_KEY]) {
            self.both_sides(name)?;
        }

        chapter("3. An ordinary program edits a secret through the mount");
        self.tool("cp", &["-r", "store", "before"])?;
        self.tool("sed", &["-i", "s/tok-9f8e7d6c5b4a/tok-000000000001/", "mnt/app.toml"])?;
        self.tool("grep", &["-n", "api_token", "mnt/app.toml"])?;
        println!("In the store one line has changed; `git diff` would show the same:");
        self.differing("diff", &["-u", "before/app.toml", "store/app.toml"])?;

        chapter("4. The key is rotated while everything stays mounted");
        self.put("new.key", &self.key()?)?;
        self.instance("new.key", "['file:DIR/old.key']")?;
        println!("(shop.toml now names the new key as master, the old one as legacy)");
        self.control("reload")?;
        self.control("rewrap")?;
        self.control("rewrap")?;
        self.tool("grep", &["-o", "ENC:v1:........", "store/app.toml"])?;
        self.instance("new.key", "[]")?;
        println!("(the old key is gone from shop.toml)");
        self.control("reload")?;
        self.tool("grep", &["-n", "password", "mnt/app.toml"])?;

        chapter("5. Nothing secret stands on the disk");
        self.confseal(&["umount", "mnt"])?;
        self.confseal(&["check", "store"])?;
        self.confseal(&["verify", "store", "--instance", "./shop.toml"])?;
        println!("\nThat is all. The demo's directory is removed.");
        Ok(())
    }

    /// What is held while something is done in the directory.
    fn enter(&self) -> Result<MutexGuard<'_, bool>> {
        let there = self.there.lock();
        if *there { Ok(there) } else { Err(Failure::Refused("interrupted".into())) }
    }

    fn prepare(&self) -> Result<()> {
        for name in ["store", "mnt"] {
            let _there = self.enter()?;
            let path = self.dir.join(name);
            fs::create_dir(&path).map_err(Failure::io(path))?;
        }
        for (name, content) in FILES {
            self.put(&format!("store/{name}"), content.as_bytes())?;
        }
        let show = "not a key, only shaped like one ".repeat(4);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{show}\n-----END PRIVATE KEY-----\n");
        self.put(&format!("store/{PRIVATE_KEY}"), pem.as_bytes())?;
        self.put("old.key", &self.key()?)?;
        self.instance("old.key", "[]")?;
        println!("A shop's configuration, in the clear, in {}/store:", self.dir.display());
        self.tool("grep", &["-rn", "horse\\|swordfish\\|s3cr3t", "store"])
    }

    fn key(&self) -> Result<Vec<u8>> {
        let key = Key::generate().map_err(Failure::io(&self.dir))?;
        Ok([&key.to_line()[..], b"\n"].concat())
    }

    /// Writes the instance file, which root or the user alone may write.
    fn instance(&self, master: &str, legacy: &str) -> Result<()> {
        let text = format!(
            "store = 'DIR/store'\nmountpoint = 'DIR/mnt'\n\n\
             [keys]\nmaster = 'file:DIR/{master}'\nlegacy = {legacy}\n"
        );
        let text = text.replace("DIR", &self.dir.to_string_lossy());
        self.put("shop.toml", text.as_bytes())
    }

    fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let _there = self.enter()?;
        let path = self.dir.join(name);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(content)).map_err(Failure::io(path))
    }

    fn both_sides(&self, name: &str) -> Result<()> {
        for (side, from) in [("seen through the mount", "mnt"), ("in the store", "store")] {
            let path = self.dir.join(from).join(name);
            let text = fs::read(&path).map_err(Failure::io(path))?;
            println!("--- {name}, {side}");
            for line in String::from_utf8_lossy(&text).lines().take(12) {
                println!("    {}", shortened(line));
            }
        }
        println!();
        Ok(())
    }

    /// Writes a command into the control file, and prints the answer.
    fn control(&self, command: &str) -> Result<()> {
        println!("$ echo {command} > mnt/.confseal/control; cat mnt/.confseal/control");
        let _there = self.enter()?;
        let path = self.dir.join("mnt/.confseal/control");
        let written = fs::write(&path, format!("{command}\n"));
        let answer = fs::read_to_string(&path).map_err(Failure::io(&path))?;
        print!("{answer}");
        written.map_err(|_| Failure::Refused(answer))
    }

    fn confseal(&self, arguments: &[&str]) -> Result<()> {
        let program = std::env::current_exe().map_err(Failure::io("/proc/self/exe"))?;
        println!("$ confseal {}", arguments.join(" "));
        self.run(&program, arguments).and_then(expect_success)
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Result<()> {
        println!("$ {program} {}", arguments.join(" "));
        self.run(Path::new(program), arguments).and_then(expect_success)
    }

    /// A tool that says by its exit code that there is something to see.
    fn differing(&self, program: &str, arguments: &[&str]) -> Result<()> {
        println!("$ {program} {}", arguments.join(" "));
        self.run(Path::new(program), arguments).map(|_| ())
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Result<Output> {
        let _there = self.enter()?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.dir).env_remove("CONFSEAL_MASTER_KEY");
        // What it accepts is forgotten with it.
        command.env(STATE_VARIABLE, self.dir.join("state"));
        let output = with_signals_open(&mut command).output().map_err(Failure::io(program))?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            println!("{}", shortened(line));
        }
        Ok(output)
    }

    /// Until it has written what it had to write. Whoever has it wait longer than that is not the demo.
    fn wait_for_daemon(&self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        const LOOK: Duration = Duration::from_millis(5);
        let Ok(store) = super::open::open_store(&self.dir.join("store")) else { return };
        let start = Instant::now();
        while super::open::lock(&store).is_err() && start.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
        }
    }

    /// Unmounts and removes everything. Whoever comes second finds nothing to do.
    fn clear(&self) {
        let mut there = self.there.lock();
        if !std::mem::replace(&mut *there, false) {
            return;
        }
        let mnt = self.dir.join("mnt");
        if super::open::is_mount(&mnt)
            && let Ok(program) = std::env::current_exe()
        {
            let lazily = [OsStr::new("umount"), OsStr::new("--lazy"), mnt.as_os_str()];
            let _ = Command::new(program).args(lazily).status();
            self.wait_for_daemon();
        }
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("confseal: {}: {error}", self.dir.display());
        }
    }
}

/// What the program said is on the terminal already but for its errors.
fn expect_success(output: Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Refused(said.trim_end().trim_start_matches("confseal: ").to_owned()))
}

fn chapter(title: &str) {
    println!("\n== {title}\n");
}

/// A line that fits a terminal: tokens are long.
fn shortened(line: &str) -> String {
    const ROOM: usize = 96;
    if line.chars().count() <= ROOM {
        return line.to_owned();
    }
    let start: String = line.chars().take(ROOM - 1).collect();
    format!("{start}…")
}
