//! Bytes of a connection become packets.

use super::{
    ConnAck, Incoming, Limits, PACKET_BYTES_MAX, Publish, Refused, Version,
    frame::{self, Frame},
};
use bytes::{Buf, Bytes, BytesMut};
use rumqttc_v4::mqttbytes::{FixedHeader as HeaderV4, v4};
use rumqttc_v5::mqttbytes::{FixedHeader as HeaderV5, v5};

/// Reads the packets of one connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    version: Version,
    /// A publish beyond this is skipped.
    publish_bytes_max: usize,
    /// What is still to come of a skipped one.
    skip_bytes: usize,
}

impl Decoder {
    pub(crate) const fn new(version: Version, publish_bytes_max: usize) -> Self {
        Self { version, publish_bytes_max, skip_bytes: 0 }
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// Whether something is still to come of a packet that is skipped.
    pub(crate) const fn is_skipping(&self) -> bool {
        self.skip_bytes > 0
    }

    /// The next packet, taken off the buffer; none while it is not complete, and then the buffer has room for what is
    /// missing.
    ///
    /// # Errors
    /// The bytes break the protocol, and the connection is of no further use.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Incoming>, String> {
        if self.skip_bytes > 0 {
            let some = self.skip_bytes.min(buffer.len());
            buffer.advance(some);
            self.skip_bytes -= some;
        }
        let Some(frame) = frame::peek(buffer)? else { return Ok(None) };
        if frame.is_publish() && frame.packet_bytes > self.publish_bytes_max {
            return self.skip(frame, buffer);
        }
        if frame.packet_bytes > buffer.len() {
            // Only a publish is long; what else claims to be is not given room at once.
            let missing = frame.packet_bytes - buffer.len();
            buffer.reserve(if frame.is_publish() { missing } else { missing.min(1 << 16) });
            return Ok(None);
        }
        if frame.is_publish() {
            return self.publish(frame, &buffer.split_to(frame.packet_bytes).freeze()).map(Some);
        }
        match self.version {
            Version::V4 => {
                v4::Packet::read(buffer, PACKET_BYTES_MAX).map_err(|error| error.to_string()).and_then(of_v4).map(Some)
            }
            Version::V5 => v5::Packet::read(buffer, None).map_err(|error| error.to_string()).and_then(of_v5).map(Some),
        }
    }

    /// A whole publish. One that the codec does not take ends nothing: its broker would begin the next session with it, and
    /// that one would end, too.
    fn publish(&self, frame: Frame, packet: &Bytes) -> Result<Incoming, String> {
        let read = match self.version {
            Version::V4 => publish_v4(frame, packet),
            Version::V5 => publish_v5(frame, packet),
        };
        let error = match read {
            // The broker's fault, and that of all it sends: refused, they would all be lost.
            Ok(Publish { topic, properties: Some(properties), .. })
                if topic.is_empty() && properties.topic_alias.is_some() =>
            {
                return Err("the broker sent a topic alias, which was not allowed".into());
            }
            Ok(publish) => return Ok(Incoming::Publish(publish)),
            Err(error) => error,
        };
        let Some(head) = frame.head(packet)? else { return Err(error) };
        let why = match std::str::from_utf8(head.topic) {
            Err(_) => "its topic is no UTF-8".to_owned(),
            Ok(topic) if topic.contains(['\0', '+', '#']) => "its topic holds NUL, `+` or `#`".to_owned(),
            Ok(_) => format!("it cannot be read: {error}"),
        };
        // Not a slice of the buffer, as below.
        Ok(Incoming::Malformed { delivery: head.delivery, topic: Bytes::copy_from_slice(head.topic), why })
    }

    fn skip(&mut self, frame: Frame, buffer: &mut BytesMut) -> Result<Option<Incoming>, String> {
        let Some(head) = frame.head(buffer)? else {
            buffer.reserve(1 << 16);
            return Ok(None);
        };
        let taken = head.bytes;
        let too_large = Incoming::TooLarge {
            delivery: head.delivery,
            // Not a slice of the buffer: it is kept longer than what was read with it.
            topic: Bytes::copy_from_slice(head.topic),
            packet_bytes: frame.packet_bytes,
        };
        buffer.advance(taken);
        self.skip_bytes = frame.packet_bytes - taken;
        Ok(Some(too_large))
    }
}

fn publish_v4(frame: Frame, packet: &Bytes) -> Result<Publish, String> {
    let header = HeaderV4::new(frame.first(), frame.header_bytes() - 1, frame.packet_bytes - frame.header_bytes());
    let v4::Publish { dup, qos, retain, topic, pkid: id, payload } =
        v4::Publish::read(header, packet.clone()).map_err(|error| error.to_string())?;
    Ok(Publish { dup, retain, qos, id, topic, payload, properties: None })
}

