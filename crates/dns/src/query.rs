//! One question to one server, by UDP, and by TCP when the answer is too long for that.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, Query},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::answer;

/// The longest wait for a server: long enough for a resolver that asks servers far away.
pub(crate) const PATIENCE: Duration = Duration::from_millis(2_500);

/// What fits into one datagram everywhere (DNS flag day 2020).
const DATAGRAM: u16 = 1_232;

/// A question as it is put to a server.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) query: Query,
    is_recursive: bool,
}

impl Question {
    /// For a resolver, which is to find the answer wherever it is.
    pub(crate) fn recursive(name: Name, kind: RecordType) -> Self {
        Self { query: Query::query(name, kind), is_recursive: true }
    }

    /// For a name server, which is to say what it has itself.
    pub(crate) fn direct(name: Name, kind: RecordType) -> Self {
        Self { query: Query::query(name, kind), is_recursive: false }
    }
}

/// Why there is no answer of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoAnswer {
    /// None came in time, or the server's machine says that nobody listens.
    Silence,
    /// This machine has no way to such addresses, as one without IPv6.
    NoRoute,
    /// What came cannot be read, or is cut short by TCP as well.
    Unreadable,
}

/// Asks `server`. What comes back is an answer to this question, and whole; what it says is not looked at.
pub(crate) async fn ask(server: SocketAddr, question: &Question) -> Result<Message, NoAnswer> {
    let message =
        timeout(PATIENCE, ask_by_datagram(server, question)).await.unwrap_or(Err(NoAnswer::Silence))?;
    if !message.metadata.truncation {
        return Ok(message);
    }
    let message =
        timeout(PATIENCE, ask_by_stream(server, question)).await.unwrap_or(Err(NoAnswer::Silence))?;
    // By TCP there is room for 64 KiB.
    if message.metadata.truncation { Err(NoAnswer::Unreadable) } else { Ok(message) }
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => Self::NoRoute,
            _ => Self::Silence,
        }
    }
}

/// A socket of its own for each question: its random port is, beside the random id, what a forger must guess.
async fn ask_by_datagram(server: SocketAddr, question: &Question) -> Result<Message, NoAnswer> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await.map_err(|error| match server {
        // A kernel without IPv6 does not even make the socket.
        SocketAddr::V6(_) => NoAnswer::NoRoute,
        SocketAddr::V4(_) => error.into(),
    })?;
    socket.connect(server).await?;
    let (id, bytes) = encode(question)?;
    socket.send(&bytes).await?;
    let mut buffer = vec![0; 4_096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(message) = decode(&buffer[..length], id, &question.query) {
            return message;
        }
        // Not the answer to our question: somebody guesses. The true one may still come.
    }
}

async fn ask_by_stream(server: SocketAddr, question: &Question) -> Result<Message, NoAnswer> {
    let mut stream = TcpStream::connect(server).await?;
    let (id, bytes) = encode(question)?;
    let length = u16::try_from(bytes.len()).expect("a question is short");
    stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await?;
    decode(&buffer, id, &question.query).unwrap_or(Err(NoAnswer::Unreadable))
}

fn encode(question: &Question) -> Result<(u16, Vec<u8>), NoAnswer> {
    let mut message = Message::query();
    message.metadata.recursion_desired = question.is_recursive;
    let mut edns = Edns::new();
    edns.set_max_payload(DATAGRAM);
    message.add_query(question.query.clone()).set_edns(edns);
    let bytes = message.to_vec().map_err(io::Error::other)?;
    Ok((message.metadata.id, bytes))
}

/// The answer in these bytes; `None` when they are not the answer to this query.
fn decode(bytes: &[u8], id: u16, query: &Query) -> Option<Result<Message, NoAnswer>> {
    if bytes.get(..2) != Some(&id.to_be_bytes()) {
        return None;
    }
    match Message::from_vec(bytes) {
        Ok(message) if answer::is_answer_to(&message, id, query) => Some(Ok(message)),
        Ok(_) => None,
        Err(_) => Some(Err(NoAnswer::Unreadable)),
    }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
