//! Clients that take their time, and the end of the receiver.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, QUERY, SECRET, Web, answer, count, end_of};
use crate::support::Database;

/// A connection on which a part of a request was sent.
async fn begun(web: &Web, part: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(web.address).await.unwrap();
    stream.write_all(part).await.unwrap();
    stream
}

/// The head of a callback with a body of this length.
fn head(length: usize) -> String {
    format!(
        "POST /callbacks/clinic/{SECRET}{QUERY} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_client_that_is_slow_is_ended_and_holds_nobody_up() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    let body = end_of("slow");
    let half = [head(body.len()).as_bytes(), &body[..10]].concat();
    let mut of_body = begun(&web, &half).await;
    let mut of_head = begun(&web, b"POST /callbacks/clinic/").await;
    let mut silent = begun(&web, b"").await;
    let mut broken = begun(&web, &half).await;
    broken.shutdown().await.unwrap();
    assert_eq!(web.post(&end_of("quick")).await.status, 200);
    let mut first = [0; 12];
    timeout(PATIENCE, of_body.read_exact(&mut first))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&first, b"HTTP/1.1 408");
    for stream in [&mut of_head, &mut silent] {
        let mut rest = Vec::new();
        // Ended without a word, or with a reset.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
            .await
            .expect("it is ended");
        assert_eq!(rest, b"");
    }
    assert_eq!(count(&database, "true").await, 1);
    web.stop().await;
}

#[tokio::test]
async fn what_was_begun_before_the_end_is_stored_and_acknowledged() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    let body = end_of("last");
    let mut late = begun(&web, &[head(body.len()).as_bytes(), &body[..10]].concat()).await;
    let mut idle = begun(&web, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    // Its own request is read before the end is told.
    assert_eq!(web.post(&end_of("before")).await.status, 200);
    let (address, stopping) = (web.address, tokio::spawn(web.stop()));
    let mut rest = Vec::new();
    timeout(PATIENCE, idle.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    late.write_all(&body[10..]).await.unwrap();
    assert_eq!(answer(&mut late).await.unwrap().status, 200);
    stopping.await.unwrap();
    assert_eq!(count(&database, "call_id = 'last'").await, 1);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn many_connections_that_do_nothing_are_ended_and_let_others_in() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    let mut all = Vec::new();
    for _ in 0..1024 {
        all.push(begun(&web, b"P").await);
    }
    assert_eq!(web.post(&end_of("patient")).await.status, 200);
    assert_eq!(count(&database, "true").await, 1);
    drop(all);
    web.stop().await;
}
