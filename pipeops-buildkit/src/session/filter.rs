//! Selects the entries of a context that the daemon requested.

use std::collections::BTreeSet;
use std::io;

use super::patterns::{Matched, PatternError, Patterns, clean, has_wildcards};

/// Include and exclude patterns of one request.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    include: Patterns,
    exclude: Patterns,
    /// Whether no include pattern has wildcards before its end, so that folders without a possible match are skipped.
    plain_includes: bool,
    /// The same for the exceptions among the exclude patterns.
    plain_exceptions: bool,
}

/// What a folder matched; its entries need it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Above {
    include: Option<Matched>,
    exclude: Option<Matched>,
}

/// What the patterns say about one entry.
#[derive(Debug)]
pub(crate) struct Selection {
    /// It is sent.
    pub(crate) keep: bool,
    /// It is a folder and may hold something to send.
    pub(crate) enter: bool,
    /// For its entries.
    pub(crate) above: Above,
}

impl Filter {
    /// A filter for these patterns; without include patterns everything is included.
    pub(crate) fn new(include: &[String], exclude: &[String]) -> Result<Self, PatternError> {
        let include = Patterns::parse(include)?;
        let exclude = Patterns::parse(exclude)?;
        let plain_includes = include.texts(false).all(is_plain);
        let plain_exceptions = exclude.texts(true).all(is_plain);
        Ok(Self {
            include,
            exclude,
            plain_includes,
            plain_exceptions,
        })
    }

    /// Decides about one entry.
    pub(crate) fn select(&self, path: &str, is_dir: bool, above: &Above) -> Selection {
        let mut selection = Selection {
            keep: true,
            enter: is_dir,
            above: Above::default(),
        };
        if !self.include.is_empty() {
            let (included, seen) = self.include.matches_below(path, above.include.as_ref());
            selection.above.include = Some(seen);
            selection.keep = included;
            selection.enter = is_dir
                && (included || !self.plain_includes || may_hold(path, self.include.texts(false)));
        }
        if !self.exclude.is_empty() && (selection.keep || selection.enter) {
            let (excluded, seen) = self.exclude.matches_below(path, above.exclude.as_ref());
            selection.above.exclude = Some(seen);
            if excluded {
                selection.keep = false;
                selection.enter = selection.enter && self.may_hold_exception(path);
            }
        }
        selection
    }

    fn may_hold_exception(&self, path: &str) -> bool {
        !self.plain_exceptions
            || (self.exclude.has_exceptions() && may_hold(path, self.exclude.texts(true)))
    }
}

/// What path resolution needs to know about a tree.
pub(crate) trait Links {
    /// The target of a symlink; `None` if the entry isn't a symlink or doesn't exist.
    fn target(&self, path: &str) -> io::Result<Option<String>>;

    /// The names in a folder; empty if it doesn't exist.
    fn names(&self, dir: &str) -> io::Result<Vec<String>>;
}

/// Resolves the paths that a build wants to follow into include patterns: each path, and every symlink on its way with what
/// it points to. Links that lead out of the tree are read as if the tree were the whole disk.
///
/// `None` when a path resolves to the root: then nothing is filtered.
///
/// # Errors
/// If the tree can't be read.
pub(crate) fn follow_paths(links: &dyn Links, paths: &[String]) -> io::Result<Option<Vec<String>>> {
    let mut resolver = Resolver {
        links,
        resolved: BTreeSet::new(),
    };
    for path in paths {
        resolver.resolve(path)?;
    }
    if resolver.resolved.contains(".") {
        return Ok(None);
    }
    let mut patterns: Vec<String> = Vec::new();
    for path in resolver.resolved {
        let covered = patterns
            .last()
            .is_some_and(|last| path.starts_with(&format!("{last}/")));
        if !covered {
            patterns.push(path);
        }
    }
    Ok(Some(patterns))
}

/// Limit for the symlinks that are followed for one request. A chain can grow at every step without end.
const MOST_LINKS: usize = 10_000;

struct Resolver<'a> {
    links: &'a dyn Links,
    resolved: BTreeSet<String>,
}

impl Resolver<'_> {
    fn resolve(&mut self, path: &str) -> io::Result<()> {
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            if self.resolved.len() > MOST_LINKS {
                return Err(io::Error::other("too many symlinks to follow"));
            }
            self.walk(&path, &mut open)?;
        }
        Ok(())
    }

    /// Goes down one path until it ends or a symlink leads elsewhere.
    fn walk(&mut self, path: &str, open: &mut Vec<String>) -> io::Result<()> {
        let path = clean(&format!("/{path}"));
        let mut rest = path.trim_start_matches('/');
        let mut current = String::from(".");
        loop {
            let (part, after) = rest.split_once('/').unwrap_or((rest, ""));
            current = clean(&format!("{current}/{part}"));
            let targets = self.targets(&current)?;
            if !targets.is_empty() {
                if self.resolved.insert(current) {
                    open.extend(targets.iter().map(|target| format!("{target}/{after}")));
                }
                return Ok(());
            }
            if after.is_empty() {
                self.resolved.insert(current);
                return Ok(());
            }
            rest = after;
        }
    }

    /// Where the symlink at `path` points, or all symlinks when its last part has wildcards.
    fn targets(&self, path: &str) -> io::Result<Vec<String>> {
        let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
        if !has_wildcards(name) {
            return Ok(self.target(dir, path)?.into_iter().collect());
        }
        let Ok(glob) = Patterns::parse([name]) else {
            return Ok(Vec::new());
        };
        let mut targets = Vec::new();
        for name in self.links.names(dir)? {
            if glob.matches(&name) {
                targets.extend(self.target(dir, &clean(&format!("{dir}/{name}")))?);
            }
        }
        Ok(targets)
    }

    fn target(&self, dir: &str, path: &str) -> io::Result<Option<String>> {
        let target = self.links.target(path)?;
        Ok(target.map(|target| match target.starts_with('/') {
            true => clean(&target),
            false => clean(&format!("/{dir}/{target}")),
        }))
    }
}

