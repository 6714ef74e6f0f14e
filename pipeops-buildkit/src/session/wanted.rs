//! What the daemon asks of a folder: the headers of one request for files.

use tonic::Status;
use tonic::metadata::MetadataMap;

/// What one request asks for, from its headers.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// The name under which a folder is served.
    pub(super) dir: String,
    /// Only what matches these.
    pub(super) include: Vec<String>,
    /// But not what matches these.
    pub(super) exclude: Vec<String>,
    /// Only these paths, with whatever their symlinks lead to.
    pub(super) follow: Option<Vec<String>>,
}

impl Wanted {
    /// Reads them.
    pub(super) fn read(headers: &MetadataMap) -> Result<Self, Status> {
        let follow = headers
            .contains_key("followpaths")
            .then(|| values(headers, "followpaths"))
            .transpose()?;
        Ok(Self {
            dir: values(headers, "dir-name")?
                .into_iter()
                .next()
                .unwrap_or_default(),
            include: values(headers, "include-patterns")?,
            exclude: values(headers, "exclude-patterns")?,
            follow,
        })
    }
}

/// All values of one header, decoded as the daemon encoded them.
fn values(headers: &MetadataMap, key: &'static str) -> Result<Vec<String>, Status> {
    let encoded = headers
        .get(format!("{key}-encoded"))
        .is_some_and(|value| value == "1" || value == "true");
    let decode = |value: &tonic::metadata::AsciiMetadataValue| {
        let text = value
            .to_str()
            .map_err(|_| Status::invalid_argument(format!("{key} is not ASCII")))?;
        if encoded {
            query_unescape(text)
        } else {
            Some(text.to_owned())
        }
        .ok_or_else(|| Status::invalid_argument(format!("{key} is not properly encoded")))
    };
    headers.get_all(key).iter().map(decode).collect()
}

/// Undoes Go's `url.QueryEscape`.
fn query_unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? << 4 | digit(rest.next())?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::metadata::{MetadataKey, MetadataValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> MetadataMap {
        let mut map = MetadataMap::new();
        for (key, value) in pairs {
            map.append(
                MetadataKey::from_static(key),
                MetadataValue::from_static(value),
            );
        }
        map
    }

    #[test]
    fn headers_say_what_is_wanted() {
        let wanted = Wanted::read(&headers(&[
            ("dir-name", "context"),
            ("exclude-patterns", "*.log"),
            ("exclude-patterns", "a+b"),
            ("followpaths", "caf%C3%A9+x"),
            ("followpaths-encoded", "1"),
        ]));
        assert_eq!(
            wanted.unwrap(),
            Wanted {
                dir: "context".into(),
                include: vec![],
                exclude: vec!["*.log".into(), "a+b".into()],
                follow: Some(vec!["café x".into()]),
            }
        );
    }

    #[test]
    fn a_bad_encoding_is_refused() {
        let bad = headers(&[
            ("include-patterns", "%zz"),
            ("include-patterns-encoded", "1"),
        ]);
        assert_eq!(
            Wanted::read(&bad).unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
    }

    proptest! {
        #[test]
        fn unescaping_never_panics(text in ".{0,30}") {
            let _ = query_unescape(&text);
        }
    }
}
