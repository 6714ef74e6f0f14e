use super::*;
use crate::source::MemTree;

fn found(files: &[(&str, &str)]) -> Findings {
    let tree: MemTree = files.iter().copied().collect();
    look(&Folder::open(&tree, ""))
}

#[test]
fn what_only_accompanies_another_language_counts_little() {
    for (json, role) in [
        (r#"{"devDependencies": {"prettier": "3"}}"#, Role::Tools),
        (
            r#"{"devDependencies": {"vite": "5"}, "scripts": {"build": "vite build"}}"#,
            Role::Frontend,
        ),
        (
            r#"{"dependencies": {"react": "18", "react-scripts": "5"}, "scripts": {"start": "react-scripts start"}}"#,
            Role::Frontend,
        ),
        (r#"{"dependencies": {"lodash": "4"}}"#, Role::Library),
        (r#"{"dependencies": {"express": "4"}}"#, Role::Server),
        (
            r#"{"devDependencies": {"express": "4"}, "dependencies": {"a": "1"}}"#,
            Role::Server,
        ),
        (r#"{"scripts": {"start": "node x.js"}}"#, Role::Server),
        (
            r#"{"scripts": {"start": "python app.py"}, "devDependencies": {"prettier": "3"}}"#,
            Role::Tools,
        ),
        (
            r#"{"scripts": {"build": "tailwindcss -i a -o b", "start": "tailwindcss -w"}, "devDependencies": {"tailwindcss": "3"}}"#,
            Role::Tools,
        ),
    ] {
        assert_eq!(found(&[("package.json", json)]).role, role, "{json}");
    }
}

#[test]
fn the_program_is_found() {
    let server = ("server.js", "http.createServer(f).listen(process.env.PORT)");
    for (files, start) in [
        (
            &[("package.json", r#"{"scripts": {"start": "node x"}}"#)] as &[_],
            "npm run start",
        ),
        (
            &[
                ("package.json", r#"{"main": "./src/a.js"}"#),
                ("src/a.js", ""),
                ("index.js", ""),
            ],
            "node src/a.js",
        ),
        (&[("package.json", "{}"), server], "node server.js"),
        (&[server, ("x.html", "")], "node server.js"),
        (&[("index.js", "document.title")], ""),
        (
            &[("package.json", r#"{"dependencies": {"next": "15"}}"#)],
            "next start",
        ),
    ] {
        let found = found(files);
        assert_eq!(found.start.unwrap_or_default(), start, "{files:?}");
    }
    let port = found(&[("index.js", "require('http').createServer().listen(3000)")]).port;
    assert_eq!(port, Some(3000));
}
