//! Packets become bytes. Acknowledgements, of which there is one a message, are written by hand.

use super::{Publish, QoS, Version};
use bytes::{BufMut, Bytes, BytesMut};
use rumqttc_v4::mqttbytes::v4;
use rumqttc_v5::mqttbytes::v5;

/// The parts of a CONNECT.
#[derive(Debug)]
pub(crate) struct Connect<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) clean: bool,
    /// Seconds.
    pub(crate) keep_alive: u16,
    /// Seconds; MQTT 5 only.
    pub(crate) session_expiry: u32,
    /// MQTT 5 only.
    pub(crate) receive_maximum: u16,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    pub(crate) will: Option<&'a Will>,
}

/// What the broker publishes when a client is lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// Writes a CONNECT.
///
/// # Errors
/// A text of it is no text of MQTT.
pub(crate) fn connect(version: Version, connect: &Connect<'_>, out: &mut BytesMut) -> Result<(), String> {
    match version {
        Version::V4 => connect_v4(connect).write(out).map_err(|error| error.to_string())?,
        Version::V5 => {
            let (packet, will, auth) = connect_v5(connect);
            packet.write(&will, &auth, out).map_err(|error| error.to_string())?
        }
    };
    Ok(())
}

fn connect_v4(connect: &Connect<'_>) -> v4::Connect {
    let auth = match (connect.user, connect.password) {
        (None, _) => v4::ConnectAuth::None,
        (Some(user), None) => v4::ConnectAuth::Username { username: user.to_owned() },
        (Some(user), Some(password)) => v4::ConnectAuth::UsernamePassword {
            username: user.to_owned(),
            password: Bytes::copy_from_slice(password.as_bytes()),
        },
    };
    let last_will = connect.will.map(|will| v4::LastWill {
        topic: will.topic.clone(),
        message: will.payload.clone(),
        qos: will.qos,
        retain: will.retain,
    });
    v4::Connect {
        keep_alive: connect.keep_alive,
        client_id: connect.client_id.to_owned(),
        clean_session: connect.clean,
        last_will,
        auth,
    }
}

fn connect_v5(connect: &Connect<'_>) -> (v5::Connect, Option<v5::LastWill>, v5::ConnectAuth) {
    let auth = match (connect.user, connect.password) {
        (None, None) => v5::ConnectAuth::None,
        (None, Some(password)) => v5::ConnectAuth::Password { password: Bytes::copy_from_slice(password.as_bytes()) },
        (Some(user), None) => v5::ConnectAuth::Username { username: user.to_owned() },
        (Some(user), Some(password)) => v5::ConnectAuth::UsernamePassword {
            username: user.to_owned(),
            password: Bytes::copy_from_slice(password.as_bytes()),
        },
    };
    let will = connect.will.map(|will| v5::LastWill {
        topic: Bytes::copy_from_slice(will.topic.as_bytes()),
        message: will.payload.clone(),
        qos: will.qos,
        retain: will.retain,
        properties: None,
    });
    let properties = v5::ConnectProperties {
        session_expiry_interval: Some(connect.session_expiry),
        receive_maximum: Some(connect.receive_maximum),
        max_packet_size: None,
        topic_alias_max: None,
        request_response_info: None,
        request_problem_info: None,
        user_properties: Vec::new(),
        authentication_method: None,
        authentication_data: None,
    };
    let packet = v5::Connect {
        keep_alive: connect.keep_alive,
        client_id: connect.client_id.to_owned(),
        clean_start: connect.clean,
        properties: Some(properties),
    };
    (packet, will, auth)
}

