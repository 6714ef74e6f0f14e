//! `pipeops cache list|collect`: the build caches in S3, and their garbage collection.

use std::fmt;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo, Timestamp};
use pipeops::buildkit::cache::collect::{Amount, Collector, NamespaceReport, Policy, Report};
use pipeops::core::Diagnosis;
use pipeops::core::units::size;
use serde::Serialize;

use crate::backends;
use crate::environment::Environment;
use crate::output::{CommandError, Format};
use crate::pages::{CACHE_NOT_DELETED, NO_CACHE_BUCKET};

/// List and collect build caches in S3
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the caches in the bucket with size, hit rate and retention
    List {
        #[command(flatten)]
        options: Options,
    },
    /// Delete caches that are too old or not worth their size. Caches that a running build may need are kept
    Collect {
        #[command(flatten)]
        options: Options,
        /// Print what would be deleted without deleting it
        #[arg(long)]
        dry_run: bool,
        /// Wait until no running build can need the blobs of the deleted caches, then delete these too. Without this option, the next
        /// collection deletes them
        #[arg(long, conflicts_with = "dry_run")]
        wait: bool,
    },
}

/// Location and retention of the caches. The bucket comes from `S3_BUCKET`, `S3_REGION`, `S3_ENDPOINT`, `S3_ACCESS_KEY_ID`
/// and `S3_SECRET_ACCESS_KEY`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Key prefix of the caches in the bucket
    #[arg(long, default_value = backends::CACHE_PREFIX)]
    prefix: String,
    /// Maximum size of all caches, such as 50G
    #[arg(long, value_parser = bytes)]
    budget: Option<u64>,
    /// Minimum age of caches that may be deleted, such as 12h or 2d
    #[arg(long, default_value = "2d", value_parser = duration)]
    min_age: Duration,
    /// Age at which a cache is always deleted
    #[arg(long, default_value = "30d", value_parser = duration)]
    max_age: Duration,
    /// Duration of the longest build. Blobs are kept for this time after their cache is deleted
    #[arg(long, default_value = "1h", value_parser = duration)]
    longest_build: Duration,
    /// Branch whose newest cache is always kept; repeatable
    #[arg(long = "default-branch", value_name = "BRANCH", default_values = ["main", "master"])]
    default_branches: Vec<String>,
}

impl Command {
    pub async fn run(&self, format: Format) -> Result<(), CommandError> {
        let report = match self {
            Self::List { options } => {
                let report = options.collector()?.plan().await?;
                format.print(&List(report.namespaces));
                return Ok(());
            }
            Self::Collect {
                options,
                dry_run: true,
                ..
            } => options.collector()?.plan().await?,
            Self::Collect { options, wait, .. } => collect(&options.collector()?, *wait).await?,
        };
        let failed = report.failed.clone();
        format.print(&Collected(report));
        match failed {
            None => Ok(()),
            Some(failed) => Err(CommandError::failed(
                Diagnosis::new(&CACHE_NOT_DELETED)
                    .error(format!("{} objects: {}", failed.objects, failed.why)),
            )
            .printed()),
        }
    }
}

async fn collect(collector: &Collector, wait: bool) -> Result<Report, CommandError> {
    let first = collector.collect().await?;
    let Some(next) = first.next.filter(|_| wait) else {
        return Ok(first);
    };
    let left = next.duration_since(Timestamp::now()).try_into();
    let left: Duration = left.unwrap_or_default();
    errln!("waiting {left:.0?} until no running build can need the blobs");
    tokio::time::sleep(left).await;
    let mut second = collector.collect().await?;
    second.manifests.objects += first.manifests.objects;
    second.manifests.bytes += first.manifests.bytes;
    Ok(second)
}

impl Options {
    fn collector(&self) -> Result<Collector, CommandError> {
        let s3 = Environment::read().s3.ok_or_else(|| {
            CommandError::bad_input(Diagnosis::new(&NO_CACHE_BUCKET).error("S3_BUCKET is not set"))
        })?;
        let mut policy = Policy::default()
            .ages(self.min_age, self.max_age)
            .longest_build(self.longest_build)
            .default_branches(&self.default_branches);
        policy.budget = self.budget;
        let mut cache = backends::cache(&s3);
        cache.prefix.clone_from(&self.prefix);
        Ok(Collector::open(&cache)?.policy(policy))
    }
}

