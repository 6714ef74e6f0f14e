//! Builds platforms on separate daemons and joins their images.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::try_join_all;
use pipeops_core::build::BuildCache;
use pipeops_core::event::EventKind;
use pipeops_core::{BuildRequest, Digest, EventSink};

use super::error::PoolError;
use super::platform::normal;
use super::run::{Built, Ended, run};
use super::shared::Shared;
use crate::error::Error;

/// Builds each platform on its own daemon, pushes the parts by digest, and joins them under the request's tag. If one fails, the
/// others are cancelled.
pub(super) async fn build_per_platform(
    shared: &Arc<Shared>,
    request: &BuildRequest,
    events: &dyn EventSink,
) -> Result<Built, Error> {
    let Some(registry) = shared.options.registry.clone() else {
        let wanted = request.platforms.clone();
        return Err(PoolError::NoRegistry { wanted }.into());
    };
    let mut seen = BTreeSet::new();
    let platforms = request.platforms.iter();
    // Two spellings of one platform would become two images for it.
    let platforms = platforms.filter(|platform| seen.insert(normal(platform)));
    let parts = platforms.map(|platform| async move {
        let events = Labelled { platform, events };
        match run(shared, part(request, platform), true, &events).await? {
            Ended::Built(built) => Ok(built),
            Ended::PerPlatform => Err(Error::Pool(PoolError::Platform {
                wanted: vec![platform.clone()],
                known: shared.scheduler().platforms(),
            })),
        }
    });
    let parts = try_join_all(parts).await?;
    let digests: Vec<Digest> = parts.iter().map(|part| part.digest.clone()).collect();
    let digest = registry
        .join(request, &digests)
        .await
        .map_err(PoolError::Join)?;
    Ok(Built {
        digest,
        steps: parts.iter().map(|part| part.steps).sum(),
        cached: parts.iter().map(|part| part.cached).sum(),
    })
}

/// The request for one platform.
fn part(request: &BuildRequest, platform: &str) -> BuildRequest {
    let mut part = request.clone();
    part.platforms = vec![platform.to_owned()];
    let own = |cache: &BuildCache| of_platform(cache, platform);
    // The last writer of a cache wins: with one name for all, each platform would throw away the others' cache.
    part.cache_to = request.cache_to.iter().filter_map(own).collect();
    part.cache_from = request.cache_from.iter().filter_map(own).collect();
    // What a daemon that builds for all platforms wrote is good for each of them.
    part.cache_from.extend(request.cache_from.iter().cloned());
    part
}

/// The same cache under a name for the platform; `None` if it can't have one.
fn of_platform(cache: &BuildCache, platform: &str) -> Option<BuildCache> {
    let suffix = normal(platform).replace('/', "-");
    match cache {
        BuildCache::S3(s3) => {
            let mut s3 = s3.clone();
            s3.name = format!("{}-{suffix}", s3.name);
            Some(BuildCache::S3(s3))
        }
        BuildCache::Registry { image } => {
            let tag = format!("{}-{suffix}", image.tag().unwrap_or("latest"));
            let image = image.with_tag(&tag).ok()?;
            Some(BuildCache::Registry { image })
        }
        BuildCache::Gha(gha) => {
            let mut gha = gha.clone();
            gha.scope = format!("{}-{suffix}", gha.scope);
            Some(BuildCache::Gha(gha))
        }
        BuildCache::Azblob(azblob) => {
            let mut azblob = azblob.clone();
            azblob.name = format!("{}-{suffix}", azblob.name);
            Some(BuildCache::Azblob(azblob))
        }
        // It is in each part's own image.
        BuildCache::Local(local) => {
            let mut local = local.clone();
            local.tag = format!("{}-{suffix}", local.tag);
            Some(BuildCache::Local(local))
        }
        BuildCache::Inline => Some(BuildCache::Inline),
        _ => None,
    }
}

/// Marks the events of one platform, as BuildKit does if one daemon builds for several.
struct Labelled<'a> {
    platform: &'a str,
    events: &'a dyn EventSink,
}

impl EventSink for Labelled<'_> {
    fn emit(&self, kind: EventKind) {
        let own = |id: String| format!("{}/{id}", self.platform);
        self.events.emit(match kind {
            EventKind::Vertex {
                id,
                name,
                state,
                millis,
            } => EventKind::Vertex {
                id: own(id),
                name: self.name(&name),
                state,
                millis,
            },
            EventKind::Log { vertex, line } => EventKind::Log {
                vertex: own(vertex),
                line,
            },
            EventKind::Transfer {
                vertex,
                id,
                current,
                total,
                millis,
            } => EventKind::Transfer {
                vertex: own(vertex),
                id,
                current,
                total,
                millis,
            },
            EventKind::Warning { message } => EventKind::Warning {
                message: format!("{}: {message}", self.platform),
            },
            other => other,
        });
    }
}

impl Labelled<'_> {
    /// `[2/4] RUN make` → `[linux/arm64 2/4] RUN make`; `exporting to image` → `[linux/arm64] exporting to image`.
    fn name(&self, name: &str) -> String {
        match name.strip_prefix('[') {
            Some(rest) if !rest.starts_with("internal]") && !rest.starts_with("auth]") => {
                format!("[{} {rest}", self.platform)
            }
            _ => format!("[{}] {name}", self.platform),
        }
    }
}

#[cfg(test)]
mod tests {
    use pipeops_core::build::S3Cache;
    use pipeops_core::cache::LocalCache;

    use super::*;

    #[test]
    fn each_platform_writes_a_cache_of_its_own_and_reads_the_common_one_too() {
        let mut request = BuildRequest::new("/x", "reg.io/a:1".parse().unwrap());
        let registry = |tag: &str| BuildCache::Registry {
            image: format!("reg.io/cache:{tag}").parse().unwrap(),
        };
        let s3 = |name: &str| BuildCache::S3(S3Cache::new("b", "r", name));
        let local = |tag: &str| {
            let mut local = LocalCache::new("/cache");
            local.tag = tag.to_owned();
            BuildCache::Local(local)
        };
        request.cache_to = vec![s3("main"), registry("main"), local("main")];
        request.cache_from = vec![s3("main")];
        let part = part(&request, "linux/arm64/v8");
        assert_eq!(part.platforms, ["linux/arm64/v8"]);
        assert_eq!(
            part.cache_to,
            [
                s3("main-linux-arm64"),
                registry("main-linux-arm64"),
                local("main-linux-arm64")
            ]
        );
        assert_eq!(part.cache_from, [s3("main-linux-arm64"), s3("main")]);
    }

    #[test]
    fn steps_are_marked_with_their_platform() {
        let events = Labelled {
            platform: "linux/arm64",
            events: &pipeops_core::event::Discard,
        };
        for (name, marked) in [
            ("[2/4] RUN make", "[linux/arm64 2/4] RUN make"),
            ("[build 1/3] COPY . .", "[linux/arm64 build 1/3] COPY . ."),
            (
                "[internal] load build context",
                "[linux/arm64] [internal] load build context",
            ),
            ("exporting to image", "[linux/arm64] exporting to image"),
        ] {
            assert_eq!(events.name(name), marked);
        }
    }
}
