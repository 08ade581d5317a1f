//! Who may do what, and to whom a new thing belongs.

use std::fs;

use crate::calls::shell;
use crate::scene::{
    FURTHER, GROUP, USER, alike, alike_in_each_class, mounted, python, python_as_user,
};
use crate::support::sh;

#[test]
fn the_kernel_checks_permissions_with_all_groups_of_the_caller() {
    alike_in_each_class(|dir, class| {
        let prepare = format!(
            "
for m in (0o600, 0o060, 0o006, 0o640, 0o604, 0o000, 0o044, 0o777):
    for u, g in (({USER}, 0), (0, {GROUP}), (0, {FURTHER}), (0, 0)):
        n = name('%o-%d-%d' % (m, u, g))
        write(n, doc, os.O_CREAT); os.chown(n, u, g); os.chmod(n, m)
for n, m in (('listed', 0o750), ('entered', 0o710), ('closed', 0o700), ('open', 0o770)):
    os.mkdir(n); write(n + '/' + name('x'), doc, os.O_CREAT)
    os.chmod(n + '/' + name('x'), 0o644)
    os.chown(n, 0, {FURTHER}); os.chmod(n, m)
"
        );
        python(dir, class, &prepare);
        let script = "
files = sorted(n for n in os.listdir('.') if '-' in n)
for n in files:
    t(read, n); t(os.access, n, os.W_OK); t(os.open, n, os.O_WRONLY | os.O_APPEND)
    print(os.access(n, os.R_OK), os.access(n, os.W_OK), os.access(n, os.X_OK))
    t(os.chmod, n, os.stat(n).st_mode); t(os.utime, n); t(os.utime, n, (5, 5)); t(os.truncate, n, 30)
    t(os.setxattr, n, 'user.x', b'y'); t(os.getxattr, n, 'user.x')
    t(os.chown, n, 0, -1); t(os.link, n, 'new'); t(os.rename, n, n + 'x'); t(os.unlink, n)
for d in ('listed', 'entered', 'closed', 'open'):
    x = name('x')
    t(os.listdir, d); t(read, d + '/' + x); t(os.stat, d + '/' + x)
    t(os.mkdir, d + '/m'); t(os.rename, d + '/' + x, d + '/y'); t(os.chdir, d); os.fchdir(top)
";
        let script = format!("top = os.open('.', os.O_RDONLY)\n{script}");
        let alone = python_as_user(dir, class, &[], &script);
        (alone, python_as_user(dir, class, &[FURTHER], &script))
    });
}

#[test]
fn an_access_control_list_lets_in_whom_it_names() {
    alike_in_each_class(|dir, class| {
        let file = class.name("f");
        fs::write(dir.join(&file), class.document()).unwrap();
        sh(dir, &format!("chmod 600 {file}; setfacl -m u:{USER}:r,g:{FURTHER}:rw {file}"));
        let script = "t(read, name('f')); t(write, name('f'), doc)";
        let named = python_as_user(dir, class, &[FURTHER], script);
        sh(dir, &format!("setfacl -x u:{USER} {file}"));
        let by_group = python_as_user(dir, class, &[FURTHER], script);
        (named, by_group, python_as_user(dir, class, &[], script))
    });
}

#[test]
fn a_umask_counts_and_a_mode_is_kept() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
for mask in (0, 0o027, 0o077, 0o777):
    os.umask(mask)
    for m in (0o666, 0o644, 0o4711, 0o2755, 0o1777, 0):
        made = '%o-%o' % (mask, m)
        os.close(os.open(name(made), os.O_CREAT | os.O_WRONLY, m)); mode(name(made))
        os.mkdir(made + 'd', m); mode(made + 'd')
        os.mkfifo(made + 'p', m); mode(made + 'p')
        os.mknod(name(made + 'n'), stat.S_IFREG | m); mode(name(made + 'n'))
write(name('0-666'), doc, os.O_TRUNC); mode(name('0-666'))
",
        )
    });
}