/// The caches, one a line.
#[derive(Serialize)]
struct List(Vec<NamespaceReport>);

/// What a collection did.
#[derive(Serialize)]
struct Collected(Report);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no caches");
        }
        writeln!(
            f,
            "{:>9}  {:>5}  {:>6}  {:16}  CACHE",
            "SIZE", "HITS", "SCORE", "KEPT UNTIL"
        )?;
        self.0.iter().try_for_each(|cache| line(f, cache))
    }
}

impl fmt::Display for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        let would = if report.dry_run { "would be " } else { "" };
        for cache in &report.namespaces {
            if !cache.fate.is_kept() {
                let amount = human(cache.releases);
                writeln!(
                    f,
                    "deleted   {} ({}), releases {amount}",
                    title(cache),
                    cache.fate.reason()
                )?;
            }
            for manifest in &cache.dropped {
                writeln!(f, "deleted   manifest {manifest}")?;
            }
        }
        for corrupt in &report.corrupt {
            writeln!(f, "! {} is damaged: {}", corrupt.key, corrupt.why)?;
        }
        writeln!(f, "manifests {would}deleted: {}", human(report.manifests))?;
        writeln!(f, "blobs {would}freed: {}", human(report.freed))?;
        writeln!(f, "blobs kept: {}", human(report.kept))?;
        if let Some(next) = report.next {
            writeln!(
                f,
                "blobs waiting until {next:.0}: {}",
                human(report.waiting)
            )?;
        }
        if let Some(uploads) = &report.uploads {
            if uploads.ended > 0 {
                writeln!(f, "unfinished uploads {would}aborted: {}", uploads.ended)?;
            }
            if let Some(why) = &uploads.failed {
                writeln!(f, "! {why}")?;
            }
        }
        if let Some(rate) = report.hit_rate {
            writeln!(f, "steps from cache: {:.0} %", rate * 100.0)?;
        }
        if report.over_budget {
            writeln!(f, "! the caches that are always kept exceed the budget")?;
        }
        match &report.failed {
            Some(failed) => writeln!(
                f,
                "! could not delete {} objects: {}",
                failed.objects, failed.why
            ),
            None => Ok(()),
        }
    }
}

fn line(f: &mut fmt::Formatter<'_>, cache: &NamespaceReport) -> fmt::Result {
    let hits = cache.hit_rate.map(|rate| format!("{:.0} %", rate * 100.0));
    let until = match cache.fate.is_kept() {
        true if cache.fate.reason() == "always kept" => "always".to_owned(),
        true => cache.keep_until.strftime("%Y-%m-%d %H:%M").to_string(),
        false => cache.fate.reason().to_owned(),
    };
    writeln!(
        f,
        "{:>9}  {:>5}  {:>6.1}  {until:16}  {}",
        size(cache.refers.bytes),
        hits.unwrap_or_else(|| "-".to_owned()),
        cache.score,
        title(cache)
    )
}

fn title(cache: &NamespaceReport) -> String {
    cache
        .namespace
        .as_ref()
        .map_or_else(|| cache.name.clone(), ToString::to_string)
}

fn human(amount: Amount) -> String {
    format!("{} ({} objects)", size(amount.bytes), amount.objects)
}

/// `50G`, `512MiB`, `1000`: powers of 1024.
fn bytes(text: &str) -> Result<u64, String> {
    let end = text.find(|character: char| !character.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let power = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "K" | "k" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(format!("invalid size {text:?}: write 512M or 50G")),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} does not start with a whole number"))?;
    number
        .checked_mul(1024_u64.pow(power))
        .ok_or_else(|| format!("{text:?} is too large"))
}

/// `90s`, `45m`, `12h`, `30d`.
fn duration(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().ok();
    let span = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    span.and_then(|span| span.try_into().ok())
        .ok_or_else(|| format!("invalid duration {text:?}: write 90s, 45m, 12h or 30d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(bytes("50G"), Ok(50 << 30));
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("7"), Ok(7));
        assert!(bytes("50X").is_err() && bytes("G").is_err() && bytes("99999999999T").is_err());
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert!(duration("30").is_err() && duration("d").is_err());
    }
}
