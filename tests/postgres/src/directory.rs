//! The private directory of a server.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::network::random_hex;

/// A directory that belongs to the user that runs the server. The supervisor removes it.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Directory {
    /// Creates a directory with a new name in the temporary directory.
    pub(crate) fn create(account: &Account) -> Directory {
        let path = std::env::temp_dir().join(format!("pushslots-{}", random_hex(6)));
        // If root runs the test, it reaches the socket in a directory of another user.
        let mode = if account.other_user.is_some() { 0o755 } else { 0o700 };
        let directory = Directory { path, owner: account.other_user };
        directory.check(&directory.path, DirBuilder::new().mode(mode).create(&directory.path));
        directory.hand_over(&directory.path);
        directory
    }

    /// Writes a file that only the server's user can read, and returns its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path.join(name);
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        self.check(&path, file.and_then(|mut file| file.write_all(content.as_bytes())));
        self.hand_over(&path);
        path
    }

    fn hand_over(&self, path: &Path) {
        if let Some((user, group)) = self.owner {
            self.check(path, chown(path, Some(user), Some(group)));
        }
    }

    fn check(&self, path: &Path, result: std::io::Result<()>) {
        result.unwrap_or_else(|error| panic!("can't create {}: {error}", path.display()));
    }
}
