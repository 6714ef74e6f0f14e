//! Names of caches.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;

use hmac_sha256::Hash;

/// The longest name: a registry's limit for tags, far below S3's limit for keys.
const LONGEST: usize = 128;

/// Separates the parts of a name.
const SEPARATOR: &str = "_-_";

/// Characters kept of repository, branch and Dockerfile, at most, when a name is too long. With the separators and the hash
/// they make a name of the longest length.
const KEPT: [usize; 3] = [35, 26, 26];

/// Digits of the hash in a shortened name: 128 bits, so that a branch name can't be chosen to collide with another cache.
const HASH: usize = 32;

/// The owner of a cache: one repository, branch and Dockerfile. Separate caches don't evict each other's steps.
///
/// Its [`name`](Self::name) contains only letters, digits, `.`, `-` and `_`: safe in keys, signatures and file systems, and a
/// valid registry tag. Different namespaces never share a name: `/` becomes `__`, every other byte becomes `_` and two
/// hexadecimal digits, and a name that is too long is shortened and ends in a hash of the whole.
///
/// ```
/// use pipeops_core::cache::CacheNamespace;
///
/// let own = CacheNamespace::new("github.com/acme/shop", "feature/new_cart", "Dockerfile");
/// assert_eq!(own.name(), "github.com__acme__shop_-_feature__new_5fcart_-_Dockerfile");
/// assert_eq!(CacheNamespace::parse(&own.name()), Some(own));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct CacheNamespace {
    /// The repository: its address or its name.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The Dockerfile's path from the repository's root. Add whatever else distinguishes two builds of one branch, such as
    /// the target or the platform.
    pub dockerfile: String,
}

impl CacheNamespace {
    /// The namespace of these three. Credentials in the repository's address are dropped.
    pub fn new(
        repository: impl AsRef<str>,
        branch: impl Into<String>,
        dockerfile: impl AsRef<str>,
    ) -> Self {
        let dockerfile = dockerfile.as_ref();
        Self {
            repository: without_credentials(repository.as_ref()).into_owned(),
            branch: branch.into(),
            dockerfile: dockerfile
                .strip_prefix("./")
                .unwrap_or(dockerfile)
                .to_owned(),
        }
    }

    /// The same repository and Dockerfile on another branch.
    #[must_use]
    pub fn on_branch(&self, branch: impl Into<String>) -> Self {
        Self {
            branch: branch.into(),
            ..self.clone()
        }
    }

    /// The name: at most 128 ASCII characters.
    pub fn name(&self) -> String {
        let parts = self.parts();
        let escaped = parts.map(escape);
        let name = escaped.join(SEPARATOR);
        if name.len() <= LONGEST {
            return name;
        }
        let mut hash = Hash::new();
        for part in parts {
            // The length first: no two triples look the same in a row.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut name = String::with_capacity(LONGEST);
        for (part, kept) in escaped.iter().zip(KEPT) {
            name.push_str(cut(part, kept));
            name.push_str(SEPARATOR);
        }
        for byte in &hash.finalize()[..HASH / 2] {
            push_hex(&mut name, *byte);
        }
        name
    }

    /// The namespace that `name` encodes; `None` if it was shortened or isn't such a name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = vec![Vec::new()];
        let mut rest = name.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            let part = parts.last_mut()?;
            match (first, tail) {
                (b'_', [b'-', b'_', tail @ ..]) => {
                    parts.push(Vec::new());
                    rest = tail;
                }
                (b'_', [b'_', tail @ ..]) => {
                    part.push(b'/');
                    rest = tail;
                }
                (b'_', [high, low, tail @ ..]) => {
                    part.push(digit(*high)? << 4 | digit(*low)?);
                    rest = tail;
                }
                (b'_', _) => return None,
                (byte, _) => part.push(*byte),
            }
        }
        let mut parts = parts.into_iter().map(String::from_utf8);
        let mut next = || parts.next()?.ok();
        let parsed = Self {
            repository: next()?,
            branch: next()?,
            dockerfile: next()?,
        };
        // Also refuses what is written otherwise than `name` does it.
        (parsed.name() == name).then_some(parsed)
    }

    fn parts(&self) -> [&str; 3] {
        [&self.repository, &self.branch, &self.dockerfile]
    }
}

/// The three parts in readable form.
impl fmt::Display for CacheNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.repository, self.branch, self.dockerfile)
    }
}

fn without_credentials(repository: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = repository.split_once("://") else {
        return repository.into();
    };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]).into(),
        None => repository.into(),
    }
}

