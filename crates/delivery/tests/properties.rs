//! For any mix of lanes, circuits, faults, kills, starts that lead to nothing and settlements from elsewhere: no message
//! is lost or stuck, none is sent twice at once, charges never exceed tries. The world checks the latter at each step.

#[cfg(test)]
mod world;

use crossdock_delivery::{Entry, Order, Policy, Retry};
use crossdock_model::{Fault, Moment};
use proptest::{prelude::*, test_runner::FileFailurePersistence};
use std::time::Duration;
use world::{Dice, World, busy, http, refused, rejected, timeout};

/// What may happen between two moments.
#[derive(Clone, Debug)]
enum Happening {
    /// Milliseconds go by.
    Time(u64),
    /// The process is killed.
    Kill,
    /// Somebody else settles the message of this share of all offsets.
    Settled(u64),
    /// The route is paused, or goes on.
    Pause(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (1_u64..20_000).prop_map(Happening::Time),
        1 => Just(Happening::Kill),
        2 => (0_u64..1_000).prop_map(Happening::Settled),
        1 => any::<bool>().prop_map(Happening::Pause),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let order = prop_oneof![Just(Order::None), Just(Order::BlockKey), Just(Order::Skip)];
    (order, 1_u32..5, 1_usize..20, 1_usize..50, 20_usize..200).prop_map(|(order, attempts, flying, window, held)| {
        let retry = Retry { attempts, alone_limit: Duration::from_secs(60), ..Retry::default() };
        Policy { retry, order, max_in_flight: flying, window, held_max: held }
    })
}

/// The share of each answer while the target is ill.
fn shares() -> impl Strategy<Value = [u64; 7]> {
    prop::array::uniform7(0_u64..10)
}

fn answer(shares: &[u64; 7], dice: &mut Dice) -> Result<(), Fault> {
    let mut at = dice.below(shares.iter().sum::<u64>().max(1));
    for (kind, share) in shares.iter().enumerate() {
        if at < *share {
            return match kind {
                0 => Ok(()),
                1 => Err(http(500)),
                2 => Err(http(502)),
                3 => Err(timeout()),
                4 => Err(refused()),
                5 => Err(busy(dice.below(5))),
                _ => Err(if dice.chance(50) { rejected(422) } else { http(429) }),
            };
        }
        at -= share;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/properties.seeds"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_every_message_ends(
        policy in policy(),
        shares in shares(),
        (seed, unsent_percent) in (any::<u64>(), prop_oneof![Just(0_u64), 1_u64..40]),
        (lanes, circuits, messages) in (1_u64..20, 1_u64..4, 1_u64..300),
        happenings in prop::collection::vec(happening(), 0..25),
    ) {
        let ill_until = Moment(happenings.len() as u64 * 20_000);
        let mut world = World::new(policy, seed, Box::new(move |now, _, dice| {
            let result = if now < ill_until { answer(&shares, dice) } else { Ok(()) };
            (dice.below(3_000), result)
        }));
        world.unsent_percent = unsent_percent;
        let mut dice = Dice(seed);
        for offset in 0..messages {
            let lane = dice.chance(80).then(|| dice.below(lanes));
            let entry = Entry { lane, circuit: dice.below(circuits), ..Entry::fresh(offset) };
            world.arrive(Moment(1_000 + dice.below(30_000)), entry);
        }
        let mut settled = 0;
        for happening in happenings {
            match happening {
                Happening::Time(millis) => world.run_until(Moment(world.now.0 + millis)),
                Happening::Kill => world.restart(dice.next()),
                Happening::Settled(share) => settled += usize::from(world.settle(messages * share / 1_000)),
                Happening::Pause(true) => world.scheduler.hold(),
                Happening::Pause(false) => world.scheduler.release(),
            }
            // Who waits apart is told in one way, and nobody twice.
            let mut apart: Vec<u64> = world.scheduler.apart().collect();
            apart.sort_unstable();
            let each: Vec<u64> = (0..messages).filter(|offset| world.scheduler.is_apart(*offset)).collect();
            prop_assert_eq!(apart, each);
        }
        world.scheduler.release();
        world.run_until(Moment(3_600_000 * 24));
        prop_assert_eq!(world.records.len() as u64, messages);
        prop_assert_eq!(world.delivered() + world.dead() + settled, world.records.len());
        prop_assert!(world.scheduler.is_empty() && world.scheduler.room() > 0);
    }
}
