//! The token of a gateway that has none configured: drawn once, kept in `<data_dir>/admin.token`, readable by its
//! owner alone.

use crate::Token;
use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The file's name in the data folder.
pub const TOKEN_FILE: &str = "admin.token";

/// The token's length before it is written in hexadecimal digits.
const TOKEN_BYTES: usize = 32;

/// The token could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} the admin token `{}`: {source}; mend its rights, or set gateway.admin.token", path.display())]
pub struct TokenError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

/// Reads the token of the data folder, or draws one. The folder must be held by this process (the store's lock), so
/// that no two processes draw one.
///
/// # Errors
/// The file cannot be read or written, or there is no randomness.
pub fn read_or_make(data_dir: &Path) -> Result<Token, TokenError> {
    let path = data_dir.join(TOKEN_FILE);
    let fail = |doing| {
        let path = path.clone();
        move |source| TokenError { path, doing, source }
    };
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => {
            fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(fail("protect"))?;
            Ok(Token::new(&text))
        }
        Ok(_) => make(data_dir).map_err(fail("write")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(data_dir).map_err(fail("write")),
        Err(error) => Err(fail("read")(error)),
    }
}

/// Written under another name and renamed, so that nobody reads half a token.
fn make(data_dir: &Path) -> io::Result<Token> {
    let mut random = [0; TOKEN_BYTES];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = data_dir.join("admin.token.new");
    match fs::remove_file(&draft) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_data()?;
    fs::rename(&draft, data_dir.join(TOKEN_FILE))?;
    Ok(Token::new(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_drawn_once_and_readable_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = read_or_make(folder.path()).unwrap();
        assert_eq!(first.reveal().len(), 2 * TOKEN_BYTES);
        let path = folder.path().join(TOKEN_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read_or_make(folder.path()).unwrap().reveal(), first.reveal());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "left readable by others");
        let other = tempfile::tempdir().unwrap();
        assert_ne!(read_or_make(other.path()).unwrap().reveal(), first.reveal());
    }

    #[test]
    fn an_empty_file_is_no_token() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(TOKEN_FILE), "\n").unwrap();
        assert!(!read_or_make(folder.path()).unwrap().reveal().is_empty());
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let error = read_or_make(Path::new("/nonexistent/folder")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/folder/admin.token"), "{error}");
    }
}
