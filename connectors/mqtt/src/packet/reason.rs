//! Reason codes (MQTT 5 §2.4; 3.1.1 §3.2.2.3, §3.9.3) as what they mean for us.

use super::QoS;
use rumqttc_v4::mqttbytes::v4;
use rumqttc_v5::mqttbytes::v5;

/// A refusal in the broker's words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    pub(crate) why: Why,
    /// A lowercase fragment; the broker's own reason string behind it, where it gave one.
    pub(crate) text: String,
}

/// What kind of refusal it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// User, password or rights.
    Denied,
    /// A limit that passes, or a broker that is busy, stops or moves.
    Busy,
    /// The topic is not accepted.
    Topic,
    /// The payload is not what the properties say.
    Payload,
    /// What the broker does not have: a version, a feature, a quality of service.
    Unsupported,
    /// Another client came under the same id.
    TakenOver,
    /// Anything else.
    Other,
}

impl Why {
    /// The part of a fault's code behind `mqtt.`.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Denied => "not_authorized",
            Self::Busy => "quota_exceeded",
            Self::Topic => "topic_invalid",
            Self::Payload => "payload_format_invalid",
            Self::Unsupported => "unsupported",
            Self::TakenOver => "taken_over",
            Self::Other => "refused",
        }
    }
}

impl Refused {
    fn new(why: Why, text: &str, reason: Option<String>) -> Self {
        let reason = reason.map(|reason| printable(&reason)).filter(|reason| !reason.is_empty());
        Self { why, text: reason.map_or_else(|| text.to_owned(), |reason| format!("{text}: {reason}")) }
    }

    pub(super) fn of_connack_v4(code: v4::ConnectReturnCode) -> Option<Self> {
        use v4::ConnectReturnCode as Code;
        let (why, text) = match code {
            Code::Success => return None,
            Code::RefusedProtocolVersion => (Why::Unsupported, "the broker does not speak MQTT 3.1.1"),
            Code::BadClientId => (Why::Denied, "the broker does not accept the client id"),
            Code::ServiceUnavailable => (Why::Busy, "the broker is not available"),
            Code::BadUserNamePassword => (Why::Denied, "the broker refuses user or password"),
            Code::NotAuthorized => (Why::Denied, "the broker refuses the login: not authorized"),
        };
        Some(Self::new(why, text, None))
    }

    pub(super) fn of_connack_v5(code: v5::ConnectReturnCode, reason: Option<String>) -> Option<Self> {
        use v5::ConnectReturnCode as Code;
        let (why, text) = match code {
            Code::Success => return None,
            Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => {
                (Why::Unsupported, "the broker does not speak MQTT 5: set `version: 3.1.1`")
            }
            Code::BadClientId | Code::ClientIdentifierNotValid => {
                (Why::Denied, "the broker does not accept the client id")
            }
            Code::BadUserNamePassword => (Why::Denied, "the broker refuses user or password"),
            Code::BadAuthenticationMethod => (Why::Denied, "the broker wants another way to log in"),
            Code::NotAuthorized => (Why::Denied, "the broker refuses the login: not authorized"),
            Code::Banned => (Why::Denied, "the broker has banned this client"),
            Code::ServiceUnavailable | Code::ServerUnavailable => (Why::Busy, "the broker is not available"),
            Code::ServerBusy => (Why::Busy, "the broker is busy"),
            Code::QuotaExceeded => (Why::Busy, "the broker has no room for another client"),
            Code::ConnectionRateExceeded => (Why::Busy, "the broker gets too many connections"),
            Code::UseAnotherServer | Code::ServerMoved => (Why::Unsupported, "the broker sends us to another one"),
            Code::RetainNotSupported => (Why::Unsupported, "the broker keeps no retained messages, as the will asks"),
            Code::QoSNotSupported => (Why::Unsupported, "the broker does not have the will's quality of service"),
            Code::TopicNameInvalid => (Why::Topic, "the broker does not accept the will's topic"),
            Code::PayloadFormatInvalid => (Why::Payload, "the broker does not accept the will's payload"),
            Code::PacketTooLarge => (Why::Other, "the login is larger than the broker takes"),
            Code::UnspecifiedError
            | Code::MalformedPacket
            | Code::ProtocolError
            | Code::ImplementationSpecificError => (Why::Other, "the broker refuses the login"),
        };
        Some(Self::new(why, text, reason))
    }

