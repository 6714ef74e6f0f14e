//! The rollout record of an application, stored in a ConfigMap beside it.
//!
//! Any process can continue the rollout of another one. The record holds no Secrets. Every write checks that no other
//! process has written in between.

use pipeops_core::Object;
use pipeops_core::names::{MANAGED_BY_LABEL, MANAGER};
use serde_json::{Value, json};

use crate::api_error::ApiProblem;
use crate::cluster::ClusterApi;
use crate::error::Error;
use crate::record::RolloutRecord;
use crate::target::Target;

/// The key in the ConfigMap.
const KEY: &str = "record.json";

/// The record of one application and its ConfigMap.
pub(crate) struct RecordStore<'a> {
    cluster: &'a dyn ClusterApi,
    target: &'a Target,
    /// The ConfigMap as last read or written; `None` until it exists.
    stored: Option<Object>,
    pub(crate) record: RolloutRecord,
}

impl<'a> RecordStore<'a> {
    /// # Errors
    /// [`Error::Record`] if it can't be parsed; [`Error::Api`].
    pub(crate) async fn load(
        cluster: &'a dyn ClusterApi,
        target: &'a Target,
    ) -> Result<Self, Error> {
        let stored = cluster.get(&target.record()).await?;
        let text = stored
            .as_ref()
            .and_then(|object| object.value()["data"][KEY].as_str());
        let record = match text {
            None => RolloutRecord::default(),
            Some(text) => serde_json::from_str(text).map_err(|source| Error::Record {
                namespace: target.namespace.clone(),
                object: target.record().to_string(),
                source,
            })?,
        };
        Ok(Self {
            cluster,
            target,
            stored,
            record,
        })
    }

    /// # Errors
    /// [`Error::LeaseLost`] if another process has written in between; [`Error::Api`].
    pub(crate) async fn save(&mut self) -> Result<(), Error> {
        let id = self.target.record();
        let text = self.text()?;
        let written = match &self.stored {
            None => {
                self.cluster
                    .create(&id, &id.object(self.parent(&text))?)
                    .await
            }
            Some(stored) => {
                let mut object = stored.clone();
                object.value_mut()["data"][KEY] = text.clone().into();
                self.cluster.replace(&id, &object).await
            }
        };
        let stored = match written {
            Ok(object) => object,
            Err(error)
                if matches!(error.problem, ApiProblem::Stale | ApiProblem::AlreadyExists) =>
            {
                self.reread(&text).await?
            }
            Err(error) => return Err(error.into()),
        };
        self.stored = Some(stored);
        Ok(())
    }

    /// A write that was retried because its response was lost finds its own text. Any other text is another process's.
    async fn reread(&self, text: &str) -> Result<Object, Error> {
        let id = self.target.record();
        match self.cluster.get(&id).await? {
            Some(object) if object.value()["data"][KEY].as_str() == Some(text) => Ok(object),
            _ => Err(Error::LeaseLost {
                namespace: id.namespace.clone(),
                lease: format!("pipeops-{}", self.target.app),
            }),
        }
    }

    fn text(&self) -> Result<String, Error> {
        serde_json::to_string(&self.record).map_err(|source| Error::Record {
            namespace: self.target.namespace.clone(),
            object: self.target.record().to_string(),
            source,
        })
    }

    fn parent(&self, text: &str) -> Value {
        json!({
            "metadata": {
                "labels": {
                    MANAGED_BY_LABEL: MANAGER,
                    "applyset.kubernetes.io/id": self.target.apply_set(),
                },
                "annotations": {
                    "applyset.kubernetes.io/tooling": concat!("pipeops/v", env!("CARGO_PKG_VERSION")),
                },
            },
            "data": {KEY: text},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ObjectId;
    use crate::fake::FakeCluster;

    #[tokio::test]
    async fn a_write_of_somebody_else_is_noticed_and_an_own_repeated_one_is_not() {
        let (cluster, target) = (FakeCluster::default(), Target::new("shop", "web").unwrap());
        let mut first = RecordStore::load(&cluster, &target).await.unwrap();
        first
            .record
            .leftovers
            .push(ObjectId::config_map("shop", "a"));
        first.save().await.unwrap();
        let mut second = RecordStore::load(&cluster, &target).await.unwrap();
        assert_eq!(second.record, first.record);
        second
            .record
            .leftovers
            .push(ObjectId::config_map("shop", "b"));
        second.save().await.unwrap();
        assert!(matches!(first.save().await, Err(Error::LeaseLost { .. })));
        first.record = second.record.clone();
        first.save().await.unwrap();
    }
}
