//! The events that one source has not delivered yet: a bounded number, in order, one at a time for each object.

use std::{collections::BTreeMap, sync::Arc};

use super::emission::Emission;

/// How many wait for one source; one more pushes the oldest out. Upstream's one queue for all has as many.
pub(crate) const LIMIT: usize = 1024;
/// How often an event is tried again that its receiver refuses, or that ends the task: as often as upstream tries.
const TRIES: u32 = 5;

/// An event's place in the order.
pub(crate) type Place = u64;

#[derive(Default)]
pub(crate) struct Queue {
    next: Place,
    waiting: BTreeMap<Place, Waiting>,
    flying: BTreeMap<Place, Waiting>,
}

struct Waiting {
    emission: Arc<Emission>,
    /// How often it was tried in vain, through its own fault as far as one can see.
    tries: u32,
}

impl Queue {
    /// Puts an event at the end; gives the one that had to make room.
    pub(crate) fn put(&mut self, emission: Arc<Emission>) -> Option<Arc<Emission>> {
        self.waiting.insert(self.next, Waiting { emission, tries: 0 });
        self.next += 1;
        let pushed_out = if self.len() > LIMIT { self.waiting.pop_first() } else { None };
        pushed_out.map(|(_, waiting)| waiting.emission)
    }

    /// The next event to send. It stays until [`Queue::done`] or [`Queue::back`]; until then no other event about its
    /// object is taken.
    pub(crate) fn take(&mut self) -> Option<(Place, Arc<Emission>)> {
        let free = |waiting: &Waiting| {
            !self.flying.values().any(|flying| flying.emission.is_about_the_same_as(&waiting.emission))
        };
        let place = *self.waiting.iter().find(|(_, waiting)| free(waiting))?.0;
        let waiting = self.waiting.remove(&place)?;
        let emission = Arc::clone(&waiting.emission);
        self.flying.insert(place, waiting);
        Some((place, emission))
    }

    /// It was delivered.
    pub(crate) fn done(&mut self, place: Place) {
        self.flying.remove(&place);
    }

    /// It was not: it goes back to its place. `fault`: through a fault of its own; it is given up after a few times, which
    /// is what `true` says.
    pub(crate) fn back(&mut self, place: Place, fault: bool) -> bool {
        let Some(mut waiting) = self.flying.remove(&place) else { return false };
        waiting.tries += u32::from(fault);
        let given_up = waiting.tries > TRIES;
        if !given_up {
            self.waiting.insert(place, waiting);
        }
        given_up
    }

    /// Whoever sent them is gone: what is on its way goes back. Says how many are given up.
    pub(crate) fn land(&mut self, fault: bool) -> usize {
        let places: Vec<Place> = self.flying.keys().copied().collect();
        places.into_iter().filter(|place| self.back(*place, fault)).count()
    }

    /// How many are not delivered yet.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.flying.len()
    }

    /// Whether none waits to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::emission::about, *};

    fn queue(names: &[&str]) -> Queue {
        let mut queue = Queue::default();
        for name in names {
            assert!(queue.put(Arc::new(about(name))).is_none());
        }
        queue
    }

    #[test]
    fn events_of_one_object_are_sent_one_after_the_other() {
        let mut queue = queue(&["web", "web", "api"]);
        let (first, _) = queue.take().unwrap();
        let (third, _) = queue.take().unwrap();
        assert_eq!((first, third), (0, 2));
        assert!(queue.take().is_none() && !queue.is_idle(), "the second waits for the first");
        assert!(!queue.back(first, false));
        assert_eq!(queue.take().unwrap().0, first, "in its old place");
        queue.done(first);
        queue.done(third);
        assert_eq!(queue.take().unwrap().0, 1);
        queue.done(1);
        assert!(queue.is_idle() && queue.len() == 0);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut queue = Queue::default();
        let first = Arc::new(about("first"));
        assert!(queue.put(Arc::clone(&first)).is_none());
        for _ in 1..LIMIT {
            assert!(queue.put(Arc::new(about("web"))).is_none());
        }
        let pushed_out = queue.put(Arc::new(about("last"))).unwrap();
        assert!(Arc::ptr_eq(&pushed_out, &first));
        assert_eq!(queue.len(), LIMIT);
        // Those on their way count, and are not pushed out.
        let (place, _) = queue.take().unwrap();
        assert!(queue.put(Arc::new(about("last"))).is_some());
        assert_eq!(queue.len(), LIMIT);
        queue.back(place, false);
        assert_eq!(queue.len(), LIMIT);
    }

    #[test]
    fn an_event_that_is_refused_is_given_up_after_as_many_tries_as_upstreams() {
        let mut queue = queue(&["web"]);
        for _ in 0..TRIES {
            let (place, _) = queue.take().unwrap();
            assert!(!queue.back(place, true));
        }
        for _ in 0..100 {
            let (place, _) = queue.take().unwrap();
            assert!(!queue.back(place, false), "a receiver that is away is no fault of the event");
        }
        queue.take().unwrap();
        assert_eq!(queue.land(true), 1);
        assert_eq!(queue.len(), 0);
    }
}