#[test]
fn new_files_belong_to_their_maker() {
    alike_in_each_class(|dir, class| {
        sh(dir, "mkdir theirs; chmod 1777 theirs; echo s = 1 > root.toml; chmod 600 root.toml");
        let script = "
os.chdir('theirs')
os.umask(0o077)
f = name('f')
write(f, doc, os.O_CREAT); os.mkdir('d'); os.symlink('x', 'l'); os.mkfifo('p')
os.mknod(name('n')); os.link(f, name('g'))
for n in sorted(os.listdir('.')):
    s = os.lstat(n)
    print(n, oct(s.st_mode), s.st_uid, s.st_gid)
print(read(f) == doc)
t(os.mknod, 'c', stat.S_IFCHR | 0o600, os.makedev(1, 3))
t(read, '../root.toml'); t(write, '../new', b'', os.O_CREAT); t(os.unlink, '../root.toml')
t(os.chown, f, 0, -1); t(os.chown, f, -1, 0)
write(f, doc + b'# more', os.O_TRUNC)
write('new', doc, os.O_CREAT); os.rename('new', f)
s = os.stat(f)
print(oct(s.st_mode), s.st_uid, s.st_gid)
t(os.chown, f, -1, 64003)
";
        let alone = python_as_user(dir, class, &[], script);
        let edit =
            format!("cd theirs; sed -i s/5432/5433/ {}; stat -c '%u %g %a' *", class.name("f"));
        (alone, shell(dir, &edit))
    });
}

#[test]
fn a_setgid_directory_gives_its_group() {
    alike_in_each_class(|dir, class| {
        sh(dir, &format!("mkdir d; chgrp {FURTHER} d; chmod 2777 d"));
        let script = "
os.umask(0)
os.chdir('d')
who = str(os.getuid()) + '-' + str(len(os.getgroups()))
f = name(who)
write(f, doc, os.O_CREAT); os.mkdir(who + 'd'); os.symlink('x', who + 'l')
os.close(os.open(name(who + 's'), os.O_CREAT | os.O_WRONLY, 0o2775))
os.mknod(name(who + 'n'), stat.S_IFREG | 0o2775); os.mkfifo(who + 'p', 0o2775)
t(os.chmod, f, 0o2755)
for n in sorted(os.listdir('.')):
    s = os.lstat(n)
    print(n, oct(s.st_mode), s.st_uid, s.st_gid)
";
        let user = python_as_user(dir, class, &[], script);
        let member = python_as_user(dir, class, &[FURTHER], script);
        (user, member, python(dir, class, script))
    });
}

#[test]
fn a_sticky_directory_keeps_names_for_their_owners() {
    alike_in_each_class(|dir, class| {
        let (mine, other) = (class.name("mine"), class.name("other"));
        sh(dir, &format!("mkdir d; chmod 1777 d; echo x = 1 > d/{other}; chmod 666 d/{other}"));
        sh(dir, &format!("echo x = 1 > d/{mine}; chown {USER}:{GROUP} d/{mine}; mkdir d/theirs"));
        let script = "
os.chdir('d')
mine, other = name('mine'), name('other')
t(os.unlink, other); t(os.rename, other, name('x')); t(os.rename, mine, other); t(os.rmdir, 'theirs')
t(write, other, doc); t(os.link, other, name('y')); t(os.rename, mine, name('z')); t(os.unlink, name('z'))
";
        (python_as_user(dir, class, &[], script), sh(dir, "ls d"))
    });
}

