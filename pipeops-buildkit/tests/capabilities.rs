//! What other Rust clients of BuildKit (bollard 0.21, buildkit-client 0.1.4; November 2026) lack and this one has, with the test
//! that shows it.
//!
//! | | bollard | buildkit-client | here | test |
//! |---|---|---|---|---|
//! | FileSync | whole tar in memory | one file after the other | yes | `traps::only_what_copied_links_lead_to_is_sent` |
//! | `.dockerignore` | caller's | ignored | yes | `daemon::dockerignore_has_dockers_meaning` |
//! | followpaths | – | literal | yes | `traps::only_what_copied_links_lead_to_is_sent` |
//! | incremental context | no | no | yes | `exact_contexts::the_next_commit_sends_what_it_changed_and_nothing_else` |
//! | S3 cache import | without effect | no | yes | `s3_cache::an_empty_daemon_takes_everything_from_the_cache_and_survives_its_holes` |
//! | secrets | yes | yes | yes | `daemon::a_secret_is_mounted_and_stays_out_of_image_and_log` |
//! | SSH | default agent | no | yes, any agent by id | `outputs::a_step_talks_to_the_agent_that_it_may_use` |
//! | token authority | no | no | yes | `daemon::tokens_are_fetched_here_and_the_password_stays_here` |
//! | progress | separate call | only after Solve | yes | `daemon::dropping_a_build_cancels_it_at_the_daemon` |
//! | digest of the result | discarded | yes | yes | `daemon::the_digest_is_the_registrys_and_a_second_build_is_cached` |
//! | several exporters | no | no | yes | `outputs::an_image_is_pushed_and_written_in_every_form_at_once` |
//! | typed errors | no | no | yes | `daemon::each_kind_of_failure_is_told_from_the_others` |
//! | retry | no | no | yes | `standin::a_registry_that_throttles_is_asked_again_a_few_times` |
//! | pool | no | no | yes | `pool::a_build_that_lost_its_daemon_is_done_elsewhere_and_says_why` |
//! | tracing | no | no | yes | `a_subscriber_of_tracing_hears_what_is_no_error`, here: alone in its process, because tracing remembers for all threads which call sites are of interest |
//! | history | no | no | yes | `manage::a_build_is_remembered_pinned_and_forgotten` |
//! | prune | no | no | yes | `manage::a_cache_mount_is_listed_and_pruned_and_nothing_else` |

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::standin::World;
use pipeops_core::event::Discard;
use pipeops_testkit::fault::{Fault, Matcher};

/// Keeps the messages of this crate.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>);

impl tracing::Subscriber for Journal {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("pipeops_buildkit")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(self.1.fetch_add(1, Ordering::Relaxed) as u64 + 1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message<'a>(&'a mut String);
        impl tracing::field::Visit for Message<'_> {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                *self.0 += &format!("{value:?} ");
            }
        }
        let mut text = String::new();
        event.record(&mut Message(&mut text));
        self.0.lock().unwrap().push(text);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_subscriber_of_tracing_hears_what_is_no_error() {
    let journal = Journal::default();
    let _guard = tracing::subscriber::set_default(journal.clone());
    let world = World::new().await;
    let fault = Fault::status(500).on(Matcher::operation("status"));
    world.daemon().faults().add(fault);
    world.solve(world.request("app"), &Discard).await.unwrap();
    let heard = journal.0.lock().unwrap().join("\n");
    assert!(
        heard.contains("the report of a build ended early"),
        "{heard}"
    );
}
