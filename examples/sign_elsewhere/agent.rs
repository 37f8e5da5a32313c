//! The other process: it makes a key, and signs.

use std::io::{self, BufRead};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_STANDARD};

pub const KEY_ID: &str = "key-of-the-agent";

/// Prints the public half of its key, and then a signature for each line, until its standard input
/// ends.
pub fn run() -> anyhow::Result<()> {
    let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?;
    let public_key: PublicKeyX509Der = key.public_key().as_der()?;
    println!("{}", BASE64_STANDARD.encode(public_key.as_ref()));
    for question in io::stdin().lock().lines() {
        let question = question?;
        let signature = key.sign(&SystemRandom::new(), &BASE64_STANDARD.decode(&question)?)?;
        println!("{question} {}", BASE64_STANDARD.encode(signature));
    }
    Ok(())
}
