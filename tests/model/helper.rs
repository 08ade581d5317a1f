//! Calls that have no safe form in Rust, made by a Python that stays: shared mappings, `truncate`.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Answers each line with one: an errno, or 0 and perhaps bytes. A mapping that the file does not
/// fill is refused: to touch it would be a SIGBUS.
const SCRIPT: &str = r#"
import mmap, os, sys
def mapped(path, at, data, size, flush):
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        if os.fstat(fd).st_size < at + max(size, 1):
            raise OSError(22, 'short')
        m = mmap.mmap(fd, at + size)
    finally:
        os.close(fd)
    m[at:at + len(data)] = data
    if flush:
        m.flush()
    seen = m[at:at + size]
    m.close()
    return seen
for line in sys.stdin:
    call, path, at, data, size, flush = line.rstrip('\n').split(' ')
    path, data = bytes.fromhex(path), bytes.fromhex(data)
    seen = b''
    try:
        if call == 'truncate':
            os.truncate(path, int(at))
        else:
            seen = mapped(path, int(at), data, int(size), flush == 'true')
        errno = 0
    except OSError as error:
        errno = error.errno
    print(errno, seen.hex(), flush=True)
"#;

pub(crate) struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Helper {
    pub(crate) fn new() -> Self {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, stdin, stdout }
    }

    /// Maps `path` shared, writes `data` at `at`, with `msync` or without, and reads it again.
    pub(crate) fn map_write(
        &mut self,
        path: &Path,
        at: usize,
        data: &[u8],
        flush: bool,
    ) -> Result<(), i32> {
        let seen = self.ask("map", path, at, data, data.len(), flush)?;
        assert_eq!(seen, hex(data), "a mapping shows what was written to it");
        Ok(())
    }

    /// Maps `path` shared and reads `size` bytes at `at`.
    pub(crate) fn map_read(&mut self, path: &Path, at: usize, size: usize) -> Result<Vec<u8>, i32> {
        let seen = self.ask("map", path, at, b"", size, false)?;
        let digits = |n: usize| u8::from_str_radix(&seen[n * 2..n * 2 + 2], 16).expect("hex");
        Ok((0..seen.len() / 2).map(digits).collect())
    }

    /// `truncate(2)`: by path.
    pub(crate) fn truncate(&mut self, path: &Path, len: usize) -> Result<(), i32> {
        self.ask("truncate", path, len, b"", 0, false).map(|_| ())
    }

    fn ask(
        &mut self,
        call: &str,
        path: &Path,
        at: usize,
        data: &[u8],
        size: usize,
        flush: bool,
    ) -> Result<String, i32> {
        let path = hex(OsStr::as_bytes(path.as_os_str()));
        let stdin = self.stdin.as_mut().expect("it stays");
        writeln!(stdin, "{call} {path} {at} {} {size} {flush}", hex(data))
            .expect("a line to python3");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line from python3");
        let (errno, seen) = line.trim_end_matches('\n').split_once(' ').expect("two words");
        match errno.parse().expect("an errno") {
            0 => Ok(seen.to_owned()),
            errno => Err(errno),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It ends with its input.
        self.stdin = None;
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
