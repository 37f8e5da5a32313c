//! A process that used and dropped private keys and secrets has no copy of them in its memory.
//!
//! Each test writes fresh secrets to files and starts this binary again. The new process knows each
//! secret only in masked form. It lets the crate load the secret, and searches its own writable
//! memory.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use pushslots::bytes::Bytes;
use pushslots::http::{HeaderMap, Request, StatusCode};
use pushslots::uuid::Uuid;
use pushslots::{
    Client, ClientBuilder, Credentials, Response, Signer, SigningInput, SigningKey, Transport,
    TransportContext, TransportError,
};
use secrecy::zeroize::Zeroizing;
use serde_json::json;
use support::examples::Folder;
use support::keys::{self, TestKey};
use support::tls::Authority;
use support::{DESTINATION, message};

/// The environment variable with the folder of the secrets, for the process that loads them.
const FOLDER: &str = "WIPING_FOLDER";
const API_SECRET: &str = "PUSHSLOTS_API_SECRET";
const MASK: u8 = 0x5a;
const CHUNK: usize = 1 << 20;
/// The maximum length of a part that is searched for, in bytes.
const LONGEST: usize = 36;
/// The files with parts of a secret.
const PARTS: [&str; 4] = ["part 1", "part 2", "part 3", "part 4"];
/// The files with parts of a key: in PEM, in a JWK, and decoded.
const KEY_PARTS: [&str; 12] = [
    "PEM 1", "JWK 1", "bytes 1", "PEM 2", "JWK 2", "bytes 2", "PEM 3", "JWK 3", "bytes 3", "PEM 4",
    "JWK 4", "bytes 4",
];

/// Runs an ignored test of this file in a separate process.
fn run(test: &str, folder: &Folder, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = format!("wiping::{test}");
    command.args(["--ignored", "--exact", &test, "--nocapture", "--test-threads", "1"]);
    let variables = variables.iter().copied();
    let output = command.env(FOLDER, folder.path()).envs(variables).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
}

/// Returns the path of a file in the folder of the secrets.
fn file(name: &str) -> PathBuf {
    Path::new(&std::env::var_os(FOLDER).unwrap()).join(name)
}

/// Reads a file one byte at a time, so that no buffer keeps it.
fn bytes(name: &str) -> impl Iterator<Item = u8> {
    let mut file = File::open(file(name)).unwrap();
    let mut byte = [0];
    std::iter::from_fn(move || (file.read(&mut byte).unwrap() == 1).then_some(byte[0]))
}

/// Reads a file into memory that doesn't grow.
fn read(name: &str) -> Zeroizing<Vec<u8>> {
    let mut content = Zeroizing::new(vec![0; file(name).metadata().unwrap().len() as usize]);
    content.iter_mut().zip(bytes(name)).for_each(|(target, byte)| *target = byte);
    content
}

fn read_text(name: &str) -> Zeroizing<String> {
    Zeroizing::new(String::from_utf8(std::mem::take(&mut *read(name))).unwrap())
}

/// A search for secrets. This process holds them only in masked form.
///
/// All memory is allocated at the start. Otherwise the search would overwrite memory that the crate
/// freed.
struct Search {
    secrets: Vec<Secret>,
    /// Whether a masked secret begins with this byte.
    first: [bool; 256],
    maps: Vec<u8>,
    chunk: Vec<u8>,
}

struct Secret {
    name: &'static str,
    masked: Vec<u8>,
    copies: usize,
}

