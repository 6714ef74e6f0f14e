//! Libraries and programs that packages of a language need at run time, and that slim images lack.

use super::script::Script;

/// Installs packages of the image's distribution, where there are any.
pub(super) fn install(script: &mut Script, needs: &[(&str, &[&str])]) {
    let mut packages: Vec<&str> = needs
        .iter()
        .flat_map(|(_, packages)| packages.iter().copied())
        .collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return;
    }
    let by: Vec<&str> = needs.iter().map(|(by, _)| *by).collect();
    let names: Vec<String> = packages.iter().map(|name| format!("'{name}=*'")).collect();
    script.run(
        &[],
        &format!(
            "apt-get update \\\n && \
             apt-get install --yes --no-install-recommends {} \\\n && \
             rm -rf /var/lib/apt/lists/*",
            names.join(" ")
        ),
        &format!(
            "what {} needs at run time, in the version of the image's own release",
            by.join(", ")
        ),
    );
}
