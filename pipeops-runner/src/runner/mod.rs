//! Claims deployments from the queue and runs many of them at once.

mod shared;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnosis, EventKind, EventSink};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) use shared::SharedRunner;

use crate::Commands;
use crate::deployment::{Ending, Fence};
use crate::hub::{DeploymentEvents, Hub};
use crate::pipeline::Pipeline;
use crate::queue::{Claim, Queue};
use crate::store::{Store, StoreError};

/// The pause after an error of the queue or the store.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long jobs may take to release their deployments when the runner stops.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// Options of a runner.
///
/// ```
/// use std::time::Duration;
/// use pipeops_runner::RunnerOptions;
///
/// let options = RunnerOptions::default().workers(50).lease(Duration::from_secs(30));
/// assert_eq!(options.poll, Duration::from_secs(5));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunnerOptions {
    /// The name of the runner in events. Default: `runner-` and the process id.
    pub name: String,
    /// The number of concurrent deployments. Default: 8. A deployment mostly waits, so 50 or more are possible.
    pub workers: usize,
    /// How long an unresponsive runner keeps its deployments. A runner renews its leases three times in this period. Default:
    /// 15 s.
    pub lease: Duration,
    /// How often the runner polls the queue. Default: 5 s. Announced deployments start at once.
    pub poll: Duration,
    /// How many runners may die while they run a deployment before it fails. Default: 5.
    pub attempts: u32,
    /// The commands that diagnoses suggest. Default: none.
    pub commands: Commands,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            name: format!("runner-{}", std::process::id()),
            workers: 8,
            lease: Duration::from_secs(15),
            poll: Duration::from_secs(5),
            attempts: 5,
            commands: Commands::default(),
        }
    }
}

impl RunnerOptions {
    /// Sets the name of the runner in events.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the number of concurrent deployments, at least one.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Sets how long an unresponsive runner keeps its deployments.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the commands that diagnoses suggest.
    #[must_use]
    pub fn commands(mut self, commands: Commands) -> Self {
        self.commands = commands;
        self
    }
}

/// Runs deployments until it's shut down or dropped.
#[derive(Debug)]
pub struct Runner {
    stop_claiming: watch::Sender<bool>,
    stop_working: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The state that the jobs of a runner share.
struct Shared {
    options: RunnerOptions,
    pipeline: Pipeline,
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    hub: Hub,
}

impl Runner {
    /// Starts to claim and run deployments on the current tokio runtime.
    pub fn start(
        pipeline: Pipeline,
        store: Arc<dyn Store>,
        queue: Arc<dyn Queue>,
        hub: Hub,
        options: RunnerOptions,
    ) -> Self {
        let shared = Arc::new(Shared {
            options,
            pipeline,
            store,
            queue,
            hub,
        });
        let (stop_claiming, claiming) = watch::channel(false);
        let (stop_working, working) = watch::channel(false);
        let task = tokio::spawn(dispatch(shared, claiming, working));
        Self {
            stop_claiming,
            stop_working,
            task,
        }
    }

