//! The content of one file that is sent.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;

use super::os::{self, Identity};
use super::stat::{Mark, Marker};

/// The source of a file's content.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// On disk, in the file that was seen while the tree was walked.
    Disk {
        /// Its full path.
        path: PathBuf,
        /// Which file that was; `None` for what is sent as empty (a socket).
        seen: Option<Identity>,
    },
    /// In memory.
    Memory(Bytes),
}

/// Contents are marked in pieces of this size.
const MARKED: usize = 64 << 10;

/// The read buffer of a thread that marks contents.
pub(crate) struct Buffer(Vec<u8>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![0; MARKED])
    }
}

impl Content {
    /// Reads the content for its size and mark.
    pub(crate) fn mark(&self, buffer: &mut Buffer) -> io::Result<(u64, Mark)> {
        let mut reading = Reading::default();
        match self {
            Self::Memory(bytes) => reading.add(bytes),
            Self::Disk { seen: None, .. } => {}
            Self::Disk {
                path,
                seen: Some(seen),
            } => {
                let mut file = os::open(path, *seen)?;
                loop {
                    match read(&mut file, &mut buffer.0)? {
                        0 => break,
                        length => reading.add(&buffer.0[..length]),
                    }
                }
            }
        }
        Ok(reading.end())
    }

    /// Reads the content in pieces until `take` returns `false`. Returns its size and mark.
    pub(crate) fn read(
        &self,
        piece_size: usize,
        take: &mut dyn FnMut(Bytes) -> bool,
    ) -> io::Result<(u64, Mark)> {
        let mut reading = Reading::default();
        let mut pass = |piece: Bytes| {
            reading.add(&piece);
            take(piece)
        };
        match self {
            Self::Memory(bytes) => {
                let mut rest = bytes.clone();
                while !rest.is_empty() && pass(rest.split_to(rest.len().min(piece_size))) {}
            }
            Self::Disk { seen: None, .. } => {}
            Self::Disk {
                path,
                seen: Some(seen),
            } => {
                let mut file = os::open(path, *seen)?;
                loop {
                    let mut piece = vec![0; piece_size];
                    let length = read(&mut file, &mut piece)?;
                    piece.truncate(length);
                    if length == 0 || !pass(piece.into()) {
                        break;
                    }
                }
            }
        }
        Ok(reading.end())
    }
}

/// The size and mark of the content so far.
#[derive(Default)]
struct Reading {
    size: u64,
    marker: Marker,
}

impl Reading {
    fn add(&mut self, piece: &[u8]) {
        self.size += piece.len() as u64;
        self.marker.update(piece);
    }

    fn end(self) -> (u64, Mark) {
        (self.size, self.marker.finish())
    }
}

/// Reads once. Returns 0 at the end.
fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
