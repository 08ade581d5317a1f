//! `adopt --finish`: the store goes beside, and an empty mount point that nobody can write to takes
//! its place. So while nothing is mounted, no program sees a token or leaves plaintext underneath.
//!
//! What must stay true: in every state between two steps a start of the service either does the right
//! thing or fails; and each state tells which step comes next, so that it can be repeated.
//!
//! | what is on the disk | next |
//! |---|---|
//! | the instance says that the store is DIR | make the new mount point, rewrite the instance |
//! | it says DIR.sealed, which is missing | rename DIR |
//! | DIR is missing | rename the new mount point |
//! | both are there | make DIR immutable, start |

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::error::Failure;
use super::super::open::{is_mount, open_store};
use super::super::output::say;
use super::super::policy::confirmed;
use super::super::{Outcome, Result, audited};
use super::carry_out::{announce, mount_if_missing, replace_file};
use super::moving::{beside, make_like, rename, set_immutable};
use super::service::Service;
use super::subject::Subject;
use crate::audit::Action;
use crate::instance::Instance;
use crate::pins::{Pin, Pins};
use crate::store::CONTROL_DIR;
use crate::store::holders::Holder;

/// How long somebody may be looking into the directory who is done with it then.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked again.
const PACE: Duration = Duration::from_millis(50);

/// See the head of this file.
pub(super) struct Finish {
    pub subject: Subject,
    pub dry_run: bool,
    pub yes: bool,
}

impl Finish {
    pub(super) fn run(self) -> Result {
        let Some(instance) = &self.subject.instance else {
            let dir = self.subject.dir.display();
            return Err(Failure::Usage(format!("{dir}: not adopted yet: no instance has it")));
        };
        let dir = self.dir(instance)?;
        let sealed = beside(&dir, ".sealed");
        let is_rewritten = instance.store == sealed;
        if is_rewritten && sealed.is_dir() && is_mount(&dir) {
            say(format_args!("{}: finished already", dir.display()))?;
            return Ok(Outcome::Done);
        }
        if !is_rewritten && sealed.exists() {
            let what = "something is there, where the store would go";
            return Err(Failure::Refused(format!("{}: {what}", sealed.display())));
        }
        self.refuse_users(&dir)?;
        let service = Service::of(&self.subject);
        if self.dry_run || !self.yes {
            self.show(&dir, &sealed, service)?;
        }
        if self.dry_run {
            eprintln!("dry run: nothing was changed");
            return Ok(Outcome::Done);
        }
        if !self.yes && !confirmed("go on?")? {
            eprintln!("nothing was changed");
            return Ok(Outcome::NotClean);
        }
        audited::recorded(&self.subject.name, Action::AdoptFinish, || {
            self.go_on(&dir, &sealed, service, is_rewritten)
        })
    }

    /// Where programs know the directory: by the instance, since it may be missing at this moment.
    fn dir(&self, instance: &Instance) -> Result<PathBuf> {
        let dir = instance.mountpoint.clone().unwrap_or_else(|| instance.store.clone());
        let parent = dir.parent().unwrap_or(Path::new("/"));
        let parent = parent.canonicalize().map_err(Failure::io(parent))?;
        Ok(parent.join(dir.file_name().unwrap_or_default()))
    }

    /// Programs that use the directory would lose what they have open. Who only looks in is waited
    /// for: the daemon itself does, to announce a change.
    fn refuse_users(&self, dir: &Path) -> Result<()> {
        if !dir.is_dir() {
            return Ok(());
        }
        let store = open_store(dir)?;
        let until = Instant::now() + PATIENCE;
        let mut users = store.holders();
        while !users.is_empty() && Instant::now() < until {
            std::thread::sleep(PACE);
            users = store.holders();
        }
        if users.is_empty() {
            return Ok(());
        }
        let list: Vec<_> = users.iter().map(Holder::to_string).collect();
        Err(Failure::Refused(format!(
            "{}: programs use it; stop them first:\n  {}",
            dir.display(),
            list.join("\n  ")
        )))
    }

    fn show(&self, dir: &Path, sealed: &Path, service: Service) -> Result<()> {
        let (dir, sealed) = (dir.display(), sealed.display());
        say(format_args!("what would be done:"))?;
        say(format_args!("  stop {}", self.what_stops(service)))?;
        say(format_args!(
            "  rewrite {}: store {sealed}, mount point {dir}",
            self.subject.file().display()
        ))?;
        say(format_args!("  move the store from {dir} to {sealed}"))?;
        say(format_args!("  make {dir} an empty mount point, immutable where that can be had"))?;
        say(format_args!("  start it again"))
    }

    fn what_stops(&self, service: Service) -> String {
        let mut what = match service {
            Service::Unit => self.subject.unit(),
            Service::Direct => "the mount".to_owned(),
        };
        let dependents = service.dependents(&self.subject);
        if !dependents.is_empty() {
            what += &format!(", and with it {}", dependents.join(", "));
        }
        what
    }

