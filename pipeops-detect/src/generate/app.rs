//! The app for which a recipe writes a Dockerfile.

use super::error::GenerateError;
use super::images::BaseImages;
use super::script::Script;
use super::start::Place;
use crate::findings::Findings;
use crate::plan::{Build, Plan, Start};
use crate::repository::folder::Folder;
use crate::repository::shell::Line;
use crate::{Detection, Language};

/// The user that generated images run as: `nonroot` of the distroless images, a number that no account has elsewhere.
pub(crate) const UID: u32 = 65532;

/// What the recipes look at.
pub(crate) struct App<'a> {
    /// The folder that the commands of the plan run in.
    pub(crate) folder: Folder<'a>,
    /// The build context.
    pub(crate) context: Folder<'a>,
    /// The detection, with commands and paths from `folder`.
    pub(crate) detection: Detection,
    /// How it is installed, built and started.
    pub(crate) plan: Plan,
    pub(crate) images: &'a BaseImages,
    pub(crate) language: Language,
    /// Why nothing is started, where a file says why.
    pub(crate) obstacle: Option<String>,
    /// The variables that the start command set for itself.
    pub(crate) variables: Vec<(String, String)>,
    /// What of the start command is left out.
    pub(crate) note: Option<String>,
    /// What detection would start: a Procfile may say something else.
    pub(crate) detected: Option<Start>,
}

impl<'a> App<'a> {
    pub(crate) fn new(
        folder: Folder<'a>,
        context: Folder<'a>,
        detection: Detection,
        found: Findings,
        images: &'a BaseImages,
        language: Language,
    ) -> Result<Self, GenerateError> {
        let mut plan = Plan::of(&detection, found.plan.clone());
        let place = Place {
            folder: &folder,
            language,
            detected: &found,
            port: detection.port,
            images,
        };
        let start = plan.start.as_ref().map(|start| place.resolve(start));
        let resolved = start.transpose()?.unwrap_or_default();
        plan.start = resolved.start;
        Ok(Self {
            folder,
            context,
            plan,
            detection,
            images,
            language,
            obstacle: found.obstacle,
            variables: resolved.variables,
            note: resolved.note,
            detected: found.plan.start,
        })
    }

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
    pub(crate) fn target<'t>(
        &'t self,
        find: impl Fn(&'t str) -> Option<&'t str>,
    ) -> Option<&'t str> {
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

    /// The error of an app that nothing starts, with what a file says about it, and the apps to choose from.
    pub(crate) fn no_start(&self) -> GenerateError {
        GenerateError::NoStart {
            language: self.language,
            path: self.detection.path.clone(),
            why: self.obstacle.clone(),
            apps: self.detection.apps.clone(),
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
        let why = self.because("exec form, so the app receives SIGTERM directly");
        match self.words(command).filter(|_| !script.has_shell()) {
            Some(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                script.exec(&words, &why);
            }
            None => script.command(command, &why),
        }
    }

    /// A reason, and what of the start command is left out.
    pub(crate) fn because(&self, why: &str) -> String {
        match &self.note {
            Some(note) => format!("{why}; {note}"),
            None => why.to_owned(),
        }
    }

    /// The words of a command without a shell; `None` where only a shell can evaluate it.
    pub(crate) fn words(&self, command: &str) -> Option<Vec<String>> {
        let line = Line::parse(command)?;
        let step = line.simple().filter(|step| step.assignments.is_empty())?;
        let known = |name: &str| match name {
            "PORT" => self.detection.port.map(|port| port.to_string()),
            "HOME" => Some("/tmp".to_owned()),
            _ => None,
        };
        step.words.iter().map(|word| word.value(known)).collect()
    }

    pub(crate) fn user_and_port(&self, script: &mut Script) {
        let pairs = self.variables.iter();
        let pairs: Vec<(&str, &str)> = pairs
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        script.environment(&pairs, "set by the start command");
        script.line(
            &format!("USER {UID}:{UID}"),
            "numeric, so Kubernetes can verify that it isn't root",
        );
        let folders = self.detection.writable.iter().map(String::as_str);
        let folders: Vec<&str> = folders.filter(|folder| is_plain(folder)).collect();
        script.writable(&folders);
        if let Some(port) = self.detection.port {
            script.line(
                &format!("EXPOSE {port}"),
                "the port that the app listens on",
            );
        }
    }
}

/// Whether a path stays below its folder, and needs no quotes.
fn is_plain(path: &str) -> bool {
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "_-./".contains(ch);
    let inside = |part: &str| !matches!(part, "" | "." | "..");
    path.chars().all(plain) && path.split('/').all(inside)
}
