//! The app for which a recipe writes a Dockerfile.

use super::error::GenerateError;
use super::images::BaseImages;
use super::script::Script;
use crate::plan::{Build, Plan, Start};
use crate::repository::folder::Folder;
use crate::{Detection, Language};

/// The user that generated images run as: `nonroot` of the distroless images, a number that no account has elsewhere.
pub(crate) const UID: u32 = 65532;

/// What the recipes look at.
pub(crate) struct App<'a> {
    pub(crate) folder: Folder<'a>,
    pub(crate) detection: &'a Detection,
    /// How it is installed, built and started.
    pub(crate) plan: Plan,
    pub(crate) images: &'a BaseImages,
    pub(crate) language: Language,
    /// Why nothing is started, where a file says why.
    pub(crate) obstacle: Option<String>,
}

impl App<'_> {
    /// The image of a role for the version that the project asks for.
    pub(crate) fn image(&self, role: &str) -> String {
        self.images.image(role, self.detection.version.as_deref())
    }

    /// Those of these files that the app has.
    pub(crate) fn present<'n>(&self, files: &[&'n str]) -> Vec<&'n str> {
        let files = files.iter().copied();
        files.filter(|file| self.folder.has(file)).collect()
    }

    /// What the last command of the build builds: a package, a file, a target. `find` reads it from a text that a user wrote.
    pub(crate) fn target<'a>(
        &'a self,
        find: impl Fn(&'a str) -> Option<&'a str>,
    ) -> Option<&'a str> {
        self.plan.build.as_ref()?.last()?.target_or(find)
    }

    /// The build as a shell reads it.
    pub(crate) fn build(&self) -> String {
        let build = self.plan.build.as_ref();
        build.map(Build::shell).unwrap_or_default()
    }

    pub(crate) fn framework(&self) -> &str {
        self.detection.framework.as_deref().unwrap_or_default()
    }

    pub(crate) fn manager(&self) -> &str {
        self.detection
            .package_manager
            .as_deref()
            .unwrap_or_default()
    }

    pub(crate) fn start(&self) -> Result<&Start, GenerateError> {
        let start = self.plan.start.as_ref();
        start.ok_or_else(|| self.no_start())
    }

    /// The error of an app that nothing starts, with what a file says about it.
    pub(crate) fn no_start(&self) -> GenerateError {
        GenerateError::NoStart {
            language: self.language,
            path: self.folder.path().to_owned(),
            why: self.obstacle.clone(),
        }
    }

    /// The settings that every image has, and those of the recipe.
    pub(crate) fn environment(&self, script: &mut Script, own: &[(&str, &str)]) {
        let port = self.detection.port.map(|port| port.to_string());
        let mut pairs: Vec<(&str, &str)> = own.to_vec();
        // The user has no entry in /etc/passwd, and no folder but /tmp that it may write to.
        pairs.push(("HOME", "/tmp"));
        if let Some(port) = &port {
            pairs.push(("PORT", port));
        }
        script.environment(&pairs, "runtime settings; the app must listen on PORT");
    }

    /// User, port and command: the end of every image.
    pub(crate) fn run(&self, script: &mut Script, command: &str) {
        self.user_and_port(script);
        script.command(command, "exec form, so the app receives SIGTERM directly");
    }

    pub(crate) fn user_and_port(&self, script: &mut Script) {
        script.line(
            &format!("USER {UID}:{UID}"),
            "numeric, so Kubernetes can verify that it isn't root",
        );
        if let Some(port) = self.detection.port {
            script.line(
                &format!("EXPOSE {port}"),
                "the port that the app listens on",
            );
        }
    }
}
