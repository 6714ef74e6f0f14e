//! The step that chooses the Dockerfile and filters build arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use pipeops_core::diagnosis::codes;
use pipeops_core::source::{DirTree, SourceTree, SourceTreeExt};
use pipeops_core::{Detection, Diagnosis};
use pipeops_detect::Language;
use pipeops_detect::{BaseImages, BuildSecret, generate};
use pipeops_dockerfile::{BuildMetadata, Dockerfile};
use serde::{Deserialize, Serialize};

use super::StepFailure;
use super::source::{blocking, unreadable};

/// The longest accepted Dockerfile, in bytes.
const MAX_DOCKERFILE: usize = 1 << 20;

/// How the image is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Plan {
    /// The path of the build context from the root of the repository; `.` is the root.
    pub context: String,
    /// The Dockerfile.
    pub dockerfile: PlannedDockerfile,
    /// The build arguments, without those that the Dockerfile doesn't declare.
    pub build_args: BTreeMap<String, String>,
    /// The detected language.
    pub language: Option<Language>,
    /// The port of the app, if the source names it.
    pub port: Option<u16>,
    /// The numeric user of the app, if the Dockerfile names it.
    pub uid: Option<u32>,
    /// The folders of the image that the app writes to, if the Dockerfile is generated.
    #[serde(default)]
    pub writable_paths: BTreeSet<String>,
}

/// The Dockerfile of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PlannedDockerfile {
    /// A Dockerfile of the repository, by its path from the build context.
    Own(String),
    /// A generated Dockerfile.
    Generated {
        /// Its text.
        text: String,
        /// Its `.dockerignore`, used instead of the repository's.
        ignore: String,
    },
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dockerfile {
            PlannedDockerfile::Own(path) => f.write_str(path)?,
            PlannedDockerfile::Generated { .. } => f.write_str("generated Dockerfile")?,
        }
        match self.build_args.len() {
            0 => Ok(()),
            1 => f.write_str(", 1 build argument"),
            count => write!(f, ", {count} build arguments"),
        }
    }
}

/// The input of a plan.
pub(super) struct PlanRequest {
    pub(super) detection: Detection,
    /// The Dockerfile in the project settings, from the app folder.
    pub(super) dockerfile: Option<String>,
    pub(super) args: BTreeMap<String, String>,
    pub(super) metadata: BuildMetadata,
    pub(super) images: BaseImages,
    /// The stage in the project settings.
    pub(super) target: Option<String>,
    /// The ids of the project's build secrets.
    pub(super) secrets: BTreeSet<String>,
}

impl PlanRequest {
    /// The plan for the source in this folder, and warnings.
    pub(super) async fn run(self, folder: PathBuf) -> Result<(Plan, Vec<String>), StepFailure> {
        blocking(move || self.plan(&DirTree::new(&folder).map_err(unreadable)?)).await?
    }

    fn plan(&self, tree: &dyn SourceTree) -> Result<(Plan, Vec<String>), StepFailure> {
        match self.own_dockerfile(tree)? {
            Some(own) => self.with_own(own),
            None => self.with_generated(tree),
        }
    }

    /// The Dockerfile of the repository, if there is one.
    fn own_dockerfile(&self, tree: &dyn SourceTree) -> Result<Option<Own>, StepFailure> {
        let app = match self.detection.path.as_str() {
            "." | "" => String::new(),
            path => format!("{path}/"),
        };
        let found = self.detection.dockerfile.as_deref();
        let (folder, path) = match (self.dockerfile.as_deref(), found) {
            (Some(told), _) => (&*app, told),
            (None, None) => return Ok(None),
            (None, Some(found)) => match found.strip_prefix(&app) {
                Some(path) => (&*app, path),
                // A Dockerfile outside of the app's folder builds the whole repository.
                None => ("", found),
            },
        };
        let file = format!("{folder}{path}");
        let file = tree.linked_file(&file).unwrap_or(file);
        let bytes = tree.read(&file, MAX_DOCKERFILE + 1).map_err(unreadable)?;
        match bytes {
            Some(bytes) if bytes.len() <= MAX_DOCKERFILE => Ok(Some(Own {
                context: match folder {
                    "" => ".".to_owned(),
                    _ => self.detection.path.clone(),
                },
                path: path.to_owned(),
                bytes,
            })),
            Some(_) => Err(bad_dockerfile(path, "it is larger than 1 MiB")),
            None => Err(bad_dockerfile(path, "the commit has no such file")),
        }
    }

    fn with_own(&self, own: Own) -> Result<(Plan, Vec<String>), StepFailure> {
        let parsed = Dockerfile::parse(&own.bytes)?;
        let (mut plan, warnings) = self.finish(&parsed, PlannedDockerfile::Own(own.path));
        plan.context = own.context;
        let target = self.target.as_deref().and_then(|name| parsed.target(name));
        let stage = target.unwrap_or(parsed.stages.len().saturating_sub(1));
        let config = parsed.image_config(stage, &plan.build_args);
        // What the arguments of this build expose goes before what the detector read without them.
        plan.port = config.ports.first().copied().or(self.detection.port);
        plan.uid = config.user.as_deref().and_then(numeric_user);
        Ok((plan, warnings))
    }

