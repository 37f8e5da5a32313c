//! Sends a message, and lets another process sign the token request. This process never holds the
//! private key.
//!
//! `cargo run --example sign_elsewhere` prints, with other numbers each time:
//!
//! ```text
//! signed by process 5270, accepted as 562682e2-22c6-4f50-b484-58721a31009c
//! ```
//!
//! The other process is this program with the argument `agent`. Your own signer can be a KMS, an
//! HSM or a vault instead.

mod agent;

use std::io;
use std::process::Stdio;

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use pushslots::chrono::{DateTime, Utc};
use pushslots::mock::MockService;
use pushslots::{
    AuthError, Client, Credentials, PushSlots, Signer, SigningAlgorithm, SigningInput, Slot,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// A signer that sends each input to the agent, and reads the signature from its output.
struct AgentSigner {
    /// Locked during a signature, so that two calls can't mix up their lines.
    pipes: Mutex<Pipes>,
}

struct Pipes {
    inputs: ChildStdin,
    signatures: Lines<BufReader<ChildStdout>>,
}

impl Signer for AgentSigner {
    fn key_id(&self) -> &str {
        agent::KEY_ID
    }

    fn algorithm(&self) -> SigningAlgorithm {
        SigningAlgorithm::Es384
    }

    async fn sign(&self, input: SigningInput<'_>) -> Result<Vec<u8>, AuthError> {
        let input = BASE64_STANDARD.encode(input.as_bytes());
        let mut pipes = self.pipes.lock().await;
        pipes.inputs.write_all(format!("{input}\n").as_bytes()).await.map_err(pipe_failed)?;
        while let Some(line) = pipes.signatures.next_line().await.map_err(pipe_failed)? {
            // The signature of an earlier call, if the client dropped that call, is skipped.
            if let Some(signature) = line.strip_prefix(&format!("{input} ")) {
                return BASE64_STANDARD.decode(signature).map_err(|error| {
                    AuthError::permanent(format!("the agent's signature isn't Base64: {error}"))
                });
            }
        }
        Err(AuthError::permanent("the signing agent has exited"))
    }
}

/// Returns an error that the client doesn't retry, because a broken pipe stays broken. If your
/// signer is on the network, use `AuthError::temporary` for failures that may pass.
fn pipe_failed(error: io::Error) -> AuthError {
    AuthError::permanent(format!("no connection to the signing agent: {error}"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("agent") {
        return agent::run();
    }
    let mut agent = Command::new(std::env::current_exe()?)
        .arg("agent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("failed to start the signing agent")?;
    let inputs = agent.stdin.take().context("the signing agent has no standard input")?;
    let output = agent.stdout.take().context("the signing agent has no standard output")?;
    let mut signatures = BufReader::new(output).lines();

    // The service gets only the public key, and verifies each signature with it.
    let public_key = signatures.next_line().await?;
    let public_key = public_key.context("the signing agent exited before it printed its key")?;
    let public_key =
        format!("-----BEGIN PUBLIC KEY-----\n{public_key}\n-----END PUBLIC KEY-----\n");
    let service =
        MockService::builder().public_key_pem("client-id", agent::KEY_ID, public_key).start()?;

    let signer = AgentSigner { pipes: Mutex::new(Pipes { inputs, signatures }) };
    let client = Client::builder()
        .base_url(service.url())
        .credentials(Credentials::signed_jwt("client-id", signer))
        .destination(service.destination())
        .build()?;
    let nine: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
    let message = PushSlots::builder().slot(Slot::new(nine, 15).id("1")).build()?;
    let receipt = client.send(&message).await?;
    let process = agent.id().context("the signing agent has exited")?;
    println!("signed by process {process}, accepted as {}", receipt.message_id());
    Ok(())
}
