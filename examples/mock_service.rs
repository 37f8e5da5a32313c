//! Serves a mock of the service for playing by hand, with a page that shows what arrives.
//!
//! `cargo run --example mock_service -- --port 8080`; without `--port` it takes one that is free.
//! It prints the settings with which `push_file` and `publish_file` go there. Control-C ends it,
//! and removes the file of the key.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pushslots::mock::MockService;
use pushslots::uuid::Uuid;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (None, ..) => 0,
        (Some("--port"), Some(port), None) => {
            port.parse().context("--port: give a number up to 65535")?
        }
        _ => bail!("usage: mock_service [--port PORT]"),
    };
    let service = MockService::builder().port(port).without_rate_limit().start()?;
    let key_file = KeyFile::new(service.private_key_pem())?;

    println!("The page of the mock: {}/\n\nIn another terminal:\n", service.url());
    println!("export PUSHSLOTS_BASE_URL='{}'", service.url());
    println!("export PUSHSLOTS_CLIENT_ID='{}'", service.client_id());
    println!("export PUSHSLOTS_KEY_ID='{}'", service.key_id());
    println!("export PUSHSLOTS_PRIVATE_KEY_FILE='{}'", key_file.0.display());
    println!("export PUSHSLOTS_DESTINATION_IDS='{}'", service.destination());
    println!("cargo run --example push_file -- tests/data/official-push-slots.json\n");
    io::stdout().flush()?;

    asked_to_end().await?;
    Ok(())
}

/// Control-C, and where there is one, the signal with which others end a process.
async fn asked_to_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! { _ = ended.recv() => Ok(()), asked = tokio::signal::ctrl_c() => asked }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// The private key that the mock made for this run, in a file that goes with it.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(pem: &str) -> io::Result<Self> {
        let file =
            Self(std::env::temp_dir().join(format!("pushslots-mock-{}.pem", Uuid::new_v4())));
        open_for_the_owner(&file.0)?.write_all(pem.as_bytes())?;
        Ok(file)
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn open_for_the_owner(path: &Path) -> io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
