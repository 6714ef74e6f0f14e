//! `WWW-Authenticate` headers: how a registry asks for authentication.

use std::collections::BTreeMap;

/// The longest part of a header that is read.
const MAX_BYTES: usize = 8 * 1024;
/// The most challenges that are read from one header.
const MAX_CHALLENGES: usize = 16;
/// The most parameters that are kept per challenge.
const MAX_PARAMETERS: usize = 32;

/// One challenge of a `WWW-Authenticate` header ([RFC 9110, 11.6.1]).
///
/// ```
/// use pipeops_core::registry::Challenge;
///
/// let all = Challenge::parse(r#"Basic realm="x", Bearer realm="https://ghcr.io/token",service="ghcr.io""#);
/// assert_eq!((all[0].scheme(), all[1].scheme()), ("basic", "bearer"));
/// assert_eq!(all[1].get("realm"), Some("https://ghcr.io/token"));
/// ```
///
/// [RFC 9110, 11.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// All challenges of one header. The list ends where the header breaks the grammar, and after 16 challenges.
    pub fn parse(header: &str) -> Vec<Self> {
        let mut rest = Scanner(bounded(header));
        let mut challenges: Vec<Self> = Vec::new();
        loop {
            rest.skip_separators();
            let Some(word) = rest.token() else {
                return challenges;
            };
            if !rest.take('=') {
                if challenges.len() == MAX_CHALLENGES {
                    return challenges;
                }
                rest.skip_token68();
                challenges.push(Self {
                    scheme: word.to_ascii_lowercase(),
                    parameters: BTreeMap::new(),
                });
                continue;
            }
            let (Some(value), Some(current)) = (rest.value(), challenges.last_mut()) else {
                return challenges;
            };
            if current.parameters.len() < MAX_PARAMETERS {
                let key = word.to_ascii_lowercase();
                // The first one counts, as in most clients.
                current.parameters.entry(key).or_insert(value);
            }
        }
    }

    /// The scheme in lower case, such as `bearer` or `basic`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// A parameter by its name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Whether the token is valid but its scope is too small. Another login wouldn't help.
    pub fn lacks_scope(&self) -> bool {
        self.get("error") == Some("insufficient_scope")
    }
}

fn bounded(header: &str) -> &str {
    let mut end = header.len().min(MAX_BYTES);
    while !header.is_char_boundary(end) {
        end -= 1;
    }
    &header[..end]
}

struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn skip_separators(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
    }

    /// Skips credentials in place of parameters: `Negotiate TlRMTVNTUAAB==`.
    fn skip_token68(&mut self) {
        let is_token68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let text = self.0.trim_start_matches([' ', '\t']);
        let rest = text.trim_start_matches(is_token68).trim_start_matches('=');
        let after = rest.trim_start_matches([' ', '\t']);
        if rest.len() < text.len() && (after.is_empty() || after.starts_with(',')) {
            self.0 = after;
        }
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
    use proptest::prelude::*;

    use super::*;

    fn schemes(header: &str) -> Vec<String> {
        let all = Challenge::parse(header);
        all.iter().map(|c| c.scheme().to_owned()).collect()
    }

    #[test]
    fn docker_hubs_challenge() {
        let all = Challenge::parse(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
        );
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].scheme(), "bearer");
        assert_eq!(all[0].get("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(all[0].get("scope"), Some("repository:a/b:pull,push"));
    }

    #[test]
    fn several_challenges_in_one_header() {
        let header = r#"Bearer realm="https://r/v2/token", service=container_registry, BASIC realm="a \"b\"""#;
        let all = Challenge::parse(header);
        assert_eq!(schemes(header), ["bearer", "basic"]);
        assert_eq!(all[0].get("service"), Some("container_registry"));
        assert_eq!(all[1].get("realm"), Some(r#"a "b""#));
        assert_eq!(
            schemes(r#"Negotiate TlRMTVNTUAAB==, Basic realm="x""#),
            ["negotiate", "basic"]
        );
        assert_eq!(schemes("Basic, Bearer realm=x"), ["basic", "bearer"]);
    }

    #[test]
    fn broken_headers_give_what_was_read_before() {
        assert_eq!(Challenge::parse(""), []);
        assert_eq!(Challenge::parse("=x"), []);
        assert_eq!(schemes("Basic"), ["basic"]);
        let unclosed = Challenge::parse(r#"Bearer realm="never ends"#);
        assert_eq!(unclosed[0].get("realm"), None);
    }

    #[test]
    fn the_length_of_a_header_is_bounded() {
        assert_eq!(schemes(&"Basic a=b, ".repeat(1000)).len(), MAX_CHALLENGES);
        let header = format!(
            "Basic {}",
            (0..1000).map(|i| format!("p{i}=x,")).collect::<String>()
        );
        assert_eq!(
            Challenge::parse(&header)[0].parameters.len(),
            MAX_PARAMETERS
        );
        // The bound falls inside of a character.
        let header = format!("Basic realm=\"{}\"", "é".repeat(MAX_BYTES));
        assert_eq!(Challenge::parse(&header)[0].get("realm"), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(header in ".{0,200}") {
            let _ = Challenge::parse(&header);
        }

        #[test]
        fn quoted_values_come_back(value in "[^\\r\\n]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let all = Challenge::parse(&format!("Bearer realm=\"{quoted}\""));
            prop_assert_eq!(all[0].get("realm"), Some(value.as_str()));
        }
    }
}
