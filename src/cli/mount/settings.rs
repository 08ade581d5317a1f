//! How a store is mounted, as flags say it; mount(8) says the same in its own words.
//!
//! docs/mount-options.md has the table of both with what the instance says; a test compares.

use clap::Args;

use crate::instance;

/// What is said of a mount beside its instance. What is not said is left as the instance has it.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::cli) struct Settings {
    /// Refuse what programs write, with EROFS. The daemon goes on tending the store, and root's
    /// `rewrap` and `policy accept` go on working.
    #[arg(long)]
    pub read_only: bool,
    /// Start no program out of the mount.
    #[arg(long)]
    pub no_exec: bool,
    /// Let other users in (root's default).
    #[arg(long, overrides_with = "no_allow_other")]
    pub allow_other: bool,
    /// Let nobody else in, not even root (an ordinary user's default).
    #[arg(long)]
    pub no_allow_other: bool,
    /// Do not watch the store for changes: for a file system that tells of none (the usual network
    /// ones are known as such).
    #[arg(long)]
    pub no_watch: bool,
    /// How long the kernel may believe what it was told, where changes are watched.
    #[arg(long, value_name = "SECONDS")]
    pub ttl: Option<u64>,
    /// The largest sealed file.
    #[arg(long, value_name = "MIB")]
    pub max_view: Option<u64>,
    /// Memory for views of files that nobody has open.
    #[arg(long, value_name = "MIB")]
    pub cache: Option<usize>,
    /// Threads that read requests.
    #[arg(long, value_name = "NUMBER")]
    pub threads: Option<usize>,
    /// SELinux context of all files.
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
}

impl Settings {
    /// What holds, over what the instance says.
    pub(super) fn over(self, instance: instance::Mount) -> instance::Mount {
        let others = (self.allow_other || self.no_allow_other).then_some(self.allow_other);
        instance::Mount {
            read_only: instance.read_only || self.read_only,
            no_exec: instance.no_exec || self.no_exec,
            allow_other: others.or(instance.allow_other),
            watch: instance.watch && !self.no_watch,
            ttl: self.ttl.unwrap_or(instance.ttl),
            max_view: self.max_view.unwrap_or(instance.max_view),
            cache: self.cache.unwrap_or(instance.cache),
            threads: self.threads.unwrap_or(instance.threads),
            context: self.context.or(instance.context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_left_as_the_instance_has_it() {
        let instance = instance::Mount {
            read_only: true,
            allow_other: Some(false),
            ttl: 60,
            context: Some("system_u:object_r:etc_t:s0".into()),
            ..instance::Mount::default()
        };
        assert_eq!(Settings::default().over(instance.clone()), instance);
    }

    #[test]
    fn what_is_said_holds_over_the_instance() {
        let settings = Settings {
            no_exec: true,
            allow_other: true,
            no_watch: true,
            ttl: Some(1),
            max_view: Some(2),
            cache: Some(3),
            threads: Some(4),
            context: Some("x".into()),
            ..Settings::default()
        };
        let instance =
            instance::Mount { allow_other: Some(false), ttl: 60, ..instance::Mount::default() };
        let holds = instance::Mount {
            read_only: false,
            no_exec: true,
            allow_other: Some(true),
            watch: false,
            ttl: 1,
            max_view: 2,
            cache: 3,
            threads: 4,
            context: Some("x".into()),
        };
        assert_eq!(settings.over(instance), holds);
    }
}
