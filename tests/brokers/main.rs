//! The real program between real servers: RabbitMQ, Kafka and Mosquitto, with their own clients at both ends.

#[cfg(test)]
mod bridges;
#[cfg(test)]
mod events;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod place;
