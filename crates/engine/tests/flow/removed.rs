//! Targets and readers that the file names no more: what they had not done stays, and nothing new waits for them.

use crate::rig::{Rig, peer::fault, until, world::Reply};
use crossdock_connector::Settlement;
use crossdock_model::FaultClass;
use std::{collections::BTreeSet, time::Duration};

/// A queue and a topic with these readers.
fn read_by(queue: &str, topic: &str) -> String {
    let target = |path: &str| format!("{{ ask: {{ connection: p, path: {path} }} }}");
    let targets = |paths: &str| paths.split_whitespace().map(target).collect::<Vec<_>>().join(", ");
    let mut yaml = String::from(
        "
channels: { q: { queue: { max_messages: 20 } }, t: { topic: { retain: { messages: 2 } } } }
routes:
  in: { from: { ask: {} }, to: [ { queue: q }, { topic: t } ] }
",
    );
    if !queue.is_empty() {
        yaml.push_str(&format!("  out: {{ from: {{ queue: q }}, to: [ {} ] }}\n", targets(queue)));
    }
    for name in topic.split_whitespace() {
        yaml.push_str(&format!("  {name}: {{ from: {{ topic: t }}, to: [ {} ] }}\n", target(name)));
    }
    yaml
}

fn names_of(rig: &Rig, channel: &str) -> Vec<(String, u64)> {
    let view = rig.channel(channel);
    view.subscriptions.iter().map(|reader| (reader.name.to_string(), reader.messages)).collect()
}

/// One after the other, beside so many that stay.
fn deliver_more_than_the_queue_holds(rig: &Rig, left: u64) {
    for n in 0..30 {
        let stored = rig.post("in", &format!("{n}"));
        assert!(matches!(stored, Settlement::Stored { .. }), "{n} stands in a queue of 20");
        until("it is delivered", || rig.channel("q").messages == left);
    }
    until("they count", || rig.route("out").counts.delivered == 30);
}

#[test]
fn a_target_that_is_removed_with_nothing_left_takes_nothing_of_what_comes() {
    let mut rig = Rig::start(&read_by("a b", "one two"));
    (0..3).for_each(|n| drop(rig.post("in", &format!("{n}"))));
    until("all deliveries", || rig.world.taken().len() == 12);
    for readers in [read_by("a", "one"), read_by("a c", "")] {
        rig.stop(Duration::from_secs(5));
        rig.write(&readers);
        rig.restart();
        deliver_more_than_the_queue_holds(&rig, 0);
        // What the topic retains is let go of from time to time.
        let orphans = rig.block_on(rig.gateway().status()).orphans;
        assert!(orphans.is_empty(), "{orphans:?}");
        rig.account();
    }
    assert_eq!(names_of(&rig, "t"), [], "what is kept is what the topic retains");
    // Nobody reads it any more: the queue waits for its next reader.
    rig.stop(Duration::from_secs(5));
    rig.write(&read_by("", ""));
    rig.restart();
    (0..5).for_each(|n| drop(rig.post("in", &format!("{n}"))));
    assert_eq!(names_of(&rig, "q"), [("queue:q".to_owned(), 5)]);
}

#[test]
fn what_a_removed_target_had_not_done_is_kept_for_it_and_becomes_no_more() {
    let mut rig = Rig::start(&read_by("a b", "one two"));
    rig.world.script(|got| if matches!(&*got.path, "b" | "two") { Reply::Hang } else { Reply::Taken });
    (0..3).for_each(|n| drop(rig.post("in", &format!("{n}"))));
    until("some deliveries", || rig.world.taken().len() == 6);
    for readers in [read_by("a", "one"), read_by("a c", "")] {
        rig.kill();
        rig.write(&readers);
        rig.restart();
        deliver_more_than_the_queue_holds(&rig, 3);
        assert!(names_of(&rig, "q").contains(&("out/p:b".to_owned(), 3)), "{:?}", names_of(&rig, "q"));
        assert!(names_of(&rig, "t").contains(&("two/p:two".to_owned(), 3)), "{:?}", names_of(&rig, "t"));
        assert_eq!(rig.block_on(rig.gateway().status()).orphans.len(), 2);
        rig.account();
    }
    // It comes back, and gets what was kept for it and what comes.
    rig.kill();
    rig.world.script(|_| Reply::Taken);
    rig.write(&read_by("a b", "one two"));
    let before = rig.world.taken().len();
    rig.restart();
    until("what was kept is delivered", || rig.world.taken().len() == before + 6);
    rig.post("in", "{}");
    until("and what comes", || rig.world.taken().len() == before + 10);
    rig.account();
}