impl Search {
    /// Reads the secrets of these files, and masks them.
    fn new(names: &[&'static str]) -> Self {
        let masked = |name| bytes(name).map(|byte| byte ^ MASK).collect();
        let secret = |&name| Secret { name, masked: masked(name), copies: 0 };
        let secrets: Vec<_> = names.iter().map(secret).collect();
        let mut first = [false; 256];
        secrets.iter().for_each(|secret| first[usize::from(secret.masked[0])] = true);
        Self { secrets, first, maps: vec![0; 1 << 18], chunk: vec![0; CHUNK] }
    }

    /// Counts the copies of each secret in the writable memory of this process.
    fn run(&mut self) {
        self.secrets.iter_mut().for_each(|secret| secret.copies = 0);
        let mut maps = File::open("/proc/self/maps").unwrap();
        let mut length = 0;
        loop {
            match maps.read(&mut self.maps[length..]).unwrap() {
                0 => break,
                count => length += count,
            }
        }
        assert!(length < self.maps.len(), "all mappings are listed");
        let mut memory = File::open("/proc/self/mem").unwrap();
        // Skips the chunk itself, because it holds copies while it is read.
        let own = self.chunk.as_ptr_range();
        let from = own.start as u64;
        let to = own.end as u64;
        let writable =
            std::str::from_utf8(&self.maps[..length]).unwrap().lines().filter_map(writable);
        for (mut start, end) in
            writable.flat_map(|(start, end)| [(start, end.min(from)), (start.max(to), end)])
        {
            while start < end {
                let length = usize::try_from(end - start).unwrap().min(CHUNK);
                let part = &mut self.chunk[..length];
                memory.seek(SeekFrom::Start(start)).unwrap();
                // Some mappings can't be read.
                if memory.read_exact(part).is_err() {
                    break;
                }
                // Masks the chunk, so that it leaves no copies when it is freed.
                part.iter_mut().for_each(|byte| *byte ^= MASK);
                // A secret may continue in the next chunk, which therefore overlaps with this one.
                let overlap = if length == CHUNK { LONGEST - 1 } else { 0 };
                for (at, _) in part[..length - overlap]
                    .iter()
                    .enumerate()
                    .filter(|(_, byte)| self.first[usize::from(**byte)])
                {
                    let rest = &part[at..];
                    self.secrets
                        .iter_mut()
                        .filter(|secret| rest.starts_with(&secret.masked))
                        .for_each(|secret| secret.copies += 1);
                }
                start += (length - overlap) as u64;
            }
        }
    }

    #[track_caller]
    fn assert_copies(&mut self, expected: usize, when: &str) {
        self.run();
        for secret in &self.secrets {
            assert_eq!(secret.copies, expected, "copies of {} {when}", secret.name);
        }
    }

    /// Asserts that the search finds copies that aren't wiped.
    #[track_caller]
    fn assert_finds_copies(&mut self, before: usize) {
        let copies: Vec<Vec<_>> = self
            .secrets
            .iter()
            .map(|secret| secret.masked.iter().map(|byte| byte ^ MASK).collect())
            .collect();
        self.run();
        for secret in &self.secrets {
            // Parts of a PEM and of a JWK may be the same text.
            assert!(secret.copies > before, "the search misses a copy of {}", secret.name);
        }
        drop(black_box(copies));
    }
}

/// Returns the addresses of a mapping if it is writable.
fn writable(mapping: &str) -> Option<(u64, u64)> {
    let (range, rest) = mapping.split_once(' ').unwrap();
    let (start, end) = range.split_once('-').unwrap();
    let address = |text| u64::from_str_radix(text, 16).unwrap();
    rest.starts_with("rw").then(|| (address(start), address(end)))
}

/// A transport that responds to every request with a token and an acceptance in one. It records the
/// length of the longest token request.
#[derive(Clone, Default)]
struct Service(Arc<AtomicUsize>);

impl Transport for Service {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: TransportContext,
    ) -> Result<Response, TransportError> {
        if request.uri().path() != "/endpoint" {
            self.0.fetch_max(request.body().len(), Ordering::Relaxed);
        }
        let body = r#"{"accessToken":"fresh","access_token":"fresh","Meta":{"Logs":[{"ID":"1"}]}}"#;
        Ok(Response::new(StatusCode::OK, HeaderMap::new(), Ok(body.into())))
    }
}

/// Sends a message. Returns the length of the longest token request.
async fn send(builder: ClientBuilder) -> usize {
    let service = Service::default();
    let client = builder.transport(service.clone()).destination(DESTINATION).build().unwrap();
    client.send(&message()).await.unwrap();
    service.0.load(Ordering::Relaxed)
}

/// Writes a key in PEM and as a JWK, and the parts of it that must not remain in memory.
///
/// The allocator overwrites the start of freed memory and reuses some of it. Therefore the parts
/// come from several places within the private half.
fn write_key(folder: &Folder, key: &TestKey) {
    let pem = &key.pem;
    let jwk = key.jwk("key-7").to_string();
    folder.file("key.pem", pem);
    folder.file(
        "indented.pem",
        pem.lines().map(|line| format!("    {line}\r\n")).collect::<String>(),
    );
    folder.file("cut.pem", &pem[..pem.len() - 40]);
    folder.file("damaged.pem", pem.replace("\n-----END", "?\n-----END"));
    folder.file("key.json", &jwk);
    folder.file("escaped.json", jwk.replace("\"d\":\"", "\"d\":\"\\u002d"));
    folder.file("text.json", json!(jwk).to_string());

    let lines: Vec<_> = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let text = key.jwk["d"].as_str().unwrap();
    let d = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let der = BASE64_STANDARD.decode(lines.concat()).unwrap();
    let in_der = der.windows(d.len()).position(|window| window == d).expect("the PEM contains d");
    for (index, names) in KEY_PARTS.chunks(3).enumerate() {
        let offset = |length: usize, part: usize| 16 + (length - 16 - part) * index / 3;
        // A line holds 48 bytes.
        let line = lines[(in_der + d.len() * index / 4) / 48];
        folder.file(names[0], &line[8..32]);
        let at = offset(text.len(), 24);
        folder.file(names[1], &text[at..at + 24]);
        let at = offset(d.len(), 16);
        folder.file(names[2], &d[at..at + 16]);
    }
}

#[test]
fn an_rsa_key_is_wiped() {
    let folder = Folder::create();
    write_key(&folder, &keys::rsa());
    run("loads_a_key", &folder, &[]);
}

#[test]
fn an_rsa_key_in_pkcs1_is_wiped() {
    let folder = Folder::create();
    write_key(&folder, &keys::rsa_pkcs1());
    run("loads_a_key", &folder, &[]);
}

