//! The broker's answers to what a connection begins with: UNSUBSCRIBE of what is wanted no more, SUBSCRIBE of all that is.

use crate::{
    link::Ended,
    packet::{QoS, Refused, Why},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The answers that are still to come.
#[derive(Debug)]
pub(super) struct Answers {
    suback: Option<Subscribe>,
    unsuback: bool,
    /// How long a broker may take that says nothing else either.
    timeout: Duration,
    /// Since when it could have answered.
    since: Instant,
}

/// What a SUBSCRIBE asked for.
#[derive(Debug)]
pub(super) struct Subscribe {
    pub(super) id: u16,
    /// In the order in which they are answered.
    pub(super) filters: Arc<[String]>,
    pub(super) qos: QoS,
}

impl Answers {
    /// The answers to a SUBSCRIBE, and to an UNSUBSCRIBE before it if there was one.
    pub(super) fn new(subscribe: Subscribe, unsubscribe: bool, timeout: Duration) -> Self {
        Self { suback: Some(subscribe), unsuback: unsubscribe, timeout, since: Instant::now() }
    }

    pub(super) const fn are_complete(&self) -> bool {
        self.suback.is_none() && !self.unsuback
    }

    /// Something came that may stand before an answer, or nobody listened.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.since = now;
    }

    /// Whether the broker takes too long.
    ///
    /// # Errors
    /// It does.
    pub(super) fn check(&self, now: Instant) -> Result<(), Ended> {
        let missing = match (&self.suback, self.unsuback) {
            (Some(_), _) => "SUBSCRIBE",
            (None, true) => "UNSUBSCRIBE",
            (None, false) => return Ok(()),
        };
        if now.duration_since(self.since) <= self.timeout {
            return Ok(());
        }
        Err(Ended::broken(format!("the broker did not answer the {missing} within {:?}", self.timeout)))
    }

    /// The UNSUBSCRIBE is answered; whatever it says, there is nothing to do about it.
    pub(super) const fn unsubscribed(&mut self) {
        self.unsuback = false;
    }

    /// The SUBSCRIBE is answered.
    ///
    /// # Errors
    /// Not all is granted, or it answers something else.
    pub(super) fn subscribed(&mut self, id: u16, results: Vec<Result<QoS, Refused>>) -> Result<(), Ended> {
        let Some(Subscribe { filters, qos: wanted, .. }) = self.suback.take_if(|asked| asked.id == id) else {
            return Err(Ended::protocol("the broker answered a SUBSCRIBE that was not sent"));
        };
        if results.len() != filters.len() {
            return Err(Ended::protocol("the broker did not answer for each filter of the SUBSCRIBE"));
        }
        for (filter, result) in filters.iter().zip(results) {
            let refused = match result {
                Ok(granted) if granted as u8 >= wanted as u8 => continue,
                // With less than was asked for, messages could be lost and nobody would know.
                Ok(granted) => {
                    let (granted, wanted) = (granted as u8, wanted as u8);
                    let text = format!("the broker grants QoS {granted} and not {wanted}: set `qos: {granted}`");
                    Refused { why: Why::Unsupported, text }
                }
                Err(refused) => refused,
            };
            let Refused { why, text } = refused;
            // What is not there for us is `missing`, whatever the login was worth.
            let why = if matches!(why, Why::Busy | Why::Denied) { why } else { Why::Unsupported };
            return Err(Ended::refused(Refused { why, text: format!("no subscription to `{filter}`: {text}") }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_from_what_was_heard_last_until_all_is_answered() {
        let filters: Arc<[String]> = Arc::new(["a".to_owned()]);
        let subscribe = Subscribe { id: 1, filters, qos: QoS::AtLeastOnce };
        let mut answers = Answers::new(subscribe, true, Duration::from_secs(10));
        let at = |seconds: u64| answers.since + Duration::from_secs(seconds);
        let [ten, eleven, twenty, late, for_ever] = [10, 11, 20, 21, 9999].map(at);
        let told = |answers: &Answers, now| answers.check(now).map_err(|ended| ended.text);
        assert_eq!(told(&answers, ten), Ok(()));
        assert_eq!(told(&answers, eleven), Err("the broker did not answer the SUBSCRIBE within 10s".into()));
        answers.heard(ten);
        answers.subscribed(1, vec![Ok(QoS::AtLeastOnce)]).unwrap();
        assert_eq!(told(&answers, twenty), Ok(()));
        assert_eq!(told(&answers, late), Err("the broker did not answer the UNSUBSCRIBE within 10s".into()));
        answers.unsubscribed();
        assert_eq!((told(&answers, for_ever), answers.are_complete()), (Ok(()), true));
    }
}
