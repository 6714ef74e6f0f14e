//! The stream as its readers see it.

use std::time::Duration;

use pipeops_core::diagnosis::codes;
use pipeops_core::{Diagnosis, Event, EventKind, EventSink};

use super::shared::RECENT;
use super::*;
use crate::deployment::Ending;
use crate::queue::{Claim, Queue, SqliteQueue};
use crate::store::SqliteStore;
use crate::store::conformance::{push, shop};

const LEASE: Duration = Duration::from_secs(60);

struct Setup {
    store: Arc<SqliteStore>,
    hub: Hub,
    claim: Claim,
}

async fn setup() -> Setup {
    let store = Arc::new(SqliteStore::in_memory().unwrap());
    let hub = Hub::start(store.clone()).await.unwrap();
    store.submit(vec![push(shop("a"), '1', '2')]).await.unwrap();
    let queue = SqliteQueue::new(&store);
    let claim = queue.claim("r", LEASE).await.unwrap().unwrap();
    Setup { store, hub, claim }
}

impl Setup {
    fn sink(&self) -> DeploymentEvents {
        self.hub.sink(&self.claim)
    }
}

fn line(text: impl Into<String>) -> EventKind {
    EventKind::Log {
        vertex: "v".into(),
        line: text.into(),
    }
}

/// Reads until there are as many events.
async fn read(subscription: &mut Subscription, count: usize) -> Vec<Arc<Event>> {
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(subscription.next().await.unwrap());
    }
    events
}

#[tokio::test]
async fn events_arrive_in_order_and_are_stored_first() {
    let setup = setup().await;
    let mut subscription = setup.hub.subscribe(0, None);
    let sink = setup.sink();
    (0..1000).for_each(|n| sink.emit(line(n.to_string())));
    let events = read(&mut subscription, 1001).await;
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=1001).collect::<Vec<u64>>());
    let stored = setup.store.events_after(1000, None, 10).await.unwrap();
    assert_eq!(stored[0], *events[1000]);
}

