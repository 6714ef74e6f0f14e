//! Node.js: dependencies first, then the build, then only what runs.

use super::script::{Script, quote};
use super::{App, GenerateError, static_site};

mod manager;
mod native;
mod node;

use manager::Manager;
use node::{Node, Ships};

pub(super) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
    let node = Node::read(app);
    if let Some(output) = &app.detection.output {
        let output = output.trim_start_matches("./").trim_end_matches('.');
        if node.installs() || app.detection.build.is_some() {
            build(&node, script);
            static_site::serve(app, script, &format!("/app/{output}"));
            return Ok(());
        }
        return static_site::write(app, script);
    }
    app.start()?;
    let builds = node.installs() || app.detection.build.is_some();
    if builds {
        build(&node, script);
    }
    script.stage(&app.image(node.run_role()), None, &run_reason(&node));
    let path = match &node.member {
        Some(member) => format!("/app/{member}/node_modules/.bin:/app/node_modules/.bin:$PATH"),
        None => "/app/node_modules/.bin:$PATH".to_owned(),
    };
    let mut environment = vec![("NODE_ENV", "production"), ("PATH", path.as_str())];
    environment.extend(node.listens_everywhere());
    app.environment(script, &environment);
    script.line("WORKDIR /app", "the app's folder");
    copy(&node, builds, script);
    if let Some(member) = &node.member {
        script.line(
            &format!("WORKDIR /app/{}", quote(member)),
            "the member of the workspace that is started",
        );
    }
    app.run(script, &node.command());
    Ok(())
}

fn run_reason(node: &Node<'_>) -> String {
    let mut why = "the image that runs: no package cache, no build tools".to_owned();
    if node.run_role() == "nodejs.run.openssl" {
        why = "the full image: Prisma's engine needs OpenSSL, which the slim one lacks".to_owned();
    }
    if let Some(browser) = node.package.first(native::BROWSERS) {
        // No image of the table has a browser with its libraries.
        why.push_str(&format!(
            "; NOT covered: the browser that {browser} starts and its libraries, which need a Dockerfile of your own"
        ));
    }
    why
}

/// Copies what runs into the last stage.
fn copy(node: &Node<'_>, builds: bool, script: &mut Script) {
    let why = "owned by root: the app cannot change itself";
    match node.ships() {
        _ if !builds => script.line("COPY . .", why),
        Ships::Everything => script.line("COPY --from=build /app ./", why),
        Ships::Output => script.line(
            "COPY --from=build /app/.output ./.output",
            "the server and all that it needs, bundled by the build",
        ),
        Ships::Standalone => {
            script.line(
                "COPY --from=build /app/.next/standalone ./",
                "the server with the part of node_modules that it needs",
            );
            script.line(
                "COPY --from=build /app/.next/static ./.next/static",
                "files for browsers, which the standalone folder lacks",
            );
            if node.app.folder.has_dir("public") {
                script.line(
                    "COPY --from=build /app/public ./public",
                    "files for browsers as they are in the sources",
                );
            }
        }
    }
}

/// The first stage: dependencies, then the build.
fn build(node: &Node<'_>, script: &mut Script) {
    let app = node.app;
    let manager = Manager::of(node);
    let why = match node.native_reason() {
        Some(why) => {
            format!("dependencies and build in a stage of their own; the full image: {why}")
        }
        None => "dependencies and build in a stage of their own".to_owned(),
    };
    script.stage(&app.image(node.build_role()), Some("build"), &why);
    script.line("WORKDIR /app", "the same folder as in the image that runs");
    if !manager.environment.is_empty() {
        script.environment(
            &manager.environment,
            "packages as folders, which the image can take along",
        );
    }
    if let Some(setup) = &manager.setup {
        script.run(
            &["/root/.npm"],
            setup,
            "the package manager that wrote the lock file",
        );
    }
    if node.needs_bun() {
        script.run(
            &["/root/.npm"],
            "npm install --global bun@1",
            "a script runs by bun",
        );
    }
    let copied = copy_manifests(node, script);
    if node.installs() {
        let install = match node.keeps_all() {
            true => app.detection.install.as_deref().unwrap_or("npm install"),
            false => &manager.only_production,
        };
        let mut why =
            "the cache mount keeps downloads between builds, outside of the image".to_owned();
        if !node.is_workspace() && node.package.depends_on_members() {
            // The build context is the app's folder.
            why.push_str("; NOT covered: members of the workspace beside this folder. Choose its root as the path");
        }
        let install = match node.adapts_to_node() {
            true => format!("{install} \\\n    && {}", manager.add_adapter),
            false => install.to_owned(),
        };
        script.run(&[manager.cache], &install, &why);
    }
    if !copied {
        script.line("COPY . .", "the sources last: they change most often");
    }
    if node.generates_prisma() {
        script.run(
            &[manager.cache],
            "npx prisma generate",
            "Prisma's client is made from the schema",
        );
    }
    project_build(node, script);
    if node.installs()
        && node.keeps_all()
        && node.may_prune()
        && let Some(prune) = &manager.prune
    {
        let why = "what only the build needed does not run";
        script.run(&[manager.cache], prune, why);
    }
}

fn project_build(node: &Node<'_>, script: &mut Script) {
    let Some(build) = node.app.detection.build.as_deref() else {
        return;
    };
    let (folder, build) = match build
        .strip_prefix("cd ")
        .and_then(|rest| rest.split_once(" && "))
    {
        Some((folder, build)) => (Some(folder), build),
        None => (None, build),
    };
    if let Some(folder) = folder {
        script.line(
            &format!("WORKDIR /app/{}", quote(folder)),
            "the member of the workspace that is built",
        );
    }
    if node.adapts_to_node() {
        let build = format!("GCP_BUILDPACKS=1 {build}");
        let why = "the variable by which SvelteKit's adapter-auto takes adapter-node";
        script.run(&[], &build, why);
    } else if let Some(folder) = node.next_folder() {
        // The link must not lead nowhere: Next.js makes folders inside.
        script.run(
            &[],
            &format!("{build} \\\n    && rm -rf {folder}/cache \\\n    && ln -s /tmp {folder}/cache"),
            "the project's own build; Next.js writes its cache while it runs, and only /tmp can be written to",
        );
    } else {
        script.run(&[], build, "the project's own build");
    }
    if folder.is_some() {
        script.line("WORKDIR /app", "back to the root of the workspace");
    }
}

/// Copies what installing needs; true when these are all sources.
fn copy_manifests(node: &Node<'_>, script: &mut Script) -> bool {
    if let Some(why) = node.needs_sources() {
        script.line("COPY . .", why);
        return true;
    }
    let manifests = node.manifests();
    if node.installs() && !manifests.is_empty() {
        script.line(
            &format!("COPY {manifests} ./"),
            "only what decides the dependencies: a change of sources keeps the next layer cached",
        );
    }
    false
}
