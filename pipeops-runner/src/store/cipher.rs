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

/// The first byte of everything sealed: the format.
const FORMAT: u8 = 1;

/// Seals secrets with one key: ChaCha20-Poly1305, a random nonce for each, bound to where it is stored.
///
/// The key is 32 bytes, written in base64 (`openssl rand -base64 32`). The database and the key together reveal the
/// secrets: keep them apart in backups.
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
    /// The environment variable that [`SecretCipher::from_env_or_file`] asks first.
    pub const VARIABLE: &'static str = "PIPEOPS_KEY";

    /// A cipher with this key, in base64.
    ///
    /// # Errors
    /// When it is not the base64 of 32 bytes.
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

    /// A cipher with a random key that is not stored: for stores in memory.
    ///
    /// # Errors
    /// When the machine gives no random numbers.
    pub fn ephemeral() -> Result<Self, SecretCipherError> {
        Self::new(&random_key()?)
    }

    /// A cipher with the key in `PIPEOPS_KEY`, else with the one in this file, which is made (mode 0600) when it is not
    /// there.
    ///
    /// # Errors
    /// When the key is malformed, or the file can neither be read nor made.
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

    /// Encrypts. `context` says where it is stored: it opens only under the same one.
    ///
    /// # Errors
    /// When the machine gives no random numbers.
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

    /// Decrypts what [`SecretCipher::seal`] made under the same context.
    ///
    /// # Errors
    /// When the key is another one, or the bytes were changed or moved.
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

/// Writes the key to a draft and links it into place: two processes that start at once agree on one key, and none reads
/// half of it.
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

/// `pipeops.db` and `key` make `pipeops.db.key`.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Secrets cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretCipherError {
    /// The key is malformed.
    #[error("the key is not the base64 of 32 bytes")]
    BadKey,
    /// The key file can neither be read nor made.
    #[error("the key file {path} cannot be used", path = path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Sealed with another key, or changed since.
    #[error("sealed with another key, or changed since")]
    WrongKey,
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers")]
    NoRandomness,
}

impl Diagnose for SecretCipherError {
    fn diagnosis(&self) -> Diagnosis {
        let (page, reason) = match self {
            Self::BadKey => (&codes::store::BAD_KEY, String::new()),
            Self::KeyFile { source, .. } => (&codes::store::KEY_FILE, source.to_string()),
            Self::WrongKey => (
                &codes::store::WRONG_KEY,
                "the key in use is not the one that the secrets were sealed with".to_owned(),
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
        assert!(
            SecretCipher::ephemeral()
                .unwrap()
                .open("a", &sealed)
                .is_err()
        );
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(cipher.open("a", &sealed).is_err());
        for cut in 0..sealed.len() {
            assert!(cipher.open("a", &sealed[..cut]).is_err());
        }
    }

    #[test]
    fn the_same_text_is_sealed_differently_each_time() {
        let cipher = SecretCipher::ephemeral().unwrap();
        assert_ne!(
            cipher.seal("a", b"x").unwrap(),
            cipher.seal("a", b"x").unwrap()
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_is_private_and_read_again() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipeops.db.key");
        let sealed = SecretCipher::from_env_or_file(&path)
            .unwrap()
            .seal("a", b"x")
            .unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = SecretCipher::from_env_or_file(&path).unwrap();
        assert_eq!(again.open("a", &sealed).unwrap().as_slice(), b"x");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "a draft is left"
        );
    }

    #[test]
    fn a_malformed_key_is_refused() {
        assert!(matches!(
            SecretCipher::new(&SecretString::from("short")),
            Err(SecretCipherError::BadKey)
        ));
    }
}
