//! The operating system user that runs the servers, because they refuse to run as root.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// The user `postgres` if this process runs as root, otherwise the current user.
pub(crate) struct Account {
    /// The user and group id of `postgres` if this process runs as root.
    pub(crate) other_user: Option<(u32, u32)>,
}

impl Account {
    /// Finds the user that runs the servers.
    ///
    /// # Errors
    /// Returns the reason if this process runs as root and can't become `postgres`.
    pub(crate) fn find() -> Result<Account, String> {
        if id(&["-u"])? != 0 {
            return Ok(Account { other_user: None });
        }
        let user = (id(&["-u", "postgres"])?, id(&["-g", "postgres"])?);
        match Command::new("setpriv").arg("--version").output() {
            Ok(_) => Ok(Account { other_user: Some(user) }),
            Err(error) => Err(format!("setpriv, which runs servers for root, failed: {error}")),
        }
    }

    /// Returns the words that run `program` as this user.
    pub(crate) fn command_line(&self, program: &Path) -> Vec<OsString> {
        let mut words = Vec::new();
        if let Some((user, group)) = self.other_user {
            words.push("setpriv".into());
            words.push(format!("--reuid={user}").into());
            words.push(format!("--regid={group}").into());
            words.push("--clear-groups".into());
        }
        words.push(program.into());
        words
    }
}

/// Asks the command `id` for a number.
fn id(arguments: &[&str]) -> Result<u32, String> {
    let output = Command::new("id").args(arguments).output().map_err(|error| error.to_string())?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .map_err(|_| format!("`id {}`: {}", arguments.join(" "), text(&output.stderr)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
