//! Packs, as [gitformat-pack](https://git-scm.com/docs/gitformat-pack) describes them, without deltas.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest as _, Sha1};

use super::objects::{Object, Objects, Oid};

/// A pack of these objects, in a fixed order.
pub(super) fn write(
    objects: &Objects,
    wanted: impl IntoIterator<Item = Oid>,
) -> io::Result<Vec<u8>> {
    let mut oids: Vec<Oid> = wanted.into_iter().collect();
    oids.sort();
    let found: Vec<&Object> = oids.iter().filter_map(|oid| objects.get(*oid)).collect();
    let count = u32::try_from(found.len()).map_err(io::Error::other)?;
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&count.to_be_bytes());
    for object in found {
        write_header(&mut pack, object);
        let mut zlib = ZlibEncoder::new(&mut pack, Compression::fast());
        zlib.write_all(&object.data)?;
        zlib.finish()?;
    }
    let sum: [u8; 20] = Sha1::digest(&pack).into();
    pack.extend_from_slice(&sum);
    Ok(pack)
}

/// Kind and size: four bits of the size in the first byte, seven in each that follows.
fn write_header(pack: &mut Vec<u8>, object: &Object) {
    let mut size = object.data.len();
    let mut byte = ((object.kind as u8) << 4) | (size & 0x0f) as u8;
    size >>= 4;
    while size > 0 {
        pack.push(byte | 0x80);
        byte = (size & 0x7f) as u8;
        size >>= 7;
    }
    pack.push(byte);
}
