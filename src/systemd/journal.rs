//! Where log lines go: to the journal with fields of their own, or to standard error for a reader.
//!
//! Whoever logs names the kind of event and what it is about as key-values of the `log` crate:
//! `log::warn!(event = "kept", file:% = file; "…")`. The kind becomes MESSAGE_ID, any other key
//! `CONFSEAL_KEY`. Must stay true: keys name files, fields, key ids and users, never a value.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use env_logger::{Builder, Env, Target};
use log::kv::{Error, Key, Source, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use super::catalogue;

/// Variable that sets how much is logged: `error`, `warn`, `info` (the default), `debug`, `trace`,
/// or a list of `module=level`.
pub const LEVEL_VARIABLE: &str = "CONFSEAL_LOG";

/// Sends log lines to the journal if standard error leads there, or if the daemon is about to lose
/// its standard error (not `foreground`) and there is a journal; else to standard error. In the
/// journal each carries the name of the `instance`.
///
/// Fails when there is a logger already.
pub fn init_logging(foreground: bool, instance: &str) -> Result<(), SetLoggerError> {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Info);
    builder.parse_env(Env::new().filter(LEVEL_VARIABLE));
    let journal = if foreground && !connected_to_journal() { None } else { journal(instance) };
    match journal {
        // The journal keeps level and text apart: nothing is left to write to the stream.
        Some(journal) => builder.format(move |_, record| match is_of_a_killed_caller(record) {
            true => Ok(()),
            false => send(&journal, record),
        }),
        None => {
            let colours = wants_colours();
            builder.target(Target::Stderr).format(
                move |stream, record| match is_of_a_killed_caller(record) {
                    true => Ok(()),
                    false => writeln!(stream, "{}", line(record.level(), record.args(), colours)),
                },
            )
        }
    };
    builder.try_init()
}

/// For a verb, which talks to its user itself: of what is logged, only records of the module
/// `module` go to the journal, if there is one.
pub fn send_records_of(module: &'static str, instance: &str) {
    let Some(journal) = journal(instance) else { return };
    // Whoever has set up a logger already hears of it there.
    if log::set_boxed_logger(Box::new(OneModule { module, journal })).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// Whether this process was started by systemd, with its messages going to the journal.
pub fn is_in_a_unit() -> bool {
    connected_to_journal()
}

/// The journal, unless none listens.
fn journal(instance: &str) -> Option<JournalLog> {
    let log = JournalLog::empty().ok()?.with_syslog_identifier("confseal".to_owned());
    Some(log.add_extra_field("CONFSEAL_INSTANCE", instance))
}

struct OneModule {
    module: &'static str,
    journal: JournalLog,
}

impl Log for OneModule {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == self.module
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // What must not be lost is on disk by now: the journal's copy is one more.
            let _ = send(&self.journal, record);
        }
    }

    fn flush(&self) {}
}

fn send(journal: &JournalLog, record: &Record<'_>) -> io::Result<()> {
    let fields = Fields(record.key_values());
    journal.journal_send(&record.to_builder().key_values(&fields).build())
}

/// The key-values of a record under the names that they have in the journal.
struct Fields<'a>(&'a dyn Source);

impl Source for Fields<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        self.0.visit(&mut Renamed(visitor))
    }
}

struct Renamed<'a, 'kvs>(&'a mut dyn VisitSource<'kvs>);

impl<'kvs> VisitSource<'kvs> for Renamed<'_, 'kvs> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let text = value.to_string();
        match key.as_str() {
            // What is not known of an event is left out.
            _ if text.is_empty() => Ok(()),
            "event" => match catalogue::find(&text) {
                Some(event) => self.0.visit_pair(Key::from_str("MESSAGE_ID"), event.id.into()),
                None => Ok(()),
            },
            "file" => self.0.visit_pair(Key::from_str("CONFSEAL_FILE"), value),
            "field" => self.0.visit_pair(Key::from_str("CONFSEAL_FIELD"), value),
            "key_id" => self.0.visit_pair(Key::from_str("CONFSEAL_KEY_ID"), value),
            "store" => self.0.visit_pair(Key::from_str("CONFSEAL_STORE"), value),
            "mountpoint" => self.0.visit_pair(Key::from_str("CONFSEAL_MOUNTPOINT"), value),
            "kept" => self.0.visit_pair(Key::from_str("CONFSEAL_KEPT"), value),
            "action" => self.0.visit_pair(Key::from_str("CONFSEAL_ACTION"), value),
            "outcome" => self.0.visit_pair(Key::from_str("CONFSEAL_OUTCOME"), value),
            "uid" => self.0.visit_pair(Key::from_str("CONFSEAL_UID"), value),
            "login_uid" => self.0.visit_pair(Key::from_str("CONFSEAL_LOGIN_UID"), value),
            "pid" => self.0.visit_pair(Key::from_str("CONFSEAL_PID"), value),
            "comm" => self.0.visit_pair(Key::from_str("CONFSEAL_COMM"), value),
            // Another crate's.
            _ => self.0.visit_pair(key, value),
        }
    }
}

