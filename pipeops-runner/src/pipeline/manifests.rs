//! The step that generates the Kubernetes objects.

use pipeops_core::diagnosis::codes;
use pipeops_core::{
    BuiltImage, CommitSha, CredentialProvider, Diagnosis, ImageRef, RegistryScope, SecretString,
};
use pipeops_manifest::{App, HealthCheck, Kind};
use pipeops_registry::pull_secret_json;
use serde_json::{Map, Value};

use super::{Plan, StepFailure};
use crate::project::{Environment, Project};

/// The app in this environment, without its pull secret.
pub(super) fn app(
    project: &Project,
    environment: &Environment,
    commit: &CommitSha,
    plan: &Plan,
    built: &BuiltImage,
) -> Result<App, StepFailure> {
    let namespace = environment.namespace.as_ref().unwrap_or(&project.name);
    let image = built.image.clone();
    let mut app = App::new(&project.name, namespace, commit.clone(), image);
    if environment.kind == Kind::Worker {
        app = app.worker();
    }
    app.language = plan.language;
    app.port = environment.port.or(plan.port).unwrap_or(app.port);
    app.replicas = environment.replicas.unwrap_or(app.replicas);
    app.uid = plan.uid.unwrap_or(app.uid);
    app.writable_paths
        .extend(plan.writable_paths.iter().cloned());
    app.env = environment.variables.clone();
    if let Some(path) = &environment.health_path {
        app.health = HealthCheck::http(path);
    }
    let mut app = overridden(app, &environment.app)?;
    // Set last, because the merged JSON contains no secrets.
    let secrets = &project.secrets.variables;
    app.secrets = secrets.get(&environment.name).cloned().unwrap_or_default();
    Ok(app)
}

/// The secret for pulling the image, with the login that pushed it.
pub(super) async fn pull_secret(
    credentials: &dyn CredentialProvider,
    image: &ImageRef,
) -> Result<Option<SecretString>, StepFailure> {
    let scope = RegistryScope::pull(image.repository());
    let credential = credentials.credential(image.host(), &scope).await;
    let credential = credential.map_err(StepFailure::new)?;
    if credential.secrets().next().is_none() {
        return Ok(None);
    }
    let host = image.host().to_owned();
    Ok(Some(pull_secret_json(&[(host, credential)])))
}

/// The app with the overrides of the environment, by their names in the JSON of the app.
fn overridden(app: App, settings: &Map<String, Value>) -> Result<App, StepFailure> {
    if settings.is_empty() {
        return Ok(app);
    }
    let read = serde_json::to_value(app).and_then(|mut value| {
        merge(&mut value, settings);
        serde_json::from_value(value)
    });
    read.map_err(|error| {
        StepFailure::from_diagnosis(
            Diagnosis::new(&codes::deployment::INVALID_APP)
                .error("the app settings of the environment are invalid")
                .reason(error.to_string()),
        )
    })
}

/// JSON merge patch, <https://www.rfc-editor.org/rfc/rfc7396>.
fn merge(value: &mut Value, patch: &Map<String, Value>) {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Some(fields) = value.as_object_mut() else {
        return;
    };
    for (key, change) in patch {
        match change {
            Value::Null => drop(fields.remove(key)),
            Value::Object(nested) => {
                merge(fields.entry(key.clone()).or_insert(Value::Null), nested)
            }
            other => drop(fields.insert(key.clone(), other.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use pipeops_manifest::{ManifestGenerator, StandardManifests, Strategy};
    use serde_json::json;

    use super::*;

    fn shop() -> App {
        App::new("shop", "shop", "abc", "r.io/shop:1".parse().unwrap())
    }

    fn with(settings: Value) -> Result<App, StepFailure> {
        overridden(shop(), settings.as_object().unwrap())
    }

    #[test]
    fn settings_replace_what_they_name_and_nothing_else() {
        let settings = json!({"replicas": 5, "labels": {"team": "a"}, "strategy": "recreate"});
        let app = with(settings).unwrap();
        assert_eq!((app.replicas, app.strategy), (5, Strategy::Recreate));
        assert_eq!(app.labels.get("team").map(String::as_str), Some("a"));
        assert_eq!(app.port, shop().port);
    }

    #[test]
    fn a_command_is_kubernetes_syntax_only_if_the_settings_say_so() {
        for (settings, argument) in [
            (
                json!({"args": ["echo $$ $(PRICE)"], "allowTag": true}),
                "echo $$$ $$(PRICE)",
            ),
            (
                json!({"args": ["echo $$ $(PRICE)"], "allowTag": true, "expandVariables": true}),
                "echo $$ $(PRICE)",
            ),
        ] {
            let stack = StandardManifests::new()
                .generate(&with(settings).unwrap())
                .unwrap();
            let container = stack
                .workload()
                .unwrap()
                .value()
                .pointer("/spec/template/spec/containers/0");
            assert_eq!(container.unwrap()["args"], json!([argument]));
        }
    }

    #[test]
    fn a_setting_that_does_not_exist_is_named() {
        let failure = with(json!({"replica": 5})).unwrap_err();
        assert!(failure.diagnosis().reason.contains("replica"));
    }
}
