//! Words of a line as BuildKit's shell lexer finds them, in its mode for heredocs: no variable has a value, and what is
//! not replaced stays as it was written.

use super::bytes::decode;

/// How deep `${a:-${b:-…}}` may nest. BuildKit has no limit but its stack.
const MAX_DEPTH: usize = 200;

/// Why a line has no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LexError {
    /// An open quote, or a substitution that is not one.
    Syntax,
    /// Substitutions nested deeper than any real line.
    TooDeep,
}

/// What stays in the words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw {
    /// Keep quotes.
    pub(super) quotes: bool,
    /// Keep escape characters.
    pub(super) escapes: bool,
}

/// The words of `text`. The escape character is always a backslash, whatever the directive says: BuildKit's heredocs
/// have it so.
pub(super) fn words(text: &[u8], raw: Raw) -> Result<Vec<String>, LexError> {
    // BuildKit's scanner drops a byte order mark at the start of each text.
    let input = text.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(text);
    let mut lexer = Lexer {
        input,
        raw,
        word: String::new(),
        depth: 0,
    };
    Ok(lexer.until(None, raw.escapes, false)?.1)
}

struct Lexer<'a> {
    input: &'a [u8],
    raw: Raw,
    /// The word that is being read. Shared with nested substitutions, which clear it: what stands directly before `${a:-b}`
    /// is lost from its word. BuildKit has it so, and it decides which heredocs a line opens.
    word: String,
    depth: usize,
}

