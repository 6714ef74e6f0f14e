//! `git upload-pack`: the responses to a clone or a fetch, in protocol version 2.
//!
//! See [protocol-v2](https://git-scm.com/docs/protocol-v2).

use std::collections::HashSet;

use super::objects::Oid;
use super::pack;
use super::pktline::{Packet, Writer};
use super::repo::RepoState;

/// How servers introduce themselves.
const AGENT: &str = concat!("agent=pipeops-testkit/", env!("CARGO_PKG_VERSION"));

/// A request that cannot be served, in the words that the client prints.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) String);

impl<T: Into<String>> From<T> for Refusal {
    fn from(message: T) -> Self {
        Self(message.into())
    }
}

/// The answer to `GET …/info/refs`: capabilities only.
pub(super) fn advertise() -> Vec<u8> {
    let mut out = Writer::default();
    out.line("version 2");
    out.line(AGENT);
    out.line("ls-refs=unborn");
    out.line("fetch=shallow");
    out.line("object-format=sha1");
    out.flush();
    out.into_bytes()
}

/// The command of a request.
pub(super) fn command<'a>(packets: &[Packet<'a>]) -> Option<&'a str> {
    packets
        .iter()
        .find_map(|packet| text(*packet)?.strip_prefix("command="))
}

/// Answers a request.
pub(super) fn serve(repo: &RepoState, packets: &[Packet<'_>]) -> Result<Vec<u8>, Refusal> {
    let delimiter = packets.iter().position(|p| *p == Packet::Delimiter);
    let arguments: Vec<&str> = delimiter
        .map_or(&[][..], |at| &packets[at..])
        .iter()
        .filter_map(|packet| text(*packet))
        .collect();
    match command(packets) {
        Some("ls-refs") => Ok(ls_refs(repo, &arguments)),
        Some("fetch") => fetch(repo, &arguments),
        other => Err(format!("unknown command {:?}", other.unwrap_or_default()).into()),
    }
}

/// A line without its end.
fn text<'a>(packet: Packet<'a>) -> Option<&'a str> {
    match packet {
        Packet::Data(data) => Some(std::str::from_utf8(data).ok()?.trim_end_matches('\n')),
        _ => None,
    }
}

fn ls_refs(repo: &RepoState, arguments: &[&str]) -> Vec<u8> {
    let prefixes: Vec<&str> = arguments
        .iter()
        .filter_map(|argument| argument.strip_prefix("ref-prefix "))
        .collect();
    let wanted =
        |name: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
    let mut out = Writer::default();
    if wanted("HEAD") {
        let symref = match arguments.contains(&"symrefs") {
            true => format!(" symref-target:{}", repo.head_ref),
            false => String::new(),
        };
        match repo.head() {
            Some(head) => out.line(&format!("{head} HEAD{symref}")),
            None if arguments.contains(&"unborn") => out.line(&format!("unborn HEAD{symref}")),
            None => {}
        }
    }
    let peels = arguments.contains(&"peel");
    for (name, oid) in repo.refs.iter().filter(|(name, _)| wanted(name)) {
        match repo.objects.tagged(*oid).filter(|_| peels) {
            Some(commit) => out.line(&format!("{oid} {name} peeled:{commit}")),
            None => out.line(&format!("{oid} {name}")),
        }
    }
    out.flush();
    out.into_bytes()
}

fn fetch(repo: &RepoState, arguments: &[&str]) -> Result<Vec<u8>, Refusal> {
    let request = FetchRequest::parse(arguments)?;
    let plan = Plan::new(repo, &request)?;
    let mut out = Writer::default();
    if !request.done {
        // Nothing that the client has is acknowledged: every pack is whole.
        out.line("acknowledgments");
        out.line("NAK");
        out.flush();
        return Ok(out.into_bytes());
    }
    if request.depth.is_some() {
        out.line("shallow-info");
        for oid in &plan.shallow {
            out.line(&format!("shallow {oid}"));
        }
        out.delimiter();
    }
    out.line("packfile");
    out.side_band(&plan.pack(repo)?);
    out.flush();
    Ok(out.into_bytes())
}

/// What a fetch asks for.
#[derive(Debug, Default)]
struct FetchRequest {
    wants: Vec<Oid>,
    depth: Option<usize>,
    done: bool,
}

impl FetchRequest {
    fn parse(lines: &[&str]) -> Result<Self, Refusal> {
        let mut request = Self::default();
        for line in lines {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let value = rest.split(' ').next().unwrap_or_default();
            match word {
                "want" => request.wants.push(parse_oid(value)?),
                "deepen" => request.depth = Some(parse_depth(value)?),
                "done" => request.done = true,
                // Hints that change nothing here: every pack is whole, without progress and without deltas.
                "have" | "thin-pack" | "no-progress" | "include-tag" | "ofs-delta" => {}
                "shallow" => return Err(not_implemented("a fetch into a shallow clone")),
                other => return Err(not_implemented(&format!("{other:?} in a fetch"))),
            }
        }
        Ok(request)
    }
}

fn not_implemented(what: &str) -> Refusal {
    format!("stand-in: {what} is not implemented").into()
}

fn parse_oid(text: &str) -> Result<Oid, Refusal> {
    text.parse()
        .map_err(|_| format!("protocol error: not an object name: {text:?}").into())
}

fn parse_depth(text: &str) -> Result<usize, Refusal> {
    match text.parse() {
        Ok(depth) if depth > 0 => Ok(depth),
        _ => Err(format!("Invalid deepen: {text}").into()),
    }
}

/// What is sent.
struct Plan {
    objects: HashSet<Oid>,
    shallow: Vec<Oid>,
}

impl Plan {
    fn new(repo: &RepoState, request: &FetchRequest) -> Result<Self, Refusal> {
        let objects = &repo.objects;
        let is_tag = |oid: &&Oid| objects.tagged(**oid).is_some();
        let tags: Vec<Oid> = request.wants.iter().filter(is_tag).copied().collect();
        let commit = |oid: &Oid| objects.tagged(*oid).unwrap_or(*oid);
        let commits: Vec<Oid> = request.wants.iter().map(commit).collect();
        let mut wants = commits.iter();
        if let Some(missing) = wants.find(|oid| objects.commit(**oid).is_none()) {
            // git's own words: clients look for them.
            return Err(format!("upload-pack: not our ref {missing}").into());
        }
        let sent = objects.history(&commits, request.depth);
        let ends = |oid: &Oid| request.depth == sent.get(oid).copied();
        let mut shallow: Vec<Oid> = sent.keys().copied().filter(ends).collect();
        shallow.sort();
        let mut wanted = objects.closure(sent.keys());
        wanted.extend(tags);
        Ok(Self {
            objects: wanted,
            shallow,
        })
    }

    fn pack(&self, repo: &RepoState) -> Result<Vec<u8>, Refusal> {
        pack::write(&repo.objects, self.objects.iter().copied())
            .map_err(|error| format!("the pack could not be written: {error}").into())
    }
}
