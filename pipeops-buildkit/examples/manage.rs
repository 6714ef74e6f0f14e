//! Shows a BuildKit daemon's version, disk usage and history, or prunes its cache:
//!
//! ```text
//! cargo run -p pipeops-buildkit --example manage -- [info | usage | prune | history] [ADDRESS]
//! ```

use std::error::Error;

use futures::TryStreamExt;
use pipeops_buildkit::{Address, Client, ConnectOptions, PruneOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_else(|| "info".to_owned());
    let address = match args.next().or_else(|| std::env::var("BUILDKIT_HOST").ok()) {
        Some(text) => Address::parse(&text)?,
        None => Address::default(),
    };
    let client = Client::connect(&address, ConnectOptions::default()).await?;
    match what.as_str() {
        "info" => {
            println!("{} at {address}", client.info().await?.version);
            for worker in client.workers().await? {
                println!("{}: {}", worker.id, worker.platforms.join(", "));
            }
        }
        "usage" => {
            let records = client.disk_usage(&[]).await?;
            for record in &records {
                println!(
                    "{:>12} {:<16} {}",
                    record.size, record.kind, record.description
                );
            }
            println!(
                "{:>12} bytes in total",
                records.iter().map(|record| record.size).sum::<u64>()
            );
        }
        "prune" => {
            let mut removed = client.prune(PruneOptions::default()).await?;
            while let Some(record) = removed.try_next().await? {
                println!("removed {:>12} {}", record.size, record.description);
            }
        }
        "history" => {
            for build in client.history(Some(20)).await? {
                let end = build
                    .error
                    .as_deref()
                    .unwrap_or(if build.completed.is_some() {
                        "ok"
                    } else {
                        "running"
                    });
                println!(
                    "{} {} of {} steps cached: {end}",
                    build.id, build.cached_steps, build.steps
                );
            }
        }
        other => {
            return Err(
                format!("unknown command {other:?}: use info, usage, prune or history").into(),
            );
        }
    }
    Ok(())
}
