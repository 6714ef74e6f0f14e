//! Measures a collection of a bucket with very many objects, which are generated while they are listed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::{Collector, Policy};

/// Manifests, each with as many separate blobs.
const MANIFESTS: u32 = 2_000;
const LAYERS: u32 = 50;

/// Blobs to which nothing refers.
const LOOSE: u32 = 300_000;

/// Bytes of each manifest, as it is listed.
const LISTED: u64 = 5_000;

/// Bytes of each blob.
const SIZE: u64 = 1_000;

#[derive(Debug, Default)]
struct Endless {
    /// Blobs to which nothing refers.
    loose: u32,
    marks: Mutex<Option<Bytes>>,
    deleted: Arc<AtomicU64>,
}

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endless")
    }
}

fn digest(number: u32) -> String {
    format!("sha256:{}", format!("{number:08x}").repeat(8))
}

fn manifest(number: u32) -> Bytes {
    let layer = |layer: u32| {
        format!(
            r#"{{"blob":"{}","annotations":{{"size":{SIZE}}}}}"#,
            digest(number * LAYERS + layer)
        )
    };
    let layers: Vec<String> = (0..LAYERS).map(layer).collect();
    format!(r#"{{"layers":[{}],"records":[]}}"#, layers.join(",")).into()
}

fn meta(location: Path, size: u64) -> ObjectMeta {
    ObjectMeta {
        location,
        // 1970: everything is old.
        last_modified: Default::default(),
        size,
        e_tag: None,
        version: None,
    }
}

fn not_implemented<T>() -> Result<T> {
    Err(object_store::Error::NotImplemented {
        operation: "this".to_owned(),
        implementer: "Endless".to_owned(),
    })
}

#[async_trait::async_trait]
impl ObjectStore for Endless {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        _: PutOptions,
    ) -> Result<PutResult> {
        if location.as_ref() == "collect/marks" {
            *self.marks.lock().unwrap() = Some(payload.into());
        }
        Ok(PutResult {
            e_tag: None,
            version: None,
            extensions: Default::default(),
        })
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        not_implemented()
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let name = location.as_ref();
        let bytes = match name.strip_prefix("manifests/") {
            Some(number) => manifest(number.parse().unwrap()),
            None if name == "collect/marks" => {
                self.marks.lock().unwrap().clone().unwrap_or_default()
            }
            None => Bytes::new(),
        };
        let size = match (options.head, name.starts_with("manifests/")) {
            (true, true) => LISTED,
            (true, false) => SIZE,
            _ => bytes.len() as u64,
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed()),
            meta: meta(location.clone(), size),
            range: 0..size,
            attributes: Default::default(),
            extensions: Default::default(),
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let deleted = Arc::clone(&self.deleted);
        let count = move |_: &Result<Path>| {
            deleted.fetch_add(1, Ordering::Relaxed);
        };
        locations.inspect(count).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix.map(AsRef::as_ref) {
            Some("manifests") => {
                let one = |number| Ok(meta(Path::from(format!("manifests/{number}")), LISTED));
                stream::iter((0..MANIFESTS).map(one)).boxed()
            }
            Some("blobs") => {
                let one = |number| Ok(meta(Path::from(format!("blobs/{}", digest(number))), SIZE));
                stream::iter((0..MANIFESTS * LAYERS * self.loose.min(1) + self.loose).map(one))
                    .boxed()
            }
            _ => stream::empty().boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let objects = self.list(prefix).try_collect().await?;
        Ok(ListResult {
            common_prefixes: Vec::new(),
            objects,
            extensions: Default::default(),
        })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        not_implemented()
    }
}

/// Memory of this process, in KiB, from its `/proc/self/status`.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap();
    line.trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// Run alone and with `--nocapture` for the figures.
#[tokio::test]
#[ignore = "a measurement"]
async fn four_hundred_thousand_blobs() {
    let store = Arc::new(Endless {
        loose: LOOSE,
        ..Endless::default()
    });
    let before = memory("VmRSS");
    let mut policy = Policy::default().ages(Duration::from_secs(u32::MAX.into()), Duration::MAX);
    policy.deletes_per_second = u32::MAX;
    let at = |days: u64| move || Timestamp::UNIX_EPOCH + Duration::from_secs(days * 86_400);
    let collector = Collector::new(store.clone(), "").policy(policy);
    let begin = std::time::Instant::now();
    let first = collector.clone().clock(at(100)).collect().await.unwrap();
    let marked = begin.elapsed();
    let second = collector.clock(at(101)).collect().await.unwrap();
    let freed = begin.elapsed() - marked;
    let peak = memory("VmHWM");
    eprintln!(
        "{} blobs kept, {} freed: {marked:.1?} to mark, {freed:.1?} to free, {} MiB more than before",
        second.kept.objects,
        second.freed.objects,
        (peak - before) / 1024
    );
    assert_eq!(first.waiting.objects, u64::from(LOOSE));
    assert_eq!(second.freed.objects, u64::from(LOOSE));
    assert_eq!(second.kept.objects, u64::from(MANIFESTS * LAYERS));
    assert_eq!(store.deleted.load(Ordering::Relaxed), u64::from(LOOSE));
}

/// With time that only passes while everything waits.
#[tokio::test(start_paused = true)]
async fn deletes_are_no_faster_than_they_may_be() {
    let store = Arc::new(Endless::default());
    let mut policy = Policy::default().ages(Duration::ZERO, Duration::ZERO);
    policy.deletes_per_second = 100;
    let begin = tokio::time::Instant::now();
    let clock = || Timestamp::UNIX_EPOCH + Duration::from_secs(86_400);
    let report = Collector::new(store, "")
        .policy(policy)
        .clock(clock)
        .collect()
        .await
        .unwrap();
    assert_eq!(report.manifests.objects, u64::from(MANIFESTS));
    assert!(begin.elapsed() >= Duration::from_secs(u64::from(MANIFESTS) / 100));
}
