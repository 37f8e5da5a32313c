//! Sends a message with a private key that this process never sees: another one holds it, and signs
//! what it is asked.
//!
//! `cargo run --example sign_elsewhere`. The other process is this program again, with the argument
//! `agent`; in its place there could be a KMS, an HSM, or an agent of your own.

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

/// The process with the key: for a line with what to sign it gives one with that and the signature.
struct Agent(Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>);

impl Signer for Agent {
    fn key_id(&self) -> &str {
        agent::KEY_ID
    }

    fn algorithm(&self) -> SigningAlgorithm {
        SigningAlgorithm::Es384
    }

    async fn sign(&self, input: SigningInput<'_>) -> Result<Vec<u8>, AuthError> {
        // What goes wrong on a pipe does so for good. Of a service on the network much is
        // `temporary`.
        let failed = |error: io::Error| AuthError::permanent(format!("the agent: {error}"));
        let question = BASE64_STANDARD.encode(input.as_bytes());
        let (questions, answers) = &mut *self.0.lock().await;
        questions.write_all(format!("{question}\n").as_bytes()).await.map_err(failed)?;
        // The response to a question that was given up may come first.
        while let Some(line) = answers.next_line().await.map_err(failed)? {
            if let Some((_, signature)) =
                line.split_once(' ').filter(|(asked, _)| *asked == question)
            {
                return BASE64_STANDARD
                    .decode(signature)
                    .map_err(|error| failed(io::Error::other(error)));
            }
        }
        Err(AuthError::permanent("the agent is gone"))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("agent") {
        return agent::run();
    }
    let mut agent = Command::new(std::env::current_exe()?);
    let mut agent = agent
        .arg("agent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pipes = agent.stdin.take().zip(agent.stdout.take()).context("the agent has no pipes")?;
    let mut answers = BufReader::new(pipes.1).lines();
    // The service knows the public half alone, and verifies each signature with it.
    let public_key = answers.next_line().await?.context("the agent has no key")?;
    let public_key =
        format!("-----BEGIN PUBLIC KEY-----\n{public_key}\n-----END PUBLIC KEY-----\n");
    let service =
        MockService::builder().public_key_pem("client-id", agent::KEY_ID, public_key).start()?;
    let signer = Agent(Mutex::new((pipes.0, answers)));

    let client = Client::builder()
        .base_url(service.url())
        .credentials(Credentials::signed_jwt("client-id", signer))
        .destination(service.destination())
        .build()?;
    let slot = Slot::new("2026-12-01T09:00:00Z".parse::<DateTime<Utc>>()?, 15).id("1");
    let receipt = client.send(&PushSlots::builder().slot(slot).build()?).await?;
    println!(
        "signed by process {}, accepted as {}",
        agent.id().unwrap_or_default(),
        receipt.message_id()
    );
    Ok(())
}
