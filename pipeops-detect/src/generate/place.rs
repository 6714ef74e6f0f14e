//! Dockerfiles of apps that are a folder of the build context, not all of it.

use std::collections::BTreeMap;

const WHOLE: &str = "the whole build context, because the app needs files outside its own folder";

/// Moves instructions that a recipe wrote for the app's folder into that folder of the build context.
///
/// The working directory of each stage stands for the build context: `/app` is the context, `/app/apps/api` the app.
#[derive(Debug)]
pub(crate) struct Place {
    folder: String,
    stage: Stage,
    /// What stands for the build context in each stage with a name.
    roots: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Stage {
    /// Its name. The stage that runs has none.
    name: Option<String>,
    /// What stands for the build context.
    root: Option<String>,
    /// Whether it has the files of the build context.
    copied: bool,
}

impl Place {
    /// For an app in this folder, as a shell reads its name.
    pub(crate) fn new(folder: String) -> Self {
        Self {
            folder,
            stage: Stage::default(),
            roots: BTreeMap::new(),
        }
    }

    /// An instruction in its place; `None` for one that is not needed there.
    pub(crate) fn moved<'w>(&mut self, text: &str, why: &'w str) -> Option<(String, &'w str)> {
        if text.starts_with("FROM ") {
            self.stage = Stage {
                name: text.split_once(" AS ").map(|(_, name)| name.to_owned()),
                ..Stage::default()
            };
            return Some((text.to_owned(), why));
        }
        if let Some(folder) = text.strip_prefix("WORKDIR ")
            && self.stage.root.is_none()
        {
            self.stage.root = Some(folder.to_owned());
            let name = self.stage.name.clone();
            self.roots
                .extend(name.map(|name| (name, folder.to_owned())));
        }
        let root = self.stage.root.clone();
        if let Some(files) = text.strip_prefix("COPY --from=") {
            return Some((self.of_stage(files, root.as_deref()), why));
        }
        let copied = text.strip_prefix("COPY ");
        let copied = copied.filter(|files| !files.starts_with(['-', '<']));
        match (root, copied) {
            (Some(root), Some(files)) => self.of_context(files, &root, why),
            (Some(root), None) => Some((self.inside(text, &root), why)),
            (None, Some(files)) => {
                let (from, to) = files.rsplit_once(' ')?;
                Some((format!("COPY {} {to}", self.prefixed(from)), why))
            }
            (None, None) => Some((text.to_owned(), why)),
        }
    }

    /// A path of the app in the present stage.
    pub(crate) fn path(&self, path: &str) -> String {
        match &self.stage.root {
            Some(root) => self.inside(path, root),
            None => path.to_owned(),
        }
    }

    /// What another stage made. All of a stage are the files of the build context.
    fn of_stage(&mut self, files: &str, root: Option<&str>) -> String {
        let stage = files.split(' ').next().unwrap_or_default();
        let Some(other) = self.roots.get(stage).cloned() else {
            return format!("COPY --from={files}");
        };
        let words: Vec<&str> = files.split(' ').collect();
        if let ([_, from, "./" | "."], Some(root)) = (words.as_slice(), root)
            && from.trim_end_matches('/') == other
        {
            self.stage.copied = true;
            return format!("COPY --from={stage} {other} {root}");
        }
        format!("COPY --from={}", self.inside(files, &other))
    }

