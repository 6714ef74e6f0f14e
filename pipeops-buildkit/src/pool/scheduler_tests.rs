//! Placement, turns and health, without a daemon and without a clock.

use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::daemon::Probed;
use super::error::PoolError;
use super::member::Member;
use super::options::PoolOptions;
use super::scheduler::{Availability, Grant, Scheduler, Wanted};
use super::status::{MemberState, MemberStatus};
use crate::address::Address;

/// A scheduler with a clock that a test moves, and the places that it gave.
struct World {
    scheduler: Scheduler,
    now: Instant,
    granted: Vec<(u64, oneshot::Receiver<Grant>)>,
}

fn member(name: &str) -> Member {
    Member::new(Address::parse(&format!("tcp://{name}:1")).unwrap()).name(name)
}

fn options() -> PoolOptions {
    PoolOptions::default()
        .capacity(1)
        .patience(Duration::from_secs(5))
}

impl World {
    /// All members are up and build for amd64.
    fn new(options: PoolOptions, members: &[Member]) -> Self {
        let mut world = Self {
            scheduler: Scheduler::new(options),
            now: Instant::now(),
            granted: Vec::new(),
        };
        world.list(members);
        world.probe(&["linux/amd64"]);
        world
    }

    fn list(&mut self, members: &[Member]) {
        self.scheduler.set_members(members.to_vec(), self.now);
    }

    /// Answers well for all that are to be asked.
    fn probe(&mut self, platforms: &[&str]) {
        for (name, _, generation) in self.scheduler.take_due(self.now) {
            let probed = Probed {
                platforms: platforms.iter().map(|name| (*name).to_owned()).collect(),
                ..Probed::default()
            };
            self.scheduler
                .probed(&name, generation, Ok(probed), self.now);
        }
    }

    fn build(&mut self, namespace: &str) -> u64 {
        self.build_for(namespace, &[]).unwrap()
    }

    fn build_for(&mut self, namespace: &str, platforms: &[&str]) -> Result<u64, PoolError> {
        self.wanted(Wanted {
            namespace: namespace.to_owned(),
            platforms: platforms.iter().map(|name| (*name).to_owned()).collect(),
            ..Wanted::default()
        })
    }

    fn wanted(&mut self, wanted: Wanted) -> Result<u64, PoolError> {
        let (grant, granted) = oneshot::channel();
        let ticket = self.scheduler.enqueue(wanted, grant, self.now)?;
        self.granted.push((ticket, granted));
        Ok(ticket)
    }

    /// Where the build has its place, if it has one.
    fn place(&mut self, ticket: u64) -> Option<String> {
        let (_, granted) = self
            .granted
            .iter_mut()
            .find(|(known, _)| *known == ticket)?;
        granted.try_recv().ok().map(|grant| grant.member)
    }

    fn leave(&mut self, ticket: u64) {
        self.scheduler.leave(ticket, self.now);
    }

    fn status(&self, name: &str) -> MemberStatus {
        let status = self.scheduler.status();
        status.into_iter().find(|one| one.name == name).unwrap()
    }
}

#[test]
fn a_project_keeps_its_daemon_and_spills_when_it_is_full() {
    let members = ["a", "b", "c"].map(member);
    let mut world = World::new(options(), &members);
    let first = world.build("app");
    let home = world.place(first).unwrap();
    world.leave(first);
    let again = world.build("app");
    assert_eq!(world.place(again).as_ref(), Some(&home));
    // Nobody knows yet how long builds last there: not worth waiting.
    let spilled = world.build("app");
    let second = world.place(spilled).unwrap();
    assert_ne!(second, home);
    world.leave(spilled);
    let spilled = world.build("app");
    assert_eq!(
        world.place(spilled),
        Some(second),
        "the next one is always the same"
    );
}

