//! A program on a terminal: keys go in, what it draws comes out. The terminal is made by `script`
//! of util-linux.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use crate::scene::{PATIENCE, need};

/// The program, ended with the test.
pub struct Terminal {
    script: Child,
    keys: ChildStdin,
    drawing: Receiver<Vec<u8>>,
    screen: String,
}

impl Terminal {
    /// Runs a shell line in `dir`.
    pub fn open(dir: &Path, line: &str) -> Self {
        let mut command = Command::new(need("script"));
        command.args(["-qefc", &format!("stty rows 24 cols 80; exec {line}"), "/dev/null"]);
        command.env("TERM", "xterm").env("SHELL", "/bin/sh").current_dir(dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = command.spawn().expect("script");
        let keys = script.stdin.take().expect("its input");
        let mut output = script.stdout.take().expect("its output");
        let (drawn, drawing) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut piece) {
                if drawn.send(piece[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { script, keys, drawing, screen: String::new() }
    }

    /// Waits until `text` has been drawn, in one piece, since the last wait.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let start = Instant::now();
        while !self.screen.contains(text) {
            let left = PATIENCE.saturating_sub(start.elapsed());
            match self.drawing.recv_timeout(left) {
                Ok(piece) => self.screen.push_str(&String::from_utf8_lossy(&piece)),
                Err(why) => panic!("{text:?} is not drawn ({why}):\n{:?}", self.screen),
            }
        }
        self.screen.clear();
    }

    /// Presses keys; `\r` is Enter, `\x13` Control-S.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it reads");
        self.keys.flush().expect("it reads");
    }

    /// Waits until the program has ended; its exit code, 128 and more for a signal.
    #[track_caller]
    pub fn end(mut self) -> Option<i32> {
        let start = Instant::now();
        // What it draws ends with it.
        while let Ok(piece) = self.drawing.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
            self.screen.push_str(&String::from_utf8_lossy(&piece));
        }
        assert!(start.elapsed() < PATIENCE, "it does not end:\n{:?}", self.screen);
        self.script.wait().expect("its end").code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The program gets SIGHUP with its terminal.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
