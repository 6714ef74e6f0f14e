//! Bodies in signed chunks: `Content-Encoding: aws-chunked`.
//!
//! See [Amazon's documentation](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html).

use bytes::Bytes;

use super::error::{S3Error, S3Result};
use super::signature::Signed;
use crate::sigv4::sha256_hex;

/// The body as the client meant it, after a check of what the client says about it.
pub(super) fn open(signed: &Signed, body: Bytes) -> S3Result<Bytes> {
    match signed.payload.as_str() {
        "UNSIGNED-PAYLOAD" | "" => Ok(body),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => decode(&body, None),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
            decode(&body, Some(signed))
        }
        other if other.starts_with("STREAMING-") => Err(S3Error::not_implemented(other)),
        digest if digest == sha256_hex(&body) => Ok(body),
        _ => Err(S3Error::bad_request(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )),
    }
}

/// `SIZE[;chunk-signature=…]\r\nDATA\r\n`, a chunk of size 0 at the end, then trailers.
fn decode(body: &[u8], signed: Option<&Signed>) -> S3Result<Bytes> {
    let mut data = Vec::with_capacity(body.len());
    let mut rest = body;
    let mut before = signed
        .map(|signed| signed.signature.clone())
        .unwrap_or_default();
    loop {
        let (head, after) = line(rest)?;
        let (size, extension) = head.split_once(';').unwrap_or((head, ""));
        let size = usize::from_str_radix(size, 16).map_err(|_| incomplete())?;
        let (chunk, after) = after.split_at_checked(size).ok_or_else(incomplete)?;
        if let Some(signed) = signed {
            let given = extension
                .strip_prefix("chunk-signature=")
                .unwrap_or_default();
            let hashes = [sha256_hex(b""), sha256_hex(chunk)];
            before = expect(
                signed.next("AWS4-HMAC-SHA256-PAYLOAD", &before, &hashes),
                given,
            )?;
        }
        data.extend_from_slice(chunk);
        if size == 0 {
            check_trailers(after, signed, &before)?;
            return Ok(data.into());
        }
        rest = after.strip_prefix(b"\r\n").ok_or_else(incomplete)?;
    }
}

/// Checks the signature over the trailers, when they are signed. The checksums in them are not checked.
fn check_trailers(mut rest: &[u8], signed: Option<&Signed>, before: &str) -> S3Result<()> {
    let mut canonical = String::new();
    while !rest.is_empty() {
        let (text, after) = line(rest)?;
        rest = after;
        let Some((name, value)) = text.split_once(':') else {
            continue;
        };
        if name != "x-amz-trailer-signature" {
            canonical.push_str(&format!("{}:{}\n", name.to_lowercase(), value.trim()));
        } else if let Some(signed) = signed {
            let hashes = [sha256_hex(canonical.as_bytes())];
            expect(
                signed.next("AWS4-HMAC-SHA256-TRAILER", before, &hashes),
                value.trim(),
            )?;
        }
    }
    Ok(())
}

fn line(bytes: &[u8]) -> S3Result<(&str, &[u8])> {
    let end = bytes
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .ok_or_else(incomplete)?;
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| incomplete())?;
    Ok((text, &bytes[end + 2..]))
}

fn expect(computed: String, given: &str) -> S3Result<String> {
    if computed == given {
        return Ok(computed);
    }
    let message = "The signature of a chunk does not match its content.";
    Err(S3Error::forbidden("SignatureDoesNotMatch", message))
}

fn incomplete() -> S3Error {
    S3Error::bad_request("IncompleteBody", "The body is not in whole chunks.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_chunks_are_joined_and_trailers_are_left_out() {
        let body = b"5\r\nhello\r\n1\r\n!\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(decode(body, None).unwrap(), "hello!");
    }

    #[test]
    fn broken_chunks_are_refused() {
        for body in [
            &b"5\r\nhell"[..],
            b"5\r\nhello",
            b"x\r\n",
            b"",
            b"5\r\nhello0\r\n\r\n",
        ] {
            assert!(decode(body, None).is_err(), "{body:?}");
        }
    }
}
