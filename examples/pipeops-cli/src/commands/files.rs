//! Files that commands read.

use std::io;
use std::path::Path;

use pipeops::core::{Diagnosis, SecretString};

use crate::output::CommandError;

/// A file's text; `-` is standard input.
pub fn read_text(file: &Path) -> Result<String, CommandError> {
    let text = if file == Path::new("-") {
        io::read_to_string(io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| {
        CommandError::bad_input(
            Diagnosis::new("Cannot read the file")
                .error(format!("{}: {error}", file.display()))
                .fix("Name a file that exists and that you may read"),
        )
    })
}

/// A secret from a file or standard input, without the line end that editors add.
pub fn read_secret(file: &Path) -> Result<SecretString, CommandError> {
    let text = read_text(file)?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}

/// Both sides of an argument `KEY=FILE`, which is written behind `flag`.
pub fn key_and_file<'a>(flag: &str, pair: &'a str) -> Result<(&'a str, &'a Path), CommandError> {
    let sides = pair.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, file) = sides.ok_or_else(|| {
        CommandError::bad_input(
            Diagnosis::new("Bad secret")
                .error(format!("{pair:?} is no name with a file"))
                .fix(format!("Write {flag} NAME=FILE")),
        )
    })?;
    Ok((key, Path::new(file)))
}
