//! A PgBouncer in front of a PostgreSQL server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::account::Account;
use crate::directory::Directory;
use crate::network::percent_encoded;
use crate::programs::{found_or_skip, pgbouncer};
use crate::psql;
use crate::server::PostgresServer;
use crate::supervisor::Supervisor;

/// SIGKILL, because the other signals differ between versions. PgBouncer keeps no data.
const STOP: &str = "KILL";

/// A PgBouncer in transaction mode that forwards every database of a server.
///
/// It accepts only the startup parameters that PgBouncer accepts by default. A drop stops it.
pub struct PgBouncer {
    supervisor: Supervisor,
    programs: PathBuf,
    port: u16,
    password: String,
}

impl PgBouncer {
    /// Starts a PgBouncer, or returns `None` if it isn't installed.
    pub fn start(server: &PostgresServer) -> Option<PgBouncer> {
        PgBouncer::start_with(server, &[])
    }

    /// Starts a PgBouncer with settings for `pgbouncer.ini`, which override those of this package.
    pub fn start_with(server: &PostgresServer, settings: &[(&str, &str)]) -> Option<PgBouncer> {
        let program = found_or_skip(pgbouncer())?;
        let account = found_or_skip(Account::find())?;
        let directory = Directory::create(&account);
        let mut command_line = account.command_line(&program);
        command_line.push(directory.path.join("pgbouncer.ini").into());
        let mut supervisor = Supervisor::new(&directory.path, STOP, command_line);

        let users = format!("\"postgres\" \"{}\"\n", server.password());
        let users = directory.write("users.txt", &users).display().to_string();
        let mut all_settings = vec![
            ("listen_addr", "127.0.0.1"),
            ("unix_socket_dir", ""),
            ("auth_type", "scram-sha-256"),
            ("auth_file", users.as_str()),
            ("admin_users", "postgres"),
            ("pool_mode", "transaction"),
            ("default_pool_size", "20"),
            ("max_client_conn", "1000"),
        ];
        all_settings.extend(settings);

        let configure = |port: u16| {
            let target = server.port();
            let mut text =
                format!("[databases]\n* = host=127.0.0.1 port={target}\n\n[pgbouncer]\n");
            for (name, value) in all_settings.iter().chain(&[("listen_port", &*port.to_string())]) {
                text += &format!("{name} = {value}\n");
            }
            directory.write("pgbouncer.ini", &text);
        };
        let log = directory.path.join("log");
        let is_ready = |pid: u32| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            log.lines()
                .any(|line| line.contains(&format!("[{pid}]")) && line.contains("process up"))
        };
        let port = supervisor.start_on_free_port(configure, is_ready);
        let programs = server.programs().to_owned();
        Some(PgBouncer { supervisor, programs, port, password: server.password().to_owned() })
    }

    /// Returns the URL of a database of the server, through this PgBouncer.
    pub fn url(&self, database: &str) -> String {
        let (password, address) = (&self.password, self.address());
        format!("postgresql://postgres:{password}@{address}/{}", percent_encoded(database))
    }

    /// Returns the TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the TCP address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Runs SQL through `psql` and this PgBouncer.
    ///
    /// The database `pgbouncer` is its console, with commands such as `SHOW POOLS`.
    ///
    /// # Panics
    /// Panics with the server's message if a statement fails.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        psql::run(&self.programs, &self.url(database), sql)
    }

    /// Returns PgBouncer's log.
    pub fn log(&self) -> String {
        self.supervisor.log()
    }
}
