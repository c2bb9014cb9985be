//! The fixed header of a packet, looked at before the packet is there: what is too large is skipped without being kept.
//!
//! ```text
//!  byte 1: type << 4 | flags    bytes 2 to 5: remaining length, 7 bits each, least first    rest
//! ```

use super::{Delivery, QoS};

/// A fixed header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    first: u8,
    header_bytes: usize,
    /// With the fixed header.
    pub(super) packet_bytes: usize,
}

/// The fixed header at the start of the bytes; none while it is not complete.
///
/// # Errors
/// The length takes more than four bytes.
pub(super) fn peek(bytes: &[u8]) -> Result<Option<Frame>, &'static str> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let length = length(rest)?;
    Ok(length.map(|(bytes, length)| Frame { first, header_bytes: 1 + bytes, packet_bytes: 1 + bytes + length }))
}

/// How many bytes a length takes that stands at the start (§1.5.5), and the length; none while it is not complete.
///
/// # Errors
/// It takes more than four bytes.
pub(super) fn length(bytes: &[u8]) -> Result<Option<(usize, usize)>, &'static str> {
    let mut length = 0_usize;
    for at in 0..4_u32 {
        let Some(&byte) = bytes.get(at as usize) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((1 + at as usize, length)));
        }
    }
    Err("a length takes more than four bytes")
}

/// What is acknowledged of a publish whose rest is skipped or cannot be read.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Head<'a> {
    pub(super) delivery: Delivery,
    /// Whatever bytes stand there.
    pub(super) topic: &'a [u8],
    /// From the start of the packet to what stands behind topic and packet id.
    pub(super) bytes: usize,
}

impl Frame {
    pub(super) const fn is_publish(&self) -> bool {
        self.first >> 4 == 3
    }

    /// The fixed header's first byte.
    pub(super) const fn first(&self) -> u8 {
        self.first
    }

    /// How many bytes the fixed header has.
    pub(super) const fn header_bytes(&self) -> usize {
        self.header_bytes
    }

    /// Topic and packet id of the publish that the bytes begin with; none while they are not complete.
    ///
    /// # Errors
    /// They do not fit the packet.
    pub(super) fn head<'a>(&self, bytes: &'a [u8]) -> Result<Option<Head<'a>>, &'static str> {
        const WRONG: &str = "a publish has no topic or packet id";
        let qos = match self.first >> 1 & 3 {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            2 => QoS::ExactlyOnce,
            _ => return Err(WRONG),
        };
        let topic_at = self.header_bytes + 2;
        let Some(&[high, low]) = bytes.get(self.header_bytes..topic_at) else { return Ok(None) };
        let topic_end = topic_at + usize::from(u16::from_be_bytes([high, low]));
        let end = topic_end + if qos == QoS::AtMostOnce { 0 } else { 2 };
        if end > self.packet_bytes {
            return Err(WRONG);
        }
        let (Some(topic), Some(id)) = (bytes.get(topic_at..topic_end), bytes.get(topic_end..end)) else {
            return Ok(None);
        };
        let id = match id {
            [high, low] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        };
        if id == 0 && qos != QoS::AtMostOnce {
            return Err(WRONG);
        }
        let delivery = Delivery { dup: self.first & 8 != 0, qos, id };
        Ok(Some(Head { delivery, topic, bytes: end }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let packet = [0x3a, 9, 0, 3, b'a', b'/', b'b', 0, 7, 1, 2];
        let frame = peek(&packet).unwrap().unwrap();
        for cut in 0..9 {
            assert_eq!(frame.head(packet.get(..cut).unwrap()), Ok(None));
        }
        let delivery = Delivery { dup: true, qos: QoS::AtLeastOnce, id: 7 };
        let head = Head { delivery, topic: b"a/b", bytes: 9 };
        assert_eq!(frame.head(&packet), Ok(Some(head)));
        for wrong in [&[0x36, 4, 0, 0, 0, 1][..], &[0x32, 4, 0, 3, 0, 1], &[0x32, 4, 0, 0, 0, 0]] {
            let frame = peek(wrong).unwrap().unwrap();
            assert!(frame.head(wrong).is_err(), "{wrong:?}");
        }
    }
}
