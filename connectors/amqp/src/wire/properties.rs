//! The header of a message: its size and basic properties (specification §4.2.6.1).

use super::{Cursor, FrameKind, Malformed, Put, frame, table::table, write_table};
use bytes::{BufMut, Bytes, BytesMut};
use crossdock_model::{Text, Value};

const CLASS_BASIC: u16 = 60;

/// The basic properties of a message. Short strings are bytes: nothing makes a sender keep to UTF-8.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BasicProperties {
    /// Media type of the payload.
    pub content_type: Option<Bytes>,
    /// Coding of the payload.
    pub content_encoding: Option<Bytes>,
    /// User headers, in order, duplicates kept.
    pub headers: Vec<(Text, Value)>,
    /// 1 in memory, 2 on disk.
    pub delivery_mode: Option<u8>,
    /// 0 to 255, higher first.
    pub priority: Option<u8>,
    /// What a reply belongs to.
    pub correlation_id: Option<Bytes>,
    /// Where a reply goes.
    pub reply_to: Option<Bytes>,
    /// Milliseconds until nobody wants it, in decimal.
    pub expiration: Option<Bytes>,
    /// The sender's name for it.
    pub message_id: Option<Bytes>,
    /// When the sender made it, in whole seconds since 1970.
    pub timestamp: Option<u64>,
    /// What the sender calls its kind.
    pub kind: Option<Bytes>,
    /// The user that published it, which the server has checked.
    pub user_id: Option<Bytes>,
    /// The program that published it.
    pub app_id: Option<Bytes>,
    /// Of no use any more.
    pub cluster_id: Option<Bytes>,
}

/// The first of the 14 flags is the highest bit.
const fn flag(place: u16) -> u16 {
    0x8000 >> place
}

impl BasicProperties {
    /// The size of the payload, and the properties, from the payload of a header frame.
    ///
    /// # Errors
    /// The size cannot be read at all, or the size and why the properties cannot be read.
    pub fn read(payload: Bytes) -> Result<(u64, Result<Self, Malformed>), Malformed> {
        let mut cursor = Cursor::new(payload);
        let (_class, _weight) = (cursor.short()?, cursor.short()?);
        let size = cursor.long_long()?;
        Ok((size, Self::read_properties(&mut cursor)))
    }

    fn read_properties(cursor: &mut Cursor) -> Result<Self, Malformed> {
        let flags = cursor.short()?;
        if flags & 1 != 0 {
            return Err(Malformed("the header has properties that AMQP 0-9-1 does not know"));
        }
        let has = |place| flags & flag(place) != 0;
        let string = |place, cursor: &mut Cursor| has(place).then(|| cursor.short_string()).transpose();
        Ok(Self {
            content_type: string(0, cursor)?,
            content_encoding: string(1, cursor)?,
            headers: if has(2) { table(cursor.long_string()?)? } else { Vec::new() },
            delivery_mode: has(3).then(|| cursor.octet()).transpose()?,
            priority: has(4).then(|| cursor.octet()).transpose()?,
            correlation_id: string(5, cursor)?,
            reply_to: string(6, cursor)?,
            expiration: string(7, cursor)?,
            message_id: string(8, cursor)?,
            timestamp: has(9).then(|| cursor.long_long()).transpose()?,
            kind: string(10, cursor)?,
            user_id: string(11, cursor)?,
            app_id: string(12, cursor)?,
            cluster_id: string(13, cursor)?,
        })
    }

    fn flags(&self) -> u16 {
        let present = [
            self.content_type.is_some(),
            self.content_encoding.is_some(),
            !self.headers.is_empty(),
            self.delivery_mode.is_some(),
            self.priority.is_some(),
            self.correlation_id.is_some(),
            self.reply_to.is_some(),
            self.expiration.is_some(),
            self.message_id.is_some(),
            self.timestamp.is_some(),
            self.kind.is_some(),
            self.user_id.is_some(),
            self.app_id.is_some(),
            self.cluster_id.is_some(),
        ];
        (0..).zip(present).filter(|(_, present)| *present).fold(0, |flags, (place, _)| flags | flag(place))
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_u16(self.flags());
        let string = |out: &mut BytesMut, value: &Option<Bytes>| {
            if let Some(value) = value {
                out.put_short_string(value);
            }
        };
        string(out, &self.content_type);
        string(out, &self.content_encoding);
        if !self.headers.is_empty() {
            write_table(out, self.headers.iter().map(|(name, value)| (name, value)));
        }
        out.extend(self.delivery_mode);
        out.extend(self.priority);
        string(out, &self.correlation_id);
        string(out, &self.reply_to);
        string(out, &self.expiration);
        string(out, &self.message_id);
        if let Some(seconds) = self.timestamp {
            out.put_u64(seconds);
        }
        for value in [&self.kind, &self.user_id, &self.app_id, &self.cluster_id] {
            string(out, value);
        }
    }
}

/// Writes a header frame.
pub fn write_header(out: &mut BytesMut, channel: u16, size: u64, properties: &BasicProperties) {
    frame(out, FrameKind::Header, channel, |out| {
        out.put_u16(CLASS_BASIC);
        out.put_u16(0);
        out.put_u64(size);
        properties.write(out);
    });
}

#[cfg(test)]
mod tests {
    use super::super::take_frame;
    use super::*;
    use proptest::{collection::vec, option, prelude::*};

    fn short() -> impl Strategy<Value = Option<Bytes>> {
        option::of(vec(any::<u8>(), 0..256).prop_map(Bytes::from))
    }

    prop_compose! {
        fn properties()(
            strings in vec(short(), 9),
            headers in vec(("[a-zé]{0,20}", "[^\\x00]{0,20}"), 0..5),
            numbers in (option::of(any::<u8>()), option::of(any::<u8>()), option::of(any::<u64>())),
        ) -> BasicProperties {
            let mut strings = strings.into_iter();
            let mut next = || strings.next().flatten();
            BasicProperties {
                content_type: next(),
                content_encoding: next(),
                headers: headers.into_iter().map(|(name, value)| (name.into(), Value::Text(value.into()))).collect(),
                delivery_mode: numbers.0,
                priority: numbers.1,
                correlation_id: next(),
                reply_to: next(),
                expiration: next(),
                message_id: next(),
                timestamp: numbers.2,
                kind: next(),
                user_id: next(),
                app_id: next(),
                cluster_id: None,
            }
        }
    }

    proptest! {
        #[test]
        fn properties_come_back(properties in properties(), size in any::<u64>()) {
            let mut out = BytesMut::new();
            write_header(&mut out, 3, size, &properties);
            let frame = take_frame(&mut out, usize::MAX).unwrap().unwrap();
            let (read_size, read) = BasicProperties::read(frame.payload).unwrap();
            prop_assert_eq!((read_size, read), (size, Ok(properties)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
            // That it returns is what is tested.
            let _ = BasicProperties::read(Bytes::from(bytes));
        }
    }
}
