//! Brings callbacks to where they go, when their time has come.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Position;

use super::desk::Desk;
use super::mailbox::Delivery;

/// So long a callback waits to be answered (IM 34354), in real time.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// So many are delivered at once.
const AT_ONCE: usize = 32;
/// More of an answer is not read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Works until `closing` is cancelled.
pub(super) async fn carry(desk: Arc<Desk>, closing: CancellationToken) {
    closing.run_until_cancelled(work(&desk, &closing)).await;
}

async fn work(desk: &Arc<Desk>, closing: &CancellationToken) {
    let hands = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let news = desk.news();
        if let Some(delivery) = desk.take_delivery() {
            let hand = Arc::clone(&hands).acquire_owned().await;
            let (desk, closing) = (Arc::clone(desk), closing.clone());
            tokio::spawn(async move {
                let posting = tokio::time::timeout(ANSWER_WITHIN, post(&delivery));
                // Nobody waits for what becomes of it once the sandbox is gone.
                if let Some(posted) = closing.run_until_cancelled(posting).await {
                    desk.delivered(delivery, matches!(posted, Ok(Ok(200))));
                }
                drop(hand);
            });
            continue;
        }
        let next = desk.until_next();
        tokio::select! {
            () = news => {}
            () = async {
                match next {
                    Some(left) => tokio::time::sleep(left).await,
                    None => pending().await,
                }
            } => {}
        }
    }
}

/// Posts a body and returns the HTTP status.
async fn post(delivery: &Delivery) -> std::io::Result<u16> {
    let Delivery {
        url, headers, body, ..
    } = delivery;
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let port = url.port_or_known_default().unwrap_or(80);
    let name = url.host_str().unwrap_or_default();
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let mut stream = TcpStream::connect((name, port)).await?;
    let target = &url[Position::BeforePath..Position::AfterQuery];
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{headers}Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .await?;
    let head = answer.split(|byte| *byte == b'\r').next().unwrap_or(&[]);
    let status = str::from_utf8(head).ok();
    let status = status.and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok());
    status.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
