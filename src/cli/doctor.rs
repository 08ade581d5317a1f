//! `doctor`: why a program gets an error from a file, and what to do about it.
//!
//! Must stay true: it changes nothing and prints no value; it ends in bounded time, also where a
//! mount hangs; what cannot be found out is said, and the rest goes on.

mod file;
mod keys;
mod mount;
mod namespace;
mod permission;
mod place;
mod report;
mod unit;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::error::Failure;
use super::open::KeyArguments;
use super::output::say_json;
use super::probe::PATIENCE;
use super::{Outcome, Result};

use place::Place;
use report::Report;

/// Find out why a program cannot read a file, and say what to do
///
/// Looks at the mount, the unit, the keys, the rules, the file as it stands, and who may read it.
/// Works also when nothing is mounted, when the mount hangs or is dead, when a key is missing and
/// when the file is not there. Prints no values. Exit code 1 if anything is wrong.
#[derive(Args)]
pub(super) struct Doctor {
    /// The file or directory that the program asked for.
    path: PathBuf,
    /// The process that has the trouble: is the mount in its namespace, may it read the file?
    #[arg(long)]
    pid: Option<u32>,
    /// For scripts: the findings as JSON.
    #[arg(long)]
    json: bool,
    /// Seconds until a mount that does not answer is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE.as_secs())]
    timeout: u64,
    #[command(flatten)]
    keys: KeyArguments,
}

impl Doctor {
    pub(super) fn run(self) -> Result {
        let patience = Duration::from_secs(self.timeout.max(1));
        let path = std::path::absolute(&self.path).map_err(Failure::io(&self.path))?;
        let mut report = Report::default();
        host(&mut report);
        let place = Place::find(&path, &self.keys, patience, &mut report);
        let status = mount::look(&place, patience, &mut report);
        let victim = self.pid.and_then(|pid| namespace::look(pid, &place, &mut report));
        unit::look(&place, &mut report);
        let known = keys::look(&place, &self.keys, status.as_ref(), &mut report);
        let context = file::Context { place: &place, status: status.as_ref(), known: &known };
        file::look(&context, victim.as_ref(), patience, &mut report);
        match self.json {
            true => say_json(&report.to_json(&place))?,
            false => report.say(&place)?,
        }
        Ok(if report.wrong() == 0 { Outcome::Done } else { Outcome::NotClean })
    }
}

/// What the kernel has to offer.
fn host(report: &mut Report) {
    if !std::path::Path::new("/dev/fuse").exists() {
        report
            .wrong_with("kernel", "/dev/fuse is not there: nothing can be mounted")
            .todo("load the module (`modprobe fuse`); in a container, pass the device in");
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next())
        && (major, minor) < (5, 14)
    {
        let text = format!("Linux {release} is older than 5.14, the oldest that is supported");
        report.wrong_with("kernel", text).todo("update the kernel");
    }
    if !rustix::process::geteuid().is_root() {
        let text =
            "asked by an ordinary user: keys, stores and processes of others are out of sight";
        report.note("kernel", text).todo("ask again as root");
    }
}
