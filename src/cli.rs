//! The command line: one verb per file, errors to exit codes and hints in one place.
//!
//! Words, options and exit codes are stable; docs/cli.md lists them.

mod adopt;
mod check;
mod control;
mod demo;
mod edit;
mod eject;
mod error;
mod explain;
mod git;
mod import;
mod init;
mod key;
mod make_public;
mod mount;
mod mount_helper;
mod mount_point;
mod offline;
mod one;
mod open;
mod output;
mod pinned;
mod policy;
mod rebind;
mod reload;
mod rewrap;
mod scan;
mod seal;
mod set;
mod status;
mod survey;
mod trouble;
mod umount;
mod value;
mod verify;
mod view;
mod waiting;
mod with_store;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::Failure;

/// Keep the secret values of configuration files sealed on disk, and in the clear only where a
/// program reads them.
#[derive(Parser)]
#[command(name = "confseal", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Demo(demo::Demo),
    Adopt(adopt::Adopt),
    Eject(eject::Eject),
    Key(key::Key),
    #[command(hide = true)]
    Genkey(key::New),
    #[command(hide = true)]
    Fingerprint(key::Fingerprint),
    Scan(scan::Scan),
    Init(init::Init),
    Seal(seal::Seal),
    Check(check::Check),
    #[command(alias = "reveal")]
    View(view::View),
    Edit(edit::Edit),
    Set(set::Set),
    MakePublic(make_public::MakePublic),
    Rebind(rebind::Rebind),
    Explain(explain::Explain),
    Policy(policy::PolicyVerb),
    Rewrap(rewrap::Rewrap),
    #[command(alias = "fsck")]
    Verify(verify::Verify),
    EncryptValue(value::EncryptValue),
    DecryptValue(value::DecryptValue),
    Mount(mount::Mount),
    #[command(alias = "unmount")]
    Umount(umount::Umount),
    Status(status::Status),
    Reload(reload::Reload),
    WithStore(with_store::WithStore),
    GitSetup(git::setup::GitSetup),
    #[command(hide = true)]
    GitTextconv(git::textconv::Textconv),
    #[command(hide = true)]
    GitMerge(git::merge::Merge),
    #[command(hide = true)]
    GitCheck(git::check::StagedCheck),
}

/// What a verb that worked has to say to the shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// All is well: exit code 0.
    Done,
    /// The answer is no, or some files could not be done, as has been said: exit code 1.
    NotClean,
    /// Another program's exit code is ours.
    Code(u8),
}

/// Runs the verb of the process's arguments, or mounts for mount(8).
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if mount_helper::is_called(arguments.next().as_deref()) {
        return mount_helper::main(arguments);
    }
    let result = match Arguments::parse().verb {
        Verb::Demo(verb) => verb.run(),
        Verb::Adopt(verb) => verb.run(),
        Verb::Eject(verb) => verb.run(),
        Verb::Key(verb) => verb.run(),
        Verb::Genkey(verb) => verb.run(),
        Verb::Fingerprint(verb) => verb.run(),
        Verb::Scan(verb) => verb.run(),
        Verb::Init(verb) => verb.run(),
        Verb::Seal(verb) => verb.run(),
        Verb::Check(verb) => verb.run(),
        Verb::View(verb) => verb.run(),
        Verb::Edit(verb) => verb.run(),
        Verb::Set(verb) => verb.run(),
        Verb::MakePublic(verb) => verb.run(),
        Verb::Rebind(verb) => verb.run(),
        Verb::Explain(verb) => verb.run(),
        Verb::Policy(verb) => verb.run(),
        Verb::Rewrap(verb) => verb.run(),
        Verb::Verify(verb) => verb.run(),
        Verb::EncryptValue(verb) => verb.run(),
        Verb::DecryptValue(verb) => verb.run(),
        Verb::Mount(verb) => verb.run(),
        Verb::Umount(verb) => verb.run(),
        Verb::Status(verb) => verb.run(),
        Verb::Reload(verb) => verb.run(),
        Verb::WithStore(verb) => verb.run(),
        Verb::GitSetup(verb) => verb.run(),
        Verb::GitTextconv(verb) => verb.run(),
        Verb::GitMerge(verb) => verb.run(),
        Verb::GitCheck(verb) => verb.run(),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::NotClean) => ExitCode::from(1),
        Ok(Outcome::Code(code)) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("confseal: {failure}");
            if let Some(hint) = failure.hint() {
                eprintln!("  hint: {hint}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

type Result<T = Outcome, E = Failure> = std::result::Result<T, E>;
