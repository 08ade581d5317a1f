//! The program as mount(8) calls it, by the name `mount.confseal`: for `mount -t confseal`, lines of
//! `/etc/fstab` and `.mount` units.
//!
//! What must stay true: what is asked for is put into the words of `confseal mount`, and nothing is
//! mounted in another way; exit codes are those of mount(8), since mount(8) passes them on.

mod options;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::options::{MountWords, OptionError};
use super::error::Failure;
use super::mount::{Mount, Settings};
use super::open::KeyArguments;
use super::{Outcome, Result};
use crate::fuse::mount::{KIND, MountError};
use crate::sys::mount as kernel;

/// The names that mount(8) looks for: of the types `confseal` and `fuse.confseal`.
const NAMES: [&str; 2] = ["mount.confseal", "mount.fuse.confseal"];

const USAGE: &str = "mount.confseal STORE MOUNTPOINT [-sfnvrw] [-o OPTION,...]";

/// Exit codes of mount(8): used wrongly.
const WRONG_USE: u8 = 1;
/// The system has not what it takes.
const SYSTEM: u8 = 2;
/// Not mounted.
const NOT_MOUNTED: u8 = 32;

/// What mount(8) asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Call {
    source: PathBuf,
    target: PathBuf,
    /// `-f`: all but the mount itself.
    fake: bool,
    /// `-s`: options that are not known are no error.
    sloppy: bool,
    /// `-v`.
    verbose: bool,
    /// The last of `-r` and `-w`.
    read_only: Option<bool>,
    options: Vec<String>,
}

/// A call that is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum CallError {
    #[error("a store and a mount point are expected: {USAGE}")]
    Places,
    #[error("unknown option `{0}`: {USAGE}")]
    Flag(String),
    #[error("`{0}` is followed by nothing")]
    Cut(&'static str),
    #[error("{0:?}: not UTF-8")]
    Text(OsString),
    #[error("-N: mounting into another namespace is not supported")]
    Namespace,
    #[error("-o {0}")]
    Option(#[from] OptionError),
}

impl CallError {
    fn hint(&self) -> Option<String> {
        match self {
            CallError::Option(error) => error.hint(),
            CallError::Namespace => {
                Some("run mount(8) there: `nsenter --mount=NAMESPACE mount -t confseal ...`".into())
            }
            CallError::Places | CallError::Flag(_) | CallError::Cut(_) | CallError::Text(_) => None,
        }
    }
}

/// Whether the program was called by one of mount(8)'s names for it.
pub(super) fn is_called(program: Option<&OsStr>) -> bool {
    let name = program.and_then(|program| Path::new(program).file_name());
    name.is_some_and(|name| NAMES.iter().any(|known| name == *known))
}

/// Mounts as mount(8) asks, with `arguments` without the program's name.
pub(super) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let result = Call::parse(arguments).and_then(|call| Ok((call.words()?, call)));
    let (words, call) = match result {
        Ok(understood) => understood,
        Err(error) => {
            eprintln!("mount.confseal: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("  hint: {hint}");
            }
            return ExitCode::from(WRONG_USE);
        }
    };
    match call.run(words) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::NotClean) => ExitCode::from(NOT_MOUNTED),
        Ok(Outcome::Code(code)) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("mount.confseal: {failure}");
            if let Some(hint) = failure.hint() {
                eprintln!("  hint: {hint}");
            }
            ExitCode::from(exit_code(&failure))
        }
    }
}

/// The exit code in the words of mount(8).
fn exit_code(failure: &Failure) -> u8 {
    match failure {
        Failure::Usage(_) => WRONG_USE,
        Failure::Mount(MountError::Device { .. } | MountError::Host { .. }) => SYSTEM,
        _ => NOT_MOUNTED,
    }
}

impl Call {
    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, CallError> {
        let mut call = Self::default();
        let mut places = Vec::new();
        let mut rest = arguments;
        let mut only_places = false;
        while let Some(word) = rest.next() {
            let flags = word.to_str().and_then(|word| word.strip_prefix('-'));
            match flags {
                Some("-") if !only_places => only_places = true,
                Some(flags) if !flags.is_empty() && !only_places => {
                    call.take_flags(flags, &mut rest)?;
                }
                _ => places.push(PathBuf::from(word)),
            }
        }
        [call.source, call.target] = places.try_into().map_err(|_| CallError::Places)?;
        Ok(call)
    }

    /// The letters of one word, of which the last may be followed by a value.
    fn take_flags(
        &mut self,
        flags: &str,
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), CallError> {
        for (at, flag) in flags.char_indices() {
            match flag {
                'f' => self.fake = true,
                's' => self.sloppy = true,
                'v' => self.verbose = true,
                'r' => self.read_only = Some(true),
                'w' => self.read_only = Some(false),
                // No table of mounts is kept but the kernel's.
                'n' => {}
                'o' | 't' | 'N' => {
                    let attached = &flags[at + 1..];
                    let value = match attached {
                        "" => {
                            rest.next().ok_or(CallError::Cut(if flag == 'o' { "-o" } else { "-t" }))
                        }
                        attached => Ok(attached.into()),
                    }?;
                    match flag {
                        'o' => self.options.push(value.into_string().map_err(CallError::Text)?),
                        'N' => return Err(CallError::Namespace),
                        // The name it was called by says as much.
                        _ => {}
                    }
                    return Ok(());
                }
                _ => return Err(CallError::Flag(format!("-{flags}"))),
            }
        }
        Ok(())
    }

