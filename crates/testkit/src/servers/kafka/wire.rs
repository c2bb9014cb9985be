//! The two requests of Kafka's protocol that test grounds need: who is there (Metadata), and a topic (CreateTopics), in
//! versions without flexible fields. See <https://kafka.apache.org/protocol>.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

const METADATA: (i16, i16) = (3, 4);
const CREATE_TOPICS: (i16, i16) = (19, 4);
const TOPIC_ALREADY_EXISTS: i16 = 36;
/// How long Kafka may take to make a topic.
const CREATED_WITHIN_MILLIS: i32 = 30_000;

/// How many brokers are there. Zero where the one that answers is not in service yet.
pub(super) fn brokers(address: &str) -> io::Result<i32> {
    // No topic, and none is made.
    let answer = ask(address, METADATA, &[0, 0, 0, 0, 0])?;
    // Behind the time that it throttles us.
    read_i32(&answer, 4)
}

/// Makes a topic. One that is there already stays as it is.
///
/// # Errors
/// The server does not answer, or refuses; the error has the protocol's number.
pub fn create_topic(address: &str, name: &str, partitions: i32, configuration: &[(&str, &str)]) -> io::Result<()> {
    let mut body = Vec::new();
    body.extend(1_i32.to_be_bytes());
    write_text(&mut body, name)?;
    body.extend(partitions.to_be_bytes());
    // One replica, placed by the server.
    body.extend(1_i16.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(i32::try_from(configuration.len()).map_err(io::Error::other)?.to_be_bytes());
    for (key, value) in configuration {
        write_text(&mut body, key)?;
        write_text(&mut body, value)?;
    }
    body.extend(CREATED_WITHIN_MILLIS.to_be_bytes());
    body.push(0);
    let answer = ask(address, CREATE_TOPICS, &body)?;
    // Behind the throttle time, the number of topics, and the name with its length.
    let at = 8 + 2 + name.len();
    let code = answer.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(i16::from_be_bytes);
    match code {
        Some(0 | TOPIC_ALREADY_EXISTS) => Ok(()),
        Some(code) => Err(io::Error::other(format!("Kafka refuses the topic `{name}`: error {code}"))),
        None => Err(io::Error::other("a short answer from Kafka")),
    }
}

/// Sends a request on a connection of its own and gives the answer behind its correlation id.
fn ask(address: &str, (key, version): (i16, i16), body: &[u8]) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    request.extend(key.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    write_text(&mut request, "crossdock-test")?;
    request.extend(body);
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(35)))?;
    stream.write_all(&i32::try_from(request.len()).map_err(io::Error::other)?.to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = Vec::new();
    stream.take(u64::from(u32::from_be_bytes(length)).min(1 << 20)).read_to_end(&mut answer)?;
    answer.get(4..).map(<[u8]>::to_vec).ok_or_else(|| io::Error::other("a short answer from Kafka"))
}

fn write_text(to: &mut Vec<u8>, text: &str) -> io::Result<()> {
    to.extend(i16::try_from(text.len()).map_err(io::Error::other)?.to_be_bytes());
    to.extend(text.as_bytes());
    Ok(())
}

fn read_i32(bytes: &[u8], at: usize) -> io::Result<i32> {
    let found = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
    found.ok_or_else(|| io::Error::other("a short answer from Kafka"))
}