/// Whether a pattern is plain text, but for `*` or `**` as its last part.
fn is_plain(pattern: &str) -> bool {
    !without_trailing_glob(pattern).contains(['*', '[', ']', '?', '^', '\\'])
}

fn without_trailing_glob(pattern: &str) -> &str {
    let pattern = pattern.strip_suffix("/**").unwrap_or(pattern);
    pattern.strip_suffix("/*").unwrap_or(pattern)
}

/// Whether one of these plain patterns lies in this folder.
fn may_hold<'a>(dir: &str, mut patterns: impl Iterator<Item = &'a str>) -> bool {
    let inside = format!("{dir}/");
    patterns.any(|pattern| format!("{}/", without_trailing_glob(pattern)).starts_with(&inside))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let owned = |list: &[&str]| {
            list.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        Filter::new(&owned(include), &owned(exclude)).unwrap()
    }

    fn select(filter: &Filter, path: &str, is_dir: bool) -> (bool, bool) {
        let mut above = Above::default();
        for (end, _) in path.match_indices('/') {
            above = filter.select(&path[..end], true, &above).above;
        }
        let selection = filter.select(path, is_dir, &above);
        (selection.keep, selection.enter)
    }

    #[test]
    fn without_patterns_everything_is_sent() {
        assert_eq!(select(&filter(&[], &[]), "a/b", true), (true, true));
        assert_eq!(select(&filter(&[], &[]), "a/b", false), (true, false));
    }

    #[test]
    fn an_excluded_folder_is_not_entered_unless_an_exception_may_be_in_it() {
        assert_eq!(
            select(&filter(&[], &["node_modules"]), "node_modules", true),
            (false, false)
        );
        let excluded = filter(&[], &["node_modules", "!node_modules/a/keep"]);
        assert_eq!(select(&excluded, "node_modules", true), (false, true));
        assert_eq!(select(&excluded, "node_modules/a", true), (false, true));
        assert_eq!(select(&excluded, "node_modules/b", true), (false, false));
        assert_eq!(
            select(&excluded, "node_modules/a/keep", false),
            (true, false)
        );
        assert_eq!(
            select(&filter(&[], &["x", "!**/*.md"]), "x", true),
            (false, true),
            "a wildcard may be anywhere"
        );
    }

    #[test]
    fn only_folders_on_the_way_to_an_include_are_entered() {
        let included = filter(&["a/b/Dockerfile"], &[]);
        assert_eq!(select(&included, "a", true), (false, true));
        assert_eq!(select(&included, "b", true), (false, false));
        assert_eq!(select(&included, "a/b/Dockerfile", false), (true, false));
        assert_eq!(
            select(&filter(&["src"], &["src/secret"]), "src/secret/x", false),
            (false, false)
        );
    }

    struct Fake(BTreeMap<&'static str, &'static str>);

    impl Links for Fake {
        fn target(&self, path: &str) -> io::Result<Option<String>> {
            Ok(self
                .0
                .get(path)
                .filter(|target| !target.is_empty())
                .map(|target| (*target).to_owned()))
        }

        fn names(&self, dir: &str) -> io::Result<Vec<String>> {
            let prefix = if dir == "." {
                String::new()
            } else {
                format!("{dir}/")
            };
            let below = self.0.keys().filter_map(|path| path.strip_prefix(&prefix));
            Ok(below
                .filter(|rest| !rest.contains('/'))
                .map(str::to_owned)
                .collect())
        }
    }

    fn follow(links: &[(&'static str, &'static str)], paths: &[&str]) -> Option<Vec<String>> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        follow_paths(&Fake(links.iter().copied().collect()), &paths).unwrap()
    }

    #[test]
    fn symlinks_on_the_way_are_followed_inside_the_tree() {
        let links = [
            ("bar", "foo/target"),
            ("foo", "/real"),
            ("abs", "/etc/passwd"),
            ("up", "../../x"),
        ];
        assert_eq!(
            follow(&links, &["bar/file"]).unwrap(),
            ["bar", "foo", "real/target/file"]
        );
        assert_eq!(follow(&links, &["abs"]).unwrap(), ["abs", "etc/passwd"]);
        assert_eq!(follow(&links, &["up"]).unwrap(), ["up", "x"]);
    }

    #[test]
    fn loops_end_and_the_root_means_everything() {
        assert_eq!(
            follow(&[("a", "b"), ("b", "a")], &["a/x"]).unwrap(),
            ["a", "b"]
        );
        assert_eq!(follow(&[("a", "a/a")], &["a"]).unwrap(), ["a"]);
        assert_eq!(follow(&[], &["."]), None);
        assert_eq!(follow(&[("a", "/")], &["a"]), None);
    }

    #[test]
    fn wildcards_follow_every_link_that_matches() {
        let links = [("l1", "t1"), ("l2", "t2"), ("plain", "")];
        assert_eq!(follow(&links, &["l*"]).unwrap(), ["l*", "t1", "t2"]);
        assert_eq!(follow(&links, &["p*"]).unwrap(), ["p*"]);
    }

    #[test]
    fn what_lies_under_another_result_is_left_out() {
        assert_eq!(follow(&[], &["a/b", "a", "ab"]).unwrap(), ["a", "ab"]);
    }
}
