//! Who did it: a process, and the user who logged in before whatever became of him since.

use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};

/// A process and its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Its user.
    pub uid: u32,
    /// The user who logged in, whoever he became by `su` or `sudo`; `None` for what no login
    /// started, a service say.
    pub login_uid: Option<u32>,
    /// The process; 0 where it cannot be seen from here.
    pub pid: u32,
    /// What the process calls itself (any program may choose it).
    pub comm: String,
    /// The same of the process that started it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub parent: String,
}

impl Who {
    /// This process.
    pub fn me() -> Self {
        Self::of(rustix::process::getuid().as_raw(), std::process::id())
    }

    /// The process of the user `uid` that `pid`, a process or one of its threads, belongs to. What
    /// cannot be found out is left empty: it may be gone.
    pub fn of(uid: u32, pid: u32) -> Self {
        let pid = number(pid, "Tgid:").unwrap_or(pid);
        let parent =
            number(pid, "PPid:").filter(|parent| *parent != 0).map(comm).unwrap_or_default();
        Self { uid, login_uid: login_uid(pid), pid, comm: comm(pid), parent }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", self.uid)?;
        if let Some(login) = self.login_uid.filter(|login| *login != self.uid) {
            write!(f, " (logged in as {login})")?;
        }
        write!(f, ", process {}", self.pid)?;
        let names = [&self.comm, &self.parent].into_iter().filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(|name| name.escape_debug().to_string()).collect();
        if names.is_empty() { Ok(()) } else { write!(f, " ({})", names.join(", by ")) }
    }
}

fn read(pid: u32, what: &str) -> Option<String> {
    if pid == 0 {
        return None;
    }
    let text = fs::read(format!("/proc/{pid}/{what}")).ok()?;
    Some(String::from_utf8_lossy(&text).trim_end().to_owned())
}

fn comm(pid: u32) -> String {
    read(pid, "comm").unwrap_or_default()
}

fn login_uid(pid: u32) -> Option<u32> {
    // All ones stand for nobody (audit(7)).
    read(pid, "loginuid")?.parse().ok().filter(|uid| *uid != u32::MAX)
}

/// A number out of what the kernel says of a process.
fn number(pid: u32, name: &str) -> Option<u32> {
    let status = read(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known_by_name_and_one_that_is_gone_is_not() {
        let me = Who::me();
        assert_eq!(me.pid, std::process::id());
        assert!(!me.comm.is_empty());
        let gone = Who::of(7, 0);
        assert_eq!((gone.login_uid, &*gone.comm), (None, ""));
        assert_eq!(gone.to_string(), "user 7, process 0");
    }
}
