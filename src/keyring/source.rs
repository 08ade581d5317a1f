//! Where keys come from: systemd credentials, files, environment variables.

/// One `--key` or `--legacy` argument, or an entry of an instance's `[keys]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// `credential:NAME`, below `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `file:PATH`; refused when group or others may read it, or it is no regular file.
    File(std::path::PathBuf),
    /// `env:NAME`.
    Env(String),
}
/// Names the source and what is wrong; never holds what the source gave.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {}

impl std::str::FromStr for KeySource {
    type Err = SourceError;
    fn from_str(_: &str) -> Result<Self, SourceError> {
        todo!()
    }
}
// impl Display (round-trips), KeySource::read(&self) -> Result<Key, SourceError>, and
// KeySource::defaults() -> [KeySource; 3] : credential:confseal.master, file:/etc/confseal/master.key, env:CONFSEAL_MASTER_KEY
// first_present(&[KeySource]) -> Result<(KeySource, Key), SourceError>
// wipe_environment(&[KeySource]): overwrites and removes the env variables named by Env sources (in sys: the raw environ bytes too)
