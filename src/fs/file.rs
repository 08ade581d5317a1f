//! The content of one regular file: as it stands in the store, and as programs see it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::document::{Existing, Form, OpenError, Stock};
use crate::secret::SecretBytes;
use crate::store::{Dir, Metadata, Place, Stamp, Time};

/// What is known of a file's content. Guarded by the node's `state` lock.
#[derive(Default)]
pub(super) struct FileState {
    pub content: Content,
    /// Counts the changes of the view that did not come through the kernel.
    pub version: u64,
    /// The version whose pages the kernel may still hold.
    pub cached_version: u64,
    /// How many opens have not been released.
    pub opens: u32,
    /// How many of them may write.
    pub writers: u32,
    /// While the store's modification time is the first, programs are shown the second: a commit
    /// moves the one and a rewrap leaves the other.
    pub shown_mtime: Option<(Time, Time)>,
    /// The disk was asked to hold the stored content for good: a new copy of it, made by a rename,
    /// has to last as well.
    pub durable: bool,
    /// How the stored content was made, where a rename over another file may go by it.
    pub sealed_beside: Option<SealedBeside>,
    /// The store's attributes as last seen; what remains of a file that was removed while open.
    pub last_metadata: Option<Metadata>,
    /// The store's object of a file that was removed while open: its extended attributes are read
    /// and changed there.
    pub remains: Option<Arc<Place>>,
    /// When the view was last changed through the mount: that is its ctime until the commit, and
    /// as long as the store's is the one that the commit left.
    pub changed: Time,
    /// The store's ctime after the last commit.
    pub committed: Option<Time>,
    /// The view changed behind the mount, and the programs that watch the file have not been told.
    pub unannounced: bool,
    /// What the kernel was last told of the file; `None` when it knows nothing, or was told to
    /// forget it.
    pub kernel_knows: Option<Told>,
    /// Whether a write came since: after one the kernel asks for size and times by itself.
    pub written_since: bool,
    /// The length of the view that the kernel was told while the content was not held.
    pub told_len: Option<u64>,
}

/// A new file's content that was sealed with the tokens of the file it is likely to replace.
pub(super) struct SealedBeside {
    /// The very copy in memory of what came of it.
    pub stored: Arc<[u8]>,
    /// The other file's tokens: all that there were.
    pub stock: Arc<Stock>,
    /// What its own name stood for.
    pub existing: Existing,
    /// The rules under which it was sealed.
    pub rules: u64,
}

/// What of the store's attributes the kernel may hold on to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Told {
    stamp: Stamp,
    mode: u32,
    nlink: u64,
    owner: (u32, u32),
}

impl Told {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            stamp: metadata.stamp(),
            mode: metadata.mode,
            nlink: metadata.nlink,
            owner: (metadata.uid, metadata.gid),
        }
    }

    /// What it holds on to when it has no size and no times any more.
    pub(super) fn with_stamp(self, stamp: Stamp) -> Self {
        Self { stamp, ..self }
    }
}

/// The states a file's content can be in.
#[derive(Default)]
pub(super) enum Content {
    /// Not read yet, or let go.
    #[default]
    Unloaded,
    /// The view is what the store holds.
    Clean(Loaded),
    /// The store's content cannot be opened.
    Broken(Broken),
    /// A plain file too large to hold: reads and writes go through to the store.
    Stream(Stream),
    /// A sealed file too large to hold, with the stamp it had when that was seen.
    TooLarge(Stamp),
    /// Written and not committed.
    Dirty(Buffer),
}

/// The stored content that a view or a buffer came from.
#[derive(Clone)]
pub(super) struct Base {
    pub stored: Arc<[u8]>,
    pub form: Form,
    pub stock: Arc<Stock>,
    pub stamp: Stamp,
}

/// How far a remembered content can be trusted.
#[derive(Clone, Copy)]
pub(super) struct Trust {
    /// The stamp was young when it was taken: it cannot tell a later change apart.
    pub young: bool,
    /// The rules under which it was opened.
    pub rules: u64,
}

/// A view and where it came from.
pub(super) struct Loaded {
    pub view: Arc<SecretBytes>,
    pub base: Base,
    pub trust: Trust,
}

/// A plain file that is read and written in the store itself.
#[derive(Clone)]
pub(super) struct Stream {
    pub file: Arc<File>,
    /// As of the last look, or of our own last write.
    pub stamp: Stamp,
    /// A secret was refused: what follows may be the rest of it. Until the last writer is gone.
    pub refused: bool,
}

/// Stored content that cannot be opened.
pub(super) struct Broken {
    pub base: Base,
    pub error: OpenError,
    pub trust: Trust,
}

