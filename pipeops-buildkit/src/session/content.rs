//! The content of one file that is sent.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;

use super::os::{self, Identity};
use super::stat::{Mark, Marker};

/// Where a file's content is read.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// On disk, in the file that was seen while the tree was walked.
    Disk {
        /// Its full path.
        path: PathBuf,
        /// Which file that was; `None` for what is sent as empty (a socket).
        seen: Option<Identity>,
    },
    /// Here.
    Memory(Bytes),
}

impl Content {
    /// Reads the content in pieces; `take` answers `false` to stop. Gives its size and mark.
    pub(crate) fn read(
        &self,
        piece_size: usize,
        take: &mut dyn FnMut(Bytes) -> bool,
    ) -> io::Result<(u64, Mark)> {
        let mut marker = Marker::default();
        let mut size = 0;
        let mut pass = |piece: Bytes| {
            marker.update(&piece);
            size += piece.len() as u64;
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
            } => read_pieces(os::open(path, *seen)?, piece_size, &mut pass)?,
        }
        Ok((size, marker.finish()))
    }
}

fn read_pieces(
    mut file: File,
    piece_size: usize,
    pass: &mut dyn FnMut(Bytes) -> bool,
) -> io::Result<()> {
    loop {
        let mut piece = vec![0; piece_size];
        let length = match file.read(&mut piece) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        piece.truncate(length);
        if length == 0 || !pass(piece.into()) {
            return Ok(());
        }
    }
}
