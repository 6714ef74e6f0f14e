//! Runs arm64 programs on amd64 machines by registering QEMU with the kernel (binfmt_misc).
//!
//! Each instance has its own entry, so that the end of one takes nothing from another. The kernel opens QEMU when it is
//! registered (flag `F`), so that it is found inside of containers, too. Since Linux 6.7 entries last as long as the list is
//! mounted anywhere; before, until they are removed.

use std::process::Command;

use crate::command::run;

/// The Debian package that it needs.
pub const PACKAGE: &str = "qemu-user-static";

/// Where the kernel's list is mounted, in the mount namespaces of those that need it.
const LIST: &str = "/proc/sys/fs/binfmt_misc";

const QEMU: &str = "/usr/bin/qemu-aarch64-static";

/// The beginning of an ELF file for aarch64, and which of its bits count. The ABI's byte and a bit of the type may be any.
const MAGIC: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
const MASK: &str =
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

/// A command that lets this machine run programs for arm64 and then becomes `command`. It runs in a separate mount namespace.
/// Where the kernel's list is out of reach, as in some containers, it says so and continues.
pub fn with_emulation(id: &str, command: &Command) -> Command {
    let mut wrapped = Command::new("sh");
    wrapped.arg("-c").arg(script(id)).arg("sh");
    wrapped.arg(command.get_program()).args(command.get_args());
    wrapped
}

/// Undoes [`with_emulation`]; nothing happens if there is nothing to undo.
pub fn unregister(id: &str) {
    let entry = format!("{LIST}/{}", name(id));
    let script = format!("{MOUNT} && {{ [ ! -e {entry} ] || echo -1 > {entry}; }}");
    let _ = run(Command::new("unshare").args(["--mount", "sh", "-c", &script]));
}

const MOUNT: &str = "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc";

fn script(id: &str) -> String {
    // One write: the kernel takes each for an entry.
    let register = format!("printf %s '{}' > {LIST}/register", entry(id));
    let native = cfg!(target_arch = "aarch64");
    let register = match native {
        true => "true".to_owned(),
        false => format!("{MOUNT} && {register}"),
    };
    format!(
        "{{ {register}; }} || echo 'cannot run programs for arm64: binfmt_misc is not available' >&2; exec \"$@\""
    )
}

fn name(id: &str) -> String {
    format!("pipeops-{id}-aarch64")
}

fn entry(id: &str) -> String {
    format!(":{}:M::{MAGIC}:{MASK}:{QEMU}:OCF", name(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that `\xNN` and plain characters stand for.
    fn bytes(text: &str) -> Vec<u8> {
        let (mut bytes, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (byte, length) = match rest.strip_prefix(r"\x") {
                Some(hex) => (u8::from_str_radix(&hex[..2], 16).unwrap(), 4),
                None => (rest.as_bytes()[0], 1),
            };
            bytes.push(byte);
            rest = &rest[length..];
        }
        bytes
    }

    #[test]
    fn programs_for_arm64_match_and_others_do_not() {
        let matches = |head: [u8; 20]| {
            let (magic, mask) = (bytes(MAGIC), bytes(MASK));
            assert_eq!((magic.len(), mask.len()), (20, 20));
            head.iter()
                .zip(magic.iter().zip(&mask))
                .all(|(byte, (magic, mask))| byte & mask == magic & mask)
        };
        let head = |kind, machine| {
            let mut head = *b"\x7fELF\x02\x01\x01\x03\0\0\0\0\0\0\0\0\0\0\0\0";
            (head[16], head[18]) = (kind, machine);
            head
        };
        let (program, position_independent) = (2, 3);
        assert!(matches(head(program, 183)) && matches(head(position_independent, 183)));
        assert!(!matches(head(program, 62)), "amd64");
    }

    #[test]
    fn an_entry_is_one_that_the_kernel_takes() {
        let entry = entry("0123abcd");
        assert!(entry.len() < 1920 && !entry.contains('\n'));
        assert_eq!(entry.split(':').nth(1), Some("pipeops-0123abcd-aarch64"));
        assert!(entry.ends_with(":/usr/bin/qemu-aarch64-static:OCF"));
    }
}
