//! Projects in SQLite.

use std::sync::Arc;

use rusqlite::OptionalExtension;

use super::handle::SqliteStore;
use super::rows::{from_json, project_from_parts, seal, to_json};
use crate::project::Project;
use crate::store::StoreError;

/// The context of a project's encrypted secrets.
fn context(name: &str) -> String {
    format!("project {name}")
}

/// The methods of [`Store`](crate::Store) for projects, without an import of the trait.
impl SqliteStore {
    /// Stores a project, or replaces the one with the same name. Secrets are encrypted.
    ///
    /// # Errors
    /// When the database refuses the write.
    pub async fn put_project(&self, project: &Project) -> Result<(), StoreError> {
        let context = context(&project.name);
        let config = to_json(&context, project)?;
        let secrets = seal(&self.cipher, &context, &project.secrets.expose())?;
        let name = project.name.clone();
        self.database
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

    /// The project with this name, including its secrets.
    ///
    /// # Errors
    /// When the database can't be read or the secrets can't be decrypted.
    pub async fn project(&self, name: &str) -> Result<Option<Project>, StoreError> {
        let cipher = Arc::clone(&self.cipher);
        let name = name.to_owned();
        self.database
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

    /// All projects, sorted by name, without their secrets.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        self.database
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
}
