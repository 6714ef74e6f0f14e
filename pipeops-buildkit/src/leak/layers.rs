//! Searches the files of an image's layers while they stream in.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use flate2::read::MultiGzDecoder;
use tokio::sync::mpsc;

use super::document::Found;
use super::needles::Needles;
use super::{LeakCheck, LeakPlace, LeakReport};
use crate::client::Client;

/// Limit for the pieces of a layer that wait to be searched.
const WAITING: usize = 8;

/// Limit for the reported leaks of one layer.
const MOST: usize = 100;

impl Client {
    /// Searches these layers one after the other.
    pub(super) async fn search_layers<'a>(
        &self,
        digests: impl Iterator<Item = &'a str>,
        needles: &Arc<Needles>,
        check: &LeakCheck,
        report: &mut LeakReport,
    ) {
        for name in needles.too_short_for_files() {
            report.skip(format!("files for {name}: too short to search for"));
        }
        let mut left = check.layer_bytes;
        for digest in digests {
            match self.search_layer(digest, needles, left).await {
                Ok(layer) => {
                    report.add(needles, layer.found);
                    left -= layer.read;
                    if left == 0 {
                        return report.skip(format!(
                            "layers beyond the limit of {} bytes",
                            check.layer_bytes
                        ));
                    }
                }
                Err(why) => report.skip(format!("the layer {digest}: {why}")),
            }
        }
    }

    async fn search_layer(
        &self,
        digest: &str,
        needles: &Arc<Needles>,
        limit: u64,
    ) -> Result<Layer, String> {
        let (pieces, waiting) = mpsc::channel(WAITING);
        let (needles, name) = (Arc::clone(needles), digest.to_owned());
        let search = tokio::task::spawn_blocking(move || {
            search(Pieces::new(waiting), &needles, &name, limit)
        });
        let mut blob = self
            .blob(digest)
            .await
            .map_err(|status| status.message().to_owned())?;
        loop {
            let piece = blob
                .next()
                .await
                .map_err(|status| status.message().to_owned());
            let end = !matches!(piece, Ok(Some(_)));
            let Some(piece) = piece.transpose() else {
                break;
            };
            // The search stops listening when it has read enough.
            if pieces.send(piece).await.is_err() || end {
                break;
            }
        }
        drop(pieces);
        let searched = search.await.map_err(|error| error.to_string())?;
        searched.map_err(|error| error.to_string())
    }
}

/// What one layer held.
struct Layer {
    found: Found,
    /// Unpacked bytes that were read.
    read: u64,
}

/// Reads a layer: a tar archive, mostly in gzip.
fn search(pieces: Pieces, needles: &Needles, digest: &str, limit: u64) -> io::Result<Layer> {
    let mut archive = tar::Archive::new(unpack(pieces)?.take(limit));
    let mut found = Found::new();
    let result = search_files(&mut archive, needles, digest, &mut found);
    let left = archive.into_inner().limit();
    match result {
        // Cut off by the limit, wherever that was.
        Err(error) if left > 0 => Err(error),
        _ => Ok(Layer {
            found,
            read: limit - left,
        }),
    }
}

fn search_files(
    archive: &mut tar::Archive<impl Read>,
    needles: &Needles,
    digest: &str,
    found: &mut Found,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut secrets = needles.in_text(&path);
        if let Some(link) = entry.link_name_bytes() {
            secrets.extend(needles.in_text(&String::from_utf8_lossy(&link)));
        }
        let mut scanner = needles.scanner();
        loop {
            match entry.read(&mut buffer)? {
                0 => break,
                count => scanner.feed(&buffer[..count], &mut secrets),
            }
        }
        let place = LeakPlace::Layer {
            digest: digest.to_owned(),
            path: format!("/{}", needles.clean(&path)),
        };
        let room = MOST.saturating_sub(found.len());
        found.extend(
            secrets
                .into_iter()
                .take(room)
                .map(|index| (index, place.clone())),
        );
    }
    Ok(())
}

