//! pkt-lines, the frames of git's protocol: four hexadecimal digits of length, then the data.
//!
//! See [protocol-common](https://git-scm.com/docs/protocol-common).

/// One frame of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Data(&'a [u8]),
    /// `0000`, the end of a list.
    Flush,
    /// `0001`, the end of a section.
    Delimiter,
}

/// The most data in one frame.
const MAX_DATA: usize = 65_516;

/// Reads all frames of a request.
pub(super) fn parse(mut bytes: &[u8]) -> Result<Vec<Packet<'_>>, String> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let (packet, rest) = parse_one(bytes)?;
        packets.push(packet);
        bytes = rest;
    }
    Ok(packets)
}

fn parse_one(bytes: &[u8]) -> Result<(Packet<'_>, &[u8]), String> {
    let (digits, rest) = bytes
        .split_at_checked(4)
        .ok_or("truncated pkt-line length")?;
    let length = std::str::from_utf8(digits)
        .ok()
        // `from_str_radix` would take a sign.
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("invalid pkt-line length: {digits:?}"))?;
    match length {
        0 => Ok((Packet::Flush, rest)),
        1 => Ok((Packet::Delimiter, rest)),
        2 | 3 => Err(format!("unexpected special pkt-line 000{length}")),
        _ => {
            let (data, rest) = rest
                .split_at_checked(length - 4)
                .ok_or("truncated pkt-line")?;
            Ok((Packet::Data(data), rest))
        }
    }
}

/// Writes frames of an answer.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// A line of text; the end of line is added.
    pub(super) fn line(&mut self, text: &str) {
        self.data(format!("{text}\n").as_bytes());
    }

    pub(super) fn flush(&mut self) {
        self.0.extend_from_slice(b"0000");
    }

    pub(super) fn delimiter(&mut self) {
        self.0.extend_from_slice(b"0001");
    }

    /// An error as clients print it: `remote error: …`.
    pub(super) fn error(&mut self, message: &str) {
        self.line(&format!("ERR {message}"));
    }

    /// A pack in frames of side-band channel 1.
    pub(super) fn side_band(&mut self, pack: &[u8]) {
        for piece in pack.chunks(MAX_DATA - 1) {
            let mut frame = Vec::with_capacity(piece.len() + 1);
            frame.push(1);
            frame.extend_from_slice(piece);
            self.data(&frame);
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn data(&mut self, data: &[u8]) {
        let length = format!("{:04x}", data.len() + 4);
        self.0.extend_from_slice(length.as_bytes());
        self.0.extend_from_slice(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip() {
        let mut writer = Writer::default();
        writer.line("want x");
        writer.delimiter();
        writer.flush();
        let bytes = writer.into_bytes();
        assert_eq!(bytes, b"000bwant x\n00010000");
        let packets = [Packet::Data(b"want x\n"), Packet::Delimiter, Packet::Flush];
        assert_eq!(parse(&bytes).unwrap(), packets);
    }

    #[test]
    fn broken_frames_are_errors() {
        for bytes in ["0", "zzzz", "0003", "0009abc", "+001"] {
            assert!(parse(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }

    #[test]
    fn large_packs_take_several_frames() {
        let mut writer = Writer::default();
        writer.side_band(&vec![7; MAX_DATA + 10]);
        let bytes = writer.into_bytes();
        let lengths: Vec<usize> = parse(&bytes)
            .unwrap()
            .iter()
            .map(|packet| match packet {
                Packet::Data(data) => data.len(),
                _ => 0,
            })
            .collect();
        assert_eq!(lengths, [MAX_DATA, 12]);
    }
}
