//! `git upload-pack`: what a server says to a clone or a fetch, in protocol versions 0 and 2.
//!
//! See [pack-protocol](https://git-scm.com/docs/pack-protocol) and [protocol-v2](https://git-scm.com/docs/protocol-v2).

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

/// The answer to `GET …/info/refs` in version 2: capabilities only.
pub(super) fn advertise_v2() -> Vec<u8> {
    let mut out = Writer::default();
    out.line("version 2");
    out.line(AGENT);
    out.line("ls-refs=unborn");
    out.line("fetch=shallow");
    out.line("object-format=sha1");
    out.flush();
    out.into_bytes()
}

/// The answer to `GET …/info/refs` in version 0: the references, with the capabilities on the first line.
pub(super) fn advertise_v0(repo: &RepoState) -> Vec<u8> {
    let mut out = Writer::default();
    out.line("# service=git-upload-pack");
    out.flush();
    let mut capabilities = format!(
        "shallow side-band-64k no-progress allow-tip-sha1-in-want allow-reachable-sha1-in-want \
         object-format=sha1 {AGENT}"
    );
    let mut lines = Vec::new();
    if let Some(head) = repo.head() {
        capabilities.push_str(&format!(" symref=HEAD:{}", repo.head_ref));
        lines.push(format!("{head} HEAD"));
    }
    lines.extend(repo.refs.iter().map(|(name, oid)| format!("{oid} {name}")));
    if lines.is_empty() {
        lines.push(format!("{} capabilities^{{}}", "0".repeat(40)));
    }
    lines[0] = format!("{}\0{capabilities}", lines[0]);
    lines.iter().for_each(|line| out.line(line));
    out.flush();
    out.into_bytes()
}

/// What a version 2 request asks for.
pub(super) fn command<'a>(packets: &[Packet<'a>]) -> Option<&'a str> {
    packets
        .iter()
        .find_map(|packet| text(*packet)?.strip_prefix("command="))
}

/// Answers a version 2 request.
pub(super) fn serve_v2(repo: &RepoState, packets: &[Packet<'_>]) -> Result<Vec<u8>, Refusal> {
    let delimiter = packets.iter().position(|p| *p == Packet::Delimiter);
    let arguments: Vec<&str> = delimiter
        .map_or(&[][..], |at| &packets[at..])
        .iter()
        .filter_map(|packet| text(*packet))
        .collect();
    match command(packets) {
        Some("ls-refs") => Ok(ls_refs(repo, &arguments)),
        Some("fetch") => fetch_v2(repo, &arguments),
        other => Err(format!("unknown command {:?}", other.unwrap_or_default()).into()),
    }
}

/// Answers a version 0 request.
pub(super) fn serve_v0(repo: &RepoState, packets: &[Packet<'_>]) -> Result<Vec<u8>, Refusal> {
    let lines: Vec<&str> = packets.iter().filter_map(|packet| text(*packet)).collect();
    let side_band = lines
        .first()
        .is_some_and(|line| line.split(' ').any(|word| word == "side-band-64k"));
    let request = FetchRequest::parse(&lines)?;
    let plan = Plan::new(repo, &request)?;
    let mut out = Writer::default();
    if request.depth.is_some() {
        plan.write_shallow(&mut out);
        out.flush();
    }
    match plan.common.first() {
        Some(common) => out.line(&format!("ACK {common}")),
        // A client that only asks for the shallow commits sends neither haves nor `done`.
        None if request.done || !request.haves.is_empty() => out.line("NAK"),
        None => {}
    }
    if request.done {
        let pack = plan.pack(repo)?;
        if side_band {
            out.side_band(&pack);
            out.flush();
        } else {
            out.raw(&pack);
        }
    }
    Ok(out.into_bytes())
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
    for (name, oid) in repo.refs.iter().filter(|(name, _)| wanted(name)) {
        out.line(&format!("{oid} {name}"));
    }
    out.flush();
    out.into_bytes()
}

fn fetch_v2(repo: &RepoState, arguments: &[&str]) -> Result<Vec<u8>, Refusal> {
    let request = FetchRequest::parse(arguments)?;
    let plan = Plan::new(repo, &request)?;
    let mut out = Writer::default();
    if !request.done {
        out.line("acknowledgments");
        if plan.common.is_empty() {
            out.line("NAK");
            out.flush();
            return Ok(out.into_bytes());
        }
        for common in &plan.common {
            out.line(&format!("ACK {common}"));
        }
        out.line("ready");
        out.delimiter();
    }
    if request.depth.is_some() {
        out.line("shallow-info");
        plan.write_shallow(&mut out);
        out.delimiter();
    }
    out.line("packfile");
    out.side_band(&plan.pack(repo)?);
    out.flush();
    Ok(out.into_bytes())
}

/// What a fetch asks for, in either version.
#[derive(Debug, Default)]
struct FetchRequest {
    wants: Vec<Oid>,
    haves: Vec<Oid>,
    /// Where the client's history ends already.
    shallow: HashSet<Oid>,
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
                "have" => request.haves.push(parse_oid(value)?),
                "shallow" => {
                    request.shallow.insert(parse_oid(value)?);
                }
                "deepen" => request.depth = Some(parse_depth(value)?),
                "done" => request.done = true,
                // Hints that change nothing here: every pack is whole, without progress and without deltas.
                "thin-pack" | "no-progress" | "include-tag" | "ofs-delta" => {}
                other => {
                    return Err(format!("this stand-in does not know {other:?} in a fetch").into());
                }
            }
        }
        Ok(request)
    }
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
    common: Vec<Oid>,
    objects: HashSet<Oid>,
    shallow: Vec<Oid>,
    unshallow: Vec<Oid>,
}

