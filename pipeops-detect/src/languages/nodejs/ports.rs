//! Finds the port that a program listens on in its scripts and sources.

use super::command::ScriptCommand;
use super::entry::resolve;
use super::site::Site;
use crate::repository::folder::{Folder, is_beside};
use crate::repository::port::is_of_other;
use crate::repository::relaxed::without_comments;

/// How many sources are read at most.
const SOURCES: usize = 120;

/// How deep sources are looked for.
const DEPTH: usize = 3;

/// What is known about the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Port {
    /// Told by this file.
    Fixed(u16, String),
    /// Taken from the variable `PORT`, as this file says.
    FromEnvironment(String),
    /// The program listens, and nothing says where.
    Unknown,
    /// Sources were read, and none of them listens.
    Silent,
}

/// What the command that runs the app says.
pub(crate) fn of_command(command: &ScriptCommand) -> Option<Port> {
    let told = command.environment.iter().find(|(name, _)| name == "PORT");
    let told = told.map(|(_, value)| value.as_str());
    let option = || command.option(&["--port", "-p", "--listen", "-l", "--PORT"]);
    let value = told.or_else(option)?;
    if value.contains("PORT") {
        return Some(Port::FromEnvironment("package.json".to_owned()));
    }
    let number = value.rsplit(':').next()?.parse().ok()?;
    Some(Port::Fixed(number, "package.json".to_owned()))
}

/// What the sources say, `entry` first.
pub(crate) fn of_sources(site: &Site<'_>, entry: Option<&str>) -> Port {
    let mut files: Vec<String> = entry
        .and_then(|file| resolve(site, file))
        .into_iter()
        .collect();
    let mut left = SOURCES;
    collect(site.folder, "", DEPTH, &mut left, &mut files);
    let mut listens = false;
    let mut fixed = None;
    let mut environment = None;
    for (index, file) in files.iter().enumerate() {
        let text = without_comments(&site.folder.text(file).unwrap_or_default());
        let here = is_listening(&text);
        listens |= here;
        if environment.is_none()
            && (index == 0 || here || is_settings(file))
            && reads_environment(&text)
        {
            environment = Some(Port::FromEnvironment(file.clone()));
        }
        if fixed.is_none() && here {
            fixed = number(&text).map(|number| Port::Fixed(number, file.clone()));
        }
    }
    // Where not all sources could be read, one of the others may listen.
    let unknown = if listens || files.is_empty() || left == 0 {
        Port::Unknown
    } else {
        Port::Silent
    };
    environment.or(fixed).unwrap_or(unknown)
}

/// Sources that run on the server, those with usual names first.
fn collect(
    folder: &Folder<'_>,
    path: &str,
    depth: usize,
    left: &mut usize,
    files: &mut Vec<String>,
) {
    let mut own: Vec<String> = [".ts", ".js", ".mjs", ".cjs", ".mts", ".tsx"]
        .iter()
        .flat_map(|end| folder.ending(end))
        .filter(|name| {
            ![".d.ts", ".test.", ".spec.", ".config.", ".min."]
                .iter()
                .any(|part| name.contains(part))
        })
        .map(|name| {
            if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}/{name}")
            }
        })
        .collect();
    if path == "bin" && folder.has("www") {
        own.push("bin/www".to_owned());
    }
    own.sort_by_key(|file| !is_usual(file));
    own.truncate(*left);
    *left -= own.len();
    files.extend(own);
    let browsers = [
        "public",
        "static",
        "assets",
        "client",
        "frontend",
        "components",
        "pages",
        "views",
        "styles",
        "web",
    ];
    if depth == 0 {
        return;
    }
    if path.is_empty() && folder.has_dir("bin") {
        collect(&folder.sub("bin"), "bin", 0, left, files);
    }
    for name in folder
        .own_dirs()
        .filter(|name| !is_beside(name) && !browsers.contains(name))
    {
        if *left == 0 {
            return;
        }
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}/{name}")
        };
        collect(&folder.sub(name), &path, depth - 1, left, files);
    }
}

