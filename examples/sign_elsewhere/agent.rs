//! The process that holds the private key and signs with it.

use std::io::{self, BufRead};

use anyhow::Context;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_STANDARD};

pub const KEY_ID: &str = "key-of-the-agent";

/// Generates a key and prints its public half. Then signs each line of standard input, and prints
/// the line with its signature. Everything is in Base64.
pub fn run() -> anyhow::Result<()> {
    let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?;
    let public_key: PublicKeyX509Der = key.public_key().as_der()?;
    println!("{}", BASE64_STANDARD.encode(public_key.as_ref()));
    for line in io::stdin().lock().lines() {
        let line = line?;
        let input = BASE64_STANDARD.decode(&line).context("the input isn't Base64")?;
        let signature = key.sign(&SystemRandom::new(), &input)?;
        println!("{line} {}", BASE64_STANDARD.encode(signature));
    }
    Ok(())
}
