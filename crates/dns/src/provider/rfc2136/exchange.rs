//! One signed message to one server, and its answer.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::provider::InvalidProvider;

/// A datagram that got lost is sent again after this time, then after twice of it, and so on.
const FIRST_WAIT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidProvider> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => Err(InvalidProvider::new("protocol", "it is neither tcp nor udp")),
        }
    }
}

/// Returns the answer; waits for it without end.
pub(super) async fn exchange(server: SocketAddr, protocol: Protocol, question: &[u8]) -> io::Result<Vec<u8>> {
    match protocol {
        Protocol::Tcp => by_stream(server, question).await,
        Protocol::Udp => by_datagrams(server, question).await,
    }
}

async fn by_stream(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    if is_answer_to(&answer, question) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// An update that arrives twice does what it does once, so it may be sent again.
async fn by_datagrams(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    let mut wait = FIRST_WAIT;
    loop {
        socket.send(question).await?;
        match timeout(wait, receive(&socket, question)).await {
            Ok(answer) => return answer,
            Err(_) => wait *= 2,
        }
    }
}

async fn receive(socket: &UdpSocket, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if is_answer_to(&buffer[..length], question) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

/// The id, and the bit that tells answers from questions (RFC 1035 section 4.1.1).
fn is_answer_to(answer: &[u8], question: &[u8]) -> bool {
    answer.get(..2) == question.get(..2) && answer.get(2).is_some_and(|flags| flags & 0x80 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = &[7, 7, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const ANSWER: &[u8] = &[7, 7, 0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const FORGED: &[u8] = &[7, 8, 0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[tokio::test]
    async fn a_datagram_that_got_lost_is_sent_again_and_what_answers_another_question_is_ignored() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let serve = async {
            let mut buffer = [0; 512];
            let _lost = server.recv_from(&mut buffer).await.unwrap();
            let (length, client) = server.recv_from(&mut buffer).await.unwrap();
            for datagram in [FORGED, QUESTION, &[], &[7], ANSWER] {
                server.send_to(datagram, client).await.unwrap();
            }
            buffer[..length].to_vec()
        };
        let (answer, again) = tokio::join!(exchange(address, Protocol::Udp, QUESTION), serve);
        assert_eq!(answer.unwrap(), ANSWER);
        assert_eq!(again, QUESTION);
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_or_answers_another_question_is_an_error() {
        for bytes in [&[][..], &[0], &[0, 40, 7, 7], &[&[0, 12], FORGED].concat()] {
            let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = server.local_addr().unwrap();
            let serve = async {
                let (mut stream, _) = server.accept().await.unwrap();
                let mut question = vec![0; QUESTION.len() + 2];
                stream.read_exact(&mut question).await.unwrap();
                stream.write_all(bytes).await.unwrap();
            };
            let (answer, ()) = tokio::join!(exchange(address, Protocol::Tcp, QUESTION), serve);
            assert!(answer.is_err(), "{bytes:?}");
        }
    }
}
