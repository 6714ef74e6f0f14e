//! Journals in SQLite. Outputs are encrypted, because a stack contains Secrets.

use std::sync::Arc;

use pipeops_core::{EventKind, Step};

use super::deployments::lease_lost;
use super::events;
use super::handle::SqliteStore;
use super::rows::{from_json, now, seal, to_json, unseal};
use crate::deployment::{Fence, JournalEntry};
use crate::store::StoreError;

fn context(deployment: &str, step: &str) -> String {
    format!("step {step} of deployment {deployment}")
}

pub(super) async fn read(
    store: &SqliteStore,
    deployment: &str,
) -> Result<Vec<JournalEntry>, StoreError> {
    let cipher = Arc::clone(&store.cipher);
    let deployment = deployment.to_owned();
    store
        .database
        .read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT millis, summary, sealed_output FROM journal WHERE deployment = ?1 AND step = ?2",
            )?;
            let mut entries = Vec::new();
            for step in Step::ALL {
                let mut rows = statement.query((&deployment, step.name()))?;
                let Some(row) = rows.next()? else { continue };
                let context = context(&deployment, step.name());
                let sealed: Vec<u8> = row.get(2)?;
                let output = unseal(&cipher, &context, &sealed)?;
                let (millis, summary) = (row.get::<_, i64>(0)?, row.get::<_, String>(1)?);
                let output = from_json(|| context.clone(), &output)?;
                let entry = JournalEntry::new(step, millis.unsigned_abs(), summary, output);
                entries.push(entry);
            }
            Ok(entries)
        })
        .await
}

pub(super) async fn record(
    store: &SqliteStore,
    fence: &Fence,
    entry: &JournalEntry,
) -> Result<(), StoreError> {
    let step = entry.step.name();
    let context = context(&fence.deployment, step);
    let output = zeroize::Zeroizing::new(to_json(&context, &entry.output)?);
    let sealed = seal(&store.cipher, &context, output.as_bytes())?;
    let millis = i64::try_from(entry.millis).unwrap_or(i64::MAX);
    let (fence, summary) = (fence.clone(), entry.summary.clone());
    let finished = EventKind::StepFinished {
        step: entry.step,
        millis: entry.millis,
        summary: entry.summary.clone(),
    };
    store
        .database
        .write(move |tx| {
            let written = tx
                .prepare_cached(
                    "INSERT INTO journal (deployment, step, millis, summary, sealed_output)
                     SELECT ?1, ?3, ?4, ?5, ?6 FROM deployments
                     WHERE id = ?1 AND fence = ?2 AND status = 'running'
                     ON CONFLICT (deployment, step) DO UPDATE SET millis = ?4, summary = ?5, sealed_output = ?6",
                )?
                .execute((&fence.deployment, fence.token as i64, step, millis, summary, sealed))?;
            if written == 0 {
                return Err(lease_lost(&fence));
            }
            events::insert(tx, &fence.deployment, now(), &finished)
        })
        .await
}
