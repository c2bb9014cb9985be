//! What died before its route was called otherwise (`was`) is that route's: it is shown, grouped and chosen by the new
//! name, and goes back to where it failed.

use crate::rig::{Rig, peer::fault, until, world::Reply};
use crossdock_engine::{DeadFilter, OperationView, RedriveRequest, RouteState};
use crossdock_model::FaultClass;
use crossdock_settings::Rate;
use crossdock_store::OperationState;
use std::collections::BTreeSet;

/// One of each kind: with a queue of its own, from a queue, from a topic, and one whose `accept` refuses.
const ROUTES: &str = "
channels: { q: { queue: {} }, t: { topic: { retain: 1d } }, taken: { queue: {} } }
routes:
  inq: { from: { ask: {} }, to: [ { queue: q }, { topic: t } ] }
  own: { WAS-own from: { broker: {} }, to: [ { name: one, ask: { connection: p, path: one } }, { name: two, ask: { connection: p, path: two } } ] }
  queued: { WAS-queued from: { queue: q }, to: { ask: { connection: p, path: queue } } }
  told: { WAS-told from: { topic: { name: t, start: earliest } }, to: { ask: { connection: p, path: topic } } }
  door: { WAS-door from: { broker: {} }, accept: [ { validate: { json_schema: s.json } } ], to: { queue: taken } }
";

const NAMES: [&str; 4] = ["own", "queued", "told", "door"];

/// The routes under these names.
fn routes(prefix: &str, was: Option<&str>) -> String {
    NAMES.iter().fold(ROUTES.to_owned(), |text, name| {
        let said = was.map(|was| format!("was: {was}{name},")).unwrap_or_default();
        text.replace(&format!("  {name}: {{ WAS-{name}"), &format!("  {prefix}{name}: {{ {said}"))
    })
}

/// Has a message die in each route.
fn die(rig: &Rig, prefix: &str) {
    rig.world.script(|got| {
        if got.path == "one" { Reply::Taken } else { Reply::Fault(fault(FaultClass::Rejected, "ask.no")) }
    });
    let before = rig.dead().len();
    rig.push("inq", "{}");
    rig.push(&format!("{prefix}own"), "{}");
    rig.push(&format!("{prefix}door"), "{}");
    until("all are dead", || rig.dead().len() == before + 4);
}

fn next(rig: &mut Rig, yaml: &str) {
    rig.kill();
    rig.write(yaml);
    rig.restart();
}

/// All dead letters are of the routes that are called so, wherever one looks.
fn are_of(rig: &Rig, prefix: &str) {
    let expected: BTreeSet<_> = NAMES.iter().map(|name| format!("{prefix}{name}")).collect();
    let dead = rig.dead();
    let shown: BTreeSet<_> = dead.iter().map(|letter| letter.message.route.clone().unwrap().to_string()).collect();
    assert_eq!(shown, expected);
    let sources: BTreeSet<_> =
        dead.iter().filter_map(|letter| letter.source.as_ref()).map(ToString::to_string).collect();
    assert_eq!(sources, BTreeSet::from(["q".into(), "t".into(), format!("route:{prefix}own")]));
    let groups = rig.block_on(rig.gateway().dead_groups()).unwrap();
    assert_eq!(groups.iter().map(|group| group.route.to_string()).collect::<BTreeSet<_>>(), expected);
    for route in &expected {
        assert_eq!(meant(rig, route), dead.len() as u64 / 4, "{route}");
    }
}

fn of(route: &str) -> DeadFilter {
    DeadFilter { route: Some(route.into()), ..DeadFilter::default() }
}

/// How many letters a filter by a route's name means: those that are listed, and those that would be sent back.
fn meant(rig: &Rig, route: &str) -> u64 {
    let dry = RedriveRequest { filter: of(route), dry_run: true, ..RedriveRequest::default() };
    let matched = rig.block_on(rig.gateway().redrive(dry)).unwrap().matched;
    let listed = rig.block_on(rig.gateway().dead_letters(&of(route), None, 100)).unwrap().items.len();
    assert_eq!(matched, listed as u64);
    matched
}

fn redrive(rig: &Rig) -> OperationView {
    let id = rig.block_on(rig.gateway().redrive(RedriveRequest::default())).unwrap().operation.unwrap();
    until("it is done", || rig.gateway().operation(id).unwrap().state == OperationState::Done);
    rig.gateway().operation(id).unwrap()
}

