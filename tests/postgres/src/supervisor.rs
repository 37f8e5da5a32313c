//! Runs a server under a small shell process that outlives the test process and cleans up.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::network::free_port;
use crate::programs::command;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const ADDRESS_IN_USE: &str = "Address already in use";

/// A shell process that starts and stops one server.
///
/// The shell reads commands from a pipe. When the pipe closes, it stops the server and removes the
/// server's directory.
pub(crate) struct Supervisor {
    shell: Child,
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    signals: &'static str,
    log: PathBuf,
    /// The server's process id while it runs.
    pub(crate) pid: Option<u32>,
}

impl Supervisor {
    /// Starts the shell process, but not the server yet.
    ///
    /// The server's process gets the `signals` in turn to stop it.
    pub(crate) fn new(
        directory: &Path,
        signals: &'static str,
        command_line: Vec<OsString>,
    ) -> Supervisor {
        let log = directory.join("log");
        let mut shell = command("sh")
            .args(["-c", include_str!("supervise.sh"), "supervise"])
            .args([directory, &log])
            .arg(signals)
            .args(command_line)
            // The server's user may not have access to the current directory.
            .current_dir("/")
            // Ctrl-C at the terminal must not reach the server before the shell.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh can be started");
        let commands = shell.stdin.take();
        let replies = BufReader::new(shell.stdout.take().expect("standard output is a pipe"));
        Supervisor { shell, commands, replies, signals, log, pid: None }
    }

    /// Starts the server on a free port, and retries with another if that port has been taken.
    pub(crate) fn start_on_free_port(
        &mut self,
        configure: impl Fn(u16),
        is_ready: impl Fn(u32) -> bool,
    ) -> u16 {
        for _ in 0..10 {
            let port = free_port();
            configure(port);
            if self.start(&is_ready) {
                return port;
            }
        }
        panic!("the server found no free port; its log:\n{}", self.log());
    }

    /// Starts the server on the port it had before, and waits if that port has been taken.
    pub(crate) fn start_again(&mut self, is_ready: impl Fn(u32) -> bool) {
        assert!(self.pid.is_none(), "the server is already running");
        for _ in 0..50 {
            if self.start(&is_ready) {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
        panic!("the server's port is taken; its log:\n{}", self.log());
    }

    /// Starts the server and waits until it is ready. Returns `false` if its port is taken.
    fn start(&mut self, is_ready: impl Fn(u32) -> bool) -> bool {
        let log_before = self.log().len();
        let pid = self.request("start").parse().expect("the supervisor returns a process id");
        self.pid = Some(pid);
        let begun = Instant::now();
        while !is_ready(pid) {
            let failed = has_ended(pid);
            if failed || begun.elapsed() > START_TIMEOUT {
                self.stop("KILL");
                let log = self.log();
                if failed && log[log_before..].contains(ADDRESS_IN_USE) {
                    return false;
                }
                panic!("the server did not start; its log:\n{log}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Sends signals to the server, in turn, and waits for its end.
    pub(crate) fn stop(&mut self, signals: &str) {
        assert!(self.pid.is_some(), "the server isn't running");
        self.request(&format!("stop {signals}"));
        self.pid = None;
    }

    /// Stops the server in the usual way.
    pub(crate) fn stop_cleanly(&mut self) {
        self.stop(self.signals);
    }

    /// Returns the server's log.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn request(&mut self, command: &str) -> String {
        let mut reply = String::new();
        let commands = self.commands.as_mut().expect("the pipe is open until the drop");
        writeln!(commands, "{command}")
            .and_then(|()| self.replies.read_line(&mut reply))
            .unwrap_or_else(|error| panic!("the server's supervisor has ended: {error}"));
        reply.trim().to_owned()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.shell.wait();
    }
}

/// Reports whether a process has ended. Only Linux can answer; elsewhere it is always `false`.
pub(crate) fn has_ended(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('Z')),
        Err(_) => cfg!(target_os = "linux"),
    }
}
