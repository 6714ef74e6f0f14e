//! What manifests and sources of many layouts hold.

use pipeops_detect::Language;

/// Why the layout is there, its files, the language, the app's folder, and the apps that are listed.
pub(crate) type Layout = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<Language>,
    &'static str,
    &'static [&'static str],
);

pub(crate) const GO_MAIN: &str = "package main\n\nfunc main() {}\n";
pub(crate) const FLASK: &str = "from flask import Flask\napp = Flask(__name__)\n";
pub(crate) const EXPRESS: &str =
    r#"{"scripts": {"start": "node index.js"}, "dependencies": {"express": "4"}}"#;
pub(crate) const REACT: &str = r#"{"private": true, "scripts": {"start": "react-scripts start", "build": "react-scripts build"}, "dependencies": {"react": "18", "react-scripts": "5"}}"#;
pub(crate) const TOOLS: &str =
    r#"{"devDependencies": {"husky": "9", "prettier": "3"}, "scripts": {"prepare": "husky"}}"#;
pub(crate) const LARAVEL: &str = r#"{"require": {"php": "^8.2", "laravel/framework": "^11"}}"#;
pub(crate) const CARGO: &str = "[package]\nname = \"app\"\n[dependencies]\naxum = \"0.8\"\n";
pub(crate) const VITE: &str = r#"{"private": true, "scripts": {"dev": "vite", "build": "vite build"}, "devDependencies": {"vite": "5"}}"#;
