//! The two requests of Kafka's protocol that test grounds need: who is there (Metadata), and a topic (CreateTopics), in
//! versions without flexible fields. See <https://kafka.apache.org/protocol>.

use crate::try_wait_for;
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
    Cursor(answer.get(4..).unwrap_or_default()).i32()
}

/// Whether the broker knows the topic, each of its partitions with a leader.
fn is_ready(address: &str, name: &str) -> io::Result<bool> {
    let mut body = Vec::new();
    body.extend(1_i32.to_be_bytes());
    write_text(&mut body, name)?;
    body.push(0);
    let answer = ask(address, METADATA, &body)?;
    let mut rest = Cursor(answer.get(4..).unwrap_or_default());
    for _ in 0..rest.i32()? {
        // Node, host, port, rack.
        rest.skip(4)?;
        rest.text()?;
        rest.skip(4)?;
        rest.text()?;
    }
    // Cluster, controller, the number of topics.
    rest.text()?;
    rest.skip(8)?;
    let error = rest.i16()?;
    rest.text()?;
    rest.skip(1)?;
    let partitions = rest.i32()?;
    let mut is_ready = error == 0 && partitions > 0;
    for _ in 0..partitions {
        is_ready &= rest.i16()? == 0;
        rest.skip(4)?;
        is_ready &= rest.i32()? >= 0;
        for _ in 0..2 {
            let replicas = usize::try_from(rest.i32()?).unwrap_or(0);
            rest.skip(4 * replicas)?;
        }
    }
    Ok(is_ready)
}

/// What is left of an answer.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn skip(&mut self, bytes: usize) -> io::Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(bytes).ok_or_else(short)?;
        self.0 = tail;
        Ok(head)
    }

    fn i16(&mut self) -> io::Result<i16> {
        self.skip(2)?.try_into().map(i16::from_be_bytes).map_err(|_| short())
    }

    fn i32(&mut self) -> io::Result<i32> {
        self.skip(4)?.try_into().map(i32::from_be_bytes).map_err(|_| short())
    }

    /// A text, or none, whose length is -1.
    fn text(&mut self) -> io::Result<&'a [u8]> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        self.skip(length)
    }
}

fn short() -> io::Error {
    io::Error::other("a short answer from Kafka")
}

/// Makes a topic and waits until its partitions have leaders. One that is there already stays as it is.
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
        Some(0 | TOPIC_ALREADY_EXISTS) => {}
        Some(code) => return Err(io::Error::other(format!("Kafka refuses the topic `{name}`: error {code}"))),
        None => return Err(short()),
    }
    let ready = try_wait_for(Duration::from_secs(30), || match is_ready(address, name) {
        Ok(false) => None,
        Ok(true) => Some(Ok(())),
        Err(error) => Some(Err(error)),
    });
    ready.unwrap_or_else(|| Err(io::Error::other(format!("the topic `{name}` has no leaders"))))
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
    answer.get(4..).map(<[u8]>::to_vec).ok_or_else(short)
}

fn write_text(to: &mut Vec<u8>, text: &str) -> io::Result<()> {
    to.extend(i16::try_from(text.len()).map_err(io::Error::other)?.to_be_bytes());
    to.extend(text.as_bytes());
    Ok(())
}
