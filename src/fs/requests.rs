//! What the kernel asks, counted by kind: the load an operator sees, and the proof that a hot file
//! costs one message.

use std::sync::atomic::{AtomicU64, Ordering};

/// The kinds of requests, in the order of `NAMES`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the FUSE operation of that name")]
pub enum Op {
    Lookup,
    Forget,
    Getattr,
    Setattr,
    Readlink,
    Mknod,
    Mkdir,
    Unlink,
    Rmdir,
    Symlink,
    Rename,
    Link,
    Open,
    Read,
    Write,
    Flush,
    Release,
    Fsync,
    Opendir,
    Readdir,
    Releasedir,
    Fsyncdir,
    Statfs,
    Setxattr,
    Getxattr,
    Listxattr,
    Removexattr,
    Create,
    Fallocate,
}

impl Op {
    const NAMES: [&str; 29] = [
        "lookup",
        "forget",
        "getattr",
        "setattr",
        "readlink",
        "mknod",
        "mkdir",
        "unlink",
        "rmdir",
        "symlink",
        "rename",
        "link",
        "open",
        "read",
        "write",
        "flush",
        "release",
        "fsync",
        "opendir",
        "readdir",
        "releasedir",
        "fsyncdir",
        "statfs",
        "setxattr",
        "getxattr",
        "listxattr",
        "removexattr",
        "create",
        "fallocate",
    ];
}

/// How often each was asked since the mount was made.
#[derive(Default, Debug)]
pub struct Requests([AtomicU64; Op::NAMES.len()]);

impl Requests {
    /// Counts one.
    pub fn count(&self, op: Op) {
        self.0[op as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Name and count of each kind.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Op::NAMES.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_under_its_own_name() {
        let requests = Requests::default();
        requests.count(Op::Lookup);
        requests.count(Op::Open);
        requests.count(Op::Open);
        requests.count(Op::Fallocate);
        let seen: Vec<_> = requests.all().filter(|(_, count)| *count > 0).collect();
        assert_eq!(seen, [("lookup", 1), ("open", 2), ("fallocate", 1)]);
    }
}
