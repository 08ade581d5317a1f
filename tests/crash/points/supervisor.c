// Runs a program whose system calls on certain directories can be counted, failed, held up or made
// its last. The kernel asks this supervisor about each call that could change a file (seccomp user
// notification), whatever the thread, so "the third change that the program makes" is exact.
//
//     supervisor SOCKET DIRECTORY[:DIRECTORY...] PROGRAM [ARGUMENT...]
//
// PROGRAM runs in the process that was started; the supervisor is a child of it that leaves with
// it. On the Unix socket it answers each line with a line, and what stands in CONFSEAL_TEST_ORDER
// before anything else:
//
//     kill N            the Nth change from here on does not take place: the process dies first
//     fail N ERRNO      the Nth change does not take place: the call fails
//     fail-on N ERRNO   so does each that follows it
//     read-fail N ERRNO as fail; reads count as well
//     hold N            the Nth change, and each that follows it, waits
//     held              whether one does: yes or no
//     end               back to normal; answered with the calls that were counted
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

// A call, and in which arguments stand the directory or file and the path that it changes.
struct call {
    long number;
    const char *name;
    int fd, path;
    enum { CHANGES, READS, BY_FLAGS, BY_HOW } kind;
};

static const struct call calls[] = {
#define CALL(name, ...) {__NR_##name, #name, __VA_ARGS__}
    CALL(write, 0, -1, CHANGES),
    CALL(writev, 0, -1, CHANGES),
    CALL(pwrite64, 0, -1, CHANGES),
    CALL(pwritev, 0, -1, CHANGES),
    CALL(copy_file_range, 2, -1, CHANGES),
    CALL(sendfile, 0, -1, CHANGES),
    CALL(ftruncate, 0, -1, CHANGES),
    CALL(fallocate, 0, -1, CHANGES),
    CALL(fsync, 0, -1, CHANGES),
    CALL(fdatasync, 0, -1, CHANGES),
    CALL(syncfs, 0, -1, CHANGES),
    CALL(sync_file_range, 0, -1, CHANGES),
    CALL(fchmod, 0, -1, CHANGES),
    CALL(fchmodat, 0, 1, CHANGES),
    CALL(fchown, 0, -1, CHANGES),
    CALL(fchownat, 0, 1, CHANGES),
    CALL(utimensat, 0, 1, CHANGES),
    CALL(fsetxattr, 0, -1, CHANGES),
    CALL(setxattr, -1, 0, CHANGES),
    CALL(lsetxattr, -1, 0, CHANGES),
    CALL(fremovexattr, 0, -1, CHANGES),
    CALL(removexattr, -1, 0, CHANGES),
    CALL(lremovexattr, -1, 0, CHANGES),
    CALL(mkdirat, 0, 1, CHANGES),
    CALL(mknodat, 0, 1, CHANGES),
    CALL(symlinkat, 1, 2, CHANGES),
    CALL(linkat, 2, 3, CHANGES),
    CALL(unlinkat, 0, 1, CHANGES),
    CALL(renameat2, 2, 3, CHANGES),
#ifdef __NR_renameat
    CALL(renameat, 2, 3, CHANGES),
#endif
#ifdef __NR_rename
    CALL(rename, -1, 1, CHANGES),
    CALL(unlink, -1, 0, CHANGES),
    CALL(mkdir, -1, 0, CHANGES),
    CALL(rmdir, -1, 0, CHANGES),
    CALL(chmod, -1, 0, CHANGES),
    CALL(chown, -1, 0, CHANGES),
    CALL(lchown, -1, 0, CHANGES),
#endif
    CALL(openat, 0, 1, BY_FLAGS),
    CALL(openat2, 0, 1, BY_HOW),
    CALL(read, 0, -1, READS),
    CALL(pread64, 0, -1, READS),
    CALL(fgetxattr, 0, -1, READS),
    CALL(flistxattr, 0, -1, READS),
};
enum { CALLS = sizeof calls / sizeof *calls, LINE = 1 << 16 };

static char *directories;
static int listener;

static void die(const char *what) {
    perror(what);
    _exit(120);
}

// The program's memory; what cannot be read is nothing.
static void peek(pid_t thread, __u64 address, void *to, size_t size) {
    char place[64];
    snprintf(place, sizeof place, "/proc/%d/mem", thread);
    memset(to, 0, size);
    int memory = open(place, O_RDONLY | O_CLOEXEC);
    if (memory >= 0) {
        ssize_t read = pread(memory, to, size, (off_t)address);
        (void)read;
        close(memory);
    }
}

static int is_below(const char *path) {
    for (const char *at = directories; *at;) {
        size_t length = strcspn(at, ":");
        if (strncmp(path, at, length) == 0 && (path[length] == '/' || !path[length])) return 1;
        at += length + (at[length] == ':');
    }
    return 0;
}

