use super::*;

/// A connection for one request at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct One {
    name: u32,
    last_read: Instant,
    is_open: bool,
    has_surplus: bool,
}

impl Exclusive for One {
    fn last_read(&self) -> Instant {
        self.last_read
    }

    fn is_still_open(&mut self) -> bool {
        self.is_open && !self.has_surplus
    }

    fn has_surplus(&self) -> bool {
        self.has_surplus
    }
}

/// A connection for several at a time.
#[derive(Debug)]
struct Many {
    name: u32,
    last_used: Cell<Instant>,
    is_idle: Cell<bool>,
    is_open: Cell<bool>,
}

impl Multiplexed for Many {
    fn last_used(&self) -> Instant {
        self.last_used.get()
    }

    fn is_idle(&self) -> bool {
        self.is_idle.get()
    }

    fn is_open(&self) -> bool {
        self.is_open.get()
    }
}

type Pool = IdleConnections<One, Many>;
type Site = Rc<Kept<One, Many>>;

/// A pool with room for so many connections, and for so many of them that serve nobody.
fn pool(open: usize, idle: usize) -> Pool {
    Pool::new(Room { open, idle }, Arc::default())
}

fn one(name: u32) -> One {
    One {
        name,
        last_read: Instant::now(),
        is_open: true,
        has_surplus: false,
    }
}

fn many(name: u32) -> Rc<Many> {
    Rc::new(Many {
        name,
        last_used: Cell::new(Instant::now()),
        is_idle: Cell::new(true),
        is_open: Cell::new(true),
    })
}

fn taken(pool: &Pool, site: &Site) -> Option<u32> {
    pool.take(site).map(|connection| connection.name)
}

/// The first shared connection of the site.
fn first_shared(pool: &Pool, site: &Site) -> Option<u32> {
    let found = pool.shared(site, |_| true, |_| true);
    found.map(|connection| connection.name)
}

#[test]
fn a_shard_keeps_four_connections_a_slot_and_256_at_least_as_far_as_descriptors_reach() {
    for (open, slots, idle) in [(1000, 100, 400), (1000, 1, 256), (100, 1000, 100), (3, 0, 3)] {
        assert_eq!(Room::new(open, slots), Room { open, idle }, "{open}, {slots}");
    }
}

#[test]
fn the_connection_that_was_used_last_serves_first_and_only_its_own_site() {
    let (pool, here, there) = (pool(10, 10), Site::default(), Site::default());
    assert!(here.is_empty());
    for (site, name) in [(&here, 1), (&there, 2), (&here, 3)] {
        pool.put(site, one(name));
    }
    assert!(!here.is_empty());
    assert_eq!(taken(&pool, &here), Some(3));
    assert_eq!(taken(&pool, &here), Some(1));
    assert_eq!(taken(&pool, &here), None);
    assert_eq!(taken(&pool, &there), Some(2));
    assert!(!pool.close_oldest(), "what was taken is not closed");
}

#[test]
fn of_those_that_suit_the_one_that_was_used_last_serves() {
    let (pool, site) = (pool(10, 10), Site::default());
    for name in 1..=4 {
        pool.put(&site, one(name));
    }
    let odd = |connection: &One| connection.name % 2 == 1;
    let found = [(); 3].map(|()| pool.take_where(&site, odd).map(|connection| connection.name));
    assert_eq!(found, [Some(3), Some(1), None]);
    assert!(pool.close_oldest());
    assert_eq!(
        taken(&pool, &site),
        Some(4),
        "the oldest of those that are left was closed"
    );
}

#[test]
fn whoever_is_kept_beyond_the_room_closes_the_least_recently_used_of_any_site() {
    let (pool, here, there) = (pool(10, 2), Site::default(), Site::default());
    pool.put(&here, one(1));
    pool.put(&there, one(2));
    pool.put(&there, one(3));
    assert!(here.is_empty());
    pool.put(&here, one(4));
    assert_eq!(taken(&pool, &there), Some(3));
    assert_eq!(taken(&pool, &there), None);
    assert_eq!(taken(&pool, &here), Some(4));
}

#[test]
fn a_connection_that_is_made_closes_idle_ones_until_there_is_room_for_it() {
    let (pool, site) = (pool(3, 3), Site::default());
    pool.open.set(2);
    pool.put(&site, one(1));
    pool.put(&site, one(2));
    let first = pool.dial();
    assert_eq!(site.idle.borrow().len(), 2, "there was room for it");
    // The counter of those that are open is the connections' own: here nothing lowers it.
    let second = pool.dial();
    assert!(site.is_empty());
    assert_eq!(pool.dialling.get(), 2);
    drop((first, second));
    assert_eq!(pool.dialling.get(), 0);
    pool.put(&site, one(3));
    drop(pool.dial());
    assert_eq!(
        taken(&pool, &site),
        Some(3),
        "those that are made no longer take no room"
    );
}

