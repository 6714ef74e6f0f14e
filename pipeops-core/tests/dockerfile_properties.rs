//! What holds for every input of the Dockerfile parser.

use pipeops_core::dockerfile::{Arguments, Dockerfile, args_report};
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
        "[ -~]{0,12}",
    ];
    let end = prop_oneof![4 => Just("\n"), 1 => Just("\\\n"), 1 => Just("\r\n"), 1 => Just(" `\n")];
    prop::collection::vec((line, end), 0..12)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
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
        }
    }

    #[test]
    fn spans_hold_what_they_name(text in dockerfile()) {
        let Ok(file) = Dockerfile::parse(text.as_bytes()) else { return Ok(()) };
        for arg in file.meta_args.iter().chain(file.stages.iter().flat_map(|stage| stage.args())) {
            let source = &text[arg.span.clone()];
            // Only continuations can stand inside; an escape character at the very end is dropped.
            if !source.contains('\n') && !source.ends_with(file.directives.escape) {
                prop_assert_eq!(source, arg.to_string());
            }
        }
        for instruction in file.stages.iter().flat_map(|stage| &stage.instructions) {
            let source = text[instruction.span.clone()].to_ascii_uppercase();
            let keyword = instruction.keyword.as_str();
            prop_assert!(source.starts_with(keyword) || source.contains('\n'), "{source} is no {keyword}");
            if let Arguments::Text(word) = &instruction.arguments && !source.contains('\n') {
                prop_assert_eq!(&text[word.span.clone()], &word.text);
            }
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
        ("", 1),
    ] {
        assert_eq!(Dockerfile::parse(text.as_bytes()).unwrap_err().line, line);
    }
}
