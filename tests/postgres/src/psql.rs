//! Runs SQL through the command `psql`.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use crate::programs::command;

/// Runs SQL and returns the rows, one a line, with `|` between their columns.
///
/// # Panics
/// Panics with the server's message if a statement fails.
pub(crate) fn run(programs: &Path, url: &str, sql: &str) -> String {
    let mut psql = command(programs.join("psql"))
        .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-w", "-d", url, "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql can be started");
    let mut input = psql.stdin.take().expect("standard input is a pipe");
    let output = thread::scope(|scope| {
        // Writing fails if psql has ended because of an error, which it reports itself.
        scope.spawn(move || input.write_all(sql.as_bytes()));
        psql.wait_with_output().expect("psql can be waited for")
    });
    let text = |bytes| String::from_utf8(bytes).expect("psql writes UTF-8");
    if !output.status.success() {
        panic!("psql failed: {}\nSQL: {sql:.1000}", text(output.stderr).trim());
    }
    text(output.stdout).trim_end_matches('\n').to_owned()
}
