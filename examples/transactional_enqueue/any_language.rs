//! Delivers messages that `psql` and Python enqueue in their own transactions.
//!
//! `cargo run --example any_language` prints:
//!
//! ```text
//! committed by enqueue.sql: slot 1
//! committed by enqueue.py: slot 2
//! enqueued without a transaction: slot 3
//! received: slot 1
//! received: slot 2
//! received: slot 3
//! ```
//!
//! `enqueue.py` needs Debian's package python3-psycopg2, or psycopg2 for `/usr/bin/python3`.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use pushslots::uuid::Uuid;
use set_up::{DESTINATION, Database, deliver, message};

mod set_up;

const PYTHON: &str = "/usr/bin/python3";

#[tokio::main]
async fn main() -> Result<()> {
    let Some(database) = Database::open().await? else { return Ok(()) };
    let mut enqueued = Vec::new();

    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
    psql.args(["--set=ON_ERROR_STOP=1", &format!("--set=destination={DESTINATION}")]);
    psql.args(["--dbname", &database.url, "--file", &path("enqueue.sql")]);
    enqueued.push(message_id(psql)?);
    println!("committed by enqueue.sql: slot 1");

    if has_psycopg2()? {
        let mut python = Command::new(PYTHON);
        python.args([path("enqueue.py"), DESTINATION.to_string()]);
        python.env("PUSHSLOTS_DATABASE_URL", &database.url);
        enqueued.push(message_id(python)?);
        println!("committed by enqueue.py: slot 2");
    } else {
        println!("skipped: enqueue.py needs Debian's package python3-psycopg2");
    }

    let entry = database.outbox.enqueue(&message(3)?).lane("clinic-7").await?;
    enqueued.push(entry.message_id());
    println!("enqueued without a transaction: slot 3");

    deliver(&database.outbox, &enqueued).await
}

fn path(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program that enqueues a message and prints its id.
fn message_id(mut program: Command) -> Result<Uuid> {
    let name = program.get_program().display().to_string();
    let output = program.output().with_context(|| format!("failed to start {name}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {error}");
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn has_psycopg2() -> Result<bool> {
    let import = Command::new(PYTHON).args(["-c", "import psycopg2"]).output();
    let is_installed = import.is_ok_and(|output| output.status.success());
    if !is_installed && std::env::var("CI").is_ok_and(|value| value == "true") {
        bail!("CI must not skip enqueue.py; install python3-psycopg2");
    }
    Ok(is_installed)
}
