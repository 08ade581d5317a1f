//! Real mounts: what the host sees, what the daemon sees, and how a mount ends.
//!
//! The daemons are this program again, as a daemon's process must never have had a second thread.
//! For the same reason there is a small harness of our own. All of it happens in a mount namespace
//! that ends with the run, which plays the host. Needs root.

mod scene;
mod toy;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixDatagram;
use std::panic;
use std::process::{Command, ExitCode};
use std::time::Duration;

use confseal::sys::mount::{detach_stranded, enter_own_mount_namespace, may_mount};

use scene::{Propagation, Scene, eventually, inheritable_descriptors, mount_lines, send_signal};

type Test = (&'static str, fn());

macro_rules! tests {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as fn())),*] };
}

const TESTS: &[Test] = tests![
    nobody_sees_a_mount_before_init_is_answered,
    the_host_lists_the_mount_with_its_source_and_without_suid_and_devices,
    the_daemon_sees_what_lies_beneath,
    where_nothing_propagates_the_daemon_sees_what_lies_beneath_too,
    a_plain_umount_ends_the_session,
    no_daemon_keeps_the_mount_of_another_in_use,
    a_busy_mount_is_unmounted_lazily_only_and_its_users_finish,
    a_mount_on_top_is_left_alone,
    a_mount_that_took_the_place_is_left_alone,
    a_mount_that_was_moved_is_found,
    without_a_namespace_of_its_own_the_daemon_serves_all_the_same,
    a_refused_init_leaves_nothing_behind,
    a_missing_mount_point_is_named,
    a_read_only_mount_refuses_writes,
    others_enter_only_where_that_was_asked_for,
    a_killed_daemon_uncovers_nothing,
    no_descriptor_passes_to_programs_that_the_daemon_starts,
    sigterm_reaches_the_one_who_waits_and_sighup_ends_nothing,
    systemd_is_told_how_the_daemon_fares,
    a_daemon_lets_go_of_its_user_once_the_mount_stands,
    a_daemon_that_fails_tells_its_user,
    a_daemon_that_dies_early_is_noticed,
    an_ordinary_user_mounts,
    an_ordinary_user_mounts_without_a_namespace_of_his_own,
    an_ordinary_users_mount_shows_him_alone_what_is_inside,
    an_ordinary_user_unmounts_lazily_what_is_busy,
    an_ordinary_users_mount_ends_by_plain_umount,
    an_ordinary_users_refused_init_leaves_nothing_behind,
    the_child_left_behind_keeps_nothing_and_ends_with_the_daemon,
    without_fusermount_the_package_is_named,
    allow_other_is_refused_where_the_host_forbids_it,
    an_ordinary_user_kept_from_the_device_is_told_why,
];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "daemon") {
        return toy::daemon(&arguments[1..]);
    }
    let words: Vec<String> =
        arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let given = |option: &str| words.iter().any(|word| word == option);
    if given("--list") {
        // A runner asks for the ignored ones too: there are none.
        let listed = if given("--ignored") { &[] } else { TESTS };
        listed.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if !may_mount() {
        eprintln!("these tests mount: run them as root");
        return ExitCode::FAILURE;
    }
    enter_own_mount_namespace().expect("a mount namespace for the run");
    // Of other tests that run now: none is to stay in use for this one's copy of its mount.
    let _ = detach_stranded("fuse.confseal");
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let exact = given("--exact");
    let fits = |name: &str, part: &str| if exact { name == part } else { name.contains(part) };
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|part| fits(name, part));
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| wanted(name)) {
        let passed = panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn nobody_sees_a_mount_before_init_is_answered() {
    let scene = Scene::new(Propagation::Shared);
    let _daemon = scene.daemon().start();
    assert!(scene.report().contains("attached during init: false\n"), "{}", scene.report());
}

fn the_host_lists_the_mount_with_its_source_and_without_suid_and_devices() {
    let scene = Scene::new(Propagation::Shared);
    let _daemon = scene.daemon().start();
    let line = mount_lines(&scene.point).concat();
    assert!(line.contains(" - fuse.confseal /the/store "), "{line}");
    assert!(line.contains("nosuid,nodev"), "{line}");
    assert!(line.contains("default_permissions"), "{line}");
}

fn the_daemon_sees_what_lies_beneath() {
    let scene = Scene::new(Propagation::Shared);
    let _daemon = scene.daemon().start();
    assert_eq!(scene.listing(), ["report", "room"]);
    let report = scene.report();
    assert!(report.contains("apart: true\n"), "{report}");
    assert!(report.contains("listing at the mount point: beneath\n"), "{report}");
    assert!(report.contains("mounts at the mount point: 0\n"), "{report}");
}

fn where_nothing_propagates_the_daemon_sees_what_lies_beneath_too() {
    let scene = Scene::new(Propagation::Private);
    let _daemon = scene.daemon().start();
    assert_eq!(scene.listing(), ["report", "room"]);
    assert!(scene.report().contains("listing at the mount point: beneath\n"));
}

fn a_plain_umount_ends_the_session() {
    for propagation in [Propagation::Shared, Propagation::Private] {
        let scene = Scene::new(propagation);
        let mut daemon = scene.daemon().start();
        scene.umount(&scene.point);
        daemon.expect("ended: ok");
        assert_eq!(daemon.exit_code(), Some(0));
        assert_eq!(scene.listing(), ["beneath"]);
    }
}

fn no_daemon_keeps_the_mount_of_another_in_use() {
    for propagation in [Propagation::Shared, Propagation::Private] {
        let (first, second) = (Scene::new(propagation), Scene::new(propagation));
        let mut daemon = first.daemon().start();
        let _later = second.daemon().start();
        first.umount(&first.point);
        daemon.expect("ended: ok");
        assert_eq!(second.listing(), ["report", "room"]);
    }
}

fn a_busy_mount_is_unmounted_lazily_only_and_its_users_finish() {
    let scene = Scene::new(Propagation::Shared);
    let mut daemon = scene.daemon().start();
    let mut user = File::open(scene.point.join("report")).unwrap();
    daemon.order("unmount");
    daemon.expect("unmount: ResourceBusy");
    assert_eq!(scene.listing(), ["report", "room"]);
    daemon.order("detach");
    daemon.expect("detach: ok");
    assert_eq!(scene.listing(), ["beneath"]);
    let mut text = String::new();
    user.read_to_string(&mut text).unwrap();
    assert!(text.contains("apart"), "{text}");
    daemon.expect_silence(Duration::from_millis(100));
    drop(user);
    daemon.expect("ended: ok");
}

fn a_mount_on_top_is_left_alone() {
    let scene = Scene::new(Propagation::Shared);
    let mut daemon = scene.daemon().start();
    scene.tmpfs(&scene.point);
    for order in ["unmount", "detach"] {
        daemon.order(order);
        daemon.expect(&format!("{order}: ResourceBusy"));
        assert_eq!(mount_lines(&scene.point).len(), 2);
    }
    scene.umount(&scene.point);
    daemon.order("unmount");
    daemon.expect("unmount: ok");
    daemon.expect("ended: ok");
}

fn a_mount_that_took_the_place_is_left_alone() {
    let scene = Scene::new(Propagation::Shared);
    let mut daemon = scene.daemon().start();
    // Somebody took ours away, but a user keeps the session alive; then mounted his own.
    let user = File::open(scene.point.join("report")).unwrap();
    scene.umount_lazily(&scene.point);
    scene.tmpfs(&scene.point);
    for order in ["unmount", "detach"] {
        daemon.order(order);
        daemon.expect(&format!("{order}: ok"));
        assert_eq!(mount_lines(&scene.point).len(), 1, "the tmpfs stands");
    }
    drop(user);
    daemon.expect("ended: ok");
}

fn a_mount_that_was_moved_is_found() {
    let scene = Scene::new(Propagation::Shared);
    let mut daemon = scene.daemon().start();
    let above = scene.point.parent().unwrap();
    let moved = above.with_file_name("another name");
    fs::rename(above, &moved).unwrap();
    assert_eq!(mount_lines(&moved.join(scene.point.file_name().unwrap())).len(), 1);
    daemon.order("unmount");
    daemon.expect("unmount: ok");
    daemon.expect("ended: ok");
}

fn without_a_namespace_of_its_own_the_daemon_serves_all_the_same() {
    let scene = Scene::new(Propagation::Shared);
    let mut daemon = scene.daemon().without_capability("sys_chroot").start();
    let report = scene.report();
    assert!(report.contains("apart: false\n"), "{report}");
    assert!(report.contains("mounts at the mount point: 1\n"), "{report}");
    assert!(daemon.complaints().contains("no mount namespace of our own (Operation not permitted"));
    daemon.order("unmount");
    daemon.expect("unmount: ok");
    daemon.expect("ended: ok");
}

fn a_refused_init_leaves_nothing_behind() {
    let scene = Scene::new(Propagation::Shared);
    let mut daemon = scene.daemon().argument("--refuse-init").spawn();
    daemon.expect("failed: cannot begin to serve: No space left on device (os error 28) []");
    assert_eq!(mount_lines(&scene.point).len(), 0);
}

fn a_missing_mount_point_is_named() {
    let scene = Scene::new(Propagation::Shared);
    fs::remove_dir_all(&scene.point).unwrap();
    let mut daemon = scene.daemon().spawn();
    daemon.expect(&format!(
        "failed: cannot use {} as a mount point: No such file or directory (os error 2) \
         [create the directory first]",
        scene.point.display()
    ));
}

fn a_read_only_mount_refuses_writes() {
    let scene = Scene::new(Propagation::Shared);
    let _daemon = scene.daemon().argument("--read-only").start();
    let error = File::create(scene.point.join("new")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
    assert!(scene.report().contains("apart"));
}

fn others_enter_only_where_that_was_asked_for() {
    let scene = Scene::new(Propagation::Shared);
    let mut daemon = scene.daemon().start();
    let listing = scene.as_nobody("ls").arg(&scene.point).output().unwrap();
    assert!(String::from_utf8_lossy(&listing.stderr).contains("Permission denied"), "{listing:?}");
    daemon.order("unmount");
    daemon.expect("unmount: ok");
    daemon.expect("ended: ok");
    let _daemon = scene.daemon().argument("--allow-other").start();
    let listing = scene.as_nobody("ls").arg(&scene.point).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listing.stdout), "report\nroom\n");
}

