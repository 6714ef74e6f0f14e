//! The little of YAML that manifests of package managers use: maps and lists by indentation, scalars on one line.

/// A value and what is indented below it.
#[derive(Debug, Clone, Default)]
pub(super) struct Yaml<'a> {
    /// What stands on the line itself, without quotes and comment.
    value: &'a str,
    /// The lines below, with their indentation.
    lines: Vec<(usize, &'a str)>,
}

impl<'a> Yaml<'a> {
    /// Reads a document. What it does not understand is left out: a manifest is a hint here, not a contract.
    pub(super) fn read(text: &'a str) -> Self {
        let lines = text.lines().map(|line| line.trim_end());
        let lines = lines
            .map(|line| (line.len() - line.trim_start().len(), line.trim_start()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#') && *line != "---");
        Self {
            value: "",
            lines: lines.collect(),
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<Yaml<'a>> {
        self.entries()
            .into_iter()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The keys with their values, in their order.
    pub(super) fn entries(&self) -> Vec<(&'a str, Yaml<'a>)> {
        let Some(&(indent, _)) = self.lines.first() else {
            return Vec::new();
        };
        let mut entries: Vec<(&str, Yaml<'_>)> = Vec::new();
        for &(depth, line) in &self.lines {
            let is_entry = depth == indent && !line.starts_with("- ");
            if is_entry && let Some((key, value)) = pair(line) {
                let value = Yaml {
                    value: scalar(value),
                    lines: Vec::new(),
                };
                entries.push((key, value));
            } else if let Some((_, value)) = entries.last_mut() {
                value.lines.push((depth, line));
            }
        }
        entries
    }

    /// The keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.entries().into_iter().map(|(key, _)| key)
    }

    /// The items of a list, as far as they are scalars, or the first line of what they are.
    pub(super) fn items(&self) -> impl Iterator<Item = &'a str> {
        let items = self
            .lines
            .iter()
            .filter_map(|(_, line)| line.strip_prefix("- "));
        items.map(scalar)
    }

    /// What stands on the line itself; `None` when there is nothing.
    pub(super) fn text(&self) -> Option<&'a str> {
        (!self.value.is_empty()).then_some(self.value)
    }
}

fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let is_pair = value.is_empty() || value.starts_with([' ', '\t']);
    is_pair.then(|| (scalar(key), value))
}

/// A scalar without its quotes and without a comment behind it.
fn scalar(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some((inside, _)) = text
            .strip_prefix(quote)
            .and_then(|rest| rest.split_once(quote))
        {
            return inside;
        }
    }
    match text.split_once(" #") {
        Some((text, _)) => text.trim_end(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_and_lists_by_indentation() {
        let text = "# x\nname: shop # here\n\ntargets:\n  web:\n    main: src/web.cr\n  job: {main: x}\nlist:\n- 'a'\n- b: 1\nurl: \"a: b\"\n";
        let yaml = Yaml::read(text);
        let at = |key: &str| yaml.get(key).unwrap();
        assert_eq!(at("name").text(), Some("shop"));
        assert_eq!(at("url").text(), Some("a: b"));
        assert!(at("targets").keys().eq(["web", "job"]));
        let web = at("targets").get("web").unwrap();
        assert_eq!(web.get("main").unwrap().text(), Some("src/web.cr"));
        assert!(at("list").items().eq(["a", "b: 1"]));
        assert!(yaml.get("main").is_none() && Yaml::read("").get("x").is_none());
    }
}
