//! A machine that boots a real systemd: a container on top of this machine's own root.
//!
//! What must stay true:
//! - nothing of it reaches the machine below: its root is an overlay whose upper layer lies in
//!   memory, mounted in a namespace that only this test's thread is in;
//! - of the machine below it has the programs, not the services: nothing is enabled in it but what
//!   a story enables;
//! - it ends with its [`Machine`], also by a panic, and shuts down with the thread of the test, also by
//!   SIGKILL (which leaves an empty directory in /var/tmp, and empty control groups);
//! - two of them know nothing of each other: each has its own control group.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{self, CONFSEAL};

/// How long anything may take before it counts as something that never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the container ends that is to be started again.
const REBOOT: i32 = 133;

/// Where the units of this repository are.
const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd");

/// The one generator that a story needs; the others would bring in services of the machine below.
const GENERATOR: &str = "systemd-fstab-generator";

/// By which systemd waits for the first look at a mount point.
pub const AUTOFS: &str = "/dev/autofs";

/// Units that `multi-user.target` pulls in and that have nothing to do in a container that lives for
/// seconds.
const MASKED: [&str; 17] = [
    "console-getty.service",
    "dev-hugepages.mount",
    "getty.target",
    "initctl.service",
    "ldconfig.service",
    "modprobe@.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-logind.service",
    "systemd-network-generator.service",
    "systemd-sysusers.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-update-done.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
    "var-lib-machines.mount",
];

/// A booted machine, with the program under test and its units installed.
pub struct Machine {
    base: tempfile::TempDir,
    groups: Vec<PathBuf>,
    container: Child,
    leader: u32,
}

impl Machine {
    /// Boots one. `prepare` gets the root directory beforehand: what it writes there is there at
    /// boot. Returns when all that is enabled has been started, or has failed.
    pub fn boot(prepare: impl FnOnce(&Path)) -> Self {
        must_be_able();
        support::apart();
        let base = tempfile::Builder::new().prefix("confseal-machine-").tempdir_in("/var/tmp");
        let base = base.expect("a temporary directory");
        let root = lay_out(base.path());
        settle(&root);
        install(&root);
        prepare(&root);

        let groups = own_groups(base.path());
        let news = listen(base.path());
        let container = start(base.path(), &groups);
        let mut machine = Self { base, groups, container, leader: 0 };
        machine.wait_for_boot(news);
        machine
    }

    /// Shuts it down as `systemctl reboot` does, and returns when it has booted again.
    pub fn reboot(&mut self) {
        let sent = self.systemctl(&["reboot"]);
        assert!(sent.status.success(), "systemctl reboot: {sent:?}");
        let ended = self.container.wait().expect("the container ends");
        assert_eq!(ended.code(), Some(REBOOT), "{}", self.console());
        let news = listen(self.base.path());
        self.container = start(self.base.path(), &self.groups);
        self.wait_for_boot(news);
    }

    /// Runs a program inside, as root, with nothing in its environment but a path.
    pub fn run(&self, command: &[&str]) -> Output {
        self.enter(command).stdin(Stdio::null()).output().expect("nsenter runs")
    }

