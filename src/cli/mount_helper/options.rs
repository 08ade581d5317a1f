//! The words after `-o`, as mount(8) writes them.
//!
//! What must stay true: an option that would not do what it says is refused, never passed over;
//! those in [`WITHOUT_EFFECT`] ask for what is so anyway, or are for others to read.

use super::super::import::ImportSource;
use super::super::mount::Settings;
use crate::keyring::KeySource;

/// Options of ours, as they are written; what `=` follows is the value's place.
const OURS: &[&str] = &[
    "allow_other",
    "cache=MIB",
    "context=CONTEXT",
    "exec",
    "force",
    "import=IMPORT",
    "instance=NAME",
    "key=SOURCE",
    "legacy=SOURCE",
    "max_view=MIB",
    "noallow_other",
    "noexec",
    "nowatch",
    "remount",
    "ro",
    "rw",
    "threads=NUMBER",
    "ttl=SECONDS",
];

/// What is so anyway (set-user-ID bits and devices count for nothing, times of access are the
/// store's), and what mount(8), systemd or umount(8) read.
const WITHOUT_EFFECT: &[&str] = &[
    "defaults",
    "auto",
    "noauto",
    "nofail",
    "_netdev",
    "_rnetdev",
    "user",
    "nouser",
    "users",
    "owner",
    "group",
    "nosuid",
    "nodev",
    "async",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "lazytime",
    "nolazytime",
    "silent",
    "loud",
    "nosymfollow",
    "iversion",
    "noiversion",
    "nomand",
    "default_permissions",
];

/// The same with a value.
const WITHOUT_EFFECT_AND_VALUED: &[&str] = &["comment", "helper", "uhelper", "fsname", "subtype"];

/// What the kernel shows of a mount, and mount(8) repeats for a remount of one that is not in fstab.
const SHOWN: &[&str] = &["user_id", "group_id", "max_read", "blksize", "rootmode"];

/// What the options say.
#[derive(Debug, Default)]
pub(super) struct MountWords {
    /// The last of `ro` and `rw`.
    pub read_only: Option<bool>,
    /// The last of `noexec` and `exec`.
    pub no_exec: Option<bool>,
    pub remount: bool,
    pub force: bool,
    pub key: Option<KeySource>,
    pub legacy: Vec<KeySource>,
    pub import: Vec<ImportSource>,
    pub instance: Option<String>,
    /// All but the two that can be taken back.
    pub settings: Settings,
    /// What is for others to read, or was passed over for `-s`.
    pub without_effect: Vec<String>,
    /// The first of what only the kernel has words for.
    shown: Option<String>,
}

/// An option that is refused. No value is repeated: it may be a key that stands in the wrong place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OptionError {
    #[error("`{0}`: there is no such option")]
    Unknown(String),
    #[error("`{0}`: the quote is not closed")]
    Quote(String),
    #[error("`{0}=`: a value is missing")]
    NoValue(String),
    #[error("`{0}`: takes no value")]
    Value(String),
    #[error("`{0}=`: a whole number is expected")]
    Number(String),
    #[error("`{name}=`: {why}")]
    Wrong { name: String, why: String },
    #[error(
        "`instance=` says where the keys are: `key=`, `legacy=` and `import=` do not go with it"
    )]
    Instance,
    #[error("`{0}`: {1}")]
    Refused(&'static str, &'static str),
}

impl OptionError {
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            OptionError::Unknown(_) => Some(format!("known are {}", OURS.join(", "))),
            OptionError::Number(_)
            | OptionError::Quote(_)
            | OptionError::NoValue(_)
            | OptionError::Value(_)
            | OptionError::Wrong { .. }
            | OptionError::Instance
            | OptionError::Refused(..) => None,
        }
    }
}

impl MountWords {
    /// Takes the options of one list. `sloppy`: those that are not known are no error.
    pub(super) fn take(&mut self, list: &str, sloppy: bool) -> Result<(), OptionError> {
        for (name, value) in split(list)? {
            match self.take_one(&name, value.as_deref()) {
                Err(OptionError::Unknown(name)) if sloppy => self.without_effect.push(name),
                other => other?,
            }
        }
        Ok(())
    }

