//! Reads values from rows.

use std::error::Error;

use jiff::Timestamp;
use rusqlite::Row;
use serde::de::DeserializeOwned;

use crate::deployment::{Deployment, Status};
use crate::project::{Project, ProjectSecrets};
use crate::store::{SecretCipher, StoreError};

/// The columns of `deployment_from_row`, in order.
pub(crate) const DEPLOYMENT_COLUMNS: &str = "id, project, environment, repository, reference, commit_sha, message, \
    pusher, status, image, diagnosis, rolled_back, created, started, finished";

/// Reads the columns of `DEPLOYMENT_COLUMNS`.
pub(crate) fn deployment_from_row(row: &Row<'_>) -> Result<Deployment, StoreError> {
    let id: String = row.get(0)?;
    let what = || format!("deployment {id}");
    let diagnosis: Option<String> = row.get(10)?;
    Ok(Deployment {
        project: row.get(1)?,
        environment: row.get(2)?,
        repository: row.get(3)?,
        reference: readable(what, row.get::<_, String>(4)?.parse())?,
        commit: readable(what, row.get::<_, String>(5)?.parse())?,
        message: row.get(6)?,
        pusher: row.get(7)?,
        status: status(row.get_ref(8)?.as_str().unwrap_or_default())
            .ok_or_else(|| corrupt(what(), "unknown status"))?,
        image: row.get(9)?,
        diagnosis: diagnosis
            .map(|json| from_json(what, json.as_bytes()))
            .transpose()?,
        rolled_back: row.get(11)?,
        created: from_micros(row.get(12)?),
        started: row.get::<_, Option<i64>>(13)?.map(from_micros),
        finished: row.get::<_, Option<i64>>(14)?.map(from_micros),
        id,
    })
}

/// A project from its JSON and its encrypted secrets.
pub(crate) fn project_from_parts(
    cipher: &SecretCipher,
    context: &str,
    config: &str,
    sealed: &[u8],
) -> Result<Project, StoreError> {
    let mut project: Project = from_json(|| context.to_owned(), config.as_bytes())?;
    let secrets = unseal(cipher, context, sealed)?;
    project.secrets = readable(
        || context.to_owned(),
        ProjectSecrets::from_exposed(&secrets),
    )?;
    Ok(project)
}

pub(super) fn seal(
    cipher: &SecretCipher,
    context: &str,
    plain: &[u8],
) -> Result<Vec<u8>, StoreError> {
    cipher
        .seal(context, plain)
        .map_err(|source| StoreError::Cipher {
            what: context.to_owned(),
            source,
        })
}

pub(super) fn unseal(
    cipher: &SecretCipher,
    context: &str,
    sealed: &[u8],
) -> Result<zeroize::Zeroizing<Vec<u8>>, StoreError> {
    cipher
        .open(context, sealed)
        .map_err(|source| StoreError::Cipher {
            what: context.to_owned(),
            source,
        })
}

pub(super) fn from_json<T: DeserializeOwned>(
    what: impl Fn() -> String,
    json: &[u8],
) -> Result<T, StoreError> {
    readable(what, serde_json::from_slice(json))
}

pub(super) fn to_json<T: serde::Serialize>(what: &str, value: &T) -> Result<String, StoreError> {
    readable(|| what.to_owned(), serde_json::to_string(value))
}

/// Turns an error of malformed data into a [`StoreError::Corrupt`] that names the data.
pub(super) fn readable<T, E: Into<Box<dyn Error + Send + Sync>>>(
    what: impl Fn() -> String,
    result: Result<T, E>,
) -> Result<T, StoreError> {
    result.map_err(|error| corrupt(what(), error))
}

fn corrupt(what: String, source: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::Corrupt {
        what,
        source: source.into(),
    }
}

pub(crate) fn to_micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The current time, in the precision of the store, so that written and read times are equal.
pub(super) fn now() -> Timestamp {
    from_micros(to_micros(Timestamp::now()))
}

/// Values out of range, which no version writes, become the latest time.
pub(super) fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

fn status(name: &str) -> Option<Status> {
    let all = [
        Status::Queued,
        Status::Running,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
    ];
    all.into_iter().find(|status| status.name() == name)
}
