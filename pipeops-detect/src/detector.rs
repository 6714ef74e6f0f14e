//! The detector: weighs the rules of all languages against each other.

use std::fmt;
use std::sync::Arc;

use crate::devices;
use crate::findings::Findings;
use crate::findings::Role;
use crate::languages::{assets, frontends, php};
use crate::outside::{self, Outside, strangers};
use crate::own_dockerfile;
use crate::repository::folder::{Folder, resolve};
use crate::repository::port::{Port, configured};
use crate::repository::procfile;
use crate::repository::snapshot::Snapshot;
use crate::repository::writes;
use crate::search::{APP, Found, apps, detect, own_apps, runs};
use crate::settings;
use crate::{Alternative, Detection, Evidence, Language, LanguageDetector};
use pipeops_core::source::SourceTree;

/// Detects the language, framework and commands of an app.
///
/// Every language has built-in rules that weigh the evidence in a folder. The language with the highest score wins, and the
/// others become alternatives. If the root isn't an app, the detector looks for apps up to four levels below it. A language
/// that you set with [`language`](Self::language) always wins.
///
/// ```
/// use pipeops_detect::source::MemTree;
/// use pipeops_detect::{Detector, Language};
///
/// let tree = MemTree::from([("requirements.txt", "flask"), ("app.py", "from flask import Flask\napp = Flask('x')")]);
/// let detection = Detector::new().detect(&tree);
/// assert_eq!(detection.language, Some(Language::Python));
/// assert_eq!(detection.framework.as_deref(), Some("flask"));
/// assert_eq!(detection.evidence[0].to_string(), "requirements.txt: lists Python packages");
/// ```
#[derive(Clone, Default)]
pub struct Detector {
    language: Option<Language>,
    path: String,
    own: Vec<Arc<dyn LanguageDetector>>,
}

impl Detector {
    /// A detector that searches the whole tree for every language.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the language instead of detecting it. It gets confidence 1, and its rules still find version and commands. `None`
    /// restores detection.
    #[must_use]
    pub fn language(mut self, language: impl Into<Option<Language>>) -> Self {
        self.language = language.into();
        self
    }

    /// Limits detection to this folder of the tree. Default: the root.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Adds a detector for a stack of your own. The most confident detection with a language wins; the built-in rules reach at
    /// most 0.99. Your detector always sees the whole tree, whatever [`path`](Self::path) is.
    ///
    /// ```
    /// use pipeops_detect::source::{MemTree, SourceTree};
    /// use pipeops_detect::{Detection, Detector, Language, LanguageDetector};
    ///
    /// struct Notebooks;
    ///
    /// impl LanguageDetector for Notebooks {
    ///     fn detect(&self, tree: &dyn SourceTree) -> Detection {
    ///         let mut detection = Detection::default();
    ///         if matches!(tree.read("notebook.ipynb", 1), Ok(Some(_))) {
    ///             detection.language = Some(Language::Python);
    ///             detection.framework = Some("jupyter".to_owned());
    ///             detection.confidence = 1.0;
    ///         }
    ///         detection
    ///     }
    /// }
    ///
    /// let tree = MemTree::from([("notebook.ipynb", "{}")]);
    /// let detection = Detector::new().with(Notebooks).detect(&tree);
    /// assert_eq!(detection.framework.as_deref(), Some("jupyter"));
    /// ```
    #[must_use]
    pub fn with(mut self, detector: impl LanguageDetector + 'static) -> Self {
        self.own.push(Arc::new(detector));
        self
    }

    /// Detects the app in `tree`, without running any of its code.
    ///
    /// If nothing is found, [`Detection::language`] is `None`. If there are several apps and none at the root, it is `None` as
    /// well, and [`Detection::apps`] lists their folders: choose one with [`path`](Self::path).
    pub fn detect(&self, tree: &dyn SourceTree) -> Detection {
        let snapshot = Snapshot::new(tree);
        let root = Folder::open(&snapshot, &self.path);
        let mut detection = self.by_rules(&root);
        for own in &self.own {
            let other = own.detect(tree);
            if other.language.is_some() && other.confidence > detection.confidence {
                detection = other;
            }
        }
        if root.is_empty() {
            detection.evidence.push(Evidence {
                path: root.path().to_owned(),
                says: "the folder doesn't exist or is empty".to_owned(),
            });
        }
        add_frontends(&mut detection, &snapshot);
        own_dockerfile::add(&mut detection, &snapshot, &root);
        let app = Folder::open(&snapshot, &detection.path);
        add_default_port(&mut detection, &app);
        detection
    }
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector")
            .field("language", &self.language)
            .field("path", &self.path)
            .field("own", &self.own.len())
            .finish()
    }
}

