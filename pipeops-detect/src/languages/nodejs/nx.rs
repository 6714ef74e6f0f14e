//! Projects of Nx that share the root's package.

use serde_json::Value;

use super::member::Member;
use super::site::Site;
use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;

/// A project that is an app.
pub(crate) fn member(
    site: &Site<'_>,
    folder: &Folder<'_>,
    path: String,
    base: String,
) -> Option<Member> {
    let json = folder.json("project.json")?;
    if json
        .get("projectType")
        .is_some_and(|kind| kind != "application")
    {
        return None;
    }
    let build = json.pointer("/targets/build")?;
    let name = json
        .get("name")
        .and_then(Value::as_str)
        .map_or(base, str::to_owned);
    let executor = build
        .get("executor")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let output = build.pointer("/options/outputPath").and_then(Value::as_str);
    let output = output.map_or_else(
        || format!("dist/{path}"),
        |output| {
            output
                .replace("{workspaceRoot}/", "")
                .replace("{projectRoot}", &path)
        },
    );
    let mut found = Findings::none(Language::Nodejs);
    found.add(
        weight::ENTRY,
        folder,
        "project.json",
        format!("builds with {executor}"),
    );
    found.plan.build = Some(Command::new("npx nx build").arg(&name).into());
    found.port = Some(DEFAULT_PORT);
    describe(&mut found, site, executor, output);
    Some(Member { path, name, found })
}

fn describe(found: &mut Findings, site: &Site<'_>, executor: &str, output: String) {
    let is_page = ["vite", "angular", "web", "rspack", "astro"]
        .iter()
        .any(|word| executor.contains(word));
    if executor.contains("next") {
        found.framework = Some("next".to_owned());
        found.plan.start = Some(Command::new("npx next start").arg(output));
    } else if is_page {
        let angular = executor.contains("angular");
        let name = if angular {
            "angular"
        } else if executor.contains("vite") {
            "vite"
        } else {
            "webpack"
        };
        found.framework = Some(name.to_owned());
        found.role = Role::Frontend;
        let browser = executor.ends_with(":application");
        found.output = Some(if browser {
            format!("{output}/browser")
        } else {
            output
        });
    } else {
        let server = super::frameworks::server(site);
        found.framework = server.map(|server| server.name.to_owned());
        found.plan.start = Some(Command::new("node").arg(format!("{output}/main.js")));
    }
}
