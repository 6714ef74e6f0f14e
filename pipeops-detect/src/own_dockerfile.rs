//! The Dockerfile that a repository has of its own: where it is, and which port its image exposes.

use std::collections::BTreeMap;

use crate::repository::folder::{Folder, resolve};
use crate::{Detection, Evidence};
use pipeops_core::source::{SourceTree, SourceTreeExt};
use pipeops_dockerfile::{Dockerfile, ImageConfig};

/// The names that BuildKit looks for.
const NAMES: [&str; 2] = ["Dockerfile", "dockerfile"];

/// Folders that hold a Dockerfile of the app beside them.
const FOLDERS: &[&str] = &[
    ".docker",
    "build",
    "ci",
    "container",
    "containers",
    "deploy",
    "deployment",
    "deployments",
    "devops",
    "docker",
    "dockerfile",
    "dockerfiles",
    "images",
    "infra",
    "ops",
    "packaging",
    "package",
];

/// How many Dockerfiles are named that aren't used.
const MAX_NAMED: usize = 5;

/// Images that expose a port, by the last part of their name, and the ports. A tag that ends with the text in the second column.
#[rustfmt::skip]
const EXPOSED: &[(&str, &str, u16)] = &[
    ("nginx-unprivileged", "", 8080),
    ("nginx", "", 80),
    ("httpd", "", 80),
    ("caddy", "", 80),
    ("traefik", "", 80),
    ("tomcat", "", 8080),
    ("jetty", "", 8080),
    ("php", "apache", 80),
    ("wordpress", "", 80),
    ("ghost", "", 2368),
];

/// Reports the Dockerfile of the app, or of the whole tree, and the port that its image exposes. Names others where there is none.
pub(crate) fn add(detection: &mut Detection, tree: &dyn SourceTree, root: &Folder<'_>) {
    let app = Folder::open(tree, &detection.path);
    let mut folders = vec![&app];
    if app.path() != root.path() {
        folders.push(root);
    }
    let found = folders
        .iter()
        .find_map(|folder| find(folder, tree, detection));
    let Some(path) = found else {
        folders
            .iter()
            .for_each(|folder| name_others(detection, folder));
        return;
    };
    let text = tree.text(&path).unwrap_or_default();
    if let Some((port, says)) = exposed(&text) {
        detection.port = Some(port);
        detection.port_default = false;
        says_of(detection, &path, says);
    }
    detection.dockerfile = Some(path);
}

/// The path of the folder's Dockerfile. A link is followed inside of the tree, as BuildKit does.
fn find(folder: &Folder<'_>, tree: &dyn SourceTree, detection: &mut Detection) -> Option<String> {
    if let Some(name) = folder.first(&NAMES) {
        let path = folder.at(name);
        let Some(target) = written_link(folder, name, tree) else {
            return Some(path);
        };
        let says = format!("holds the path of {target}: a link, checked out as text");
        says_of(detection, &path, says);
        return Some(target);
    }
    let name = NAMES.into_iter().find(|name| folder.has_other(name))?;
    let link = folder.at(name);
    let target = tree.linked_file(&link);
    let says = match &target {
        Some(target) => format!("is a link to {target}"),
        None => "is a link that leads to no file of the repository: it isn't read".to_owned(),
    };
    says_of(detection, &link, says);
    target
}

/// Where a link points to that git wrote as a file with its target, as it does on systems without links.
fn written_link(folder: &Folder<'_>, name: &str, tree: &dyn SourceTree) -> Option<String> {
    let text = folder.text(name)?;
    let target = text.trim();
    // No Dockerfile is a single word.
    let is_path =
        !target.is_empty() && target.len() <= 255 && !target.contains(char::is_whitespace);
    let dir = match folder.path() {
        "." => "",
        path => path,
    };
    let path = resolve(dir, target).filter(|_| is_path && !target.starts_with('/'))?;
    (tree.has(&path) && path != folder.at(name)).then_some(path)
}

/// Names the Dockerfiles in other places, so that a generated one never replaces them unnoticed.
fn name_others(detection: &mut Detection, folder: &Folder<'_>) {
    let mut others = dockerfiles(folder, false);
    for name in FOLDERS.iter().filter(|name| folder.has_dir(name)) {
        let inner = folder.sub(name);
        others.extend(dockerfiles(&inner, true));
        for name in inner.dirs() {
            others.extend(dockerfiles(&inner.sub(name), true));
        }
    }
    let more = others.len().saturating_sub(MAX_NAMED);
    for path in others.into_iter().take(MAX_NAMED) {
        let says = "is a Dockerfile that isn't used: to build with it, name it".to_owned();
        says_of(detection, &path, says);
    }
    if more > 0 {
        let says = format!("{more} more Dockerfiles aren't used");
        says_of(detection, folder.path(), says);
    }
}