#[test]
fn the_first_daemon_to_answer_does_not_get_everything() {
    let mut world = World::new(options(), &[]);
    world.list(&["a", "b"].map(member));
    let builds: Vec<u64> = (0..20)
        .map(|number| world.build(&format!("app-{number}")))
        .collect();
    let good = || Ok(Probed::default());
    let asked = world.scheduler.take_due(world.now);
    world
        .scheduler
        .probed(&asked[0].0, asked[0].2, good(), world.now);
    let first = world.status("a");
    assert_eq!((first.running, world.status("b").running), (1, 0));
    let own = world.status("b").waiting;
    assert!(
        own > 3 && first.waiting + own == 19,
        "the others wait for the daemon that is theirs"
    );
    world
        .scheduler
        .probed(&asked[1].0, asked[1].2, good(), world.now);
    assert_eq!(world.status("b").running, 1);

    // Whoever waited long enough takes what is there.
    let mut world = World::new(options(), &[]);
    world.list(&["a", "b"].map(member));
    let (name, _, generation) = world.scheduler.take_due(world.now).remove(0);
    world.scheduler.probed(&name, generation, good(), world.now);
    let placed = |world: &World| world.status("a").running;
    let mut ticket = world.build("app-0");
    for number in 1.. {
        if placed(&world) == 0 {
            break;
        }
        world.leave(ticket);
        ticket = world.build(&format!("app-{number}"));
    }
    world.scheduler.lose_patience(ticket, world.now);
    assert_eq!(placed(&world), 1);
    drop(builds);
}

#[test]
fn a_build_waits_for_its_daemon_when_a_place_should_be_free_soon() {
    let members = ["a", "b"].map(member);
    let mut world = World::new(options(), &members);
    let known = world.build("app");
    let home = world.place(known).unwrap();
    world.now += Duration::from_secs(4);
    world.scheduler.finish(known, &home, world.now);
    world.leave(known);

    let running = world.build("app");
    assert_eq!(world.place(running).as_ref(), Some(&home));
    let waits = world.build("app");
    assert_eq!(
        world.place(waits),
        None,
        "a place is free in about four seconds"
    );
    assert_eq!(
        (world.status(&home).waiting, world.scheduler.ahead(waits)),
        (1, Some(0))
    );
    world.now += Duration::from_secs(5);
    world.scheduler.lose_patience(waits, world.now);
    assert_ne!(world.place(waits).unwrap(), home, "it waited long enough");

    let waits = world.build("app");
    world.leave(running);
    assert_eq!(world.place(waits), Some(home));
}

#[test]
fn daemons_that_are_near_come_first() {
    let members = [
        member("far").region("us"),
        member("near").region("eu"),
        member("nowhere"),
    ];
    let mut world = World::new(options().region("eu"), &members);
    for number in 0..20 {
        let ticket = world.build(&format!("app-{number}"));
        assert_eq!(world.place(ticket).as_deref(), Some("near"));
        world.leave(ticket);
    }
    let near = world.build("app");
    assert_eq!(world.place(near).as_deref(), Some("near"));
    let far = world.build("app");
    assert!(world.place(far).is_some(), "a far one is better than none");
}

#[test]
fn only_daemons_with_the_platform_are_taken() {
    let members = [member("intel"), member("arm").platform("linux/arm64/v8")];
    let mut world = World::new(options(), &members);
    for number in 0..10 {
        let namespace = format!("app-{number}");
        for (platform, expected) in [("linux/arm64", "arm"), ("linux/amd64", "intel")] {
            let ticket = world.build_for(&namespace, &[platform]).unwrap();
            assert_eq!(world.place(ticket).as_deref(), Some(expected));
            world.leave(ticket);
        }
    }
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let availability = |platforms: &[&str]| world.scheduler.availability(&names(platforms));
    assert_eq!(availability(&["linux/arm64"]), Availability::Ready);
    assert_eq!(
        availability(&["linux/amd64", "linux/arm64"]),
        Availability::PerPlatform
    );
    assert_eq!(
        availability(&["linux/amd64", "linux/s390x"]),
        Availability::Unsupported
    );
    assert_eq!(availability(&["linux/s390x"]), Availability::Unsupported);
}

#[test]
fn a_daemon_that_was_never_up_may_build_for_anything() {
    let mut world = World::new(options(), &[member("a")]);
    world.list(&[member("a"), member("b")]);
    let s390x = ["linux/s390x".to_owned()];
    assert_eq!(world.scheduler.availability(&s390x), Availability::Down);
    world.probe(&["linux/amd64"]);
    assert_eq!(
        world.scheduler.availability(&s390x),
        Availability::Unsupported
    );
    world.list(&[]);
    assert_eq!(
        world.scheduler.availability(&[]),
        Availability::Down,
        "somebody may come"
    );
}

