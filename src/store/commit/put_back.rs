//! Undoing an exchange.
//!
//! What must stay true: the target ends with the version that came to it last, or with none when
//! it was removed last; and whoever came while the draft stood in the target did not see what the
//! draft had displaced, so that is kept.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use super::{ATTEMPTS, Replace, holds, snapshot};
use crate::store::change::RenameFlags;
use crate::store::dir::Access;
use crate::store::metadata::Metadata;
use crate::store::temporary::Draft;

impl Replace<'_> {
    /// Undoes the exchange. When that is not possible, the displaced version stays in the
    /// temporary, and the next recovery keeps it.
    pub(super) fn put_back(&self, draft: &mut Draft) {
        match self.return_displaced(draft) {
            Ok(None) => {}
            Ok(Some(kept)) => {
                let place = self.dir.place_of(self.name);
                log::warn!("{place}: a version that was overtaken meanwhile is kept as {kept}");
            }
            Err(error) => {
                let place = self.dir.place_of(draft.name().unwrap_or_default());
                log::warn!("a version that was displaced stays in {place}: {error}");
                draft.leave();
            }
        }
    }

    /// Exchanges until what comes back is what was sent: nobody has been there since. The name in
    /// `kept/` of a version that somebody overtook.
    fn return_displaced(&self, draft: &Draft) -> io::Result<Option<String>> {
        let temporary = draft.name().unwrap_or_default();
        // What stands in the target by our hand, but for the draft. Held open: so no other file
        // gets its inode number.
        let mut sent: Option<File> = None;
        for _ in 0..ATTEMPTS {
            let sending = self.dir.open_file(temporary, Access::Read).ok();
            match self.dir.rename(temporary, self.dir, self.name, RenameFlags::Exchange) {
                // A removal is the last word too.
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                other => other?,
            }
            let Ok(found) = self.dir.open_file(temporary, Access::Read) else {
                sent = sending;
                continue;
            };
            if is_same(&found, &draft.file)? && holds(&found, self.commit.content)? {
                return Ok(None);
            }
            if let Some(sent) = &sent
                && is_same(&found, sent)?
            {
                break;
            }
            sent = sending;
        }
        self.keep_overtaken(temporary)
    }

    fn keep_overtaken(&self, temporary: &OsStr) -> io::Result<Option<String>> {
        let overtaken = self.dir.open_file(temporary, Access::Read)?;
        let mut kept = None;
        if !holds(&overtaken, self.commit.expected.unwrap_or_default())? {
            let sealed = (self.commit.seal_kept)(&snapshot(&overtaken, u64::MAX)?.bytes)?;
            kept = Some(self.dir.keep(&self.dir.place_of(self.name), &sealed)?);
        }
        self.dir.unlink(temporary)?;
        Ok(kept)
    }
}

fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (Metadata::of(one)?, Metadata::of(other)?);
    Ok((one.dev, one.ino) == (other.dev, other.ino))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use rustix::io::Errno;

    use super::super::{Commit, MtimeRule, OnConflict, Time};
    use crate::store::temporary::Means;
    use crate::store::testing::*;

    /// A commit finds a version that it did not expect and cannot keep; `event` comes between the
    /// exchange and the way back. What stands in the target then, if anything.
    fn undone(event: impl Fn(&Fresh), outcome: impl Fn(&Fresh, Option<Vec<u8>>, Vec<Vec<u8>>)) {
        for unnamed in [true, false] {
            on_each_filesystem(Means { unnamed, exchange: true }, |fresh| {
                fresh.put("app.toml", "displaced");
                let first = Cell::new(true);
                let seal_kept = |bytes: &[u8]| {
                    if first.replace(false) {
                        event(fresh);
                        return Err(Errno::IO.into());
                    }
                    seal(bytes)
                };
                let commit = Commit {
                    content: b"new",
                    expected: Some(b"as last read"),
                    moved_from: None,
                    on_conflict: OnConflict::Keep,
                    durable: false,
                    mtime: MtimeRule::NotBefore(Time::now()),
                    seal_kept: &seal_kept,
                };
                let failed = fresh.store.root().commit(os("app.toml"), &commit).unwrap_err();
                assert_eq!(failed.source.raw_os_error(), Some(libc::EIO));
                assert!(fresh.temporaries(".").is_empty());
                let names = fresh.store.kept().unwrap();
                let kept = names.iter().map(|name| fresh.store.read_kept(name).unwrap()).collect();
                outcome(fresh, fs::read(fresh.path("app.toml")).ok(), kept);
            });
        }
    }

    #[test]
    fn what_nobody_touched_returns() {
        undone(
            |_| {},
            |_, target, kept| {
                assert_eq!(target.unwrap(), b"displaced");
                assert!(kept.is_empty());
            },
        );
    }

    #[test]
    fn a_version_that_replaced_the_draft_stands() {
        undone(
            |fresh| {
                fresh.put("other", "newest");
                fs::rename(fresh.path("other"), fresh.path("app.toml")).unwrap();
            },
            |_, target, kept| {
                assert_eq!(target.unwrap(), b"newest");
                assert_eq!(kept, [b"sealed:displaced"]);
            },
        );
    }

    #[test]
    fn a_version_that_was_written_into_the_draft_stands() {
        undone(
            |fresh| fs::write(fresh.path("app.toml"), "newest").unwrap(),
            |_, target, kept| {
                assert_eq!(target.unwrap(), b"newest");
                assert_eq!(kept, [b"sealed:displaced"]);
            },
        );
    }

    #[test]
    fn a_link_that_replaced_the_draft_stands() {
        undone(
            |fresh| {
                std::os::unix::fs::symlink("elsewhere", fresh.path("other")).unwrap();
                fs::rename(fresh.path("other"), fresh.path("app.toml")).unwrap();
            },
            |fresh, _, kept| {
                let link = fs::read_link(fresh.path("app.toml")).unwrap();
                assert_eq!(link.to_str(), Some("elsewhere"));
                assert_eq!(kept, [b"sealed:displaced"]);
            },
        );
    }

    #[test]
    fn a_removal_stands() {
        undone(
            |fresh| fs::remove_file(fresh.path("app.toml")).unwrap(),
            |_, target, kept| {
                assert_eq!(target, None);
                assert_eq!(kept, [b"sealed:displaced"]);
            },
        );
    }
}