#[test]
fn readers_of_a_topic_whose_addresses_are_edited_at_once_keep_their_backlogs_beside_one_that_is_removed() {
    let reader = |name: &str, path: &str| {
        format!("  {name}: {{ from: {{ topic: t }}, to: {{ ask: {{ connection: p, path: {path} }} }} }}\n")
    };
    let routes = |readers: &str| {
        format!(
            "\nchannels: {{ t: {{ topic: {{ retain: 1d }} }} }}\nroutes:\n  in: {{ from: {{ ask: {{}} }}, to: {{ topic: t }} }}\n{readers}"
        )
    };
    let mut rig = Rig::start(&routes(&(reader("ra", "a1") + &reader("rb", "b1") + &reader("gone", "c1"))));
    rig.world.script(|_| Reply::Fault(fault(FaultClass::Unreachable, "ask.down")));
    (0..3).for_each(|n| drop(rig.post("in", &n.to_string())));
    until("all read them", || rig.channel("t").subscriptions.iter().all(|reader| reader.messages == 3));
    rig.kill();
    rig.write(&routes(&(reader("ra", "a2") + &reader("rb", "b2"))));
    rig.world.script(|_| Reply::Taken);
    rig.restart();
    until("all is delivered", || rig.world.taken().len() == 6);
    let paths: BTreeSet<_> = rig.world.taken().into_iter().map(|got| got.path).collect();
    assert_eq!(paths, ["a2", "b2"].map(str::to_owned).into());
    let orphans = rig.block_on(rig.gateway().status()).orphans;
    assert!(orphans.len() == 1 && orphans[0].contains("gone/"), "{orphans:?}");
    rig.account();
}

#[test]
fn a_topic_that_is_read_under_another_subscription_is_read_from_where_that_begins() {
    let reader = |subscription: &str| {
        format!(
            "\nchannels: {{ t: {{ topic: {{ retain: 1d }} }} }}\nroutes:\n  in: {{ from: {{ ask: {{}} }}, to: {{ topic: t }} }}\n  \
             r: {{ from: {{ topic: {{ name: t, {subscription} }} }}, to: {{ ask: {{ connection: p, path: a }} }} }}\n"
        )
    };
    let mut rig = Rig::start(&reader("subscription: one"));
    (0..3).for_each(|n| drop(rig.post("in", &n.to_string())));
    until("all is delivered", || rig.world.taken().len() == 3);
    rig.stop(Duration::from_secs(5));
    rig.write(&reader("subscription: two, start: earliest"));
    rig.restart();
    until("all is delivered again", || rig.world.taken().len() == 6);
    rig.world.script(|_| Reply::Hang);
    rig.post("in", "3");
    until("one is under way", || rig.world.got().len() == 7);
    rig.kill();
    rig.write(&reader("subscription: three, start: latest"));
    rig.world.script(|_| Reply::Taken);
    rig.restart();
    rig.post("in", "4");
    until("what came last is delivered", || rig.world.taken().len() == 7);
    let kept = rig.channel("t").subscriptions.iter().map(|reader| reader.messages).max();
    assert_eq!(kept, Some(1), "what was left of the one before stays its own");
    rig.account();
}
