//! Frames (specification §2.3.5):
//!
//! ```text
//!  0      1         3      7              size+7
//!  ┌──────┬─────────┬──────┬─────────────┬──────┐
//!  │ type │ channel │ size │   payload   │ 0xCE │
//!  └──────┴─────────┴──────┴─────────────┴──────┘
//! ```

use super::{FRAME_EXTRA_BYTES, Malformed, Put};
use bytes::{Buf, BufMut, Bytes, BytesMut};

const END: u8 = 0xCE;
const HEAD_BYTES: usize = 7;
/// A payload from this size on is a slice of what was received; a smaller one is copied, so that it does not keep the
/// whole buffer in memory.
const SHARED_BYTES_MIN: usize = 16 << 10;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// A method with its arguments.
    Method = 1,
    /// The size and the properties of a message.
    Header = 2,
    /// A part of a message's payload.
    Body = 3,
    /// Nothing: the peer is alive.
    Heartbeat = 8,
}

/// A frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What it holds.
    pub kind: FrameKind,
    /// Its channel; 0 is the connection.
    pub channel: u16,
    /// What it holds, by kind.
    pub payload: Bytes,
}

/// Takes the first frame off what was received; none if it is not all there.
///
/// # Errors
/// It is no frame, or longer than was agreed.
pub fn take_frame(received: &mut BytesMut, frame_bytes_max: usize) -> Result<Option<Frame>, Malformed> {
    let Some(mut head) = received.get(..HEAD_BYTES) else { return Ok(None) };
    let kind = match head.get_u8() {
        1 => FrameKind::Method,
        2 => FrameKind::Header,
        3 => FrameKind::Body,
        8 => FrameKind::Heartbeat,
        b'A' => return Err(Malformed("the server speaks another version of AMQP: 0-9-1 is needed")),
        _ => return Err(Malformed("a frame of an unknown type: is this an AMQP server?")),
    };
    let (channel, size) = (head.get_u16(), usize::try_from(head.get_u32()).unwrap_or(usize::MAX));
    let Some(whole) = size.checked_add(FRAME_EXTRA_BYTES).filter(|whole| *whole <= frame_bytes_max) else {
        return Err(Malformed("a frame is longer than was agreed"));
    };
    let Some(end) = received.get(whole - 1) else { return Ok(None) };
    if *end != END {
        return Err(Malformed("a frame does not end where it should"));
    }
    received.advance(HEAD_BYTES);
    let payload = if size < SHARED_BYTES_MIN {
        let payload = Bytes::copy_from_slice(received.get(..size).unwrap_or_default());
        received.advance(size);
        payload
    } else {
        received.split_to(size).freeze()
    };
    received.advance(1);
    Ok(Some(Frame { kind, channel, payload }))
}

/// Writes a frame.
pub fn frame(out: &mut BytesMut, kind: FrameKind, channel: u16, payload: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind as u8);
    out.put_u16(channel);
    out.put_measured(payload);
    out.put_u8(END);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_whole_however_they_are_cut() {
        let mut bytes = BytesMut::new();
        let large = vec![7; 20_000];
        frame(&mut bytes, FrameKind::Method, 1, |out| out.put_slice(b"ab"));
        frame(&mut bytes, FrameKind::Heartbeat, 0, |_| {});
        frame(&mut bytes, FrameKind::Body, 9, |out| out.put_slice(&large));
        let (mut received, mut got) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(3) {
            received.extend_from_slice(piece);
            while let Some(frame) = take_frame(&mut received, 1 << 17).unwrap() {
                got.push((frame.kind, frame.channel, frame.payload.len()));
            }
        }
        assert_eq!(got, [(FrameKind::Method, 1, 2), (FrameKind::Heartbeat, 0, 0), (FrameKind::Body, 9, 20_000)]);
        assert!(received.is_empty());
    }

    #[test]
    fn what_is_no_frame_is_said_so() {
        for bytes in [
            &b"HTTP/1.1 400"[..],
            b"AMQP\x00\x00\x09\x01",
            b"\x01\x00\x00\x00\x00\x00\x00\x00",
            b"\x01\x00\x00\xff\xff\xff\xff",
        ] {
            assert!(take_frame(&mut BytesMut::from(bytes), 4096).is_err(), "{bytes:?}");
        }
    }
}
