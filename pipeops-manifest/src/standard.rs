//! From an [`App`] to its [`Stack`].

use std::fmt;
use std::sync::Arc;

use pipeops_core::{Object, SecretString, Stack};

use crate::app::App;
use crate::error::{ConfigProblem, InvalidApp};
use crate::objects::{self, KubeObject};

/// Generates all objects of one revision of an application.
///
/// [`StandardManifests`] is the standard one. Another one may add objects to it:
///
/// ```
/// use pipeops_manifest::k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaSpec};
/// use pipeops_manifest::k8s_openapi::apimachinery::pkg::api::resource::Quantity;
/// use pipeops_manifest::{App, InvalidApp, ManifestGenerator, Stack, StandardManifests, object};
///
/// #[derive(Debug)]
/// struct WithQuota(StandardManifests);
///
/// impl ManifestGenerator for WithQuota {
///     fn generate(&self, app: &App) -> Result<Stack, InvalidApp> {
///         let mut stack = self.0.generate(app)?;
///         let mut quota = ResourceQuota::default();
///         quota.metadata.name = Some(app.name.clone());
///         quota.metadata.namespace = Some(app.namespace.clone());
///         let hard = [("pods".to_owned(), Quantity("20".to_owned()))].into();
///         quota.spec = Some(ResourceQuotaSpec { hard: Some(hard), ..Default::default() });
///         stack.objects.splice(0..0, object(&quota));
///         Ok(stack)
///     }
/// }
/// # let image = format!("registry.example.com/shop@sha256:{}", "0".repeat(64)).parse()?;
/// # let stack = WithQuota(StandardManifests::new()).generate(&App::new("shop", "prod", "4f2c9ab", image))?;
/// # assert_eq!(stack.objects[0].kind(), "ResourceQuota");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ManifestGenerator: fmt::Debug + Send + Sync + 'static {
    /// The objects in apply order: objects that others refer to come first, the Deployment last.
    ///
    /// The same `app` gives the same stack, byte for byte.
    ///
    /// # Errors
    /// [`InvalidApp`] with all problems, not only the first.
    fn generate(&self, app: &App) -> Result<Stack, InvalidApp>;
}

type Hook<T> = Arc<dyn Fn(&App, &mut T) + Send + Sync>;

/// Generates PipeOps' standard objects, which are secure by default.
///
/// Hooks can change them, first as typed objects, then as JSON:
///
/// ```
/// use pipeops_manifest::{App, KubeObject, ManifestGenerator, StandardManifests};
///
/// let generator = StandardManifests::new()
///     .with_hook(|_app, object| {
///         if let KubeObject::Service(service) = object
///             && let Some(spec) = &mut service.spec
///         {
///             spec.session_affinity = Some("ClientIP".to_owned());
///         }
///     })
///     .with_json_hook(|app, object| {
///         if object.kind() == "Deployment" && app.replicas > 10 {
///             object.value_mut()["spec"]["template"]["spec"]["priorityClassName"] = "batch".into();
///         }
///     });
/// # let image = format!("registry.example.com/shop@sha256:{}", "0".repeat(64)).parse()?;
/// let stack = generator.generate(&App::new("shop", "prod", "4f2c9ab", image))?;
/// assert_eq!(stack.get("Service", "shop").unwrap().value()["spec"]["sessionAffinity"], "ClientIP");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct StandardManifests {
    hash_key: Option<SecretString>,
    hooks: Vec<Hook<KubeObject>>,
    json_hooks: Vec<Hook<Object>>,
}

impl StandardManifests {
    /// A generator without hooks and hash key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key for the hashes in names of Secrets.
    ///
    /// A Secret's name contains a hash of its content, and more people can read names than contents. Without a key, they could
    /// test guesses of weak secrets against it. If the key changes, all names change once.
    #[must_use]
    pub fn with_hash_key(mut self, key: SecretString) -> Self {
        self.hash_key = Some(key);
        self
    }

    /// Adds a hook that changes typed objects. It's called with each object. Hooks run in the order in which they were added.
    ///
    /// A hook must not change the name or namespace of an object, because others refer to it. It can't add or remove objects:
    /// implement [`ManifestGenerator`] for that.
    #[must_use]
    pub fn with_hook(
        mut self,
        hook: impl Fn(&App, &mut KubeObject) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.push(Arc::new(hook));
        self
    }

