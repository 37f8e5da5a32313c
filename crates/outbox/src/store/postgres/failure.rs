//! Errors of the database, in words for the person who runs it. They never contain a password, a
//! parameter or a detail, which can repeat stored data.

use std::error::Error as _;
use std::fmt;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::error::StoreError;

const READ_ONLY: &str =
    "the server is a read-only standby; list the primary in the connection string";

/// The reason why an operation on the database failed.
#[derive(Debug)]
pub(super) enum Failure {
    Database(Error),
    /// The database didn't respond in time.
    Timeout,
    Other(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Other(error.0)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        // Its text can repeat the value.
        let (line, column) = (error.line(), error.column());
        Self::Other(format!("a row of the database can't be read, at {line}:{column} of its JSON"))
    }
}

impl Failure {
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Database(error) => error.code(),
            _ => None,
        }
    }

    /// Returns whether another request could succeed on the same connection.
    pub(super) fn is_of_request(&self) -> bool {
        // Classes of SQLSTATE for connections, transactions, resources, shutdown and the system.
        let of_server = ["08", "25", "53", "57P", "58", "XX"];
        match self {
            Self::Database(_) => self
                .code()
                .is_some_and(|code| !of_server.iter().any(|class| code.code().starts_with(class))),
            Self::Timeout => false,
            Self::Other(_) => true,
        }
    }

    /// Returns whether there is no partition for the current day.
    pub(super) fn is_missing_partition(&self) -> bool {
        self.code() == Some(&SqlState::CHECK_VIOLATION)
            && matches!(self, Self::Database(error) if error
                .as_db_error()
                .is_some_and(|error| error.constraint().is_none()))
    }

    /// Returns the texts of the error and of its causes.
    fn chain(&self) -> String {
        let Self::Database(error) = self else { return String::new() };
        let causes = std::iter::successors(error.source(), |cause| {
            let cause: &dyn std::error::Error = *cause;
            cause.source()
        });
        causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// Returns what to do about the failure, if that is known.
    fn advice(&self) -> Option<&'static str> {
        if let Self::Timeout = self {
            return Some("check the load of the database and for locks in pg_stat_activity");
        }
        let Self::Database(error) = self else { return None };
        let Some(code) = error.code() else {
            let chain = self.chain();
            if chain.contains("does not allow writes") {
                return Some(READ_ONLY);
            }
            return chain.contains("TLS").then_some(
                "TLS is required for this host: turn it on in the server, or allow the host by name \
                 with PostgresConfig::allow_plaintext; a certificate of your own authority goes into \
                 PostgresConfig::root_certificate",
            );
        };
        Some(match code.code() {
            "28P01" | "28000" => "check the user and the password in the connection string",
            "3D000" => "check the database in the connection string",
            "3F000" | "42P01" | "42883" => {
                "the schema `pushslots` is missing or incomplete; run PostgresConfig::migrate"
            }
            "42501" => {
                "the role lacks rights; run `select pushslots.grant_worker('role')`, or \
                 `grant_enqueuer` for a role that only adds entries"
            }
            "25006" => READ_ONLY,
            "53300" => "raise max_connections of the server, or connect through a pooler",
            "55P03" | "57014" => {
                "another transaction holds a lock, or the database is overloaded; find it in \
                 pg_stat_activity"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no response in time")?,
            Self::Other(text) => f.write_str(text)?,
            Self::Database(error) => match error.as_db_error() {
                Some(error) => write!(f, "{} ({})", error.message(), error.code().code())?,
                None => f.write_str(&self.chain())?,
            },
        }
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}