    fn go_on(&self, dir: &Path, sealed: &Path, service: Service, is_rewritten: bool) -> Result {
        let new = beside(dir, ".mountpoint");
        service.stop(&self.subject)?;
        if !is_rewritten {
            if let Err(failure) = self.prepare(dir, sealed, &new) {
                // Nothing was moved: back to how it was.
                service.start(&self.subject)?;
                return Err(failure);
            }
            announce(&format!("rewrote {}", self.subject.file().display()))?;
        }
        if !sealed.exists() {
            rename(dir, sealed).map_err(Failure::io(dir))?;
            announce(&format!("moved the store to {}", sealed.display()))?;
        }
        if !dir.exists() {
            rename(&new, dir).map_err(Failure::io(&new))?;
        }
        let guarded = set_immutable(dir, true).map_err(Failure::io(dir))?;
        announce(&match guarded {
            true => format!("made {} an empty mount point, immutable", dir.display()),
            false => format!(
                "made {} an empty mount point; it cannot be made immutable here, so what is written \
                 while nothing is mounted stays in it in the clear",
                dir.display()
            ),
        })?;
        if let Some(pins) = Pins::find(&self.subject.name)? {
            pins.write(Pin::Store, &format!("{}\n", sealed.display()))?;
        }
        // By the instance as it is now.
        let subject = Subject {
            dir: dir.to_owned(),
            name: self.subject.name.clone(),
            instance: Some(Instance::read(&self.subject.file())?),
        };
        mount_if_missing(&subject, service)?;
        say(format_args!("\nback up {}", sealed.display()))?;
        Ok(Outcome::Done)
    }

    /// All that can be refused; and the last of it, the instance.
    fn prepare(&self, dir: &Path, sealed: &Path, new: &Path) -> Result<()> {
        self.refuse_users(dir)?;
        if !dir.join(CONTROL_DIR).is_dir() {
            return Err(Failure::Refused(format!("{}: no store is there", dir.display())));
        }
        let parent = dir.parent().unwrap_or(Path::new("/"));
        let device = |path: &Path| {
            rustix::fs::stat(path).map(|stat| stat.st_dev).map_err(|error| error.into())
        };
        if device(dir).map_err(Failure::io(dir))? != device(parent).map_err(Failure::io(parent))? {
            let what = "it is a mount point itself, and cannot be moved";
            return Err(Failure::Refused(format!("{}: {what}", dir.display())));
        }
        make_like(dir, new).map_err(Failure::io(new))?;
        let file = self.subject.file();
        let text = std::fs::read_to_string(&file).map_err(Failure::io(&file))?;
        let text = rewritten(&text, sealed, dir)
            .map_err(|what| Failure::Refused(format!("{}: {what}", file.display())))?;
        replace_file(&file, text.as_bytes()).map_err(Failure::io(&file))
    }
}

/// The instance `text` with another store and mount point; what else stands there stays.
fn rewritten(text: &str, store: &Path, mountpoint: &Path) -> Result<String, &'static str> {
    let parsed = toml_edit::Document::parse(text).map_err(|_| "it is no TOML")?;
    let quoted = |path: &Path| {
        let path = path.to_str().ok_or("an instance cannot name a path that is not UTF-8")?;
        Ok::<_, &'static str>(toml::Value::String(path.to_owned()).to_string())
    };
    let span = |name: &str| parsed.get(name).and_then(|item| item.span());
    let at = span("store").ok_or("it names no store")?;
    let (store, mountpoint) = (quoted(store)?, quoted(mountpoint)?);
    let mut edits = vec![match span("mountpoint") {
        Some(_) => (at, store),
        None => (at, format!("{store}\nmountpoint = {mountpoint}")),
    }];
    edits.extend(span("mountpoint").map(|at| (at, mountpoint)));
    edits.sort_by_key(|(at, _)| std::cmp::Reverse(at.start));
    let mut text = text.to_owned();
    for (at, new) in edits {
        text.replace_range(at, &new);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_keeps_all_but_store_and_mount_point() {
        let write = |text: &str| {
            rewritten(text, Path::new("/etc/shop.sealed"), Path::new("/etc/shop")).unwrap()
        };
        let text = "# mine\nstore = '/etc/shop'  # here\n\n[keys]\nmaster = \"file:/k\"\n";
        assert_eq!(
            write(text),
            "# mine\nstore = \"/etc/shop.sealed\"\nmountpoint = \"/etc/shop\"  # here\n\n[keys]\n\
             master = \"file:/k\"\n"
        );
        assert_eq!(
            write("mountpoint = '/x'\nstore = '/x'\n"),
            "mountpoint = \"/etc/shop\"\nstore = \"/etc/shop.sealed\"\n"
        );
    }
}