/// All letters but what `accept` refuses go to the target that failed, and to no other.
fn go_back(rig: &Rig) {
    let before = rig.world.taken().len();
    rig.world.script(|_| Reply::Taken);
    let ended = redrive(rig);
    assert_eq!((ended.done, ended.failed), (ended.total * 3 / 4, ended.total / 4));
    let back = usize::try_from(ended.done).unwrap();
    until("they are delivered", || rig.world.taken().len() == before + back);
    let paths: BTreeSet<_> = rig.world.taken().split_off(before).into_iter().map(|got| got.path).collect();
    assert_eq!(paths, ["two", "queue", "topic"].map(str::to_owned).into());
    rig.account();
}

#[test]
fn dead_letters_of_a_renamed_route_are_redriven() {
    let mut rig = Rig::start(&routes("", None));
    die(&rig, "");
    next(&mut rig, &routes("new-", Some("")));
    are_of(&rig, "new-");
    assert_eq!(meant(&rig, "own"), 0, "nothing is called so any more");
    go_back(&rig);
    let dead = rig.dead();
    assert_eq!(dead[0].message.route.as_deref(), Some("new-door"));
    // What the new `accept` takes is taken.
    next(&mut rig, &routes("new-", Some("")).replace("accept: [ { validate: { json_schema: s.json } } ],", ""));
    assert_eq!((redrive(&rig).failed, rig.dead().len(), rig.channel("taken").messages), (0, 0, 1));
    rig.account();
}

#[test]
fn dead_letters_go_to_no_other_target_than_theirs() {
    let route = |targets: &str| format!("routes:\n  r: {{ from: {{ ask: {{}} }}, to: [ {targets} ] }}\n");
    let at = |path: &str| format!("{{ ask: {{ connection: p, path: {path} }} }}");
    let (both, good) = (route(&format!("{}, {}", at("good"), at("wrong"))), route(&at("good")));
    let mut rig = Rig::start(&both);
    rig.world.script(|got| match &*got.path {
        "wrong" => Reply::Fault(fault(FaultClass::Rejected, "ask.no")),
        _ => Reply::Taken,
    });
    (0..2).for_each(|n| drop(rig.post("r", &n.to_string())));
    until("both are dead for one", || rig.dead().len() == 2);
    // The one that is left has had them.
    next(&mut rig, &good);
    let stays = redrive(&rig);
    let why = stays.reason.map(|reason| reason.to_string()).unwrap_or_default();
    assert!(stays.failed == 2 && why.contains("has no target `p:wrong`"), "{why}");
    next(&mut rig, &both);
    rig.world.script(|_| Reply::Taken);
    assert_eq!(redrive(&rig).failed, 0);
    until("they are delivered", || rig.route("r").counts.stored == 0);
    let mut paths: Vec<_> = rig.world.taken().into_iter().map(|got| got.path).collect();
    paths.sort();
    assert!(paths == ["good", "good", "wrong", "wrong"] && rig.dead().is_empty(), "{paths:?}");
    rig.account();
}

