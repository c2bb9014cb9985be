//! Promise P10: order by key as declared, under random faults, retries and restarts.

#[cfg(test)]
mod world;

use crossdock_delivery::{Entry, Order, Policy, Retry};
use crossdock_model::Moment;
use std::{collections::HashMap, time::Duration};
use world::{Dice, World, busy, http, refused, rejected, timeout};

const KEYS: u64 = 11;
const MESSAGES: u64 = 1_500;

#[cfg(test)]
fn any_fault(dice: &mut Dice) -> crossdock_model::Fault {
    match dice.below(8) {
        0 => rejected(422),
        1 => refused(),
        2 => timeout(),
        3 => busy(dice.below(3)),
        4 => http(429),
        5 | 6 => http(500),
        _ => http(503),
    }
}

/// Random faults, and a kill every second or so; gives the accepted sends in order.
#[cfg(test)]
fn run(order: Order, seed: u64, attempts: u32) -> Vec<(u64, Moment)> {
    println!("{order:?}, seed {seed}");
    let initial = Duration::from_millis(50);
    let retry = Retry { attempts, initial, max: Duration::from_secs(1), ..Retry::default() };
    let policy = Policy { retry, order, max_in_flight: 16, window: 100, held_max: 400 };
    let mut world = World::new(
        policy,
        seed,
        Box::new(|now, _, dice| {
            let fails = now < Moment(20_000) && dice.chance(15);
            (1 + dice.below(40), if fails { Err(any_fault(dice)) } else { Ok(()) })
        }),
    );
    let mut dice = Dice(seed ^ 0x5eed);
    for offset in 0..MESSAGES {
        let entry = Entry { lane: Some(dice.below(KEYS)), ..Entry::fresh(offset) };
        world.arrive(Moment(1_000 + offset * 10), entry);
    }
    while world.now < Moment(20_000) {
        let pause = 300 + dice.below(1_500);
        world.run_until(Moment(world.now.0 + pause));
        world.restart(dice.next());
    }
    world.run_until(Moment(10_000_000));
    assert_eq!(world.delivered() + world.dead(), world.records.len(), "nothing is stuck");
    assert!(world.dead() > 0 && world.delivered() > world.dead());
    world
        .accepted
        .iter()
        .map(|(offset, at)| (*offset + (world.records[offset].entry.lane.unwrap_or(0) << 32), *at))
        .collect()
}

/// The offsets of each key in the order in which the target first took them.
#[cfg(test)]
fn firsts(accepted: &[(u64, Moment)]) -> HashMap<u64, Vec<u64>> {
    let mut firsts: HashMap<u64, Vec<u64>> = HashMap::new();
    for (keyed, _) in accepted {
        let (key, offset) = (keyed >> 32, keyed & u64::from(u32::MAX));
        let seen = firsts.entry(key).or_default();
        if !seen.contains(&offset) {
            seen.push(offset);
        }
    }
    firsts
}

#[test]
fn the_sequence_of_each_key_only_grows() {
    for seed in 1..40 {
        for (key, offsets) in firsts(&run(Order::BlockKey, seed, 8)) {
            assert!(offsets.is_sorted(), "key {key}: {offsets:?}");
        }
    }
}

/// With `skip` only those that failed fall behind; without `order_by` nobody waits for anybody.
#[test]
fn who_skips_goes_past_failures_only() {
    let disorder = |order| {
        let firsts = firsts(&run(order, 3, 8));
        firsts.values().map(|offsets| offsets.windows(2).filter(|pair| pair[0] > pair[1]).count()).sum::<usize>()
    };
    let (block, skip, none) = (disorder(Order::BlockKey), disorder(Order::Skip), disorder(Order::None));
    println!("steps back: {block} with block_key, {skip} with skip, {none} without order_by");
    assert!(block == 0 && 0 < skip && skip < none);
}
