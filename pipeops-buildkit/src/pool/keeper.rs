//! Keeps the list of members up to date and probes each of them.

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::daemon::Probed;
use super::member::Discover;
use super::shared::Shared;
use crate::address::Address;
use crate::client::{Client, ConnectOptions};
use crate::diagnosis::with_source;
use crate::error::Error;

/// The answer of one daemon.
struct Answer {
    member: String,
    generation: u64,
    result: Result<Probed, String>,
}

/// Runs until it is dropped. All probes run inside of this one future: none is left when it ends.
pub(super) async fn keep(shared: Arc<Shared>, discover: Arc<dyn Discover>) {
    let mut lists = discover.watch();
    let mut listing = true;
    let mut probes: FuturesUnordered<BoxFuture<'static, Answer>> = FuturesUnordered::new();
    loop {
        let due = shared.scheduler().take_due(Instant::now());
        for (member, address, generation) in due {
            let options = shared.options.builder.connect.clone();
            probes.push(Box::pin(ask(member, address, generation, options)));
        }
        let next = shared.scheduler().next_due();
        let wait = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            list = lists.next(), if listing => match list {
                Some(Ok(members)) => shared.scheduler().set_members(members, Instant::now()),
                Some(Err(failure)) => {
                    let error = failure.diagnosis().error;
                    tracing::warn!(%error, "can't list the members of a pool of BuildKit daemons");
                    shared.scheduler().discovery_failed(error);
                }
                None => listing = false,
            },
            Some(answer) = probes.next(), if !probes.is_empty() => {
                if let Err(error) = &answer.result {
                    tracing::debug!(member = answer.member, %error, "a BuildKit daemon is not well");
                }
                shared.scheduler().probed(&answer.member, answer.generation, answer.result, Instant::now());
            }
            () = wait => {}
            () = shared.ask.notified() => {}
        }
        shared.changed.notify_waiters();
    }
}

async fn ask(member: String, address: Address, generation: u64, options: ConnectOptions) -> Answer {
    let result = probe(&address, options)
        .await
        .map_err(|error| with_source(&error));
    Answer {
        member,
        generation,
        result,
    }
}

/// Two short calls on a connection of their own, which is closed after them: an idle one would have to be kept alive by pings,
/// which the daemon answers with GOAWAY, and would not notice that new connections are refused.
async fn probe(address: &Address, options: ConnectOptions) -> Result<Probed, Error> {
    let client = Client::connect(address, options).await?;
    let (info, workers) = futures::future::try_join(client.info(), client.workers()).await?;
    Ok(Probed {
        version: info.version,
        platforms: workers
            .into_iter()
            .next()
            .map(|worker| worker.platforms)
            .unwrap_or_default(),
    })
}