    /// What the options say.
    fn words(&self) -> Result<MountWords, CallError> {
        let mut words = MountWords::default();
        for list in &self.options {
            words.take(list, self.sloppy)?;
        }
        if let Some(read_only) = self.read_only {
            words.read_only = Some(read_only);
        }
        words.check()?;
        Ok(words)
    }

    fn run(&self, words: MountWords) -> Result {
        if self.verbose && !words.without_effect.is_empty() {
            println!("mount.confseal: without effect: {}", words.without_effect.join(","));
        }
        if words.remount {
            return self.remount(&words);
        }
        let plan = self.mount(words).plan()?;
        let done = plan.summary();
        let outcome = if self.fake { Outcome::Done } else { plan.start(exit_code)? };
        if self.verbose && outcome == Outcome::Done {
            println!("mount.confseal: {done}{}", if self.fake { " (not done: -f)" } else { "" });
        }
        Ok(outcome)
    }

    /// The same as `confseal mount` has it.
    fn mount(&self, words: MountWords) -> Mount {
        let settings = Settings {
            read_only: words.read_only == Some(true),
            no_exec: words.no_exec == Some(true),
            ..words.settings
        };
        let keys = KeyArguments {
            key: words.key,
            legacy: words.legacy,
            import: words.import,
            instance: words.instance,
        };
        Mount {
            store: Some(self.source.clone()),
            mountpoint: Some(self.target.clone()),
            keys,
            foreground: false,
            force: words.force,
            settings,
        }
    }

    /// Only what the kernel keeps of a mount can be changed while it stands; the rest is the
    /// daemon's. mount(8) repeats all options of fstab, so these are no error here.
    fn remount(&self, words: &MountWords) -> Result {
        let target = self.target.canonicalize().map_err(Failure::io(&self.target))?;
        if !kernel::shows(&target, KIND).map_err(Failure::io(&target))? {
            let what = "no confseal mount stands there";
            return Err(Failure::Refused(format!("{}: {what}", target.display())));
        }
        if !self.fake {
            let (read_only, no_exec) = (words.read_only, words.no_exec);
            kernel::change(&target, read_only, no_exec).map_err(Failure::io(&target))?;
        }
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Call, CallError> {
        Call::parse(words.iter().map(OsString::from))
    }

    fn mounted(words: &[&str]) -> Mount {
        let call = parsed(words).unwrap();
        let said = call.words().unwrap();
        call.mount(said)
    }

    #[test]
    fn it_is_known_by_its_name_in_any_directory() {
        for name in ["mount.confseal", "/sbin/mount.confseal", "/usr/sbin/mount.fuse.confseal"] {
            assert!(is_called(Some(OsStr::new(name))), "{name}");
        }
        for name in ["confseal", "/usr/bin/confseal", "mount.fuse", "/mount.confseal/x", "/"] {
            assert!(!is_called(Some(OsStr::new(name))), "{name}");
        }
        assert!(!is_called(None));
    }

    #[test]
    fn a_call_of_mount_becomes_the_arguments_of_our_own_verb() {
        let mount = mounted(&[
            "/srv/shop",
            "/etc/shop",
            "-s",
            "-v",
            "-o",
            "rw,nofail,_netdev,user,relatime,key=file:/k,legacy=file:/a,legacy=env:B,ttl=60,nowatch",
        ]);
        assert_eq!(mount.store.as_deref(), Some(Path::new("/srv/shop")));
        assert_eq!(mount.mountpoint.as_deref(), Some(Path::new("/etc/shop")));
        assert_eq!(mount.keys.key.unwrap().to_string(), "file:/k");
        let legacy: Vec<_> = mount.keys.legacy.iter().map(ToString::to_string).collect();
        assert_eq!(legacy, ["file:/a", "env:B"]);
        let settings = Settings { no_watch: true, ttl: Some(60), ..Settings::default() };
        assert_eq!((mount.settings, mount.foreground, mount.force), (settings, false, false));
    }

    #[test]
    fn flags_stand_together_and_anywhere() {
        let call = parsed(&["-fnvs", "/a", "-oro", "-t", "fuse.confseal", "--", "-b"]).unwrap();
        assert!(call.fake && call.verbose && call.sloppy);
        assert_eq!(call.target, Path::new("-b"));
        assert_eq!(call.options, ["ro"]);
        assert!(mounted(&["/a", "/b", "-r"]).settings.read_only);
        assert!(!mounted(&["/a", "/b", "-w", "-o", "ro"]).settings.read_only);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(parsed(&["/a"]), Err(CallError::Places));
        assert_eq!(parsed(&["/a", "/b", "/c"]), Err(CallError::Places));
        assert_eq!(parsed(&["/a", "/b", "-o"]), Err(CallError::Cut("-o")));
        assert_eq!(parsed(&["/a", "/b", "-q"]), Err(CallError::Flag("-q".into())));
        let error = parsed(&["/a", "/b", "-N", "/proc/7/ns/mnt"]).unwrap_err();
        assert!(error.hint().unwrap().contains("nsenter"), "{error}");
    }

    #[test]
    fn exit_codes_are_those_of_mount() {
        let device = MountError::Device { source: std::io::ErrorKind::NotFound.into() };
        assert_eq!(exit_code(&Failure::Mount(device)), 2);
        assert_eq!(exit_code(&Failure::Mount(MountError::FusermountMissing)), 32);
        assert_eq!(exit_code(&Failure::Usage(String::new())), 1);
        let missing = std::io::ErrorKind::NotFound.into();
        assert_eq!(exit_code(&Failure::Io { path: "/a".into(), error: missing }), 32);
    }
}
