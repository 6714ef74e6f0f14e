//! Debian packages: libraries and programs that slim images lack.

use super::script::Script;

/// Installs packages, and leaves nothing else behind.
pub(crate) fn install(script: &mut Script, packages: &[&str], why: &str) {
    if packages.is_empty() {
        return;
    }
    let mut packages = packages.to_vec();
    packages.sort_unstable();
    packages.dedup();
    script.line(
        "# hadolint ignore=DL3008",
        "Debian keeps only the newest version of a package, so a pinned version fails to install after the next security fix",
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

/// Installs what packages of a language need at run time: each one's name with the packages of Debian for it.
pub(crate) fn install_for(script: &mut Script, needs: &[(&str, &[&str])]) {
    let packages: Vec<&str> = needs
        .iter()
        .flat_map(|(_, packages)| *packages)
        .copied()
        .collect();
    let by: Vec<&str> = needs.iter().map(|(by, _)| *by).collect();
    let why = format!("required by {} at run time", by.join(", "));
    install(script, &packages, &why);
}