/// The paths of the files in a folder whose names say that they are Dockerfiles.
fn dockerfiles(folder: &Folder<'_>, plain: bool) -> Vec<String> {
    let is_one = |name: &&str| {
        let name = name.to_ascii_lowercase();
        let variant = name
            .strip_prefix("dockerfile")
            .or_else(|| name.strip_prefix("containerfile"));
        let variant = variant.is_some_and(|rest| match rest.chars().next() {
            None => plain || name == "containerfile",
            Some(mark) => matches!(mark, '.' | '-' | '_'),
        });
        (variant || name.ends_with(".dockerfile")) && !name.ends_with("ignore")
    };
    folder
        .ending("")
        .filter(is_one)
        .map(|name| folder.at(name))
        .collect()
}

fn says_of(detection: &mut Detection, path: &str, says: String) {
    let path = path.to_owned();
    detection.evidence.push(Evidence { path, says });
}

/// The first port that the image of the last stage exposes, by an instruction or by its base image.
fn exposed(dockerfile: &str) -> Option<(u16, String)> {
    let file = Dockerfile::parse(dockerfile.as_bytes()).ok()?;
    let last = file.stages.len().checked_sub(1)?;
    let config = file.image_config(last, &BTreeMap::new());
    if let Some(port) = config.ports.first() {
        return Some((*port, format!("exposes port {port}")));
    }
    let (name, port) = exposed_by_base(&config)?;
    Some((
        port,
        format!("is based on {name}, which exposes port {port}"),
    ))
}

