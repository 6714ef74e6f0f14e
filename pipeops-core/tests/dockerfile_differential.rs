//! The Dockerfile parser against BuildKit's own, over generated and mutated inputs.
//!
//! `cargo peers test -p pipeops-core` runs it: it builds `tests/buildkit_parser`, a small Go program around BuildKit's
//! parser. `BUILDKIT_PARSER` names one that is built already.
//! `SEED` and `INPUTS` choose the inputs; `CORPUS` names a folder whose files are mutated as well.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot talk to its oracle fails"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pipeops_core::dockerfile::{Arguments, Dockerfile, Heredoc, Instruction, Stage, Trigger, Word};
use serde_json::{Value, json};

/// Pieces that inputs are put together from: each is a case of its own in BuildKit's parser.
const PIECES: &[&str] = &[
    "FROM alpine",
    "FROM a AS b",
    "from x aS Y",
    "FROM --platform=$BUILDPLATFORM a",
    "FROM a b",
    "FROM",
    "FROM ${X:-y}",
    "FROM a AS 1b",
    "ARG A",
    "ARG A=1 B=\"x y\" C",
    "ARG A='1",
    "ARG =x",
    "ARG",
    "arg A=\\",
    "ARG --x A",
    "ENV a b c",
    "ENV a=b c=\"d e\" f='g'",
    "ENV a=b c",
    "ENV a",
    "ENV =b",
    "LABEL a=b",
    "LABEL a",
    "RUN echo",
    "RUN [\"a\", \"b\"]",
    "RUN [\"a\", 1]",
    "RUN [a]",
    "RUN []",
    "RUN",
    "RUN --mount=type=cache,target=/x y",
    "RUN --mount=from=$x y",
    "RUN --mount= y",
    "RUN --network=host y",
    "RUN --network=x y",
    "RUN --security=insecure y",
    "RUN --device=a,b y",
    "RUN --x y",
    "RUN <<EOF",
    "RUN cat <<EOF > x",
    "RUN cat <<-\"E F\"",
    "RUN 3<<E <<F",
    "RUN python3 - << 'EOF'",
    "RUN cat <<<x",
    "RUN echo \"<<EOF",
    "RUN a${b:-c}<<EOF",
    "RUN echo \\<<EOF",
    "RUN <<$X",
    "RUN <<${X:-y}",
    "RUN <<\"E\"'F'",
    "COPY <<EOF /x",
    "COPY <<a <<b /x/",
    "COPY a <<EOF",
    "COPY [\"a\", \"b\"]",
    "COPY [\"a\"]",
    "COPY a b",
    "COPY --from=x a b",
    "COPY --chown=1 --link a b",
    "COPY --link=maybe a b",
    "COPY --parents --exclude=x a b",
    "COPY a",
    "ADD a b",
    "ADD --checksum=x --keep-git-dir a b",
    "ADD --unpack=true a b",
    "ADD <<EOF /x",
    "CMD",
    "CMD a b",
    "CMD [\"a\"]",
    "CMD [\"a\",]",
    "CMD [\"\\ud800\"]",
    "CMD [[1]]",
    "ENTRYPOINT [ \"a\" ]",
    "ENTRYPOINT a",
    "SHELL [\"a\"]",
    "SHELL a",
    "SHELL []",
    "EXPOSE 80 443/tcp",
    "EXPOSE",
    "VOLUME /a",
    "VOLUME [\"/a\", \" \"]",
    "WORKDIR /a b",
    "WORKDIR",
    "USER 1:2",
    "USER",
    "STOPSIGNAL 9",
    "STOPSIGNAL --x",
    "MAINTAINER a b",
    "MAINTAINER",
    "HEALTHCHECK NONE",
    "HEALTHCHECK NONE x",
    "HEALTHCHECK --x NONE",
    "HEALTHCHECK CMD a",
    "HEALTHCHECK CMD",
    "HEALTHCHECK --interval=1h5.5s --retries=3 CMD [\"a\"]",
    "HEALTHCHECK --interval=1us CMD a",
    "HEALTHCHECK --retries=-1 CMD a",
    "HEALTHCHECK x",
    "HEALTHCHECK",
    "ONBUILD ARG A=1 B",
    "ONBUILD RUN <<EOF",
    "ONBUILD ENV a",
    "ONBUILD nothing a",
    "ONBUILD",
    "ONBUILD ONBUILD RUN",
    "ONBUILD FROM a",
    "ONBUILD --x RUN a",
    "ONBUILD COPY --from=x a b",
    "NOTHING a",
    "# comment",
    "#",
    "# escape=`",
    "# escape=\\",
    "# escape=x",
    "# escape= ",
    "# syntax=docker/dockerfile:1 a",
    "#syntax = x",
    "# check=skip=all",
    "// syntax=x",
    "#!/bin/sh",
    "{\"syntax\":\"a\"}",
    "EOF",
    "\tEOF",
    "E F",
    "a",
    "b",
    "E",
    "F",
    "EF",
    "",
    " ",
    "\t",
    "  # indented",
    "\\",
    "`",
    "&& b",
];