/// Writes a SUBSCRIBE. In MQTT 5 the retained flag of live messages is kept, and retained messages are sent only for a
/// subscription that was not there, so that subscribing again after a reconnect repeats none.
///
/// # Errors
/// A filter is no text of MQTT.
pub(crate) fn subscribe(
    version: Version,
    id: u16,
    filters: &[String],
    qos: QoS,
    out: &mut BytesMut,
) -> Result<(), String> {
    match version {
        Version::V4 => {
            let filters = filters.iter().map(|path| v4::SubscribeFilter { path: path.clone(), qos }).collect();
            v4::Subscribe { pkid: id, filters }.write(out).map_err(|error| error.to_string())?
        }
        Version::V5 => {
            let filter = |path: &String| v5::SubscribeFilter {
                path: path.clone(),
                qos,
                nolocal: false,
                preserve_retain: true,
                retain_forward_rule: v5::RetainForwardRule::OnNewSubscribe,
            };
            let filters = filters.iter().map(filter).collect();
            v5::Subscribe { pkid: id, filters, properties: None }.write(out).map_err(|error| error.to_string())?
        }
    };
    Ok(())
}

/// Writes an UNSUBSCRIBE.
///
/// # Errors
/// A filter is no text of MQTT.
pub(crate) fn unsubscribe(version: Version, id: u16, filters: &[String], out: &mut BytesMut) -> Result<(), String> {
    match version {
        Version::V4 => v4::Packet::Unsubscribe(v4::Unsubscribe { pkid: id, topics: filters.to_vec() })
            .write(out, usize::MAX)
            .map_err(|error| error.to_string())?,
        Version::V5 => {
            let packet = v5::Unsubscribe { pkid: id, filters: filters.to_vec(), properties: None };
            v5::Packet::Unsubscribe(packet).write(out, None).map_err(|error| error.to_string())?
        }
    };
    Ok(())
}

/// Writes a PUBLISH; nothing of it, if it cannot be.
///
/// # Errors
/// It is larger than `bytes_max`, or holds what MQTT does not take.
pub(crate) fn publish(version: Version, publish: Publish, bytes_max: usize, out: &mut BytesMut) -> Result<(), Unfit> {
    let Publish { dup, retain, qos, id, topic, payload, properties } = publish;
    let before = out.len();
    let written = match version {
        Version::V4 => {
            let packet = v4::Publish { dup, qos, retain, topic, pkid: id, payload };
            fits(packet.size(), bytes_max)?;
            packet.write(out).map_err(|error| error.to_string())
        }
        Version::V5 => {
            let properties = properties.map(|properties| *properties);
            let packet = v5::Publish { dup, qos, retain, topic, pkid: id, payload, properties };
            fits(packet.size(), bytes_max)?;
            packet.write(out).map_err(|error| error.to_string())
        }
    };
    written.map(drop).map_err(|error| {
        out.truncate(before);
        Unfit::Malformed(error)
    })
}

/// Why a message cannot be published.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Unfit {
    TooLarge { bytes: usize, bytes_max: usize },
    Malformed(String),
}

fn fits(bytes: usize, bytes_max: usize) -> Result<(), Unfit> {
    if bytes > bytes_max { Err(Unfit::TooLarge { bytes, bytes_max }) } else { Ok(()) }
}

/// The packets that speak of one packet id, by their first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// PUBACK.
    Acknowledged = 0x40,
    /// PUBREC.
    Recorded = 0x50,
    /// PUBREL.
    Release = 0x62,
    /// PUBCOMP.
    Complete = 0x70,
}

/// Writes an acknowledgement; a reason other than success is MQTT 5's.
pub(crate) fn acknowledge(step: Step, id: u16, reason: u8, out: &mut BytesMut) {
    let [high, low] = id.to_be_bytes();
    if reason == 0 {
        out.put_slice(&[step as u8, 2, high, low]);
    } else {
        out.put_slice(&[step as u8, 3, high, low, reason]);
    }
}

/// Writes a PINGREQ.
pub(crate) fn ping(out: &mut BytesMut) {
    out.put_slice(&[0xc0, 0]);
}

/// Writes a DISCONNECT: normal, so that the will is not published.
pub(crate) fn disconnect(out: &mut BytesMut) {
    out.put_slice(&[0xe0, 0]);
}
