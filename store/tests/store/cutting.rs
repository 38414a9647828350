//! A wire between us and a PostgreSQL server that can be cut: for a while, or at a commit, before the server hears of it or after
//! it has done it and before we do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// What becomes of the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Arrives = 0,
    /// The server never hears of it: not done.
    LostOnTheWay = 1,
    /// Done, and we are not told.
    AnswerLost = 2,
}

pub struct Wire {
    folder: TempDir,
    next: Arc<AtomicU8>,
    up: watch::Sender<bool>,
}

impl Wire {
    /// To the server's socket.
    pub fn to(server: &Path) -> Wire {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let next = Arc::new(AtomicU8::new(0));
        let (up, whole) = watch::channel(true);
        let (server, fate) = (server.to_owned(), next.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut whole = whole.clone();
                if !*whole.borrow() {
                    continue;
                }
                let server = UnixStream::connect(&server).await.unwrap();
                let fate = fate.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(client, server, fate) => {}
                        _ = whole.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Wire { folder, next, up }
    }

    pub fn cut(&self) {
        self.up.send_replace(false);
    }

    pub fn mend(&self) {
        self.up.send_replace(true);
    }

    pub fn address(&self, database: &str) -> String {
        let socket = self.folder.path().display().to_string();
        format!(
            "postgres://huying@{}:5432/{database}",
            socket.replace('/', "%2F")
        )
    }

    pub fn next_commit(&self, fate: Fate) {
        self.next.store(fate as u8, Ordering::SeqCst);
    }

    /// Whether the fate that was set has come to pass.
    pub fn struck(&self) -> bool {
        self.next.load(Ordering::SeqCst) == Fate::Arrives as u8
    }
}

/// Until either end closes, or fate strikes.
async fn carry(mut client: UnixStream, mut server: UnixStream, next: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                // The driver sends a commit as a message of its own.
                let commit = up[..n].windows(7).any(|text| text == b"COMMIT\0");
                let fate = if commit { next.swap(0, Ordering::SeqCst) } else { 0 };
                if fate == Fate::LostOnTheWay as u8 {
                    return;
                }
                if server.write_all(&up[..n]).await.is_err() {
                    return;
                }
                if fate == Fate::AnswerLost as u8 {
                    server.readable().await.ok();
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                if client.write_all(&down[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}