impl LanguageDetector for Detector {
    fn detect(&self, tree: &dyn SourceTree) -> Detection {
        self.detect(tree)
    }
}

impl Detector {
    fn by_rules(&self, root: &Folder<'_>) -> Detection {
        let found = detect(root);
        match self.language {
            Some(language) => explicit(language, root, found),
            None => best(root, found),
        }
    }
}

/// The language is told: only where it lives is to be found.
fn explicit(language: Language, root: &Folder<'_>, found: Vec<Findings>) -> Detection {
    let here = found.into_iter().find(|found| found.language == language);
    let is_app = here
        .as_ref()
        .is_some_and(|found| found.confidence() >= APP || runs(found));
    let below = match is_app {
        true => None,
        false => apps(root, Some(language)).into_iter().next(),
    };
    let mut detection = match (below, here) {
        (Some((folder, found)), _) => detection(&folder, found),
        (None, Some(found)) => detection(root, vec![found]),
        (None, None) => detection(root, vec![Findings::none(language)]),
    };
    detection.language = Some(language);
    detection.confidence = 1.0;
    detection.alternatives.clear();
    detection.evidence.insert(
        0,
        Evidence {
            path: detection.path.clone(),
            says: format!("language set explicitly to {language}"),
        },
    );
    detection
}

/// The root, if it is an app; else the apps below.
fn best(root: &Folder<'_>, mut found: Vec<Findings>) -> Detection {
    // Scripts accompany every language.
    if found.len() > 1 {
        found.retain(|found| found.language != Language::Shell);
    }
    let is_app = |found: &Findings| found.confidence() >= APP;
    match found.first() {
        Some(best) if is_app(best) && runs(best) && best.inside(root).is_some() => {
            inside(root, found)
        }
        Some(best) if is_app(best) && runs(best) => with_others(root, found),
        Some(best) if is_app(best) => library(root, found),
        Some(best) if runs(best) => below(root, found, own_apps(root)),
        _ => {
            let mut all = apps(root, None);
            // The platforms of an app for phones are parts of it.
            all.retain(|(folder, _)| found.is_empty() || !devices::only(folder));
            below(root, found, all)
        }
    }
}

/// All that was found is in one folder: it is a part of the root, unless it is a project of its own, or one of several.
fn inside(root: &Folder<'_>, found: Vec<Findings>) -> Detection {
    let all = own_apps(root);
    let part = match all.as_slice() {
        [(_, found)] => !found.first().is_some_and(Findings::is_project),
        all => all.is_empty(),
    };
    match part {
        true => detection(root, found),
        false => below(root, found, all),
    }
}

fn below(root: &Folder<'_>, found: Vec<Findings>, mut below: Vec<Found<'_>>) -> Detection {
    match below.len() {
        // Better a weak guess than none.
        0 if found.is_empty() => part(root).unwrap_or_else(|| nothing(root)),
        0 => detection(root, found),
        1 => {
            let (folder, found) = below.remove(0);
            detection(&folder, found)
        }
        _ => several(root, &below),
    }
}

/// A folder that is an app by what a workspace above says of it.
fn part(folder: &Folder<'_>) -> Option<Detection> {
    let languages = [
        Language::Nodejs,
        Language::Go,
        Language::Java,
        Language::Rust,
    ];
    languages.into_iter().find_map(|language| {
        let outside = outside::find(folder, language).filter(|outside| outside.by_workspace)?;
        let (_, member) = outside.member(folder, language);
        let runs = member.plan.start.is_some() || member.output.is_some();
        runs.then(|| in_context(folder, vec![member], outside))
    })
}