#[test]
fn set_id_bits_fall_when_others_write() {
    alike_in_each_class(|dir, class| {
        let prepare = format!(
            "
for n in 'write truncate open fallocate chown append mmap':
    pass
os.chmod('.', 0o777)
for n in 'write truncate open fallocate chown append rename'.split():
    n = name(n)
    write(n, doc, os.O_CREAT); os.chown(n, {USER}, {GROUP}); os.chmod(n, 0o6777)
"
        );
        python(dir, class, &prepare);
        let script = "
def then(what, call):
    n = name(what); call(n); mode(n)
then('write', lambda n: write(n, b'p'))
then('append', lambda n: write(n, b'# p', os.O_APPEND))
then('truncate', lambda n: os.truncate(n, 20))
then('open', lambda n: os.close(os.open(n, os.O_WRONLY | os.O_TRUNC)))
def allocate(n):
    fd = os.open(n, os.O_WRONLY); os.posix_fallocate(fd, 0, 5000); os.close(fd)
then('fallocate', allocate)
then('chown', lambda n: os.chown(n, -1, 64003))
then('rename', lambda n: os.rename(n, name('moved')) or os.rename(name('moved'), n))
";
        let user = python_as_user(dir, class, &[FURTHER], script);
        (
            user,
            python(
                dir,
                class,
                "os.chmod(name('write'), 0o6777); write(name('write'), b'p'); mode(name('write'))",
            ),
        )
    });
}

#[test]
fn programs_run_but_gain_no_rights() {
    let fixture = mounted();
    alike(&fixture, |dir| {
        sh(dir, "cp /bin/true t; printf '#!/bin/sh\\necho ran\\n' > s; chmod 755 s t; chmod 644 s");
        let ran = shell(dir, "./t; echo $?; ./s; chmod 755 s; ./s");
        let busy = "exec 9<>t; ./t; echo $?";
        (ran, shell(dir, busy))
    });
    // Mounted nosuid.
    let dir = fixture.mnt();
    sh(&dir, "cp /usr/bin/id id; chmod 4755 id; chmod 755 .");
    let user = format!("setpriv --reuid={USER} --regid={GROUP} --clear-groups ./id -u");
    assert_eq!(shell(&dir, &user).1, format!("{USER}\n"));
}

#[test]
fn opens_obey_their_flags() {
    alike_in_each_class(|dir, class| {
        python(
            dir,
            class,
            "
f = name('f')
t(os.open, f, os.O_RDONLY)
t(os.open, f, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
t(os.open, f, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
t(os.open, f, os.O_RDONLY | os.O_CREAT)
write(f, doc)
os.symlink(f, 'l'); os.symlink('absent', 'dangling'); os.mkdir('d')
t(os.open, 'l', os.O_RDONLY | os.O_NOFOLLOW)
t(os.open, 'l', os.O_WRONLY | os.O_CREAT | os.O_EXCL)
t(os.open, 'dangling', os.O_WRONLY | os.O_CREAT | os.O_EXCL)
t(os.open, f, os.O_RDONLY | os.O_DIRECTORY)
t(os.open, 'd', os.O_WRONLY); t(os.open, 'd', os.O_RDONLY | os.O_CREAT); t(os.open, 'd', os.O_TRUNC)
t(os.open, f + '/', os.O_RDONLY); t(os.open, 'l/', os.O_RDONLY); t(os.open, f + '/x', os.O_CREAT)
fd = os.open('dangling', os.O_WRONLY | os.O_CREAT, 0o600); print(sorted(os.listdir('.')))
fd = os.open(f, os.O_RDONLY)
t(os.write, fd, b'x'); t(os.ftruncate, fd, 1)
fd = os.open(f, os.O_WRONLY)
t(os.read, fd, 1)
fd = os.open(f, os.O_PATH)
t(os.read, fd, 1); t(os.fchmod, fd, 0o600); print(os.fstat(fd).st_size)
print(os.read(os.open(f'/proc/self/fd/{fd}', os.O_RDONLY), 99))
fd = os.open(f, os.O_RDWR | os.O_SYNC | os.O_NOATIME | os.O_NONBLOCK | os.O_CLOEXEC)
print(os.write(fd, b'P'), hex(fcntl.fcntl(fd, fcntl.F_GETFL)))
os.lseek(fd, 0, 0); fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND); os.write(fd, b'#e\\n')
print(read(f))
fd = os.open(f, os.O_RDONLY | os.O_TRUNC); print(os.fstat(fd).st_size, read(f))
",
        )
    });
}
