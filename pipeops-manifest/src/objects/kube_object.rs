//! A typed object of any kind in a stack.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use pipeops_core::Object;
use serde::Serialize;

/// Turns a typed object into one for a [`Stack`](pipeops_core::Stack): any type of [`k8s_openapi`], or one of your own with
/// `apiVersion` and `kind`. `None` if it has no name.
///
/// ```
/// use pipeops_manifest::k8s_openapi::api::core::v1::ConfigMap;
///
/// let mut config = ConfigMap::default();
/// assert!(pipeops_manifest::object(&config).is_none());
/// config.metadata.name = Some("limits".to_owned());
/// assert_eq!(pipeops_manifest::object(&config).unwrap().to_string(), "ConfigMap/limits");
/// ```
pub fn object<T: Serialize + ?Sized>(typed: &T) -> Option<Object> {
    serde_json::to_value(typed).ok().and_then(Object::new)
}

/// Defines the enum, the conversions from each kind, and the one into a [`pipeops_core::Object`].
macro_rules! kube_object {
    ($($article:literal $kind:ident),* $(,)?) => {
        /// A typed Kubernetes object, as hooks get it: see [`StandardManifests::with_hook`].
        ///
        /// The types are those of [`k8s_openapi`].
        ///
        /// [`StandardManifests::with_hook`]: crate::StandardManifests::with_hook
        #[derive(Clone, PartialEq)]
        #[non_exhaustive]
        pub enum KubeObject {
            $(
                #[doc = concat!($article, " ", stringify!($kind), ".")]
                $kind(Box<$kind>),
            )*
        }

        $(
            impl From<$kind> for KubeObject {
                fn from(object: $kind) -> Self {
                    Self::$kind(Box::new(object))
                }
            }
        )*

        impl KubeObject {
            /// The kind, as in the object's `kind` field.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => stringify!($kind),)*
                }
            }

            /// The object as JSON; `None` if a hook removed its name.
            pub(crate) fn to_object(&self) -> Option<Object> {
                match self {
                    $(Self::$kind(typed) => object(typed),)*
                }
            }
        }
    };
}

kube_object!(
    "A" ConfigMap,
    "A" Deployment,
    "An" Ingress,
    "A" NetworkPolicy,
    "A" PodDisruptionBudget,
    "A" Secret,
    "A" Service,
    "A" ServiceAccount,
);

/// Shows the kind only, because a `Secret`'s data must not be logged.
impl std::fmt::Debug for KubeObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}
