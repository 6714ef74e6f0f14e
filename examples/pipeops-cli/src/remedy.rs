//! The command that starts the first fix of a diagnosis, by its code. The libraries name none: they don't know this command line.

use pipeops::core::Diagnosis;

/// Each command and the codes that it is for. A code counts before its area, which stands for all other codes in it.
///
/// Placeholders are values of the diagnosis' context.
const COMMANDS: &[(&str, &[&str])] = &[
    (
        "pipeops doctor",
        &[
            "build-pool/unreachable",
            "build/call-refused",
            "build/daemon-lost",
            "build/daemon-unreachable",
            "build/network-unreachable",
            "build/unknown",
            "cli/no-cluster",
            "cluster",
            "deployment/runner-lost",
            "image-pull/node-disk",
            "image-pull/registry-down",
            "image-pull/tls",
            "pod/admission-unavailable",
            "pod/container-start",
            "pod/refused",
            "pod/sandbox",
            "registry/timeout",
            "registry/tls",
            "registry/unreachable",
            "rollout/lease-lost",
            "rollout/record-unreadable",
        ],
    ),
    (
        "pipeops project registry update {project}",
        &[
            "build/base-image-missing",
            "build/credential-unavailable",
            "build/registry-auth",
            "build/registry-denied",
            "image-pull/auth",
            "image-pull/other",
            "image-pull/rate-limit",
            "registry/denied",
            "registry/helper-unsupported",
            "registry/login-missing",
            "registry/login-refused",
            "registry/rate-limited",
            "registry/repository-missing",
        ],
    ),
    (
        "pipeops project show {project}",
        &[
            "image-pull",
            "manifest",
            "pod",
            "project/incomplete",
            "rollout/invalid-stack",
            "rollout/not-found",
            "rollout/nothing-to-undo",
            "webhook/wrong-repository",
        ],
    ),
    (
        "pipeops rollout status {app} --namespace {namespace}",
        &[
            "pod/create",
            "pod/evicted",
            "pod/preempted",
            "pod/volume",
            "rollout",
        ],
    ),
    (
        "pipeops deploy {project} --commit {revision}",
        &[
            "image-pull/inspect",
            "image-pull/not-found",
            "rollout/revision-incomplete",
        ],
    ),
    ("pipeops project list", &["webhook/unknown-project"]),
    (
        "pipeops detect .",
        &[
            "deployment/no-language",
            "detect/incomplete",
            "detect/no-project",
            "detect/no-start",
        ],
    ),
    (
        "pipeops detect . --path {choice}",
        &["deployment/several-apps"],
    ),
    (
        "pipeops dockerfile args Dockerfile",
        &["build/invalid-dockerfile"],
    ),
    (
        "pipeops dockerfile generate .",
        &["build/dockerfile-missing"],
    ),
    (
        "pipeops dockerfile images",
        &["cli/base-images-file", "cli/base-image-missing"],
    ),
    ("buildctl prune", &["build/disk-full"]),
    ("buildctl prune --all", &["build/content-damaged"]),
];

/// Adds the command to a diagnosis that has none.
pub fn add(diagnosis: &mut Diagnosis) {
    if diagnosis.run.is_none() {
        diagnosis.run = command(diagnosis);
    }
}

/// The command for a diagnosis, with the values of its context.
///
/// It ends before the first placeholder without a value: `pipeops project show` says more than a wrong name.
pub fn command(diagnosis: &Diagnosis) -> Option<String> {
    let value = |name| {
        let context = &diagnosis.context;
        // A project's name is also its app's.
        let other = if name == "project" { "app" } else { name };
        context.get(name).or_else(|| context.get(other)).cloned()
    };
    let mut words: Vec<String> = Vec::new();
    for word in template(diagnosis.code.as_str())?.split(' ') {
        match placeholder(word).map(value) {
            None => words.push(word.to_owned()),
            Some(Some(value)) => words.push(quoted(&value)),
            Some(None) => {
                // Without its value, an option is wrong.
                words.pop_if(|last| last.starts_with("--"));
                break;
            }
        }
    }
    Some(words.join(" "))
}

/// A value as a shell takes it for one word.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&byte);
    match !value.is_empty() && value.bytes().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

/// The command for a code, with names in capitals where a diagnosis has values.
pub fn usage(code: &str) -> Option<String> {
    let words = template(code)?
        .split(' ')
        .map(|word| placeholder(word).map_or_else(|| word.to_owned(), str::to_uppercase));
    Some(words.collect::<Vec<_>>().join(" "))
}

fn template(code: &str) -> Option<&'static str> {
    let area = code.split('/').next()?;
    let of = |wanted| COMMANDS.iter().find(|(_, codes)| codes.contains(&wanted));
    of(code).or_else(|| of(area)).map(|(command, _)| *command)
}

fn placeholder(word: &str) -> Option<&str> {
    word.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pipeops::core::diagnosis::codes;

    use super::*;
    use crate::{Cli, pages};

    #[test]
    fn every_command_parses_and_every_code_is_in_the_book() {
        for (command, codes) in COMMANDS {
            let words = command.split(' ').map(|word| match placeholder(word) {
                Some("revision") => "4f2c9ab81e0d7365c2b9a4f1087e6d5c3b2a1908",
                Some(name) => name,
                None => word,
            });
            if command.starts_with("pipeops ") {
                assert!(Cli::try_parse_from(words).is_ok(), "{command}");
            }
            for code in *codes {
                let known = pages::all()
                    .any(|page| page.code == *code || page.code.split('/').next() == Some(code));
                assert!(known, "{code} is not in the book");
                let count = COMMANDS.iter().filter(|(_, codes)| codes.contains(code));
                assert_eq!(count.count(), 1, "{code} has two commands");
            }
        }
    }

    #[test]
    fn the_block_of_a_refused_image_pull() {
        let mut diagnosis =
            Diagnosis::new(&codes::rollout::IMAGE_PULL_AUTH).reason("authentication required");
        add(&mut diagnosis);
        assert_eq!(
            diagnosis.to_string(),
            "❌ Deployment failed: ImagePullBackOff\n\n\
             Reason: authentication required\n\n\
             Fix:\n\
             1. Verify registry credentials in project settings\n\
             2. Ensure image tag exists in registry\n\
             3. Check registry is accessible from cluster\n\n\
             Run: pipeops project registry update\n"
        );
    }

    #[test]
    fn a_command_has_the_values_that_are_known() {
        let status = Diagnosis::new(&codes::rollout::BUSY).context("app", "shop");
        assert_eq!(command(&status).unwrap(), "pipeops rollout status shop");
        let status = status.context("namespace", "eu");
        assert_eq!(
            command(&status).unwrap(),
            "pipeops rollout status shop --namespace eu"
        );
        let odd = Diagnosis::new(&codes::rollout::BUSY).context("app", "it's; rm");
        assert_eq!(
            command(&odd).unwrap(),
            r"pipeops rollout status 'it'\''s; rm'"
        );
        let update = Diagnosis::new(&codes::rollout::IMAGE_PULL_AUTH).context("app", "shop");
        assert_eq!(
            command(&update).unwrap(),
            "pipeops project registry update shop"
        );
    }
}
