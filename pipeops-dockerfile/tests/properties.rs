//! What holds for every input of the Dockerfile parser.

use pipeops_dockerfile::{
    Arguments, Dockerfile, Excerpt, Instruction, Position, Word, args_report,
};
use proptest::prelude::*;

/// Lines that are more often Dockerfiles than random text is.
fn dockerfile() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("FROM alpine AS a".to_owned()),
        Just("RUN <<EOF".to_owned()),
        Just("EOF".to_owned()),
        Just("# escape=`".to_owned()),
        "ARG [A-Z]{1,3}(=[a-z\"' ]{0,4})?( [A-Z]=[0-9])?",
        "ENV [A-Z]{1,3}[= ][a-z\"']{0,4}",
        "(RUN|CMD|COPY|ADD) [ -~]{0,20}",
        "(ONBUILD )?(RUN|ARG|HEALTHCHECK|LABEL) [a-zA-Z=\\[\\]\", -]{0,16}",
        "(ENV|LABEL) a=[a-z\"'=]{0,3} b=[a-z\\\\ ]{0,3}",
        "(CMD|ONBUILD CMD|HEALTHCHECK CMD|COPY) \\[\"[a-z]{0,3}\", ?\"\\\\\\\\[é ]\"\\]",
        "(RUN|COPY) (--link |--mount=type=cache,target=\"/a\" )?[a-z]{1,3} <<-?['\"]?E['\"]? x",
        Just("\tE".to_owned()),
        Just("E".to_owned()),
        "[ -~]{0,12}",
    ];
    let end = prop_oneof![4 => Just("\n"), 1 => Just("\\\n"), 1 => Just("\r\n"), 1 => Just(" `\n")];
    prop::collection::vec((line, end), 0..12)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}

/// A file whose pieces are compared with what the parser made of them.
struct Source<'a> {
    text: &'a str,
    escape: char,
}