#[test]
fn namespaces_take_turns_and_may_be_limited() {
    let mut world = World::new(options(), &[member("a")]);
    let running = world.build("x");
    let waiting = ["x", "x", "x", "y", "z"].map(|namespace| world.build(namespace));
    let mut order = Vec::new();
    let mut last = running;
    for _ in 0..waiting.len() {
        world.leave(last);
        last = *waiting
            .iter()
            .find(|ticket| world.place(**ticket).is_some())
            .unwrap();
        order.push(waiting.iter().position(|ticket| *ticket == last).unwrap());
    }
    assert_eq!(order, [0, 3, 4, 1, 2]);

    let members = ["a", "b", "c"].map(member);
    let mut world = World::new(options().namespace_limit(1), &members);
    let (first, second, other) = (world.build("x"), world.build("x"), world.build("y"));
    assert!(world.place(first).is_some() && world.place(other).is_some());
    assert_eq!(
        world.place(second),
        None,
        "there is capacity, but not for this build"
    );
    world.leave(first);
    assert!(world.place(second).is_some());
}

#[test]
fn a_build_that_can_have_a_place_is_not_held_up_by_one_that_cannot() {
    let members = [member("intel"), member("arm").platform("linux/arm64")];
    let mut world = World::new(options(), &members);
    let running = world.build_for("x", &["linux/arm64"]).unwrap();
    assert!(world.place(running).is_some());
    let held = world.build_for("x", &["linux/arm64"]).unwrap();
    let free = world.build_for("x", &["linux/amd64"]).unwrap();
    assert_eq!(
        (world.place(held), world.place(free).as_deref()),
        (None, Some("intel"))
    );
}

#[test]
fn the_queue_has_a_limit_and_cancelling_frees_a_place() {
    let mut world = World::new(options().queue_limit(1), &[member("a")]);
    let (_running, waiting) = (world.build("x"), world.build("x"));
    let error = world.build_for("x", &[]).unwrap_err();
    assert!(
        matches!(error, PoolError::QueueFull { limit: 1 }),
        "{error}"
    );
    world.leave(waiting);
    assert_eq!(world.scheduler.waiting(), 0);
    world.build("x");
    assert_eq!(world.scheduler.waiting(), 1);
}

#[test]
fn a_lost_daemon_gets_nothing_until_a_probe_is_good() {
    let mut world = World::new(options(), &["a", "b"].map(member));
    let ticket = world.build("app");
    let home = world.place(ticket).unwrap();
    let hold = Duration::from_secs(30);
    world.scheduler.lose(&home, "gone".into(), hold, world.now);
    assert_eq!(
        world.status(&home).state,
        MemberState::Draining,
        "its build has not left"
    );
    world.leave(ticket);
    let status = world.status(&home);
    assert_eq!((status.state, status.lost), (MemberState::Down, 1));
    assert_eq!(status.last_error.as_deref(), Some("gone"));
    let elsewhere = world.build("app");
    assert_ne!(world.place(elsewhere).unwrap(), home);
    world.leave(elsewhere);

    assert!(world.scheduler.take_due(world.now).is_empty());
    world.now += hold;
    world.probe(&["linux/amd64"]);
    let back = world.build("app");
    assert_eq!(world.place(back), Some(home.clone()));
    world.leave(back);
    // The same build prefers another one.
    let wanted = Wanted {
        namespace: "app".into(),
        avoid: [home.clone()].into(),
        ..Wanted::default()
    };
    let other = world.wanted(wanted).unwrap();
    assert_ne!(world.place(other).unwrap(), home);
}

#[test]
fn failing_probes_come_less_and_less_often() {
    let mut world = World::new(options(), &[]);
    world.list(&[member("a")]);
    let begin = world.now;
    let mut at = Vec::new();
    for _ in 0..8 {
        world.now = world.scheduler.next_due().unwrap();
        at.push((world.now - begin).as_secs());
        for (name, _, generation) in world.scheduler.take_due(world.now) {
            assert_eq!(world.scheduler.next_due(), None, "it is being asked");
            world
                .scheduler
                .probed(&name, generation, Err("refused".into()), world.now);
        }
    }
    assert_eq!(at, [0, 1, 3, 7, 15, 31, 61, 91]);
    assert!(world.scheduler.complaints()[0].ends_with(": refused"));
}