#[test]
fn dead_letters_follow_the_only_target_of_a_route_to_where_it_is_by_now() {
    let route = |id: &str, rest: &str| format!("routes:\n  {id}: {{ from: {{ ask: {{}} }}, {rest} }}\n");
    let at = |path: &str| format!("ask: {{ connection: p, path: {path} }}");
    let mut rig = Rig::start(&route("r", &format!("to: {{ {} }}", at("wrong"))));
    rig.world.script(|_| Reply::Fault(fault(FaultClass::Rejected, "ask.no")));
    (0..3).for_each(|n| drop(rig.post("r", &n.to_string())));
    until("all are dead", || rig.dead().len() == 3);
    rig.world.script(|_| Reply::Taken);
    let one = |rig: &Rig, route: &str| {
        let letter = rig.dead()[0].message.envelope.id;
        let only = DeadFilter { ids: Some(vec![letter]), ..DeadFilter::default() };
        let id = rig.block_on(rig.gateway().redrive(RedriveRequest { filter: only, ..RedriveRequest::default() }));
        let id = id.unwrap().operation.unwrap();
        until("it is done", || rig.gateway().operation(id).unwrap().state == OperationState::Done);
        // What is delivered and not settled would be delivered again: the next start is behind a kill.
        until("it is delivered", || rig.route(route).counts.stored == 0);
    };
    // Its address was edited; it has a name besides; the route is called otherwise; and once more with nothing new.
    let right = at("right");
    next(&mut rig, &route("r", &format!("to: {{ {right} }}")));
    one(&rig, "r");
    next(&mut rig, &route("r", &format!("to: {{ name: n, {right} }}")));
    next(&mut rig, &route("s", &format!("was: r, to: {{ name: n, {right} }}")));
    one(&rig, "s");
    let last = |path: &str| route("s", &format!("was: r, to: {{ name: m, {} }}", at(path)));
    next(&mut rig, &last("there"));
    next(&mut rig, &last("there"));
    one(&rig, "s");
    until("all are delivered", || rig.world.taken().len() == 3);
    let paths: Vec<_> = rig.world.taken().into_iter().map(|got| got.path).collect();
    assert!(paths == ["right", "right", "there"] && rig.dead().is_empty(), "{paths:?}");
    rig.account();
}

#[test]
fn what_a_route_was_is_known_when_the_file_says_it_no_more() {
    let mut rig = Rig::start(&routes("", None));
    die(&rig, "");
    next(&mut rig, &routes("b-", Some("")));
    die(&rig, "b-");
    next(&mut rig, &routes("b-", Some("")));
    next(&mut rig, &routes("b-", None));
    are_of(&rig, "b-");
    // Named anew, with letters of two names; and back again, with letters of three.
    next(&mut rig, &routes("c-", Some("b-")));
    are_of(&rig, "c-");
    die(&rig, "c-");
    next(&mut rig, &routes("", Some("c-")));
    next(&mut rig, &routes("", None));
    are_of(&rig, "");
    assert_eq!(rig.dead().len(), 12);
    assert!(rig.block_on(async { rig.gateway().operations() }).is_empty(), "a name is no operation");
    go_back(&rig);
}

#[test]
fn another_route_of_the_old_name_keeps_its_own_letters() {
    let mut rig = Rig::start(&routes("", None));
    die(&rig, "");
    next(&mut rig, &routes("new-", Some("")));
    let both = "  own: { from: { broker: {} }, to: { ask: { connection: p, path: two } } }\n";
    next(&mut rig, &format!("{}{both}", routes("new-", None)));
    rig.push("own", "{}");
    until("it is dead", || rig.dead().len() == 5);
    assert_eq!((meant(&rig, "own"), meant(&rig, "new-own")), (1, 1));
}

#[test]
fn a_redrive_that_is_under_way_goes_on_under_the_new_name() {
    let mut rig = Rig::start(&routes("", None));
    for _ in 0..5 {
        die(&rig, "");
    }
    let slow = RedriveRequest { filter: of("own"), rate: Some(Rate { per_second: 5.0 }), ..RedriveRequest::default() };
    rig.world.script(|_| Reply::Taken);
    let id = rig.block_on(rig.gateway().redrive(slow)).unwrap().operation.unwrap();
    until("one is back", || rig.gateway().operation(id).unwrap().done > 0);
    next(&mut rig, &routes("new-", Some("")));
    until("it is done", || rig.gateway().operation(id).unwrap().state == OperationState::Done);
    assert_eq!((rig.gateway().operation(id).unwrap().done, meant(&rig, "new-own")), (5, 0));
    rig.account();
}

#[test]
fn a_renamed_route_stays_paused() {
    let mut rig = Rig::start(&routes("", None));
    rig.world.script(|_| Reply::Taken);
    rig.block_on(rig.gateway().pause("own")).unwrap();
    next(&mut rig, &routes("new-", Some("")));
    rig.push("new-own", "{}");
    assert_eq!(rig.route("new-own").state, RouteState::Paused);
    // What is resumed under the new name is not paused by the old one.
    rig.block_on(rig.gateway().resume("new-own")).unwrap();
    until("it is delivered", || rig.world.taken().len() == 2);
    next(&mut rig, &routes("new-", Some("")));
    assert_eq!(rig.route("new-own").state, RouteState::Running);
    rig.account();
}
