//! Listing, moving and deleting.

use pipeops_core::ImageRef;
use reqwest::Method;
use reqwest::header::LINK;
use serde::Deserialize;
use url::Url;

use super::transport::{Request, bad_answer};
use super::{RegistryClient, Target, is_missing};
use crate::error::{Action, Error};

/// Longer pages are refused.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Pages that are read of one list: a hostile registry could go on for ever.
const MAX_PAGES: usize = 100;

impl RegistryClient {
    /// All tags of the image's repository, in the registry's order; empty when there is no such repository.
    ///
    /// # Errors
    /// When the registry cannot be asked, or the list has more than 100 pages.
    pub async fn tags(&self, image: &ImageRef) -> Result<Vec<String>, Error> {
        let target = Target::new(self, image, Action::Pull);
        let mut request = target.request(Method::GET, "tags/list?n=1000")?;
        let mut tags = Vec::new();
        for _ in 0..MAX_PAGES {
            let (page, next) = match self.tags_page(&target, &request).await {
                Ok(page) => page,
                Err(error) if is_missing(&error) => return Ok(tags),
                Err(error) => return Err(error),
            };
            tags.extend(page);
            match next {
                Some(next) => request.url = next,
                None => return Ok(tags),
            }
        }
        Err(bad_answer(
            image.host(),
            format!("a list of tags with more than {MAX_PAGES} pages"),
        ))
    }

    /// Gives the image one more tag in the same repository; nothing is copied.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such image, [`Error::ImmutableTag`] when the tag exists and may not move,
    /// [`Error::InvalidImage`] when it is no tag, or why the registry cannot be asked.
    pub async fn retag(&self, image: &ImageRef, tag: &str) -> Result<ImageRef, Error> {
        let tagged = image.with_tag(tag).map_err(|error| Error::InvalidImage {
            image: image.to_string(),
            why: error.to_string(),
        })?;
        let manifest = self.manifest(image).await?;
        let target = Target::new(self, &tagged, Action::Push);
        self.call(
            &target.registry,
            &target.scopes,
            &target.put_manifest_request(&manifest)?,
        )
        .await?;
        Ok(tagged.with_digest(manifest.digest))
    }

    /// Deletes the image that this name stands for now, **with all of its tags**. False when there was none.
    ///
    /// # Errors
    /// When the registry does not allow it (many do not delete at all: [`Error::BadAnswer`]) or cannot be asked.
    pub async fn delete(&self, image: &ImageRef) -> Result<bool, Error> {
        let Some(digest) = self.resolve(image).await? else {
            return Ok(false);
        };
        let target = Target::new(self, &image.with_digest(digest), Action::Delete);
        let request = target.request(Method::DELETE, &format!("manifests/{}", target.reference))?;
        match self.call(&target.registry, &target.scopes, &request).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn tags_page(
        &self,
        target: &Target,
        request: &Request,
    ) -> Result<(Vec<String>, Option<Url>), Error> {
        let (headers, body) = self.fetch(target, request, MAX_PAGE_BYTES).await?;
        let link = headers.get(LINK).and_then(|value| value.to_str().ok());
        let next = link
            .and_then(next_link)
            .and_then(|next| request.url.join(next).ok());
        // The next page is asked for with credentials: of this registry only.
        let next = next.filter(|url| target.registry.is_origin_of(url));
        let page: Page = serde_json::from_slice(&body)
            .map_err(|_| bad_answer(&target.registry.name, "a list of tags that is not JSON"))?;
        Ok((page.tags.unwrap_or_default(), next))
    }
}

#[derive(Deserialize)]
struct Page {
    /// Some registries write `null` for an empty list.
    tags: Option<Vec<String>>,
}

/// The target of `<…>; rel="next"`.
fn next_link(header: &str) -> Option<&str> {
    let (target, parameters) = header.trim().strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_in_the_link_header() {
        assert_eq!(
            next_link(r#"</v2/a/tags/list?n=1&last=x>; rel="next""#),
            Some("/v2/a/tags/list?n=1&last=x")
        );
        assert_eq!(next_link(r#"</v2/a>; rel="prev""#), None);
        assert_eq!(next_link("nonsense"), None);
    }
}