fn a_killed_daemon_uncovers_nothing() {
    let scene = Scene::new(Propagation::Shared);
    let mut daemon = scene.daemon().start();
    daemon.kill();
    let error = File::create(scene.point.join("plaintext")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
}

fn no_descriptor_passes_to_programs_that_the_daemon_starts() {
    let scene = Scene::new(Propagation::Shared);
    // What the run itself got from its shell goes on through it.
    let inherited = inheritable_descriptors("self");
    let daemon = scene.daemon().start();
    assert_eq!(inheritable_descriptors(&daemon.pid().to_string()), inherited);
}

fn sigterm_reaches_the_one_who_waits_and_sighup_ends_nothing() {
    let scene = Scene::new(Propagation::Shared);
    let mut daemon = scene.daemon().start();
    daemon.signal("HUP");
    daemon.expect("signal: Hangup");
    assert_eq!(scene.listing(), ["report", "room"]);
    daemon.signal("TERM");
    daemon.expect("signal: Terminate");
    daemon.expect("ended: ok");
    assert_eq!(scene.listing(), ["beneath"]);
}

fn systemd_is_told_how_the_daemon_fares() {
    let scene = Scene::new(Propagation::Shared);
    let socket = scene.root.join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let told = || {
        let mut packet = [0; 256];
        let length = manager.recv(&mut packet).unwrap();
        String::from_utf8_lossy(&packet[..length]).into_owned()
    };
    let plan = scene.daemon().variable("NOTIFY_SOCKET", &socket);
    let mut daemon = plan.variable("WATCHDOG_USEC", "3000000").spawn();
    assert_eq!(told(), "STATUS=serving the store\n");
    assert_eq!(told(), "READY=1\n");
    assert_eq!(scene.listing(), ["report", "room"]);
    assert_eq!(told(), "WATCHDOG=1\n");
    daemon.expect("watched every 1.5s");
    daemon.expect("mounted");
    scene.umount(&scene.point);
    daemon.expect("ended: ok");
    assert_eq!(told(), "STOPPING=1\n");
}

fn a_daemon_lets_go_of_its_user_once_the_mount_stands() {
    let scene = Scene::new(Propagation::Shared);
    // Collecting the output ends only when no process holds the pipes any more.
    let output = Command::new("sh")
        .args(["-c", "umask 077; exec 9<.; exec \"$@\"", "sh"])
        .current_dir(&scene.root)
        .args(scene.daemon().argument("--daemonize").command_line())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = scene.report();
    assert!(report.contains("working directory: /\n"), "{report}");
    assert!(report.contains("standard output: /dev/null\n"), "{report}");
    assert!(report.contains("umask: 0\n"), "{report}");
    let pid = report.lines().find_map(|line| line.strip_prefix("pid: ")).unwrap();
    assert!(report.contains(&format!("session: {pid}\n")), "{report}");
    assert_eq!(inheritable_descriptors(pid), [0, 1, 2]);
    send_signal("TERM", pid);
    eventually(|| scene.listing() == ["beneath"]);
    eventually(|| !fs::exists(format!("/proc/{pid}")).unwrap());
}

fn a_daemon_that_fails_tells_its_user() {
    let scene = Scene::new(Propagation::Shared);
    let mut command = scene.daemon().argument("--daemonize").argument("--refuse-init").command();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!(words, "failed: cannot begin to serve: No space left on device (os error 28) []\n");
}

fn a_daemon_that_dies_early_is_noticed() {
    let scene = Scene::new(Propagation::Shared);
    let mut command = scene.daemon().argument("--daemonize").argument("--die-at-init").command();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(10));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "died: Some(9)\n");
    assert_eq!(mount_lines(&scene.point).len(), 0);
}

