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
        meaning: "An argument is not a pair with `=` between key and value.",
        fixes: ["Write KEY=VALUE, or KEY alone to take the value from the environment"],
    }
    UNREADABLE = "cli/unreadable" {
        title: "Cannot read the file",
        meaning: "A file or folder that the command line names does not exist, or its permissions forbid reading it.",
        fixes: ["Name a file or folder that exists and that you may read"],
    }
    UNWRITABLE = "cli/unwritable" {
        title: "Cannot write the file",
        meaning: "The command cannot create a file in the folder that the command line names.",
        fixes: ["Make the folder writable"],
    }
    DATA_FOLDER = "cli/data-folder" {
        title: "No folder for the database",
        meaning: "The command stores projects and deployments in a folder. No folder is set, or the command cannot create it.",
        fixes: ["Name a folder that you may write to: pipeops --data DIR, or PIPEOPS_DATA=DIR"],
    }
    NO_CLUSTER = "cli/no-cluster" {
        title: "No cluster: KubeconfigMissing",
        meaning: "The command found no usable cluster configuration in KUBECONFIG, in ~/.kube/config, or in the service account of a pod.",
        fixes: [
            "Name a kubeconfig: export KUBECONFIG=FILE",
            "Check that its current context exists: kubectl config current-context",
        ],
    }
    CANNOT_LISTEN = "cli/cannot-listen" {
        title: "Cannot listen: AddressInUse",
        meaning: "The server cannot bind its address: another program listens there, or the address is not one of this machine.",
        fixes: ["Choose another address: pipeops serve --listen 127.0.0.1:PORT"],
    }
    SERVER_STOPPED = "cli/server-stopped" {
        title: "The server stopped",
        meaning: "The HTTP server lost its socket.",
        fixes: ["Start the server again: it resumes unfinished deployments"],
    }
    NO_SUCH_PROJECT = "cli/no-such-project" {
        title: "No such project",
        meaning: "The database has no project of this name.",
        fixes: [
            "List the projects: pipeops project list",
            "Or create it: pipeops project create NAME --repository URL --image REPOSITORY",
        ],
    }
    NO_SUCH_APP = "cli/no-such-app" {
        title: "No such app",
        meaning: "The namespace has no Deployment of this name.",
        fixes: [
            "Name the namespace: pipeops rollout status APP --namespace NAMESPACE",
            "List the projects: pipeops project list",
        ],
    }
    NO_SUCH_CODE = "cli/no-such-code" {
        title: "No such code",
        meaning: "The book has no page of this code. A newer version of PipeOps may have one.",
        fixes: ["List all codes: pipeops explain"],
    }
    NO_LANGUAGE = "cli/no-language" {
        title: "No language found",
        meaning: "No file of the folder decides a language, and there is no Dockerfile.",
        fixes: [
            "Name the language: pipeops detect --language python DIR",
            "Or add a Dockerfile: PipeOps builds it as it is",
        ],
    }
    BASE_IMAGES_FILE = "cli/base-images-file" {
        title: "Invalid file of base images",
        meaning: "The file is not JSON, or names a role that no generated Dockerfile has.",
        fixes: ["Start from the table: pipeops dockerfile images --output json"],
    }
    BASE_IMAGE_MISSING = "cli/base-image-missing" {
        title: "Base image not found",
        meaning: "The registry does not have a base image of the generated Dockerfile, so the command cannot pin its digest.",
        fixes: ["Replace it: pipeops dockerfile generate --base-images FILE"],
    }
    APP_FILE = "cli/app-file" {
        title: "Invalid app file",
        meaning: "The file is not YAML or JSON, or it does not describe an app.",
        fixes: ["Give at least name, namespace, revision and image"],
    }
    NO_CACHE_BUCKET = "cli/no-cache-bucket" {
        title: "No bucket for build caches",
        meaning: "The environment names no S3 bucket.",
        fixes: [
            "Set S3_BUCKET, S3_REGION and, for servers other than AWS, S3_ENDPOINT",
            "Set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, unless this machine has a role",
        ],
    }
    CACHE_NOT_DELETED = "cli/cache-not-deleted" {
        title: "Some objects were not deleted",
        meaning: "The server of the bucket refused to delete objects, or did not answer. All other objects are deleted.",
        fixes: ["Run the collection again: it retries them"],
    }
    NO_ANSWER = "cli/no-answer" {
        title: "The server does not answer",
        meaning: "A server that the environment names did not answer in time, or refused the request.",
        fixes: ["Check that the server runs, and that the environment has its address"],
    }
    BUCKET_MISSING = "cli/bucket-missing" {
        title: "The bucket does not exist",
        meaning: "The S3 server answers 404 to a request for the bucket.",
        fixes: ["Create the bucket: BuildKit does not"],
    }
    SERVERS_BROKEN = "cli/servers-broken" {
        title: "A server does not answer as it should",
        meaning: "At least one of the servers that the environment names failed its check.",
        fixes: ["Follow the fixes above, then run pipeops doctor again"],
    }
    DEMO = "cli/demo" {
        title: "Demo failed",
        meaning: "A step of the demo that is not part of a deployment failed.",
        fixes: [
            "Run the demo again",
            "To use stand-ins only, unset BUILDKIT_HOST, REGISTRY, KUBECONFIG, S3_BUCKET and GITEA_URL",
        ],
    }
    DEMO_GITEA = "cli/demo-gitea" {
        title: "Gitea refused the sample repository",
        meaning: "Gitea refused a request with which the demo creates its repository and webhook.",
        fixes: ["Check GITEA_URL, GITEA_USERNAME and GITEA_TOKEN: the token needs the right to create repositories"],
    }
    DEMO_WEBHOOK = "cli/demo-webhook" {
        title: "Demo failed: no webhook came",
        meaning: "The demo pushed a commit, but received no webhook for it.",
        fixes: [
            "Look at the deliveries of the webhook in the repository's settings",
            "Check that the forge can reach the address of the demo",
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
