//! Finds the cache that a daemon's report refers to.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::CacheOptionsEntry;

/// Before the name of an import in the daemon's reports.
pub(crate) const IMPORT: &str = "importing cache manifest from ";

/// What the daemon calls each import, and what people call it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Labels(HashMap<String, String>);

impl Labels {
    pub(crate) fn add(&mut self, import: &CacheOptionsEntry) {
        let attribute = |key| import.attrs.get(key).map(String::as_str);
        let name = attribute("name")
            .or_else(|| attribute("scope"))
            .or_else(|| attribute("src"));
        // Registry caches are called by their names.
        if let Some(name) = name {
            self.0.insert(
                format!("{IMPORT}{}:{}", import.r#type, hash_of_entry(import)),
                format!("{IMPORT}{}:{name}", import.r#type),
            );
        }
    }

    /// The vertex name for people.
    pub(crate) fn readable(&self, vertex: String) -> String {
        self.0.get(&vertex).cloned().unwrap_or(vertex)
    }
}

/// The daemon calls an import by a hash of its attributes, made by Go's `hashstructure`. One that hashes otherwise only shows
/// its own number.
fn hash_of_entry(entry: &CacheOptionsEntry) -> u64 {
    let pairs = entry
        .attrs
        .iter()
        .map(|(key, value)| ordered(of_text(key), of_text(value)));
    let attrs = finish(pairs.fold(0, |all, pair| all ^ pair));
    let fields = [("Type", of_text(&entry.r#type)), ("Attrs", attrs)];
    fields
        .into_iter()
        .fold(of_text("CacheOptionsEntry"), |all, (name, value)| {
            finish(all ^ ordered(of_text(name), value))
        })
}

fn of_text(text: &str) -> u64 {
    fnv1(text.as_bytes())
}

fn ordered(one: u64, two: u64) -> u64 {
    fnv1(&[one.to_le_bytes(), two.to_le_bytes()].concat())
}

fn finish(all: u64) -> u64 {
    fnv1(&all.to_le_bytes())
}

/// FNV-1 with 64 bits.
fn fnv1(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        hash.wrapping_mul(0x0000_0100_0000_01b3) ^ u64::from(*byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As buildkitd v0.34.2 called it.
    #[test]
    fn an_import_is_recognized_by_the_daemons_number() {
        let attrs = [
            ("bucket", "pipeops"),
            ("region", "us-east-1"),
            ("endpoint_url", "http://127.0.0.1:27501"),
            ("use_path_style", "true"),
            ("access_key_id", "pipeops"),
            ("secret_access_key", "s3cr3t-of-peers"),
            ("name", "own"),
        ];
        let mut labels = Labels::default();
        labels.add(&CacheOptionsEntry {
            r#type: "s3".to_owned(),
            attrs: attrs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        });
        let readable = |number: &str| labels.readable(format!("{IMPORT}s3:{number}"));
        assert_eq!(
            readable("1478147395807117613"),
            "importing cache manifest from s3:own"
        );
        assert_eq!(readable("1"), "importing cache manifest from s3:1");
    }
}