    /// Stops claiming, waits up to `grace` for running deployments, then releases the rest. Another runner resumes them after
    /// the last finished step.
    pub async fn shutdown(mut self, grace: Duration) {
        self.stop_claiming.send_replace(true);
        if tokio::time::timeout(grace, &mut self.task).await.is_ok() {
            return;
        }
        self.stop_working.send_replace(true);
        if tokio::time::timeout(RELEASE_TIMEOUT, &mut self.task)
            .await
            .is_err()
        {
            tracing::warn!("jobs did not stop in time; their leases expire instead");
        }
    }
}

impl Drop for Runner {
    /// Without [`Runner::shutdown`], the jobs stop at once and their leases expire.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Claims a deployment whenever a worker is free. One task polls the queue for all workers.
async fn dispatch(
    shared: Arc<Shared>,
    mut stop_claiming: watch::Receiver<bool>,
    stop_working: watch::Receiver<bool>,
) {
    let workers = Arc::new(Semaphore::new(shared.options.workers));
    let mut jobs = JoinSet::new();
    loop {
        let worker = tokio::select! {
            () = stopped(&mut stop_claiming) => break,
            worker = Arc::clone(&workers).acquire_owned() => worker,
        };
        let Some(claim) = next_claim(&shared, &mut stop_claiming).await else {
            break;
        };
        // Removes finished jobs, so that the set doesn't grow.
        while jobs.try_join_next().is_some() {}
        let (shared, stop) = (Arc::clone(&shared), stop_working.clone());
        jobs.spawn(async move {
            run(&shared, claim, stop).await;
            drop(worker);
        });
    }
    while jobs.join_next().await.is_some() {}
}

/// Waits for a claim; `None` once the runner stops. A started claim is never cancelled, because a lost answer would block its
/// deployment until the lease expires.
async fn next_claim(shared: &Shared, stop: &mut watch::Receiver<bool>) -> Option<Claim> {
    let options = &shared.options;
    while !*stop.borrow() {
        let pause = match shared.queue.claim(&options.name, options.lease).await {
            Ok(Some(claim)) => return Some(claim),
            Ok(None) => shared.queue.wait(options.poll),
            Err(error) => {
                log_store_error("claimed", &error);
                Box::pin(tokio::time::sleep(RETRY_DELAY))
            }
        };
        tokio::select! {
            () = stopped(stop) => {}
            () = pause => {}
        }
    }
    None
}

/// Completes when the runner stops or is dropped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Runs one claimed deployment to its end, or releases it.
async fn run(shared: &Shared, claim: Claim, mut stop: watch::Receiver<bool>) {
    let commands = shared.options.commands.clone();
    let events = shared.hub.sink(&claim).commands(commands);
    events.emit(EventKind::Claimed {
        runner: shared.options.name.clone(),
        attempt: claim.attempt + 1,
    });
    let outcome = tokio::select! {
        ending = work(shared, &claim, &events) => ending,
        () = until_lease_is_lost(shared, &claim.fence) => Err(StoreError::LeaseLost {
            deployment: claim.deployment.id.clone(),
        }),
        () = stopped(&mut stop) => return release(shared, &claim, &events).await,
    };
    match outcome {
        Ok(ending) => finish(shared, &claim, &events, &ending).await,
        Err(error) if error.is_lease_lost() => {
            tracing::warn!(
                deployment = claim.deployment.id,
                "another runner took over the deployment"
            );
        }
        // After a release it would be claimed and fail again at once. An expiring lease adds a pause and counts the attempt.
        Err(error) => log_store_error("run", &error),
    }
}

/// Runs the pipeline. A panic fails only this deployment.
async fn work(
    shared: &Shared,
    claim: &Claim,
    events: &DeploymentEvents,
) -> Result<Ending, StoreError> {
    if claim.attempt >= shared.options.attempts {
        return Ok(failed(events, runner_lost(claim.attempt)));
    }
    let run = AssertUnwindSafe(shared.pipeline.run(claim, events)).catch_unwind();
    match run.await {
        Ok(ending) => ending,
        Err(panic) => {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Ok(failed(events, panicked(message.unwrap_or("no message"))))
        }
    }
}

/// Renews the lease. Completes when it's lost or can't be renewed in time.
async fn until_lease_is_lost(shared: &Shared, fence: &Fence) {
    let lease = shared.options.lease;
    let mut kept = Instant::now();
    loop {
        tokio::time::sleep(lease / 3).await;
        match shared.queue.heartbeat(fence, lease).await {
            Ok(()) => kept = Instant::now(),
            Err(error) if error.is_lease_lost() => return,
            Err(error) => log_store_error("kept", &error),
        }
        // Another runner may have it now, although the store couldn't say so.
        if kept.elapsed() >= lease {
            return;
        }
    }
}

async fn finish(shared: &Shared, claim: &Claim, events: &DeploymentEvents, ending: &Ending) {
    // Earlier events are stored before the last one.
    events.flush().await;
    loop {
        match shared.store.finish(&claim.fence, ending).await {
            Ok(()) => break,
            Err(error) if error.is_lease_lost() => {
                tracing::warn!(deployment = claim.deployment.id, "ended by another runner");
                break;
            }
            Err(error) => {
                log_store_error("ended", &error);
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }
    shared.hub.wake();
    // The next deployment of the environment can run now.
    if let Err(error) = shared.queue.announce().await {
        log_store_error("announced", &error);
    }
}

async fn release(shared: &Shared, claim: &Claim, events: &DeploymentEvents) {
    events.emit(EventKind::Warning {
        message: format!(
            "{} stops; another runner resumes the deployment",
            shared.options.name
        ),
    });
    events.flush().await;
    if let Err(error) = shared.queue.release(&claim.fence).await {
        log_store_error("released", &error);
    }
}

fn failed(events: &DeploymentEvents, diagnosis: Diagnosis) -> Ending {
    Ending::Failed {
        diagnosis: events.explain(diagnosis),
        rolled_back: false,
    }
}

fn runner_lost(attempts: u32) -> Diagnosis {
    Diagnosis::new(&codes::deployment::RUNNER_LOST)
        .error(format!(
            "{attempts} runners claimed the deployment and did not finish it"
        ))
        .reason("each of them was killed, or lost its connection to the database")
}

fn panicked(message: &str) -> Diagnosis {
    Diagnosis::new(&codes::deployment::INTERNAL)
        .error(format!("the runner crashed: {message}"))
        .reason("this is a bug in PipeOps or in a component of the embedding program")
}

fn log_store_error(what: &str, error: &StoreError) {
    let error: &dyn std::error::Error = error;
    tracing::error!(error, "a deployment cannot be {what}");
}

#[cfg(test)]
#[cfg(all(feature = "git", feature = "sqlite"))]
mod tests;
