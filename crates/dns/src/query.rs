//! One question to one server, by UDP, and by TCP when the answer is too long for that.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_proto::op::{Edns, Message, Query};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::answer::{self, Answer};

/// The longest wait for a server: long enough for a resolver that asks servers far away.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// What fits into one datagram everywhere (DNS flag day 2020).
const DATAGRAM: u16 = 1_232;

/// No answer of this server came in time, or none can.
#[derive(Debug)]
pub(crate) struct NoAnswer;

/// Asks `server`, which is to do the recursion.
pub(crate) async fn ask(server: SocketAddr, query: &Query) -> Result<Answer, NoAnswer> {
    let answer = timeout(PATIENCE, ask_by_datagram(server, query)).await;
    match answer {
        Ok(Ok(Answer::Truncated)) => {}
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(_)) | Err(_) => return Err(NoAnswer),
    }
    match timeout(PATIENCE, ask_by_stream(server, query)).await {
        // By TCP there is room for 64 KiB.
        Ok(Ok(Answer::Truncated)) => Ok(Answer::Failure("TRUNCATED".to_owned())),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(NoAnswer),
    }
}

/// A socket of its own for each question: its random port is, beside the random id, what a forger must guess.
async fn ask_by_datagram(server: SocketAddr, query: &Query) -> io::Result<Answer> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    let (id, question) = question(query)?;
    socket.send(&question).await?;
    let mut buffer = [0; 4_096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = decode(&buffer[..length], id, query) {
            return Ok(answer);
        }
        // Not the answer to our question: somebody guesses. The true one may still come.
    }
}

async fn ask_by_stream(server: SocketAddr, query: &Query) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let (id, question) = question(query)?;
    let length = u16::try_from(question.len()).expect("a question is short");
    stream.write_all(&[&length.to_be_bytes(), question.as_slice()].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await?;
    decode(&buffer, id, query).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn question(query: &Query) -> io::Result<(u16, Vec<u8>)> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    let mut edns = Edns::new();
    edns.set_max_payload(DATAGRAM);
    message.add_query(query.clone()).set_edns(edns);
    let bytes = message.to_vec().map_err(io::Error::other)?;
    Ok((message.metadata.id, bytes))
}

/// The answer in these bytes; `None` when they are not the answer to this query.
fn decode(bytes: &[u8], id: u16, query: &Query) -> Option<Answer> {
    if bytes.get(..2) != Some(&id.to_be_bytes()) {
        return None;
    }
    match Message::from_vec(bytes) {
        Ok(message) if answer::is_answer_to(&message, id, query) => Some(answer::read(&message, query)),
        Ok(_) => None,
        Err(_) => Some(Answer::Failure("an answer that cannot be read".to_owned())),
    }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
