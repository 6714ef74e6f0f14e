//! Expands the words of a Dockerfile: quotes, escapes, variables.
//!
//! The rules are those of the [Dockerfile reference](https://docs.docker.com/reference/dockerfile/#environment-replacement).

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// The variables that a word may use.
pub(super) type Variables = BTreeMap<String, String>;

/// Replaces quotes, escapes and variables in one word.
///
/// # Errors
/// What is wrong with it: an open quote or brace, `${NAME:?message}` of a missing variable, a form that is not known.
pub(super) fn expand(word: &str, escape: char, variables: &Variables) -> Result<String, String> {
    let mut expander = Expander {
        rest: word.chars().peekable(),
        escape,
        variables,
    };
    expander.until(None)
}

struct Expander<'a> {
    rest: Peekable<Chars<'a>>,
    escape: char,
    variables: &'a Variables,
}

impl Expander<'_> {
    /// Everything up to this character, which is taken as well; or to the end.
    fn until(&mut self, end: Option<char>) -> Result<String, String> {
        let mut out = String::new();
        loop {
            let Some(next) = self.rest.next() else {
                return match end {
                    Some(end) => Err(format!(
                        "unexpected end of statement while looking for matching {end:?}"
                    )),
                    None => Ok(out),
                };
            };
            match next {
                c if Some(c) == end => return Ok(out),
                '\'' => self.single_quoted(&mut out)?,
                '"' => self.double_quoted(&mut out)?,
                '$' => out.push_str(&self.variable()?),
                c if c == self.escape => out.extend(self.rest.next().or(Some(c))),
                c => out.push(c),
            }
        }
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), String> {
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(()),
                Some(c) => out.push(c),
                None => return Err(unclosed('\'')),
            }
        }
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), String> {
        loop {
            match self.rest.next() {
                Some('"') => return Ok(()),
                Some('$') => out.push_str(&self.variable()?),
                Some(c) if c == self.escape => match self.rest.next() {
                    // Only these lose the escape character inside of double quotes.
                    Some(next) if next == '"' || next == '$' || next == self.escape => {
                        out.push(next)
                    }
                    Some(next) => out.extend([c, next]),
                    None => return Err(unclosed('"')),
                },
                Some(c) => out.push(c),
                None => return Err(unclosed('"')),
            }
        }
    }

    /// What stands behind a `$`.
    fn variable(&mut self) -> Result<String, String> {
        if self.rest.next_if_eq(&'{').is_some() {
            return self.braced();
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        Ok(self.value(&name).unwrap_or_default())
    }

    fn braced(&mut self) -> Result<String, String> {
        let name = self.name();
        if name.is_empty() {
            return Err("syntax error: bad substitution".to_owned());
        }
        let colon = self.rest.next_if_eq(&':').is_some();
        let operator = self.rest.next();
        if operator == Some('}') && !colon {
            return Ok(self.value(&name).unwrap_or_default());
        }
        // With the colon an empty variable counts as a missing one.
        let value = self
            .value(&name)
            .filter(|value| !colon || !value.is_empty());
        match operator {
            Some('-') => {
                let default = self.until(Some('}'))?;
                Ok(value.unwrap_or(default))
            }
            Some('+') => {
                let alternative = self.until(Some('}'))?;
                Ok(value.map(|_| alternative).unwrap_or_default())
            }
            Some('?') => {
                let message = self.until(Some('}'))?;
                let message = match message.is_empty() {
                    true => "is not allowed to be unset".to_owned(),
                    false => message,
                };
                value.ok_or_else(|| format!("{name}: {message}"))
            }
            Some(other) => Err(format!(
                "stand-in: the modifier ({other}) in ${{{name}…}} is not implemented"
            )),
            None => Err("syntax error: missing '}'".to_owned()),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        // Only a name that does not begin with a digit may go on: `$1x` is `$1` and `x`.
        while let Some(c) = self
            .rest
            .next_if(|c| c.is_ascii_alphanumeric() || *c == '_')
        {
            name.push(c);
            if name.len() == 1 && c.is_ascii_digit() {
                break;
            }
        }
        name
    }

    fn value(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

fn unclosed(quote: char) -> String {
    format!(
        "unexpected end of statement while looking for matching {}-quote",
        match quote {
            '"' => "double",
            _ => "single",
        }
    )
}

#[cfg(test)]
mod tests {
    fn expand(word: &str) -> Result<String, String> {
        let variables = [("A", "1"), ("EMPTY", ""), ("LONG_2", "x")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        super::expand(word, '\\', &variables)
    }

    #[test]
    fn variables_quotes_and_escapes() {
        for (word, expected) in [
            ("$A${A}x$LONG_2-", "11xx-"),
            ("$MISSING.", "."),
            (r"\$A '$A' \\", r"$A $A \"),
            (r#""$A \$ \n" b"#, r"1 $ \n b"),
            ("${MISSING:-d$A}${EMPTY:-e}${EMPTY-f}", "d1e"),
            ("${A:+yes}${MISSING+no}", "yes"),
            ("${A:-${B:-c}}", "1"),
            ("100$", "100$"),
        ] {
            assert_eq!(expand(word).as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for word in ["'a", "\"a", "${A", "${}", "${A%x}", "${MISSING:?gone}"] {
            assert!(expand(word).is_err(), "{word}");
        }
        assert_eq!(expand("${MISSING?gone}").unwrap_err(), "MISSING: gone");
    }
}