    /// A command that runs inside, for those who want to feed it or to let it run.
    pub fn enter(&self, command: &[&str]) -> Command {
        let mut entered = Command::new("nsenter");
        entered.args(["--all", "--target", &self.leader.to_string(), "--", "env", "-i"]);
        entered.args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        entered.args(["HOME=/root", "LANG=C.UTF-8", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"]);
        entered.args(command);
        entered
    }

    /// The same for what must succeed; returns what it printed, without the last line break.
    pub fn ok(&self, command: &[&str]) -> String {
        let output = self.run(command);
        let told = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command:?}: {}\n{printed}{told}", output.status);
        printed.trim_end_matches('\n').to_owned()
    }

    /// The same with a line of shell.
    pub fn sh(&self, script: &str) -> String {
        self.ok(&["sh", "-euc", script])
    }

    /// `systemctl` with these arguments, as it ends.
    pub fn systemctl(&self, arguments: &[&str]) -> Output {
        self.run(&[&["systemctl"], arguments].concat())
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.ok(&["systemctl", "show", "--value", "--property", name, unit])
    }

    /// Writes a file inside, through whatever is mounted there, with the directories it needs.
    pub fn put(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) {
        let script = "umask 077; mkdir -p -m 755 \"${1%/*}\"; cat > \"$1\"; chmod \"$2\" \"$1\"";
        let mode = format!("{mode:o}");
        let mut writer = self.enter(&["sh", "-euc", script, "sh", path, &mode]);
        let mut writer = writer.stdin(Stdio::piped()).spawn().expect("nsenter runs");
        writer.stdin.take().expect("its input").write_all(content.as_ref()).expect(path);
        assert!(writer.wait().expect("it ends").success(), "{path} cannot be written");
    }

    /// What the journal holds of a unit, a message a line.
    pub fn journal(&self, unit: &str) -> String {
        self.ok(&["journalctl", "--sync"]);
        self.ok(&["journalctl", "--no-pager", "--output", "cat", "--unit", unit])
    }

    /// The same with all fields.
    pub fn journal_fields(&self, unit: &str) -> Vec<Value> {
        self.ok(&["journalctl", "--sync"]);
        let lines = self.ok(&["journalctl", "--no-pager", "--output", "json", "--unit", unit]);
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Waits until `condition` holds; when it never does, shows what the machine knows.
    pub fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            if begun.elapsed() > PATIENCE {
                panic!("waited in vain until {what}\n{}", self.story());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts a service, and has it stand.
    pub fn start(&self, service: &str) {
        let started = self.systemctl(&["start", service]);
        assert!(started.status.success(), "{started:?}\n{}", self.story());
        assert_eq!(self.property(service, "ActiveState"), "active");
    }

    /// Waits until another daemon than the process `old` serves.
    pub fn wait_for_another(&self, service: &str, old: &str) {
        self.wait_until("another daemon serves", || {
            let pid = self.property(service, "MainPID");
            pid != "0" && pid != old && self.property(service, "ActiveState") == "active"
        });
    }

    /// What has happened so far, for the message of a test that fails.
    pub fn story(&self) -> String {
        let units = self.systemctl(&["list-units", "--all", "--failed", "--no-legend"]);
        let journal = self.run(&["journalctl", "--no-pager", "--lines", "100"]);
        let text = [units.stdout, journal.stdout].concat();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// systemd tells the container when it is up, and the container tells us; before that it says
    /// which process is the first one inside.
    /// Takes the socket, and closes it: once nobody reads there, systemd-nspawn must not wait for
    /// room, for the machine's systemd would wait with it.
    fn wait_for_boot(&mut self, news: UnixDatagram) {
        let mut buffer = [0; 4096];
        let mut is_up = false;
        while !is_up {
            let Ok(length) = news.recv(&mut buffer) else {
                panic!("the machine did not boot:\n{}", self.console());
            };
            for line in String::from_utf8_lossy(&buffer[..length]).lines() {
                is_up |= line == "READY=1";
                if let Some(leader) = line.strip_prefix("X_NSPAWN_LEADER_PID=") {
                    (self.leader, is_up) = (leader.parse().expect("a number"), false);
                }
            }
        }
    }

    fn console(&self) -> String {
        let console = fs::read(self.base.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&console).into_owned()
    }
}

impl Drop for Machine {
    /// As when the power goes: nothing that hangs inside can hold it up.
    fn drop(&mut self) {
        // Its first process takes all others along, and the container ends with it.
        match i32::try_from(self.leader).ok().and_then(Pid::from_raw) {
            Some(leader) => drop(kill_process(leader, Signal::KILL)),
            None => drop(self.container.kill()),
        }
        let _ = self.container.wait();
        let begun = Instant::now();
        let is_busy = |group: &PathBuf| fs::read_dir(group).is_ok() && !remove_group(group);
        while self.groups.iter().any(is_busy) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut umount = Command::new("umount");
        let umount = umount.args(["--recursive", "--lazy"]).arg(self.base.path());
        let is_gone = umount.status().is_ok_and(|status| status.success());
        assert!(is_gone || std::thread::panicking(), "the machine's disk cannot be unmounted");
    }
}

/// Writes a file below the root directory of a machine that is not up yet.
pub fn put_at(root: &Path, path: &str, content: impl AsRef<[u8]>, mode: u32) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
    fs::write(&path, content).expect("a file of the machine");
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("its mode");
}

fn must_be_able() {
    assert!(rustix::process::geteuid().is_root(), "a machine needs root: run the tests as root");
    let has_nspawn = Command::new("systemd-nspawn").arg("--version").stdout(Stdio::null()).status();
    let needed = "systemd-nspawn is not here: install package systemd-container (tests/run does)";
    assert!(has_nspawn.is_ok(), "{needed}");
    assert!(Path::new("/dev/fuse").exists(), "/dev/fuse is missing: modprobe fuse");
}

/// Mounts this machine's root below `base` so that what is written stays in memory.
fn lay_out(base: &Path) -> PathBuf {
    mount(&["-t", "tmpfs", "-o", "mode=700", "machine"], base);
    let [upper, work, root] = ["upper", "work", "root"].map(|name| base.join(name));
    for directory in [&upper, &work, &root] {
        fs::create_dir(directory).expect("a directory");
        fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).expect("its mode");
    }
    let layers = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    mount(&["-t", "overlay", "-o", &layers, "machine"], &root);
    // What systemd-nspawn notes of its containers: a killed one leaves its notes behind.
    fs::create_dir_all("/run/systemd/nspawn").expect("a directory");
    mount(&["-t", "tmpfs", "machine"], Path::new("/run/systemd/nspawn"));
    root
}

/// Starts what [`lay_out`] made.
fn start(base: &Path, groups: &[PathBuf]) -> Child {
    let console = fs::File::create(base.join("console")).expect("a console");
    let name = base.file_name().expect("a name").to_string_lossy();
    // Not every kernel has it; the story that needs it says so.
    let autofs = if Path::new(AUTOFS).exists() { "--bind=/dev/autofs" } else { "" };
    let options = format!(
        "--quiet --boot --register=no --keep-unit --notify-ready=yes --private-network \
         --bind=/dev/fuse {autofs} --capability=CAP_SYS_ADMIN,CAP_IPC_LOCK \
         --link-journal=no --resolv-conf=off \
         --timezone=off --console=pipe --hostname=machine --machine={name} --directory={}",
        base.join("root").display()
    );
    // The control groups are entered by the process itself, before it becomes the container:
    // whatever it starts is in them too. And it shuts down when the thread that started it ends.
    let enter = "for group; do echo 0 > \"$group/cgroup.procs\"; done; exec systemd-nspawn $O";
    Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "sh", "-euc", enter, "sh"])
        .args(groups)
        .env("O", options)
        .env("NOTIFY_SOCKET", base.join("news"))
        .stdin(Stdio::null())
        .stdout(console.try_clone().expect("a console"))
        .stderr(console)
        .spawn()
        .expect("setpriv runs")
}