#[test]
fn an_answer_from_before_says_nothing() {
    let mut world = World::new(options(), &[member("a")]);
    world.now += Duration::from_secs(15);
    let asked = world.scheduler.take_due(world.now);
    world
        .scheduler
        .lose("a", "gone".into(), Duration::ZERO, world.now);
    let (name, _, generation) = asked[0].clone();
    let good = Ok(Probed::default());
    world.scheduler.probed(&name, generation, good, world.now);
    assert_eq!(world.status("a").state, MemberState::Down);
    world.probe(&["linux/amd64"]);
    assert_eq!(world.status("a").state, MemberState::Up);
}

#[test]
fn a_draining_daemon_ends_its_builds_and_gets_no_new_ones() {
    let mut world = World::new(options().capacity(2), &[member("a")]);
    let running = world.build("x");
    assert!(world.place(running).is_some());
    world.list(&[member("a").draining(true)]);
    let waits = world.build("x");
    assert_eq!(world.place(waits), None);
    let status = world.status("a");
    assert_eq!((status.state, status.running), (MemberState::Draining, 1));

    // Gone from the list, it stays for as long as its build does.
    world.list(&[member("b")]);
    assert_eq!(world.status("a").state, MemberState::Draining);
    world.leave(running);
    assert_eq!(world.scheduler.status().len(), 1);
    world.probe(&["linux/amd64"]);
    assert_eq!(world.place(waits).as_deref(), Some("b"));
}

#[test]
fn a_daemon_at_a_new_address_is_asked_anew_and_keeps_its_projects() {
    let mut world = World::new(options(), &["a", "b"].map(member));
    let ticket = world.build("app");
    let home = world.place(ticket).unwrap();
    world.leave(ticket);
    let mut moved = member("elsewhere");
    moved.name.clone_from(&home);
    let other = if home == "a" { "b" } else { "a" };
    world.list(&[moved.clone(), member(other)]);
    assert_eq!(world.status(&home).state, MemberState::New);
    world.probe(&["linux/amd64"]);
    let ticket = world.build("app");
    let (_, granted) = world.granted.last_mut().unwrap();
    let grant = granted.try_recv().unwrap();
    assert_eq!((grant.member, grant.address), (home, moved.address));
    world.leave(ticket);
}

/// What a test does to a scheduler.
#[derive(Debug, Clone)]
enum Act {
    Build(u8, bool),
    Leave(usize),
    Lose(u8),
    Probe,
    List(Vec<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_u8..4, any::<bool>()).prop_map(|(namespace, arm)| Act::Build(namespace, arm)),
        3 => (0_usize..50).prop_map(Act::Leave),
        1 => (0_u8..4).prop_map(Act::Lose),
        2 => Just(Act::Probe),
        1 => proptest::collection::vec(0_u8..4, 0..4).prop_map(Act::List),
    ]
}

proptest! {
    /// Whatever happens: no daemon gets more than it can, no namespace more than it may, no place is lost, and nobody waits
    /// for nothing.
    #[test]
    fn places_are_neither_lost_nor_given_twice(acts in proptest::collection::vec(act(), 0..120)) {
        let name = |number: u8| format!("m{number}");
        let mut world = World::new(options().capacity(2).namespace_limit(3).patience(Duration::ZERO), &[]);
        let mut open: Vec<u64> = Vec::new();
        for act in acts {
            world.now += Duration::from_secs(3);
            match act {
                Act::Build(namespace, arm) => {
                    let platforms: &[&str] = if arm { &["linux/arm64"] } else { &[] };
                    open.push(world.build_for(&name(namespace), platforms).unwrap());
                }
                Act::Leave(index) if !open.is_empty() => {
                    let index = index % open.len();
                    let ticket = open.remove(index);
                    world.leave(ticket);
                }
                Act::Leave(_) => {}
                Act::Lose(number) => {
                    let now = world.now;
                    world.scheduler.lose(&name(number), "lost".into(), Duration::ZERO, now);
                }
                Act::Probe => world.probe(&["linux/amd64", "linux/arm64"]),
                Act::List(numbers) => {
                    let members: Vec<_> = numbers.into_iter().map(|number| member(&name(number))).collect();
                    world.list(&members);
                }
            }
            let status = world.scheduler.status();
            let running: usize = status.iter().map(|one| one.running).sum();
            prop_assert_eq!(running + world.scheduler.waiting(), open.len());
            prop_assert!(status.iter().all(|one| one.running <= one.capacity));
        }
        for ticket in open {
            world.leave(ticket);
        }
        prop_assert_eq!(world.scheduler.waiting(), 0);
        prop_assert!(world.scheduler.status().iter().all(|one| one.running == 0));
    }
}