fn publish_v5(frame: Frame, packet: &Bytes) -> Result<Publish, String> {
    let header = HeaderV5::new(frame.first(), frame.header_bytes() - 1, frame.packet_bytes - frame.header_bytes());
    let v5::Publish { dup, qos, retain, topic, pkid: id, mut payload, properties } =
        v5::Publish::read(header, packet.clone()).map_err(|error| error.to_string())?;
    if properties.is_some() {
        // The codec counts a subscription identifier as a byte longer than it is, and does not see when a property is longer
        // than all are said to be. Where the payload begins the packet says.
        let beyond = payload_v5(frame, packet).filter(|rest| rest.len() <= payload.len());
        payload = beyond.ok_or("its properties reach into its payload")?;
    }
    Ok(Publish { dup, retain, qos, id, topic, payload, properties: properties.map(Box::new) })
}

/// What stands behind the properties; none where they are longer than the packet.
fn payload_v5(frame: Frame, packet: &Bytes) -> Option<Bytes> {
    let at = frame.head(packet).ok()??.bytes;
    let (length_bytes, length) = frame::length(packet.get(at..)?).ok()??;
    let payload_at = at + length_bytes + length;
    (payload_at <= packet.len()).then(|| packet.slice(payload_at..))
}

fn of_v4(packet: v4::Packet) -> Result<Incoming, String> {
    use v4::Packet as Of;
    Ok(match packet {
        Of::ConnAck(ack) => {
            let result = Refused::of_connack_v4(ack.code).map_or_else(|| Ok(Limits::default()), Err);
            Incoming::ConnAck(ConnAck { session_present: ack.session_present, result })
        }
        Of::PubAck(ack) => Incoming::PubAck(ack.pkid, Ok(())),
        Of::PubRec(ack) => Incoming::PubRec(ack.pkid, Ok(())),
        Of::PubRel(ack) => Incoming::PubRel(ack.pkid),
        Of::PubComp(ack) => Incoming::PubComp(ack.pkid),
        Of::SubAck(ack) => {
            Incoming::SubAck(ack.pkid, ack.return_codes.into_iter().map(Refused::of_suback_v4).collect())
        }
        Of::UnsubAck(_) => Incoming::UnsubAck,
        Of::PingResp => Incoming::PingResp,
        // A publish is read by itself.
        Of::Connect(_) | Of::Publish(_) | Of::Subscribe(_) | Of::Unsubscribe(_) | Of::PingReq | Of::Disconnect => {
            return Err(format!("the broker sent a {:?}, which only clients send", packet.packet_type()));
        }
    })
}

fn of_v5(packet: v5::Packet) -> Result<Incoming, String> {
    use v5::Packet as Of;
    Ok(match packet {
        Of::ConnAck(ack) => Incoming::ConnAck(connack(ack)),
        Of::PubAck(ack) => {
            let reason = ack.properties.and_then(|properties| properties.reason_string);
            Incoming::PubAck(ack.pkid, Refused::of_puback(ack.reason, reason).map_or(Ok(()), Err))
        }
        Of::PubRec(ack) => {
            let reason = ack.properties.and_then(|properties| properties.reason_string);
            Incoming::PubRec(ack.pkid, Refused::of_pubrec(ack.reason, reason).map_or(Ok(()), Err))
        }
        Of::PubRel(ack) => Incoming::PubRel(ack.pkid),
        // "Not found" ends the exchange, too: the broker has forgotten what it has passed on.
        Of::PubComp(ack) => Incoming::PubComp(ack.pkid),
        Of::SubAck(ack) => {
            let reason = ack.properties.and_then(|properties| properties.reason_string);
            let result = |code| Refused::of_suback_v5(code, reason.clone());
            Incoming::SubAck(ack.pkid, ack.return_codes.into_iter().map(result).collect())
        }
        Of::UnsubAck(_) => Incoming::UnsubAck,
        Of::PingResp => Incoming::PingResp,
        Of::Disconnect(disconnect) => Incoming::Disconnect(Refused::of_disconnect(disconnect)),
        Of::Auth(_) => return Err("the broker asks for an enhanced login, which was not offered".into()),
        Of::Connect(..) | Of::Publish(_) | Of::Subscribe(_) | Of::Unsubscribe(_) | Of::PingReq => {
            return Err(format!("the broker sent a {:?}, which only clients send", packet.packet_type()));
        }
    })
}

