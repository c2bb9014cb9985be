//! The web shop of the demo: sends its orders over HTTP, several at a time, and notes what it hears.

use super::orders::Order;
use anyhow::{Context as _, bail};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// How many orders are under way at once.
pub const SENDERS: usize = 16;
/// How long the shop waits after a 503 that does not say how long.
const BUSY_PAUSE: Duration = Duration::from_millis(200);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the shop has heard.
#[derive(Debug, Default)]
pub struct Heard {
    /// Requests that reached the door: answered with 202, 400 or 422.
    pub requests: u64,
    /// The message's id by order, of those that were taken (202).
    pub taken: BTreeMap<String, String>,
    /// Orders that were refused (400, 422).
    pub refused: u64,
    /// Repetitions that were known again: 202 with the id of the first.
    pub known_again: u64,
}

#[derive(Deserialize)]
struct Taken {
    id: String,
}

enum Reply {
    Taken(String),
    Refused,
}

/// Sends all orders, and those twice whose answer gets lost.
///
/// # Errors
/// The gateway cannot be reached, or answers what it must not.
pub async fn send(door: SocketAddr, orders: &[Order]) -> anyhow::Result<Heard> {
    let url = format!("http://{door}/orders");
    // No certificate is looked at, so the system's need not be there.
    let client = Client::builder().timeout(ANSWER_TIMEOUT).no_proxy().tls_certs_only([]).build()?;
    let (orders, mut senders) = (Arc::<[Order]>::from(orders), JoinSet::new());
    for sender in 0..SENDERS {
        let (client, url, orders) = (client.clone(), url.clone(), Arc::clone(&orders));
        senders.spawn(async move {
            let mut heard = Heard::default();
            for order in orders.iter().skip(sender).step_by(SENDERS) {
                one(&client, &url, order, &mut heard).await?;
            }
            anyhow::Ok(heard)
        });
    }
    let mut all = Heard::default();
    while let Some(heard) = senders.join_next().await {
        all.add(heard??);
    }
    Ok(all)
}

async fn one(client: &Client, url: &str, order: &Order, heard: &mut Heard) -> anyhow::Result<()> {
    let first = post(client, url, order).await?;
    heard.requests += 1;
    let Reply::Taken(id) = first else {
        heard.refused += 1;
        return Ok(());
    };
    if order.repeated {
        heard.requests += 1;
        match post(client, url, order).await? {
            Reply::Taken(again) if again == id => heard.known_again += 1,
            Reply::Taken(again) => bail!("order {} was taken as {id}, and again as {again}", order.id),
            Reply::Refused => bail!("order {} was taken, and refused when it came again", order.id),
        }
    }
    heard.taken.insert(order.id.clone(), id);
    Ok(())
}

/// Sends an order until the gateway has said yes or no.
async fn post(client: &Client, url: &str, order: &Order) -> anyhow::Result<Reply> {
    loop {
        let request = client
            .post(url)
            .header("content-type", "application/json")
            .header("idempotency-key", &order.id)
            .body(order.body.clone());
        let response = request.send().await.with_context(|| format!("order {} found no gateway", order.id))?;
        match response.status() {
            StatusCode::ACCEPTED => {
                let taken: Taken = serde_json::from_slice(&response.bytes().await?)?;
                return Ok(Reply::Taken(taken.id));
            }
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => return Ok(Reply::Refused),
            StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(BUSY_PAUSE).await,
            other => bail!("order {} was answered {other}: {}", order.id, response.text().await?),
        }
    }
}

impl Heard {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.known_again += other.known_again;
        self.taken.extend(other.taken);
    }
}
