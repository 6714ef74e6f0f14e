//! Projects in SQLite.

use std::sync::Arc;

use rusqlite::OptionalExtension;

use super::handle::SqliteStore;
use super::rows::{from_json, project_from_parts, seal, to_json};
use crate::project::Project;
use crate::store::StoreError;

/// What a project's secrets are bound to.
fn context(name: &str) -> String {
    format!("project {name}")
}

pub(super) async fn put(store: &SqliteStore, project: &Project) -> Result<(), StoreError> {
    let context = context(&project.name);
    let config = to_json(&context, project)?;
    let secrets = seal(&store.cipher, &context, &project.secrets.expose())?;
    let name = project.name.clone();
    store
        .database
        .write(move |tx| {
            tx.prepare_cached(
                "INSERT INTO projects (name, config, sealed_secrets) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET config = ?2, sealed_secrets = ?3",
            )?
            .execute((name, config, secrets))?;
            Ok(())
        })
        .await
}

pub(super) async fn get(store: &SqliteStore, name: &str) -> Result<Option<Project>, StoreError> {
    let cipher = Arc::clone(&store.cipher);
    let name = name.to_owned();
    store
        .database
        .read(move |db| {
            let row: Option<(String, Vec<u8>)> = db
                .prepare_cached("SELECT config, sealed_secrets FROM projects WHERE name = ?1")?
                .query_row([&name], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            row.map(|(config, sealed)| {
                project_from_parts(&cipher, &context(&name), &config, &sealed)
            })
            .transpose()
        })
        .await
}

pub(super) async fn list(store: &SqliteStore) -> Result<Vec<Project>, StoreError> {
    store
        .database
        .read(|db| {
            let mut statement =
                db.prepare_cached("SELECT name, config FROM projects ORDER BY name")?;
            let mut rows = statement.query([])?;
            let mut projects = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                let config: String = row.get(1)?;
                projects.push(from_json(|| context(&name), config.as_bytes())?);
            }
            Ok(projects)
        })
        .await
}