/// Where systemd-nspawn is to tell of the boot.
fn listen(base: &Path) -> UnixDatagram {
    let path = base.join("news");
    let _ = fs::remove_file(&path); // of an earlier boot
    let news = UnixDatagram::bind(path).expect("a socket");
    news.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    news
}

fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status().expect("mount runs");
    assert!(status.success(), "mount {arguments:?} {}", at.display());
}

/// Leaves of the machine below its programs and its users, and nothing that runs by itself.
fn settle(root: &Path) {
    let replace = |path: &str| {
        let path = root.join(path);
        if path.exists() {
            fs::remove_dir_all(&path).expect("a directory to empty");
        }
        fs::create_dir(&path).expect("an empty directory");
        path
    };
    let units = replace("etc/systemd/system");
    for unit in MASKED {
        symlink("/dev/null", units.join(unit)).expect("a mask");
    }
    symlink("/usr/lib/systemd/system/multi-user.target", units.join("default.target"))
        .expect("a target to boot to");
    let masks = root.join("etc/systemd/system-generators");
    fs::create_dir_all(&masks).expect("a directory");
    for generator in fs::read_dir("/usr/lib/systemd/system-generators").expect("generators") {
        let name = generator.expect("a generator").file_name();
        if name != GENERATOR {
            symlink("/dev/null", masks.join(name)).expect("a mask");
        }
    }
    put_at(root, "etc/fstab", "", 0o644);
    // Not the first boot, at which everything would be enabled that a package brings.
    let id: String = root.to_string_lossy().bytes().map(|byte| format!("{byte:02x}")).collect();
    let id = &id[id.len() - 32..];
    put_at(root, "etc/machine-id", format!("{id}\n"), 0o444);
    let journal = "[Journal]\nStorage=volatile\nRateLimitBurst=0\nForwardToConsole=no\n";
    put_at(root, "etc/systemd/journald.conf.d/machine.conf", journal, 0o644);
    // What lies in temporary directories is not looked through at boot.
    put_at(root, "etc/tmpfiles.d/tmp.conf", "", 0o644);
}

