//! The simulations that blame.md rests on, in virtual time, from printed seeds.

mod world;

use crossdock_delivery::{Entry, Order, Policy, Retry};
use crossdock_model::{Fault, Moment};
use world::{Dice, World, busy, http, refused, timeout};

const SEEDS: [u64; 3] = [1, 20_261_121, 0xdead_beef];

const fn at(seconds: u64) -> Moment {
    Moment(1_000 + seconds * 1_000)
}

/// `rate` messages a second for `seconds`.
fn flow(world: &mut World, rate: u64, seconds: u64) {
    for offset in 0..rate * seconds {
        world.arrive(Moment(1_000 + offset * 1_000 / rate), Entry::fresh(offset));
    }
}

/// A target that is out of order from second 30 to 90 of 150 at 200 messages a second: nobody dies, all are delivered,
/// the outage costs few tries, and the target is in use again soon.
fn check_outage(name: &str, seed: u64, outage: impl Fn(&mut Dice) -> (u64, Fault)) {
    println!("{name}, seed {seed}");
    let mut tries = 0;
    let tries_in_outage = &mut tries;
    let mut world = World::new(Policy::default(), seed, Box::new(move |now, _, dice| {
        if now < at(30) || now >= at(90) {
            return (3 + dice.below(5), Ok(()));
        }
        *tries_in_outage += 1;
        let (millis, fault) = outage(dice);
        (millis, Err(fault))
    }));
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
    for seed in SEEDS {
        check_outage("500", seed, |_| (4, http(500)));
        check_outage("503", seed, |_| (4, http(503)));
        check_outage("time-out of 2 s", seed, |_| (2_000, timeout()));
        check_outage("refused", seed, |_| (1, refused()));
        check_outage("429 with Retry-After", seed, |dice| (4, busy(1 + dice.below(9))));
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
            let mut world = World::new(policy, 12, Box::new(move |now, _, _| {
                if now < at(6 * 60 * 60) { (20, Err(failing.clone())) } else { (5, Ok(())) }
            }));
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
    for seed in SEEDS {
        for (up_millis, down_millis) in [(200, 200), (1_000, 1_000), (3_000, 500), (500, 5_000), (50, 50)] {
            let mut world = World::new(Policy::default(), seed, Box::new(move |now, _, dice| {
                let up = now.0 % (up_millis + down_millis) < up_millis || now >= at(120);
                (2 + dice.below(8), if up { Ok(()) } else { Err(http(503)) })
            }));
            flow(&mut world, 100, 120);
            world.run_until(at(1_000));
            let most = world.records.values().map(|record| record.charges).max();
            println!("seed {seed}: up {up_millis} ms, down {down_millis} ms: at most {most:?} charges");
            assert_eq!((world.delivered(), world.dead()), (12_000, 0));
        }
    }
}

/// A share of the messages is always answered with 500.
fn check_poison(seed: u64, percent: u64, seconds: u64) -> (usize, usize, Vec<u64>) {
    let is_poison = move |offset: u64| Dice(seed ^ offset).chance(percent);
    let target = move |_, start: &crossdock_delivery::Start, dice: &mut Dice| {
        (3 + dice.below(5), if is_poison(start.offset) { Err(http(500)) } else { Ok(()) })
    };
    let mut world = World::new(Policy::default(), seed, Box::new(target));
    flow(&mut world, 50, seconds);
    world.run_until(at(seconds));
    let poison = world.records.keys().filter(|offset| is_poison(**offset)).count();
    let good_dead = world.count(|record| record.end.is_some() && record.charges > 0 && !is_poison(record.entry.offset));
    let latencies = world.latencies(|_| true);
    let at_percent = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or(0);
    println!(
        "seed {seed}, {percent} % poison: {} of {poison} poison dead, {} of {} good delivered, {good_dead} good charged; \
         p50 {} p99 {} max {} ms",
        world.dead(),
        world.delivered(),
        world.records.len() - poison,
        at_percent(50),
        at_percent(99),
        latencies.last().copied().unwrap_or(0)
    );
    assert!(world.records.values().all(|record| {
        !matches!(record.end, Some(world::End::Dead(_))) || is_poison(record.entry.offset)
    }), "only poison dies");
    (world.dead(), world.records.len() - poison - world.delivered(), latencies)
}

#[test]
fn poison_harms_only_itself() {
    for seed in SEEDS {
        for percent in [1, 2, 5, 10, 20, 30, 50, 70, 90] {
            check_poison(seed, percent, 1200);
        }
    }
}

#[test]
fn a_bad_node_of_four() {
    for attempts in [3, 8] {
        for seed in SEEDS {
            let retry = Retry { attempts, ..Retry::default() };
            let mut world = World::new(Policy { retry, ..Policy::default() }, seed, Box::new(move |_, _, dice| {
                (5 + dice.below(10), if dice.below(4) == 0 { Err(http(500)) } else { Ok(()) })
            }));
            flow(&mut world, 100, 300);
            world.run_until(at(3_000));
            println!("{attempts} attempts, seed {seed}: {} of 30000 dead, max latency {:?}", world.dead(), world.latencies(|_| true).last());
        }
    }
}
