//! A DNS server for tests.

use std::net::SocketAddr;

use hickory_proto::op::Message;
use tokio::net::{TcpListener, UdpSocket};

/// A server at a port of its own that answers each datagram with what `answers` makes of it.
pub(crate) async fn server(
    answers: impl Fn(Message) -> Vec<Vec<u8>> + Send + 'static,
) -> (SocketAddr, TcpListener) {
    // The same port for both; another test may have taken it for one of them.
    let (socket, listener) = loop {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
            break (socket, listener);
        }
    };
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for answer in answers(Message::from_vec(&buffer[..length]).unwrap()) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    (address, listener)
}
