//! Over a real socket.

use crate::house::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn ask(address: std::net::SocketAddr, path: &str, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn until(stream: &mut TcpStream, wanted: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    while !String::from_utf8_lossy(&seen).contains(wanted) {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "closed before `{wanted}`");
        seen.extend_from_slice(&buffer[..n]);
    }
}

#[tokio::test]
async fn closing_ends_open_streams_and_then_the_server() {
    let house = House::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(admin::serve(
        listener,
        house.router.clone(),
        house.closing.clone(),
    ));
    until(&mut ask(address, "/healthz", "").await, "200 OK").await;
    let mut events = ask(address, "/api/v1/events", &house.root).await;
    until(&mut events, "listening").await;
    house.closing.cancel();
    server.await.unwrap().unwrap();
    // The chunked body was ended, not cut.
    until(&mut events, "0\r\n\r\n").await;
}
