//! How parts of steps are written: a layer that is fetched, the image that is pushed.

use pipeops_core::units::size;

/// What it is and how much of it moved: `sha256:0123456789ab 12.3 MiB`, `pushing layers`.
pub(super) fn part(id: &str, current: u64) -> String {
    let words: Vec<&str> = id.split(' ').map(short).collect();
    let name = words.join(" ");
    match current {
        0 => name,
        // Most of what is counted are bytes; the daemon does not say when it counts files.
        bytes => format!("{name} {}", size(bytes)),
    }
}

/// A digest by its first digits, which tell it from the others of one build.
fn short(word: &str) -> &str {
    const SHOWN: usize = "sha256:".len() + 12;
    match word.starts_with("sha256:") {
        true => word.get(..SHOWN).unwrap_or(word),
        false => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_named_shortly() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(part(&digest, 0), "sha256:abababababab");
        assert_eq!(
            part(&format!("extracting {digest}"), 0),
            "extracting sha256:abababababab"
        );
        assert_eq!(
            part("transferring context", 999),
            "transferring context 999 B"
        );
        assert_eq!(part("x", 1_300_000), "x 1.2 MiB");
        assert_eq!(part("sha256:ü", 0), "sha256:ü");
    }
}