impl Plan {
    fn new(repo: &RepoState, request: &FetchRequest) -> Result<Self, Refusal> {
        let objects = &repo.objects;
        let missing = request
            .wants
            .iter()
            .find(|oid| objects.commit(**oid).is_none());
        if let Some(missing) = missing {
            // git's own words: clients look for them.
            return Err(format!("upload-pack: not our ref {missing}").into());
        }
        // Without `deepen` the new history ends where the client's old one does.
        let boundary = match request.depth {
            Some(_) => HashSet::new(),
            None => request.shallow.clone(),
        };
        let sent = objects.history(&request.wants, request.depth, &boundary);
        let common: Vec<Oid> = request
            .haves
            .iter()
            .copied()
            .filter(|oid| objects.commit(*oid).is_some())
            .collect();
        let known = objects.history(&common, None, &request.shallow);
        let ends = |oid: &Oid| request.depth == sent.get(oid).copied();
        let mut shallow: Vec<Oid> = sent.keys().copied().filter(|oid| ends(oid)).collect();
        shallow.retain(|oid| !request.shallow.contains(oid));
        shallow.sort();
        let reached = |oid: &&Oid| sent.contains_key(oid) && !ends(oid);
        let mut unshallow: Vec<Oid> = request.shallow.iter().filter(reached).copied().collect();
        unshallow.sort();
        let mut needed = objects.closure(sent.keys());
        for oid in objects.closure(known.keys()) {
            needed.remove(&oid);
        }
        Ok(Self {
            common,
            objects: needed,
            shallow,
            unshallow,
        })
    }

    fn write_shallow(&self, out: &mut Writer) {
        self.shallow
            .iter()
            .for_each(|oid| out.line(&format!("shallow {oid}")));
        self.unshallow
            .iter()
            .for_each(|oid| out.line(&format!("unshallow {oid}")));
    }

    fn pack(&self, repo: &RepoState) -> Result<Vec<u8>, Refusal> {
        pack::write(&repo.objects, self.objects.iter().copied())
            .map_err(|error| format!("the pack could not be written: {error}").into())
    }
}
