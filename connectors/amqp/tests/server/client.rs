//! A client of RabbitMQ that is not ours (lapin), for what the tests put in and take out.

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    message::BasicGetMessage,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
        QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::FieldTable,
};

/// A connection with a channel that confirms.
pub struct Client {
    channel: Channel,
    _connection: Connection,
}

impl Client {
    pub async fn connect(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { channel, _connection: connection }
    }

    /// A durable queue.
    pub async fn declare(&self, queue: &str) {
        self.declare_with(queue, FieldTable::default()).await;
    }

    pub async fn declare_with(&self, queue: &str, arguments: FieldTable) {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), options, arguments).await.unwrap();
    }

    pub async fn delete(&self, queue: &str) {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    pub async fn bind(&self, queue: &str, exchange: &str, routing_key: &str) {
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        self.channel.queue_bind(queue.into(), exchange.into(), routing_key.into(), options, none).await.unwrap();
    }

    pub async fn declare_exchange(&self, exchange: &str) {
        let (options, none) = (ExchangeDeclareOptions::default(), FieldTable::default());
        self.channel.exchange_declare(exchange.into(), ExchangeKind::Fanout, options, none).await.unwrap();
    }

    pub async fn delete_exchange(&self, exchange: &str) {
        self.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await.unwrap();
    }

    /// Messages that wait in the queue, those that are with a consumer not counted.
    pub async fn depth(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().message_count()
    }

    pub async fn publish(&self, (exchange, routing_key): (&str, &str), payload: &[u8], properties: BasicProperties) {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let published = self.channel.basic_publish(exchange.into(), routing_key.into(), options, payload, properties);
        assert!(published.await.unwrap().await.unwrap().is_ack());
    }

    /// Publishes to a queue, persistent, without waiting for each.
    pub async fn put(&self, queue: &str, messages: impl IntoIterator<Item = (Vec<u8>, BasicProperties)>) {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let mut confirms = Vec::new();
        for (payload, properties) in messages {
            let properties = properties.with_delivery_mode(2);
            let published = self.channel.basic_publish("".into(), queue.into(), options, &payload, properties);
            confirms.push(published.await.unwrap());
        }
        for confirm in confirms {
            assert!(confirm.await.unwrap().is_ack());
        }
    }

    /// A message, which is acknowledged by taking it.
    pub async fn get(&self, queue: &str) -> Option<BasicGetMessage> {
        self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap()
    }
}
