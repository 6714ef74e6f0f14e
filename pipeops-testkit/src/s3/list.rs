//! `ListObjectsV2`.

use std::collections::BTreeSet;

use http::Response;

use super::dates::iso_date;
use super::error::S3Result;
use super::request::Exchange;
use super::store::{Object, Objects};
use super::xml::{self, xml_answer};
use crate::serve::{Body, lock};

/// The most names in one page.
const PAGE: usize = 1_000;

pub(super) fn list(exchange: &Exchange) -> S3Result<Response<Body>> {
    let store = lock(&exchange.shared.store);
    let objects = store.bucket(exchange.bucket())?;
    let token = exchange.query.get("continuation-token");
    let size = exchange
        .query
        .get("max-keys")
        .and_then(|size| size.parse().ok());
    let wanted = Wanted {
        prefix: exchange.query.get("prefix").unwrap_or_default(),
        delimiter: exchange
            .query
            .get("delimiter")
            .filter(|delimiter| !delimiter.is_empty()),
        after: token
            .or(exchange.query.get("start-after"))
            .unwrap_or_default(),
        size: size.unwrap_or(PAGE).min(PAGE),
    };
    let page = wanted.page(objects);
    let mut document = xml::Writer::new("ListBucketResult");
    document
        .text("Name", exchange.bucket())
        .text("Prefix", wanted.prefix)
        .text("KeyCount", page.objects.len() + page.folders.len())
        .text("MaxKeys", wanted.size)
        .text("IsTruncated", page.next.is_some());
    if let Some(next) = page.next {
        document.text("NextContinuationToken", next);
    }
    for (key, object) in page.objects {
        document
            .open("Contents")
            .text("Key", key)
            .text("LastModified", iso_date(object.modified))
            .text("ETag", &object.etag)
            .text("Size", object.data.len())
            .text("StorageClass", "STANDARD")
            .close();
    }
    for folder in page.folders {
        document
            .open("CommonPrefixes")
            .text("Prefix", folder)
            .close();
    }
    Ok(xml_answer(&mut document))
}

/// Which part of a bucket is listed.
struct Wanted<'a> {
    prefix: &'a str,
    /// Keys that have it behind the prefix are listed as one folder.
    delimiter: Option<&'a str>,
    /// Only names behind this one: the last of the page before.
    after: &'a str,
    size: usize,
}

/// A part of a list.
#[derive(Default)]
struct Page<'a> {
    objects: Vec<(&'a String, &'a Object)>,
    folders: BTreeSet<String>,
    /// The token of the next page, if there is one: the last name of this one.
    next: Option<String>,
}

impl Wanted<'_> {
    fn page<'a>(&self, all: &'a Objects) -> Page<'a> {
        let mut page = Page::default();
        let mut last = String::new();
        let keys = all.range(self.prefix.to_owned()..);
        for (key, object) in keys.take_while(|(key, _)| key.starts_with(self.prefix)) {
            let folder = self.folder(key);
            let name = folder.as_ref().unwrap_or(key);
            if name.as_str() <= self.after || page.folders.contains(name) {
                continue;
            }
            if page.objects.len() + page.folders.len() == self.size {
                page.next = Some(last);
                break;
            }
            name.clone_into(&mut last);
            match folder {
                Some(folder) => {
                    page.folders.insert(folder);
                }
                None => page.objects.push((key, object)),
            }
        }
        page
    }

    /// The folder that stands for this key.
    fn folder(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter?;
        let end = key[self.prefix.len()..].find(delimiter)?;
        Some(key[..self.prefix.len() + end + delimiter.len()].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_and_count_a_folder_once() {
        let object = Object::new("".into());
        let keys = ["a/1", "a/2", "b", "c/1", "d"];
        let all: Objects = keys.map(|key| (key.to_owned(), object.clone())).into();
        let mut names = Vec::new();
        let mut after = String::new();
        loop {
            let wanted = Wanted {
                prefix: "",
                delimiter: Some("/"),
                after: &after,
                size: 2,
            };
            let page = wanted.page(&all);
            names.extend(page.folders);
            names.extend(page.objects.into_iter().map(|(key, _)| key.clone()));
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(names, ["a/", "b", "c/", "d"]);
    }
}