/// A library at the root is not deployed: a server below that is a project of its own is. Programs without a manifest, and
/// pages, belong to the library: they are its parts, examples or documentation.
fn library(root: &Folder<'_>, found: Vec<Findings>) -> Detection {
    let mut all = own_apps(root);
    all.retain(|(_, found)| found.first().is_some_and(Findings::is_project));
    let serves =
        |(_, found): &Found<'_>| found.first().is_some_and(|best| best.role == Role::Server);
    match all.iter().any(serves) {
        true => below(root, found, all),
        false => detection(root, found),
    }
}

/// The app at the root, and those that are deployed with it: the back ends of a front end, and beside the members of a
/// workspace the apps in other languages, which its tool does not know. The root, which is what was asked about, stays the
/// answer.
fn with_others(root: &Folder<'_>, found: Vec<Findings>) -> Detection {
    let (language, role) = (found[0].language, found[0].role);
    let workspace = !found[0].members.is_empty();
    let mut detection = detection(root, found);
    // A plain page is a front end as well.
    if role != Role::Frontend && language != Language::Static && !workspace {
        return detection;
    }
    let mut others = own_apps(root);
    others.retain(|(folder, found)| {
        let direct = folder.path().rsplit_once('/').map_or(".", |(dir, _)| dir) == root.path();
        found.first().is_some_and(|best| {
            best.is_project()
                && match workspace {
                    true => best.language != language,
                    false => direct && best.role == Role::Server,
                }
        })
    });
    if others.is_empty() {
        return detection;
    }
    if let [(folder, found)] = others.as_slice()
        && role == Role::Frontend
        && detection.start.is_none()
        && detection.output.is_none()
    {
        // The front end at the root builds for the only server: that is the app.
        return self::detection(folder, found.clone());
    }
    let others = several(root, &others);
    detection.evidence.extend(others.evidence);
    if !workspace {
        detection.apps = vec![root.path().to_owned()];
    }
    detection.apps.extend(others.apps);
    detection.apps.sort();
    detection.apps.dedup();
    detection
}

fn nothing(root: &Folder<'_>) -> Detection {
    let mut detection = Detection::default();
    detection.path = root.path().to_owned();
    detection
}

fn several(root: &Folder<'_>, below: &[Found<'_>]) -> Detection {
    let evidence = below.iter().filter_map(|(folder, found)| {
        let best = found.first()?;
        Some(Evidence {
            path: folder.path().to_owned(),
            says: {
                let framework = best.framework.as_ref();
                let framework = framework.map(|framework| format!(" ({framework})"));
                let framework = framework.unwrap_or_default();
                format!(
                    "separate app: {}{framework}{}",
                    best.language,
                    best.started()
                )
            },
        })
    });
    let mut detection = nothing(root);
    detection.evidence = evidence.collect();
    detection.apps = below
        .iter()
        .map(|(folder, _)| folder.path().to_owned())
        .collect();
    detection
}

/// The detection of a folder by its best findings, with what it needs of the repository outside; the others are
/// alternatives.
fn detection(folder: &Folder<'_>, found: Vec<Findings>) -> Detection {
    match outside::find(folder, found[0].language) {
        Some(outside) => in_context(folder, found, outside),
        None => {
            let language = found[0].language;
            let mut detection = alone(folder, found);
            add_stranger(&mut detection, folder, language);
            detection
        }
    }
}

/// Says which package of the repository a public registry would be asked for.
fn add_stranger(detection: &mut Detection, folder: &Folder<'_>, language: Language) {
    if let Some(stranger) = strangers::find(folder, language) {
        detection.evidence.push(Evidence {
            path: folder.at(&stranger.file),
            says: stranger.says(),
        });
    }
}

/// The detection of an app whose build context is above its folder.
fn in_context(folder: &Folder<'_>, mut found: Vec<Findings>, outside: Outside) -> Detection {
    let language = found[0].language;
    if outside.runs_in(folder, language) {
        let (root, member) = outside.member(folder, language);
        found[0] = member;
        let mut detection = own(&root, found);
        detection.path = folder.path().to_owned();
        detection.apps.clear();
        let found = detection.start.clone();
        add_procfile(&mut detection, folder);
        if detection.start != found {
            // What the member's own file says runs in the member's folder.
            detection.start = detection.start.map(|start| outside.entered(&start));
        }
        add_facts(&mut detection, &root);
        detection.context = Some(outside.context);
        detection.evidence.extend(outside.evidence);
        return detection;
    }
    let mut detection = alone(folder, found);
    add_stranger(&mut detection, folder, language);
    for command in [
        &mut detection.install,
        &mut detection.build,
        &mut detection.start,
    ] {
        *command = command.take().map(|command| outside.entered(&command));
    }
    detection.output = detection
        .output
        .map(|output| format!("{}/{output}", outside.member));
    detection.context = Some(outside.context);
    detection.evidence.extend(outside.evidence);
    detection
}