#[tokio::test]
async fn a_reader_that_comes_late_or_is_slow_misses_nothing() {
    let setup = setup().await;
    let sink = setup.sink();
    let mut slow = setup.hub.subscribe(0, None);
    slow.next().await.unwrap();
    // More than memory holds: the slow one and the late one have to go to the store.
    let lines = RECENT + 500;
    (0..lines).for_each(|n| sink.emit(line(n.to_string())));
    sink.flush().await;
    let mut late = setup.hub.subscribe(0, None);
    for (reader, count) in [(&mut slow, lines), (&mut late, lines + 1)] {
        let events = read(reader, count).await;
        assert_eq!(events.len(), count);
        assert!(events.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
    }
}

#[tokio::test]
async fn a_reader_of_one_deployment_sees_no_other() {
    let setup = setup().await;
    let other = push(shop("b"), '1', '2');
    setup.store.submit(vec![other]).await.unwrap();
    setup.hub.wake();
    let id = setup.claim.deployment.id.clone();
    let mut subscription = setup.hub.subscribe(0, Some(id.clone()));
    setup.sink().emit(line("mine"));
    let events = read(&mut subscription, 2).await;
    assert!(events.iter().all(|event| event.deployment == id));
}

#[tokio::test]
async fn what_others_wrote_to_the_store_is_seen() {
    let setup = setup().await;
    let mut subscription = setup.hub.subscribe(0, None);
    let ending = Ending::Succeeded { image: "i".into() };
    let (store, fence) = (&setup.store, &setup.claim.fence);
    store.finish(fence, &ending).await.unwrap();
    setup.hub.wake();
    let events = read(&mut subscription, 2).await;
    assert!(events.last().unwrap().kind.is_final());
}

#[tokio::test]
async fn no_text_of_any_event_shows_a_secret() {
    let setup = setup().await;
    let sink = setup.sink();
    let diagnosis = Diagnosis::new(&codes::UNKNOWN)
        .error("hunter22")
        .log(["a", "echo hunter22"]);
    sink.emit(line("password is hunter22"));
    sink.emit(EventKind::Warning {
        message: "https://bob:hunter22@host/x".into(),
    });
    sink.emit(EventKind::RollingBack {
        diagnosis,
        to: "1".parse().unwrap(),
    });
    sink.flush().await;
    let events = setup.store.events_after(0, None, 10).await.unwrap();
    assert_eq!(events.len(), 4);
    let json = serde_json::to_string(&events).unwrap();
    assert!(!json.contains("hunter22"), "{json}");
    let mut diagnosis = Diagnosis::new(&codes::UNKNOWN).context("host", "bob:hunter22@h");
    diagnosis.run = Some("pipeops hunter22".to_owned());
    let explained = format!("{:?}", sink.explain(diagnosis));
    assert!(!explained.contains("hunter22"), "{explained}");
    let mut coded = Diagnosis::new(&codes::UNKNOWN);
    coded.code = serde_json::from_str("\"image-pull/hunter22\"").unwrap();
    assert_eq!(sink.explain(coded.clone()).code, coded.code);
}

#[tokio::test]
async fn no_text_of_any_event_controls_the_display() {
    let setup = setup().await;
    let sink = setup.sink();
    sink.emit(line("\u{1b}[2Jhunt\u{0}er22 \u{202e}txet"));
    sink.emit(EventKind::Warning {
        message: "a\u{2028}b".into(),
    });
    sink.emit(EventKind::Failed {
        diagnosis: Diagnosis::new(&codes::UNKNOWN).log(["\u{9b}31mred"]),
        rolled_back: false,
    });
    sink.flush().await;
    let events = setup.store.events_after(1, None, 10).await.unwrap();
    assert_eq!(events[0].kind, line("[redacted] txet"));
    let json = serde_json::to_string(&events).unwrap();
    assert!(json.contains("a b") && json.contains("[\"red\"]"), "{json}");
}

#[tokio::test]
async fn long_lines_are_cut_and_long_logs_end_with_a_warning() {
    let setup = setup().await;
    let sink = setup.sink();
    let long = "é".repeat(8 << 10);
    for _ in 0..4200 {
        sink.emit(line(long.clone()));
    }
    sink.emit(EventKind::Warning {
        message: "the end".into(),
    });
    sink.flush().await;
    let last = setup.store.last_event().await.unwrap();
    let events = setup.store.events_after(last - 3, None, 10).await.unwrap();
    let EventKind::Log { line, .. } = &events[0].kind else {
        panic!("{:?}", events[0]);
    };
    assert!(line.len() < 9000 && line.ends_with('…'));
    assert!(
        matches!(&events[1].kind, EventKind::Warning { message } if message.contains("dropped")),
        "{:?}",
        events[1]
    );
    assert!(last < 4200);
}

#[tokio::test]
async fn functions_for_events_may_panic_or_block_and_end_with_the_hub() {
    let store = Arc::new(SqliteStore::in_memory().unwrap());
    store.submit(vec![push(shop("a"), '1', '2')]).await.unwrap();
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let panics: OnEvent = Arc::new(move |event| {
        assert_ne!(event.seq, 2, "a scripted panic");
        sender.send(event.seq).unwrap();
    });
    let blocks: OnEvent = Arc::new(move |_| {
        // Ends with an error when the test drops the sender.
        let _ = blocked.lock().unwrap().recv();
    });
    let hub = Hub::start_with(store.clone(), vec![blocks, panics]).await;
    let hub = hub.unwrap();
    let claim = SqliteQueue::new(&store).claim("r", LEASE).await.unwrap();
    let sink = hub.sink(&claim.unwrap());
    for text in ["2 panics", "3", "4"] {
        sink.emit(line(text));
    }
    assert_eq!((seen.recv().await, seen.recv().await), (Some(3), Some(4)));
    drop((hub, sink));
    assert_eq!(seen.recv().await, None, "the task ends with the hub");
    drop(release);
}
