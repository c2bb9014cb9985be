//! The routes of a schedule.

use super::peer::{ASK, BROKER, Peer};
use crate::{
    dice::Dice,
    promises::{key, lane},
    target::Nature,
};
use crossdock_config::{ConfigFile, Environment, Plan, Protocol};
use crossdock_delivery::Order;
use std::{io, path::Path, sync::Arc};

/// What a route is.
#[derive(Clone, Debug)]
pub struct RoutePlan {
    pub name: String,
    pub order: Order,
    pub attempts: u32,
    pub dedupes: bool,
    pub filters: bool,
    /// Of its targets.
    pub natures: Vec<Nature>,
}

impl RoutePlan {
    pub fn draw(at: usize, dice: &mut Dice) -> Self {
        Self {
            name: format!("r{at}"),
            order: dice.one_of([Order::None, Order::BlockKey, Order::Skip]),
            attempts: dice.one_of([1, 2, 3, 8]),
            dedupes: dice.chance(40),
            filters: dice.chance(30),
            natures: (0..1 + dice.below(2)).map(|_| Nature::draw(dice)).collect(),
        }
    }

    /// Whether a filter lets the message go on.
    pub const fn passes(&self, n: u64) -> bool {
        !self.filters || n % 5 != 4
    }

    /// The body of a message; `padding` makes it longer.
    pub fn payload(n: u64, padding: usize) -> String {
        let (lane, key, keep, pad) = (lane(n), key(n), n % 5 != 4, ".".repeat(padding));
        format!(r#"{{"n":{n},"lane":"l{lane}","key":"k{key}","keep":{keep},"pad":"{pad}"}}"#)
    }

    fn yaml(&self) -> String {
        let filter = self.filters.then(|| String::from("{ filter: .keep == true }"));
        let dedupe = self.dedupes.then(|| String::from("{ dedupe: { key: .key, window: 30d } }"));
        let steps: Vec<String> = [filter, dedupe].into_iter().flatten().collect();
        let steps = if steps.is_empty() { String::new() } else { format!("    steps: [ {} ]\n", steps.join(", ")) };
        let order = match self.order {
            Order::None => "",
            Order::BlockKey => "    order_by: .lane\n",
            Order::Skip => "    order_by: .lane\n    on_failure: skip\n",
        };
        let target = |at: usize| format!("{{ name: t{at}, ask: {{ connection: p, path: x, max_in_flight: 8 }} }}");
        let targets: Vec<String> = (0..self.natures.len()).map(target).collect();
        let (name, attempts, targets) = (&self.name, self.attempts, targets.join(", "));
        format!(
            "  {name}:\n    from: {{ broker: {{}} }}\n{steps}{order}    to: [ {targets} ]\n    retry: {{ attempts: {attempts}, \
             initial: 100ms, factor: 2, max: 10s }}\n"
        )
    }
}

struct Nowhere;

impl Environment for Nowhere {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The routes as a gateway takes them.
pub fn load(routes: &[RoutePlan]) -> Arc<Plan> {
    let routes: String = routes.iter().map(RoutePlan::yaml).collect();
    let yaml = format!(
        "version: 1\ngateway: {{ store: {{ segment: 1MiB }} }}\nconnections: {{ p: {{ ask: {{}} }} }}\nroutes:\n{routes}"
    );
    let file = ConfigFile { name: "routes.yaml", folder: Path::new("/nowhere"), bytes: yaml.as_bytes() };
    let protocols = [
        Protocol { description: &ASK, make: |_| Arc::new(Peer::new(&ASK, Arc::default())) },
        Protocol { description: &BROKER, make: |_| Arc::new(Peer::new(&BROKER, Arc::default())) },
    ];
    let loaded = crossdock_config::load(&file, &Nowhere, &protocols);
    loaded.plan.unwrap_or_else(|| panic!("{}", loaded.report.render(false)))
}
