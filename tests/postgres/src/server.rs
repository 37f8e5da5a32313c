//! A PostgreSQL server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::account::Account;
use crate::directory::Directory;
use crate::network::{percent_encoded, random_hex};
use crate::programs::{command, found_or_skip, postgres_directory};
use crate::psql;
use crate::supervisor::Supervisor;

/// SIGTERM also ends a process that doesn't handle signals yet. SIGINT disconnects all clients.
const FAST_SHUTDOWN: &str = "TERM INT";
/// Ends the server without a checkpoint, so that it has to recover.
const IMMEDIATE_SHUTDOWN: &str = "QUIT";

/// A PostgreSQL server with its own data directory.
///
/// Its superuser is `postgres`. A drop stops the server and removes its directory.
pub struct PostgresServer {
    supervisor: Mutex<Supervisor>,
    programs: PathBuf,
    directory: PathBuf,
    port: u16,
    password: String,
    databases: AtomicU32,
}

impl PostgresServer {
    /// Starts a server, or returns `None` if PostgreSQL isn't installed.
    pub fn start() -> Option<PostgresServer> {
        PostgresServer::start_with(&[])
    }

    /// Starts a server with settings for `postgresql.conf`, which override those of this package.
    pub fn start_with(settings: &[(&str, &str)]) -> Option<PostgresServer> {
        PostgresServer::launch(None, settings)
    }

    /// Starts a server that accepts TLS, with a certificate and its private key.
    pub fn start_with_tls(
        certificate_pem: &str,
        key_pem: &str,
        settings: &[(&str, &str)],
    ) -> Option<PostgresServer> {
        PostgresServer::launch(Some((certificate_pem, key_pem)), settings)
    }

    fn launch(tls: Option<(&str, &str)>, settings: &[(&str, &str)]) -> Option<PostgresServer> {
        let programs = found_or_skip(postgres_directory())?;
        let account = found_or_skip(Account::find())?;
        let directory = Directory::create(&account);
        let data = directory.path.join("data");
        let configuration = directory.path.join("server.conf");

        let mut postgres = account.command_line(&programs.join("postgres"));
        postgres.extend(["-D".into(), data.clone().into()]);
        postgres.extend(["-c".into(), format!("config_file={}", configuration.display()).into()]);
        let mut supervisor = Supervisor::new(&directory.path, FAST_SHUTDOWN, postgres);

        let password = random_hex(16);
        initialize(&account, &programs, &directory, &password);

        let socket_directory = directory.path.display().to_string();
        let mut all_settings = vec![
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", socket_directory.as_str()),
            ("shared_buffers", "128MB"),
            ("max_connections", "400"),
            ("log_min_messages", "warning"),
            ("timezone", "UTC"),
        ];
        let files = tls.map(|(certificate, key)| {
            [directory.write("server.crt", certificate), directory.write("server.key", key)]
                .map(|path| path.display().to_string())
        });
        if let Some([certificate, key]) = &files {
            all_settings.extend([("ssl", "on"), ("ssl_cert_file", certificate)]);
            all_settings.push(("ssl_key_file", key));
        }
        all_settings.extend(settings);

        let configure = |port: u16| {
            let port = port.to_string();
            let mut text = String::from("include 'data/postgresql.conf'\n");
            for (name, value) in all_settings.iter().chain(&[("port", port.as_str())]) {
                text += &format!("{name} = '{}'\n", value.replace('\\', r"\\").replace('\'', "''"));
            }
            directory.write("server.conf", &text);
        };
        let port = supervisor.start_on_free_port(configure, |pid| is_ready(&data, pid));
        Some(PostgresServer {
            supervisor: Mutex::new(supervisor),
            programs,
            directory: directory.path,
            port,
            password,
            databases: AtomicU32::new(0),
        })
    }

    /// Returns the URL of a database over TCP, with the password.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgresql://postgres:{}@{}/{}",
            self.password,
            self.address(),
            percent_encoded(database)
        )
    }

    /// Returns the URL of a database over the Unix socket, which needs no password.
    pub fn socket_url(&self, database: &str) -> String {
        format!(
            "postgresql:///{}?host={}&port={}&user=postgres",
            percent_encoded(database),
            percent_encoded(&self.directory.display().to_string()),
            self.port
        )
    }

    /// Returns the TCP port. It stays the same when the server is started again.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the TCP address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Creates an empty database and returns its name, which is unique on this server.
    pub fn create_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("test_{number}");
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs SQL through `psql` as the superuser.
    ///
    /// Returns the rows, one a line, with `|` between their columns. Each statement is a
    /// transaction of its own unless the SQL contains `BEGIN`.
    ///
    /// # Panics
    /// Panics with the server's message if a statement fails.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        psql::run(&self.programs, &self.socket_url(database), sql)
    }

    /// Returns the server's log, which contains warnings and errors.
    pub fn log(&self) -> String {
        self.lock().log()
    }

    /// Stops the server cleanly: disconnects its clients and writes a checkpoint.
    pub fn stop(&self) {
        self.lock().stop_cleanly();
    }

    /// Stops the server as a crash would: without a checkpoint, so that the next start recovers.
    pub fn crash(&self) {
        self.lock().stop(IMMEDIATE_SHUTDOWN);
    }

    /// Starts a stopped server again, on the same port and with the same data.
    ///
    /// Returns when the server accepts connections.
    pub fn start_again(&self) {
        let data = self.directory.join("data");
        self.lock().start_again(|pid| is_ready(&data, pid));
    }

    /// Stops the server as a crash would, waits, and starts it again.
    pub fn restart_immediately(&self, down_for: Duration) {
        self.crash();
        thread::sleep(down_for);
        self.start_again();
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    fn lock(&self) -> MutexGuard<'_, Supervisor> {
        self.supervisor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn pid(&self) -> u32 {
        self.lock().pid.expect("the server is running")
    }

    #[cfg(test)]
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Creates the data directory.
fn initialize(account: &Account, programs: &Path, directory: &Directory, password: &str) {
    let password_file = directory.write("password", password);
    let words = account.command_line(&programs.join("initdb"));
    let output = command(&words[0])
        .args(&words[1..])
        .arg("-D")
        .arg(directory.path.join("data"))
        .args(["--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C"])
        .args(["--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile"])
        .arg(&password_file)
        .current_dir("/")
        .output()
        .expect("initdb can be started");
    if !output.status.success() {
        panic!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let _ = std::fs::remove_file(password_file);
}

/// Reads from the server's own lock file whether it accepts connections.
fn is_ready(data: &Path, pid: u32) -> bool {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}
