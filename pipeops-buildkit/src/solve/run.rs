//! Runs one build: the calls Solve, Status and Session at the same time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as proto;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use futures::{Stream, StreamExt, TryStreamExt};
use pipeops_core::EventSink;
use pipeops_core::cache::LocalCache;
use pipeops_core::event::EventKind;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tonic::Status;
use tonic::transport::Channel;

use super::exported::Exported;
use super::leaks::BuildLeaks;
use super::options::Solve;
use super::prepare::Prepared;
use super::result::{ContextSent, Solved};
use crate::cache::{CacheProblem, probe};
use crate::cause::Cause;
use crate::client::Client;
use crate::error::{Error, is_transport_loss};
use crate::failure::{BuildFailure, Details};
use crate::layout::Layout;
use crate::leak::LeakReport;
use crate::live_redactor::LiveRedactor;
use crate::progress::Progress;
use crate::session::Session;
use crate::session::filesync::Sent;

/// The daemon checks the session's health every 5 s. After this much silence it is lost.
const SILENCE: Duration = Duration::from_secs(90);

/// How often that is checked.
const WATCH: Duration = Duration::from_secs(5);

/// After a session ended, the build gets this time to end with a better error.
const GRACE: Duration = Duration::from_secs(10);

/// After a build ended, its report is read until it is silent for the first time, at most for the second.
const DRAIN_IDLE: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(20);

impl Client {
    /// Runs one build and reports progress to `events`. To cancel the build, drop the future.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), pipeops_buildkit::Error> {
    /// use pipeops_buildkit::{Address, BuildRequest, Client, ConnectOptions, Discard, Solve};
    ///
    /// let client = Client::connect(&Address::default(), ConnectOptions::default()).await?;
    /// let request = BuildRequest::new("./app", "127.0.0.1:5000/app:1".parse().expect("a valid name"));
    /// let solved = client.solve(Solve::new(request), &Discard).await?;
    /// println!("{} steps, {} from cache", solved.steps, solved.cached);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Build`] if the build failed, [`Error::DaemonLost`] if the daemon was lost, other variants if the build couldn't
    /// start.
    pub async fn solve(&self, solve: Solve, events: &dyn EventSink) -> Result<Solved, Error> {
        let limit = solve.timeout;
        let mut leaks = BuildLeaks::new(self, solve.leak_check.clone());
        let build = async {
            let mut solve = solve;
            let (silent, warnings) =
                probe::leave_silent_out(&mut solve.request, solve.cache_timeout).await;
            // An earlier attempt has emitted them.
            for message in warnings.into_iter().filter(|_| !solve.again) {
                events.emit(EventKind::Warning { message });
            }
            let prepared = tokio::task::spawn_blocking(move || solve.prepare());
            let prepared = prepared
                .await
                .map_err(|error| Error::session(error.to_string()))??;
            leaks.remember(&prepared);
            let mut solved = self.run(prepared, events).await?;
            solved.caches.unread.extend(silent.unread);
            solved.caches.unwritten.extend(silent.unwritten);
            Ok(solved)
        };
        let timed_out = |_| Error::Timeout {
            what: "the build".to_owned(),
            limit,
        };
        let result = timeout(limit, build).await.map_err(timed_out)?;
        // An image that was pushed in time is not lost because the check takes long.
        leaks.check(result, events).await
    }

    async fn run(&self, mut prepared: Prepared, events: &dyn EventSink) -> Result<Solved, Error> {
        let results = Arc::clone(&prepared.services.results);
        let mut session = Session::open(
            &mut self.control.clone(),
            prepared.services,
            &prepared.shared_key,
        )
        .await?;
        prepared.request.session.clone_from(&session.id);
        if let Some(message) = prepared.warning.take() {
            events.emit(EventKind::Warning { message });
        }
        let mut progress =
            Progress::new(events, prepared.redactor.clone()).with_labels(prepared.labels);
        let id = prepared.request.r#ref.clone();
        let result = self
            .follow(
                prepared.request,
                &prepared.exported,
                &mut session,
                &mut progress,
                prepared.cache_timeout,
            )
            .await;
        progress.finish();
        match result {
            Ok(response) => {
                let mut solved = solved(response, &progress, &prepared.sent, prepared.push, id)?;
                solved.outputs = results.written();
                for problem in tag_folders(&solved, prepared.folders).await {
                    let message = problem.unwritten();
                    events.emit(EventKind::Warning { message });
                    solved.caches.unwritten.push(problem);
                }
                Ok(solved)
            }
            Err(Ended::Lost(error)) => Err(error),
            Err(Ended::GivenUp(failure)) => Err(Error::Build(failure)),
            Err(Ended::Refused(status)) => {
                let error = self.failure(&status, &progress, &prepared.redactor);
                Err(explain(error, &session, &mut prepared.notes))
            }
        }
    }