/// The words that one level has found.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    inside: bool,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        (!self.input.is_empty()).then(|| decode(self.input).0)
    }

    fn next(&mut self) -> Option<char> {
        if self.input.is_empty() {
            return None;
        }
        let (ch, length) = decode(self.input);
        self.input = &self.input[length..];
        Some(ch)
    }

    /// Reads until `stop`, or to the end where there is none: the text and its words.
    fn until(
        &mut self,
        stop: Option<char>,
        escapes: bool,
        pattern: bool,
    ) -> Result<(String, Vec<String>), LexError> {
        if self.depth == MAX_DEPTH {
            return Err(LexError::TooDeep);
        }
        let outer = std::mem::replace(&mut self.raw.escapes, escapes);
        self.depth += 1;
        let result = self.read_until(stop, pattern);
        self.depth -= 1;
        self.raw.escapes = outer;
        result
    }

    fn read_until(
        &mut self,
        stop: Option<char>,
        pattern: bool,
    ) -> Result<(String, Vec<String>), LexError> {
        self.word.clear();
        let mut text = String::new();
        let mut words = Words::default();
        while let Some(ch) = self.peek() {
            if stop == Some(ch) {
                self.next();
                return Ok((text, self.finish(words)));
            }
            match ch {
                '$' => {
                    let part = self.dollar()?;
                    part.chars().for_each(|ch| self.push(&mut words, ch));
                    text.push_str(&part);
                }
                '<' | '\'' | '"' => {
                    let part = match ch {
                        '<' => self.heredoc(),
                        '\'' => self.single_quoted(pattern)?,
                        _ => self.double_quoted(pattern)?,
                    };
                    self.word.push_str(&part);
                    words.inside = true;
                    text.push_str(&part);
                }
                '\\' => self.escaped(&mut words, &mut text),
                ch => {
                    self.next();
                    self.push(&mut words, ch);
                    text.push(ch);
                }
            }
        }
        match stop {
            Some(_) => Err(LexError::Syntax),
            None => Ok((text, self.finish(words))),
        }
    }

    fn escaped(&mut self, words: &mut Words, text: &mut String) {
        let escape = self.next().filter(|_| self.raw.escapes);
        for ch in escape.into_iter().chain(self.next()) {
            self.word.push(ch);
            words.inside = true;
            text.push(ch);
        }
    }

    /// Adds a character that separates words if it is white space.
    fn push(&mut self, words: &mut Words, ch: char) {
        if !ch.is_whitespace() {
            self.word.push(ch);
            words.inside = true;
        } else if words.inside && !self.word.is_empty() {
            words.done.push(std::mem::take(&mut self.word));
            words.inside = false;
        }
    }

    fn finish(&mut self, mut words: Words) -> Vec<String> {
        if !self.word.is_empty() {
            words.done.push(std::mem::take(&mut self.word));
        }
        words.done
    }

    fn single_quoted(&mut self, pattern: bool) -> Result<String, LexError> {
        let mut text = String::new();
        self.next();
        self.quote(&mut text, '\'');
        loop {
            match self.next().ok_or(LexError::Syntax)? {
                '\'' => break,
                ch => {
                    if pattern && ch == '\\' {
                        text.push(ch);
                    }
                    text.push(ch);
                }
            }
        }
        self.quote(&mut text, '\'');
        Ok(text)
    }

    fn double_quoted(&mut self, pattern: bool) -> Result<String, LexError> {
        let mut text = String::new();
        self.next();
        self.quote(&mut text, '"');
        loop {
            match self.peek().ok_or(LexError::Syntax)? {
                '"' => break,
                '$' => text.push_str(&self.dollar()?),
                '\\' => self.escaped_in_quotes(&mut text, pattern),
                ch => {
                    self.next();
                    text.push(ch);
                }
            }
        }
        self.next();
        self.quote(&mut text, '"');
        Ok(text)
    }

    fn escaped_in_quotes(&mut self, text: &mut String, pattern: bool) {
        self.next();
        match self.peek() {
            None => {}
            Some(ch @ ('"' | '$' | '\\')) => {
                if self.raw.escapes {
                    text.push('\\');
                }
                self.next();
                text.push(ch);
            }
            Some(_) => {
                if self.raw.escapes && (!self.raw.quotes || pattern) {
                    text.push('\\');
                }
                text.push('\\');
            }
        }
    }

    fn quote(&self, text: &mut String, quote: char) {
        if self.raw.quotes {
            text.push(quote);
        }
    }

    /// `$name` and `${…}`: read for where they end, and given back as written.
    fn dollar(&mut self) -> Result<String, LexError> {
        self.next();
        if self.peek() != Some('{') {
            return Ok(format!("${}", self.name()));
        }
        self.next();
        if matches!(self.peek(), None | Some('{' | '}' | ':')) {
            return Err(LexError::Syntax);
        }
        let name = self.name();
        match self.next().ok_or(LexError::Syntax)? {
            '}' => Ok(format!("${{{name}}}")),
            ':' => {
                let modifier = self.next().ok_or(LexError::Syntax)?;
                if matches!(modifier, '#' | '%') {
                    return Err(LexError::Syntax);
                }
                let word = self.until(Some('}'), false, false)?.0;
                Ok(format!("${{{name}:{modifier}{word}}}"))
            }
            modifier @ ('+' | '-' | '?' | '#' | '%') => {
                let pattern = matches!(modifier, '#' | '%');
                let word = self.until(Some('}'), pattern, pattern)?.0;
                Ok(format!("${{{name}{modifier}{word}}}"))
            }
            '/' => self.replacement(&name),
            _ => Err(LexError::Syntax),
        }
    }

    /// Behind `${name/`.
    fn replacement(&mut self, name: &str) -> Result<String, LexError> {
        if self.peek() == Some('/') {
            self.next();
        }
        let pattern = self.until(Some('/'), true, true)?.0;
        let replacement = self.until(Some('}'), true, false)?.0;
        Ok(format!("${{{name}/{pattern}/{replacement}}}"))
    }

    /// A variable's name: a word, digits only, or one special character.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let digits = self.peek().is_some_and(char::is_numeric);
        if let Some(ch @ ('@' | '*' | '#' | '?' | '-' | '$' | '!')) = self.peek() {
            self.next();
            return ch.into();
        }
        while let Some(ch) = self.peek() {
            let belongs = if digits {
                ch.is_numeric()
            } else {
                ch.is_alphanumeric() || ch == '_'
            };
            if !belongs {
                break;
            }
            self.next();
            name.push(ch);
        }
        name
    }

    /// `<`, or `<<` with the blanks behind it, which belong to the heredoc's word.
    fn heredoc(&mut self) -> String {
        let mut text = String::from("<");
        self.next();
        if self.peek() == Some('<') {
            self.next();
            text.push('<');
            while let Some(ch @ ('\t' | '\r' | ' ')) = self.peek() {
                self.next();
                text.push(ch);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Raw = Raw {
        quotes: false,
        escapes: false,
    };
    const RAW: Raw = Raw {
        quotes: true,
        escapes: true,
    };

    #[test]
    fn words_are_split_and_unquoted() {
        for (text, expected) in [
            ("a  b", &["a", "b"] as &[_]),
            (r#"'a b' "c d"e"#, &["a b", "c de"]),
            (r"a\ b \x", &["a b", "x"]),
            (r#""\"\x\$""#, &[r#""\x$"#]),
            ("$a ${b} ${c:-d e}", &["$a", "${b}", "${c:-d", "e}"]),
            ("a\\", &["a"]),
        ] {
            assert_eq!(words(text.as_bytes(), PLAIN).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn raw_words_keep_quotes_and_escapes() {
        for (text, expected) in [
            (r#"cat <<"E F" x"#, &["cat", r#"<<"E F""#, "x"] as &[_]),
            ("cat << EOF", &["cat", "<< EOF"]),
            ("cat <<-EOF>x", &["cat", "<<-EOF>x"]),
            (r"a\ b", &[r"a\ b"]),
            ("a${x:-b}<<EOF", &["${x:-b}<<EOF"]),
        ] {
            assert_eq!(words(text.as_bytes(), RAW).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn open_quotes_and_bad_substitutions_are_errors() {
        for text in [
            "'a", "\"a", "${", "${}", "${:x}", "${a", "${a!}", "${a:#b}", "${a/b}",
        ] {
            assert_eq!(words(text.as_bytes(), RAW), Err(LexError::Syntax), "{text}");
        }
        let deep = format!("{}{}", "${a:-".repeat(1000), "}".repeat(1000));
        assert_eq!(words(deep.as_bytes(), RAW), Err(LexError::TooDeep));
    }
}
