//! Error codes in the response bodies of registries, clouds and token servers.

use serde_json::Value;

/// The longest text that is read.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The most errors that are read from one body.
const MAX_ERRORS: usize = 16;

/// Codes that are recognized in texts. In JSON any code is.
const KNOWN: &[&str] = &[
    // The distribution specification, and codes that registries add to it.
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "MANIFEST_UNVERIFIED",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "NOT_FOUND",
    "SIZE_INVALID",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNSUPPORTED",
    // OAuth.
    "INSUFFICIENT_SCOPE",
    "INVALID_TOKEN",
    // AWS.
    "ACCESSDENIEDEXCEPTION",
    "EXPIREDTOKENEXCEPTION",
    "IMAGENOTFOUNDEXCEPTION",
    "IMAGETAGALREADYEXISTSEXCEPTION",
    "REPOSITORYNOTFOUNDEXCEPTION",
    "THROTTLINGEXCEPTION",
    "TOOMANYREQUESTSEXCEPTION",
];

/// One error of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ErrorEntry {
    /// The code in capitals with underscores, without namespace; empty where there is none.
    pub code: String,
    /// The message as it came.
    pub message: String,
}

impl ErrorEntry {
    /// Free text in place of a code belongs to the message.
    fn new(code: &str, message: &str) -> Self {
        // Some put the status there.
        let is_status = code.bytes().all(|b| b.is_ascii_digit());
        let (code, text) = match identifier(code) {
            Some(code) => (code, ""),
            None if is_status => (String::new(), ""),
            None => {
                let known = code.split(": ").find_map(known).unwrap_or_default();
                (known.to_owned(), code)
            }
        };
        let parts = [text, message].into_iter().filter(|part| !part.is_empty());
        Self {
            code,
            message: parts.collect::<Vec<_>>().join(": "),
        }
    }

    fn is_empty(&self) -> bool {
        self.code.is_empty() && self.message.is_empty()
    }
}

/// The errors of a refusal's body, in its order. Reads the forms of
///
/// - the distribution specification: `{"errors":[{"code":"DENIED","message":"…"}]}`;
/// - AWS: `{"__type":"com.amazonaws.ecr#ThrottlingException","message":"…"}`;
/// - Google: `{"error":{"status":"RESOURCE_EXHAUSTED","message":"…"}}`;
/// - OAuth: `{"error":"invalid_grant","error_description":"…"}`;
/// - GitHub and Docker Hub: `{"message":"…"}`, `{"details":"…"}`;
/// - object storage: `<Code>…</Code><Message>…</Message>`;
/// - plain text: `denied: …`.
///
/// ```
/// use pipeops_core::registry::codes::entries;
///
/// let errors = entries(r#"{"__type":"com.amazonaws.ecr#ThrottlingException","message":"Rate exceeded"}"#);
/// assert_eq!((errors[0].code.as_str(), errors[0].message.as_str()), ("THROTTLINGEXCEPTION", "Rate exceeded"));
/// ```
pub fn entries(body: &str) -> Vec<ErrorEntry> {
    let body = body.trim();
    if let Ok(json) = serde_json::from_str::<Value>(body) {
        return json_entries(&json);
    }
    if body.starts_with(['{', '[']) {
        let cut = cut_entries(body);
        if !cut.is_empty() {
            return cut;
        }
    }
    if body.starts_with('<') {
        let entry = ErrorEntry::new(
            element(body, "Code").unwrap_or_default(),
            element(body, "Message").unwrap_or_default(),
        );
        return if entry.is_empty() {
            Vec::new()
        } else {
            vec![entry]
        };
    }
    text_entries(body)
}

/// The codes of JSON that was cut.
fn cut_entries(body: &str) -> Vec<ErrorEntry> {
    let code = |rest: &str| {
        let rest = rest.trim_start().strip_prefix(':')?.trim_start();
        let (code, _) = rest.strip_prefix('"')?.split_once('"')?;
        Some(ErrorEntry::new(&identifier(code)?, ""))
    };
    let places = body.split("\"code\"").skip(1);
    places.filter_map(code).take(MAX_ERRORS).collect()
}

/// The codes that stand in a text between colons, each with the text behind it; without a code the whole text is the
/// message of one error. `denied: no way` is the code `DENIED`, `team/denied: no way` isn't.
pub(super) fn text_entries(text: &str) -> Vec<ErrorEntry> {
    let text = bounded(text);
    let mut found = Vec::new();
    for line in text.lines() {
        let mut start = 0;
        while start <= line.len() && found.len() < MAX_ERRORS {
            let end = line[start..].find(": ").map_or(line.len(), |at| start + at);
            // gRPC writes `code = Unknown desc = …` in front.
            let segment = line[start..end]
                .rsplit(" desc = ")
                .next()
                .unwrap_or_default();
            let message = line.get(end + 2..).unwrap_or_default();
            if let Some(code) = known(segment) {
                found.push(ErrorEntry::new(code, message));
            }
            start = end + 2;
        }
    }
    if found.is_empty() && !text.is_empty() {
        found.push(ErrorEntry::new("", text));
    }
    found
}

