//! The toolchain that a project asks rustup for.

use toml::Table;

use crate::repository::folder::Folder;

/// The file that asks for a toolchain, and the one that it asks for: a version or a channel.
pub(crate) fn channel(folder: &Folder<'_>) -> Option<(&'static str, String)> {
    ["rust-toolchain.toml", "rust-toolchain"]
        .into_iter()
        .find_map(|file| {
            let text = folder.text(file)?;
            let table = text.parse::<Table>().unwrap_or_default();
            let named = table
                .get("toolchain")
                .and_then(|table| table.get("channel")?.as_str());
            // The old form of the file is the channel alone.
            let channel = named.unwrap_or(text.trim());
            let plain = |ch: char| ch.is_ascii_alphanumeric() || "-_.".contains(ch);
            let is_one = !channel.is_empty() && channel.len() < 60 && channel.chars().all(plain);
            is_one.then(|| (file, channel.to_owned()))
        })
}
