//! A detection as a person reads it.

use std::fmt;

use super::Detection;

impl fmt::Display for Detection {
    /// What was found, the evidence for it, and what else it could be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.headline(f)?;
        let kind = if self.port_default { " (default)" } else { "" };
        let port = self.port.map(|port| format!("{port}{kind}"));
        for (name, value) in [
            ("Version", &self.version),
            ("Packages", &self.package_manager),
            ("Install", &self.install),
            ("Build", &self.build),
            ("Start", &self.start),
            ("Serves", &self.output),
            ("Port", &port),
            ("Dockerfile", &self.dockerfile),
        ] {
            if let Some(value) = value {
                writeln!(f, "  {name:<11} {value}")?;
            }
        }
        self.reasons(f)
    }
}

impl Detection {
    fn headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(language) = self.language else {
            return match self.apps.len() {
                0 => writeln!(f, "No language found"),
                count => writeln!(
                    f,
                    "{count} apps side by side: choose one of them by its path"
                ),
            };
        };
        write!(f, "{language}")?;
        if let Some(framework) = &self.framework {
            write!(f, " ({framework})")?;
        }
        if self.path != "." {
            write!(f, " in {}", self.path)?;
        }
        writeln!(f, ", {} % sure", (self.confidence * 100.0).round())
    }

    fn reasons(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.evidence.is_empty() {
            writeln!(f, "\nBecause")?;
        }
        let width = self
            .evidence
            .iter()
            .map(|evidence| evidence.path.chars().count());
        let width = width.max().unwrap_or(0).min(40);
        for evidence in &self.evidence {
            writeln!(f, "  {:width$}  {}", evidence.path, evidence.says)?;
        }
        if !self.alternatives.is_empty() {
            writeln!(f, "\nIt could also be")?;
        }
        for other in &self.alternatives {
            writeln!(
                f,
                "  {}, {} % sure",
                other.language,
                (other.confidence * 100.0).round()
            )?;
        }
        if !self.apps.is_empty() {
            writeln!(f, "\nApps")?;
        }
        for app in &self.apps {
            writeln!(f, "  {app}")?;
        }
        Ok(())
    }
}
