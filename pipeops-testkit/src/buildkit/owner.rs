//! `user[:group]` as numbers, by the image's own passwd and group files.

use super::error::{BuildError, BuildResult};
use super::tree::Tree;

/// The numbers of a user and a group, and what to tell the user where they had to be guessed.
///
/// Where commands were skipped (`RUN adduser app`), an unknown name becomes 0.
pub(super) fn find(
    written: &str,
    tree: &Tree,
    commands_skipped: bool,
) -> BuildResult<((u64, u64), Option<String>)> {
    if written.is_empty() {
        return Ok(((0, 0), None));
    }
    let (user, group) = match written.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (written, None),
    };
    let passwd = tree.text("etc/passwd").unwrap_or_default();
    let groups = tree.text("etc/group").unwrap_or_default();
    let found = (|| {
        let (uid, own_gid) = user_numbers(user, &passwd)?;
        let gid = match group {
            Some(group) => group_number(group, &groups)?,
            None => own_gid,
        };
        Ok((uid, gid))
    })();
    match found {
        Ok(owner) => Ok((owner, None)),
        Err(_) if commands_skipped => {
            let warning = format!(
                "pipeops-testkit: {written} is not known, because the commands before it were skipped; root is the owner\n"
            );
            Ok(((0, 0), Some(warning)))
        }
        Err(error) => Err(error),
    }
}

fn user_numbers(user: &str, passwd: &str) -> BuildResult<(u64, u64)> {
    let entry = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let uid = fields.get(2)?.parse().ok()?;
        let gid = fields.get(3)?.parse().ok()?;
        (fields[0] == user).then_some((uid, gid))
    });
    let number = || user.parse().ok().map(|uid| (uid, uid));
    // Root is root, also in an image without files.
    let root = || (user == "root").then_some((0, 0));
    entry.or_else(number).or_else(root).ok_or_else(|| {
        BuildError::new(format!(
            "unable to find user {user}: no matching entries in passwd file"
        ))
    })
}

fn group_number(group: &str, groups: &str) -> BuildResult<u64> {
    let entry = groups.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let gid = fields.get(2)?.parse().ok()?;
        (fields[0] == group).then_some(gid)
    });
    let root = || (group == "root").then_some(0);
    entry
        .or_else(|| group.parse().ok())
        .or_else(root)
        .ok_or_else(|| {
            BuildError::new(format!(
                "unable to find group {group}: no matching entries in group file"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildkit::tree::{Entry, Node};
    use crate::oci::EntryMeta;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        for (path, text) in [
            (
                "etc/passwd",
                "root:x:0:0::/:/bin/sh\napp:x:1001:2002::/:/bin/sh\n",
            ),
            ("etc/group", "web:x:33:\n"),
        ] {
            let node = Node::File(text.into());
            let meta = EntryMeta::default();
            tree.insert(path, Entry { node, meta });
        }
        tree
    }

    #[test]
    fn names_and_numbers() {
        for (written, owner) in [
            ("", (0, 0)),
            ("1000", (1000, 1000)),
            ("1000:5", (1000, 5)),
            ("app", (1001, 2002)),
            ("app:web", (1001, 33)),
            ("root", (0, 0)),
        ] {
            assert_eq!(
                find(written, &tree(), false).unwrap(),
                (owner, None),
                "{written}"
            );
        }
    }

    #[test]
    fn unknown_names_are_errors_unless_commands_were_skipped() {
        assert!(find("nobody", &tree(), false).is_err());
        assert!(find("app:nogroup", &tree(), false).is_err());
        let (owner, warning) = find("nobody", &tree(), true).unwrap();
        assert!(owner == (0, 0) && warning.unwrap().contains("nobody"));
    }
}
