//! What each instruction takes: counts, flags and values, refused where BuildKit's `instructions` package refuses them.

use super::super::ast::{Arguments, Keyword, Word};
use super::super::error::ParseErrorKind;
use super::flags::{Flag, Flags, Kind, device, duration, mount};
use super::heredoc::opening;
use super::node::Node;

/// What a stage keeps of its `FROM`.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// The name behind `AS`, in lower case.
    pub(super) name: Option<String>,
    /// `FROM --platform=`.
    pub(super) platform: Option<String>,
}

/// Checks one instruction.
pub(super) fn check(keyword: Keyword, node: &Node) -> Result<Values, ParseErrorKind> {
    let of = Instruction { keyword, node };
    let mut values = Values::default();
    match keyword {
        Keyword::Add => of.copy(ADD)?,
        Keyword::Copy => of.copy(COPY)?,
        Keyword::Arg => of.arg()?,
        Keyword::Cmd | Keyword::Entrypoint => drop(of.flags(&[])?),
        Keyword::Env | Keyword::Label => of.pairs()?,
        Keyword::Expose => {
            of.at_least_one()?;
            of.flags(&[])?;
        }
        Keyword::From => {
            values.name = of.stage_name()?;
            let flags = of.flags(&[("platform", Kind::Text)])?;
            let platform = flags.value("platform").filter(|value| !value.is_empty());
            values.platform = platform.map(str::to_owned);
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
    Ok(values)
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
const BLANK_NAME: &str = "names can not be blank";

struct Instruction<'a> {
    keyword: Keyword,
    node: &'a Node,
}

impl<'a> Instruction<'a> {
    fn flags(&self, known: &[Flag]) -> Result<Flags<'a>, ParseErrorKind> {
        let flags = self.node.flags.iter().map(|flag| flag.text.as_str());
        Flags::read(flags, known).map_err(|problem| self.flag(problem))
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
    fn list(&self) -> impl ExactSizeIterator<Item = &'a str> + DoubleEndedIterator {
        let (strings, words): (&[String], &[Word]) = match &self.node.arguments {
            Arguments::Exec(strings) => (strings, &[]),
            Arguments::Words(words) => (&[], words),
            _ => (&[], &[]),
        };
        let length = strings.len() + words.len();
        (0..length).map(move |at| match strings.get(at) {
            Some(string) => string.as_str(),
            None => words[at].text.as_str(),
        })
    }

    fn at_least_one(&self) -> Result<(), ParseErrorKind> {
        self.require(self.list().len() > 0, AT_LEAST_ONE)
    }

    fn exactly_one(&self) -> Result<(), ParseErrorKind> {
        let one = matches!(self.node.arguments, Arguments::Text(_));
        self.require(one, "requires exactly one argument")
    }

    fn copy(&self, known: &[Flag]) -> Result<(), ParseErrorKind> {
        let mut list = self.list();
        let (true, Some(destination)) = (list.len() >= 2, list.next_back()) else {
            return Err(self.expects("requires at least two arguments: sources and a destination"));
        };
        self.flags(known)?;
        if matches!(opening(destination.as_bytes()), Ok(Some(_))) {
            let problem = "a heredoc cannot be the destination";
            return Err(ParseErrorKind::BadHeredoc { problem });
        }
        Ok(())
    }

    fn arg(&self) -> Result<(), ParseErrorKind> {
        let Arguments::Args(args) = &self.node.arguments else {
            return Err(self.expects(AT_LEAST_ONE));
        };
        self.require(!args.is_empty(), AT_LEAST_ONE)?;
        let blank = |arg: &super::super::ast::Arg| arg.key.is_empty();
        self.require(!args.iter().any(blank), BLANK_NAME)
    }

    fn pairs(&self) -> Result<(), ParseErrorKind> {
        self.flags(&[])?;
        let Arguments::Pairs(pairs) = &self.node.arguments else {
            return Err(self.expects(AT_LEAST_ONE));
        };
        self.require(!pairs.is_empty(), AT_LEAST_ONE)?;
        let blank = pairs.iter().any(|(key, _)| key.is_empty());
        self.require(!blank, BLANK_NAME)
    }

    fn stage_name(&self) -> Result<Option<String>, ParseErrorKind> {
        match self.list().collect::<Vec<_>>().as_slice() {
            [_] => Ok(None),
            [_, between, name] if is_as(between) => {
                let lower = lower(name);
                if !is_stage_name(&lower) {
                    let name = (*name).to_owned();
                    return Err(ParseErrorKind::StageName { name });
                }
                Ok(Some(lower))
            }
            _ => Err(self.expects("requires one argument, or three: `image AS name`")),
        }
    }

    fn run(&self) -> Result<(), ParseErrorKind> {
        let flags = self.flags(RUN)?;
        for value in flags.values("mount") {
            mount(value).map_err(|problem| self.flag(problem))?;
        }
        for value in flags.values("device") {
            device(value).map_err(|problem| self.flag(problem))?;
        }
        let one_of = |name: &str, allowed: &[&str]| match flags.value(name) {
            Some(value) if !allowed.contains(&value) => {
                let allowed = allowed.join(", ");
                Err(self.flag(format!("--{name} is one of {allowed}, not `{value}`")))
            }
            _ => Ok(()),
        };
        one_of("network", &["default", "none", "host"])?;
        one_of("security", &["sandbox", "insecure"])
    }

    fn shell(&self) -> Result<(), ParseErrorKind> {
        self.flags(&[])?;
        match &self.node.arguments {
            Arguments::Exec(strings) if !strings.is_empty() => Ok(()),
            Arguments::Text(_) => Err(self.expects("requires its arguments as a JSON array")),
            _ => Err(self.expects(AT_LEAST_ONE)),
        }
    }

    fn volume(&self) -> Result<(), ParseErrorKind> {
        self.at_least_one()?;
        self.flags(&[])?;
        let blank = self.list().any(|path| path.trim().is_empty());
        self.require(!blank, "takes no empty paths")
    }

    fn health(&self) -> Result<(), ParseErrorKind> {
        let Arguments::Health(kind, command) = &self.node.arguments else {
            return Err(self.expects(AT_LEAST_ONE));
        };
        if kind.text.to_uppercase() == "NONE" {
            // Its flags are not even read.
            let empty = match &**command {
                Arguments::Exec(strings) => strings.is_empty(),
                command => *command == Arguments::None,
            };
            return self.require(empty, "NONE takes no arguments");
        }
        self.health_command(kind, command)
    }

    fn health_command(&self, kind: &Word, command: &Arguments) -> Result<(), ParseErrorKind> {
        let flags = self.flags(HEALTHCHECK)?;
        self.require(kind.text.to_uppercase() == "CMD", "is `CMD …` or `NONE`")?;
        let given = match command {
            Arguments::Exec(strings) => !strings.is_empty(),
            command => *command != Arguments::None,
        };
        self.require(given, "CMD needs a command")?;
        for name in ["interval", "timeout", "start-period", "start-interval"] {
            let value = flags.value(name).unwrap_or_default();
            duration(value).map_err(|problem| self.flag(format!("--{name} {problem}")))?;
        }
        match flags.value("retries").filter(|value| !value.is_empty()) {
            Some(value) if !value.parse::<i32>().is_ok_and(|count| count >= 0) => {
                Err(self.flag(format!("--retries is a count, not `{value}`")))
            }
            _ => Ok(()),
        }
    }

    fn trigger(&self) -> Result<(), ParseErrorKind> {
        let Arguments::Trigger(trigger) = &self.node.arguments else {
            return Err(self.expects(AT_LEAST_ONE));
        };
        self.flags(&[])?;
        match trigger.name.trim().to_uppercase().as_str() {
            "ONBUILD" => Err(self.expects("cannot trigger another ONBUILD")),
            "MAINTAINER" => Err(self.expects("cannot trigger MAINTAINER")),
            "FROM" => Err(self.expects("cannot trigger FROM")),
            _ => Ok(()),
        }
    }
}

/// `AS` in any case; the long s folds to an s.
fn is_as(word: &str) -> bool {
    word.replace('\u{17F}', "s").eq_ignore_ascii_case("as")
}

/// Lower case by single characters, as Go has it.
fn lower(name: &str) -> String {
    name.replace('\u{130}', "i").to_lowercase()
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|ch: char| ch.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
}
