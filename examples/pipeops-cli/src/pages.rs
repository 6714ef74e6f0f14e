//! The book of codes: the pages of the libraries, and those of this command's own failures.

use pipeops::core::diagnosis::{Page, codes};

/// All pages, area by area.
pub fn all() -> impl Iterator<Item = &'static Page> {
    codes::all().chain(PAGES.iter().copied())
}

macro_rules! pages {
    ($($name:ident = $code:literal {
        title: $title:literal,
        meaning: $meaning:literal,
        fixes: [$($fix:literal),* $(,)?] $(,)?
    })*) => {
        $(pub static $name: Page = Page {
            code: $code,
            title: $title,
            meaning: $meaning,
            fixes: &[$($fix),*],
        };)*

        static PAGES: &[&Page] = &[$(&$name),*];
    };
}

pages! {
    BAD_ARGUMENT = "cli/bad-argument" {
        title: "Invalid argument",
        meaning: "An argument is not a pair KEY=VALUE.",
        fixes: ["Write KEY=VALUE, or KEY alone to take the value from the environment"],
    }
    UNREADABLE = "cli/unreadable" {
        title: "Cannot read the file",
        meaning: "A file or folder on the command line doesn't exist, or you aren't permitted to read it.",
        fixes: ["Check the path and its permissions"],
    }
    UNWRITABLE = "cli/unwritable" {
        title: "Cannot write the file",
        meaning: "The command can't create a file in the given folder.",
        fixes: ["Make the folder writable"],
    }
    DATA_FOLDER = "cli/data-folder" {
        title: "No folder for the database",
        meaning: "The command stores projects and deployments in a folder. No folder is set, or the command can't create it.",
        fixes: ["Set a folder that you can write to: pipeops --data DIR, or PIPEOPS_DATA=DIR"],
    }
    NO_CLUSTER = "cli/no-cluster" {
        title: "No cluster: KubeconfigMissing",
        meaning: "Neither KUBECONFIG, ~/.kube/config nor a service account of a pod has a usable cluster configuration.",
        fixes: [
            "Set a kubeconfig: export KUBECONFIG=FILE",
            "Check that its current context exists: kubectl config current-context",
        ],
    }
    CANNOT_LISTEN = "cli/cannot-listen" {
        title: "Cannot listen: AddressInUse",
        meaning: "The server can't bind its address. Another program listens on it, or this machine doesn't have it.",
        fixes: ["Choose another address: pipeops serve --listen 127.0.0.1:PORT"],
    }
    SERVER_STOPPED = "cli/server-stopped" {
        title: "The server stopped",
        meaning: "The HTTP server stopped because its socket failed.",
        fixes: ["Restart the server: it resumes unfinished deployments"],
    }
    NO_SUCH_PROJECT = "cli/no-such-project" {
        title: "No such project",
        meaning: "The database has no project with this name.",
        fixes: [
            "List the projects: pipeops project list",
            "Or create it: pipeops project create NAME --repository URL --image REPOSITORY",
        ],
    }
    NO_SUCH_APP = "cli/no-such-app" {
        title: "No such app",
        meaning: "The namespace has no Deployment with this name.",
        fixes: [
            "Give the namespace: pipeops rollout status APP --namespace NAMESPACE",
            "List the projects: pipeops project list",
        ],
    }
    NO_SUCH_CODE = "cli/no-such-code" {
        title: "No such code",
        meaning: "This version of PipeOps has no page for this code. A newer version may have one.",
        fixes: ["List all codes: pipeops explain"],
    }
    NO_LANGUAGE = "cli/no-language" {
        title: "No language found",
        meaning: "No file in the folder identifies a language, and the folder has no Dockerfile.",
        fixes: [
            "Set the language: pipeops detect --language python DIR",
            "Or add a Dockerfile, which PipeOps builds unchanged",
        ],
    }
    BASE_IMAGES_FILE = "cli/base-images-file" {
        title: "Invalid base images file",
        meaning: "The file isn't valid JSON, or it has a role that no generated Dockerfile uses.",
        fixes: ["Start from the template: pipeops dockerfile images --output json"],
    }
    BASE_IMAGE_MISSING = "cli/base-image-missing" {
        title: "Base image not found",
        meaning: "The registry doesn't have a base image of the generated Dockerfile, so the command can't pin its digest.",
        fixes: ["Replace it: pipeops dockerfile generate --base-images FILE"],
    }
    APP_FILE = "cli/app-file" {
        title: "Invalid app file",
        meaning: "The file isn't valid YAML or JSON, or it doesn't describe an app.",
        fixes: ["Set at least name, namespace, revision and image"],
    }
    NO_CACHE_BUCKET = "cli/no-cache-bucket" {
        title: "No bucket for build caches",
        meaning: "S3_BUCKET is not set.",
        fixes: [
            "Set S3_BUCKET, S3_REGION and, for servers other than AWS, S3_ENDPOINT",
            "Set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, unless this machine has a role",
        ],
    }
    CACHE_NOT_DELETED = "cli/cache-not-deleted" {
        title: "Some objects were not deleted",
        meaning: "The S3 server refused to delete some objects or didn't answer. All other objects are deleted.",
        fixes: ["Run the collection again: it retries these objects"],
    }
    NO_ANSWER = "cli/no-answer" {
        title: "The server does not answer",
        meaning: "A server didn't answer in time, or it refused the request.",
        fixes: ["Check that the server runs, and that the environment variable has its address"],
    }
    BUCKET_MISSING = "cli/bucket-missing" {
        title: "The bucket does not exist",
        meaning: "The S3 server answers 404 (not found) to a request for the bucket.",
        fixes: ["Create the bucket. BuildKit doesn't create it"],
    }
    SERVERS_BROKEN = "cli/servers-broken" {
        title: "A server failed its check",
        meaning: "At least one server that the environment variables select failed its check.",
        fixes: ["Follow the fixes above, then run pipeops doctor again"],
    }
    DEMO = "cli/demo" {
        title: "Demo failed",
        meaning: "A step of the demo failed that is not part of a deployment.",
        fixes: [
            "Run the demo again",
            "To use stand-ins only, unset BUILDKIT_HOST, REGISTRY, KUBECONFIG, S3_BUCKET and GITEA_URL",
        ],
    }
    DEMO_GITEA = "cli/demo-gitea" {
        title: "Gitea refused the sample repository",
        meaning: "Gitea refused to create the sample repository or its webhook.",
        fixes: ["Check GITEA_URL, GITEA_USERNAME and GITEA_TOKEN. The token must be permitted to create repositories"],
    }
    DEMO_WEBHOOK = "cli/demo-webhook" {
        title: "Demo failed: no webhook received",
        meaning: "The demo pushed a commit but received no webhook for it.",
        fixes: [
            "Check the webhook's deliveries in the settings of the repository",
            "Check that the git server can reach the demo's address",
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_code_is_there_twice() {
        let mut seen = BTreeSet::new();
        assert_eq!(all().find(|page| !seen.insert(page.code)), None);
        assert!(PAGES.iter().all(|page| page.code.starts_with("cli/")));
    }
}