impl Source<'_> {
    /// The text of `span` without continuations, and without the comments and empty lines inside of them.
    fn unfolded(&self, span: &std::ops::Range<usize>) -> String {
        let mut lines = self.text[span.clone()].split('\n').peekable();
        let mut text = String::new();
        let mut first = true;
        while let Some(line) = lines.next() {
            let line = line.trim_end_matches('\r');
            let skipped = line.trim().is_empty() || line.trim_start().starts_with('#');
            let has_more = lines.peek().is_some();
            match line.trim_end_matches([' ', '\t']).strip_suffix(self.escape) {
                _ if skipped && !first && has_more => {}
                Some(line) if has_more => text += line,
                _ => text += line,
            }
            first = false;
        }
        text
    }

    fn check(&self, instruction: &Instruction<'_>) -> Result<(), TestCaseError> {
        let keyword = self.unfolded(&instruction.keyword_span());
        prop_assert!(
            keyword.eq_ignore_ascii_case(instruction.keyword.as_str()),
            "{}",
            keyword
        );
        for flag in instruction.flags {
            let bare = |text: &str| text.replace(['"', '\'', self.escape], "");
            prop_assert_eq!(bare(&self.unfolded(&flag.span())), bare(&flag.text));
        }
        for heredoc in instruction.heredocs {
            prop_assert_eq!(&self.text[heredoc.end()], &*heredoc.name);
            let tabs = |text: &str| text.replace('\t', "");
            prop_assert_eq!(tabs(&self.text[heredoc.span()]), tabs(&heredoc.content));
        }
        self.check_arguments(instruction.arguments)
    }

    fn check_arguments(&self, arguments: Arguments<'_>) -> Result<(), TestCaseError> {
        let same = |word: &Word<'_>| {
            prop_assert_eq!(self.unfolded(&word.span()), &*word.text);
            Ok(())
        };
        match arguments {
            Arguments::Text(word) => same(word),
            Arguments::Words(words) => words.iter().try_for_each(same),
            Arguments::Health(kind, command) => {
                same(kind)?;
                self.check_arguments(command.into())
            }
            Arguments::Trigger(trigger) => {
                same(trigger.name)?;
                self.check_arguments(trigger.arguments())
            }
            Arguments::Exec(words) => {
                for word in words {
                    let written = self.unfolded(&word.span());
                    let read: Option<String> = serde_json::from_str(&written).ok();
                    prop_assert_eq!(read.as_deref(), Some(&*word.text));
                }
                Ok(())
            }
            Arguments::Pairs(pairs) => {
                for pair in pairs {
                    let written = self.unfolded(&pair.span());
                    let written = written.strip_suffix(self.escape).unwrap_or(&written);
                    let value = pair.value.strip_suffix(self.escape).unwrap_or(&pair.value);
                    prop_assert!(
                        written.starts_with(&*pair.key) && written.ends_with(value),
                        "{}",
                        written
                    );
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

proptest! {
    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Err(error) = Dockerfile::parse(&bytes) {
            prop_assert!(error.line >= 1 && error.column >= 1);
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn errors_stand_inside_of_the_file(text in dockerfile()) {
        if let Err(error) = Dockerfile::parse(text.as_bytes()) {
            prop_assert!(error.line <= text.lines().count().max(1), "{error}");
            prop_assert!(error.span.end <= text.len());
            let position = Position::of(text.as_bytes(), error.span.start);
            prop_assert_eq!((position.line, position.column), (error.line, error.column));
        }
    }

    #[test]
    fn any_place_of_any_text_can_be_shown(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        start in 0_usize..400,
        length in 0_usize..400,
    ) {
        let shown = Excerpt::of(&bytes, start..start + length).to_string();
        prop_assert_eq!(shown.lines().count(), 3);
        prop_assert!(shown.ends_with('^'));
    }

    #[test]
    fn words_stand_where_they_say(text in dockerfile()) {
        let Ok(file) = Dockerfile::parse(text.as_bytes()) else { return Ok(()) };
        let source = Source { text: &text, escape: file.directives.escape };
        for arg in file.meta_args.iter().chain(file.stages.iter().flat_map(|stage| stage.args())) {
            let written = source.unfolded(&arg.span());
            // An escape character at the very end is dropped.
            prop_assert_eq!(written.strip_suffix(source.escape).unwrap_or(&written), arg.to_string());
        }
        for stage in &file.stages {
            prop_assert_eq!(source.unfolded(&stage.from.span()), &*stage.from.text);
        }
        for instruction in file.stages.iter().flat_map(|stage| stage.instructions()) {
            source.check(&instruction)?;
        }
    }

    #[test]
    fn tokens_cover_all_but_blanks_and_comments(text in dockerfile()) {
        let Ok(file) = Dockerfile::parse(text.as_bytes()) else { return Ok(()) };
        let mut end = 0;
        for token in file.tokens() {
            prop_assert!(end <= token.span.start, "{token:?} overlaps");
            let between = &text[end..token.span.start];
            for line in between.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
                // Brackets and commas of JSON arrays, `--` alone, escape characters.
                let meaning = line.trim_matches(|ch: char| ch.is_whitespace() || "[],\\`-".contains(ch));
                prop_assert_eq!(meaning, "", "between tokens of {}", text);
            }
            end = token.span.end;
        }
    }

    #[test]
    fn args_come_back_from_a_file_that_is_written_from_them(text in dockerfile()) {
        let Ok(file) = Dockerfile::parse(text.as_bytes()) else { return Ok(()) };
        let report = args_report(&file);
        let mut written = format!("# escape={}\n", report.escape);
        for arg in &report.meta {
            written += &format!("ARG {arg}\n");
        }
        for stage in &report.stages {
            let name = stage.name.as_ref().map_or(String::new(), |name| format!(" AS {name}"));
            written += &format!("FROM {}{name}\n", stage.from);
            for arg in &stage.args {
                written += &format!("ARG {arg}\n");
            }
        }
        // A word that ends in a continuation cannot be written alone on a line.
        let open = |arg: &String| arg.ends_with(['\\', '`', ' ', '\t']) || arg.starts_with("--");
        let args = report.meta.iter().chain(report.stages.iter().flat_map(|stage| &stage.args));
        if file.stages.is_empty() || args.into_iter().any(open) || report.stages.iter().any(|stage| open(&stage.from)) {
            return Ok(());
        }
        let again = args_report(&Dockerfile::parse(written.as_bytes()).unwrap());
        prop_assert_eq!(&again.meta, &report.meta, "{}", written);
        for (again, stage) in again.stages.iter().zip(&report.stages) {
            prop_assert_eq!(&again.args, &stage.args);
            prop_assert_eq!(&again.from, &stage.from);
            prop_assert_eq!(&again.name, &stage.name);
        }
    }
}

#[test]
fn the_hard_cases_of_other_parsers() {
    for (text, stages, args) in [
        (
            "FROM a\nRUN <<EOF\nFROM b\nARG X\nEOF\nARG Y\n",
            1,
            &["Y"] as &[_],
        ),
        (
            "FROM a\nCOPY <<a <<b /x/\nARG 1\na\nARG 2\nb\nARG Y\n",
            1,
            &["Y"],
        ),
        (
            "FROM a\nRUN python3 - <<EOF && cat <<'F' > x\nARG 1\nEOF\nARG 2\nF\nARG Y\n",
            1,
            &["Y"],
        ),
        ("# escape=`\nFROM a\nRUN a `\nARG X\nARG Y\n", 1, &["Y"]),
        (
            "FROM a\nARG a=1 b=\"x y\" c\n",
            1,
            &["a=1", "b=\"x y\"", "c"],
        ),
        ("\u{FEFF}FROM a\r\nARG X=1 \\\r\n  Y\r\n", 1, &["X=1", "Y"]),
        ("FROM a\nRUN a \\\n# comment\n\n  b\nARG Y\n", 1, &["Y"]),
        ("FROM a\nRUN echo \\\\\nARG Y\n", 1, &["Y"]),
        ("FROM a\nARG Y\nRUN b \\", 1, &["Y"]),
        (
            "FROM a\nHEALTHCHECK --interval=5s CMD [\"a\"]\nFROM b AS c\nARG Y\n",
            2,
            &["Y"],
        ),
    ] {
        let file =
            Dockerfile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let found: Vec<String> = file
            .stages
            .iter()
            .flat_map(|stage| stage.args())
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            (file.stages.len(), found.as_slice()),
            (
                stages,
                &args
                    .iter()
                    .map(|arg: &&str| arg.to_string())
                    .collect::<Vec<_>>()[..]
            ),
            "{text}"
        );
    }
    let long = format!("FROM a\nRUN {}\n", "x".repeat(65_535));
    for (text, line) in [
        ("FROM a\nNOPE x\n", 2),
        ("FROM a\nRUN <<EOF\nx\n", 2),
        (long.as_str(), 2),
        ("# escape=`\n#escape=`\nFROM a", 2),
        ("NOPE\nONBUILD ONBUILD LABEL a\n", 2),
        ("", 1),
    ] {
        assert_eq!(Dockerfile::parse(text.as_bytes()).unwrap_err().line, line);
    }
}
