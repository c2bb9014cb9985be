//! AMQP 0-9-1 as a source and a target.