static int is_descriptor_below(pid_t thread, int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/%d/fd/%d", thread, fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

// Whether the call is about a file in one of the directories.
static int concerns(const struct call *call, const struct seccomp_notif *asked) {
    const __u64 *arguments = asked->data.args;
    char path[4096] = "";
    if (call->path >= 0 && arguments[call->path])
        peek(asked->pid, arguments[call->path], path, sizeof path - 1);
    const char *of_descriptor = strncmp(path, "/proc/", 6) ? NULL : strstr(path, "/fd/");
    if (of_descriptor) return is_descriptor_below(asked->pid, atoi(of_descriptor + 4));
    if (*path == '/') return is_below(path);
    return call->fd >= 0 && is_descriptor_below(asked->pid, (int)arguments[call->fd]);
}

static int is_change(const struct call *call, const struct seccomp_notif *asked) {
    __u64 flags = 0;
    struct open_how how;
    switch (call->kind) {
    case CHANGES: return 1;
    case READS: return 0;
    case BY_FLAGS: flags = asked->data.args[2]; break;
    case BY_HOW:
        peek(asked->pid, asked->data.args[2], &how, sizeof how);
        flags = how.flags;
    }
    return (flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE;
}

static void filter(void) {
    struct sock_filter program[2 * CALLS + 2], *at = program;
    *at++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                         offsetof(struct seccomp_data, nr));
    for (int n = 0; n < CALLS; n++) {
        *at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[n].number, 0, 1);
        *at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    *at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog all = {(unsigned short)(at - program), program};
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                            SECCOMP_FILTER_FLAG_NEW_LISTENER, &all);
    if (listener < 0) die("seccomp");
}

static enum { NORMAL, KILL, FAIL, FAIL_ON, READ_FAIL, HOLD } order;
static long due, counted;
static int error, socket_fd;
static char seen[LINE];
static __u64 held[64];
static int holds;

static void say(const char *line) {
    if (socket_fd >= 0) send(socket_fd, line, strlen(line), MSG_NOSIGNAL);
}

static void answer(__u64 id, int errno_to_give) {
    struct seccomp_notif_resp response = {.id = id, .error = -errno_to_give};
    if (!errno_to_give) response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    // ENOENT: its thread is gone.
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) && errno != ENOENT) die("send");
}

static void decide(void) {
    struct seccomp_notif asked = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked)) {
        if (errno == ENOENT || errno == EINTR) return;
        die("receive");
    }
    const struct call *call = NULL;
    for (int n = 0; n < CALLS; n++)
        if (calls[n].number == asked.data.nr) call = &calls[n];
    int counts = order != NORMAL && call && concerns(call, &asked) &&
                 (order == READ_FAIL || is_change(call, &asked));
    if (!counts) return answer(asked.id, 0);
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, " %s", call->name);
    counted++;
    if (counted < due) return answer(asked.id, 0);
    switch (order) {
    case KILL:
        kill((pid_t)asked.pid, SIGKILL);
        _exit(0); // the end of the connection says so
    case FAIL:
    case READ_FAIL: return answer(asked.id, counted == due ? error : 0);
    case FAIL_ON: return answer(asked.id, error);
    case HOLD:
        if (holds == 64) die("too many calls to hold");
        held[holds++] = asked.id;
        return;
    case NORMAL: return answer(asked.id, 0);
    }
}

static void go_on(void) {
    order = NORMAL;
    while (holds) answer(held[--holds], 0);
}

static void obey(const char *line) {
    char reply[LINE + 64], verb[16] = "";
    if (!strcmp(line, "end")) {
        go_on();
        snprintf(reply, sizeof reply, "%ld%s\n", counted, seen);
        return say(reply);
    }
    if (!strcmp(line, "held")) return say(holds ? "yes\n" : "no\n");
    go_on();
    counted = due = 0;
    error = EIO;
    *seen = 0;
    sscanf(line, "%15s %ld %d", verb, &due, &error);
    order = !strcmp(verb, "kill")        ? KILL
            : !strcmp(verb, "fail")      ? FAIL
            : !strcmp(verb, "fail-on")   ? FAIL_ON
            : !strcmp(verb, "read-fail") ? READ_FAIL
            : !strcmp(verb, "hold")      ? HOLD
                                         : NORMAL;
    say(order == NORMAL ? "unknown\n" : "ok\n");
}

static void take_orders(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(socket_fd, (struct sockaddr *)&address, sizeof address)) die(path);
    const char *first = getenv("CONFSEAL_TEST_ORDER");
    if (first && *first) obey(first);
}

static void supervise(void) {
    for (;;) {
        struct pollfd ready[] = {{listener, POLLIN, 0}, {socket_fd, POLLIN, 0}};
        if (poll(ready, 2, -1) < 0 && errno != EINTR) die("poll");
        if (ready[0].revents & POLLIN) decide();
        else if (ready[0].revents) _exit(0); // the program is gone
        if (ready[1].revents) {
            char line[256];
            ssize_t length = recv(socket_fd, line, sizeof line - 1, 0);
            if (length <= 0) { // nobody gives orders any more
                close(socket_fd);
                socket_fd = -1;
                go_on();
                continue;
            }
            line[length] = 0;
            line[strcspn(line, "\n")] = 0;
            obey(line);
        }
    }
}

int main(int count, char **arguments) {
    if (count < 4) return 120;
    directories = arguments[2];
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) die("socketpair");
    pid_t program = getpid(), supervisor = fork();
    if (supervisor < 0) die("fork");
    char ready = 0;
    if (!supervisor) {
        close(pair[1]);
        // The listener comes by its number: what the program does from here on, it asks about.
        int number, process = (int)syscall(SYS_pidfd_open, program, 0);
        if (recv(pair[0], &number, sizeof number, 0) != sizeof number) die("its listener");
        listener = (int)syscall(SYS_pidfd_getfd, process, number, 0);
        if (listener < 0) die("pidfd_getfd");
        take_orders(arguments[1]);
        send(pair[0], &ready, 1, 0);
        close(pair[0]);
        close(process);
        supervise();
    }
    filter();
    send(pair[1], &listener, sizeof listener, 0);
    if (recv(pair[1], &ready, 1, 0) != 1) die("its supervisor");
    execv(arguments[3], arguments + 3);
    die(arguments[3]);
}
