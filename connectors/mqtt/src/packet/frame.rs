//! The fixed header of a packet, looked at before the packet is there: what is too large is skipped without being kept.
//!
//! ```text
//!  byte 1: type << 4 | flags    bytes 2 to 5: remaining length, 7 bits each, least first    rest
//! ```

use super::QoS;
use bytes::{Buf, Bytes, BytesMut};

/// A fixed header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    first: u8,
    head_bytes: usize,
    /// With the fixed header.
    pub(super) packet_bytes: usize,
}

/// The fixed header at the start of the bytes; none while it is not complete.
///
/// # Errors
/// The length takes more than four bytes.
pub(super) fn peek(bytes: &[u8]) -> Result<Option<Frame>, &'static str> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let mut length = 0_usize;
    for at in 0..4_u32 {
        let Some(&byte) = rest.get(at as usize) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let head_bytes = 2 + at as usize;
            return Ok(Some(Frame { first, head_bytes, packet_bytes: head_bytes + length }));
        }
    }
    Err("a packet's length takes more than four bytes")
}

/// What is acknowledged of a publish that is not kept.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) qos: QoS,
    pub(super) id: u16,
    pub(super) topic: Bytes,
}

impl Frame {
    pub(super) const fn is_publish(&self) -> bool {
        self.first >> 4 == 3
    }

    /// Takes topic and packet id of a publish off the buffer; none while they are not complete. What is left of the packet
    /// is then `packet_bytes` less what was taken.
    ///
    /// # Errors
    /// They do not fit the packet.
    pub(super) fn take_head(&self, buffer: &mut BytesMut) -> Result<Option<Head>, &'static str> {
        const WRONG: &str = "a publish has no topic or packet id";
        let qos = self.qos().ok_or(WRONG)?;
        let length_at = self.head_bytes;
        let Some(&[high, low]) = buffer.get(length_at..length_at + 2) else { return Ok(None) };
        let topic_bytes = usize::from(u16::from_be_bytes([high, low]));
        let head_bytes = length_at + 2 + topic_bytes + if qos == QoS::AtMostOnce { 0 } else { 2 };
        if head_bytes > self.packet_bytes {
            return Err(WRONG);
        }
        if buffer.len() < head_bytes {
            return Ok(None);
        }
        let mut head = buffer.split_to(head_bytes).freeze();
        head.advance(length_at + 2);
        let topic = head.split_to(topic_bytes);
        let id = if qos == QoS::AtMostOnce { 0 } else { head.get_u16() };
        if id == 0 && qos != QoS::AtMostOnce {
            return Err(WRONG);
        }
        Ok(Some(Head { qos, id, topic }))
    }
}

impl Frame {
    fn qos(&self) -> Option<QoS> {
        match self.first >> 1 & 3 {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            2 => Some(QoS::ExactlyOnce),
            _ => None,
        }
    }

    /// What is acknowledged of a publish that is all there, without taking it: its QoS and packet id, 0 without one. None if
    /// they do not fit the packet.
    pub(super) fn answerable(&self, bytes: &[u8]) -> Option<(QoS, u16)> {
        let qos = self.qos()?;
        let packet = bytes.get(self.head_bytes..self.packet_bytes)?;
        let (topic_bytes, rest) = packet.split_first_chunk()?;
        let behind = rest.get(usize::from(u16::from_be_bytes(*topic_bytes))..)?;
        if qos == QoS::AtMostOnce {
            return Some((qos, 0));
        }
        let id = u16::from_be_bytes(*behind.first_chunk()?);
        (id > 0).then_some((qos, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_is_seen_without_taking_it() {
        let id_and_qos = |packet: &[u8]| peek(packet).unwrap().unwrap().answerable(packet);
        assert_eq!(id_and_qos(&[0x32, 9, 0, 3, b'a', 0, b'b', 0, 7, 1, 2]), Some((QoS::AtLeastOnce, 7)));
        assert_eq!(id_and_qos(&[0x34, 4, 0, 0, 1, 2]), Some((QoS::ExactlyOnce, 258)));
        assert_eq!(id_and_qos(&[0x30, 3, 0, 1, 0xff]), Some((QoS::AtMostOnce, 0)));
        let wrong: [&[u8]; 5] = [
            &[0x36, 4, 0, 0, 0, 1],
            &[0x32, 4, 0, 3, 0, 1],
            &[0x32, 4, 0, 0, 0, 0],
            &[0x32, 3, 0, 0, 1],
            &[0x32, 9, 0, 0, 0, 1],
        ];
        assert!(wrong.iter().all(|packet| id_and_qos(packet).is_none()));
    }

    #[test]
    fn lengths() {
        for (bytes, expected) in [
            (&[][..], Ok(None)),
            (&[0x30], Ok(None)),
            (&[0x30, 0], Ok(Some(2))),
            (&[0x30, 0x80], Ok(None)),
            (&[0x30, 0x80, 1], Ok(Some(131))),
            (&[0x30, 0xff, 0xff, 0xff, 0x7f], Ok(Some(268_435_460))),
            (&[0x30, 0xff, 0xff, 0xff, 0xff], Err(())),
        ] {
            let found = peek(bytes).map(|frame| frame.map(|frame| frame.packet_bytes)).map_err(drop);
            assert_eq!(found, expected, "{bytes:?}");
        }
    }

    #[test]
    fn heads_wait_for_their_bytes() {
        let packet = [0x32, 9, 0, 3, b'a', b'/', b'b', 0, 7, 1, 2];
        let frame = peek(&packet).unwrap().unwrap();
        for cut in 0..9 {
            let mut buffer = BytesMut::from(packet.get(..cut).unwrap());
            assert_eq!(frame.take_head(&mut buffer), Ok(None));
            assert_eq!(buffer.len(), cut);
        }
        let mut buffer = BytesMut::from(&packet[..]);
        let head = frame.take_head(&mut buffer).unwrap().unwrap();
        assert_eq!((head.qos, head.id, &*head.topic, &*buffer), (QoS::AtLeastOnce, 7, &b"a/b"[..], &[1, 2][..]));
        for wrong in [&[0x36, 4, 0, 0, 0, 1][..], &[0x32, 4, 0, 3, 0, 1], &[0x32, 4, 0, 0, 0, 0]] {
            let frame = peek(wrong).unwrap().unwrap();
            assert!(frame.take_head(&mut BytesMut::from(wrong)).is_err(), "{wrong:?}");
        }
    }
}
