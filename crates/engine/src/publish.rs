//! Publishing: a message is given to a channel by name, past every route's door.

use crate::{
    Gateway, RequestError,
    gateway::no_channel,
    limits::{PUBLISHER_KEY_WINDOW, SENDER_KEYS_MAX},
};
use crossdock_model::{DigestBuilder, Envelope, MessageId, Text};
use crossdock_store::{EncodedMessage, KeyClaim, PutResult, Txn};

impl Gateway {
    /// Appends a message to a channel; answers when it is stored. The caller makes id and origin.
    ///
    /// Under a key (`Idempotency-Key`) a message is stored once within a day, as at a route's door: it has an id made of the key
    /// then, and who repeats it hears that id again.
    ///
    /// # Errors
    /// There is no such channel, it is full, another body came under the key, or the store cannot take it.
    pub async fn publish(
        &self,
        channel: &str,
        mut envelope: Envelope,
        key: Option<&[u8]>,
    ) -> Result<MessageId, RequestError> {
        let to = self.0.channels.get(channel).filter(|channel| !channel.hidden).ok_or_else(|| no_channel(channel))?;
        let claim = key.map(|key| self.claim(channel, &mut envelope, key));
        let message = EncodedMessage::new(&envelope, None);
        let max = self.0.shared.plan.gateway().store.message_bytes_max();
        if message.len() as u64 > max {
            return Err(RequestError::TooLarge(format!("the message has {} bytes, {max} are the most", message.len())));
        }
        if let Some(why) = to.never_holds(message.len()) {
            return Err(RequestError::TooLarge(why));
        }
        let mut put = to.put(message, 0);
        put.keys.extend(claim);
        let committed = self.0.commit(Txn { puts: vec![put], ..Txn::default() }).await?;
        match committed.puts.first() {
            Some(PutResult::Stored { .. }) => {
                to.count_appended(1);
                Ok(envelope.id)
            }
            Some(PutResult::Duplicate { id }) => Ok(*id),
            Some(PutResult::Conflict { .. }) => {
                let text = "another message came under the same Idempotency-Key: use a new key for a new message";
                Err(RequestError::Unprocessable(text.into()))
            }
            Some(PutResult::Full) | None => Err(RequestError::Unavailable(format!("the channel `{channel}` is full"))),
        }
    }

    /// What a message claims under a key, which gives it its id.
    fn claim(&self, channel: &str, envelope: &mut Envelope, key: &[u8]) -> KeyClaim {
        let hash = DigestBuilder::new("publish.idempotency_key").part(channel.as_bytes()).part(key).finish();
        let body = DigestBuilder::new("publish.body").part(envelope.bytes()).finish();
        envelope.id = MessageId::from_digest(hash);
        KeyClaim {
            scope: Text::from(format!("publish:{channel}")),
            hash,
            body,
            until: self.0.shared.time.now().after(PUBLISHER_KEY_WINDOW),
            id: envelope.id,
            keys_max: SENDER_KEYS_MAX,
            place: None,
        }
    }
}
