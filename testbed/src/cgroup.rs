//! The control group of all containers of one instance, which keeps two kubelets from removing each other's containers.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::create_directory;
use crate::error::Result;

const ROOT: &str = "/sys/fs/cgroup";
/// What kubelet and runc want to set in version 2.
const CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"];

/// The path of a part's group, as kubelet's `cgroupRoot` and BuildKit's `defaultCgroupParent` take it.
pub fn path(id: &str, part: &str) -> String {
    format!("/pipeops-{id}/{part}")
}

/// Creates the group of a part in every hierarchy: there is one with version 2, one for each controller with version 1.
pub fn create(id: &str, part: &str) -> Result<()> {
    for hierarchy in hierarchies() {
        let group = hierarchy.join(&path(id, part)[1..]);
        create_directory(&group)?;
        for level in [Some(hierarchy.as_path()), group.parent(), Some(&group)]
            .into_iter()
            .flatten()
        {
            delegate(level);
        }
    }
    Ok(())
}

/// Removes the group of a part with those below it, and the instance's when that was its last part. Their processes are
/// gone by then; what still cannot be removed stays.
pub fn remove(id: &str, part: &str) {
    for hierarchy in hierarchies() {
        let group = hierarchy.join(&path(id, part)[1..]);
        remove_group(&group);
        if let Some(instance) = group.parent() {
            let _ = fs::remove_dir(instance);
        }
    }
}

fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    let entries = fs::read_dir(root).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    // A link such as `cpu` → `cpu,cpuacct` names a hierarchy that comes by itself.
    paths
        .filter(|path| path.is_dir() && !path.is_symlink())
        .collect()
}

fn delegate(group: &Path) {
    for controller in CONTROLLERS {
        // One that the kernel lacks is refused; the others are to be had all the same. Version 1 has no such file.
        let _ = fs::write(
            group.join("cgroup.subtree_control"),
            format!("+{controller}"),
        );
    }
}

/// The files of a group are not removable; only the directories are, from the inside out.
fn remove_group(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}
