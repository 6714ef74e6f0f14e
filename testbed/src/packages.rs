//! Debian packages.

use std::collections::BTreeSet;
use std::process::Command;

use crate::cache::create_directory;
use crate::command::{run, run_long};
use crate::error::{Error, Result};

/// Which of these packages are not installed.
pub fn missing(packages: &BTreeSet<&'static str>) -> Result<Vec<&'static str>> {
    // dpkg-query fails when it does not know one of them, and still lists the others.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(packages)
        .output()
        .map_err(|_| not_debian())?;
    Ok(absent(packages, &String::from_utf8_lossy(&output.stdout)))
}

/// Installs packages, without what they only recommend.
pub fn install(packages: &[&'static str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let logs = std::env::temp_dir().join("pipeops-testbed-apt");
    create_directory(&logs)?;
    let label = format!("Debian packages {}", packages.join(" "));
    let mut install = apt_get();
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages);
    // The lists may be fresh enough, and `update` needs the network: it comes second.
    if run_long(&label, &logs.join("install.log"), &mut install).is_ok() {
        return Ok(());
    }
    run_long(
        "apt-get update",
        &logs.join("update.log"),
        apt_get().arg("update"),
    )?;
    run_long(&label, &logs.join("install.log"), &mut install)
}

/// The mirror that this machine's own packages come from.
pub fn mirror() -> String {
    let policy = run(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]));
    let lines = policy.unwrap_or_default();
    let main = lines
        .lines()
        .find(|line| line.trim_end_matches('/').ends_with("/debian"));
    main.unwrap_or("http://deb.debian.org/debian").to_owned()
}

fn absent(packages: &BTreeSet<&'static str>, listing: &str) -> Vec<&'static str> {
    let installed: BTreeSet<&str> = listing
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    packages
        .iter()
        .copied()
        .filter(|package| !installed.contains(package))
        .collect()
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn not_debian() -> Error {
    Error::Machine {
        what: "dpkg-query was not found, so this is not a Debian machine".to_owned(),
        fix: "run the testbed on Debian 12, for example in a virtual machine".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_package_with_its_configuration_kept_is_absent() {
        let wanted = BTreeSet::from(["containerd", "runc", "socat"]);
        let listing = "containerd installed\nrunc config-files\n";
        assert_eq!(absent(&wanted, listing), ["runc", "socat"]);
    }
}
