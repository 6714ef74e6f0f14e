//! Files that commands read.

use std::io;
use std::path::Path;

use pipeops::core::{Diagnosis, SecretString};

use crate::output::CommandError;
use crate::pages::{BAD_ARGUMENT, UNREADABLE};

/// A file's text; `-` is standard input.
pub fn read_text(file: &Path) -> Result<String, CommandError> {
    let text = if file == Path::new("-") {
        io::read_to_string(io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| unreadable(file, &error))
}

/// A file or folder that cannot be read.
pub fn unreadable(path: &Path, error: &dyn std::error::Error) -> CommandError {
    let diagnosis = Diagnosis::new(&UNREADABLE);
    CommandError::bad_input(diagnosis.error(format!("{}: {error}", path.display())))
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
            Diagnosis::new(&BAD_ARGUMENT)
                .error(format!("{pair:?} is not a pair NAME=FILE"))
                .fixes([format!("Write {flag} NAME=FILE")]),
        )
    })?;
    Ok((key, Path::new(file)))
}
