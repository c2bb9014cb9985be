//! A producer and the thread that hears its deliveries.

use super::context::Context;
use crate::{
    fault,
    probe::{self, NoAnswer},
};
use crossdock_model::{Fault, Text};
use rdkafka::{
    ClientConfig,
    config::FromClientConfigAndContext,
    producer::{BaseProducer, Producer as _},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

/// How long deliveries are gathered before they are posted. It is slept, not polled: rdkafka's `poll` with a time limit asks
/// librdkafka for what is left of it in whole milliseconds, so that it never stops asking within the last one.
const GATHER: Duration = Duration::from_millis(1);
/// How often a producer without records is looked after: its errors, its log.
const IDLE: Duration = Duration::from_millis(200);

/// A producer, which the targets of a connection with equal options share.
pub(super) struct Producer {
    inner: BaseProducer<Context>,
    brokers: Text,
    /// A producer that librdkafka gave up: another is to be made.
    broken: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

impl Producer {
    /// Makes a producer and starts its thread, which ends when the producer has no other owner.
    pub fn new(config: &ClientConfig, brokers: &Text) -> Result<Arc<Self>, Fault> {
        let wrong = |text: String| fault::unreachable(None, &text);
        let inner = BaseProducer::from_config_and_context(config, Context::default());
        let inner = inner.map_err(|error| wrong(error.to_string()))?;
        let producer = Arc::new(Self {
            inner,
            brokers: brokers.clone(),
            broken: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        });
        let own = Arc::clone(&producer);
        let thread = thread::Builder::new().name("kafka-deliveries".into()).spawn(move || hear(own));
        let thread = thread.map_err(|error| wrong(format!("no thread: {error}")))?;
        producer.thread.get_or_init(|| thread.thread().clone());
        Ok(producer)
    }

    /// librdkafka's part.
    pub const fn inner(&self) -> &BaseProducer<Context> {
        &self.inner
    }

    /// The context.
    pub fn context(&self) -> &Context {
        self.inner.context()
    }

    /// A record is about to be given to librdkafka; its thread hears of it.
    pub fn expect_one(&self) {
        if self.context().company.join()
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// The record was not taken after all.
    pub fn forget_one(&self) {
        self.context().company.leave();
    }

    /// Whether no record is under way, of whatever target.
    pub fn is_empty(&self) -> bool {
        self.context().company.is_empty()
    }

    /// Whether librdkafka gave the producer up.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.inner.client().fatal_error().is_some()
    }

    /// It is of no use any more.
    pub fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Hears an event, if there is one; whether there was.
    fn hears(&self) -> bool {
        let heard = || self.context().heard.load(Ordering::Relaxed);
        let before = heard();
        self.inner.poll(Duration::ZERO);
        heard() != before
    }

    /// Asks the brokers whether they are there. Waits.
    ///
    /// # Errors
    /// They are not, or refuse us.
    pub fn ask(&self, topic: Option<&str>) -> Result<(), Fault> {
        let NoAnswer { code, text } =
            match probe::ask(self.inner.client(), &self.context().troubles, (&*self.brokers, topic), || {
                self.inner.poll(Duration::ZERO)
            }) {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
        Err(fault::unreachable(code, &text))
    }
}

/// Hears deliveries until nobody else owns the producer, and then ends it: that waits, which nobody else should.
fn hear(mut producer: Arc<Producer>) {
    loop {
        // A poll hears one event, which is the answers to a request.
        while producer.hears() {}
        producer.context().post();
        let idle = producer.is_empty();
        producer = match Arc::try_unwrap(producer) {
            Ok(last) => return drop(last),
            Err(shared) => shared,
        };
        thread::park_timeout(if idle { IDLE } else { GATHER });
    }
}