/// The part of a text that is read.
pub(super) fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn known(segment: &str) -> Option<&'static str> {
    let segment = segment.trim_end_matches(['.', ',', ';', '"']).trim();
    // BuildKit adds proposals: `not found (did you mean …?)`. Others explain: `unauthorized - the client …`.
    let segment = segment.split(" (").next().unwrap_or_default();
    let segment = segment.split(" - ").next().unwrap_or_default();
    if segment.len() > 40 || segment.contains([':', '#']) {
        return None;
    }
    let code = segment.replace([' ', '-'], "_").to_ascii_uppercase();
    KNOWN.iter().copied().find(|known| *known == code)
}

fn json_entries(json: &Value) -> Vec<ErrorEntry> {
    let text = |value: &Value, keys: &[&str]| {
        let found = keys.iter().find_map(|key| value[*key].as_str());
        found.unwrap_or_default().to_owned()
    };
    let entry = |value: &Value| {
        ErrorEntry::new(
            &text(value, &["code", "status", "__type", "error"]),
            &text(
                value,
                &[
                    "message",
                    "Message",
                    "error_description",
                    "details",
                    "detail",
                ],
            ),
        )
    };
    let mut entries: Vec<ErrorEntry> = match (&json["errors"], &json["error"]) {
        _ if json.is_array() => {
            let errors = json.as_array().into_iter().flatten();
            errors.take(MAX_ERRORS).map(entry).collect()
        }
        (Value::Array(errors), _) => errors.iter().take(MAX_ERRORS).map(entry).collect(),
        (_, error @ Value::Object(_)) => vec![entry(error)],
        _ => vec![entry(json)],
    };
    entries.retain(|entry| !entry.is_empty());
    entries
}

/// `com.amazonaws.ecr#ThrottlingException:http://…` → `THROTTLINGEXCEPTION`. Free text isn't a code: in capitals, it would
/// pass by redaction.
fn identifier(code: &str) -> Option<String> {
    let code = code.trim();
    let code = code.split(":http").next().unwrap_or_default();
    let in_code = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let (namespace, code) = code.rsplit_once('#').unwrap_or(("", code));
    let is_code = code.len() <= 64
        && code.starts_with(|c: char| c.is_ascii_alphabetic())
        && code.bytes().all(in_code)
        && namespace.bytes().all(|b| in_code(b) || b == b'.');
    is_code.then(|| code.to_ascii_uppercase())
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let length = xml[start..].find('<')?;
    Some(&xml[start..start + length])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(body: &str) -> Vec<(String, String)> {
        let all = entries(body).into_iter();
        all.map(|entry| (entry.code, entry.message)).collect()
    }

    #[test]
    fn bodies_of_all_kinds_have_codes_and_messages() {
        for (body, code, message) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"no"}]}"#,
                "DENIED",
                "no",
            ),
            (
                r#"{"errors":[{"code":"DENIED","message":"","detail":{}}]}"#,
                "DENIED",
                "",
            ),
            (
                r#"{"__type":"com.amazonaws.ecr#ThrottlingException","message":"x"}"#,
                "THROTTLINGEXCEPTION",
                "x",
            ),
            (
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x"}}"#,
                "RESOURCE_EXHAUSTED",
                "x",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"old"}"#,
                "INVALID_GRANT",
                "old",
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                "",
                "incorrect username or password",
            ),
            (r#"{"message":"rate limit"}"#, "", "rate limit"),
            (
                "<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>",
                "NOSUCHKEY",
                "gone",
            ),
            ("denied: no way: x", "DENIED", "no way: x"),
            (
                "ThrottlingException: Rate exceeded",
                "THROTTLINGEXCEPTION",
                "Rate exceeded",
            ),
            ("manifest unknown", "MANIFEST_UNKNOWN", ""),
            (
                r#"{"error":"bad password s3cr3t-Hunter2 for bob"}"#,
                "",
                "bad password s3cr3t-Hunter2 for bob",
            ),
            (
                r#"{"error":"unauthorized: wrong password"}"#,
                "UNAUTHORIZED",
                "unauthorized: wrong password",
            ),
            (r#"{"code":401,"message":"no"}"#, "", "no"),
            (r#"{"code":"401","message":"no"}"#, "", "no"),
            (r#"[{"code":"TOOMANYREQUESTS"}]"#, "TOOMANYREQUESTS", ""),
            (
                r#"{"errors":[{"code": "TOOMANYREQUESTS","message":"\"code\":\"DEN"#,
                "TOOMANYREQUESTS",
                "",
            ),
            ("<Error><Code>a b</Code></Error>", "", "a b"),
            ("something else", "", "something else"),
        ] {
            assert_eq!(
                pairs(body),
                [(code.to_owned(), message.to_owned())],
                "{body}"
            );
        }
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "<html><body>502</body></html>",
            r#"{"errors":[{}]}"#,
        ] {
            assert_eq!(pairs(body), [], "{body}");
        }
    }

    #[test]
    fn names_are_no_codes() {
        for text in ["team/denied: x", "denied:1: x", "reg.io/unauthorized"] {
            assert_eq!(entries(text)[0].code, "", "{text}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let entries = entries(&"denied: ö".repeat(1 << 16));
        assert!(entries.len() <= MAX_ERRORS);
        assert!(entries[0].message.len() <= MAX_TEXT_BYTES);
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_panic(body in ".{0,200}", json in "[{}\\[\\]\":,a-z ]{0,80}") {
            entries(&body);
            entries(&json);
        }
    }
}
