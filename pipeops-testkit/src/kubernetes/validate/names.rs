//! The rules for names, labels and keys, with the messages of the real server.

/// Why this is no RFC 1123 subdomain.
pub(crate) fn subdomain(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some("must be no more than 253 bytes".into());
    }
    if name.split('.').all(is_label) {
        return None;
    }
    Some(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            .into(),
    )
}

/// Why this is no RFC 1123 label.
pub(crate) fn label(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some("must be no more than 63 bytes".into());
    }
    if is_label(name) {
        return None;
    }
    Some(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            .into(),
    )
}

/// Why this is no key of a label or annotation: an optional prefix and a name.
pub(crate) fn qualified(key: &str) -> Option<String> {
    let name = match key.split_once('/') {
        Some(("", _)) => return Some("prefix part must be non-empty".into()),
        Some((prefix, name)) => {
            if let Some(error) = subdomain(prefix) {
                return Some(format!("prefix part {error}"));
            }
            name
        }
        None => key,
    };
    if name.is_empty() {
        return Some("name part must be non-empty".into());
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 bytes".into());
    }
    if is_value(name) {
        return None;
    }
    Some(
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            .into(),
    )
}

/// Why this is no value of a label.
pub(crate) fn label_value(value: &str) -> Option<String> {
    if value.len() > 63 {
        return Some("must be no more than 63 bytes".into());
    }
    if value.is_empty() || is_value(value) {
        return None;
    }
    Some(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            .into(),
    )
}

/// Why this is no key of a ConfigMap or Secret.
pub(crate) fn data_key(key: &str) -> Option<String> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.len() > 253 {
        return Some("must be no more than 253 bytes".into());
    }
    if !key.is_empty() && key.chars().all(known) && key != "." && !key.starts_with("..") {
        return None;
    }
    Some(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
            .into(),
    )
}

/// Why this is no name of an environment variable: printable ASCII without `=`.
pub(crate) fn environment(name: &str) -> Option<String> {
    let good = |c: char| (' '..='~').contains(&c) && c != '=';
    if !name.is_empty() && name.chars().all(good) {
        return None;
    }
    Some(
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
            .into(),
    )
}

/// Why this is no name of a port: at most 15 of a-z, 0-9 and `-`, with a letter.
pub(crate) fn port(name: &str) -> Option<String> {
    if name.len() > 15 {
        return Some("must be no more than 15 characters".into());
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        return Some(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into(),
        );
    }
    if !name.bytes().any(|b| b.is_ascii_lowercase()) {
        return Some("must contain at least one letter (a-z)".into());
    }
    if name.contains("--") {
        return Some("must not contain consecutive hyphens".into());
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Some("must not begin or end with a hyphen".into());
    }
    None
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|b| inner(*b))
        && bytes.last().is_some_and(|b| inner(*b))
        && bytes.iter().all(|b| inner(*b) || *b == b'-')
}

fn is_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rfc() {
        for (name, good) in [
            ("a", true),
            ("a-b.c", true),
            ("A", false),
            ("-a", false),
            ("a..b", false),
            ("", false),
        ] {
            assert_eq!(subdomain(name).is_none(), good, "{name}");
        }
        assert!(label("a.b").is_some());
        assert!(label(&"a".repeat(64)).is_some());
    }

    #[test]
    fn label_keys_may_have_a_prefix() {
        for (key, good) in [
            ("app", true),
            ("a.b/c_d", true),
            ("/x", false),
            ("A/x", false),
            ("a/", false),
            ("a b", false),
        ] {
            assert_eq!(qualified(key).is_none(), good, "{key}");
        }
    }

    #[test]
    fn port_names_are_short_and_have_a_letter() {
        for (name, good) in [
            ("http", true),
            ("http-2", true),
            ("80", false),
            ("a--b", false),
            ("metrics-endpoints", false),
        ] {
            assert_eq!(port(name).is_none(), good, "{name}");
        }
    }
}