/// What stands between and behind pieces.
const JOINTS: &[&str] = &[
    "\n", "\n", "\n", "\n", "\n", "\r\n", "\\\n", " \\\n", "\\ \t\n", "\\\\\n", "\\\\\\\n", "`\n",
    " `\n", "\n\n", " ", "\t", "\u{A0}", "\u{85}", "\u{2003}", "\u{FEFF}", "\u{212A}", "İ", "ſ",
    "à", "\0", "\u{0B}", "<<", "\"", "'", "$", "${", "}", "=", "--", ",", "[", "]", "#", "\\", "`",
    "é",
];

#[test]
#[ignore = "needs peers: buildkit; builds its parser with Go"]
fn agrees_with_buildkit() {
    let seed = number("SEED", 1);
    let inputs = number("INPUTS", 20_000);
    let corpus = corpus();
    let mut oracle = Oracle::start();
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut accepted = 0;
    let mut differences = Vec::new();
    for _ in 0..inputs {
        let input = random.input(&corpus);
        let theirs = oracle.ask(&input);
        let ours = answer(&input);
        accepted += u64::from(ours.get("error").is_none());
        if comparable(&ours) != comparable(&theirs) {
            let text = String::from_utf8_lossy(&input).into_owned();
            differences.push(format!("{text:?}\n  ours:   {ours}\n  theirs: {theirs}"));
        }
    }
    println!(
        "seed {seed}: {inputs} inputs, {accepted} accepted, {} different",
        differences.len()
    );
    assert!(
        accepted * 20 > inputs,
        "too few inputs were accepted to compare anything"
    );
    differences.sort_by_key(String::len);
    let shown: Vec<_> = differences.iter().take(8).map(String::as_str).collect();
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        shown.join("\n")
    );
}

/// An error's text is ours; that there is one must agree.
fn comparable(answer: &Value) -> Value {
    match answer.get("error") {
        Some(_) => json!("error"),
        None => answer.clone(),
    }
}

/// What this crate makes of `input`, in the shape of the other program's answer.
fn answer(input: &[u8]) -> Value {
    match Dockerfile::parse(input) {
        Err(error) => json!({ "error": error.message }),
        Ok(file) => json!({
            "escape": file.directives.escape.to_string(),
            "syntax": file.directives.syntax.unwrap_or_default(),
            "meta": file.meta_args.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "stages": file.stages.iter().map(stage).collect::<Vec<_>>(),
        }),
    }
}

fn stage(stage: &Stage) -> Value {
    json!({
        "from": stage.from.text,
        "name": stage.name.clone().unwrap_or_default(),
        "platform": stage.platform.clone().unwrap_or_default(),
        "nodes": stage.instructions.iter().map(node).collect::<Vec<_>>(),
    })
}

fn node(instruction: &Instruction) -> Value {
    let trigger = match &instruction.arguments {
        Arguments::Trigger(trigger) => self::trigger(trigger),
        _ => Value::Null,
    };
    json!({
        "name": instruction.keyword.as_str().to_lowercase(),
        "flags": texts(&instruction.flags),
        "args": args(&instruction.arguments),
        "json": is_json(&instruction.arguments),
        "trigger": trigger,
        "heredocs": instruction.heredocs.iter().map(heredoc).collect::<Vec<_>>(),
        "start": instruction.lines.start(),
        "end": instruction.lines.end(),
    })
}

fn trigger(trigger: &Trigger) -> Value {
    let mut args = args(&trigger.arguments);
    // BuildKit leaves an empty argument behind names that it does not know.
    if trigger.keyword.is_none() {
        args.push(String::new());
    }
    json!({
        "name": trigger.name.replace('İ', "i").to_lowercase(),
        "flags": texts(&trigger.flags),
        "args": args,
        "json": is_json(&trigger.arguments),
        "trigger": null,
        "heredocs": [],
        "start": 0,
        "end": 0,
    })
}

