//! What registries and other programs say is read without a panic, and what is read can be written again. The first line is
//! a host, the rest a header, a scope, a body and a message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeops_core::registry::{Challenge, Refusal, Report, Scope, host};

fuzz_target!(|text: &str| {
    let (registry, said) = text.split_once('\n').unwrap_or(("ghcr.io", text));
    let name = host::canonical(registry);
    assert_eq!(host::canonical(&host::api_host(&name)), name);
    let _ = (host::is_loopback(registry), host::is_internal(registry));
    for challenge in Challenge::parse(said) {
        assert!(!challenge.scheme().is_empty());
    }
    if let Ok(scope) = said.parse::<Scope>() {
        assert_eq!(scope.to_string().parse().as_ref(), Ok(&scope));
        assert!(scope.is_subset_of(&scope));
    }
    for status in [400, 401, 403, 404, 429, 503] {
        let refusal = Refusal::from_response(registry, status, said, false);
        assert!(refusal.class().is_some(), "a status always has a class");
    }
    let _ = Report::read(said).class();
});