/// Installs the program under test and its units, as a package would.
fn install(root: &Path) {
    let program = root.join("usr/bin/confseal");
    fs::copy(CONFSEAL, &program).expect("the program");
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("its mode");
    copy_all(Path::new(UNITS), &root.join("usr/lib/systemd/system"));
    for helper in ["mount.confseal", "mount.fuse.confseal"] {
        symlink("../bin/confseal", root.join("usr/sbin").join(helper)).expect("a link");
    }
}

/// Copies files and directories; there is nothing to copy where there is no `from`.
fn copy_all(from: &Path, to: &Path) {
    let Ok(entries) = fs::read_dir(from) else { return };
    fs::create_dir_all(to).expect("a directory");
    for entry in entries {
        let from = entry.expect("an entry").path();
        let to = to.join(from.file_name().expect("a name"));
        match from.is_dir() {
            true => copy_all(&from, &to),
            false => drop(fs::copy(from, to).expect("a unit")),
        }
    }
}

/// Makes a control group of the machine's own in each hierarchy that systemd uses. Two machines in
/// one group would take each other's processes for their own services'.
fn own_groups(base: &Path) -> Vec<PathBuf> {
    let name = base.file_name().expect("a name");
    let mine = fs::read_to_string("/proc/self/cgroup").expect("control groups");
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    let mounted = |is_it: &dyn Fn(&str, &str) -> bool| {
        let mut fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        fields.find(|fields| is_it(fields[2], fields[3])).map(|fields| PathBuf::from(fields[1]))
    };
    let mut groups = Vec::new();
    for line in mine.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(kind), Some(path)) = (parts.next(), parts.next()) else { continue };
        let at = match kind {
            "" => mounted(&|kind, _| kind == "cgroup2"),
            "name=systemd" => mounted(&|_, options| options.contains("name=systemd")),
            _ => None,
        };
        let Some(at) = at else { continue };
        let group = at.join(path.trim_start_matches('/')).join(name);
        if let Err(error) = fs::create_dir(&group) {
            panic!("{}: {error}: a machine needs a control group of its own", group.display());
        }
        groups.push(group);
    }
    assert!(!groups.is_empty(), "no hierarchy of control groups is mounted");
    groups
}

/// Removes a control group with those below it; `false` while processes are in it.
fn remove_group(group: &Path) -> bool {
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    { below }.all(|entry| remove_group(&entry.path())) && fs::remove_dir(group).is_ok()
}
