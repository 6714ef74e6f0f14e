//! Listing and adding tags, and deleting images.

use pipeops_core::ImageRef;
use reqwest::Method;
use reqwest::header::LINK;
use serde::Deserialize;
use url::Url;

use super::transport::{Request, bad_answer};
use super::{RegistryClient, Target, is_missing};
use crate::error::{Action, Error};

/// The largest page of a list.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The most pages of a list: a hostile registry could send pages forever.
const MAX_PAGES: usize = 100;

impl RegistryClient {
    /// All tags of the image's repository, in the registry's order; empty if there is no such repository.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] if the list has more than 100 pages, or as [`RegistryClient::resolve`].
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

    /// Adds a tag to the image in the same repository, and returns the tagged image. No layer is copied.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such image, [`Error::ImmutableTag`] if the tag exists and is immutable,
    /// [`Error::InvalidImage`] if the tag is invalid, or as [`RegistryClient::check_push`].
    pub async fn retag(&self, image: &ImageRef, tag: &str) -> Result<ImageRef, Error> {
        let tagged = image.with_tag(tag).map_err(|error| Error::InvalidImage {
            image: image.to_string(),
            why: error.to_string(),
        })?;
        let manifest = self.manifest(image).await?;
        let target = Target::new(self, &tagged, Action::Push);
        let request = target.put_manifest_request(&manifest)?;
        self.call(&target, &request).await?;
        Ok(tagged.with_digest(manifest.digest))
    }

    /// Deletes the image that this name currently refers to, **with all its tags**. Returns false if there was none.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] if the registry doesn't support deletion, as many don't; [`Error::Denied`]; or as
    /// [`RegistryClient::resolve`].
    pub async fn delete(&self, image: &ImageRef) -> Result<bool, Error> {
        let Some(digest) = self.resolve(image).await? else {
            return Ok(false);
        };
        let target = Target::new(self, &image.with_digest(digest), Action::Delete);
        let request = target.request(Method::DELETE, &format!("manifests/{}", target.reference))?;
        match self.call(&target, &request).await {
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
        // The request for the next page has credentials, so it's only sent to this registry.
        let next = next.filter(|url| target.registry.is_origin_of(url));
        let page: Page = serde_json::from_slice(&body)
            .map_err(|_| bad_answer(&target.registry.name, "a list of tags that isn't JSON"))?;
        Ok((page.tags.unwrap_or_default(), next))
    }
}

#[derive(Deserialize)]
struct Page {
    /// Some registries send `null` for an empty list.
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