    fn with_generated(&self, tree: &dyn SourceTree) -> Result<(Plan, Vec<String>), StepFailure> {
        let generated = generate(tree, &self.detection, &self.images)?;
        let parsed = Dockerfile::parse(generated.dockerfile.as_bytes())?;
        let planned = PlannedDockerfile::Generated {
            text: generated.dockerfile.clone(),
            ignore: generated.dockerignore,
        };
        let (mut plan, mut warnings) = self.finish(&parsed, planned);
        plan.context = self.detection.build_context().to_owned();
        warnings.extend(self.missing_secrets(&generated.secrets));
        plan.port = generated.port.or(self.detection.port);
        plan.uid = Some(generated.uid);
        plan.writable_paths = generated.writable_paths.into_iter().collect();
        Ok((plan, warnings))
    }

    /// Warns of secrets that the build can use and the project lacks. The build may succeed without them.
    fn missing_secrets(&self, wanted: &[BuildSecret]) -> impl Iterator<Item = String> {
        let missing = wanted
            .iter()
            .filter(|secret| !self.secrets.contains(&secret.id));
        missing.map(|secret| {
            format!(
                "the project has no build secret {}: {}. Set it if packages cannot be fetched",
                secret.id, secret.why
            )
        })
    }

    fn finish(
        &self,
        parsed: &Dockerfile<'_>,
        dockerfile: PlannedDockerfile,
    ) -> (Plan, Vec<String>) {
        let filtered = pipeops_dockerfile::filter(parsed, &self.args, &self.metadata);
        let dropped = filtered
            .dropped
            .iter()
            .map(|arg| format!("build argument {} is dropped: {}", arg.key, arg.why));
        let warnings = dropped.chain(filtered.warnings.iter().cloned()).collect();
        let plan = Plan {
            context: self.detection.path.clone(),
            dockerfile,
            build_args: filtered.args(),
            language: self.detection.language,
            port: None,
            uid: None,
            writable_paths: BTreeSet::new(),
        };
        (plan, warnings)
    }
}

/// A Dockerfile of the repository.
struct Own {
    /// The folder that it builds.
    context: String,
    /// Its path from there.
    path: String,
    bytes: Vec<u8>,
}

/// The number in `1000` or `1000:1000`. Only the image can resolve names, and root is never used.
fn numeric_user(user: &str) -> Option<u32> {
    let user = user.split(':').next()?;
    user.parse().ok().filter(|uid| *uid != 0)
}

fn bad_dockerfile(path: &str, why: &str) -> StepFailure {
    StepFailure::from_diagnosis(
        Diagnosis::new(&codes::deployment::DOCKERFILE_NOT_FOUND)
            .error(format!("cannot use the Dockerfile {path:?}"))
            .reason(why),
    )
}

#[cfg(test)]
mod tests {
    use pipeops_core::source::MemTree;

    use super::*;

    fn request(language: Option<Language>, dockerfile: Option<&str>) -> PlanRequest {
        let mut detection = Detection::default();
        detection.path = "api".to_owned();
        detection.language = language;
        detection.dockerfile = dockerfile.map(str::to_owned);
        PlanRequest {
            detection,
            dockerfile: None,
            args: BTreeMap::from([("VERSION".into(), "1".into()), ("OTHER".into(), "2".into())]),
            metadata: BuildMetadata::new("abc", "d1"),
            images: BaseImages::default(),
            target: None,
            secrets: BTreeSet::new(),
        }
    }

    #[test]
    fn the_repositorys_dockerfile_is_used_from_the_apps_folder() {
        let text = "FROM scratch\nARG VERSION\nUSER 1000:1000\nEXPOSE 9000/tcp\n";
        let tree = MemTree::from([("api/Dockerfile", text)]);
        let request = request(Some(Language::Go), Some("api/Dockerfile"));
        let (plan, warnings) = request.plan(&tree).unwrap();
        assert_eq!(plan.dockerfile, PlannedDockerfile::Own("Dockerfile".into()));
        assert_eq!(plan.context, "api");
        assert_eq!((plan.port, plan.uid), (Some(9000), Some(1000)));
        let kept = BTreeMap::from([("VERSION".into(), "1".into())]);
        assert_eq!(plan.build_args, kept);
        let dropped = warnings.join("\n");
        assert!(dropped.contains("OTHER is dropped"), "{dropped}");
    }

