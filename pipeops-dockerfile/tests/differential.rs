//! The Dockerfile parser against BuildKit's own, over generated and mutated inputs.
//!
//! `cargo testbed test -p pipeops-dockerfile` runs it: it builds `tests/buildkit_parser`, a small Go program around BuildKit's
//! parser. `BUILDKIT_PARSER` names one that is built already.
//! `SEED` and `INPUTS` choose the inputs (20,000 without them); `CORPUS` names a folder whose files are mutated as well.
//!
//! Compared are: acceptance, directives, warnings, every node with its lines, words, flags and heredocs, stages with names
//! and bases, keys and values as the instructions hold them, and the lines that errors name.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot talk to its oracle fails"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pipeops_dockerfile::{
    Arg, Arguments, Dockerfile, Heredoc, Instruction, Keyword, Pair, ParseError, ParseErrorKind,
    Stage, Trigger, Word,
};
use serde_json::{Value, json};

/// Pieces that inputs are put together from: each is a case of its own in BuildKit's parser.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "FROM alpine", "FROM a AS b", "from x aS Y", "FROM --platform=$BUILDPLATFORM a", "FROM a b", "FROM",
    "FROM ${X:-y}", "FROM a AS 1b",
    "ARG A", "ARG A=1 B=\"x y\" C", "ARG A='1", "ARG =x", "ARG", "arg A=\\", "ARG --x A",
    "ENV a b c", "ENV a=b c=\"d e\" f='g'", "ENV a=b c", "ENV a", "ENV =b",
    "LABEL a=b", "LABEL a",
    "RUN echo", "RUN [\"a\", \"b\"]", "RUN [\"a\", 1]", "RUN [a]", "RUN []", "RUN",
    "RUN --mount=type=cache,target=/x y", "RUN --mount=from=$x y", "RUN --mount= y", "RUN --network=host y",
    "RUN --network=x y", "RUN --security=insecure y", "RUN --device=a,b y", "RUN --x y", "RUN <<EOF",
    "RUN cat <<EOF > x", "RUN cat <<-\"E F\"", "RUN 3<<E <<F", "RUN python3 - << 'EOF'", "RUN cat <<<x",
    "RUN echo \"<<EOF", "RUN a${b:-c}<<EOF", "RUN echo \\<<EOF", "RUN <<$X", "RUN <<${X:-y}", "RUN <<\"E\"'F'",
    "COPY <<EOF /x", "COPY <<a <<b /x/", "COPY a <<EOF", "COPY [\"a\", \"b\"]", "COPY [\"a\"]", "COPY a b",
    "COPY --from=x a b", "COPY --chown=1 --link a b", "COPY --link=maybe a b", "COPY --parents --exclude=x a b",
    "COPY a",
    "ADD a b", "ADD --checksum=x --keep-git-dir a b", "ADD --unpack=true a b", "ADD <<EOF /x",
    "CMD", "CMD a b", "CMD [\"a\"]", "CMD [\"a\",]", "CMD [\"\\ud800\"]", "CMD [[1]]",
    "ENTRYPOINT [ \"a\" ]", "ENTRYPOINT a",
    "SHELL [\"a\"]", "SHELL a", "SHELL []",
    "EXPOSE 80 443/tcp", "EXPOSE",
    "VOLUME /a", "VOLUME [\"/a\", \" \"]",
    "WORKDIR /a b", "WORKDIR",
    "USER 1:2", "USER",
    "STOPSIGNAL 9", "STOPSIGNAL --x",
    "MAINTAINER a b", "MAINTAINER",
    "HEALTHCHECK NONE", "HEALTHCHECK NONE x", "HEALTHCHECK --x NONE", "HEALTHCHECK CMD a", "HEALTHCHECK CMD",
    "HEALTHCHECK --interval=1h5.5s --retries=3 CMD [\"a\"]", "HEALTHCHECK --interval=1us CMD a",
    "HEALTHCHECK --retries=-1 CMD a", "HEALTHCHECK x", "HEALTHCHECK",
    "ONBUILD ARG A=1 B", "ONBUILD RUN <<EOF", "ONBUILD ENV a", "ONBUILD nothing a", "ONBUILD", "ONBUILD ONBUILD RUN",
    "ONBUILD FROM a", "ONBUILD --x RUN a", "ONBUILD COPY --from=x a b",
    "NOTHING a",
    "FROM a AS a", "FROM a AS A", "FROM a AS 0", "FROM a AS a.b-c_d", "FROM a AS à", "FROM b", "FROM A", "FROM 0",
    "FROM scratch AS scratch", "FROM --platform= a", "FROM --platform=a --platform=b c", "FROM --x a", "FROM -- a",
    "FROM\u{A0}a", "FROM a as\u{2003}b", "FROM $A$B AS c", "FROM a:${X:+y} AS c",
    "ARG A=${B:-c d}", "ARG A=\"a\" 'B'=b \"C\"", "ARG A==b", "ARG A= B", "ARG A =b", "ARG A=a\\ b", "ARG A=a` b",
    "ARG A A", "ARG \"A", "ARG A='x y' # no comment", "ARG\tA", "ARG BUILDKIT_SYNTAX=x", "ARG HTTP_PROXY TARGETARCH=x",
    "ENV a=b\tc=d", "ENV a=\"b", "ENV a\tb", "ENV a=b\\ c d=e", "ENV --x a=b", "ENV a =b",
    "LABEL a.b=c \"d e\"=f", "LABEL a b c", "LABEL a=b c", "LABEL --x a=b", "LABEL =a",
    "RUN --mount=type=bind,from=a,source=/x,target=/y z", "RUN --mount=type=secret,id=a --mount=type=ssh b",
    "RUN --mount=\"type=cache,target=/a\" b", "RUN --mount=a\\ b c", "RUN --mount b", "RUN --network= b",
    "RUN --network=none --network=none b", "RUN --security=sandbox b", "RUN --security=x b",
    "RUN --device=name=a,required b", "RUN --device=a,required=x b", "RUN -- --x", "RUN --", "RUN -x",
    "RUN [\"a\" \"b\"]", "RUN [\"a\"]x", "RUN [\"\\u0041\\n\"]", "RUN [\"a\\q\"]", "RUN [null]", "RUN {\"a\":1}",
    "RUN \u{FEFF}[\"a\"]", "RUN [\"a\", \"<<EOF\"]", "RUN <<-EOF", "RUN <<-'EOF'", "RUN <<- EOF", "RUN <<\tEOF",
    "RUN <<\"\"", "RUN <<''x", "RUN <<E\\OF", "RUN <<'E'\"O\"F", "RUN <<EOF;echo", "RUN <<EOF<<F", "RUN <<EOF <<EOF",
    "RUN <<A <<-B <<'C' <<\"D\"", "RUN 10<<EOF", "RUN x<<EOF", "RUN $((1<<2))", "RUN $(cat <<EOF)", "RUN `cat <<EOF`",
    "RUN a\\\"<<EOF", "RUN 'a' <<EOF \"b", "RUN ${a", "RUN ${a} <<EOF", "RUN ${a/b/c} <<EOF", "RUN ${a//b/<<EOF}",
    "RUN ${a#*} <<EOF", "RUN ${a:?b <<EOF}", "RUN $1 $@ $- <<EOF", "RUN --mount=type=cache,target=/a <<EOF",
    "RUN --mount=target=<<EOF x", "RUN << EOF # x", "run <<eof",
    "COPY <<-EOF /a", "COPY <<'EOF' \"b\" /a", "COPY a <<EOF /b", "COPY --chmod=755 <<EOF <<-\"F\" /x/", "COPY <<EOF",
    "COPY [\"<<EOF\", \"/a\"]", "COPY [\"a b\", \"c\"] d", "COPY [\"a\", 1]", "COPY --from=0 a b", "COPY --from= a b",
    "COPY --from=a --from=b c d", "COPY --from=\"a b\" c d",
    "COPY --chmod=u+x --chown=a:b --exclude=a --exclude=b c d", "COPY --link --link=false a b", "COPY --LINK a b",
    "COPY --link= a b", "COPY --link=TRUE a b", "COPY --unpack a b", "COPY a\\ b c", "COPY \"a b\" c",
    "ADD --from=x a b", "ADD --chown=1 --chmod=2 --link a b", "ADD --exclude=a --keep-git-dir=true b c",
    "ADD --checksum a b", "ADD [\"a\", \"b\"]", "ADD https://a/b /c", "ADD <<A <<B /c/", "ADD a",
    "CMD []", "CMD [ ]", "CMD [\"a\"] b", "CMD --x a", "CMD <<EOF", "CMD {}", "CMD \"a",
    "ENTRYPOINT", "ENTRYPOINT []", "ENTRYPOINT --x a", "ENTRYPOINT [\"a\", {}]",
    "SHELL [\"a\", \"b\"]", "SHELL [\"\"]", "SHELL [1]", "SHELL", "SHELL --x [\"a\"]",
    "EXPOSE 80/tcp 80/udp $X 1-2", "EXPOSE x", "EXPOSE --x 80", "EXPOSE [\"80\"]",
    "VOLUME a b", "VOLUME []", "VOLUME", "VOLUME \"\"", "VOLUME --x a", "VOLUME [\"\"]", "VOLUME [1]",
    "WORKDIR --x a", "WORKDIR \"a b\"", "WORKDIR [\"a\"]",
    "USER --x a", "USER a b",
    "STOPSIGNAL SIGKILL", "STOPSIGNAL", "STOPSIGNAL a b", "STOPSIGNAL $X",
    "MAINTAINER --x a",
    "HEALTHCHECK none", "HEALTHCHECK NONE []", "HEALTHCHECK NONE [\"a\"]", "HEALTHCHECK cmd a", "HEALTHCHECK CMD []",
    "HEALTHCHECK CMD [\"a\", 1]", "HEALTHCHECK CMD <<EOF",
    "HEALTHCHECK --timeout=1m --start-period=0s --start-interval=5ms CMD a", "HEALTHCHECK --timeout= --retries= CMD a",
    "HEALTHCHECK --retries=0 CMD a", "HEALTHCHECK --retries=x CMD a", "HEALTHCHECK --retries=+1 CMD a",
    "HEALTHCHECK --retries=99999999999 CMD a", "HEALTHCHECK --interval=1d CMD a", "HEALTHCHECK --interval=-1s CMD a",
    "HEALTHCHECK --interval=1s --interval=1s CMD a", "HEALTHCHECK --interval CMD a", "HEALTHCHECK CMD\u{A0}a",
    "ONBUILD COPY <<EOF /a", "ONBUILD ADD <<-'EOF' <<F /a/", "ONBUILD RUN <<A <<B", "ONBUILD RUN [\"a\"]",
    "ONBUILD RUN [1]", "ONBUILD CMD <<EOF", "ONBUILD LABEL a", "ONBUILD ENV a=b c", "ONBUILD HEALTHCHECK CMD [\"a\"]",
    "ONBUILD MAINTAINER a", "ONBUILD onbuild ONBUILD RUN <<EOF", "ONBUILD ARG", "ONBUILD RUN",
    "ONBUILD ARG --x A='b c' D", "onbuild arg a=b", "ONBUILD --x ARG a", "ONBUILD -- ARG a", "ONBUILD [\"RUN\"]",
    "ONBUILD\tRUN\ta",
    "#escape = `", "# escape=`\r", "# ESCAPE=`", "# escape=\\ ", "\u{A0}# escape=`", "# check=skip=a;error=true",
    "# check=a b", "# check=", "# syntax=a\tb", "#syntax=a#b", "# unknown=x", "#!x\n# check=y", "\u{FEFF}# escape=`",
    "\u{FEFF}FROM a", "\tEOF ", "EOF\r", "\t\tF", "D", "C", "A", "B", "eof",
    "RUN\\", "RUN \\",
    "F\\\nROM a",
    "RUN a \\ # b", "RUN a \\\n # c\n b", "RUN a \\\n\u{A0}\n b", "RUN a \\\n\u{2003}# c\n b", "RUN a \\\r b",
    "RUN \0",
    "\0RUN a",
    "RUN a\u{B}b", "RUN\u{B}b",
    "ＲＵＮ a",
    "RUN\u{2003}a",
    "# comment", "#", "# escape=`", "# escape=\\", "# escape=x", "# escape= ", "# syntax=docker/dockerfile:1 a",
    "#syntax = x", "# check=skip=all", "// syntax=x", "#!/bin/sh", "{\"syntax\":\"a\"}", "EOF", "\tEOF", "E F", "a",
    "b", "E", "F", "EF", "", " ", "\t", "  # indented", "\\", "`", "&& b",
];