    /// Whether all that was said goes together.
    pub(super) fn check(&self) -> Result<(), OptionError> {
        let keys = self.key.is_some() || !self.legacy.is_empty() || !self.import.is_empty();
        match &self.shown {
            Some(name) if !self.remount => Err(OptionError::Unknown(name.clone())),
            _ if self.instance.is_some() && keys => Err(OptionError::Instance),
            _ => Ok(()),
        }
    }

    fn take_one(&mut self, name: &str, value: Option<&str>) -> Result<(), OptionError> {
        let is_ours = |known: &&str| known.split_once('=').is_some_and(|(known, _)| known == name);
        let is_valued = OURS.iter().any(is_ours) || WITHOUT_EFFECT_AND_VALUED.contains(&name);
        let is_word = OURS.contains(&name) || WITHOUT_EFFECT.contains(&name);
        let is_remark = name.starts_with("x-") || name.starts_with("X-");
        match value {
            None | Some("") if is_valued => return Err(OptionError::NoValue(name.to_owned())),
            Some(_) if is_word => return Err(OptionError::Value(name.to_owned())),
            _ => {}
        }
        let text = value.unwrap_or_default();
        match name {
            "ro" => self.read_only = Some(true),
            "rw" => self.read_only = Some(false),
            "noexec" => self.no_exec = Some(true),
            "exec" => self.no_exec = Some(false),
            "remount" => self.remount = true,
            "force" => self.force = true,
            "allow_other" => {
                (self.settings.allow_other, self.settings.no_allow_other) = (true, false)
            }
            "noallow_other" => {
                (self.settings.allow_other, self.settings.no_allow_other) = (false, true)
            }
            "nowatch" => self.settings.no_watch = true,
            "ttl" => self.settings.ttl = Some(number(name, text)?),
            "max_view" => self.settings.max_view = Some(number(name, text)?),
            "cache" => self.settings.cache = Some(number(name, text)?),
            "threads" => self.settings.threads = Some(number(name, text)?),
            "context" => self.settings.context = Some(text.to_owned()),
            "key" => self.key = Some(parsed(name, text)?),
            "legacy" => self.legacy.push(parsed(name, text)?),
            "import" => self.import.push(parsed(name, text)?),
            "instance" => self.instance = Some(text.to_owned()),
            "suid" | "dev" => {
                return Err(OptionError::Refused(
                    if name == "dev" { "dev" } else { "suid" },
                    "set-user-ID bits and devices never count in this file system",
                ));
            }
            "sync" | "dirsync" => {
                return Err(OptionError::Refused(
                    if name == "sync" { "sync" } else { "dirsync" },
                    "what is written is committed on close and on fsync, not with each write",
                ));
            }
            _ if is_word || is_valued || is_remark => self.without_effect.push(name.to_owned()),
            _ if SHOWN.contains(&name) => self.shown = Some(name.to_owned()),
            _ => return Err(OptionError::Unknown(name.to_owned())),
        }
        Ok(())
    }
}

fn number<N: std::str::FromStr>(name: &str, text: &str) -> Result<N, OptionError> {
    text.parse().map_err(|_| OptionError::Number(name.to_owned()))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: &str,
) -> Result<T, OptionError> {
    let wrong =
        |error: T::Err| OptionError::Wrong { name: name.to_owned(), why: error.to_string() };
    text.parse().map_err(wrong)
}

