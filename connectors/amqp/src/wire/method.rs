//! Methods: what the server says, read; what a client says, written (specification, XML of the classes).

use super::{Cursor, FrameKind, Malformed, Put, frame, table::lossy, write_table};
use bytes::{BufMut, Bytes, BytesMut};
use crossdock_model::{Text, Value};

/// What the server says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Method {
    /// The connection begins; the server's SASL mechanisms, with spaces between.
    Start { mechanisms: Bytes },
    /// The server asks for more than a password.
    Secure,
    /// What the server proposes; 0 is no limit.
    Tune { channel_max: u16, frame_max: u32, heartbeat_seconds: u16 },
    /// The virtual host is open.
    OpenOk,
    /// The connection ends, and why.
    Close { code: u16, text: Text },
    /// The end of the connection is heard.
    CloseOk,
    /// A channel is open.
    ChannelOpenOk,
    /// A channel ends, and why.
    ChannelClose { code: u16, text: Text },
    /// The end of a channel is heard.
    ChannelCloseOk,
    /// An exchange is declared.
    ExchangeDeclareOk,
    /// A queue is declared.
    QueueDeclareOk { queue: Text },
    /// A queue is bound.
    QueueBindOk,
    /// The prefetch is set.
    QosOk,
    /// The consumer is there.
    ConsumeOk,
    /// The consumer is gone: it was cancelled by us.
    CancelOk,
    /// A message comes; header and body follow.
    Deliver { tag: u64, redelivered: bool, exchange: Bytes, routing_key: Bytes },
    /// A message that we published went to no queue; header and body follow.
    Return { code: u16, text: Text, exchange: Bytes, routing_key: Bytes },
    /// Confirms are on.
    ConfirmSelectOk,
    /// What the server says unasked.
    Told(Told),
    /// What has no meaning for us.
    Other { class: u16, method: u16 },
}

/// What the server says unasked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// Publishing is stopped, and why.
    Blocked(Text),
    /// Publishing goes on.
    Unblocked,
    /// Whether the channel may send.
    Flow(bool),
    /// The consumer is gone: its queue was deleted, or is elsewhere now.
    Cancel,
    /// What we published is safe: this one, or all up to it.
    Ack { tag: u64, multiple: bool },
    /// What we published was not taken.
    Nack { tag: u64, multiple: bool },
}

impl Method {
    /// Reads a method frame's payload.
    ///
    /// # Errors
    /// It ends early.
    pub fn read(payload: Bytes) -> Result<Self, Malformed> {
        let mut at = Cursor::new(payload);
        let (class, method) = (at.short()?, at.short()?);
        let method = match (class, method) {
            (10, 10) => {
                let (_version, _properties) = (at.short()?, at.long_string()?);
                Self::Start { mechanisms: at.long_string()? }
            }
            (10, 20) => Self::Secure,
            (10, 30) => Self::Tune { channel_max: at.short()?, frame_max: at.long()?, heartbeat_seconds: at.short()? },
            (10, 41) => Self::OpenOk,
            (10, 50) => Self::Close { code: at.short()?, text: lossy(at.short_string()?) },
            (10, 51) => Self::CloseOk,
            (10, 60) => Self::Told(Told::Blocked(lossy(at.short_string()?))),
            (10, 61) => Self::Told(Told::Unblocked),
            (20, 11) => Self::ChannelOpenOk,
            (20, 20) => Self::Told(Told::Flow(at.octet()? & 1 != 0)),
            (20, 40) => Self::ChannelClose { code: at.short()?, text: lossy(at.short_string()?) },
            (20, 41) => Self::ChannelCloseOk,
            (40, 11) => Self::ExchangeDeclareOk,
            (50, 11) => Self::QueueDeclareOk { queue: lossy(at.short_string()?) },
            (50, 21) => Self::QueueBindOk,
            (60, 11) => Self::QosOk,
            (60, 21) => Self::ConsumeOk,
            (60, 30) => Self::Told(Told::Cancel),
            (60, 31) => Self::CancelOk,
            (60, 50) => Self::Return {
                code: at.short()?,
                text: lossy(at.short_string()?),
                exchange: at.short_string()?,
                routing_key: at.short_string()?,
            },
            (60, 60) => {
                let _consumer = at.short_string()?;
                Self::Deliver {
                    tag: at.long_long()?,
                    redelivered: at.octet()? & 1 != 0,
                    exchange: at.short_string()?,
                    routing_key: at.short_string()?,
                }
            }
            (60, 80) => Self::Told(Told::Ack { tag: at.long_long()?, multiple: at.octet()? & 1 != 0 }),
            (60, 120) => Self::Told(Told::Nack { tag: at.long_long()?, multiple: at.octet()? & 1 != 0 }),
            (85, 11) => Self::ConfirmSelectOk,
            (class, method) => Self::Other { class, method },
        };
        Ok(method)
    }
}

