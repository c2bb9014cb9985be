//! The orders of the demo: the same for the same seed, with what a real day has among them.

use bytes::Bytes;
use serde_json::json;

/// How many orders there are.
pub const ORDERS: usize = 1000;

/// Numbers that look random and follow from a seed (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Debug)]
struct Random(u64);

/// An order on its way to the gateway.
#[derive(Clone, Debug)]
pub struct Order {
    /// `o-1000` and so on; also its idempotency key.
    pub id: String,
    /// What must become of it.
    pub fate: Fate,
    /// Whether its sender hears no answer and sends it again.
    pub repeated: bool,
    /// What is sent.
    pub body: Bytes,
}

/// What must become of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It goes to the ERP system.
    Erp,
    /// It goes to the carrier.
    Carrier,
    /// The filter lets it go: a free sample.
    Filtered,
    /// The door refuses it: it breaks the schema, or is no JSON.
    Refused,
    /// The ERP system refuses it: a customer that it does not know.
    Dead,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words.get(self.below(words.len() as u64) as usize).copied().unwrap_or_default()
    }
}

/// The orders of a seed, in the order in which they are sent.
pub fn orders(seed: u64) -> Vec<Order> {
    let mut random = Random(seed);
    (0..ORDERS).map(|number| order(number, &mut random)).collect()
}

fn order(number: usize, random: &mut Random) -> Order {
    let fate = match random.below(100) {
        0..3 => Fate::Refused,
        3..8 => Fate::Filtered,
        8..10 => Fate::Dead,
        10..55 => Fate::Erp,
        _ => Fate::Carrier,
    };
    let id = format!("o-{}", 1000 + number);
    let repeated = fate != Fate::Refused && random.below(50) == 0;
    let body = body(&id, fate, random);
    Order { id, fate, repeated, body }
}

fn body(id: &str, fate: Fate, random: &mut Random) -> Bytes {
    let names = ["Ada Lovelace", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Tony Hoare", "Radia Perlman"];
    // The ERP system does not know the customers from 900 on.
    let customer = if fate == Fate::Dead { 900 + random.below(5) } else { 100 + random.below(300) };
    let (country, city) = match fate {
        Fate::Carrier => match random.below(3) {
            0 => ("FR", "Lille"),
            1 => ("NL", "Utrecht"),
            _ => ("PL", "Gdynia"),
        },
        Fate::Erp | Fate::Filtered | Fate::Refused | Fate::Dead => ("DE", "Bremen"),
    };
    let lines: Vec<_> = (0..=random.below(4))
        .map(|_| {
            let (quantity, cents) = (1 + random.below(9), 100 + random.below(20_000));
            (format!("SKU-{:05}", random.below(100_000)), quantity, cents)
        })
        .collect();
    let free = fate == Fate::Filtered;
    let cents: u64 = if free { 0 } else { lines.iter().map(|(_, quantity, cents)| quantity * cents).sum() };
    let lines: Vec<_> = lines
        .iter()
        .map(|(sku, quantity, cents)| json!({"sku": sku, "quantity": quantity, "price": euros(if free { 0 } else { *cents })}))
        .collect();
    let mut order = json!({
        "order_id": id,
        "created": "2026-11-21T08:15:30Z",
        "customer": {"id": format!("c-{customer}"), "name": random.pick(&names)},
        "ship_to": {"country": country, "city": city},
        "lines": lines,
        "total": euros(cents),
    });
    if fate == Fate::Refused {
        match random.below(3) {
            0 => return Bytes::from(format!("{{\"order_id\": \"{id}\", \"total\": ")),
            1 => drop(order.as_object_mut().and_then(|fields| fields.remove("customer"))),
            _ => drop(order.as_object_mut().and_then(|fields| fields.insert("total".into(), json!("much")))),
        }
    }
    Bytes::from(order.to_string())
}

fn euros(cents: u64) -> f64 {
    cents as f64 / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_orders() {
        let bodies = |seed| orders(seed).into_iter().map(|order| order.body).collect::<Vec<_>>();
        assert_eq!(bodies(7), bodies(7));
        assert_ne!(bodies(7), bodies(8));
    }

    #[test]
    fn every_seed_has_every_fate() {
        for seed in 0..50 {
            let orders = orders(seed);
            assert_eq!(orders.len(), ORDERS);
            for fate in [Fate::Erp, Fate::Carrier, Fate::Filtered, Fate::Refused, Fate::Dead] {
                assert!(orders.iter().filter(|order| order.fate == fate).count() > 3, "{fate:?} with seed {seed}");
            }
            assert!(orders.iter().any(|order| order.repeated), "none is repeated with seed {seed}");
        }
    }
}