fn escape(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for (place, byte) in part.bytes().enumerate() {
        match byte {
            // A tag must not begin with them.
            b'.' | b'-' if place == 0 => {
                text.push('_');
                push_hex(&mut text, byte);
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => text.push(char::from(byte)),
            b'/' => text.push_str("__"),
            _ => {
                text.push('_');
                push_hex(&mut text, byte);
            }
        }
    }
    text
}

/// The beginning of an escaped part. It never ends inside an escape: the rest of one could combine with what follows and
/// read as another namespace.
fn cut(escaped: &str, longest: usize) -> &str {
    let mut end = 0;
    loop {
        let rest = &escaped[end..];
        let length = match rest.as_bytes() {
            [] => return escaped,
            [b'_', b'_', ..] => 2,
            [b'_', ..] => 3,
            _ => 1,
        };
        if end + length > longest {
            return &escaped[..end];
        }
        end += length;
    }
}

fn push_hex(text: &mut String, byte: u8) {
    // Writing to a String never fails.
    let _ = write!(text, "{byte:02x}");
}

/// The value of a lower-case hexadecimal digit.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_alike_is_told_apart() {
        let names: HashSet<String> = [
            ("acme/shop", "main", "Dockerfile"),
            ("acme/Shop", "main", "Dockerfile"),
            ("acme-shop", "main", "Dockerfile"),
            ("acme__shop", "main", "Dockerfile"),
            ("acme_2fshop", "main", "Dockerfile"),
            ("acme/shop", "main_-_Dockerfile", ""),
            ("acme/shop_-_main", "Dockerfile", ""),
            ("acme/shop", "a/b", "Dockerfile"),
            ("acme/shop", "a-b", "Dockerfile"),
            ("acme/shop", "é", "Dockerfile"),
            ("acme/shop", "e\u{301}", "Dockerfile"),
            ("acme/shop", "a;b", "Dockerfile"),
            ("acme/shop", "a", ";b"),
            ("", "", ""),
        ]
        .iter()
        .map(|(repository, branch, file)| CacheNamespace::new(repository, *branch, file).name())
        .collect();
        assert_eq!(names.len(), 14, "{names:#?}");
    }

    #[test]
    fn long_names_are_cut_and_stay_readable() {
        let long = |end: &str| {
            CacheNamespace::new(
                "acme/shop",
                format!("{}{end}", "x".repeat(300)),
                "Dockerfile",
            )
        };
        let name = long("").name();
        assert!(
            name.starts_with("acme__shop_-_xxx") && name.contains("_-_Dockerfile_-_"),
            "{name}"
        );
        assert_ne!(name, long("y").name());
        assert_eq!(
            CacheNamespace::parse(&name),
            None,
            "what was cut cannot be known"
        );
        let all = "/".repeat(500);
        assert_eq!(
            CacheNamespace::new(&all, all.clone(), &all).name().len(),
            LONGEST - 1
        );
    }

    /// What is left of a cut escape must not join with the separator.
    #[test]
    fn a_cut_name_is_never_read_as_another_namespace() {
        for length in 30..40 {
            let repository = format!("{}///x", "a".repeat(length));
            let name = CacheNamespace::new(repository, "b".repeat(200), "_").name();
            assert_eq!(CacheNamespace::parse(&name), None, "{name}");
        }
    }

    #[test]
    fn credentials_and_dots_are_left_out() {
        let plain = CacheNamespace::new("https://git.io/a/b", "main", "Dockerfile");
        assert_eq!(
            plain,
            CacheNamespace::new("https://user:pass@word@git.io/a/b", "main", "./Dockerfile")
        );
        assert_ne!(
            plain,
            CacheNamespace::new("https://git.io/x@y/b", "main", "Dockerfile")
        );
    }

    fn part() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-zA-Z0-9/_.;-]{0,12}",
            "[_-]{0,8}",
            "\\PC{0,20}",
            "[a-z/]{100,300}",
        ]
    }

    fn namespace() -> impl Strategy<Value = CacheNamespace> {
        (part(), part(), part()).prop_map(|(a, b, c)| CacheNamespace::new(a, b, c))
    }

    proptest! {
        #[test]
        fn different_namespaces_have_different_names(one in namespace(), two in namespace()) {
            prop_assert_eq!(one == two, one.name() == two.name());
        }

        #[test]
        fn a_name_is_a_tag_and_can_be_read(namespace in namespace()) {
            let name = namespace.name();
            prop_assert!(name.len() <= LONGEST);
            prop_assert!(name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_'));
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
            // A cut name has a fourth part; it must not be read as another namespace.
            if let Some(parsed) = CacheNamespace::parse(&name) {
                prop_assert_eq!(parsed, namespace);
            } else {
                prop_assert!(namespace.parts().map(|part| escape(part).len()).iter().sum::<usize>() > LONGEST - 6);
            }
        }

        #[test]
        fn what_is_read_has_that_name(name in "[a-f0-9_-]{0,30}|\\PC{0,30}") {
            if let Some(parsed) = CacheNamespace::parse(&name) {
                prop_assert_eq!(parsed.name(), name);
            }
        }
    }
}
