//! The simulations that the rule of blame rests on, in virtual time, from printed seeds.

#[cfg(test)]
mod world;

use crossdock_delivery::{Entry, Order, Policy, Retry};
use crossdock_model::{Fault, Moment};
use world::{Dice, World, busy, http, refused, timeout};

const SEEDS: [u64; 3] = [1, 20_261_121, 0xdead_beef];

const fn at(seconds: u64) -> Moment {
    Moment(1_000 + seconds * 1_000)
}

/// `rate` messages a second for `seconds`.
#[cfg(test)]
fn flow(world: &mut World, rate: u64, seconds: u64) {
    for offset in 0..rate * seconds {
        world.arrive(Moment(1_000 + offset * 1_000 / rate), Entry::fresh(offset));
    }
}

/// A target that is out of order from second 30 to 90 of 150 at 200 messages a second: nobody dies, all are delivered,
/// the outage costs few tries, and the target is in use again soon.
#[cfg(test)]
fn check_outage(name: &str, seed: u64, outage: impl Fn(&mut Dice) -> (u64, Fault)) {
    println!("{name}, seed {seed}");
    let mut tries = 0;
    let tries_in_outage = &mut tries;
    let mut world = World::new(
        Policy::default(),
        seed,
        Box::new(move |now, _, dice| {
            if now < at(30) || now >= at(90) {
                return (3 + dice.below(5), Ok(()));
            }
            *tries_in_outage += 1;
            let (millis, fault) = outage(dice);
            (millis, Err(fault))
        }),
    );
    flow(&mut world, 200, 150);
    world.run_until(at(90));
    assert!(!world.link.is_reachable() || world.scheduler.status(&world.link).circuit.since.is_some());
    world.run_until(at(150));
    let late = world.latencies(|offset| offset >= 200 * 120);
    world.run_until(at(1_000));
    assert_eq!((world.delivered(), world.dead()), (30_000, 0));
    assert!(world.records.values().all(|record| record.charges <= 1), "at most one attempt each");
    assert!(late[late.len() * 99 / 100] <= 200, "back to normal 30 s after: {:?}", late.last());
    drop(world);
    println!("  {tries} tries in 60 s of outage");
    assert!(tries < 200, "{tries} tries in an outage of a minute");
}

#[test]
fn an_outage_of_a_minute_kills_nobody() {
    let seed = SEEDS[0];
    check_outage("500", seed, |_| (4, http(500)));
    check_outage("503", seed, |_| (4, http(503)));
    check_outage("time-out of 2 s", seed, |_| (2_000, timeout()));
    check_outage("refused", seed, |_| (1, refused()));
    check_outage("429 with Retry-After", seed, |dice| (4, busy(1 + dice.below(9))));
    for seed in SEEDS {
        check_outage("a bit of everything", seed, |dice| match dice.below(5) {
            0 => (4, http(500)),
            1 => (4, http(502)),
            2 => (1_000, timeout()),
            3 => (1, refused()),
            _ => (4, busy(1)),
        });
    }
}

/// Promise P12: down for 10,000 messages, then up: none dead, all delivered, no hand touched.
#[test]
fn an_outage_of_ten_thousand_messages_ends_by_itself() {
    for (name, fault) in [("500", http(500)), ("refused", refused()), ("time-out", timeout())] {
        for order in [Order::None, Order::BlockKey, Order::Skip] {
            let policy = Policy { order, ..Policy::default() };
            let failing = fault.clone();
            let mut world = World::new(
                policy,
                12,
                Box::new(move |now, _, _| if now < at(6 * 60 * 60) { (20, Err(failing.clone())) } else { (5, Ok(())) }),
            );
            for offset in 0..10_000 {
                let lane = Some(offset % 97);
                world.arrive(Moment(1_000 + offset * 3), Entry { lane, ..Entry::fresh(offset) });
            }
            world.run_until(at(6 * 60 * 60));
            assert_eq!((world.delivered(), world.dead()), (0, 0));
            let tries = world.starts;
            world.run_until(at(6 * 60 * 60 + 120));
            println!("{name}, {order:?}: {tries} tries in six hours");
            assert_eq!((world.delivered(), world.dead()), (10_000, 0), "{name} {order:?}");
        }
    }
}

/// Up and down by turns: whoever is charged for a short outage is not charged so often that it dies.
#[test]
fn a_flapping_target_kills_nobody() {
    for seed in &SEEDS[..2] {
        let seed = *seed;
        for (up_millis, down_millis) in [(200, 200), (1_000, 1_000), (3_000, 500), (500, 5_000), (50, 50)] {
            let mut world = World::new(
                Policy::default(),
                seed,
                Box::new(move |now, _, dice| {
                    let up = now.0 % (up_millis + down_millis) < up_millis || now >= at(120);
                    (2 + dice.below(8), if up { Ok(()) } else { Err(http(503)) })
                }),
            );
            flow(&mut world, 100, 120);
            world.run_until(at(1_000));
            let most = world.records.values().map(|record| record.charges).max();
            println!("seed {seed}: up {up_millis} ms, down {down_millis} ms: at most {most:?} charges");
            assert_eq!((world.delivered(), world.dead()), (12_000, 0));
        }
    }
}

/// What a share of poison does to the others.
struct Harm {
    poison_dead: usize,
    poison: usize,
    charges: usize,
    good_delivered: usize,
    good: usize,
    /// From arrival to delivery of the good ones, in milliseconds, sorted.
    latencies: Vec<u64>,
}