    /// Adds a hook that changes the JSON of objects. It runs after all typed hooks, with the same rules.
    #[must_use]
    pub fn with_json_hook(
        mut self,
        hook: impl Fn(&App, &mut Object) + Send + Sync + 'static,
    ) -> Self {
        self.json_hooks.push(Arc::new(hook));
        self
    }

    fn finish(&self, app: &App, mut typed: KubeObject) -> Result<Object, ConfigProblem> {
        let before = typed.to_object();
        for hook in &self.hooks {
            hook(app, &mut typed);
        }
        let mut after = typed.to_object();
        for hook in &self.json_hooks {
            if let Some(object) = &mut after {
                hook(app, object);
            }
        }
        match (before, after) {
            (Some(before), Some(after)) if same_coordinates(&before, &after) => Ok(after),
            (before, _) => {
                let object =
                    before.map_or_else(|| typed.kind().to_owned(), |object| object.to_string());
                Err(ConfigProblem::new(
                    "hooks",
                    format!("a hook must not change kind, name or namespace of {object}"),
                ))
            }
        }
    }
}

impl ManifestGenerator for StandardManifests {
    fn generate(&self, app: &App) -> Result<Stack, InvalidApp> {
        let revision = app.checked_revision()?;
        let key = self.hash_key.as_ref().map(|key| key.expose().as_bytes());
        let (mut finished, mut problems) = (Vec::new(), Vec::new());
        for object in objects::all(app, revision, key) {
            match self.finish(app, object) {
                Ok(object) => finished.push(object),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(Stack::new(
                &app.name,
                &app.namespace,
                revision.clone(),
                finished,
            ))
        } else {
            Err(InvalidApp::new(&app.name, problems))
        }
    }
}

impl fmt::Debug for StandardManifests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandardManifests")
            .field("hash_key", &self.hash_key)
            .field("hooks", &self.hooks.len())
            .field("json_hooks", &self.json_hooks.len())
            .finish()
    }
}

fn same_coordinates(a: &Object, b: &Object) -> bool {
    (a.api_version(), a.kind(), a.name(), a.namespace())
        == (b.api_version(), b.kind(), b.name(), b.namespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn what_others_refer_to_comes_first_and_the_workload_last() {
        let stack = StandardManifests::new()
            .generate(&fixtures::full_app())
            .unwrap();
        let kinds: Vec<_> = stack.objects.iter().map(Object::kind).collect();
        assert_eq!(
            kinds.join(" "),
            "ServiceAccount Secret ConfigMap Secret Service NetworkPolicy PodDisruptionBudget Ingress Deployment"
        );
        assert_eq!(stack.workload().unwrap().name(), "shop");
        let mut objects = stack.objects.iter();
        assert!(objects.all(|object| object.namespace() == Some("prod")));
    }

    #[test]
    fn json_hooks_see_what_typed_hooks_did() {
        let generator = StandardManifests::new()
            .with_hook(|_, object| {
                if let KubeObject::ConfigMap(map) = object {
                    map.immutable = None;
                }
            })
            .with_json_hook(|_, object| {
                if object.kind() == "ConfigMap" && object.value().get("immutable").is_none() {
                    object.value_mut()["immutable"] = false.into();
                }
            });
        let stack = generator.generate(&fixtures::app().env("A", "1")).unwrap();
        let mut objects = stack.objects.iter();
        let map = objects.find(|object| object.kind() == "ConfigMap");
        assert_eq!(map.unwrap().value()["immutable"], false);
    }

    #[test]
    fn a_hook_that_renames_is_refused_by_name() {
        let typed = StandardManifests::new().with_hook(|_, object| {
            if let KubeObject::Service(service) = object {
                service.metadata.name = None;
            }
        });
        let json = StandardManifests::new().with_json_hook(|_, object| {
            if object.kind() == "Service" {
                object.value_mut()["metadata"]["namespace"] = "other".into();
            }
        });
        for generator in [typed, json] {
            let error = generator.generate(&fixtures::app()).unwrap_err();
            assert_eq!(error.problems.len(), 1);
            assert!(
                error.problems[0].message.contains("Service/shop"),
                "{error}"
            );
        }
    }
}
