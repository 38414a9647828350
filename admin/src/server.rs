//! The HTTP server: so many connections and no more, and each must say what it wants within its time.

use crate::resources::sessions::Peer;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Connections at once; further ones wait in the kernel's queue.
const MOST: usize = 1024;
/// Until the headers of a request are there: a silent connection holds its place no longer.
const HEADERS: Duration = Duration::from_secs(15);
/// After a connection that was not accepted.
const AGAIN: Duration = Duration::from_millis(50);
/// For requests that are being answered when the server stops.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves until `closing` is cancelled (the same token the state was given), then lets requests finish for a few seconds.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    closing: CancellationToken,
) -> std::io::Result<()> {
    serve_with(listener, router, closing, MOST, HEADERS).await
}

pub(crate) async fn serve_with(
    listener: TcpListener,
    router: Router,
    closing: CancellationToken,
    most: usize,
    headers: Duration,
) -> std::io::Result<()> {
    let room = Arc::new(Semaphore::new(most));
    let tasks = TaskTracker::new();
    loop {
        let place = tokio::select! {
            () = closing.cancelled() => break,
            place = room.clone().acquire_owned() => place,
        };
        let (stream, peer) = tokio::select! {
            () = closing.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // Of that connection, or of descriptors that ran out: the next may do.
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::timeout(AGAIN, closing.cancelled()).await.ok();
                    continue;
                }
            },
        };
        let (router, closing) = (router.clone(), closing.clone());
        tasks.spawn(async move {
            answer(stream, peer, router, closing, headers).await;
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    tokio::time::timeout(PATIENCE, tasks.wait()).await.ok();
    Ok(())
}

async fn answer(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    closing: CancellationToken,
    headers: Duration,
) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks off is its own business.
        _ = connection.as_mut() => return,
        () = closing.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn house(most: usize, headers: Duration) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let closing = CancellationToken::new();
        let router = Router::new().route("/", get(async || "hello"));
        tokio::spawn(serve_with(listener, router, closing.clone(), most, headers));
        (address, closing)
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed_and_its_place_is_free_again() {
        let (address, _closing) = house(1, Duration::from_millis(200)).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        // There is one place: this one is answered once the silent one has lost it.
        let mut second = TcpStream::connect(address).await.unwrap();
        second
            .write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        second.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
            "{answer}"
        );
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).await.ok();
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    }
}