fn an_ordinary_user_mounts() {
    for propagation in [Propagation::Shared, Propagation::Private] {
        let scene = Scene::for_nobody(propagation);
        let mut daemon = scene.daemon().by_nobody().start();
        let line = mount_lines(&scene.point).concat();
        assert!(line.contains(" - fuse.confseal /the/store "), "{line}");
        assert!(line.contains("nosuid,nodev"), "{line}");
        let report = scene.as_nobody("cat").arg(scene.point.join("report")).output().unwrap();
        let report = String::from_utf8_lossy(&report.stdout);
        assert!(report.contains("apart: true\n"), "{report}");
        assert!(report.contains("listing at the mount point: beneath\n"), "{report}");
        assert!(report.contains("mounts at the mount point: 0\n"), "{report}");
        daemon.order("unmount");
        daemon.expect("unmount: ok");
        daemon.expect("ended: ok");
        assert_eq!(scene.listing(), ["beneath"]);
        assert_eq!(daemon.complaints(), "");
    }
}

fn an_ordinary_user_mounts_without_a_namespace_of_his_own() {
    let scene = Scene::for_nobody(Propagation::Shared);
    let mut daemon = scene.daemon().by_nobody().argument("--stay").start();
    let report = scene.as_nobody("cat").arg(scene.point.join("report")).output().unwrap();
    let report = String::from_utf8_lossy(&report.stdout);
    assert!(report.contains("mounts at the mount point: 1\n"), "{report}");
    daemon.order("unmount");
    daemon.expect("unmount: ok");
    daemon.expect("ended: ok");
}

