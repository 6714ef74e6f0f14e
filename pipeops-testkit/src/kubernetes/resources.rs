//! The kinds that the stand-in implements. Other kinds are unknown, as on a server without their API.

/// One kind of object and how it is served.
#[derive(Debug)]
pub(crate) struct Resource {
    /// The API group; empty for the core group.
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) namespaced: bool,
    /// Whether it is served with a `status` subresource.
    pub(crate) status: bool,
    /// Whether `metadata.generation` counts the changes of the spec.
    pub(crate) generation: bool,
    /// The name of its type in the schema.
    pub(crate) definition: &'static str,
    /// What names may look like.
    pub(crate) naming: Naming,
}

/// The rule for the names of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// RFC 1123 subdomain.
    Subdomain,
    /// RFC 1123 label.
    Label,
}

impl Resource {
    /// `deployments.apps`, `pods`.
    pub(crate) fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `apps/v1`, `v1`.
    pub(crate) fn api_version(&self) -> String {
        group_version(self.group, self.version)
    }

    /// The place of this resource in all tables that are ordered by kind.
    pub(crate) fn id(&self) -> &'static str {
        self.definition
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.definition == other.definition
    }
}

/// `apps/v1`, `v1`.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// The resource that is served at this group, version and plural name.
pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    ALL.iter()
        .copied()
        .find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// The resource of this `apiVersion` and `kind`.
pub(crate) fn of_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    ALL.iter()
        .copied()
        .find(|r| r.kind == kind && r.api_version() == api_version)
}

/// Every kind, core group first: the order of discovery.
pub(crate) static ALL: &[&Resource] = &[
    &NAMESPACES,
    &NODES,
    &PODS,
    &SERVICES,
    &CONFIG_MAPS,
    &SECRETS,
    &SERVICE_ACCOUNTS,
    &EVENTS,
    &DEPLOYMENTS,
    &REPLICA_SETS,
    &LEASES,
    &ENDPOINT_SLICES,
    &NETWORK_POLICIES,
    &POD_DISRUPTION_BUDGETS,
];

/// What most kinds have in common: a namespaced kind with a status.
const BASE: Resource = Resource {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    namespaced: true,
    status: true,
    generation: false,
    definition: "",
    naming: Naming::Subdomain,
};

pub(crate) static NAMESPACES: Resource = Resource {
    kind: "Namespace",
    plural: "namespaces",
    namespaced: false,
    definition: "io.k8s.api.core.v1.Namespace",
    naming: Naming::Label,
    ..BASE
};

pub(crate) static NODES: Resource = Resource {
    kind: "Node",
    plural: "nodes",
    namespaced: false,
    definition: "io.k8s.api.core.v1.Node",
    ..BASE
};

pub(crate) static PODS: Resource = Resource {
    kind: "Pod",
    plural: "pods",
    generation: true,
    definition: "io.k8s.api.core.v1.Pod",
    ..BASE
};

pub(crate) static SERVICES: Resource = Resource {
    kind: "Service",
    plural: "services",
    definition: "io.k8s.api.core.v1.Service",
    naming: Naming::Label,
    ..BASE
};

pub(crate) static CONFIG_MAPS: Resource = Resource {
    kind: "ConfigMap",
    plural: "configmaps",
    status: false,
    definition: "io.k8s.api.core.v1.ConfigMap",
    ..BASE
};

pub(crate) static SECRETS: Resource = Resource {
    kind: "Secret",
    plural: "secrets",
    status: false,
    definition: "io.k8s.api.core.v1.Secret",
    ..BASE
};

pub(crate) static SERVICE_ACCOUNTS: Resource = Resource {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    status: false,
    definition: "io.k8s.api.core.v1.ServiceAccount",
    ..BASE
};

pub(crate) static EVENTS: Resource = Resource {
    kind: "Event",
    plural: "events",
    status: false,
    definition: "io.k8s.api.core.v1.Event",
    ..BASE
};

pub(crate) static DEPLOYMENTS: Resource = Resource {
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    generation: true,
    definition: "io.k8s.api.apps.v1.Deployment",
    ..BASE
};

pub(crate) static REPLICA_SETS: Resource = Resource {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    generation: true,
    definition: "io.k8s.api.apps.v1.ReplicaSet",
    ..BASE
};

pub(crate) static LEASES: Resource = Resource {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    status: false,
    definition: "io.k8s.api.coordination.v1.Lease",
    ..BASE
};

pub(crate) static ENDPOINT_SLICES: Resource = Resource {
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    plural: "endpointslices",
    status: false,
    generation: true,
    definition: "io.k8s.api.discovery.v1.EndpointSlice",
    ..BASE
};

pub(crate) static NETWORK_POLICIES: Resource = Resource {
    group: "networking.k8s.io",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    status: false,
    generation: true,
    definition: "io.k8s.api.networking.v1.NetworkPolicy",
    ..BASE
};

pub(crate) static POD_DISRUPTION_BUDGETS: Resource = Resource {
    group: "policy",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    generation: true,
    definition: "io.k8s.api.policy.v1.PodDisruptionBudget",
    ..BASE
};
