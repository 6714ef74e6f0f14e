//! Randomness from the operating system.

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::Error;
use crate::hex::hex;

/// Creates an unguessable id. A client that knew a session's id could read its files through the daemon.
pub(crate) fn id() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::NoRandomness)?;
    Ok(hex(&bytes))
}

/// From 0.0 to 1.0, for waits between attempts; 1.0 without randomness.
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0_u8; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}
