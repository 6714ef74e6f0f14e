//! Displays a detection for people.

use std::fmt;

use super::Detection;
use crate::text::clean;

impl fmt::Display for Detection {
    /// Prints the result, its evidence and the alternatives. Control characters in texts of the repository are removed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.headline(f)?;
        let kind = if self.port_default { " (default)" } else { "" };
        let port = self.port.map(|port| format!("{port}{kind}"));
        let writable = (!self.writable.is_empty()).then(|| self.writable.join(", "));
        for (name, value) in [
            ("Context", &self.context),
            ("Version", &self.version),
            ("Packages", &self.package_manager),
            ("Install", &self.install),
            ("Build", &self.build),
            ("Release", &self.release),
            ("Start", &self.start),
            ("Serves", &self.output),
            ("Writes to", &writable),
            ("Port", &port),
            ("Dockerfile", &self.dockerfile),
        ] {
            if let Some(value) = value {
                writeln!(f, "  {name:<11} {}", shown(value))?;
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
                count => writeln!(f, "{count} apps: select one by its path"),
            };
        };
        write!(f, "{language}")?;
        if let Some(framework) = &self.framework {
            write!(f, " ({})", shown(framework))?;
        }
        if self.path != "." {
            write!(f, " in {}", shown(&self.path))?;
        }
        writeln!(f, ", confidence {} %", (self.confidence * 100.0).round())
    }

    fn reasons(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.evidence.is_empty() {
            writeln!(f, "\nEvidence")?;
        }
        let width = self
            .evidence
            .iter()
            .map(|evidence| evidence.path.chars().count());
        let width = width.max().unwrap_or(0).min(40);
        for evidence in &self.evidence {
            let (path, says) = (shown(&evidence.path), shown(&evidence.says));
            writeln!(f, "  {path:width$}  {says}")?;
        }
        if !self.alternatives.is_empty() {
            writeln!(f, "\nIt could also be")?;
        }
        for other in &self.alternatives {
            writeln!(
                f,
                "  {}, confidence {} %",
                other.language,
                (other.confidence * 100.0).round()
            )?;
        }
        if !self.apps.is_empty() {
            writeln!(f, "\nApps")?;
        }
        for app in &self.apps {
            writeln!(f, "  {}", shown(app))?;
        }
        Ok(())
    }
}

/// A text of the repository, on one line.
fn shown(text: &str) -> String {
    clean(text).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Evidence;

    #[test]
    fn no_text_of_the_repository_controls_the_terminal() {
        let detection = Detection {
            start: Some("echo  '\u{1b}[2J\u{202e}x'\ny".into()),
            apps: vec!["a\u{2028}b".into()],
            evidence: vec![Evidence {
                path: "c\rd".into(),
                says: "e\u{7}".into(),
            }],
            ..Detection::default()
        };
        let report = detection.to_string();
        assert!(report.contains("Start       echo  'x' y\n"), "{report}");
        assert!(
            report.contains("  c d  e\n") && report.contains("  a b\n"),
            "{report}"
        );
    }
}
