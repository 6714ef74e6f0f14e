//! No body makes the webhook parsers panic, whoever it says it is from.
#![no_main]

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use pipeops_core::SecretString;
use pipeops_runner::webhook;
use sha2::Sha256;

/// Each forge's event header and signature header with the prefix of its value.
const FORGES: [(&str, &str, &str, &str); 4] = [
    ("x-github-event", "push", "x-hub-signature-256", "sha256="),
    ("x-gitea-event", "push", "x-gitea-signature", ""),
    ("x-event-key", "repo:push", "x-hub-signature", "sha256="),
    (
        "x-event-key",
        "repo:refs_changed",
        "x-hub-signature",
        "sha256=",
    ),
];

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, body) = input;
    let headers = match FORGES.get(usize::from(choice) % (FORGES.len() + 1)) {
        Some((event, value, signature, prefix)) => [
            (*event, (*value).to_owned()),
            (*signature, format!("{prefix}{}", sign(body))),
        ],
        None => [
            ("x-gitlab-event", "Push Hook".to_owned()),
            ("x-gitlab-token", "secret".to_owned()),
        ],
    };
    let headers: HeaderMap = headers
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    let verified = webhook::verify(
        &headers,
        body,
        &SecretString::new("secret"),
        Timestamp::UNIX_EPOCH,
    );
    let verified = verified.expect("the signature is right");
    let _ = webhook::parse(&verified, Some("application/json"), body);
    let _ = webhook::parse(&verified, Some("application/x-www-form-urlencoded"), body);
});

fn sign(body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
    hex::encode(mac.chain_update(body).finalize().into_bytes())
}
