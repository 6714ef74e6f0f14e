//! Labels and annotations that PipeOps writes to Kubernetes objects, and their values.
//!
//! The labels are Kubernetes' [recommended labels]. Manifests write them and rollouts read them, so both take the names from
//! here.
//!
//! [recommended labels]: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/

/// The app's name. The workload's selector uses it.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";

/// The app's instance.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// What manages the object: [`MANAGER`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The revision, shortened to fit a label. It changes with every deployment, so no selector uses it.
pub const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// The value of [`MANAGED_BY_LABEL`], and the field manager of every server-side apply.
pub const MANAGER: &str = "pipeops";

/// The revision that an object belongs to: the commit SHA. It is on the workload and on its pods.
pub const REVISION_ANNOTATION: &str = "pipeops.dev/revision";