/// The detection of a folder that needs nothing outside of it.
fn alone(folder: &Folder<'_>, found: Vec<Findings>) -> Detection {
    let mut detection = own(folder, found);
    add_procfile(&mut detection, folder);
    add_facts(&mut detection, folder);
    detection
}

/// Where the app writes, and which settings it misses.
fn add_facts(detection: &mut Detection, folder: &Folder<'_>) {
    add_writes(detection, folder);
    if let Some(language) = detection.language {
        let missing = settings::missing(folder, language);
        detection.evidence.extend(missing);
    }
}

fn own(folder: &Folder<'_>, mut found: Vec<Findings>) -> Detection {
    let best = found.remove(0);
    let mut detection = best.into_detection(folder);
    let prefix = |member: String| folder.at(&member);
    detection.apps = detection.apps.into_iter().map(prefix).collect();
    detection.alternatives = found
        .iter()
        .map(|other| Alternative {
            language: other.language,
            confidence: other.confidence(),
        })
        .collect();
    detection
}

/// Where the program writes: it runs on a read-only file system.
fn add_writes(detection: &mut Detection, folder: &Folder<'_>) {
    let (Some(language), Some(start)) = (detection.language, &detection.start) else {
        return;
    };
    // The member of a workspace that is started has its own folders.
    let (dir, _) = start
        .strip_prefix("cd ")
        .and_then(|rest| rest.split_once(" && "))
        .filter(|(dir, _)| resolve("", dir).as_deref() == Some(*dir))
        .unwrap_or_default();
    let inside = folder.sub(dir);
    let at = |path: &str| match dir {
        "" => path.to_owned(),
        dir => format!("{dir}/{path}"),
    };
    let linked = linked_folders(language, detection.framework.as_deref());
    for write in writes::find(&inside, language) {
        let first = write.folder.split('/').next().unwrap_or_default();
        if linked.contains(&first) {
            continue;
        }
        let folder_of = at(&write.folder);
        let says = if write.folder.is_empty() {
            format!(
                "writes {} beside the program, where the image is read-only: let it write to a folder of its own, such as data",
                write.path
            )
        } else if write.occupied {
            format!(
                "writes to {folder_of}, which is read-only because the repository has files in it: let it write to another folder"
            )
        } else {
            format!(
                "writes to {folder_of}: the folder is writable, empty when a pod starts, and lost when it ends"
            )
        };
        detection.evidence.push(Evidence {
            path: inside.at(&write.file),
            says,
        });
        if !write.folder.is_empty() && !write.occupied {
            detection.writable.push(folder_of);
        }
    }
}

/// Folders that images link to `/tmp` already.
fn linked_folders(language: Language, framework: Option<&str>) -> Vec<&'static str> {
    match language {
        Language::Ruby => vec!["tmp", "log"],
        Language::Php => {
            let needs = php::runtime::of(framework.unwrap_or_default());
            needs.folders.iter().map(|(folder, _)| *folder).collect()
        }
        _ => Vec::new(),
    }
}

fn add_procfile(detection: &mut Detection, folder: &Folder<'_>) {
    let text = folder.text("Procfile").unwrap_or_default();
    detection.release = procfile::release(&text);
    if detection.release.is_some() {
        detection.evidence.push(Evidence {
            path: folder.at("Procfile"),
            says: "has a release command, which deployments don't run: run it before the new version starts".to_owned(),
        });
    }
    let Some(process) = procfile::process(&text) else {
        return;
    };
    detection.evidence.push(Evidence {
        path: folder.at("Procfile"),
        says: format!("runs the process `{}`", process.name),
    });
    // What is no web process is not asked for anything.
    detection.port = match process.name.as_str() {
        "web" => detection
            .port
            .or(Some(crate::repository::port::DEFAULT_PORT)),
        _ => None,
    };
    // What is told to be run goes before what could be served as files.
    detection.output = None;
    detection.start = Some(process.command);
}