fn heredoc(heredoc: &Heredoc) -> Value {
    json!({ "name": heredoc.name, "content": heredoc.content, "expand": heredoc.expand })
}

fn texts(words: &[Word]) -> Vec<String> {
    words.iter().map(|word| word.text.clone()).collect()
}

fn is_json(arguments: &Arguments) -> bool {
    match arguments {
        Arguments::Exec(_) => true,
        Arguments::Health(_, command) => is_json(command),
        _ => false,
    }
}

fn args(arguments: &Arguments) -> Vec<String> {
    match arguments {
        Arguments::Text(word) => vec![word.text.clone()],
        Arguments::Exec(strings) => strings.clone(),
        Arguments::Words(words) => texts(words),
        Arguments::Args(args) => args.iter().map(ToString::to_string).collect(),
        Arguments::Health(kind, command) => {
            let mut all = vec![kind.text.clone()];
            all.extend(args(command));
            all
        }
        Arguments::Pairs(pairs) => {
            let pair = |(key, value): &(String, String)| [key.clone(), value.clone()];
            pairs.iter().flat_map(pair).collect()
        }
        _ => Vec::new(),
    }
}

/// The other program.
struct Oracle {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Builds the program; its dependencies are those of BuildKit itself.
fn build_oracle() -> String {
    let program = concat!(env!("CARGO_TARGET_TMPDIR"), "/buildkit_parser");
    let built = Command::new("go")
        .args(["build", "-mod=mod", "-o", program, "."])
        .current_dir(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/buildkit_parser"
        ))
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "go cannot build BuildKit's parser"
    );
    program.to_owned()
}

impl Oracle {
    fn start() -> Self {
        let program = std::env::var("BUILDKIT_PARSER").unwrap_or_else(|_| build_oracle());
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, input: &[u8]) -> Value {
        let mut message = u32::try_from(input.len()).unwrap().to_be_bytes().to_vec();
        message.extend_from_slice(input);
        self.input.write_all(&message).unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(input)))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Content and ends of the heredocs that a piece opens, as far as one can see without a parser.
fn closed(piece: &str) -> String {
    let mut text = String::new();
    for word in piece.split("<<").skip(1) {
        let word = word.trim_start_matches(['-', ' ']);
        let end = match word.chars().next() {
            Some(quote @ ('"' | '\'')) => word[1..].find(quote).map(|at| at + 2),
            _ => None,
        };
        let end = end.or_else(|| word.find([' ', '>']));
        let name = word[..end.unwrap_or(word.len())].replace(['"', '\'', '\\'], "");
        text += &format!("\tdata $X\n{name}\n");
    }
    text
}

/// A generator of numbers that is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = if !corpus.is_empty() && self.below(3) == 0 {
            corpus[self.below(corpus.len())].clone()
        } else {
            self.generate()
        };
        // Half of the inputs stay as they are: mutation makes most of them errors.
        for _ in 0..self.below(4) * self.below(2) {
            self.mutate(&mut input);
        }
        input
    }

    fn generate(&mut self) -> Vec<u8> {
        let mut input = Vec::new();
        if self.below(2) == 0 {
            input.extend_from_slice(b"FROM alpine\n");
        }
        for _ in 0..=self.below(6) {
            let piece = self.pick(PIECES);
            input.extend_from_slice(piece.as_bytes());
            for _ in 0..=self.below(6) / 5 {
                input.extend_from_slice(self.pick(JOINTS).as_bytes());
            }
            if self.below(4) != 0 {
                input.extend(closed(piece).bytes());
            }
        }
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(5) {
            0 => drop(input.splice(at..at, self.pick(JOINTS).bytes())),
            1 => drop(input.splice(at..at, self.pick(PIECES).bytes())),
            2 => input.insert(at, self.below(256) as u8),
            3 if at < input.len() => input[at] = self.below(256) as u8,
            _ => {
                let end = (at + self.below(8)).min(input.len());
                input.drain(at..end);
            }
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {value}"))
    })
}

fn corpus() -> Vec<Vec<u8>> {
    let Ok(folder) = std::env::var("CORPUS") else {
        return Vec::new();
    };
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}
