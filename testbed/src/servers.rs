//! The servers: one file each, behind one trait. A new one is a file here and a line in [`ALL`].

pub mod buildkit;
pub mod gitea;
pub mod images;
pub mod kubernetes;
pub mod registry;
pub mod s3;
pub mod server;

use self::server::Server;
use crate::error::{Error, Result};

/// Every server, in the order in which `up` without names starts them.
pub static ALL: &[&dyn Server] = &[
    &registry::Anonymous,
    &registry::Authenticated,
    &images::Images,
    &buildkit::BuildKit,
    &kubernetes::Kubernetes,
    &gitea::Gitea,
    &s3::VersityGateway,
];

/// The server with this name.
pub fn find(name: &str) -> Result<&'static dyn Server> {
    ALL.iter()
        .copied()
        .find(|server| server.name() == name)
        .ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|server| server.name()).collect();
            Error::Usage(format!(
                "unknown server `{name}`; the servers are {}",
                names.join(", ")
            ))
        })
}

/// The servers with these names and all that they need, in the order of [`ALL`]; every one if there are no names.
pub fn select(names: &[&str]) -> Result<Vec<&'static dyn Server>> {
    let mut wanted: Vec<&'static str> = Vec::new();
    let mut open: Vec<&'static dyn Server> =
        names.iter().map(|name| find(name)).collect::<Result<_>>()?;
    while let Some(server) = open.pop() {
        if !wanted.contains(&server.name()) {
            wanted.push(server.name());
            open.extend(
                server
                    .needs()
                    .iter()
                    .map(|name| find(name))
                    .collect::<Result<Vec<_>>>()?,
            );
        }
    }
    Ok(ALL
        .iter()
        .copied()
        .filter(|server| names.is_empty() || wanted.contains(&server.name()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(selection: &[&'static dyn Server]) -> Vec<&'static str> {
        selection.iter().map(|server| server.name()).collect()
    }

    #[test]
    fn what_a_server_needs_comes_with_it_and_before_it() {
        let selection = select(&["kubernetes"]).unwrap();
        assert_eq!(names(&selection), ["registry", "kubernetes"]);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let text = select(&["postgres-ql"])
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("`postgres-ql`") && text.contains("buildkit"),
            "{text}"
        );
    }

    #[test]
    fn needs_name_servers_that_come_earlier() {
        for (position, server) in ALL.iter().enumerate() {
            for need in server.needs() {
                let found = ALL.iter().position(|other| other.name() == *need);
                assert!(
                    found.is_some_and(|found| found < position),
                    "{} needs {need}",
                    server.name()
                );
            }
        }
    }
}
