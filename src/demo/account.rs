//! The account of the demo: what the gateway says, against what the shop heard, what the partners took, and what the
//! orders' seed foretold.

use super::{
    orders::{Fate, Order},
    partners::Ledger,
    traffic::Heard,
};
use crossdock_engine::{Counts, DeadFilter, DeadGroup, Gateway, RouteView};
use std::collections::BTreeSet;

/// Everything that is known at the end.
#[derive(Debug)]
pub struct Account {
    /// The gateway's counts by route.
    pub routes: Vec<(String, Counts)>,
    /// What the partners have seen, by name.
    pub partners: Vec<(&'static str, Ledger)>,
    /// The dead letters by cause.
    pub dead: Vec<DeadGroup>,
    /// What must hold, in words, and whether it does.
    pub checks: Vec<(String, bool)>,
}

/// The most dead letters that are looked at one by one.
const DEAD_MAX: usize = 1000;

impl Account {
    /// Compares everybody's books.
    ///
    /// # Errors
    /// The gateway's store cannot be read.
    pub async fn draw_up(
        gateway: &Gateway,
        routes: Vec<RouteView>,
        orders: &[Order],
        heard: &Heard,
        [erp, carrier]: [Ledger; 2],
    ) -> anyhow::Result<Self> {
        let routes: Vec<_> = routes.into_iter().map(|route| (route.id.to_string(), route.counts)).collect();
        let letters = gateway.dead_letters(&DeadFilter::default(), None, DEAD_MAX).await?.items;
        let letters: BTreeSet<_> = letters.iter().map(|letter| letter.message.envelope.id.to_string()).collect();
        let ids = |fate| orders.iter().filter(move |order| order.fate == fate).map(|order| order.id.clone());
        let dead = ids(Fate::Dead).filter_map(|id| heard.taken.get(&id).cloned()).collect::<BTreeSet<_>>();
        let counts = |id: &str| routes.iter().find(|(route, _)| route == id).map(|(_, c)| *c).unwrap_or_default();
        let (door, behind) = (counts("web-orders"), counts("orders-to-partners"));
        let (taken, filtered) = (heard.taken.len() as u64, ids(Fate::Filtered).count() as u64);
        let checks = vec![
            balance("web-orders", &door),
            balance("orders-to-partners", &behind),
            (
                format!("the gateway and the shop count alike: {} requests, {taken} taken", heard.requests),
                (door.received, door.delivered, door.filtered, door.refused)
                    == (heard.requests, taken, heard.known_again, heard.refused)
                    && behind.received == taken,
            ),
            (
                format!("the ERP system has the {} orders that are its own, no other and none twice", erp.took.len()),
                erp.took == ids(Fate::Erp).collect() && erp.repeated == 0,
            ),
            (
                format!("the carrier has the {} orders that are its own, no other and none twice", carrier.took.len()),
                carrier.took == ids(Fate::Carrier).collect() && carrier.repeated == 0,
            ),
            (
                format!(
                    "{filtered} free samples were filtered, {} orders are dead letters, as they must",
                    letters.len()
                ),
                behind.filtered == filtered && letters == dead && behind.dead == dead.len() as u64,
            ),
        ];
        let dead = gateway.dead_groups().await?;
        Ok(Self { routes, partners: vec![("ERP system", erp), ("carrier", carrier)], dead, checks })
    }

    /// Whether everything holds.
    pub fn is_right(&self) -> bool {
        self.checks.iter().all(|(_, right)| *right)
    }

    /// Requests that were answered 503 and tried again.
    pub fn retried(&self) -> usize {
        self.partners.iter().map(|(_, ledger)| ledger.down).sum()
    }
}

/// What came in is what went out, route by route.
fn balance(route: &str, c: &Counts) -> (String, bool) {
    let parts = [
        (c.delivered, "delivered"),
        (c.filtered, "filtered"),
        (c.refused, "refused"),
        (c.dead, "dead"),
        (c.expired, "expired"),
        (c.stored, "stored"),
    ];
    let there = parts.iter().filter(|(number, _)| *number > 0);
    let sum = there.map(|(number, what)| format!("{number} {what}")).collect::<Vec<_>>().join(" + ");
    (format!("{route}: {} received = {sum}", c.received), c.unaccounted() == 0 && c.stored == 0 && c.received > 0)
}
