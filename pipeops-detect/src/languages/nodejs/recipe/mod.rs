//! The Node.js recipe: dependencies, then the build, then an image with only what runs.

use crate::generate::app::App;
use crate::generate::error::GenerateError;
use crate::generate::script::{CACHED, Script, quote};
use crate::languages::static_site::recipe as static_site;
use crate::plan::Build;

pub(crate) mod manager;
pub(crate) mod native;
mod node;
pub(crate) mod sources;

use manager::Manager;
use node::{Node, Ships};

pub(crate) fn write(app: &App<'_>, script: &mut Script) -> Result<(), GenerateError> {
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
    script.line("WORKDIR /app", "the app's directory");
    copy(&node, builds, script);
    if let Some(member) = &node.member {
        script.line(
            &format!("WORKDIR /app/{}", quote(member)),
            "the workspace member that is started",
        );
    }
    app.run(script, &node.command());
    Ok(())
}

fn run_reason(node: &Node<'_>) -> String {
    let mut why = "the final image, without package cache and build tools".to_owned();
    if node.run_role() == "nodejs.run.openssl" {
        why = "the full image, because Prisma's engine needs OpenSSL, which the slim image lacks"
            .to_owned();
    }
    if let Some(browser) = node.package.first(native::BROWSERS) {
        // No image of the table has a browser with its libraries.
        why.push_str(&format!(
            "; NOT covered: the browser that {browser} starts, and its libraries. Write your own Dockerfile for them"
        ));
    }
    why
}

/// Copies what runs into the last stage.
fn copy(node: &Node<'_>, builds: bool, script: &mut Script) {
    let why = "owned by root, so the app can't modify itself";
    match node.ships() {
        _ if !builds => script.line("COPY . .", why),
        Ships::Everything => script.line("COPY --from=build /app ./", why),
        Ships::Output => script.line(
            "COPY --from=build /app/.output ./.output",
            "the server with its dependencies, bundled by the build",
        ),
        Ships::Standalone => {
            script.line(
                "COPY --from=build /app/.next/standalone ./",
                "the server with the part of node_modules that it needs",
            );
            script.line(
                "COPY --from=build /app/.next/static ./.next/static",
                "browser assets, which the standalone folder lacks",
            );
            if node.app.folder.has_dir("public") {
                script.line(
                    "COPY --from=build /app/public ./public",
                    "static files from the sources",
                );
            }
        }
    }
}

/// The first stage: dependencies, then the build.
fn build(node: &Node<'_>, script: &mut Script) {
    let app = node.app;
    let manager = node.manager();
    let why = match node.native_reason() {
        Some(why) => {
            format!(
                "a separate stage for dependencies and the build; the full image, because {why}"
            )
        }
        None => "a separate stage for dependencies and the build".to_owned(),
    };
    script.stage(&app.image(node.build_role()), Some("build"), &why);
    script.line("WORKDIR /app", "the same directory as in the final image");
    if !manager.environment.is_empty() {
        script.environment(
            &manager.environment,
            "installs packages as folders, which the final image can copy",
        );
    }
    if let Some(setup) = &manager.setup {
        script.run(
            &["/root/.npm"],
            setup,
            "the package manager that wrote the lockfile",
        );
    }
    if node.needs_bun() {
        script.run(
            &["/root/.npm"],
            manager::BUN_BESIDE,
            "a script runs with Bun",
        );
    }
    let copied = copy_manifests(node, script);
    let prune = manager
        .prune
        .as_deref()
        .filter(|_| node.keeps_all() && node.may_prune());
    // Where nothing is built in between, both are one step.
    let at_once = copied && !node.builds();
    if node.installs() {
        install(node, &manager, prune.filter(|_| at_once), script);
    }
    if !copied {
        script.sources();
    }
    project_build(node, script);
    if let Some(prune) = prune.filter(|_| node.installs() && !at_once) {
        let why = "removes what only the build needs";
        script.run(&[manager.cache], prune, why);
    }
}

fn install(node: &Node<'_>, manager: &Manager, prune: Option<&str>, script: &mut Script) {
    let told = node.app.detection.install.as_deref();
    let mut steps = vec![match node.keeps_all() {
        true => told.unwrap_or("npm install"),
        false => &manager.only_production,
    }];
    // Scripts that run behind the installation may generate code by the same settings.
    let stand_ins = match node.generates_while_installing() {
        true => node.stand_ins(),
        false => Vec::new(),
    };
    let export = format!("export {}", stand_ins.join(" "));
    if !stand_ins.is_empty() {
        steps.insert(0, &export);
    }
    if node.adapts_to_node() {
        steps.push(manager.add_adapter);
    }
    steps.extend(prune);
    script.run(&[manager.cache], &one_step(&steps), CACHED);
}

/// Commands of one step, each on a line of its own.
fn one_step(commands: &[&str]) -> String {
    commands.join(" \\\n    && ")
}

fn project_build(node: &Node<'_>, script: &mut Script) {
    let build = node.app.plan.build.as_ref();
    let in_member = build.and_then(|build| build.steps.first()?.folder.as_deref());
    if let Some(folder) = in_member {
        script.line(
            &format!("WORKDIR /app/{}", quote(folder)),
            "the workspace member that is built",
        );
    }
    let mut steps = Vec::new();
    let mut why = "runs the project's build".to_owned();
    if node.generates_prisma() {
        steps.push("npx prisma generate".to_owned());
        why.push_str("; generates Prisma's client from the schema");
    }
    if let Some(build) = build.map(Build::in_place) {
        if node.adapts_to_node() {
            steps.push(format!("GCP_BUILDPACKS=1 {build}"));
            why.push_str("; the variable makes SvelteKit's adapter-auto use adapter-node");
        } else {
            steps.push(build);
        }
        if let Some(folder) = node.next_folder() {
            // The link must not lead nowhere: Next.js makes folders inside.
            let back = if in_member.is_some() { "/app/" } else { "" };
            steps.push(format!("rm -rf {back}{folder}/cache"));
            steps.push(format!("ln -s /tmp {back}{folder}/cache"));
            why.push_str("; Next.js writes its cache at run time, and only /tmp is writable");
        }
    }
    let stand_ins = node.stand_ins();
    if !stand_ins.is_empty() && !steps.is_empty() {
        // For this step only: the image must not have them.
        steps.insert(0, format!("export {}", stand_ins.join(" ")));
        why.push_str("; the build asks for settings that only the running app has, so it gets stand-ins for this step");
    }
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    if !steps.is_empty() {
        script.run(&[], &one_step(&steps), &why);
    }
    if in_member.is_some() {
        script.line("WORKDIR /app", "back to the workspace root");
    }
}

/// Copies what installing needs; true when these are all sources.
fn copy_manifests(node: &Node<'_>, script: &mut Script) -> bool {
    if let Some(why) = node.needs_sources() {
        script.line("COPY . .", why);
        return true;
    }
    if node.installs() {
        sources::copy(script, &node.app.folder, "");
    }
    false
}
