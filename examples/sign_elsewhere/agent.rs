//! The other process: it makes a key, and signs.

#[path = "../../tests/support/keys.rs"]
#[allow(dead_code)]
mod keys;

use std::io::{self, BufRead};

use base64::{Engine, prelude::BASE64_STANDARD};
use pushslots::{Signer, SigningInput, SigningKey};

pub const KEY_ID: &str = "key-of-the-agent";

/// Gives the public half of its key, and then signs a line at a time until its standard input ends.
pub async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let key = keys::p384();
    println!("{}", key.public_jwk(KEY_ID));
    let key = SigningKey::from_pem(key.pem, KEY_ID)?;
    for question in io::stdin().lock().lines() {
        let question = question?;
        let signature = key.sign(SigningInput::new(&BASE64_STANDARD.decode(&question)?)).await?;
        println!("{question} {}", BASE64_STANDARD.encode(signature));
    }
    Ok(())
}
