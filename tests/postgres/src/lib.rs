//! Starts real PostgreSQL and PgBouncer servers for tests.
//!
//! Each server has a private directory under the temporary directory (`TMPDIR`), a free port on
//! 127.0.0.1 and a random password. It ends together with the value that started it, or with the
//! test process, even if that process is killed.
//!
//! If a program is missing, `start` writes one line to standard error and returns `None`, so that
//! the test can skip itself. If the environment variable `CI` is `true`, it panics instead.
#![cfg(unix)]

mod account;
mod bouncer;
mod directory;
mod network;
mod programs;
mod psql;
mod server;
mod supervisor;
#[cfg(test)]
mod tests;

pub use bouncer::PgBouncer;
pub use server::PostgresServer;
