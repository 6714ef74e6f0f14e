//! The queue of waiting builds: round robin between namespaces, first come first served within one.

use std::collections::VecDeque;

/// Waiting builds, each with a ticket.
#[derive(Debug)]
pub(super) struct Queue<B> {
    /// The first namespace is served next, then goes to the back.
    round: VecDeque<Namespace<B>>,
    len: usize,
}

#[derive(Debug)]
struct Namespace<B> {
    name: String,
    builds: VecDeque<(u64, B)>,
}

impl<B> Queue<B> {
    pub(super) fn new() -> Self {
        Self {
            round: VecDeque::new(),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, ticket: u64, namespace: &str, build: B) {
        self.len += 1;
        match self.round.iter_mut().find(|known| known.name == namespace) {
            Some(known) => known.builds.push_back((ticket, build)),
            None => self.round.push_back(Namespace {
                name: namespace.to_owned(),
                builds: VecDeque::from([(ticket, build)]),
            }),
        }
    }

    /// All builds in queue order, each with its namespace.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &str, &B)> {
        self.round.iter().flat_map(|namespace| {
            let name = namespace.name.as_str();
            namespace
                .builds
                .iter()
                .map(move |(ticket, build)| (*ticket, name, build))
        })
    }

    pub(super) fn get_mut(&mut self, ticket: u64) -> Option<&mut B> {
        let builds = self
            .round
            .iter_mut()
            .flat_map(|namespace| &mut namespace.builds);
        builds
            .into_iter()
            .find(|(known, _)| *known == ticket)
            .map(|(_, build)| build)
    }

    /// Removes a build that gets a slot, which ends its namespace's turn.
    pub(super) fn serve(&mut self, ticket: u64) -> Option<(String, B)> {
        let (index, build) = self.take(ticket)?;
        let namespace = self.round.remove(index)?;
        let name = namespace.name.clone();
        if !namespace.builds.is_empty() {
            self.round.push_back(namespace);
        }
        Some((name, build))
    }

    /// Removes a build that was cancelled.
    pub(super) fn cancel(&mut self, ticket: u64) -> Option<B> {
        let (index, build) = self.take(ticket)?;
        if self.round[index].builds.is_empty() {
            self.round.remove(index);
        }
        Some(build)
    }

    /// The number of builds before this one, if all can run on any daemon.
    pub(super) fn ahead(&self, ticket: u64) -> Option<usize> {
        let (own, place) = self.find(ticket)?;
        let before = |(index, namespace): (usize, &Namespace<B>)| {
            // Each round serves one of every namespace; those in front of ours are served once more.
            let turns = place + usize::from(index < own);
            if index == own {
                place
            } else {
                namespace.builds.len().min(turns)
            }
        };
        Some(self.round.iter().enumerate().map(before).sum())
    }

    fn take(&mut self, ticket: u64) -> Option<(usize, B)> {
        let (index, place) = self.find(ticket)?;
        let (_, build) = self.round[index].builds.remove(place)?;
        self.len -= 1;
        Some((index, build))
    }

    fn find(&self, ticket: u64) -> Option<(usize, usize)> {
        let place = |namespace: &Namespace<B>| {
            namespace
                .builds
                .iter()
                .position(|(known, _)| *known == ticket)
        };
        self.round
            .iter()
            .enumerate()
            .find_map(|(index, namespace)| Some((index, place(namespace)?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queue(builds: &[&str]) -> Queue<()> {
        let mut queue = Queue::new();
        for (ticket, namespace) in (0..).zip(builds) {
            queue.push(ticket, namespace, ());
        }
        queue
    }

    /// Serves always the first one.
    fn order(mut queue: Queue<()>) -> Vec<u64> {
        let mut order = Vec::new();
        while queue.len() > 0 {
            let ticket = queue.iter().next().unwrap().0;
            queue.serve(ticket).unwrap();
            order.push(ticket);
        }
        assert_eq!(queue.len(), 0);
        order
    }

    #[test]
    fn namespaces_take_turns() {
        assert_eq!(
            order(queue(&["a", "a", "a", "b", "c", "b"])),
            [0, 3, 4, 1, 5, 2]
        );
    }

    #[test]
    fn a_cancelled_build_leaves_no_gap() {
        let mut queue = queue(&["a", "a", "b"]);
        assert!(queue.cancel(0).is_some() && queue.cancel(0).is_none());
        assert!(queue.cancel(2).is_some());
        assert_eq!(order(queue), [1]);
    }

    proptest! {
        #[test]
        fn as_many_are_ahead_as_are_served_before(namespaces in proptest::collection::vec("[a-d]", 0..20)) {
            let names: Vec<&str> = namespaces.iter().map(String::as_str).collect();
            let told: Vec<_> = (0..names.len() as u64).map(|ticket| queue(&names).ahead(ticket)).collect();
            let order = order(queue(&names));
            for (ticket, told) in (0..).zip(told) {
                prop_assert_eq!(told, order.iter().position(|served| *served == ticket));
            }
        }
    }
}