#[test]
fn a_shared_connection_serves_while_it_is_of_use_and_has_room() {
    let (pool, here, there) = (pool(10, 10), Site::default(), Site::default());
    for (site, name) in [(&here, 1), (&here, 2), (&there, 3)] {
        pool.share(site, &many(name));
    }
    assert!(!here.is_empty());
    let with_room = pool.shared(&here, |_| true, |connection| connection.name == 2);
    assert_eq!(with_room.map(|connection| connection.name), Some(2));
    assert!(pool.shared(&here, |_| true, |_| false).is_none());
    assert_eq!(first_shared(&pool, &here), Some(1), "who has no room now stays");
    let of_use = pool.shared(&here, |connection| connection.name != 1, |_| true);
    assert_eq!(of_use.map(|connection| connection.name), Some(2));
    assert_eq!(first_shared(&pool, &here), Some(2));
    let names = |pool: &Pool| {
        pool.shared
            .borrow()
            .iter()
            .map(|(_, at)| at.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&pool),
        [2, 3],
        "what is of no use is let go everywhere, and others are not"
    );
    assert!(pool.shared(&there, |_| false, |_| true).is_none());
    assert_eq!(names(&pool), [2]);
}

#[test]
fn shared_connections_are_closed_last_and_never_in_use() {
    let (pool, site) = (pool(10, 10), Site::default());
    let (busy, old, young) = (many(1), many(2), many(3));
    busy.is_idle.set(false);
    let second = Duration::from_secs(1);
    young.last_used.set(old.last_used.get() + second);
    busy.last_used.set(old.last_used.get() - second);
    for connection in [&busy, &young, &old] {
        pool.share(&site, connection);
    }
    pool.put(&site, one(4));
    let left = |site: &Site| site.shared.borrow().iter().map(|at| at.name).collect::<Vec<_>>();
    assert!(pool.close_oldest());
    assert_eq!((site.idle.borrow().len(), left(&site)), (0, vec![1, 3, 2]));
    assert!(pool.close_oldest());
    assert_eq!(left(&site), [1, 3]);
    assert!(pool.close_oldest());
    assert_eq!(left(&site), [1]);
    assert!(!pool.close_oldest());
    assert_eq!(Rc::strong_count(&old), 1, "nobody holds what was closed");
}

#[test]
fn a_sweep_closes_what_is_old_or_ended_and_hands_on_what_said_too_much() {
    let (pool, site) = (pool(10, 10), Site::default());
    let now = Instant::now() + 2 * OLDEST;
    let second = Duration::from_secs(1);
    let at = |name, age| One {
        last_read: now - age,
        ..one(name)
    };
    let ended = One {
        is_open: false,
        ..at(3, second)
    };
    let surplus = One {
        has_surplus: true,
        ..at(4, second)
    };
    for connection in [at(1, OLDEST), at(2, OLDEST - second), ended, surplus] {
        pool.put(&site, connection);
    }
    let mut doubtful = Vec::new();
    pool.sweep(now, |connection| doubtful.push(connection.name));
    assert_eq!(doubtful, [4]);
    assert_eq!(taken(&pool, &site), Some(2));
    assert_eq!(taken(&pool, &site), None);
    assert!(!pool.close_oldest(), "nothing of them is left in the order");
}

#[test]
fn a_sweep_leaves_shared_connections_that_are_in_use_or_young() {
    let (pool, site) = (pool(10, 10), Site::default());
    let now = Instant::now() + 2 * OLDEST;
    let with = |name, age, is_idle, is_open| {
        let connection = many(name);
        connection.last_used.set(now - age);
        connection.is_idle.set(is_idle);
        connection.is_open.set(is_open);
        pool.share(&site, &connection);
    };
    let second = Duration::from_secs(1);
    with(1, OLDEST, true, true);
    with(2, OLDEST - second, true, true);
    with(3, second, true, false);
    with(4, OLDEST, false, false);
    pool.sweep(now, |_| panic!("nothing is in doubt"));
    let left: Vec<u32> = site.shared.borrow().iter().map(|at| at.name).collect();
    assert_eq!(left, [2, 4]);
    assert_eq!(pool.shared.borrow().len(), 2);
}
