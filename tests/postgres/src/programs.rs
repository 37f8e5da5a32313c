//! Finds the installed programs, and skips a test if one is missing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const DEBIAN: &str = "/usr/lib/postgresql";
const OLDEST: u32 = 15;

/// Returns the directory with the programs of the newest installed PostgreSQL.
///
/// # Errors
/// Returns the reason if PostgreSQL 15 or later isn't installed.
pub(crate) fn postgres_directory() -> Result<PathBuf, String> {
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut directories: Vec<_> = versions.map(|entry| entry.path().join("bin")).collect();
    directories.extend(search_path());
    directories
        .into_iter()
        .filter(|directory| ["initdb", "psql"].iter().all(|name| directory.join(name).is_file()))
        .filter_map(|directory| Some((version(&directory.join("postgres"))?, directory)))
        .filter(|(version, _)| *version >= OLDEST)
        .max_by_key(|(version, _)| *version)
        .map(|(_, directory)| directory)
        .ok_or_else(|| {
            format!("PostgreSQL {OLDEST} or later is neither in {DEBIAN}/*/bin nor on PATH")
        })
}

/// Returns the path of PgBouncer.
///
/// # Errors
/// Returns the reason if it isn't installed.
pub(crate) fn pgbouncer() -> Result<PathBuf, String> {
    search_path()
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join("pgbouncer"))
        .find(|program| program.is_file())
        .ok_or_else(|| "pgbouncer is neither in /usr/sbin nor on PATH".to_owned())
}

/// Returns the value found, or reports why the test is skipped.
///
/// # Panics
/// Panics with the reason instead if the environment variable `CI` is `true`.
pub(crate) fn found_or_skip<T>(found: Result<T, String>) -> Option<T> {
    match found {
        Ok(value) => Some(value),
        Err(reason) if std::env::var_os("CI").is_some_and(|value| value == "true") => {
            panic!("a test can't be skipped in CI, but it needs a server: {reason}")
        }
        Err(reason) => {
            // The test runner hides the output of `eprintln!` if the test passes, but not this.
            let _ = writeln!(std::io::stderr(), "SKIPPED a test that needs a server: {reason}");
            None
        }
    }
}

/// Returns a command without the environment variables that change what PostgreSQL's programs do.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C");
    command
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// Reads the major version from, for example, `postgres (PostgreSQL) 15.16 (Debian …)`.
fn version(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split(' ').nth(2)?;
    number.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}
