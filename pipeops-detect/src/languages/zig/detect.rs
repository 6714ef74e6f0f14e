//! Zig.

use crate::Language;
use crate::findings::{Findings, Role, weight};
use crate::plan::Command;
use crate::repository::folder::Folder;
use crate::repository::port::DEFAULT_PORT;
use crate::repository::version::{managed, number};

/// Names of packages that answer requests, as `build.zig.zon` lists them.
const FRAMEWORKS: &[(&str, &str)] = &[
    (".jetzig", "jetzig"),
    (".httpz", "httpz"),
    (".zap", "zap"),
    (".tokamak", "tokamak"),
    (".@\"http.zig\"", "httpz"),
];

/// Looks for a project of Zig's build system.
pub(crate) fn detect(folder: &Folder<'_>) -> Findings {
    let mut found = Findings::none(Language::Zig);
    let Some(build) = folder.text("build.zig") else {
        return found;
    };
    found.add(weight::MANIFEST, folder, "build.zig", "built by Zig");
    found.add_file(weight::LOCKFILE, folder, &["build.zig.zon"], "Zig packages");
    let packages = folder.text("build.zig.zon").unwrap_or_default();
    let requires = |name: &str| {
        let mut behind = packages.split(name).skip(1);
        behind.any(|rest| rest.trim_start().starts_with('='))
    };
    found.framework(folder, "build.zig.zon", FRAMEWORKS, requires);
    found.version(folder, version(folder, &packages));
    found.package_manager = Some("zig".to_owned());
    program(&mut found, folder, &build);
    found
}

fn version(folder: &Folder<'_>, packages: &str) -> Option<(&'static str, String)> {
    let told = [".zigversion", ".zig-version"]
        .into_iter()
        .find_map(|file| Some((file, number(&folder.text(file)?)?)));
    let asked = || {
        let (_, rest) = packages.split_once(".minimum_zig_version")?;
        Some(("build.zig.zon", number(rest.lines().next()?)?))
    };
    told.or_else(|| managed(folder, &["zig"])).or_else(asked)
}

/// The first program that the build makes.
fn program(found: &mut Findings, folder: &Folder<'_>, build: &str) {
    let name = build.split_once("addExecutable(").and_then(|(_, rest)| {
        let (_, rest) = rest.split_once(".name")?;
        let (_, rest) = rest.split_once('"')?;
        Some(rest.split_once('"')?.0)
    });
    let Some(name) = name else {
        found.role = Role::Library;
        return;
    };
    let says = format!("the program `{name}`");
    found.add(weight::ENTRY, folder, "build.zig", says);
    found.plan.build = Some(Command::new("zig build -Doptimize=ReleaseSafe").into());
    found.plan.start = Some(Command::program(format!("./zig-out/bin/{name}")));
    let source = folder.text("src/main.zig").unwrap_or_default();
    let serves = found.framework.is_some() || source.contains("std.http.Server");
    found.listens_or(folder, "src/main.zig", serves.then_some(DEFAULT_PORT));
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::languages::layouts::{Layout, check};

    // One line per layout.
    #[rustfmt::skip]
    const LAYOUTS: &[Layout] = &[
        (&[("build.zig", "b.addExecutable(.{\n .name = \"shop\",\n});"), ("build.zig.zon", ".minimum_zig_version = \"0.14.0\",\n.dependencies = .{ .httpz = .{} }")], &["start ./zig-out/bin/shop", "framework httpz", "port 8080", "version 0.14.0"]),
        (&[("build.zig", "b.addStaticLibrary(.{})")], &["role Library"]),
    ];

    #[test]
    fn layouts() {
        check(detect, LAYOUTS);
    }
}