fn an_ordinary_users_mount_shows_him_alone_what_is_inside() {
    let scene = Scene::for_nobody(Propagation::Shared);
    let _daemon = scene.daemon().by_nobody().start();
    let error = fs::read_dir(&scene.point).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

fn an_ordinary_user_unmounts_lazily_what_is_busy() {
    let scene = Scene::for_nobody(Propagation::Shared);
    let mut daemon = scene.daemon().by_nobody().start();
    let mut user = scene.as_nobody("sleep").arg("60").current_dir(&scene.point).spawn().unwrap();
    daemon.order("unmount");
    daemon.expect("unmount: ResourceBusy");
    daemon.order("detach");
    daemon.expect("detach: ok");
    assert_eq!(scene.listing(), ["beneath"]);
    daemon.expect_silence(Duration::from_millis(100));
    user.kill().unwrap();
    user.wait().unwrap();
    daemon.expect("ended: ok");
}

fn an_ordinary_users_mount_ends_by_plain_umount() {
    let scene = Scene::for_nobody(Propagation::Shared);
    let mut daemon = scene.daemon().by_nobody().start();
    let status = scene.as_nobody("fusermount3").arg("-u").arg(&scene.point).status().unwrap();
    assert!(status.success());
    daemon.expect("ended: ok");
    let mut daemon = scene.daemon().by_nobody().start();
    scene.umount(&scene.point);
    daemon.expect("ended: ok");
}

fn an_ordinary_users_refused_init_leaves_nothing_behind() {
    let scene = Scene::for_nobody(Propagation::Shared);
    let mut daemon = scene.daemon().by_nobody().argument("--refuse-init").spawn();
    daemon.expect("failed: cannot begin to serve: No space left on device (os error 28) []");
    assert_eq!(mount_lines(&scene.point).len(), 0);
}

fn the_child_left_behind_keeps_nothing_and_ends_with_the_daemon() {
    let scene = Scene::for_nobody(Propagation::Shared);
    let mut daemon = scene.daemon().by_nobody().start();
    let pid = daemon.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let child = children.trim().to_owned();
    let descriptors = fs::read_dir(format!("/proc/{child}/fd")).unwrap().count();
    assert_eq!(descriptors, 4, "standard ones and the socket");
    let environment =
        scene.as_nobody("cat").arg(format!("/proc/{child}/environ")).output().unwrap();
    assert!(!environment.status.success(), "it is closed to its own user");
    // Control-C goes to both: the child must outlive it, to unmount.
    send_signal("INT", &child);
    daemon.order("unmount");
    daemon.expect("unmount: ok");
    daemon.expect("ended: ok");
    eventually(|| !fs::exists(format!("/proc/{child}")).unwrap());
}

fn without_fusermount_the_package_is_named() {
    let scene = Scene::for_nobody(Propagation::Shared);
    let mut daemon = scene.daemon().by_nobody().variable("PATH", "/nonexistent").spawn();
    daemon.expect(
        "failed: mounting as an ordinary user needs the program fusermount3, which is not \
         installed [install package fuse3]",
    );
}

fn allow_other_is_refused_where_the_host_forbids_it() {
    let scene = Scene::for_nobody(Propagation::Shared);
    scene.fuse_conf("#user_allow_other\n");
    let mut daemon = scene.daemon().by_nobody().argument("--allow-other").spawn();
    daemon.expect(
        "failed: the option allow_other is not permitted to ordinary users on this host \
         [put the line `user_allow_other` into /etc/fuse.conf, or mount as root]",
    );
    scene.fuse_conf("user_allow_other\n");
    let _daemon = scene.daemon().by_nobody().argument("--allow-other").start();
    assert_eq!(scene.listing(), ["report", "room"]);
}

fn an_ordinary_user_kept_from_the_device_is_told_why() {
    let scene = Scene::for_nobody(Propagation::Shared);
    scene.close_device();
    let mut daemon = scene.daemon().by_nobody().spawn();
    let words = daemon.next_line();
    assert!(words.contains("failed to open /dev/fuse: Permission denied ["), "{words}");
    assert!(words.contains("distributions ship it with mode 0666"), "{words}");
    assert_eq!(mount_lines(&scene.point).len(), 0);
}
