//! `WWW-Authenticate`: what a registry wants before it answers.

use std::collections::BTreeMap;

/// Longer headers are not read: a registry has no use for them.
const MAX_BYTES: usize = 8 * 1024;

/// One challenge of a `WWW-Authenticate` header ([RFC 9110, 11.6.1]).
///
/// [RFC 9110, 11.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// `bearer`, `basic`, in lower case.
    pub(super) scheme: String,
    /// Keys in lower case.
    pub(super) parameters: BTreeMap<String, String>,
}

/// All challenges of one header; what cannot be read ends the list.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut rest = Scanner(header.get(..MAX_BYTES).unwrap_or(header));
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        rest.skip_separators();
        let Some(word) = rest.token() else {
            return challenges;
        };
        if !rest.take('=') {
            challenges.push(Challenge {
                scheme: word.to_ascii_lowercase(),
                parameters: BTreeMap::new(),
            });
            continue;
        }
        let (Some(value), Some(current)) = (rest.value(), challenges.last_mut()) else {
            return challenges;
        };
        current
            .parameters
            .entry(word.to_ascii_lowercase())
            .or_insert(value);
    }
}

struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn skip_separators(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !is_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.0.trim_start_matches([' ', '\t']).strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<String> {
        if !self.take('"') {
            self.0 = self.0.trim_start_matches([' ', '\t']);
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        let mut chars = self.0.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(chars.next()?.1),
                c => value.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get<'a>(challenge: &'a Challenge, key: &str) -> Option<&'a str> {
        challenge.parameters.get(key).map(String::as_str)
    }

    #[test]
    fn docker_hubs_challenge() {
        let all = parse(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
        );
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].scheme, "bearer");
        assert_eq!(get(&all[0], "realm"), Some("https://auth.docker.io/token"));
        assert_eq!(get(&all[0], "scope"), Some("repository:a/b:pull,push"));
    }

    #[test]
    fn several_challenges_in_one_header() {
        let all = parse(
            r#"Bearer realm="https://r/v2/token", service=container_registry, BASIC realm="a \"b\"""#,
        );
        assert_eq!(
            all.iter().map(|c| c.scheme.as_str()).collect::<Vec<_>>(),
            ["bearer", "basic"]
        );
        assert_eq!(get(&all[0], "service"), Some("container_registry"));
        assert_eq!(get(&all[1], "realm"), Some(r#"a "b""#));
    }

    #[test]
    fn broken_headers_give_what_was_read_before() {
        assert_eq!(parse(""), []);
        assert_eq!(parse("=x"), []);
        assert_eq!(parse("Basic").len(), 1);
        assert!(
            parse(r#"Bearer realm="never ends"#)[0]
                .parameters
                .is_empty()
        );
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(header in ".{0,200}") {
            let _ = parse(&header);
        }

        #[test]
        fn quoted_values_come_back(value in "[^\"\\\\\\r\\n]{0,40}") {
            let header = format!("Bearer realm=\"{value}\"");
            let all = parse(&header);
            prop_assert_eq!(get(&all[0], "realm"), Some(value.as_str()));
        }
    }
}
