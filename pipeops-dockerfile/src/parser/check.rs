//! What each instruction takes: counts, flags and values, refused where BuildKit's `instructions` package refuses them.

use std::borrow::Cow;

use super::super::Keyword;
use super::super::ast::{Arg, Word};
use super::super::error::ParseErrorKind;
use super::super::instructions::{Arguments, Command};
use super::super::instructions::{Form, Held, Part, Tables};
use super::flags::{Flag, Flags, Kind, device, duration, mount};
use super::heredoc::opening;

/// Checks one instruction.
#[inline]
pub(super) fn check(
    keyword: Keyword,
    flags: Part,
    held: Held,
    tables: &Tables<'_>,
) -> Result<(), ParseErrorKind> {
    let of = Check {
        keyword,
        flags,
        held,
        tables,
    };
    match keyword {
        Keyword::Add => of.copy(ADD)?,
        Keyword::Copy => of.copy(COPY)?,
        Keyword::Arg => of.arg()?,
        Keyword::Cmd | Keyword::Entrypoint => {
            of.flags(&[])?;
        }
        Keyword::Env | Keyword::Label => of.pairs()?,
        Keyword::Expose => {
            of.at_least_one()?;
            of.flags(&[])?;
        }
        Keyword::From => {
            of.stage_name()?;
            of.flags(FROM)?;
        }
        Keyword::Healthcheck => of.health()?,
        Keyword::Maintainer | Keyword::User | Keyword::Workdir => {
            of.exactly_one()?;
            of.flags(&[])?;
        }
        Keyword::Onbuild => of.trigger()?,
        Keyword::Run => of.run()?,
        Keyword::Shell => of.shell()?,
        // Its flags are read and ignored.
        Keyword::Stopsignal => of.exactly_one()?,
        Keyword::Volume => of.volume()?,
    }
    Ok(())
}

/// The name that a `FROM` with these words gives to its stage, in lower case. They have been checked.
pub(super) fn stage_name<'a>(words: &[Word<'a>]) -> Option<Cow<'a, str>> {
    words.get(2).map(|name| lower(&name.text))
}

/// The platform that a `FROM` with these flags names. They have been checked.
pub(super) fn platform<'a>(flags: &[Word<'a>]) -> Option<Cow<'a, str>> {
    let platform = |flag: &Word<'a>| strip_prefix(&flag.text, "--platform=");
    let platform = flags.iter().find_map(platform);
    platform.filter(|platform| !platform.is_empty())
}

const ADD: &[Flag] = &[
    ("chown", Kind::Text),
    ("chmod", Kind::Text),
    ("link", Kind::Bool),
    ("keep-git-dir", Kind::Bool),
    ("checksum", Kind::Text),
    ("unpack", Kind::Bool),
    ("exclude", Kind::Texts),
];

const COPY: &[Flag] = &[
    ("chown", Kind::Text),
    ("from", Kind::Text),
    ("chmod", Kind::Text),
    ("link", Kind::Bool),
    ("exclude", Kind::Texts),
    ("parents", Kind::Bool),
];

const FROM: &[Flag] = &[("platform", Kind::Text)];

const RUN: &[Flag] = &[
    ("mount", Kind::Texts),
    ("network", Kind::Text),
    ("security", Kind::Text),
    ("device", Kind::Texts),
];

const HEALTHCHECK: &[Flag] = &[
    ("interval", Kind::Text),
    ("timeout", Kind::Text),
    ("start-period", Kind::Text),
    ("start-interval", Kind::Text),
    ("retries", Kind::Text),
];

const AT_LEAST_ONE: &str = "requires at least one argument";
const BLANK_NAME: &str = "names can't be blank";

struct Check<'a> {
    keyword: Keyword,
    flags: Part,
    held: Held,
    tables: &'a Tables<'a>,
}