fn connack(ack: v5::ConnAck) -> ConnAck {
    let mut limits = Limits::default();
    let mut reason = None;
    if let Some(properties) = ack.properties {
        limits.receive_maximum = properties.receive_max.unwrap_or(u16::MAX);
        limits.qos_max = properties.max_qos.unwrap_or(2);
        limits.retain = properties.retain_available != Some(0);
        limits.keep_alive = properties.server_keep_alive;
        limits.session_expiry = properties.session_expiry_interval;
        if let Some(max) = properties.max_packet_size {
            limits.packet_bytes_max = usize::try_from(max).unwrap_or(PACKET_BYTES_MAX).min(PACKET_BYTES_MAX);
        }
        reason = properties.reason_string;
    }
    let result = Refused::of_connack_v5(ack.code, reason).map_or(Ok(limits), Err);
    ConnAck { session_present: ack.session_present, result }
}

#[cfg(test)]
mod tests {
    use super::super::{PublishProperties, QoS, publish};
    use super::*;
    use proptest::prelude::*;

    /// Reads all packets of the bytes, which come in pieces; whatever they are, that ends.
    fn read(version: Version, bytes: &[u8], piece: usize, publish_bytes_max: usize) -> Result<Vec<Incoming>, String> {
        let (mut decoder, mut buffer) = (Decoder::new(version, publish_bytes_max), BytesMut::new());
        let mut packets = Vec::new();
        for piece in bytes.chunks(piece.max(1)) {
            buffer.extend_from_slice(piece);
            while let Some(packet) = decoder.next(&mut buffer)? {
                packets.push(packet);
            }
        }
        Ok(packets)
    }

    fn written(version: Version, payload: &[u8], id: u16, with_properties: bool) -> Vec<u8> {
        let properties = PublishProperties {
            content_type: Some("text/plain".into()),
            user_properties: vec![("a".into(), "b".into())],
            subscription_identifiers: vec![1, 300],
            message_expiry_interval: Some(9),
            ..PublishProperties::default()
        };
        let packet = Publish {
            dup: false,
            retain: true,
            qos: QoS::AtLeastOnce,
            id,
            topic: Bytes::from_static(b"a/b"),
            payload: Bytes::copy_from_slice(payload),
            properties: (with_properties && version == Version::V5).then(|| Box::new(properties)),
        };
        let mut out = BytesMut::new();
        publish(version, packet, PACKET_BYTES_MAX, &mut out).unwrap();
        out.to_vec()
    }

    /// Subscription identifiers 1 and 2, and payload format 1, behind which the payload begins; and a content type of three
    /// bytes where only one is left of the properties.
    #[test]
    fn the_payload_begins_where_the_properties_end() {
        let packet = |rest: &[u8]| [&[0x32, u8::try_from(5 + rest.len()).unwrap(), 0, 1, b'a', 0, 7], rest].concat();
        let found = read(Version::V5, &packet(b"\x06\x0b\x01\x0b\x02\x01\x01payload"), 100, 1 << 20).unwrap();
        let [Incoming::Publish(publish)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(&publish.payload[..], b"payload");
        let found = read(Version::V5, &packet(b"\x04\x03\0\x03xpayload"), 100, 1 << 20).unwrap();
        assert!(matches!(&found[..], [Incoming::Malformed { delivery, .. }] if delivery.id == 7), "{found:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_packets_or_an_error(bytes: Vec<u8>, piece in 1..40_usize) {
            for version in [Version::V4, Version::V5] {
                drop(read(version, &bytes, piece, 1 << 20));
            }
        }

        #[test]
        fn spoilt_publishes_do_no_harm(at in 0..60_usize, byte: u8, cut in 0..60_usize) {
            for version in [Version::V4, Version::V5] {
                let mut bytes = written(version, b"payload", 7, true);
                if let Some(spoilt) = bytes.get_mut(at) {
                    *spoilt = byte;
                }
                bytes.truncate(cut.max(2));
                drop(read(version, &bytes, 100, 1 << 20));
            }
        }

        #[test]
        fn what_is_written_is_read_in_any_pieces(
            payload in proptest::collection::vec(any::<u8>(), 0..600),
            id in 1..=u16::MAX,
            piece in 1..700_usize,
        ) {
            for version in [Version::V4, Version::V5] {
                let one = written(version, &payload, id, true);
                let packets = read(version, &[&one[..], &one[..], &[0xd0, 0]].concat(), piece, 1 << 20).unwrap();
                prop_assert_eq!(packets.len(), 3);
                for packet in &packets[..2] {
                    let Incoming::Publish(found) = packet else { panic!("{packet:?}") };
                    prop_assert_eq!((found.id, &*found.topic, &found.payload[..]), (id, &b"a/b"[..], &payload[..]));
                    prop_assert_eq!(found.properties.is_some(), version == Version::V5);
                }
                // Too large, it is skipped, and what stands behind it is found.
                let packets = read(version, &[&one[..], &[0xd0, 0]].concat(), piece, 8).unwrap();
                let skipped = matches!(&packets[..], [Incoming::TooLarge { delivery, .. }, Incoming::PingResp] if delivery.id == id);
                prop_assert!(skipped, "{:?}", packets);
            }
        }
    }
}
