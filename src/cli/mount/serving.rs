//! The daemon while its mount stands: what runs beside the threads that answer requests, and what is
//! done when the mount is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::Result;
use super::super::error::Failure;
use super::Plan;
use super::attach::Standing;
use super::ending::Ending;
use super::exposed::Exposed;
use super::supervised::{StatusLine, tell_of_life};
use crate::fs::Filesystem;
use crate::fuse::Survivor;
use crate::fuse::mount::Mounted;
use crate::store::StoreLock;
use crate::sys::process::Signals;
use crate::systemd;

/// How often it is written down what a walk would have to open every file for.
const SAVE: Duration = Duration::from_secs(300);

/// How often is looked what waits to be committed, and whether the status line is still true.
const BEAT: Duration = Duration::from_millis(500);

/// A mount that is served.
pub(super) struct Serving<'a> {
    plan: &'a Plan,
    fs: Arc<Filesystem>,
    mounted: Mounted,
    exposed: Exposed,
    /// The mount is gone: told to the threads.
    ended: Arc<AtomicBool>,
    /// A signal asked for the end.
    is_told: Arc<AtomicBool>,
}

impl<'a> Serving<'a> {
    /// Starts the threads; the last of them answers `signals`.
    pub(super) fn begin(
        plan: &'a Plan,
        fs: Arc<Filesystem>,
        standing: Standing,
        exposed: Exposed,
        signals: Signals,
    ) -> Result<Self> {
        let Standing { mounted, stop, is_kept } = standing;
        let (ended, is_told) = (Arc::default(), Arc::default());
        let serving = Self { plan, fs, mounted, exposed, ended, is_told };
        serving.start("watch", {
            let fs = serving.fs.clone();
            move |ended| fs.follow_store(ended)
        })?;
        serving.start("commit", {
            let fs = serving.fs.clone();
            let mut status = StatusLine::new(&plan.store, &plan.mountpoint);
            status.tell(&fs);
            move |ended| commit_in_time(&fs, &mut status, ended)
        })?;
        serving.start("watchdog", {
            let (attachment, beat) = (serving.mounted.attachment(), systemd::watchdog());
            move |ended| tell_of_life(&attachment, beat, ended)
        })?;
        serving.start("recover", {
            let fs = serving.fs.clone();
            move |ended| fs.recover(ended)
        })?;
        serving.start("signals", {
            let ending = Ending {
                fs: serving.fs.clone(),
                attachment: serving.mounted.attachment(),
                is_told: serving.is_told.clone(),
                stop,
                is_kept,
                exposed: serving.exposed.clone(),
            };
            move |_| ending.answer(&signals)
        })?;
        Ok(serving)
    }

    /// Starts a thread, which learns from its argument when the mount is gone.
    fn start(
        &self,
        name: &str,
        run: impl FnOnce(&dyn Fn() -> bool) + Send + 'static,
    ) -> Result<()> {
        let ended = self.ended.clone();
        let has_ended = move || ended.load(Ordering::Relaxed);
        let thread = std::thread::Builder::new().name(name.into());
        thread.spawn(move || run(&has_ended)).map_err(self.plan.here())?;
        Ok(())
    }

    /// Waits for the mount to be gone, and leaves nothing unsaved or lying about. What was `held` all
    /// along is let go last. A service fails here if somebody else took its mount away.
    pub(super) fn until_gone(self, held: (StoreLock, Survivor)) -> Result<()> {
        let Self { plan, fs, mounted, exposed, ended, is_told } = self;
        let attachment = mounted.attachment();
        let served = mounted.wait();
        if let Err(error) = attachment.clear_beneath() {
            log::warn!("an older mount, dead, is left at {}: {error}", plan.mountpoint.display());
        }
        ended.store(true, Ordering::Relaxed);
        fs.stop_jobs();
        fs.commit_old(true);
        fs.save_remembered();
        exposed.withdraw();
        if fs.gives_back() {
            // By which the unit tells that programs need no mount any more.
            StatusLine::new(&plan.store, &plan.mountpoint).tell(&fs);
        }
        drop(held);
        log::info!(
            event = "unmounted", store:% = plan.store.display(),
            mountpoint:% = plan.mountpoint.display();
            "{} is unmounted", plan.mountpoint.display()
        );
        served.map_err(plan.here())?;
        // What a service manager holds, others do not take away.
        let is_told = is_told.load(Ordering::Relaxed) || fs.gives_back();
        let is_taken = plan.foreground && systemd::is_service() && !is_told;
        match is_taken {
            true => Err(Failure::TakenAway { mountpoint: plan.mountpoint.clone() }),
            false => Ok(()),
        }
    }
}

/// Commits what waits too long, and keeps the status line true.
fn commit_in_time(fs: &Filesystem, status: &mut StatusLine, ended: &dyn Fn() -> bool) {
    let mut last_save = Instant::now();
    while !ended() {
        std::thread::sleep(BEAT);
        fs.commit_old(false);
        if last_save.elapsed() >= SAVE {
            fs.save_remembered();
            last_save = Instant::now();
        }
        status.tell(fs);
    }
}
