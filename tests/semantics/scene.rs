//! A mounted store with a rule for each class of files, and the same story told in the mount and in
//! a plain directory of the same disk: what comes out has to be the same, errno for errno.

use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::support::{Fixture, text};

/// The classes that a policy tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Values of a document are sealed.
    Fields,
    /// The file is sealed as one.
    Whole,
    /// Nothing is sealed.
    Plain,
}

impl Class {
    /// Each of them.
    pub const ALL: [Class; 3] = [Class::Fields, Class::Whole, Class::Plain];

    /// A name that makes a file one of this class.
    pub fn name(self, stem: &str) -> String {
        let extension = match self {
            Class::Fields => "toml",
            Class::Whole => "key",
            Class::Plain => "txt",
        };
        format!("{stem}.{extension}")
    }

    /// A value that may stand in the store in a file of no class but `Plain`.
    pub fn secret(self) -> &'static str {
        match self {
            Class::Fields => "CANARY-in-a-field",
            Class::Whole => "CANARY-in-a-whole-file",
            Class::Plain => "in-the-clear-on-purpose",
        }
    }

    /// A document with a secret.
    pub fn document(self) -> String {
        format!("password = \"{}\"\nport = 5432\n", self.secret())
    }

    /// Where its story is told by [`alike_in_each_class`].
    pub fn directory(self) -> &'static str {
        match self {
            Class::Fields => "fields",
            Class::Whole => "whole",
            Class::Plain => "plain",
        }
    }
}

/// What the classes are made by.
const POLICY: &str = r#"version = 1

[[file]]
path = "*.key"
seal = "whole"

[[file]]
path = "*.txt"
seal = "none"
"#;

/// A store whose policy knows the classes, not mounted yet.
pub fn unmounted() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.put(".confseal/policy.toml", POLICY);
    fixture
}

/// The same, mounted.
pub fn mounted() -> Fixture {
    let mut fixture = unmounted();
    fixture.mount();
    fixture
}

/// Tells `story` in a new directory of the mount and in a plain one of the same disk.
pub fn alike<T: PartialEq + Debug>(fixture: &Fixture, story: impl Fn(&Path) -> T) {
    compare(fixture, "story", story);
}

/// Tells `story` for each class of files.
pub fn alike_in_each_class<T: PartialEq + Debug>(story: impl Fn(&Path, Class) -> T) {
    alike_in_each_class_of(&mounted(), story);
}

/// The same in the mount of `fixture`, in the directories [`Class::directory`].
pub fn alike_in_each_class_of<T: PartialEq + Debug>(
    fixture: &Fixture,
    story: impl Fn(&Path, Class) -> T,
) {
    for class in Class::ALL {
        compare(fixture, class.directory(), |dir| story(dir, class));
    }
    fixture.assert_sealed(&[Class::Fields.secret(), Class::Whole.secret()]);
}

fn compare<T: PartialEq + Debug>(fixture: &Fixture, name: &str, story: impl Fn(&Path) -> T) {
    let tell = |place: &Path| {
        let dir = place.join(name);
        fs::create_dir_all(&dir).expect("a directory for the story");
        fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).expect("its mode");
        story(&dir)
    };
    let expected = tell(&fixture.dir().join("ext4"));
    let seen = tell(&fixture.mnt());
    assert_eq!(seen, expected, "{name}: in the mount (left) and in a plain directory (right)");
}

/// What `stat` says of a file, as far as two directories can agree on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    pub mode: u32,
    pub nlink: u64,
    pub owner: (u32, u32),
    pub size: u64,
    pub rdev: u64,
}

/// Of `path`, a symbolic link itself.
pub fn facts(path: &Path) -> Facts {
    let seen = fs::symlink_metadata(path).expect("attributes");
    // The size of a directory is the filesystem's own affair.
    let size = if seen.is_dir() { 0 } else { seen.size() };
    let owner = (seen.uid(), seen.gid());
    Facts { mode: seen.mode(), nlink: seen.nlink(), owner, size, rdev: seen.rdev() }
}

/// A user of no system.
pub const USER: u32 = 64001;
/// That user's group.
pub const GROUP: u32 = 64002;
/// A group that some give that user beside it.
pub const FURTHER: u32 = 64003;

/// The lines of Python before those of [`python`]: `t` makes a call and prints what came of it.
const PRELUDE: &str = "
import ctypes, errno, fcntl, mmap, os, socket, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
doc = sys.argv[2].encode()
def name(stem): return stem + sys.argv[1]
def t(call, *given, **more):
    try: got = call(*given, **more)
    except OSError as e: got = errno.errorcode[e.errno]
    # A number may be that of a descriptor, which another test's may shift.
    told = [what for what in given if not isinstance(what, int)]
    print(call.__name__, *told, '->', got if isinstance(got, (str, bytes, list)) else 'done')
    return got
def write(name, text, flags=0):
    fd = os.open(name, os.O_WRONLY | flags)
    try: os.write(fd, text)
    finally: os.close(fd)
def read(name):
    with open(name, 'rb') as f: return f.read()
def mode(name): print(name, oct(os.lstat(name).st_mode))
";

/// What a Python script says that runs in `dir` as root. It has `name`, [`Class::name`], and `doc`,
/// [`Class::document`].
pub fn python(dir: &Path, class: Class, script: &str) -> String {
    run(Command::new("/usr/bin/python3"), dir, class, script)
}

/// The same as [`USER`] of [`GROUP`], with `groups` beside it.
pub fn python_as_user(dir: &Path, class: Class, groups: &[u32], script: &str) -> String {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={USER}")).arg(format!("--regid={GROUP}"));
    match groups {
        [] => command.arg("--clear-groups"),
        groups => {
            let list: Vec<_> = groups.iter().map(u32::to_string).collect();
            command.arg(format!("--groups={}", list.join(",")))
        }
    };
    command.arg("/usr/bin/python3");
    run(command, dir, class, script)
}

fn run(mut command: Command, dir: &Path, class: Class, script: &str) -> String {
    // Isolated: it looks for no modules in `dir`.
    command.args(["-I", "-c"]).arg(format!("{PRELUDE}\n{script}")).current_dir(dir);
    command.args([class.name(""), class.document()]);
    let done = command.output().expect("python3");
    assert!(done.status.success(), "{script}\n{}", text(&done));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
