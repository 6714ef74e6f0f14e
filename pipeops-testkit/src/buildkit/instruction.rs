//! The text of an instruction: how it is displayed, and what its arguments mean.

use pipeops_dockerfile::{Arguments, Instruction, Word};

use super::words::Variables;

/// The instruction on one line with the values of the variables that are set, as vertices and histories show it.
pub(super) fn display(instruction: &Instruction<'_>, variables: &Variables) -> String {
    let mut parts = vec![instruction.keyword.to_string()];
    parts.extend(instruction.flags.iter().map(|flag| flag.text.to_string()));
    parts.push(arguments(instruction.arguments));
    let line = replace_set(&parts.join(" "), variables);
    line.trim_end().to_owned()
}

/// The command of a `RUN`, or the one word of `USER` and `WORKDIR`, as written.
pub(super) fn text(instruction: &Instruction<'_>) -> String {
    match instruction.arguments {
        Arguments::Exec(words) => texts(words).join(" "),
        other => arguments(other),
    }
}

/// The arguments as separate words, quotes as written.
pub(super) fn words(arguments: Arguments<'_>) -> Vec<String> {
    match arguments {
        Arguments::Exec(words) | Arguments::Words(words) => texts(words),
        Arguments::Text(word) => word.text.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The texts of words.
pub(super) fn texts(words: &[Word<'_>]) -> Vec<String> {
    words.iter().map(|word| word.text.to_string()).collect()
}

fn arguments(arguments: Arguments<'_>) -> String {
    match arguments {
        Arguments::Text(word) => word.text.to_string(),
        Arguments::Exec(words) => serde_json::json!(texts(words)).to_string(),
        Arguments::Words(words) => texts(words).join(" "),
        Arguments::Pairs(pairs) => {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|pair| format!("{}={}", pair.key, pair.value))
                .collect();
            pairs.join(" ")
        }
        Arguments::Args(args) => {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            args.join(" ")
        }
        _ => String::new(),
    }
}

/// Puts in the variables that are set and leaves everything else as it is, quotes too.
fn replace_set(line: &str, variables: &Variables) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.starts_with('{');
        let body = if braced { &after[1..] } else { after };
        let length = body
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(body.len());
        let closed = !braced || body[length..].starts_with('}');
        match variables.get(&body[..length]).filter(|_| closed) {
            Some(value) => {
                out.push_str(value);
                rest = &body[length + usize::from(braced)..];
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out + rest
}

/// `8080`, `53/udp`, `8000-8002` as an image's configuration has them.
pub(super) fn ports(words: &[String]) -> Result<Vec<String>, String> {
    let mut ports = Vec::new();
    for word in words.iter().flat_map(|word| word.split_whitespace()) {
        let (range, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
            return Err(format!("invalid containerPort: {word}"));
        };
        let protocol = protocol.to_lowercase();
        ports.extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_lines_have_the_variables_that_are_set() {
        let variables = [("X".to_owned(), "9".to_owned())].into();
        let line = replace_set("RUN echo $X ${X} '$X' $Y ${Y:-1} ${X:-2} 5$", &variables);
        assert_eq!(line, "RUN echo 9 9 '9' $Y ${Y:-1} ${X:-2} 5$");
    }

    #[test]
    fn ports_have_protocols_and_ranges() {
        let words = ["80".to_owned(), "53/UDP 9000-9001".to_owned()];
        assert_eq!(
            ports(&words).unwrap(),
            ["80/tcp", "53/udp", "9000/tcp", "9001/tcp"]
        );
        assert!(ports(&["http".to_owned()]).is_err());
    }
}
