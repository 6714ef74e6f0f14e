//! .NET: the SDK builds, the runtime runs.

use super::detect::{OUT, sdk};
use super::project::{Kind, Project, closure};
use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::{Script, quote};
use crate::languages::assets;
use crate::languages::static_site::recipe as static_site;
use crate::plan::Start;
use crate::repository::shell::{Line, Step, Word};
use crate::repository::version::compare;

const CACHE: &str = "/root/.nuget/packages";

/// Files that decide packages for all projects below them, as they are usually written.
const SHARED: &[&str] = &[
    "Directory.Build.props",
    "Directory.Build.targets",
    "Directory.Packages.props",
    "NuGet.Config",
    "NuGet.config",
    "global.json",
    "nuget.config",
];

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let install = app.plan.install.as_ref();
    let restored = |text| str::strip_prefix(text, "dotnet restore ");
    let Some(file) = install.and_then(|install| install.target_or(restored)) else {
        app.start()?;
        return Err(GenerateError::NoProject {
            path: app.folder.path().to_owned(),
        });
    };
    let project = Project::read(&app.folder, file);
    let node = assets::own_build(app);
    if let Some(node) = &node {
        assets::runtime(app, script, Some(node));
    }
    script.stage(
        &sdk_image(app),
        Some("build"),
        "a separate stage keeps the SDK out of the image",
    );
    script.line("WORKDIR /src", "the source directory");
    if let Some(node) = &node {
        assets::beside(script, node);
    }
    if let Some(project) = &project {
        restore(app, script, project);
    }
    script.sources();
    let options = project.as_ref().map(options).unwrap_or_default();
    script.fetch(
        &[CACHE],
        &format!(
            "dotnet publish {} --configuration Release{options} --output /out",
            quote(file)
        ),
    );
    if app.detection.output.is_some() {
        static_site::serve(app, script, "/out/wwwroot");
        return Ok(());
    }
    let start = app.start()?;
    let web = project.as_ref().is_none_or(|project| {
        project.kind == Kind::Web || project.text.contains("Microsoft.AspNetCore.App")
    });
    let role = if web {
        "dotnet.run"
    } else {
        "dotnet.run.console"
    };
    script.stage(&app.image(role), None, "only the runtime");
    // The diagnostics write into /tmp and wait for a debugger: nothing that a pod needs.
    app.environment(script, &[("DOTNET_EnableDiagnostics", "0")]);
    if app.detection.port.is_some() {
        let old = app
            .detection
            .version
            .as_deref()
            .is_some_and(|version| compare(version, "8").is_lt());
        let pair = if old {
            ("ASPNETCORE_URLS", "http://+:$PORT")
        } else {
            ("ASPNETCORE_HTTP_PORTS", "$PORT")
        };
        script.environment(&[pair], "the framework's own variable for the port");
    }
    script.line("WORKDIR /app", "the app's directory");
    script.line("COPY --from=build /out ./", "only the published output");
    script.served(|_| false);
    app.run(script, &published(app, start, file)?);
    Ok(())
}

/// The start command in the folder with the published output, where nothing else is.
fn published(app: &App<'_>, start: &Start, project: &str) -> Result<String, GenerateError> {
    // What was published into the folder `out` is the app's folder here.
    let text = start.start_text();
    let text = text.replace(&format!("dotnet {OUT}"), "dotnet ");
    let detected = app.detected.as_ref();
    let own = detected.map(|own| own.arguments.iter().find(|word| word.ends_with(".dll")));
    let (Some(own), Some(line), true) = (own.flatten(), Line::parse(&text), start.is_written())
    else {
        return Ok(text);
    };
    let own = own.trim_start_matches(OUT);
    let assembly = own.trim_end_matches(".dll");
    let mut steps = Vec::new();
    for mut step in line.steps {
        let called = step.word(1).rsplit('/').next().unwrap_or_default();
        match step.name() {
            // The image has one folder.
            "cd" => continue,
            "dotnet" if called == own => step.words[1] = Word::plain(own),
            "dotnet" => {
                let what = if called.is_empty() { "it" } else { called };
                return Err(GenerateError::StartCommand {
                    path: app.folder.path().to_owned(),
                    command: start.start_text(),
                    why: format!(
                        "{project} is published, which makes {own}, and `dotnet {what}` is something else"
                    ),
                });
            }
            name if name == assembly => {
                step.words
                    .splice(0..1, Step::of(&format!("dotnet {own}")).words);
            }
            _ => {}
        }
        steps.push(step);
    }
    Ok(match steps.as_slice() {
        [step] if step.then.is_empty() => step.text(),
        _ => Line::of(steps).shell(),
    })
}

/// The SDK: exactly the one that `global.json` asks for, where it allows no other.
fn sdk_image(app: &App<'_>) -> String {
    let Some((_, asked)) = sdk(&app.folder) else {
        return app.image("dotnet.build");
    };
    let settings = app.folder.json("global.json").unwrap_or_default();
    let roll = settings
        .pointer("/sdk/rollForward")
        .and_then(|roll| roll.as_str())
        .unwrap_or("latestPatch");
    // `latestPatch` stays in a band of hundred: 8.0.100 does not take 8.0.400.
    let pinned = roll.to_ascii_lowercase().ends_with("patch") || roll == "disable";
    // SDKs are numbered from 100 on: anything below is no version of one.
    let is_sdk = asked
        .split('.')
        .nth(2)
        .is_some_and(|patch| patch.len() == 3);
    let exact = pinned && is_sdk;
    let role = if exact {
        "dotnet.build.exact"
    } else {
        "dotnet.build"
    };
    app.images.image(role, Some(&asked))
}

/// A layer with the packages, from the project files alone.
fn restore(app: &App<'_>, script: &mut Script, project: &Project) {
    let Some(files) = closure(&app.folder, project) else {
        return;
    };
    let shared = app.present(SHARED);
    if !shared.is_empty() {
        script.line(
            &format!("COPY {} ./", shared.join(" ")),
            "settings that all projects share",
        );
    }
    for file in &files {
        let dir = file.rsplit_once('/').map(|(dir, _)| dir);
        let to = dir.map_or("./".to_owned(), |dir| format!("./{}/", quote(dir)));
        let lock = dir.map_or("packages.lock.json".to_owned(), |dir| {
            format!("{dir}/packages.lock.json")
        });
        let lock = if app.folder.has(&lock) {
            format!(" {}", quote(&lock))
        } else {
            String::new()
        };
        script.manifests(&format!("{}{lock}", quote(file)), &to);
    }
    script.fetch(
        &[CACHE],
        &format!("dotnet restore {}", quote(&project.file)),
    );
}

/// What `publish` must be told, because the project file leaves it open, or says what the runtime image makes needless.
fn options(project: &Project) -> String {
    let mut options = String::new();
    if project.text.contains("<TargetFrameworks>")
        && let Some((_, name)) = project.framework()
    {
        options.push_str(&format!(" --framework {}", quote(name)));
    }
    let native = [
        "PublishAot",
        "PublishSingleFile",
        "SelfContained",
        "PublishTrimmed",
    ];
    if native
        .iter()
        .any(|name| project.text.contains(&format!("<{name}>true")))
    {
        options.push_str(" --self-contained false -p:PublishAot=false -p:PublishSingleFile=false -p:PublishTrimmed=false");
    }
    options
}