/// What stands between and behind pieces.
#[rustfmt::skip]
const JOINTS: &[&str] = &[
    "\n", "\n", "\n", "\n", "\n", "\r\n", "\\\n", " \\\n", "\\ \t\n", "\\\\\n", "\\\\\\\n", "`\n", " `\n", "\n\n", " ",
    "\t", "\u{A0}", "\u{85}", "\u{2003}", "\u{FEFF}", "\u{212A}", "İ", "ſ", "à", "\0", "\u{0B}", "<<", "\"", "'", "$",
    "${", "}", "=", "--", ",", "[", "]", "#", "\\", "`", "é", "\r", "\r", "\r\r\n", "\n\r", "\\\r\n", "\\\r",
    "\u{2028}", "\u{3000}", "\u{C}", "\u{FFFD}", "\t\\\n", " \\\n\\\n", "\\\n#x\n", "\\\n\n", "\n\n\n", "<<-", "<",
    ">", ";", "|", "$(", ")", "{", ":-", "''", "\"\"", "\\\"",
];

#[test]
#[ignore = "needs testbed: buildkit; builds its parser with Go"]
fn agrees_with_buildkit() {
    let seed = number("SEED", 1);
    let inputs = number("INPUTS", 20_000);
    let corpus = corpus();
    let pieces = accepted_pieces();
    let mut oracle = Oracle::start();
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut accepted = 0;
    let mut differences = Vec::new();
    for _ in 0..inputs {
        let input = random.input(&corpus, &pieces);
        let theirs = oracle.ask(&input);
        let ours = answer(&input);
        accepted += u64::from(ours.is_ok());
        if !agree(&ours, &theirs) {
            let text: String = String::from_utf8_lossy(&input).chars().take(400).collect();
            let ours = ours.map_or_else(
                |error| format!("line {}: {}", error.line, error.message),
                |ours| ours.to_string(),
            );
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

/// An error's text is ours; that there is one must agree, and its line must be one of those that BuildKit names.
fn agree(ours: &Result<Value, ParseError>, theirs: &Value) -> bool {
    match (ours, theirs.get("error")) {
        (Ok(ours), None) => ours == theirs,
        (Err(ours), Some(_)) => is_at(ours, &theirs["errorLines"]),
        _ => false,
    }
}

/// Whether an error stands in the lines of BuildKit's. For errors of single lines BuildKit names the line in front.
fn is_at(error: &ParseError, theirs: &Value) -> bool {
    let line = |index: usize| theirs[index].as_u64().unwrap() as usize;
    match error.kind {
        ParseErrorKind::DuplicateDirective { .. } | ParseErrorKind::InvalidEscape { .. } => {
            error.line == line(0) + 1
        }
        // Its scanner sometimes counts the line at which it gives up.
        ParseErrorKind::LineTooLong => (line(1)..=line(1) + 1).contains(&error.line),
        // Nothing is there to name.
        ParseErrorKind::NoInstructions => true,
        _ => (line(0)..=line(1)).contains(&error.line),
    }
}

/// What this crate makes of `input`, in the shape of the other program's answer.
fn answer(input: &[u8]) -> Result<Value, ParseError> {
    let file = Dockerfile::parse(input)?;
    Ok(json!({
        "errorLines": [0, 0],
        "escape": file.directives.escape.to_string(),
        "syntax": file.directives.syntax.unwrap_or_default(),
        "check": file.directives.check.unwrap_or_default(),
        "warnings": file.warnings.iter().map(|warning| warning.line).collect::<Vec<_>>(),
        "meta": file.meta_args.iter().map(key_value).collect::<Vec<_>>(),
        "stages": file.stages.iter().map(stage).collect::<Vec<_>>(),
    }))
}

fn key_value(arg: &Arg<'_>) -> Value {
    json!({ "key": arg.key, "value": arg.default })
}

fn stage(stage: &Stage<'_>) -> Value {
    json!({
        "from": stage.from.text,
        "name": stage.name.clone().unwrap_or_default(),
        "platform": stage.platform.clone().unwrap_or_default(),
        "start": stage.lines().start(),
        "end": stage.lines().end(),
        "args": stage.args().map(key_value).collect::<Vec<_>>(),
        "env": stage.instructions().flat_map(env).collect::<Vec<_>>(),
        "copyFrom": stage.instructions().filter_map(copy_from).collect::<Vec<_>>(),
        "nodes": stage.instructions().map(node).collect::<Vec<_>>(),
    })
}

fn env(instruction: Instruction<'_>) -> Vec<Value> {
    let pairs = match instruction.arguments {
        Arguments::Pairs(pairs) if instruction.keyword == Keyword::Env => pairs,
        _ => &[],
    };
    let pair = |pair: &Pair<'_>| json!({ "key": pair.key, "value": pair.value });
    pairs.iter().map(pair).collect()
}

fn copy_from(instruction: Instruction<'_>) -> Option<&str> {
    let from = instruction
        .flags
        .iter()
        .find_map(|flag| flag.text.strip_prefix("--from="));
    (instruction.keyword == Keyword::Copy).then_some(from.unwrap_or_default())
}

fn node(instruction: Instruction<'_>) -> Value {
    let trigger = match instruction.arguments {
        Arguments::Trigger(trigger) => self::trigger(trigger),
        _ => Value::Null,
    };
    json!({
        "name": instruction.keyword.as_str().to_lowercase(),
        "flags": texts(instruction.flags),
        "args": args(instruction.arguments),
        "json": is_json(instruction.arguments),
        "trigger": trigger,
        "heredocs": instruction.heredocs.iter().map(heredoc).collect::<Vec<_>>(),
        "start": instruction.lines().start(),
        "end": instruction.lines().end(),
    })
}

fn trigger(trigger: Trigger<'_>) -> Value {
    let mut args = args(trigger.arguments());
    // BuildKit leaves an empty argument behind names that it does not know.
    if trigger.keyword.is_none() {
        args.push(String::new());
    }
    json!({
        "name": trigger.name.text.replace('İ', "i").to_lowercase(),
        "flags": texts(trigger.flags),
        "args": args,
        "json": is_json(trigger.arguments()),
        "trigger": null,
        "heredocs": [],
        "start": 0,
        "end": 0,
    })
}

fn heredoc(heredoc: &Heredoc<'_>) -> Value {
    json!({ "name": heredoc.name, "content": heredoc.content, "expand": heredoc.expand })
}

fn texts(words: &[Word<'_>]) -> Vec<String> {
    words.iter().map(|word| word.text.to_string()).collect()
}

fn is_json(arguments: Arguments<'_>) -> bool {
    match arguments {
        Arguments::Exec(_) => true,
        Arguments::Health(_, command) => is_json(command.into()),
        _ => false,
    }
}

fn args(arguments: Arguments<'_>) -> Vec<String> {
    match arguments {
        Arguments::Text(word) => vec![word.text.to_string()],
        Arguments::Exec(words) | Arguments::Words(words) => texts(words),
        Arguments::Args(args) => args.iter().map(ToString::to_string).collect(),
        Arguments::Health(kind, command) => {
            let mut all = vec![kind.text.to_string()];
            all.extend(args(command.into()));
            all
        }
        Arguments::Pairs(pairs) => {
            let pair = |pair: &Pair<'_>| [pair.key.to_string(), pair.value.to_string()];
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

/// The pieces that are no errors by themselves: inputs of all pieces are seldom accepted, and errors hide each other.
fn accepted_pieces() -> Vec<&'static str> {
    let alone = |piece: &str| format!("FROM a\n{piece}\n{}", closed(piece));
    let accepted = |piece: &&&str| Dockerfile::parse(alone(piece).as_bytes()).is_ok();
    PIECES.iter().filter(accepted).copied().collect()
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

    fn input(&mut self, corpus: &[Vec<u8>], accepted: &[&str]) -> Vec<u8> {
        let mut input = if !corpus.is_empty() && self.below(3) == 0 {
            corpus[self.below(corpus.len())].clone()
        } else {
            let pieces = self.pick(&[PIECES, accepted]);
            self.generate(pieces)
        };
        // Half of the inputs stay as they are: mutation makes most of them errors.
        for _ in 0..self.below(4) * self.below(2) {
            self.mutate(&mut input);
        }
        input
    }

    fn generate(&mut self, pieces: &[&str]) -> Vec<u8> {
        let mut input = Vec::new();
        if self.below(2) == 0 {
            input.extend_from_slice(b"FROM alpine\n");
        }
        for _ in 0..=self.below(6) {
            let piece = self.pick(pieces);
            input.extend_from_slice(piece.as_bytes());
            for _ in 0..=self.below(6) / 5 {
                input.extend_from_slice(self.pick(JOINTS).as_bytes());
            }
            if self.below(4) != 0 {
                input.extend(closed(piece).bytes());
            }
        }
        match self.below(40) {
            0 => to_line_ends(&mut input, b"\r\n"),
            1 => self.mixed_line_ends(&mut input),
            2 => self.long_line(&mut input),
            3 => input.extend_from_slice(b"RUN a \\"),
            _ => {}
        }
        input
    }

    fn mixed_line_ends(&mut self, input: &mut Vec<u8>) {
        let lines: Vec<Vec<u8>> = input
            .split(|&byte| byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        input.clear();
        for line in lines {
            input.extend(line);
            input.extend_from_slice(self.pick(&["\n", "\r\n", "\n\r", "\r"]).as_bytes());
        }
    }

    /// Makes one line as long as the scanner's limit, give or take two bytes.
    fn long_line(&mut self, input: &mut Vec<u8>) {
        const LIMIT: usize = 65_535;
        let at = self.below(input.len() + 1);
        let start = input[..at]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        let rest = input[at..]
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap_or(input.len() - at);
        let length = (LIMIT + self.below(5)).saturating_sub(2 + at - start + rest);
        let filling = [b'x', b' ', b'\t'][self.below(3)];
        input.splice(at..at, std::iter::repeat_n(filling, length));
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + self.below(24)).min(input.len());
        match self.below(8) {
            0 => drop(input.splice(at..at, self.pick(JOINTS).bytes())),
            1 => drop(input.splice(at..at, self.pick(PIECES).bytes())),
            2 => input.insert(at, self.below(256) as u8),
            3 if at < input.len() => input[at] = self.below(256) as u8,
            4 => input.truncate(at),
            5 => {
                let copied = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                drop(input.splice(to..to, copied));
            }
            6 => input[at..end]
                .iter_mut()
                .for_each(|byte| *byte ^= 0x20 * u8::from(byte.is_ascii_alphabetic())),
            _ => drop(input.drain(at..end.min(at + 8))),
        }
    }
}

fn to_line_ends(input: &mut Vec<u8>, end: &[u8]) {
    let lines: Vec<&[u8]> = input.split(|&byte| byte == b'\n').collect();
    *input = lines.join(end);
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