/// Undoes the compression, told by the first bytes.
fn unpack(mut pieces: Pieces) -> io::Result<Box<dyn Read>> {
    match pieces.peek()? {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(pieces))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Err(io::Error::other("zstd cannot be read")),
        _ => Ok(Box::new(pieces)),
    }
}

/// Pieces from the network as a reader, for a thread that may block.
struct Pieces {
    waiting: mpsc::Receiver<Result<Bytes, String>>,
    piece: Bytes,
}

impl Pieces {
    fn new(waiting: mpsc::Receiver<Result<Bytes, String>>) -> Self {
        Self {
            waiting,
            piece: Bytes::new(),
        }
    }

    /// What comes next; empty at the end.
    fn peek(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            match self.waiting.blocking_recv() {
                Some(piece) => self.piece = piece.map_err(io::Error::other)?,
                None => break,
            }
        }
        Ok(&self.piece)
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.peek()?.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::search::LeakSearch;
    use super::*;

    const SECRET: &str = "s3cr3t-in-a-file";

    fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive
                .append_data(&mut header, path, content.as_slice())
                .unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn searched(layer: &[u8], limit: u64) -> io::Result<(Vec<String>, u64)> {
        let (pieces, waiting) = mpsc::channel(layer.len() + 1);
        for piece in layer.chunks(7_000) {
            pieces.try_send(Ok(Bytes::copy_from_slice(piece))).unwrap();
        }
        drop(pieces);
        let search_for = LeakSearch::default().secret("s", SECRET);
        let needles = Needles::new(search_for.secrets()).unwrap();
        let layer = search(Pieces::new(waiting), &needles, "sha256:1", limit)?;
        let path = |(_, place): (usize, LeakPlace)| match place {
            LeakPlace::Layer { path, .. } => path,
            other => panic!("{other}"),
        };
        Ok((layer.found.into_iter().map(path).collect(), layer.read))
    }

    fn layer() -> Vec<u8> {
        let mut large = vec![b'x'; 100_000];
        large.extend_from_slice(SECRET.as_bytes());
        large.extend_from_slice(&[b'y'; 100_000]);
        archive(&[
            ("clean", vec![0; 5_000]),
            ("app/large", large),
            (&format!("{}/deep", "long".repeat(60)), SECRET.into()),
            (&format!("named-{SECRET}"), Vec::new()),
        ])
    }

    #[test]
    fn files_that_hold_the_secret_are_named_compressed_or_not() {
        for layer in [layer(), gzip(&layer())] {
            let (paths, _) = searched(&layer, u64::MAX).unwrap();
            assert_eq!(
                paths,
                [
                    "/app/large".to_owned(),
                    format!("/{}/deep", "long".repeat(60)),
                    "/named-[redacted]".to_owned()
                ]
            );
        }
    }

    #[test]
    fn no_more_is_unpacked_than_allowed() {
        let (paths, read) = searched(&gzip(&layer()), 50_000).unwrap();
        assert_eq!((paths.len(), read), (0, 50_000));
    }

    #[test]
    fn what_is_no_layer_is_an_error_and_no_panic() {
        assert!(searched(b"\x28\xb5\x2f\xfdxxx", 1_000).is_err());
        assert!(
            searched(
                &gzip(b"no tar archive, just some text that is a bit longer").as_slice()[..20],
                1_000
            )
            .is_err()
        );
        assert!(searched(&[], 1_000).unwrap().0.is_empty());
    }

    #[test]
    fn the_number_of_leaks_is_bounded() {
        let names: Vec<String> = (0..500).map(|number| format!("f{number}")).collect();
        let files: Vec<(&str, Vec<u8>)> = names
            .iter()
            .map(|name| (name.as_str(), SECRET.into()))
            .collect();
        assert_eq!(searched(&archive(&files), u64::MAX).unwrap().0.len(), MOST);
    }

    #[test]
    fn two_forms_of_a_secret_in_one_file_are_one_leak() {
        let content = format!(
            "{SECRET} {}",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, SECRET)
        );
        assert_eq!(
            searched(&archive(&[("f", content.into())]), u64::MAX)
                .unwrap()
                .0,
            ["/f"]
        );
    }
}