#[test]
fn a_p384_key_is_wiped() {
    let folder = Folder::create();
    write_key(&folder, &keys::p384());
    run("loads_a_key", &folder, &[]);
}

/// Writes a secret of 8 KiB, so that not all of its memory is reused. The parts to search for are
/// in its second half.
fn write_api_secret(folder: &Folder) -> String {
    let text = || (0..113).map(|_| Uuid::new_v4().to_string()).collect::<String>();
    let secret = format!("{}\"{}", text(), text());
    folder.file("secret", &secret);
    for (name, at) in PARTS.into_iter().zip([5_000, 6_000, 7_000, 8_000]) {
        folder.file(name, &secret[at..at + LONGEST]);
    }
    secret
}

#[test]
fn an_api_secret_is_wiped() {
    let folder = Folder::create();
    write_api_secret(&folder);
    run("sends_an_api_secret", &folder, &[]);
}

#[test]
fn an_api_secret_of_the_environment_is_wiped() {
    let folder = Folder::create();
    let secret = write_api_secret(&folder);
    run(
        "sends_an_api_secret_of_the_environment",
        &folder,
        &[(API_SECRET, &secret), ("PUSHSLOTS_API_KEY", "key")],
    );
}

#[test]
fn a_client_certificate_is_wiped() {
    let folder = Folder::create();
    let (certificate, key) = Authority::generate().vouch("vendor");
    let pem = key.serialize_pem();
    for (index, name) in PARTS.into_iter().enumerate() {
        let part = &pem.lines().nth(1 + index / 2).unwrap()[index % 2 * 24..];
        folder.file(name, &part[..24]);
    }
    folder.file("client.pem", format!("{}{pem}", certificate.pem()));
    run("holds_a_client_certificate", &folder, &[]);
}

#[tokio::test]
#[ignore = "another test runs it in a separate process"]
async fn loads_a_key() {
    let mut search = Search::new(&KEY_PARTS);
    let load = |index: usize| match index {
        0 => SigningKey::from_pem_file(file("key.pem"), "key-7"),
        1 => SigningKey::from_pem(&*read("key.pem"), "key-7"),
        2 => SigningKey::from_pem_file(file("indented.pem"), "key-7"),
        3 => SigningKey::from_jwk_file(file("key.json")),
        _ => SigningKey::from_jwk(&*read_text("key.json")),
    };
    for index in 0..5 {
        let key = load(index).unwrap();
        search.assert_copies(0, "while the key is in use");
        let clone = key.clone();
        key.sign(SigningInput::new(b"text")).await.unwrap();
        send(Client::builder().credentials(Credentials::signed_jwt("client", key))).await;
        drop(clone);
        search.assert_copies(0, "after the key was dropped");
    }
    SigningKey::from_jwk_file(file("escaped.json")).unwrap_err();
    search.assert_copies(0, "after a JWK that is invalid");
    SigningKey::from_jwk_file(file("text.json")).unwrap_err();
    search.assert_copies(0, "after JSON that isn't an object");
    SigningKey::from_pem_file(file("cut.pem"), "key-7").unwrap_err();
    search.assert_copies(0, "after PEM that is cut");
    SigningKey::from_pem_file(file("damaged.pem"), "key-7").unwrap_err();
    search.assert_copies(0, "after PEM that is damaged");
    search.assert_finds_copies(0);
}

#[tokio::test]
#[ignore = "another test runs it in a separate process"]
async fn sends_an_api_secret() {
    let mut search = Search::new(&PARTS);
    for spare in [0, 10_000] {
        let length = read("secret").len();
        let mut secret = String::with_capacity(length + spare);
        bytes("secret").for_each(|byte| secret.push(byte.into()));
        let credentials = Credentials::api_key("key", secret);
        search.assert_copies(1, "in credentials");
        let clone = credentials.clone();
        assert!(send(Client::builder().credentials(credentials)).await > length);
        search.assert_copies(1, "in the clone");
        drop(clone);
        search.assert_copies(0, "after the credentials were dropped");
    }
    search.assert_finds_copies(0);
}

#[tokio::test]
#[ignore = "another test runs it in a separate process"]
async fn sends_an_api_secret_of_the_environment() {
    let mut search = Search::new(&PARTS);
    search.assert_copies(1, "in the environment");
    let builder = ClientBuilder::from_env();
    search.assert_copies(2, "in the environment and the builder");
    assert!(send(builder).await > read("secret").len());
    search.assert_copies(1, "in the environment, after the client was dropped");
    search.assert_finds_copies(1);
}

#[test]
#[ignore = "another test runs it in a separate process"]
fn holds_a_client_certificate() {
    let mut search = Search::new(&PARTS);
    let builder = Client::builder().client_certificate(std::mem::take(&mut *read("client.pem")));
    search.assert_copies(1, "in the builder");
    let other = builder.clone().client_certificate("PEM");
    search.assert_copies(1, "in the builder, after its clone got another");
    drop((builder, other));
    search.assert_copies(0, "after the builder was dropped");
    search.assert_finds_copies(0);
}