fn is_usual(file: &str) -> bool {
    let stem = file
        .rsplit('/')
        .next()
        .and_then(|name| name.split('.').next())
        .unwrap_or_default();
    matches!(
        stem,
        "index" | "server" | "main" | "app" | "www" | "config" | "env"
    )
}

fn is_settings(file: &str) -> bool {
    let file = file.to_ascii_lowercase();
    ["config", "env", "setting", "constant"]
        .iter()
        .any(|part| file.contains(part))
}

fn is_listening(text: &str) -> bool {
    [
        ".listen(",
        "listen(",
        "createServer(",
        ".Server(",
        "new Server(",
        "Bun.serve(",
        "Deno.serve(",
        "serve(",
        "WebSocketServer(",
        "startStandaloneServer(",
        "export default {",
    ]
    .iter()
    .any(|mark| text.contains(mark))
}

/// Whether the word `PORT` is read from the environment.
pub(crate) fn reads_environment(text: &str) -> bool {
    let reads = text.contains("process.env")
        || text.contains("Bun.env")
        || text.contains("import.meta.env");
    text.match_indices("PORT").any(|(at, word)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let is_word = |ch: Option<char>| !ch.is_some_and(|ch| ch.is_alphanumeric() || ch == '_');
        let quoted = before.ends_with(['\'', '"', '`']) && after.starts_with(['\'', '"', '`']);
        let picked = before.trim_end().ends_with(['{', ','])
            && !after
                .trim_start()
                .trim_start_matches(':')
                .trim_start()
                .starts_with(|ch: char| ch.is_ascii_digit());
        is_word(before.chars().next_back())
            && is_word(after.chars().next())
            && (before.to_ascii_lowercase().ends_with("env.")
                || before.ends_with("env?.")
                || before.ends_with("argv.")
                || quoted
                || (picked && reads))
    })
}

/// The port that is written in a source.
fn number(text: &str) -> Option<u16> {
    const BEFORE: &[&str] = &["listen(", "port", "PORT", "Port"];
    BEFORE.iter().find_map(|before| {
        text.match_indices(before)
            .find_map(|(at, _)| literal(&text[at + before.len()..]))
    })
}

/// A number behind `=`, `:`, `(` and `||`.
fn literal(text: &str) -> Option<u16> {
    let text = text.strip_prefix(": number").unwrap_or(text);
    let text = text.trim_start_matches([' ', '=', ':', '(', '{', '\'', '"', '`', '|', '?']);
    let end = text
        .find(|ch: char| !ch.is_ascii_digit())
        .unwrap_or(text.len());
    let port = text[..end].parse().ok()?;
    (port >= 80 && !is_of_other(port)).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_say_where_they_listen() {
        for (text, expected) in [
            ("app.listen(3000)", Some(3000)),
            ("const port = 4000;\napp.listen(port)", Some(4000)),
            ("const PORT: number = 4000;\napp.listen(PORT)", Some(4000)),
            ("server.listen({ port: 5000, host: '0.0.0.0' })", Some(5000)),
            ("Bun.serve({ port: '3001' })", Some(3001)),
            ("db.connect({ port: 5432 }); app.listen(port)", None),
            ("app.listen(x)", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
        for (text, expected) in [
            ("process.env.PORT || 3000", true),
            ("process.env['PORT']", true),
            ("config.get<number>('PORT')", true),
            ("const { PORT = 3000 } = process.env", true),
            (
                "z.object({ PORT: z.coerce.number() }).parse(process.env)",
                true,
            ),
            ("const PORT = 3000; process.env.X", false),
            ("{ PORT: 3000, x: process.env.X }", false),
            ("process.env.DB_PORT", false),
            ("EXPORT", false),
        ] {
            assert_eq!(reads_environment(text), expected, "{text}");
        }
    }
}
