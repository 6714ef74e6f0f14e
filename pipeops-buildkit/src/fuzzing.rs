//! Entry points for the fuzz targets in `fuzz/`, to code that parses untrusted bytes. Not part of the API: compiled with
//! `--cfg fuzzing` only.

use std::path::Path;

use bollard_buildkit_proto::moby::buildkit::v1::StatusResponse;
use pipeops_core::event::EventKind;
use pipeops_core::{EventSink, SecretString};
use prost::Message;

use crate::failure::{BuildFailure, Details};
use crate::live_redactor::LiveRedactor;
use crate::progress::Progress;
use crate::session::filter::{Above, Filter};
use crate::session::packet::Packet;
use crate::session::patterns::ignored;
#[cfg(feature = "ssh-keys")]
use crate::session::ssh::keys::{Conversation, Key};
use crate::session::{filesync, receive};

/// The fsutil packets in these bytes, each behind its length; what follows the last whole one is left out.
pub struct Packets(Vec<Packet>);

impl Packets {
    /// Reads them. What was read is written and read again: that must give the same.
    pub fn read(bytes: &[u8]) -> Self {
        let packets = messages::<Packet>(bytes);
        for packet in &packets {
            let again = Packet::decode(packet.encode_to_vec().as_slice());
            assert_eq!(again.as_ref(), Ok(packet));
        }
        Self(packets)
    }

    /// A daemon sends them as the result of a build, to be written into `folder`. Gives why that failed.
    pub fn receive(self, folder: &Path) -> Option<String> {
        receive::from_packets(folder, self.0)
    }

    /// A daemon answers with them to the list of the files in `folder`. Gives what it gets: for each file its number and size.
    ///
    /// # Panics
    /// If a file is sent that was not asked for, or twice.
    pub async fn ask(self, folder: &Path) -> Vec<(u32, usize)> {
        let asked: Vec<u32> = self
            .0
            .iter()
            .filter(|packet| packet.kind == 1)
            .map(|packet| packet.id)
            .collect();
        let mut got: Vec<(u32, usize)> = Vec::new();
        let mut open = std::collections::BTreeMap::<u32, usize>::new();
        for packet in filesync::for_packets(folder, self.0).await {
            // Pieces of a content, and its end.
            if packet.kind == 2 {
                assert!(asked.contains(&packet.id), "nobody asked for {}", packet.id);
                assert!(got.iter().all(|(id, _)| *id != packet.id), "sent twice");
                *open.entry(packet.id).or_default() += packet.data.len();
                if packet.data.is_empty() {
                    got.extend(open.remove_entry(&packet.id));
                }
            }
        }
        got
    }
}

/// The events of a build whose daemon sends these reports, each behind its length. `secret` is hidden.
pub fn events(bytes: &[u8], secret: &str) -> Vec<EventKind> {
    let seen = std::sync::Mutex::new(Vec::new());
    let sink = |event: EventKind| seen.lock().expect("nobody panicked").push(event);
    let sink: &dyn EventSink = &sink;
    let mut progress = Progress::new(sink, hiding(secret));
    for report in messages::<StatusResponse>(bytes) {
        progress.take(report);
    }
    progress.finish();
    let counts = progress.counts();
    assert!(counts.cached <= counts.steps);
    let _ = progress.failed_step(None);
    drop(progress);
    seen.into_inner().expect("nobody panicked")
}

/// The failure of a build whose daemon says this, with these details (`google.rpc.Status`). `secret` is hidden.
pub fn failure(message: &str, details: &[u8], secret: &str) -> BuildFailure {
    let redactor = hiding(secret);
    let details = Details::decode(details, &redactor);
    details.into_failure(message, None, &redactor)
}

/// What a walk over the build context does with one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The patterns keep it.
    pub kept: bool,
    /// The walk comes to it: no folder around it was passed over.
    pub reached: bool,
}

/// What a walk does with `path` where this is the `.dockerignore` file; `None` if that cannot be read.
pub fn select(dockerignore: &[u8], path: &str) -> Option<Judged> {
    let filter = Filter::new(&[], &ignored(dockerignore)).ok()?;
    let mut reached = true;
    let mut above = Above::default();
    for (at, _) in path.match_indices('/') {
        let selection = filter.select(&path[..at], true, &above);
        reached &= selection.enter;
        above = selection.above;
    }
    let kept = filter.select(path, false, &above).keep;
    Some(Judged { kept, reached })
}

/// What an agent with one key answers to these bytes; `None` once they are no message of the protocol.
#[cfg(feature = "ssh-keys")]
pub fn ask_agent(pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let key = include_str!("session/ssh/testdata/ed25519").into();
    let key = Key::parse(&key).expect("it is a key");
    let mut agent = Conversation::new(vec![std::sync::Arc::new(key)]);
    let answers = pieces.iter().map(|piece| agent.hear(piece).ok());
    answers
        .collect::<Option<Vec<_>>>()
        .map(|answers| answers.concat())
}

fn hiding(secret: &str) -> LiveRedactor {
    let redactor = LiveRedactor::default();
    redactor.hide([SecretString::from(secret)]);
    redactor
}

fn messages<M: Message + Default>(mut bytes: &[u8]) -> Vec<M> {
    let mut all = Vec::new();
    while !bytes.is_empty()
        && let Ok(message) = M::decode_length_delimited(&mut bytes)
    {
        all.push(message);
    }
    all
}
