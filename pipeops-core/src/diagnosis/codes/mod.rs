//! The book of codes: every cause that PipeOps diagnoses, with title, meaning and fixes.
//!
//! One file for each area. The page is the only place for a cause's fixed texts: a library adds what depends on values.

use super::Page;

/// Defines the pages of one area, and the list of them. The meaning is each page's rustdoc.
macro_rules! pages {
    ($($name:ident = $code:literal {
        title: $title:literal,
        meaning: $meaning:literal,
        fixes: [$($fix:literal),* $(,)?] $(,)?
    })*) => {
        $(#[doc = $meaning] pub static $name: $crate::diagnosis::Page = $crate::diagnosis::Page {
            code: $code,
            title: $title,
            meaning: $meaning,
            fixes: &[$($fix),*],
        };)*

        pub(super) static PAGES: &[&$crate::diagnosis::Page] = &[$(&$name),*];
    };
}

pub mod api;
pub mod build;
pub mod cache;
pub mod clone;
pub mod deployment;
pub mod detect;
pub mod manifest;
pub mod pool;
pub mod project;
pub mod registry;
pub mod rollout;
pub mod store;
pub mod webhook;

/// A diagnosis that was stored by a version without codes.
pub static UNKNOWN: Page = Page {
    code: "unknown",
    title: "Unknown cause",
    meaning: "A version of PipeOps that had no codes stored this diagnosis.",
    fixes: &["Deploy again: a new failure has a code"],
};

/// All pages, area by area.
pub fn all() -> impl Iterator<Item = &'static Page> {
    let areas = [
        api::PAGES,
        build::PAGES,
        cache::PAGES,
        clone::PAGES,
        deployment::PAGES,
        detect::PAGES,
        manifest::PAGES,
        pool::PAGES,
        project::PAGES,
        registry::PAGES,
        rollout::PAGES,
        store::PAGES,
        webhook::PAGES,
    ];
    areas.into_iter().flatten().copied().chain([&UNKNOWN])
}

/// The page of a code.
///
/// ```
/// use pipeops_core::diagnosis::codes;
///
/// for page in codes::all() {
///     assert_eq!(codes::find(page.code), Some(page));
/// }
/// ```
pub fn find(code: &str) -> Option<&'static Page> {
    all().find(|page| page.code == code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_page_is_complete_and_every_code_is_there_once() {
        let mut codes = BTreeSet::new();
        for page in all() {
            assert!(codes.insert(page.code), "{} is there twice", page.code);
            let kebab = |part: &str| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            let parts: Vec<&str> = page.code.split('/').collect();
            let valid = match parts.as_slice() {
                [area, cause] => kebab(area) && kebab(cause),
                _ => page == &UNKNOWN,
            };
            assert!(valid, "`{}` is not area/cause in kebab case", page.code);
            assert!(
                page.meaning.ends_with('.'),
                "{}: the meaning is not a sentence",
                page.code
            );
            assert!(
                !page.title.is_empty() && !page.fixes.is_empty(),
                "{}",
                page.code
            );
            for fix in page.fixes {
                assert!(
                    !fix.ends_with('.'),
                    "{}: fixes end without a stop: {fix}",
                    page.code
                );
            }
        }
    }
}
