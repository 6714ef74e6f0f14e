//! Transfers from the client's folders: the Dockerfile, the ignore file, the context.

use super::build::Build;
use super::dispatch::Action;
use super::error::{BuildError, BuildResult, SourceFile};
use super::filesync::{self, Purpose, Wanted};
use super::progress::Step;
use super::session::Session;
use super::solve::Ready;
use super::tree::{Node, Tree};

impl Build {
    /// Fetches the Dockerfile, and the ignore file that stands beside it if there is one.
    pub(super) async fn load_definition(&self) -> BuildResult<(SourceFile, Option<String>)> {
        let filename = &self.request.filename;
        let vertex = self
            .progress
            .begin(&format!("[internal] load build definition from {filename}"));
        let own_ignore = format!("{filename}.dockerignore");
        let wanted = Wanted {
            dir: self.request.dockerfile_dir.clone(),
            purpose: Purpose::Dockerfile,
            follow: vec![
                filename.clone(),
                own_ignore.clone(),
                filename.to_lowercase(),
            ],
            exclude: Vec::new(),
        };
        let tree = self.receive("build.definition", &wanted, vertex);
        let tree = tree
            .await
            .map_err(|error| error.context("failed to read dockerfile"))?;
        let path = tree
            .resolve(filename)
            .or_else(|| tree.resolve(&filename.to_lowercase()));
        let data = path.and_then(|path| match &tree.get(&path)?.node {
            Node::File(bytes) => Some(bytes.to_vec()),
            _ => None,
        });
        let data = data.ok_or_else(|| {
            let message = format!("open {filename}: no such file or directory");
            BuildError::new(message).context("failed to read dockerfile")
        })?;
        let source = SourceFile {
            name: filename.clone(),
            data,
        };
        Ok((source, tree.text(&own_ignore)))
    }

    /// Fetches a part of a folder of the client. The vertex ends with it.
    async fn receive(&self, operation: &str, wanted: &Wanted, vertex: Step) -> BuildResult<Tree> {
        let received = async {
            self.hook(operation, &wanted.dir).await?;
            filesync::fetch(self.session()?, wanted, &self.daemon.kept).await
        };
        match received.await {
            Ok(received) => {
                let what = match wanted.purpose {
                    Purpose::Dockerfile => "transferring dockerfile:",
                    _ => "transferring context:",
                };
                vertex.part(what, received.transferred);
                vertex.done();
                Ok(received.tree)
            }
            Err(error) => {
                vertex.failed(error.vertex_message());
                Err(error)
            }
        }
    }

    /// Fetches what the stages copy from the context; nothing when they copy nothing.
    pub(super) async fn load_context(
        &self,
        stages: &[Ready],
        ignore: Option<String>,
    ) -> BuildResult<Tree> {
        let ignore = match ignore {
            Some(ignore) => ignore,
            None => self.load_ignore_file().await?,
        };
        let mut follow = Vec::new();
        let mut everything = false;
        for stage in stages {
            for step in &stage.plan.steps {
                let Action::Copy(copy) = &step.action else {
                    continue;
                };
                if stage.origins.contains_key(&step.instruction) {
                    continue;
                }
                for source in &copy.sources {
                    let path = source.trim_start_matches('/').trim_end_matches('/');
                    everything |= path.is_empty() || path == ".";
                    follow.push(path.trim_start_matches("./").to_owned());
                }
            }
        }
        if follow.is_empty() {
            return Ok(Tree::default());
        }
        if everything {
            follow.clear();
        }
        follow.sort();
        follow.dedup();
        let wanted = Wanted {
            dir: self.request.context_dir.clone(),
            purpose: Purpose::Context,
            follow,
            exclude: ignore_patterns(&ignore),
        };
        let vertex = self.progress.begin("[internal] load build context");
        self.receive("build.context", &wanted, vertex).await
    }

    async fn load_ignore_file(&self) -> BuildResult<String> {
        let wanted = Wanted {
            dir: self.request.context_dir.clone(),
            purpose: Purpose::Ignore,
            follow: vec![".dockerignore".to_owned()],
            exclude: Vec::new(),
        };
        let vertex = self.progress.begin("[internal] load .dockerignore");
        let tree = self.receive("build.ignore", &wanted, vertex).await?;
        Ok(tree.text(".dockerignore").unwrap_or_default())
    }

    pub(super) fn session(&self) -> BuildResult<&Session> {
        let session = self.session.as_ref();
        session.ok_or_else(|| BuildError::new("no local sources enabled"))
    }
}

/// The lines of an ignore file that are patterns.
fn ignore_patterns(text: &str) -> Vec<String> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}