/// Says that a port is only a default, where nothing names one and no command takes it from `PORT` or sets it.
fn add_default_port(detection: &mut Detection, folder: &Folder<'_>) {
    let Some(port) = detection.port.filter(|_| detection.port_default) else {
        detection.port_default = false;
        return;
    };
    let start = detection.start.as_deref().unwrap_or_default();
    let number = port.to_string();
    let mut words = start.split(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_');
    // The ports of Tomcat and Apache are set by the recipe.
    let by_recipe = start.starts_with("catalina.sh") || start.contains("heroku-php-");
    if by_recipe || words.any(|word| word == "PORT" || word == number) {
        detection.port_default = false;
        return;
    }
    if let Some((file, port)) = configured(folder) {
        let says = match port {
            Port::Fixed(port) => {
                detection.port = Some(port);
                format!("listens on port {port}")
            }
            Port::FromEnvironment => "names the variable PORT".to_owned(),
        };
        detection.port_default = false;
        let path = folder.at(file);
        detection.evidence.push(Evidence { path, says });
        return;
    }
    detection.evidence.push(Evidence {
        path: detection.path.clone(),
        says: format!("nothing says which port it listens on: {port} is the default"),
    });
}

/// Reports the front ends below a server: those that its image takes in, and those that are apps of their own.
fn add_frontends(detection: &mut Detection, tree: &dyn SourceTree) {
    let Some(language) = detection.language.filter(|_| detection.start.is_some()) else {
        return;
    };
    let folder = Folder::open(tree, &detection.path);
    let folder = outside::find(&folder, language)
        .filter(|outside| outside.runs_in(&folder, language))
        .map_or(folder, |outside| Folder::open(tree, &outside.context));
    let found = frontends::find(&folder, language);
    let mut beside = Vec::new();
    let mut add = |path: &str, says: String| {
        let path = folder.at(path);
        detection.evidence.push(Evidence { path, says });
    };
    let frontend = assets::beside_manifest(&folder, language);
    let builds_assets = frontend.is_some();
    if let Some(frontend) = frontend {
        for (file, says) in frontend.facts() {
            add(&file, says);
        }
    }
    if folder.has("package.json") && frontends::built_by(&folder).is_some() {
        add(
            "package.json",
            "browser assets: built by the server's own build".to_owned(),
        );
    }
    for served in &found.served {
        let frontend = &served.frontend;
        add(&frontend.at(frontend.package.file), served.says());
    }
    for served in frontends::beside(&folder, language)
        .iter()
        .flat_map(|(_, all)| all)
    {
        let frontend = &served.frontend;
        let path = frontend.folder.at(frontend.package.file);
        let says = served.says();
        beside.push(Evidence { path, says });
    }
    for own in &found.own {
        let says = format!("a front end that the build of {} builds", own.file);
        add(&own.dir, says);
    }
    for (path, file) in &found.missing {
        let says = match builds_assets {
            true => format!(
                "compiles {path} in, which isn't in the repository: the build of package.json has to make it"
            ),
            false => format!(
                "compiles {path} in, which isn't in the repository, and which no front end builds: the build fails without it"
            ),
        };
        add(file, says);
    }
    for (dir, output) in &found.others {
        let says = format!(
            "a front end that the image doesn't contain, because nothing of the server names {output}: deploy it by this path"
        );
        add(dir, says);
    }
    detection.evidence.extend(beside);
    let is_inside = |app: &String| {
        let served = found
            .served
            .iter()
            .map(|served| served.frontend.dir.as_str());
        let mut inside = served.chain(found.own.iter().map(|own| own.dir.as_str()));
        inside.any(|dir| *app == folder.at(dir))
    };
    detection.apps.retain(|app| !is_inside(app));
    if found.others.is_empty() {
        return;
    }
    if detection.apps.is_empty() {
        detection.apps.push(folder.path().to_owned());
    }
    let others = found.others.iter().map(|(dir, _)| folder.at(dir));
    detection.apps.extend(others);
    detection.apps.sort();
    detection.apps.dedup();
}
