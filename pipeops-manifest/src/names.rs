//! Turns text, such as a project's or a branch's name, into names and label values that Kubernetes accepts.
//!
//! The rules are those of [object names] and [labels].
//!
//! [object names]: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
//! [labels]: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/

use sha2::{Digest, Sha256};

/// The longest DNS label, and the longest label value.
pub const MAX_LABEL: usize = 63;

/// Turns any text into a valid name for an application: lower case, with dashes instead of invalid characters. Names of more
/// than 63 bytes are cut and get a hash of the whole name.
///
/// Different texts may give the same name: `My App` and `my-app`.
///
/// ```
/// use pipeops_manifest::names::dns_label;
///
/// assert_eq!(dns_label("My Shop_2"), "my-shop-2");
/// assert_eq!(dns_label("2fast"), "app-2fast");
/// assert_eq!(dns_label(&"x".repeat(80)).len(), 63);
/// ```
pub fn dns_label(text: &str) -> String {
    let mut name = String::with_capacity(text.len().min(MAX_LABEL * 2));
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    let name = name.trim_matches('-');
    let name = match name.chars().next() {
        Some('a'..='z') => name.to_owned(),
        Some(_) => format!("app-{name}"),
        None => "app".to_owned(),
    };
    fit(&name, MAX_LABEL)
}

/// `base-suffix` in 63 bytes. If it's too long, the base is cut, and a hash of the whole base keeps it unique.
pub(crate) fn with_suffix(base: &str, suffix: &str) -> String {
    format!("{}-{suffix}", fit(base, MAX_LABEL - 1 - suffix.len()))
}

/// The name itself, or its beginning and a hash of the whole, in `max` bytes.
fn fit(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let hash = short_hash(name.as_bytes(), 8);
    let cut: String = name.chars().take(max - 1 - hash.len()).collect();
    format!("{}-{hash}", cut.trim_end_matches('-'))
}

/// The first `digits` hexadecimal digits of the SHA-256.
pub(crate) fn short_hash(bytes: &[u8], digits: usize) -> String {
    let mut hash = hex::encode(Sha256::digest(bytes));
    hash.truncate(digits);
    hash
}

/// A revision as a label value: invalid characters become `-`, and it's cut to 63 characters.
pub(crate) fn label_value(text: &str) -> String {
    let clean: String = text
        .chars()
        .take(MAX_LABEL)
        .map(|c| if is_label_char(c) { c } else { '-' })
        .collect();
    clean
        .trim_matches(|c: char| !c.is_ascii_alphanumeric())
        .to_owned()
}

/// Lower-case letters, digits and inner dashes, 63 bytes at most (RFC 1123).
pub(crate) fn is_dns_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.len() <= MAX_LABEL
        && text.chars().all(|c| inner(c) || c == '-')
        && text.starts_with(inner)
        && text.ends_with(inner)
}

/// A DNS label that begins with a letter (RFC 1035), as required for Services.
pub(crate) fn is_service_name(text: &str) -> bool {
    is_dns_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

/// DNS labels joined by dots, 253 bytes at most.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// A label's or an annotation's key: an optional DNS prefix with `/`, then a name of up to 63.
pub(crate) fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_label_name(name),
        None => is_label_name(key),
    }
}

/// A label's value: empty or a label name.
pub(crate) fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_label_name(value)
}

fn is_label_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_LABEL
        && name.chars().all(is_label_char)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_label_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// A valid name of an environment variable in Kubernetes. It may contain dots, as for Spring.
pub(crate) fn is_env_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty()
        && name.len() <= 253
        && name.chars().all(inner)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name != "."
        && !name.starts_with("..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_base_is_cut_but_stays_unique() {
        let (a, b) = (
            format!("{}a", "x".repeat(62)),
            format!("{}b", "x".repeat(62)),
        );
        let (a, b) = (
            with_suffix(&a, "config-0123456789"),
            with_suffix(&b, "config-0123456789"),
        );
        assert_ne!(a, b);
        assert_eq!((a.len(), b.len()), (63, 63));
        assert_eq!(with_suffix("shop", "registry"), "shop-registry");
    }

    #[test]
    fn rules_of_kubernetes() {
        for good in ["a", "a-b", "0a", "a0"] {
            assert!(is_dns_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä"] {
            assert!(!is_dns_label(bad), "{bad}");
        }
        assert!(!is_service_name("0a"));
        assert!(is_label_key("example.com/x") && is_label_key("x_y.z"));
        assert!(!is_label_key("/x") && !is_label_key("a/b/c") && !is_label_key("x/"));
        assert!(is_env_name("spring.datasource.url") && !is_env_name("1A") && !is_env_name("A=B"));
    }

    #[test]
    fn a_commit_of_64_digits_fits_into_a_label() {
        assert_eq!(label_value(&"a".repeat(64)).len(), 63);
        assert_eq!(label_value("refs/heads/x_"), "refs-heads-x");
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_service_name(text in ".{0,120}") {
            let name = dns_label(&text);
            prop_assert!(is_service_name(&name), "{name}");
            prop_assert_eq!(dns_label(&name), name.clone());
            prop_assert!(is_dns_label(&with_suffix(&name, "config-0123456789")));
        }

        #[test]
        fn any_text_becomes_a_label_value(text in ".{0,120}") {
            prop_assert!(is_label_value(&label_value(&text)));
        }
    }
}