fn exposed_by_base(config: &ImageConfig) -> Option<(String, u16)> {
    let base = config.base.as_deref()?;
    let image = base.split('@').next()?;
    let name = image.rsplit('/').next()?;
    let (name, tag) = name.split_once(':').unwrap_or((name, "latest"));
    let known = EXPOSED.iter().find(|(known, variant, _)| {
        name == *known && tag.split('-').any(|part| part.starts_with(variant))
    });
    known.map(|(_, _, port)| (image.to_owned(), *port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Detector;
    use pipeops_core::source::MemTree;

    fn detect(files: &[(&str, &str)]) -> Detection {
        let tree: MemTree = files.iter().copied().collect();
        Detector::new().detect(&tree)
    }

    fn evidence(detection: &Detection, path: &str) -> Vec<String> {
        let of = detection
            .evidence
            .iter()
            .filter(|evidence| evidence.path == path);
        of.map(|evidence| evidence.says.clone()).collect()
    }

    const GO: [(&str, &str); 2] = [
        ("go.mod", "module example.com/a\ngo 1.24\n"),
        ("main.go", "package main\nfunc main() {}\n"),
    ];

    #[test]
    fn the_port_is_the_images() {
        for (text, port) in [
            (
                "FROM alpine:3.22\nENV TUNES_PORT=4533\nEXPOSE ${TUNES_PORT}\n",
                4533,
            ),
            (
                "FROM node:22-slim AS base\nENV PORT=3000\nFROM base\nEXPOSE $PORT\n",
                3000,
            ),
            ("FROM a\nARG PORT\nEXPOSE ${PORT:-7000}\n", 7000),
            ("FROM a\nEXPOSE 9000/udp 8000-8002\n", 8000),
            (
                "FROM node:22 AS build\nRUN true\nFROM nginx:stable-alpine\nCOPY --from=build /app/dist /usr/share/nginx/html\n",
                80,
            ),
            ("FROM docker.io/library/httpd:2.4@sha256:00\n", 80),
            ("FROM nginxinc/nginx-unprivileged:alpine\n", 8080),
            ("ARG V=2\nFROM caddy:$V AS web\nFROM web\n", 80),
            ("FROM php:8.4-apache-bookworm\n", 80),
            ("FROM nginx\nEXPOSE 8081\n", 8081),
        ] {
            let detection = detect(&[GO[0], GO[1], ("Dockerfile", text)]);
            assert_eq!(detection.port, Some(port), "{text}");
            assert!(
                evidence(&detection, "Dockerfile")[0].contains(&format!("port {port}")),
                "{text}"
            );
        }
        // Nothing is said of what isn't known.
        for text in [
            "FROM php:8.4-fpm\n",
            "FROM example.com/team/base:1\n",
            "FROM $BASE\n",
            "FROM a\nEXPOSE $PORT\n",
            "RNU x\n",
        ] {
            let detection = detect(&[GO[0], GO[1], ("Dockerfile", text)]);
            assert!(evidence(&detection, "Dockerfile").is_empty(), "{text}");
        }
    }

    #[test]
    fn dockerfiles_in_other_places_are_named() {
        for path in [
            "docker/Dockerfile",
            "build/package/Dockerfile",
            "deploy/prod.Dockerfile",
            "Dockerfile.prod",
            "dockerfile-dev",
            "Containerfile",
            ".docker/web/Dockerfile.alpine",
        ] {
            let detection = detect(&[GO[0], GO[1], (path, "FROM alpine:3.22\nEXPOSE 9000\n")]);
            assert_eq!(detection.dockerfile, None, "{path}");
            assert!(
                evidence(&detection, path)[0].contains("isn't used"),
                "{path}"
            );
        }
        for files in [
            [GO[0], GO[1], ("Dockerfile.dockerignore", "*")],
            [GO[0], GO[1], ("docs/dockerfiles.md", "")],
            [
                ("Dockerfile", "FROM a\n"),
                ("docker/Dockerfile", "FROM b\n"),
                ("Dockerfile.dev", "FROM c\n"),
            ],
        ] {
            let says = detect(&files).to_string();
            assert!(!says.contains("isn't used"), "{says}");
        }
        let many: Vec<String> = (0..9).map(|n| format!("docker/{n}/Dockerfile")).collect();
        let mut files = GO.to_vec();
        files.extend(many.iter().map(|path| (path.as_str(), "FROM a\n")));
        let detection = detect(&files);
        assert!(
            evidence(&detection, ".").contains(&"4 more Dockerfiles aren't used".to_owned()),
            "{detection}"
        );
    }

    #[test]
    fn a_link_that_was_checked_out_as_text_is_one() {
        let target = (
            "docker/Dockerfile.debian",
            "FROM alpine:3.22\nEXPOSE 9000\n",
        );
        for (text, dockerfile) in [
            ("docker/Dockerfile.debian", "docker/Dockerfile.debian"),
            ("./docker/Dockerfile.debian\n", "docker/Dockerfile.debian"),
            ("../docker/Dockerfile.debian", "Dockerfile"),
            ("/docker/Dockerfile.debian", "Dockerfile"),
            ("docker/nothing", "Dockerfile"),
            ("Dockerfile", "Dockerfile"),
            ("", "Dockerfile"),
        ] {
            let detection = detect(&[GO[0], GO[1], target, ("Dockerfile", text)]);
            assert_eq!(detection.dockerfile.as_deref(), Some(dockerfile), "{text}");
            assert_eq!(
                detection.port == Some(9000),
                dockerfile != "Dockerfile",
                "{text}"
            );
        }
        let api = [
            ("api/go.mod", GO[0].1),
            ("api/main.go", GO[1].1),
            target,
            ("api/Dockerfile", "../docker/Dockerfile.debian"),
        ];
        assert_eq!(
            detect(&api).dockerfile.as_deref(),
            Some("docker/Dockerfile.debian")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_inside_of_the_tree_only() {
        use std::fs;
        use std::os::unix::fs::symlink;

        for (links, dockerfile, says) in [
            (
                &[("docker/Dockerfile.debian", "Dockerfile")] as &[_],
                Some("docker/Dockerfile.debian"),
                "is a link to docker/Dockerfile.debian",
            ),
            (
                &[
                    ("current", "dockerfile"),
                    ("./docker/Dockerfile.debian", "current"),
                ],
                Some("docker/Dockerfile.debian"),
                "is a link to",
            ),
            (&[("/etc/hostname", "Dockerfile")], None, "isn't read"),
            (&[("../outside", "Dockerfile")], None, "isn't read"),
            (&[("nothing", "Dockerfile")], None, "isn't read"),
            (&[("docker", "Dockerfile")], None, "isn't read"),
            (&[("Dockerfile", "Dockerfile")], None, "isn't read"),
            (
                &[
                    ("elsewhere/Dockerfile.debian", "Dockerfile"),
                    ("docker", "elsewhere"),
                ],
                None,
                "isn't read",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let at = |path: &str| folder.path().join("tree").join(path);
            fs::create_dir_all(at("docker")).unwrap();
            fs::write(folder.path().join("outside"), "FROM a\n").unwrap();
            for (path, text) in [
                GO[0],
                GO[1],
                (
                    "docker/Dockerfile.debian",
                    "FROM alpine:3.22\nEXPOSE 9000\n",
                ),
            ] {
                fs::write(at(path), text).unwrap();
            }
            links
                .iter()
                .for_each(|(target, link)| symlink(target, at(link)).unwrap());
            let tree = pipeops_core::source::DirTree::new(at("")).unwrap();
            let detection = Detector::new().detect(&tree);
            assert_eq!(detection.dockerfile.as_deref(), dockerfile, "{links:?}");
            assert_eq!(
                detection.port == Some(9000),
                dockerfile.is_some(),
                "{links:?}"
            );
            assert!(detection.to_string().contains(says), "{detection}");
        }
    }
}
