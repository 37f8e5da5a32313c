//! The settings of a connection to PostgreSQL.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::OutboxError;

/// The environment variable with the connection string.
const VARIABLE: &str = "PUSHSLOTS_DATABASE_URL";

const POLL_INTERVALS: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(3_600);

/// The time to connect to each host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to PostgreSQL 15 or newer, for [`OutboxBuilder::postgres`] and
/// [`PgRateLimiter`](crate::PgRateLimiter).
///
/// It works through poolers such as PgBouncer, in transaction mode as well.
///
/// TLS is required for all hosts except this machine, and the server's certificate is always
/// verified. `sslmode=require` and `sslmode=verify-full` mean the same.
///
/// ```
/// use pushslots_outbox::PostgresConfig;
///
/// let config = PostgresConfig::new("postgresql://worker:secret@db.example.com/vendor")?;
/// # Ok::<(), pushslots_outbox::OutboxError>(())
/// ```
///
/// [`OutboxBuilder::postgres`]: crate::OutboxBuilder::postgres
#[derive(Clone)]
pub struct PostgresConfig {
    config: Config,
    listen: Option<Config>,
    plaintext_hosts: Vec<String>,
    root_certificates: Vec<Vec<u8>>,
    poll_interval: Duration,
}

impl PostgresConfig {
    /// Reads a connection string: a URL such as `postgresql://user:password@host:5432/database`, or
    /// pairs such as `host=db user=worker`. Several hosts can be listed, and the first one that
    /// accepts writes is used.
    ///
    /// # Errors
    ///
    /// Returns [`OutboxError::Configuration`] if the string is invalid. The error never shows it.
    pub fn new(connection: impl AsRef<str>) -> Result<Self, OutboxError> {
        Ok(Self {
            config: parse("connection string", connection.as_ref())?,
            listen: None,
            plaintext_hosts: Vec::new(),
            root_certificates: Vec::new(),
            poll_interval: Duration::from_millis(500),
        })
    }

    /// Reads the connection string from the environment variable `PUSHSLOTS_DATABASE_URL`.
    ///
    /// # Errors
    ///
    /// Returns [`OutboxError::Configuration`] if the variable is missing or invalid.
    pub fn from_env() -> Result<Self, OutboxError> {
        let connection = std::env::var(VARIABLE).map_err(|_| {
            let text = format!("the environment variable {VARIABLE} is missing or isn't UTF-8");
            OutboxError::Configuration(text)
        })?;
        Ok(Self { config: parse(VARIABLE, &connection)?, ..Self::new("host=localhost")? })
    }

    /// Allows a connection to `host` without TLS. The bodies of messages are then readable on the
    /// network, unless they are encrypted with [`BodyKeys`](crate::BodyKeys).
    ///
    /// The connection string must have `sslmode=disable` as well.
    #[must_use]
    pub fn allow_plaintext(mut self, host: impl Into<String>) -> Self {
        self.plaintext_hosts.push(host.into());
        self
    }

    /// Trusts a root certificate in addition to the system's: PEM, one or more.
    #[must_use]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Sets the maximum time without a look at the database while there is nothing to send, from
    /// 10 ms to an hour. Defaults to 500 ms. It varies by a quarter in each direction.
    ///
    /// An entry that another process enqueued is found after this time. Entries of the same process
    /// are found at once.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Sets a connection on which workers run `LISTEN pushslots`, so that they look at the database
    /// at once after a `NOTIFY pushslots`. There is none by default, and workers poll.
    ///
    /// It must not go through a pooler in transaction mode. Run `NOTIFY pushslots` after the
    /// transaction that enqueues rather than in it: PostgreSQL commits transactions with
    /// notifications one after the other, for the whole server.
    ///
    /// # Errors
    ///
    /// Returns [`OutboxError::Configuration`] if the string is invalid. The error never shows it.
    pub fn listen(mut self, connection: impl AsRef<str>) -> Result<Self, OutboxError> {
        self.listen = Some(parse("connection string for LISTEN", connection.as_ref())?);
        Ok(self)
    }

    /// Checks the settings, and prepares TLS.
    pub(crate) fn prepare(&self) -> Result<Prepared, OutboxError> {
        if !POLL_INTERVALS.contains(&self.poll_interval) {
            let text = "the poll interval must be at least 10 ms and at most an hour";
            return Err(OutboxError::Configuration(text.to_owned()));
        }
        let config = self.secured(&self.config)?;
        let listen = self.listen.as_ref().map(|listen| self.secured(listen)).transpose()?;
        let needs_tls = [Some(&config), listen.as_ref()]
            .into_iter()
            .flatten()
            .any(|config| config.get_ssl_mode() != SslMode::Disable);
        let tls = MakeRustlsConnect::new(self.tls(needs_tls)?);
        Ok(Prepared { config, listen, tls, poll_interval: self.poll_interval })
    }