    /// Files of the build context: all of them in the stages that build, those that the recipe names where the app runs.
    fn of_context<'w>(
        &mut self,
        files: &str,
        root: &str,
        why: &'w str,
    ) -> Option<(String, &'w str)> {
        let whole = files == ". ." || files == ". ./";
        let (from, to) = files.rsplit_once(' ')?;
        let to_folder = to.starts_with('.');
        if to_folder && (whole || self.stage.name.is_some()) {
            if self.stage.copied {
                return None;
            }
            self.stage.copied = true;
            return Some((format!("COPY . {root}"), WHOLE));
        }
        Some((format!("COPY {} {to}", self.prefixed(from)), why))
    }

    /// Files of the app, from the build context.
    fn prefixed(&self, files: &str) -> String {
        let files = words(files).into_iter().map(|word| {
            let (quotes, path) = match word.strip_prefix('\'') {
                Some(rest) => ("'", rest),
                None => ("", word),
            };
            format!("{quotes}{}/{}", self.folder, path.trim_start_matches("./"))
        });
        files.collect::<Vec<_>>().join(" ")
    }

    /// A text in which the app's folder stands for the working directory.
    fn inside(&self, text: &str, root: &str) -> String {
        let mut moved = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(root) {
            let before = rest[..at].chars().next_back().or(moved.chars().next_back());
            let after = rest[at + root.len()..].chars().next();
            let name = |ch: char| ch.is_ascii_alphanumeric() || "_-.".contains(ch);
            let own = !before.is_some_and(|ch| name(ch) || ch == '/') && !after.is_some_and(name);
            moved.push_str(&rest[..at + root.len()]);
            if own {
                moved.push('/');
                moved.push_str(&self.folder);
            }
            rest = &rest[at + root.len()..];
        }
        moved.push_str(rest);
        moved
    }
}

/// The words of an instruction; quoted ones may have spaces.
fn words(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let ends = move |ch: char| {
        quoted ^= ch == '\'';
        ch == ' ' && !quoted
    };
    text.split(ends).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_moved_into_the_apps_folder() {
        let mut place = Place::new("apps/api".to_owned());
        for (line, expected) in [
            ("FROM python:3 AS build", Some("FROM python:3 AS build")),
            ("WORKDIR /app", Some("WORKDIR /app/apps/api")),
            ("COPY requirements.txt ./", Some("COPY . /app")),
            (
                "RUN pip install -r requirements.txt",
                Some("RUN pip install -r requirements.txt"),
            ),
            ("COPY . .", None),
            (
                "RUN cp /out/app /app/x /apply /venv/app",
                Some("RUN cp /out/app /app/apps/api/x /apply /venv/app"),
            ),
            ("FROM nginx", Some("FROM nginx")),
            (
                "COPY . /usr/share/nginx/html",
                Some("COPY apps/api/. /usr/share/nginx/html"),
            ),
            ("FROM python:3-slim", Some("FROM python:3-slim")),
            ("ENV PATH=/venv/bin:$PATH", Some("ENV PATH=/venv/bin:$PATH")),
            ("WORKDIR /app", Some("WORKDIR /app/apps/api")),
            (
                "COPY --from=build /venv /venv",
                Some("COPY --from=build /venv /venv"),
            ),
            (
                "COPY --from=build /app/.output ./.output",
                Some("COPY --from=build /app/apps/api/.output ./.output"),
            ),
            (
                "COPY config 'a b' ./config",
                Some("COPY apps/api/config 'apps/api/a b' ./config"),
            ),
            (
                "COPY --from=build /app ./",
                Some("COPY --from=build /app /app"),
            ),
            ("COPY . .", None),
            ("FROM nginx", Some("FROM nginx")),
            (
                "COPY --from=build /app/dist /usr/share/nginx/html",
                Some("COPY --from=build /app/apps/api/dist /usr/share/nginx/html"),
            ),
            ("FROM rust AS build", Some("FROM rust AS build")),
            ("WORKDIR /src", Some("WORKDIR /src/apps/api")),
            ("FROM debian", Some("FROM debian")),
            ("WORKDIR /app", Some("WORKDIR /app/apps/api")),
            (
                "COPY --from=build --chown=1:1 /src/_build/x ./",
                Some("COPY --from=build --chown=1:1 /src/apps/api/_build/x ./"),
            ),
            (
                "COPY --from=build /src ./",
                Some("COPY --from=build /src /app"),
            ),
            (
                "COPY --from=golang:1 /app/x /app/",
                Some("COPY --from=golang:1 /app/x /app/"),
            ),
        ] {
            let moved = place.moved(line, "").map(|(text, _)| text);
            assert_eq!(moved.as_deref(), expected, "{line}");
        }
    }
}