    #[test]
    fn a_member_of_a_workspace_is_built_from_its_root() {
        let tree = MemTree::from([
            (
                "pyproject.toml",
                "[tool.uv.workspace]\nmembers = ['apps/*', 'libs/*']",
            ),
            ("uv.lock", ""),
            (
                "apps/api/pyproject.toml",
                "[project]\nname = 'api'\ndependencies = ['greetings']",
            ),
            ("apps/api/main.py", ""),
            (
                "libs/greetings/pyproject.toml",
                "[project]\nname = 'greetings'",
            ),
        ]);
        let mut request = request(None, None);
        request.detection = pipeops_detect::Detector::new()
            .path("apps/api")
            .detect(&tree);
        let (plan, _) = request.plan(&tree).unwrap();
        assert_eq!(plan.context, ".");
        // Its own Dockerfile is written for its own folder.
        request.detection.dockerfile = Some("apps/api/Dockerfile".to_owned());
        let tree = MemTree::from([("apps/api/Dockerfile", "FROM scratch\n")]);
        assert_eq!(request.plan(&tree).unwrap().0.context, "apps/api");
    }

    #[test]
    fn a_dockerfile_outside_of_the_apps_folder_builds_the_repository() {
        let tree = MemTree::from([
            ("Dockerfile", "FROM scratch\n"),
            ("docker/Prod", "FROM scratch\n"),
        ]);
        for path in ["Dockerfile", "docker/Prod"] {
            let (plan, _) = request(Some(Language::Go), Some(path)).plan(&tree).unwrap();
            assert_eq!(plan.context, ".");
            assert_eq!(plan.dockerfile, PlannedDockerfile::Own(path.into()));
        }
    }

    #[test]
    fn port_and_user_are_those_of_this_build() {
        let text = "FROM scratch AS a\nARG VERSION\nARG UID=1000\nENV PORT=300$VERSION\nEXPOSE $PORT\nUSER $UID:$UID\nFROM a AS b\n\
            FROM scratch AS c\nEXPOSE 5000\n";
        let tree = MemTree::from([("api/Dockerfile", text)]);
        let mut request = request(None, Some("api/Dockerfile"));
        request.detection.port = Some(8080);
        for (target, port, uid) in [
            ("b", 3001, Some(1000)),
            ("A", 3001, Some(1000)),
            ("c", 5000, None),
        ] {
            request.target = Some(target.to_owned());
            let (plan, _) = request.plan(&tree).unwrap();
            assert_eq!((plan.port, plan.uid), (Some(port), uid), "{target}");
        }
    }

    #[test]
    fn root_is_not_taken_over_from_a_dockerfile() {
        for user in ["0", "root", "nobody"] {
            let text = format!("FROM scratch\nUSER 1000\nUSER {user}\n");
            let tree = MemTree::from([("api/Dockerfile", text.as_str())]);
            let (plan, _) = request(None, Some("api/Dockerfile")).plan(&tree).unwrap();
            assert_eq!(plan.uid, None, "{user}");
        }
    }

    #[test]
    fn secrets_that_the_project_lacks_are_said() {
        let tree = MemTree::from([
            (
                "api/package.json",
                r#"{"scripts": {"start": "node a.js"}, "dependencies": {"a": "1"}}"#,
            ),
            ("api/.npmrc", "//npm.example.com/:_authToken=${NPM_TOKEN}"),
        ]);
        let mut request = request(Some(Language::Nodejs), None);
        request.detection.start = Some("node a.js".into());
        let missing = |request: &PlanRequest| {
            let (_, warnings) = request.plan(&tree).unwrap();
            warnings.join("\n").contains("build secret NPM_TOKEN")
        };
        assert!(missing(&request));
        request.secrets.insert("NPM_TOKEN".into());
        assert!(!missing(&request));
    }

    #[test]
    fn folders_that_the_app_writes_to_reach_the_manifests() {
        let tree = MemTree::from([
            ("api/package.json", r#"{"scripts": {"start": "node a.js"}}"#),
            ("api/a.js", ""),
        ]);
        let mut request = request(Some(Language::Nodejs), None);
        request.detection.start = Some("node a.js".into());
        request.detection.writable = vec!["data".into()];
        let (plan, _) = request.plan(&tree).unwrap();
        let project = crate::project::Project::new("shop").unwrap();
        let environment = crate::project::Environment::new("production").unwrap();
        let digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let image = "r.io/shop:1".parse().unwrap();
        let built = pipeops_core::BuiltImage::new(&image, digest, 1, 0);
        let commit = "a".repeat(40).parse().unwrap();
        let app = crate::pipeline::manifests::app(&project, &environment, &commit, &plan, &built);
        assert!(app.unwrap().writable_paths.iter().eq(["/app/data", "/tmp"]));
    }

    #[test]
    fn a_failed_plan_says_why() {
        let mut named = request(Some(Language::Go), None);
        named.dockerfile = Some("docker/Prod".into());
        let mut several = request(None, None);
        several.detection.apps = vec!["api".into(), "web".into()];
        let malformed = request(None, Some("api/Dockerfile"));
        let tree = MemTree::from([("api/Dockerfile", "FROM scratch\nRNU true\n")]);
        for (request, text) in [
            (named, "DockerfileNotFound"),
            (request(None, None), "NoLanguageDetected"),
            (several, "api, web"),
            (malformed, "line 2"),
        ] {
            let diagnosis = request.plan(&tree).unwrap_err().diagnosis().to_string();
            assert!(diagnosis.contains(text), "{diagnosis}");
        }
    }
}