    /// Returns the settings with TLS required, or turned off where that is allowed.
    fn secured(&self, config: &Config) -> Result<Config, OutboxError> {
        let mut config = config.clone();
        let is_allowed = |host: &Host| match host {
            Host::Tcp(name) => is_local(name) || self.plaintext_hosts.contains(name),
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        let addresses = config.get_hostaddrs().iter();
        let is_allowed_only = config.get_hosts().iter().all(is_allowed)
            && addresses.clone().all(|address| {
                address.is_loopback() || self.plaintext_hosts.contains(&address.to_string())
            });
        let is_here = |host: &Host| match host {
            Host::Tcp(name) => is_local(name),
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        let is_this_machine = config.get_hosts().iter().all(is_here)
            && addresses.clone().all(|address| address.is_loopback());
        match config.get_ssl_mode() {
            SslMode::Disable if !is_allowed_only => {
                let text = "sslmode=disable sends messages in plain text; remove it, or allow the \
                            host by name with PostgresConfig::allow_plaintext";
                return Err(OutboxError::Configuration(text.to_owned()));
            }
            SslMode::Prefer if is_this_machine => config.ssl_mode(SslMode::Disable),
            SslMode::Prefer => config.ssl_mode(SslMode::Require),
            _ => &mut config,
        };
        if config.get_application_name().is_none() {
            config.application_name("pushslots");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(config)
    }

    fn tls(&self, is_used: bool) -> Result<ClientConfig, OutboxError> {
        let invalid = |why: &dyn fmt::Display| {
            OutboxError::Configuration(format!("TLS to the database can't be set up: {why}"))
        };
        let mut roots = Vec::new();
        for pem in &self.root_certificates {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let certificates = certificates.map_err(|error| {
                invalid(&format_args!("the root certificate is invalid: {error}"))
            })?;
            if certificates.is_empty() {
                return Err(invalid(&"the root certificate has no PEM section"));
            }
            roots.extend(certificates);
        }
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(&error))?;
        if !is_used {
            let none = builder.with_root_certificates(RootCertStore::empty());
            return Ok(none.with_no_client_auth());
        }
        let verifier = match roots.is_empty() {
            true => Verifier::new(provider),
            false => extended(roots, provider),
        };
        let verifier = verifier.map_err(|error| invalid(&error))?;
        let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        Ok(config.with_no_client_auth())
    }
}

/// Creates a verifier that trusts the system's root certificates and `roots`.
fn extended(
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, rustls::Error> {
    #[cfg(any(all(unix, not(target_os = "android")), windows))]
    return Verifier::new_with_extra_roots(roots, provider);
    #[cfg(not(any(all(unix, not(target_os = "android")), windows)))]
    Err(rustls::Error::General(
        "additional root certificates aren't supported on this system".to_owned(),
    ))
}

/// Returns whether a host is this machine.
fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parse(what: &str, connection: &str) -> Result<Config, OutboxError> {
    // Verification is always full.
    let connection = connection
        .replace("sslmode=verify-full", "sslmode=require")
        .replace("sslmode=verify-ca", "sslmode=require");
    let config: Config = connection.parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let why = cause.unwrap_or_else(|| error.to_string());
        OutboxError::Configuration(format!("the {what} is invalid: {why}"))
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        let text = format!("the {what} has no host");
        return Err(OutboxError::Configuration(text));
    }
    Ok(config)
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}

/// Checked settings.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(super) config: Config,
    pub(super) listen: Option<Config>,
    pub(super) tls: MakeRustlsConnect,
    pub(super) poll_interval: Duration,
}

impl Prepared {
    /// Returns the name of the server and of the database, for errors.
    pub(super) fn target(config: &Config) -> String {
        let hosts: Vec<_> = config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        let ports: Vec<_> = config.get_ports().iter().map(u16::to_string).collect();
        let port = if ports.is_empty() { "5432".to_owned() } else { ports.join(",") };
        let user = config.get_user().unwrap_or("the system's user");
        let database = config.get_dbname().unwrap_or(user);
        format!("the database {database} at {} port {port} as {user}", hosts.join(","))
    }
}
