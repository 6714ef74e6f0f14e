//! `pipeops explain [CODE]`: the page of a code, or the list of all codes.

use std::fmt;

use pipeops::core::Diagnosis;
use pipeops::core::diagnosis::Page;
use serde_json::{Value, json};

use crate::near::nearest;
use crate::output::{CommandError, Format, print_json};
use crate::pages::{self, NO_SUCH_CODE};
use crate::remedy;

/// Explain the code of a diagnosis: what happened and how to fix it
///
/// Without CODE, lists all codes with their titles.
///
/// Every diagnosis in JSON output, events and the API has a `code`, such as image-pull/auth. Codes are stable, so scripts can
/// rely on them.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// A code such as image-pull/auth, or the last word of a title such as ImagePullBackOff
    code: Option<String>,
}

impl Explain {
    pub fn run(&self, format: Format) -> Result<(), CommandError> {
        let Some(code) = &self.code else {
            print_all(&pages::all().collect::<Vec<_>>(), format);
            return Ok(());
        };
        let found: Vec<_> = pages::all().filter(|page| is_named(page, code)).collect();
        match (found.as_slice(), format) {
            ([], _) => return Err(no_such_code(code)),
            ([page], Format::Json) => print_json(&to_json(page)),
            ([page], Format::Text) => out!("{}", Explained(page)),
            (pages, _) => print_all(pages, format),
        }
        Ok(())
    }
}

fn print_all(pages: &[&'static Page], format: Format) {
    match format {
        Format::Json => print_json(&pages.iter().map(|page| to_json(page)).collect::<Vec<_>>()),
        Format::Text => out!("{}", Listed(pages)),
    }
}

/// Whether a user means this page: by its code, or by the short name at the end of its title.
fn is_named(page: &Page, name: &str) -> bool {
    let short = page.title.rsplit_once(": ").map(|(_, short)| short);
    page.code == name || short.is_some_and(|short| short.eq_ignore_ascii_case(name))
}

/// A page with the command that starts the first fix.
struct Explained(&'static Page);

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match remedy::usage(self.0.code) {
            Some(command) => writeln!(f, "\nRun: {command}"),
            None => Ok(()),
        }
    }
}

fn to_json(page: &Page) -> Value {
    json!({
        "code": page.code,
        "title": page.title,
        "meaning": page.meaning,
        "fixes": page.fixes,
        "run": remedy::usage(page.code),
    })
}

/// Codes and titles, with an empty line between areas.
struct Listed<'a>(&'a [&'static Page]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let area = |page: &&Page| page.code.split('/').next();
        let mut pages = self.0.to_vec();
        pages.sort_by_key(area);
        for (index, page) in pages.iter().enumerate() {
            if index > 0 && area(&pages[index - 1]) != area(page) {
                writeln!(f)?;
            }
            writeln!(f, "{:<32} {}", page.code, page.title)?;
        }
        Ok(())
    }
}

fn no_such_code(wanted: &str) -> CommandError {
    let near = nearest(wanted, pages::all().map(|page| page.code));
    let diagnosis = Diagnosis::new(&NO_SUCH_CODE).error(format!("there is no code {wanted:?}"));
    let nearest = format!("Try one of the nearest codes: {}", near.join(", "));
    CommandError::not_found(diagnosis.fixes([&nearest, NO_SUCH_CODE.fixes[0]]))
}