/// The view of a file that is being written.
pub(super) struct Buffer {
    pub bytes: SecretBytes,
    pub base: Base,
    /// The base could not be opened: it is kept aside before it is replaced.
    pub broken: bool,
    /// Emptied by `O_TRUNC` and not written since: not worth a commit until the last close, so
    /// that a shell's redirect leaves no empty file behind when it is cut off.
    pub only_emptied: bool,
    /// Modification time of the view.
    pub written: Time,
    /// A program chose that time: the file gets exactly it.
    pub time_is_set: bool,
    /// When the last write came.
    pub touched: Instant,
}

impl FileState {
    /// Notes that the kernel gets all that `metadata` says.
    pub(super) fn tell(&mut self, metadata: &Metadata) {
        self.kernel_knows = Some(Told::of(metadata));
        self.written_since = false;
    }

    /// The size that programs see; `None` when it has to be asked of the store.
    pub(super) fn view_size(&self) -> Option<u64> {
        match &self.content {
            Content::Clean(loaded) => Some(loaded.view.len() as u64),
            Content::Dirty(buffer) => Some(buffer.bytes.len() as u64),
            Content::Unloaded | Content::Broken(_) | Content::Stream(_) | Content::TooLarge(_) => {
                None
            }
        }
    }

    /// What is held was opened under rules that do not count any more: it is opened anew before it
    /// is shown again.
    pub(super) fn doubt_rules(&mut self) {
        /// No version of the rules: they are counted from 1.
        const NONE: u64 = 0;
        if let Content::Clean(Loaded { trust, .. }) | Content::Broken(Broken { trust, .. }) =
            &mut self.content
        {
            trust.rules = NONE;
        }
    }

    /// The ctime that programs see where the store's is `stored`.
    pub(super) fn shown_ctime(&self, stored: Time) -> Time {
        if self.committed == Some(stored) { self.changed } else { stored.max(self.changed) }
    }

    /// Keeps the object under `name` in `dir`, which is about to lose that name.
    pub(super) fn hold_on(&mut self, dir: &Dir, name: &OsStr) {
        // Only an open file can be asked for anything afterwards.
        if self.opens > 0 {
            self.remains = dir.place(name).map(Arc::new).ok();
        }
    }

    /// Whether there is something to commit.
    pub(super) fn is_dirty(&self) -> bool {
        matches!(self.content, Content::Dirty(_))
    }

    /// One of its names is gone, which moves ctime. What is known of it is all that remains to say
    /// of it if that was the last.
    pub(super) fn lost_a_name(&mut self) {
        if let Some(last) = &mut self.last_metadata {
            last.nlink = last.nlink.saturating_sub(1);
            last.ctime = Time::now();
        }
    }

    /// Turns a clean view into a buffer that can be written; `false` when there is none to turn.
    pub(super) fn make_dirty(&mut self, now: Time) -> bool {
        self.changed = now;
        let loaded = match std::mem::take(&mut self.content) {
            Content::Clean(loaded) => loaded,
            other => {
                self.content = other;
                return self.is_dirty();
            }
        };
        let bytes = Arc::try_unwrap(loaded.view).unwrap_or_else(|shared| (*shared).clone());
        self.content = Content::Dirty(Buffer {
            bytes,
            base: loaded.base,
            broken: false,
            only_emptied: false,
            written: now,
            time_is_set: false,
            touched: Instant::now(),
        });
        true
    }

    /// Empties the file. A base that cannot be opened is remembered as such.
    pub(super) fn empty(&mut self, now: Time) -> bool {
        self.changed = now;
        let (base, broken) = match std::mem::take(&mut self.content) {
            Content::Clean(loaded) => (loaded.base, false),
            Content::Broken(broken) => (broken.base, true),
            Content::Dirty(mut buffer) => {
                buffer.bytes.resize(0);
                buffer.written = now;
                buffer.time_is_set = false;
                buffer.touched = Instant::now();
                self.content = Content::Dirty(buffer);
                return true;
            }
            other => {
                self.content = other;
                return false;
            }
        };
        self.content = Content::Dirty(Buffer {
            bytes: SecretBytes::new(),
            base,
            broken,
            only_emptied: true,
            written: now,
            time_is_set: false,
            touched: Instant::now(),
        });
        true
    }
}

impl Stream {
    /// Changes the file, and knows the change for its own afterwards.
    pub(super) fn change(&mut self, make: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        make(&self.file)?;
        self.stamp = Metadata::of(&*self.file)?.stamp();
        Ok(())
    }
}

impl Buffer {
    /// Notes a write at `now`.
    pub(super) fn touch(&mut self, now: Time) {
        self.only_emptied = false;
        self.written = now;
        self.time_is_set = false;
        self.touched = Instant::now();
    }
}