    /// Waits for the build, shows its progress and watches its session.
    async fn follow(
        &self,
        request: proto::SolveRequest,
        exported: &Exported,
        session: &mut Session,
        progress: &mut Progress<'_>,
        cache_timeout: Duration,
    ) -> Result<proto::SolveResponse, Ended> {
        let reports = reports(self.control.clone(), request.r#ref.clone());
        let mut reports = Box::pin(reports.inspect_ok(|report| exported.note(report)));
        let mut reporting = true;
        let mut session_ended: Option<(Instant, Option<String>)> = None;
        let mut watch = interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut control = self.control.clone();
        let mut solve = Box::pin(control.solve(request));
        let result = loop {
            tokio::select! {
                result = &mut solve => break result,
                report = reports.next(), if reporting => reporting = show(report, progress),
                why = session.ended(), if session_ended.is_none() => session_ended = Some((Instant::now(), why)),
                _ = watch.tick() => {
                    self.check(session, session_ended.as_ref())?;
                    if let Some(failure) = progress.silent_cache(cache_timeout) {
                        return Err(Ended::GivenUp(Box::new(failure)));
                    }
                }
            }
        };
        drop(solve);
        drain(reports, reporting, progress).await;
        result
            .map(tonic::Response::into_inner)
            .map_err(Ended::Refused)
    }

    /// Fails when the daemon is gone without an error.
    fn check(
        &self,
        session: &Session,
        ended: Option<&(Instant, Option<String>)>,
    ) -> Result<(), Ended> {
        let lost = |why| {
            Err(Ended::Lost(Error::DaemonLost {
                address: self.address.clone(),
                why,
            }))
        };
        match ended {
            Some((since, why)) if since.elapsed() > GRACE => lost(
                why.clone()
                    .unwrap_or_else(|| "it closed the session of the build".to_owned()),
            ),
            None if session.silence() > SILENCE => lost(format!("it was silent for {SILENCE:?}")),
            _ => Ok(()),
        }
    }

    /// Decodes the daemon's error.
    pub(crate) fn failure(
        &self,
        status: &Status,
        progress: &Progress<'_>,
        redactor: &LiveRedactor,
    ) -> Error {
        if is_transport_loss(status) {
            let why = redactor.clean(status.message());
            return Error::DaemonLost {
                address: self.address.clone(),
                why,
            };
        }
        let details = Details::decode(status.details(), redactor);
        let step = progress.failed_step(details.vertex.as_deref());
        Error::Build(Box::new(details.into_failure(
            status.message(),
            step,
            redactor,
        )))
    }
}

/// Tags the caches that were written to folders of this machine. Returns those that could not be tagged.
async fn tag_folders(solved: &Solved, folders: Vec<LocalCache>) -> Vec<CacheProblem> {
    // Absent when the daemon could not write one, which it has reported.
    let Some(manifest) = solved.response.get("cache.manifest").cloned() else {
        return Vec::new();
    };
    let tag_all = move || {
        let tag = |cache: LocalCache| {
            let tagged = serde_json::from_str(&manifest)
                .map_err(std::io::Error::from)
                .and_then(|descriptor| Layout::new(&cache.folder).tag(&descriptor, &cache.tag));
            tagged.err().map(|error| CacheProblem {
                cache: format!("local:{}", cache.folder.display()),
                why: error.to_string(),
                millis: None,
            })
        };
        folders.into_iter().filter_map(tag).collect()
    };
    tokio::task::spawn_blocking(tag_all)
        .await
        .unwrap_or_default()
}

/// Adds what this process saw, which can explain more than the daemon: a failed service, an ended session.
fn explain(error: Error, session: &Session, notes: &mut mpsc::Receiver<Error>) -> Error {
    match error {
        // A command that failed needs no other reason.
        Error::Build(failure) if failure.exit_code.is_some() => Error::Build(failure),
        Error::Build(mut failure) => notes.try_recv().unwrap_or_else(|_| {
            if session.is_over() {
                failure.cause = Cause::SessionLost;
            }
            Error::Build(failure)
        }),
        error => error,
    }
}

/// How a build ended without a result.
enum Ended {
    /// The daemon gave an error.
    Refused(Status),
    /// The daemon is gone.
    Lost(Error),
    /// It waits for a silent cache.
    GivenUp(Box<BuildFailure>),
}

/// The daemon's reports about one build. The daemon waits some seconds for an unknown build.
fn reports(
    mut control: ControlClient<Channel>,
    build: String,
) -> impl Stream<Item = Result<proto::StatusResponse, Status>> {
    let call = async move {
        let stream = control
            .status(proto::StatusRequest { r#ref: build })
            .await?;
        Ok::<_, Status>(stream.into_inner())
    };
    futures::stream::once(call).try_flatten()
}

/// Shows one report. Returns whether more may follow.
fn show(
    report: Option<Result<proto::StatusResponse, Status>>,
    progress: &mut Progress<'_>,
) -> bool {
    match report {
        Some(Ok(report)) => {
            progress.take(report);
            true
        }
        Some(Err(status)) => {
            // The build continues without its report. If the daemon is gone, the build's call fails.
            tracing::debug!(code = ?status.code(), "the report of a build ended early");
            false
        }
        None => false,
    }
}

/// Reads the rest of the reports: the last lines come after the build's answer.
async fn drain(
    mut reports: impl Stream<Item = Result<proto::StatusResponse, Status>> + Unpin,
    mut reporting: bool,
    progress: &mut Progress<'_>,
) {
    let end = Instant::now() + DRAIN;
    while reporting {
        let next = timeout_at(end.min(Instant::now() + DRAIN_IDLE), reports.next());
        reporting = next.await.is_ok_and(|report| show(report, progress));
    }
}

fn solved(
    response: proto::SolveResponse,
    progress: &Progress<'_>,
    sent: &Sent,
    push: bool,
    id: String,
) -> Result<Solved, Error> {
    let digest = response
        .exporter_response
        .get("containerimage.digest")
        .and_then(|digest| digest.parse().ok());
    if push && digest.is_none() {
        return Err(Error::NoDigest);
    }
    let counts = progress.counts();
    Ok(Solved {
        id,
        leaks: LeakReport::default(),
        digest,
        response: response.exporter_response.into_iter().collect(),
        steps: counts.steps,
        cached: counts.cached,
        caches: progress.caches().clone(),
        context: ContextSent {
            entries: sent.entries.load(Ordering::Relaxed),
            files: sent.files.load(Ordering::Relaxed),
            bytes: sent.bytes.load(Ordering::Relaxed),
        },
        outputs: Vec::new(),
    })
}