/// Takes a list apart as libmount does: a comma within double quotes or behind a backslash is the
/// value's own, as is a quote behind a backslash.
fn split(list: &str) -> Result<Vec<(String, Option<String>)>, OptionError> {
    let mut found = Vec::new();
    let (mut name, mut value) = (String::new(), None::<String>);
    let mut quoted = false;
    let mut rest = list.chars().peekable();
    loop {
        let next = rest.next();
        match next {
            Some(',') if !quoted => {}
            None if quoted => return Err(OptionError::Quote(name)),
            None => {}
            Some('"') => {
                quoted = !quoted;
                continue;
            }
            Some('=') if !quoted && value.is_none() => {
                value = Some(String::new());
                continue;
            }
            Some(c) => {
                let escaped =
                    if c == '\\' { rest.next_if(|c| [',', '"'].contains(c)) } else { None };
                value.as_mut().unwrap_or(&mut name).push(escaped.unwrap_or(c));
                continue;
            }
        }
        if !name.is_empty() || value.is_some() {
            found.push((std::mem::take(&mut name), value.take()));
        }
        if next.is_none() {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(list: &str) -> Result<MountWords, OptionError> {
        let mut words = MountWords::default();
        words.take(list, false)?;
        words.check()?;
        Ok(words)
    }

    #[test]
    fn a_comma_in_quotes_or_behind_a_backslash_is_the_values_own() {
        let pair = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        assert_eq!(
            split(r#"ro,context="u:o:t:s0:c1,c2",key=file:/a\,b,x="say \"a=b\"",,noexec"#).unwrap(),
            [
                pair("ro", None),
                pair("context", Some("u:o:t:s0:c1,c2")),
                pair("key", Some("file:/a,b")),
                pair("x", Some("say \"a=b\"")),
                pair("noexec", None),
            ]
        );
        assert_eq!(split("").unwrap(), []);
        assert_eq!(split("key=a\\b").unwrap(), [pair("key", Some("a\\b"))]);
        assert_eq!(split("context=\"a,b"), Err(OptionError::Quote("context".into())));
    }

    #[test]
    fn an_import_goes_in_quotes() {
        let words = taken(r#"import="scheme=fernet,key=file:/f,path=a.toml,field=b""#).unwrap();
        assert_eq!(words.import.len(), 1);
    }

    #[test]
    fn options_for_others_are_passed_over_and_told() {
        let words =
            taken("defaults,nofail,_netdev,noauto,user,x-systemd.requires=a.service,X-a,comment=b");
        let told = "defaults,nofail,_netdev,noauto,user,x-systemd.requires,X-a,comment";
        assert_eq!(words.unwrap().without_effect.join(","), told);
    }

    #[test]
    fn the_last_of_two_counts() {
        let words = taken("ro,rw,noexec,exec,allow_other,noallow_other").unwrap();
        assert_eq!((words.read_only, words.no_exec), (Some(false), Some(false)));
        assert!(words.settings.no_allow_other && !words.settings.allow_other);
    }

    #[test]
    fn an_unknown_option_is_named_with_those_that_are_known() {
        let error = taken("rw,kee=file:/secret").unwrap_err();
        assert_eq!(error.to_string(), "`kee`: there is no such option");
        assert!(error.hint().unwrap().contains("key=SOURCE"));
        let mut words = MountWords::default();
        words.take("kee=x,ro", true).unwrap();
        assert_eq!((words.without_effect, words.read_only), (vec!["kee".to_owned()], Some(true)));
    }

    #[test]
    fn a_remount_repeats_what_the_kernel_shows() {
        let shown = "rw,nosuid,nodev,relatime,user_id=0,group_id=0,default_permissions,allow_other";
        assert!(taken(&format!("{shown},remount")).unwrap().remount);
        assert_eq!(taken(shown).unwrap_err().to_string(), "`user_id`: there is no such option");
    }

    #[test]
    fn what_would_not_be_done_is_refused() {
        for (list, words) in [
            ("suid", "never count"),
            ("dev", "never count"),
            ("sync", "on close and on fsync"),
            ("ttl=soon", "a whole number"),
            ("ttl", "a value is missing"),
            ("key=", "a value is missing"),
            ("ro=1", "takes no value"),
            ("key=hunter2", "not a key source"),
            ("instance=shop,key=file:/k", "do not go with it"),
        ] {
            let error = taken(list).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{list}: {error}");
        }
    }

    #[test]
    fn every_option_of_ours_is_understood() {
        for known in OURS {
            let value = match *known {
                "key=SOURCE" | "legacy=SOURCE" => "file:/k",
                "import=IMPORT" => "\"scheme=liberty,key=env:L\"",
                _ => "1",
            };
            let option = match known.split_once('=') {
                Some((name, _)) => format!("{name}={value}"),
                None => (*known).to_owned(),
            };
            let words = taken(&option).unwrap_or_else(|error| panic!("{option}: {error}"));
            assert_eq!(words.without_effect, [""; 0], "{option}");
        }
    }
}