impl<'a> Check<'a> {
    #[inline]
    fn flags(&self, known: &[Flag]) -> Result<Flags<'a>, ParseErrorKind> {
        Flags::read(self.tables.flags(self.flags), known).map_err(|problem| self.flag(problem))
    }

    fn flag(&self, problem: String) -> ParseErrorKind {
        ParseErrorKind::Flag {
            keyword: self.keyword,
            problem,
        }
    }

    fn expects(&self, expected: &'static str) -> ParseErrorKind {
        ParseErrorKind::Arguments {
            keyword: self.keyword,
            expected,
        }
    }

    fn require(&self, holds: bool, expected: &'static str) -> Result<(), ParseErrorKind> {
        if holds {
            Ok(())
        } else {
            Err(self.expects(expected))
        }
    }

    /// The arguments of instructions that take a list.
    #[inline]
    fn list(&self) -> &'a [Word<'a>] {
        match self.held.form {
            Form::Exec | Form::Words => self.tables.words(self.held),
            _ => &[],
        }
    }

    fn at_least_one(&self) -> Result<(), ParseErrorKind> {
        self.require(!self.list().is_empty(), AT_LEAST_ONE)
    }

    fn exactly_one(&self) -> Result<(), ParseErrorKind> {
        let one = matches!(self.held.form, Form::Text);
        self.require(one, "requires exactly one argument")
    }

    fn copy(&self, known: &[Flag]) -> Result<(), ParseErrorKind> {
        let [_, .., destination] = self.list() else {
            return Err(self.expects("requires at least two arguments: sources and a destination"));
        };
        self.flags(known)?;
        if matches!(opening(destination.text.as_bytes()), Ok(Some(_))) {
            let problem = "a heredoc can't be the destination";
            return Err(ParseErrorKind::BadHeredoc { problem });
        }
        Ok(())
    }

    fn arg(&self) -> Result<(), ParseErrorKind> {
        let args = self.tables.args(self.held);
        self.require(!args.is_empty(), AT_LEAST_ONE)?;
        let blank = |arg: &Arg<'_>| arg.key.is_empty();
        self.require(!args.iter().any(blank), BLANK_NAME)
    }

    fn pairs(&self) -> Result<(), ParseErrorKind> {
        self.flags(&[])?;
        let pairs = self.tables.pairs(self.held);
        self.require(!pairs.is_empty(), AT_LEAST_ONE)?;
        let blank = pairs.iter().any(|pair| pair.key.is_empty());
        self.require(!blank, BLANK_NAME)
    }

    fn stage_name(&self) -> Result<(), ParseErrorKind> {
        match self.list() {
            [_] => Ok(()),
            [_, between, name] if is_as(&between.text) => {
                if is_stage_name(&name.text) || is_stage_name(&lower(&name.text)) {
                    return Ok(());
                }
                let name = name.text.to_string();
                Err(ParseErrorKind::StageName { name })
            }
            _ => Err(self.expects("requires one argument, or three: `image AS name`")),
        }
    }

    fn run(&self) -> Result<(), ParseErrorKind> {
        let flags = self.flags(RUN)?;
        if flags.is_empty() {
            return Ok(());
        }
        for value in flags.values("mount") {
            mount(value).map_err(|problem| self.flag(problem))?;
        }
        for value in flags.values("device") {
            device(value).map_err(|problem| self.flag(problem))?;
        }
        let one_of = |name: &str, allowed: &[&str]| match flags.value(name) {
            Some(value) if !allowed.contains(&value) => {
                let allowed = allowed.join(", ");
                Err(self.flag(format!("--{name} must be one of {allowed}, not `{value}`")))
            }
            _ => Ok(()),
        };
        one_of("network", &["default", "none", "host"])?;
        one_of("security", &["sandbox", "insecure"])
    }

    fn shell(&self) -> Result<(), ParseErrorKind> {
        self.flags(&[])?;
        match self.tables.arguments(self.held) {
            Arguments::Exec(strings) if !strings.is_empty() => Ok(()),
            Arguments::Text(_) => Err(self.expects("requires its arguments as a JSON array")),
            _ => Err(self.expects(AT_LEAST_ONE)),
        }
    }

    fn volume(&self) -> Result<(), ParseErrorKind> {
        self.at_least_one()?;
        self.flags(&[])?;
        let blank = self.list().iter().any(|path| path.text.trim().is_empty());
        self.require(!blank, "paths can't be empty")
    }

    fn health(&self) -> Result<(), ParseErrorKind> {
        let Arguments::Health(kind, command) = self.tables.arguments(self.held) else {
            return Err(self.expects(AT_LEAST_ONE));
        };
        if kind.text.to_uppercase() == "NONE" {
            // Its flags are not even read.
            let empty = matches!(command, Command::None | Command::Exec([]));
            return self.require(empty, "NONE takes no arguments");
        }
        self.health_command(kind, command)
    }

    fn health_command(&self, kind: &Word<'_>, command: Command<'_>) -> Result<(), ParseErrorKind> {
        let flags = self.flags(HEALTHCHECK)?;
        self.require(
            kind.text.to_uppercase() == "CMD",
            "requires `CMD …` or `NONE`",
        )?;
        let given = !matches!(command, Command::None | Command::Exec([]));
        self.require(given, "CMD requires a command")?;
        for name in ["interval", "timeout", "start-period", "start-interval"] {
            let value = flags.value(name).unwrap_or_default();
            duration(value).map_err(|problem| self.flag(format!("--{name} {problem}")))?;
        }
        match flags.value("retries").filter(|value| !value.is_empty()) {
            Some(value) if !value.parse::<i32>().is_ok_and(|count| count >= 0) => {
                Err(self.flag(format!("--retries must be a number, not `{value}`")))
            }
            _ => Ok(()),
        }
    }

    fn trigger(&self) -> Result<(), ParseErrorKind> {
        let Arguments::Trigger(trigger) = self.tables.arguments(self.held) else {
            return Err(self.expects(AT_LEAST_ONE));
        };
        self.flags(&[])?;
        match trigger.name.text.trim().to_uppercase().as_str() {
            "ONBUILD" => Err(self.expects("can't trigger another ONBUILD")),
            "MAINTAINER" => Err(self.expects("can't trigger MAINTAINER")),
            "FROM" => Err(self.expects("can't trigger FROM")),
            _ => Ok(()),
        }
    }
}

/// What stands behind `prefix`.
fn strip_prefix<'a>(text: &Cow<'a, str>, prefix: &str) -> Option<Cow<'a, str>> {
    match text {
        Cow::Borrowed(text) => text.strip_prefix(prefix).map(Cow::Borrowed),
        Cow::Owned(text) => text
            .strip_prefix(prefix)
            .map(|rest| Cow::Owned(rest.to_owned())),
    }
}

/// `AS` in any case; the long s folds to an s.
fn is_as(word: &str) -> bool {
    word.eq_ignore_ascii_case("as") || word.replace('\u{17F}', "s").eq_ignore_ascii_case("as")
}

/// Lower case by single characters, as Go has it.
fn lower<'a>(name: &Cow<'a, str>) -> Cow<'a, str> {
    if is_stage_name(name) {
        return name.clone();
    }
    Cow::Owned(name.replace('\u{130}', "i").to_lowercase())
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|ch: char| ch.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
}
