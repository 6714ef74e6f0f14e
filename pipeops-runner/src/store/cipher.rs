//! Encryption of stored secrets.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnose, Diagnosis, SecretString};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// The first byte of sealed data: the version of the format.
const FORMAT: u8 = 1;

/// Encrypts secrets with one key: ChaCha20-Poly1305, with a random nonce, bound to the place where they are stored.
///
/// The key is 32 bytes in base64 (`openssl rand -base64 32`). The database and the key together reveal the secrets, so keep
/// them apart in backups.
///
/// ```
/// use pipeops_runner::store::SecretCipher;
///
/// let cipher = SecretCipher::ephemeral()?;
/// let sealed = cipher.seal("project:shop", b"hunter22")?;
/// assert_eq!(cipher.open("project:shop", &sealed)?.as_slice(), b"hunter22");
/// assert!(cipher.open("project:other", &sealed).is_err());
/// # Ok::<(), pipeops_runner::store::SecretCipherError>(())
/// ```
pub struct SecretCipher {
    key: LessSafeKey,
    random: SystemRandom,
}

impl SecretCipher {
    /// The environment variable that [`SecretCipher::from_env_or_file`] reads first.
    pub const VARIABLE: &'static str = "PIPEOPS_KEY";

    /// A cipher with this key, in base64.
    ///
    /// # Errors
    /// When it isn't the base64 of 32 bytes.
    pub fn new(key: &SecretString) -> Result<Self, SecretCipherError> {
        let bytes = STANDARD.decode(key.expose().trim()).ok();
        let bytes = Zeroizing::new(bytes.ok_or(SecretCipherError::BadKey)?);
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| SecretCipherError::BadKey)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            random: SystemRandom::new(),
        })
    }

    /// A cipher with a random key that isn't stored, for stores in memory.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn ephemeral() -> Result<Self, SecretCipherError> {
        Self::new(&random_key()?)
    }

    /// A cipher with the key in `PIPEOPS_KEY`, or else with the key in this file. A missing file is created with a random key
    /// (mode 0600).
    ///
    /// # Errors
    /// When the key is malformed, or the file can't be read or created.
    pub fn from_env_or_file(path: &Path) -> Result<Self, SecretCipherError> {
        if let Ok(key) = std::env::var(Self::VARIABLE) {
            return Self::new(&SecretString::from(key));
        }
        let file_error = |source| SecretCipherError::KeyFile {
            path: path.to_owned(),
            source,
        };
        match fs::read_to_string(path) {
            Ok(key) => Self::new(&SecretString::from(key)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = make_key_file(path, &random_key()?).map_err(file_error)?;
                Self::new(&key)
            }
            Err(error) => Err(file_error(error)),
        }
    }

    /// Encrypts. `context` names the place of storage; [`SecretCipher::open`] must be given the same.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SecretCipherError> {
        let mut nonce = [0; NONCE_LEN];
        self.random
            .fill(&mut nonce)
            .map_err(|_| SecretCipherError::NoRandomness)?;
        let mut sealed = vec![FORMAT];
        sealed.extend_from_slice(&nonce);
        let mut text = Zeroizing::new(plain.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                text.as_mut_slice(),
            )
            .map_err(|_| SecretCipherError::NoRandomness)?;
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Decrypts the result of [`SecretCipher::seal`].
    ///
    /// # Errors
    /// When the key or the context differs, or the bytes were changed.
    pub fn open(
        &self,
        context: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SecretCipherError> {
        let body = sealed
            .strip_prefix(&[FORMAT])
            .ok_or(SecretCipherError::WrongKey)?;
        let (nonce, text) = body
            .split_at_checked(NONCE_LEN)
            .ok_or(SecretCipherError::WrongKey)?;
        let nonce =
            Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretCipherError::WrongKey)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .key
            .open_in_place(nonce, Aad::from(context.as_bytes()), text.as_mut_slice())
            .map_err(|_| SecretCipherError::WrongKey)?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

impl fmt::Debug for SecretCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretCipher(…)")
    }
}

fn random_key() -> Result<SecretString, SecretCipherError> {
    let mut key = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(key.as_mut_slice())
        .map_err(|_| SecretCipherError::NoRandomness)?;
    Ok(SecretString::from(STANDARD.encode(key.as_slice())))
}

/// Writes the key to a draft and links it into place, so that processes that start at once agree on one complete key.
fn make_key_file(path: &Path, key: &SecretString) -> io::Result<SecretString> {
    let draft = with_suffix(path, &uuid::Uuid::now_v7().simple().to_string());
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    let written = writeln!(file, "{}", key.expose())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match written {
        Ok(()) => Ok(key.clone()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::read_to_string(path).map(SecretString::from)
        }
        Err(error) => Err(error),
    }
}

/// `pipeops.db` with `key` becomes `pipeops.db.key`.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Why secrets can't be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretCipherError {
    /// The key is malformed.
    #[error("the key is not the base64 of 32 bytes")]
    BadKey,
    /// The key file can't be read or created.
    #[error("cannot use the key file {path}", path = path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The data was encrypted with another key, or changed since.
    #[error("encrypted with another key, or changed since")]
    WrongKey,
    /// The system has no random numbers.
    #[error("the system's random number generator failed")]
    NoRandomness,
}

impl Diagnose for SecretCipherError {
    fn diagnosis(&self) -> Diagnosis {
        let (page, reason) = match self {
            Self::BadKey => (&codes::store::BAD_KEY, String::new()),
            Self::KeyFile { source, .. } => (&codes::store::KEY_FILE, source.to_string()),
            Self::WrongKey => (
                &codes::store::WRONG_KEY,
                "the secrets were encrypted with another key than the one in use".to_owned(),
            ),
            Self::NoRandomness => (&codes::store::NO_RANDOMNESS, String::new()),
        };
        Diagnosis::new(page).error(self.to_string()).reason(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_or_sealed_with_another_key_does_not_open() {
        let cipher = SecretCipher::ephemeral().unwrap();
        let mut sealed = cipher.seal("a", b"secret").unwrap();
        assert_ne!(sealed, cipher.seal("a", b"secret").unwrap());
        let other = SecretCipher::ephemeral().unwrap();
        assert!(other.open("a", &sealed).is_err());
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(cipher.open("a", &sealed).is_err());
        for cut in 0..sealed.len() {
            assert!(cipher.open("a", &sealed[..cut]).is_err());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_is_private_and_read_again() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipeops.db.key");
        let cipher = SecretCipher::from_env_or_file(&path).unwrap();
        let sealed = cipher.seal("a", b"x").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = SecretCipher::from_env_or_file(&path).unwrap();
        assert_eq!(again.open("a", &sealed).unwrap().as_slice(), b"x");
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "a draft is left");
    }

    #[test]
    fn a_malformed_key_is_refused() {
        let cipher = SecretCipher::new(&SecretString::from("short"));
        assert!(matches!(cipher, Err(SecretCipherError::BadKey)));
    }
}