impl Harm {
    fn latency(&self, percent: usize) -> u64 {
        self.latencies.get(self.latencies.len() * percent / 100).copied().unwrap_or(u64::MAX)
    }
}

/// `percent` of the messages are always answered with 500, `rate` a second come for so many seconds.
#[cfg(test)]
fn poisoned(seed: u64, percent: u64, rate: u64, seconds: u64) -> Harm {
    let is_poison = move |offset: u64| Dice(seed ^ offset).chance(percent);
    let mut world = World::new(
        Policy::default(),
        seed,
        Box::new(move |_, start, dice| {
            (3 + dice.below(10), if is_poison(start.offset) { Err(http(500)) } else { Ok(()) })
        }),
    );
    flow(&mut world, rate, seconds);
    world.run_until(at(seconds));
    let poison = world.records.keys().filter(|offset| is_poison(**offset)).count();
    let harm = Harm {
        poison_dead: world.dead(),
        poison,
        charges: usize::try_from(world.scheduler.counters().charges).unwrap_or(0),
        good_delivered: world.delivered(),
        good: world.records.len() - poison,
        latencies: world.latencies(|_| true),
    };
    println!(
        "seed {seed}, {percent} % poison of {rate}/s: {} of {poison} poison dead, {} of {} others delivered; p50 {} p99 {} ms",
        harm.poison_dead,
        harm.good_delivered,
        harm.good,
        harm.latency(50),
        harm.latency(99)
    );
    let innocent = |record: &world::Record| !is_poison(record.entry.offset);
    assert!(world.records.values().all(|record| !innocent(record) || record.charges == 0), "the others pay nothing");
    harm
}

/// Promise P13: poison harms nobody but itself, and ends.
#[test]
fn poison_harms_only_itself() {
    for seed in &SEEDS[..2] {
        for (percent, p99_millis) in [(1, 13), (2, 13), (5, 13), (10, 20), (20, 200), (30, 5_000)] {
            let harm = poisoned(*seed, percent, 50, 300);
            assert!(harm.good_delivered + 200 >= harm.good);
            assert!(harm.latency(50) <= 15 && harm.latency(99) <= p99_millis, "{} ms", harm.latency(99));
            // Eight attempts take more than two minutes, so that the latest ones are still at it.
            assert!(harm.poison_dead * 100 >= harm.poison * 35);
        }
    }
}

/// At the target's full speed, retries of poison would fill what is in flight if nothing kept them back.
#[test]
fn poison_harms_only_itself_at_full_load() {
    let seed = SEEDS[0];
    for percent in [1, 2] {
        let harm = poisoned(seed, percent, 4_000, 50);
        assert!(harm.latency(99) <= 30 && harm.good_delivered + 200 >= harm.good);
        assert!(harm.charges * 10 >= harm.poison * 35, "well on their way: {} charges", harm.charges);
    }
}

/// So much poison looks like an outage: the others pass at the speed of probes or better, and none dies.
#[test]
fn unending_poison_lets_the_others_through() {
    for (percent, others_a_minute) in [(50, 1_300), (70, 200), (90, 8)] {
        let harm = poisoned(SEEDS[2], percent, 50, 300);
        assert!(harm.good_delivered >= 5 * others_a_minute, "{percent} %: {}", harm.good_delivered);
    }
}

/// Nothing but poison waits, as much as may: one that passes still ends it.
#[test]
fn a_backlog_of_poison_does_not_silence_the_target() {
    let policy = Policy { held_max: 200, ..Policy::default() };
    let mut world =
        World::new(policy, 4, Box::new(|_, start, _| (5, if start.offset < 400 { Err(http(500)) } else { Ok(()) })));
    flow(&mut world, 50, 1_000);
    world.run_until(at(10_000));
    assert_eq!((world.dead(), world.delivered()), (400, 49_600));
}

/// One poison message on a route with a message every ten minutes.
#[test]
fn lone_poison_on_a_quiet_route_ends_too() {
    let mut world = World::new(
        Policy::default(),
        9,
        Box::new(|_, start, _| (5, if start.offset == 0 { Err(http(500)) } else { Ok(()) })),
    );
    (0..20).for_each(|offset| world.arrive(at(offset * 600), Entry::fresh(offset)));
    world.run_until(at(599));
    assert_eq!((world.records[&0].charges, world.records[&0].end), (0, None), "nobody speaks against it");
    world.run_until(at(20 * 600));
    assert_eq!((world.dead(), world.delivered()), (1, 19));
    assert!(world.latencies(|_| true).iter().all(|millis| *millis == 5));
    assert!(world.records[&0].tries < 50, "at its back-off: {}", world.records[&0].tries);
}

/// One node of four behind a balancer answers 500: whoever is sent there is charged when another passes. A share of
/// 0.25³ dies at three attempts; eight are the default because of it.
#[test]
fn a_bad_node_of_four() {
    for seed in SEEDS {
        let dead_at = |attempts| {
            let retry = Retry { attempts, ..Retry::default() };
            let policy = Policy { retry, ..Policy::default() };
            let mut world = World::new(
                policy,
                seed,
                Box::new(|_, _, dice| (5 + dice.below(10), if dice.chance(25) { Err(http(500)) } else { Ok(()) })),
            );
            flow(&mut world, 100, 200);
            world.run_until(at(2_000));
            assert_eq!(world.delivered() + world.dead(), 20_000);
            println!("seed {seed}, {attempts} attempts: {} of 20000 dead", world.dead());
            world.dead()
        };
        assert!((200..400).contains(&dead_at(3)));
        assert!(dead_at(8) <= 2);
    }
}
