//! What is declared on the server before work begins: exchanges, queues, bindings.

use crate::{
    link::{CHANNEL, Link, Trouble},
    wire::{
        Method, SHORT_BYTES_MAX, fits,
        send::{self, Exchange, Queue},
    },
};
use crossdock_connector::{Diagnostics, Node, NodeKind, Placed, Setting, Settings};
use crossdock_model::{Text, Value};

/// A step that is made anew at each start; the server takes one that is done as done.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// An exchange is to be there, as told.
    Exchange(Exchange),
    /// A queue is to be there, as told.
    Queue(Queue),
    /// An exchange sends to a queue.
    Bind {
        /// The queue.
        queue: Text,
        /// The exchange.
        exchange: Text,
        /// Which messages.
        routing_key: Text,
        /// What a headers exchange compares.
        arguments: Vec<(Text, Value)>,
    },
}

/// Makes the steps, in order.
///
/// # Errors
/// The server refuses one, or is gone.
pub async fn declare(link: &mut Link, steps: &[Step]) -> Result<(), Trouble> {
    for step in steps {
        match step {
            Step::Exchange(exchange) => {
                let done = |answer: &Method| matches!(answer, Method::ExchangeDeclareOk);
                link.ask(|out| send::exchange_declare(out, CHANNEL, exchange), done).await?;
            }
            Step::Queue(queue) => {
                let done = |answer: &Method| matches!(answer, Method::QueueDeclareOk { .. });
                link.ask(|out| send::queue_declare(out, CHANNEL, queue), done).await?;
            }
            Step::Bind { queue, exchange, routing_key, arguments } => {
                let (names, done) =
                    ((&**queue, &**exchange, &**routing_key), |answer: &Method| *answer == Method::QueueBindOk);
                link.ask(|out| send::queue_bind(out, CHANNEL, names, arguments), done).await?;
            }
        }
    }
    Ok(())
}

/// An exchange by its section.
///
/// # Errors
/// The name or an argument is none.
pub fn exchange(name: &Text, section: &Settings) -> Result<Exchange, Diagnostics> {
    short(section, "type", section.text("type"))?;
    Ok(Exchange {
        name: name.clone(),
        kind: section.text("type").cloned().unwrap_or_default(),
        durable: section.flag("durable"),
        auto_delete: section.flag("auto_delete"),
        internal: section.flag("internal"),
        arguments: arguments(section, "arguments")?,
    })
}

/// A queue by its section.
///
/// # Errors
/// An argument is none.
pub fn queue(name: &Text, section: &Settings) -> Result<Queue, Diagnostics> {
    Ok(Queue {
        name: name.clone(),
        durable: section.flag("durable"),
        exclusive: section.flag("exclusive"),
        auto_delete: section.flag("auto_delete"),
        arguments: arguments(section, "arguments")?,
    })
}

/// A text that goes as a short string.
///
/// # Errors
/// It is longer than 255 bytes.
pub fn short<'a>(section: &Settings, key: &str, text: Option<&'a Text>) -> Result<Option<&'a Text>, Diagnostics> {
    match text {
        Some(text) if text.len() > SHORT_BYTES_MAX => {
            Err(section.error(key, "amqp.name", "a name is at most 255 bytes in AMQP").into())
        }
        text => Ok(text),
    }
}

/// The table under a key: plain numbers and truth values are such, quoted ones are text.
///
/// # Errors
/// A name is too long, or a value nested too deep.
pub fn arguments(section: &Settings, key: &str) -> Result<Vec<(Text, Value)>, Diagnostics> {
    let entry = |(name, placed): &(Text, Placed<Setting>)| {
        let Setting::Any(node) = &placed.value else { return (name.clone(), Value::Null) };
        (name.clone(), value(node))
    };
    let table: Vec<_> = section.map(key).iter().map(entry).collect();
    if table.iter().all(|(name, value)| fits(name, value)) {
        return Ok(table);
    }
    Err(section.error(key, "amqp.arguments", "a name is longer than 255 bytes, or a value is nested too deep").into())
}

fn value(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Null => Value::Null,
        NodeKind::Scalar(scalar) if scalar.quoted => Value::Text(scalar.text.as_str().into()),
        NodeKind::Scalar(scalar) => plain(&scalar.text),
        NodeKind::Sequence(items) => Value::List(items.iter().map(value).collect()),
        NodeKind::Mapping(entries) => {
            Value::Table(entries.iter().map(|entry| (entry.key.as_str().into(), value(&entry.value))).collect())
        }
    }
}

fn plain(text: &str) -> Value {
    if let Ok(number) = text.parse() {
        return Value::Integer(number);
    }
    match text {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        _ => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Float(number),
            Ok(_) | Err(_) => Value::Text(text.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_have_a_type() {
        for (text, value) in [
            ("60000", Value::Integer(60_000)),
            ("-1", Value::Integer(-1)),
            ("0.5", Value::Float(0.5)),
            ("true", Value::Boolean(true)),
            ("quorum", Value::Text("quorum".into())),
            ("inf", Value::Text("inf".into())),
        ] {
            assert_eq!(plain(text), value);
        }
    }
}