/// Whether the library complains that nobody waits for a reply: a caller that is killed takes its
/// request back, so the kernel knows it no more (ENOENT). That is no error of anyone's.
fn is_of_a_killed_caller(record: &Record<'_>) -> bool {
    record.target().starts_with("fuser")
        && record.args().to_string()
            == format!("Failed to send FUSE reply: {}", io::Error::from_raw_os_error(libc::ENOENT))
}

/// Whether standard error is a terminal that shows colours, and nobody has forbidden them
/// (<https://no-color.org>).
fn wants_colours() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stderr().is_terminal() && !is_set("NO_COLOR") && !dumb
}

fn line(level: Level, message: &fmt::Arguments<'_>, colours: bool) -> String {
    let (word, colour) = match level {
        Level::Error => ("error", "\x1b[1;31m"),
        Level::Warn => ("warning", "\x1b[1;33m"),
        Level::Info => ("info", "\x1b[1m"),
        Level::Debug => ("debug", "\x1b[2m"),
        Level::Trace => ("trace", "\x1b[2m"),
    };
    match colours {
        false => format!("confseal: {word}: {message}"),
        // A file's name is anybody's text: on a terminal it must not restyle what follows.
        true => {
            let plain = |c: char| if c.is_control() && c != '\n' { '?' } else { c };
            let message: String = message.to_string().chars().map(plain).collect();
            format!("confseal: {colour}{word}\x1b[0m: {message}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn that_a_killed_caller_waits_for_no_reply_is_not_told() {
        let is_told = |target, text: &str| {
            let mut record = Record::builder();
            !is_of_a_killed_caller(&record.target(target).args(format_args!("{text}")).build())
        };
        let gone = "Failed to send FUSE reply: No such file or directory (os error 2)";
        assert!(!is_told("fuser::reply", gone));
        assert!(is_told("confseal::fuse", gone));
        assert!(is_told(
            "fuser::reply",
            "Failed to send FUSE reply: Invalid argument (os error 22)"
        ));
    }

    #[test]
    fn a_log_line_names_the_program_and_the_level() {
        let text = line(Level::Warn, &format_args!("{} is gone", "it"), false);
        assert_eq!(text, "confseal: warning: it is gone");
    }

    #[test]
    fn on_a_terminal_the_level_is_coloured_and_a_file_name_colours_nothing() {
        let text = line(Level::Error, &format_args!("{}: bad", "a\x1b[31mb"), true);
        assert_eq!(text, "confseal: \x1b[1;31merror\x1b[0m: a?[31mb: bad");
    }

    #[derive(Default)]
    struct Seen(BTreeMap<String, String>);

    impl<'kvs> VisitSource<'kvs> for Seen {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            self.0.insert(key.to_string(), value.to_string());
            Ok(())
        }
    }

    #[test]
    fn an_event_has_its_id_and_the_fields_that_are_known() {
        let pairs = [("event", "kept"), ("file", "a.toml"), ("field", "")];
        let mut seen = Seen::default();
        Fields(&&pairs[..]).visit(&mut seen).unwrap();
        let id = catalogue::find("kept").unwrap().id.to_owned();
        let expected =
            [("CONFSEAL_FILE".to_owned(), "a.toml".to_owned()), ("MESSAGE_ID".to_owned(), id)];
        assert_eq!(seen.0, BTreeMap::from(expected));
    }
}
