//! A gate between certmill and a server: open, shut, or silent.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Open,
    Shut,
    Silent,
}

/// Passes connections on to a server, as long as it is open.
#[derive(Clone)]
pub struct Gate {
    address: SocketAddr,
    state: watch::Sender<State>,
    _listening: Arc<Listening>,
}

struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Gate {
    /// An open gate to `server`, on the same address and another port.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((server.ip(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, watched) = watch::channel(State::Open);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, watched.clone()));
            }
        });
        Self { address, state, _listening: Arc::new(Listening(listening.abort_handle())) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes connections on.
    pub fn open(&self) {
        self.state.send_replace(State::Open);
    }

    /// Breaks every connection, and each new one at once.
    pub fn shut(&self) {
        self.state.send_replace(State::Shut);
    }

    /// Takes connections and says nothing; breaks those that were open.
    pub fn fall_silent(&self) {
        self.state.send_replace(State::Silent);
    }
}

async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let begun = *state.borrow_and_update();
    let carry = async {
        match begun {
            State::Open => {
                let mut server = TcpStream::connect(server).await?;
                client.set_nodelay(true)?;
                server.set_nodelay(true)?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
            }
            State::Shut => Ok(()),
            State::Silent => std::future::pending().await,
        }
    };
    tokio::select! {
        done = carry => done,
        _ = state.changed() => Ok(()),
    }
}
