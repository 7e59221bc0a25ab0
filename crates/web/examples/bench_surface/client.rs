//! One keep-alive connection, with as little between it and the server as can be.

use std::io;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
    time::Instant,
};

pub(crate) struct Client(BufStream<TcpStream>);

impl Client {
    pub(crate) async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufStream::new(stream)))
    }

    /// The status and the body's length, and how long both took, in milliseconds. `who` is a header.
    pub(crate) async fn get(&mut self, path: &str, who: &str) -> io::Result<(u16, usize, f64)> {
        let begun = Instant::now();
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{who}\r\n\r\n");
        self.0.write_all(request.as_bytes()).await?;
        self.0.flush().await?;
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or_default();
            }
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.parse().unwrap_or_default();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok((status, length, begun.elapsed().as_secs_f64() * 1_000.0))
    }
}