    pub(super) fn of_suback_v5(code: v5::SubscribeReasonCode, reason: Option<String>) -> Result<QoS, Self> {
        use v5::SubscribeReasonCode as Code;
        let (why, text) = match code {
            Code::Success(qos) => return Ok(qos),
            Code::NotAuthorized => (Why::Denied, "not authorized"),
            Code::TopicFilterInvalid => (Why::Topic, "the broker does not accept the filter"),
            Code::QuotaExceeded => (Why::Busy, "the broker's quota is exceeded"),
            Code::SharedSubscriptionsNotSupported => (Why::Unsupported, "the broker has no shared subscriptions"),
            Code::SubscriptionIdNotSupported => (Why::Unsupported, "the broker has no subscription identifiers"),
            Code::WildcardSubscriptionsNotSupported => (Why::Unsupported, "the broker has no wildcards"),
            Code::Failure | Code::Unspecified | Code::ImplementationSpecific | Code::PkidInUse => {
                (Why::Other, "the broker refuses the subscription")
            }
        };
        Err(Self::new(why, text, reason))
    }

    /// 3.1.1 gives no reason; most brokers mean rights.
    pub(super) fn of_suback_v4(code: v4::SubscribeReasonCode) -> Result<QoS, Self> {
        match code {
            v4::SubscribeReasonCode::Success(qos) => Ok(qos),
            v4::SubscribeReasonCode::Failure => {
                Err(Self::new(Why::Denied, "the broker refuses the subscription, without a reason", None))
            }
        }
    }

    pub(super) fn of_puback(code: v5::PubAckReason, reason: Option<String>) -> Option<Self> {
        use v5::PubAckReason as Code;
        let (why, text) = match code {
            // Nobody subscribes: the broker has it all the same, as it would in 3.1.1.
            Code::Success | Code::NoMatchingSubscribers => return None,
            Code::NotAuthorized => (Why::Denied, "the broker does not let us publish there"),
            Code::TopicNameInvalid => (Why::Topic, "the broker does not accept the topic"),
            Code::QuotaExceeded => (Why::Busy, "the broker's quota is exceeded"),
            Code::PayloadFormatInvalid => (Why::Payload, "the payload is not what its properties say"),
            Code::PacketIdentifierInUse => (Why::Other, "the broker takes the packet id for another message's"),
            Code::UnspecifiedError | Code::ImplementationSpecificError => {
                (Why::Other, "the broker does not take the message")
            }
        };
        Some(Self::new(why, text, reason))
    }

    pub(super) fn of_pubrec(code: v5::PubRecReason, reason: Option<String>) -> Option<Self> {
        use {v5::PubAckReason as Same, v5::PubRecReason as Code};
        let code = match code {
            Code::Success => Same::Success,
            Code::NoMatchingSubscribers => Same::NoMatchingSubscribers,
            Code::UnspecifiedError => Same::UnspecifiedError,
            Code::ImplementationSpecificError => Same::ImplementationSpecificError,
            Code::NotAuthorized => Same::NotAuthorized,
            Code::TopicNameInvalid => Same::TopicNameInvalid,
            Code::PacketIdentifierInUse => Same::PacketIdentifierInUse,
            Code::QuotaExceeded => Same::QuotaExceeded,
            Code::PayloadFormatInvalid => Same::PayloadFormatInvalid,
        };
        Self::of_puback(code, reason)
    }

    pub(super) fn of_disconnect(disconnect: v5::Disconnect) -> Self {
        let (why, text) = match disconnect.reason_code as u8 {
            0x87 => (Why::Denied, "the broker ends the session: not authorized"),
            0x89 => (Why::Busy, "the broker is busy and ends the session"),
            0x8b => (Why::Busy, "the broker shuts down"),
            0x8d => (Why::Other, "the broker heard nothing for too long and ends the session"),
            0x8e => {
                let text = "another client took over the session: give each gateway a `client_id` of its own";
                (Why::TakenOver, text)
            }
            _ => (Why::Other, "the broker ends the session"),
        };
        let told = (why == Why::Other).then(|| format!("{text} ({:?})", disconnect.reason_code));
        let text = told.as_deref().unwrap_or(text);
        Self::new(why, text, disconnect.properties.and_then(|properties| properties.reason_string))
    }
}

/// A broker's text without what a terminal would obey, and not endless.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_in_the_broker_s_words() {
        let denied = Refused::of_puback(v5::PubAckReason::NotAuthorized, Some("acl \x1b[31m no".into())).unwrap();
        assert_eq!(
            (denied.why, &*denied.text),
            (Why::Denied, "the broker does not let us publish there: acl  [31m no")
        );
        assert_eq!(Refused::of_puback(v5::PubAckReason::NoMatchingSubscribers, None), None);
        assert_eq!(Refused::of_pubrec(v5::PubRecReason::QuotaExceeded, None).unwrap().why, Why::Busy);
        assert_eq!(Refused::of_suback_v4(v4::SubscribeReasonCode::Failure).unwrap_err().why, Why::Denied);
        assert_eq!(Refused::of_connack_v4(v4::ConnectReturnCode::Success), None);
    }
}