fn method(out: &mut BytesMut, channel: u16, class: u16, method: u16, arguments: impl FnOnce(&mut BytesMut)) {
    frame(out, FrameKind::Method, channel, |out| {
        out.put_u16(class);
        out.put_u16(method);
        arguments(out);
    });
}

/// What a client says: each appends a frame.
pub mod send {
    use super::*;

    /// Bits of one octet, the first the lowest.
    fn bits<const N: usize>(flags: [bool; N]) -> u8 {
        flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag))
    }

    fn arguments(out: &mut BytesMut, table: &[(Text, Value)]) {
        write_table(out, table.iter().map(|(name, value)| (name, value)));
    }

    /// Who we are.
    pub fn start_ok(out: &mut BytesMut, properties: &[(Text, Value)], mechanism: &str, response: &[u8]) {
        method(out, 0, 10, 11, |out| {
            arguments(out, properties);
            out.put_short_string(mechanism.as_bytes());
            out.put_long_string(response);
            out.put_short_string(b"en_US");
        });
    }

    /// What we agree to.
    pub fn tune_ok(out: &mut BytesMut, channel_max: u16, frame_max: u32, heartbeat_seconds: u16) {
        method(out, 0, 10, 31, |out| {
            out.put_u16(channel_max);
            out.put_u32(frame_max);
            out.put_u16(heartbeat_seconds);
        });
    }

    /// The virtual host we want.
    pub fn open(out: &mut BytesMut, vhost: &str) {
        method(out, 0, 10, 40, |out| {
            out.put_short_string(vhost.as_bytes());
            out.put_slice(&[0, 0]);
        });
    }

    /// We go.
    pub fn close(out: &mut BytesMut) {
        method(out, 0, 10, 50, |out| {
            out.put_u16(200);
            out.put_short_string(b"goodbye");
            out.put_u32(0);
        });
    }

    /// We heard that the connection ends.
    pub fn close_ok(out: &mut BytesMut) {
        method(out, 0, 10, 51, |_| {});
    }

    /// A channel.
    pub fn channel_open(out: &mut BytesMut, channel: u16) {
        method(out, channel, 20, 10, |out| out.put_u8(0));
    }

    /// We heard that the channel ends.
    pub fn channel_close_ok(out: &mut BytesMut, channel: u16) {
        method(out, channel, 20, 41, |_| {});
    }

    /// We heard whether the channel may send.
    pub fn flow_ok(out: &mut BytesMut, channel: u16, active: bool) {
        method(out, channel, 20, 21, |out| out.put_u8(u8::from(active)));
    }

    /// We live.
    pub fn heartbeat(out: &mut BytesMut) {
        frame(out, FrameKind::Heartbeat, 0, |_| {});
    }

    /// An exchange that is to be there.
    #[derive(Clone, PartialEq, Debug, Default)]
    pub struct Exchange {
        /// Its name.
        pub name: Text,
        /// `direct`, `fanout`, `topic`, `headers`, or a plugin's.
        pub kind: Text,
        /// Whether it outlives the server.
        pub durable: bool,
        /// Whether it goes with its last binding.
        pub auto_delete: bool,
        /// Whether only other exchanges may send to it.
        pub internal: bool,
        /// Further arguments.
        pub arguments: Vec<(Text, Value)>,
    }

    /// A queue that is to be there.
    #[derive(Clone, PartialEq, Debug, Default)]
    pub struct Queue {
        /// Its name; the server makes one of an empty name.
        pub name: Text,
        /// Whether it outlives the server.
        pub durable: bool,
        /// Whether it is this connection's alone, and goes with it.
        pub exclusive: bool,
        /// Whether it goes with its last consumer.
        pub auto_delete: bool,
        /// Further arguments.
        pub arguments: Vec<(Text, Value)>,
    }

    /// Makes an exchange, or checks that it is as told.
    pub fn exchange_declare(out: &mut BytesMut, channel: u16, exchange: &Exchange) {
        method(out, channel, 40, 10, |out| {
            out.put_u16(0);
            out.put_short_string(exchange.name.as_bytes());
            out.put_short_string(exchange.kind.as_bytes());
            out.put_u8(bits([false, exchange.durable, exchange.auto_delete, exchange.internal, false]));
            arguments(out, &exchange.arguments);
        });
    }

    /// Asks whether an exchange is there.
    pub fn exchange_exists(out: &mut BytesMut, channel: u16, name: &[u8]) {
        method(out, channel, 40, 10, |out| {
            out.put_u16(0);
            out.put_short_string(name);
            out.put_short_string(b"direct");
            out.put_u8(bits([true, false, false, false, false]));
            out.put_u32(0);
        });
    }

    /// Makes a queue, or checks that it is as told.
    pub fn queue_declare(out: &mut BytesMut, channel: u16, queue: &Queue) {
        method(out, channel, 50, 10, |out| {
            out.put_u16(0);
            out.put_short_string(queue.name.as_bytes());
            out.put_u8(bits([false, queue.durable, queue.exclusive, queue.auto_delete, false]));
            arguments(out, &queue.arguments);
        });
    }

    /// Has an exchange send to a queue.
    pub fn queue_bind(
        out: &mut BytesMut,
        channel: u16,
        (queue, exchange, routing_key): (&str, &str, &str),
        table: &[(Text, Value)],
    ) {
        method(out, channel, 50, 20, |out| {
            out.put_u16(0);
            for name in [queue, exchange, routing_key] {
                out.put_short_string(name.as_bytes());
            }
            out.put_u8(0);
            arguments(out, table);
        });
    }

    /// How many messages may be on their way to us without an acknowledgement, for each consumer.
    pub fn qos(out: &mut BytesMut, channel: u16, prefetch: u16) {
        method(out, channel, 60, 10, |out| {
            out.put_u32(0);
            out.put_u16(prefetch);
            out.put_u8(0);
        });
    }

    /// Begins to receive.
    pub fn consume(out: &mut BytesMut, channel: u16, queue: &str, exclusive: bool, table: &[(Text, Value)]) {
        method(out, channel, 60, 20, |out| {
            out.put_u16(0);
            out.put_short_string(queue.as_bytes());
            out.put_short_string(b"");
            out.put_u8(bits([false, false, exclusive, false]));
            arguments(out, table);
        });
    }

    /// A message; header and body follow.
    pub fn publish(out: &mut BytesMut, channel: u16, exchange: &[u8], routing_key: &[u8], mandatory: bool) {
        method(out, channel, 60, 40, |out| {
            out.put_u16(0);
            out.put_short_string(exchange);
            out.put_short_string(routing_key);
            out.put_u8(bits([mandatory, false]));
        });
    }

    /// Messages are ours: all up to this one.
    pub fn ack_up_to(out: &mut BytesMut, channel: u16, tag: u64) {
        method(out, channel, 60, 80, |out| {
            out.put_u64(tag);
            out.put_u8(1);
        });
    }

    /// A message is not wanted, and is not to come again.
    pub fn reject(out: &mut BytesMut, channel: u16, tag: u64) {
        method(out, channel, 60, 90, |out| {
            out.put_u64(tag);
            out.put_u8(0);
        });
    }

    /// Asks that what is published be confirmed.
    pub fn confirm_select(out: &mut BytesMut, channel: u16) {
        method(out, channel, 85, 10, |out| out.put_u8(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(class: u16, id: u16, arguments: &[u8]) -> Result<Method, Malformed> {
        Method::read(Bytes::from([&class.to_be_bytes(), &id.to_be_bytes(), arguments].concat()))
    }

    #[test]
    fn reads_what_the_server_says() {
        let deliver = b"\x03tag\x00\x00\x00\x00\x00\x00\x00\x07\x01\x02ex\x01\xff";
        for (class, id, arguments, method) in [
            (
                10,
                30,
                &b"\x07\xff\x00\x02\x00\x00\x00\x3c"[..],
                Method::Tune { channel_max: 2047, frame_max: 131_072, heartbeat_seconds: 60 },
            ),
            (20, 40, b"\x01\x94\x04nope\x00\x00\x00\x00", Method::ChannelClose { code: 404, text: "nope".into() }),
            (
                60,
                60,
                deliver,
                Method::Deliver {
                    tag: 7,
                    redelivered: true,
                    exchange: Bytes::from_static(b"ex"),
                    routing_key: Bytes::from_static(b"\xff"),
                },
            ),
            (60, 80, b"\x00\x00\x00\x00\x00\x00\x00\x09\x01", Method::Told(Told::Ack { tag: 9, multiple: true })),
            (60, 120, b"\x00\x00\x00\x00\x00\x00\x00\x09\x02", Method::Told(Told::Nack { tag: 9, multiple: false })),
            (99, 1, b"", Method::Other { class: 99, method: 1 }),
        ] {
            assert_eq!(read(class, id, arguments), Ok(method));
        }
        assert!(read(60, 60, b"\x03ta").is_err());
        assert!(Method::read(Bytes::from_static(b"\x00")).is_err());
    }

    #[test]
    fn flags_stand_in_the_order_of_the_specification() {
        let mut out = BytesMut::new();
        send::exchange_declare(
            &mut out,
            1,
            &send::Exchange { name: "e".into(), kind: "topic".into(), durable: true, ..send::Exchange::default() },
        );
        assert_eq!(&out[7..], b"\x00\x28\x00\x0a\x00\x00\x01e\x05topic\x02\x00\x00\x00\x00\xce");
        out.clear();
        send::publish(&mut out, 1, b"", b"q", true);
        assert_eq!(&out[7..], b"\x00\x3c\x00\x28\x00\x00\x00\x01q\x01\xce");
    }
}
