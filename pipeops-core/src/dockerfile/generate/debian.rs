//! Packages of Debian, where no base image brings them.

use super::script::Script;

/// Installs packages, and leaves nothing else behind.
pub(super) fn install(script: &mut Script, packages: &[&str], why: &str) {
    if packages.is_empty() {
        return;
    }
    let mut packages = packages.to_vec();
    packages.sort_unstable();
    packages.dedup();
    script.line(
        "# hadolint ignore=DL3008",
        "Debian keeps only the newest patch of a package: a pinned one cannot be installed after its next security fix",
    );
    script.run(
        &[],
        &format!(
            "apt-get update \\\n && apt-get install --yes --no-install-recommends {} \\\n && rm -rf /var/lib/apt/lists/*",
            packages.join(" ")
        ),
        why,
    );
}
