//! `go.mod` and `go.work`, read word by word.

use crate::repository::folder::Folder;
use crate::repository::version::number;

/// What a `go.mod` says.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// The module's own path: `github.com/acme/shop`.
    pub(crate) path: String,
    go: Option<String>,
    toolchain: Option<String>,
    /// All modules that are needed.
    pub(crate) requires: Vec<String>,
    /// Those of them that the module's own sources import.
    direct: Vec<String>,
    /// Folders of the same tree that replace modules.
    pub(crate) local: Vec<String>,
}

impl Module {
    pub(crate) fn read(text: &str) -> Self {
        let first = |verb: &str| entries(text, verb).into_iter().next();
        let word = |line: &str| {
            let word = line.split_whitespace().next().unwrap_or_default();
            word.trim_matches('"').to_owned()
        };
        let requires = commented(text, "require");
        let is_direct = |line: &&String| !line.contains("// indirect");
        let replaces = entries(text, "replace");
        let local = replaces.iter().filter_map(|line| {
            let target = line.split_once("=>")?.1.trim();
            target
                .starts_with('.')
                .then(|| target.trim_end_matches('/').to_owned())
        });
        Self {
            path: first("module").map(|line| word(&line)).unwrap_or_default(),
            go: first("go"),
            toolchain: first("toolchain"),
            direct: requires
                .iter()
                .filter(is_direct)
                .map(|line| word(line))
                .collect(),
            requires: requires.iter().map(|line| word(line)).collect(),
            local: local.collect(),
        }
    }

    pub(crate) fn version(&self) -> Option<String> {
        let toolchain = self.toolchain.as_deref().and_then(number);
        toolchain.or_else(|| self.go.as_deref().and_then(number))
    }

    /// Whether the module's own sources import this module, or a later major version of it.
    pub(crate) fn uses(&self, path: &str) -> bool {
        self.direct.iter().any(|required| is_module(required, path))
    }

    /// Whether this module is needed at all.
    pub(crate) fn needs(&self, path: &str) -> bool {
        self.requires
            .iter()
            .any(|required| is_module(required, path))
    }

    /// The last part of its path that is no version: `shop` of `github.com/acme/shop/v2`.
    pub(crate) fn name(&self) -> &str {
        let is_version = |part: &&str| {
            !(part.starts_with('v') && part[1..].chars().all(|ch| ch.is_ascii_digit()))
        };
        self.path.rsplit('/').find(is_version).unwrap_or_default()
    }
}

/// Whether `required` is `path`, or a later major version of it.
fn is_module(required: &str, path: &str) -> bool {
    let rest = required.strip_prefix(path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("/v"))
}

/// The folders that a `go.work` uses, without those outside of the tree.
pub(crate) fn members(folder: &Folder<'_>) -> Option<Vec<String>> {
    Some(uses(&folder.text("go.work")?))
}

fn uses(text: &str) -> Vec<String> {
    let clean = |path: String| {
        path.trim_matches('"')
            .trim_start_matches("./")
            .trim_end_matches('/')
            .to_owned()
    };
    let paths = entries(text, "use").into_iter().map(clean);
    paths
        .filter(|path| !path.is_empty() && path != "." && !path.starts_with(".."))
        .collect()
}

/// What stands behind a verb, on its line or in its block, comments cut.
fn entries(text: &str, verb: &str) -> Vec<String> {
    let cut = |line: String| {
        line.split("//")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    commented(text, verb).into_iter().map(cut).collect()
}

/// What stands behind a verb, on its line or in its block, with the comments at the ends of lines.
fn commented(text: &str, verb: &str) -> Vec<String> {
    let mut entries = Vec::new();
    // The verb whose block it is.
    let mut inside: Option<String> = None;
    for line in text.lines().map(str::trim) {
        let code = line.split("//").next().unwrap_or_default().trim();
        if code.is_empty() {
            continue;
        }
        if let Some(block) = &inside {
            if code == ")" {
                inside = None;
            } else if block == verb {
                entries.push(line.to_owned());
            }
            continue;
        }
        // The verb is a word of its own: `go 1.22` is one, `godebug x=1` is not.
        let Some((word, rest)) = line.split_once([' ', '\t', '(']) else {
            continue;
        };
        if code.ends_with('(') {
            inside = Some(word.to_owned());
        } else if word == verb {
            entries.push(rest.trim().to_owned());
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_file_is_read_by_words() {
        let module = Module::read(
            "module github.com/acme/shop/v2\n\ngodebug default=go1.21\ngo 1.22.1 // least\nrequire github.com/a/b v1.0.0\nrequire (\n\tgithub.com/gin-gonic/gin v1.9 // indirect\n\tgithub.com/labstack/echo/v4 v4\n)\nreplace (\n\tx => ./x/\n\ty => z v1\n)\n",
        );
        assert_eq!(module.name(), "shop");
        assert_eq!(module.version().as_deref(), Some("1.22.1"));
        assert_eq!(module.requires.len(), 3);
        assert!(module.uses("github.com/a/b") && module.uses("github.com/labstack/echo"));
        assert!(
            module.needs("github.com/gin-gonic/gin") && !module.uses("github.com/gin-gonic/gin")
        );
        assert_eq!(module.local, ["./x"]);
        let told = Module::read("go 1.22\ntoolchain go1.24.2\n");
        assert_eq!(told.version().as_deref(), Some("1.24.2"));
        assert!(!is_module(
            "github.com/labstack/echo-contrib",
            "github.com/labstack/echo"
        ));
    }

    #[test]
    fn a_workspace_uses_folders_inside() {
        let text = "go 1.22\nuse (\n\t./api\n\t./worker/ // x\n\t../out\n)\nuse ./web\n";
        assert_eq!(uses(text), ["api", "worker", "web"]);
    }
}
