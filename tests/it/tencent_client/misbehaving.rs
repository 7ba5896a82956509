//! Servers that break connections in every way there is: what can be proved of the request
//! afterwards, and that none is ever read twice.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callq::call::{Answer, Class};
use callq::tencent::{ClientError, Settings, TencentClient, classify};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::peer::{
    NOW, OK_BODY, ask, assert_unknown, assert_unreachable, call, client_of, read_request, response,
    settings,
};

/// The requests that were read whole, each by its `random`.
#[derive(Clone, Default)]
struct Read(Arc<Mutex<HashMap<u32, usize>>>);

impl Read {
    fn enter(&self, request: &str) {
        let random = request.split("random=").nth(1).unwrap().split('&').next();
        let random = random.unwrap().parse().unwrap();
        *self.0.lock().unwrap().entry(random).or_default() += 1;
    }

    fn all(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }

    fn of(&self, random: u32) -> usize {
        self.0.lock().unwrap().get(&random).copied().unwrap_or(0)
    }
}

/// A server that does this with every connection.
async fn server<F>(converse: impl Fn(TcpStream, Read) -> F + Send + 'static) -> (SocketAddr, Read)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, read) = (listener.local_addr().unwrap(), Read::default());
    let entered = read.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(converse(stream, entered.clone()));
        }
    });
    (address, read)
}

async fn enter(stream: &mut TcpStream, read: &Read) -> bool {
    match read_request(stream).await {
        Some(request) => {
            read.enter(&request);
            true
        }
        None => false,
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

/// A client that waits a second for a reply.
fn hasty(address: SocketAddr) -> TencentClient {
    let request_timeout = Duration::from_secs(1);
    let host = format!("http://{address}");
    TencentClient::new(Settings {
        request_timeout,
        ..settings(&host)
    })
    .unwrap()
}

#[tokio::test]
async fn a_connection_that_is_taken_and_closed_unread_proves_nothing() {
    let (address, read) = server(|stream, _| async move { drop(stream) }).await;
    assert_eq!(classify(&ask(&client_of(address)).await), Class::InDoubt);
    assert_eq!(read.all(), 0);
}

#[tokio::test]
async fn a_connection_that_is_reset_at_once_is_in_doubt_or_proved_unsent() {
    let (address, read) = server(|stream, _| async move { reset(stream) }).await;
    for _ in 0..30 {
        let class = classify(&ask(&client_of(address)).await);
        assert!(matches!(class, Class::InDoubt | Class::Safe), "{class:?}");
    }
    assert_eq!(read.all(), 0, "so both are true");
}

#[tokio::test]
async fn a_connection_that_is_reset_amid_the_request_is_in_doubt() {
    let (address, read) = server(|mut stream, _| async move {
        let mut some = [0; 20];
        stream.read_exact(&mut some).await.unwrap();
        reset(stream);
    })
    .await;
    assert_unknown(
        &ask(&client_of(address)).await,
        None,
        "error sending request",
    );
    assert_eq!(read.all(), 0);
}

#[tokio::test]
async fn a_queue_of_connections_that_is_full_ends_by_the_connect_timeout_and_proves_that_nothing_was_sent()
 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut taken = Vec::new();
    // Nobody accepts; the kernel takes a few, and then none.
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(address)).await
    {
        taken.push(connected.unwrap());
        assert!(taken.len() < 20, "the queue has a bound");
    }
    assert_unreachable(&ask(&client_of(address)).await);
}

#[tokio::test]
async fn a_server_that_says_to_continue_and_then_answers_is_understood() {
    let (address, read) = server(|mut stream, read| async move {
        while enter(&mut stream, &read).await {
            let mut answer =
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                    .to_vec();
            answer.extend(response("200 OK", OK_BODY));
            stream.write_all(&answer).await.unwrap();
        }
    })
    .await;
    assert_eq!(classify(&ask(&client_of(address)).await), Class::Accepted);
    assert_eq!(read.all(), 1);
}

#[tokio::test]
async fn a_server_that_says_to_continue_and_closes_is_in_doubt() {
    let (address, read) = server(|mut stream, read| async move {
        enter(&mut stream, &read).await;
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .unwrap();
    })
    .await;
    assert_unknown(
        &ask(&client_of(address)).await,
        None,
        "error sending request",
    );
    assert_eq!(read.all(), 1);
}

#[tokio::test]
async fn a_server_that_says_to_continue_for_ever_ends_by_the_timeout() {
    let (address, read) = server(|mut stream, read| async move {
        enter(&mut stream, &read).await;
        while stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .is_ok()
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_unknown(&ask(&hasty(address)).await, None, "");
    assert_eq!(read.all(), 1);
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let (address, read) = server(|mut stream, read| async move {
        enter(&mut stream, &read).await;
        let mut header = String::from("HTTP/1.1 200 OK\r\n");
        while stream.write_all(header.as_bytes()).await.is_ok() {
            header = format!("X-Filler: {}\r\n", "x".repeat(1000));
        }
    })
    .await;
    assert_unknown(
        &ask(&client_of(address)).await,
        None,
        "error sending request",
    );
    assert_eq!(read.all(), 1);
}

#[tokio::test]
async fn a_head_or_a_body_that_drips_ends_by_the_timeout() {
    for (whole, status) in [
        ("", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", Some(200)),
    ] {
        let (address, read) = server(move |mut stream, read| async move {
            enter(&mut stream, &read).await;
            stream.write_all(whole.as_bytes()).await.unwrap();
            let rest = "HTTP/1.1 200 OK\r\n".bytes().chain(std::iter::repeat(b' '));
            for byte in rest {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
        assert_unknown(&ask(&hasty(address)).await, status, "timed out");
        assert_eq!(read.all(), 1);
    }
}

#[tokio::test]
async fn an_answer_before_the_body_is_read_is_taken_for_what_it_says() {
    let (address, read) = server(|mut stream, _| async move {
        let mut some = [0; 20];
        stream.read_exact(&mut some).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        // Until the client has gone, so that no reset overtakes the answer.
        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    assert_unknown(
        &ask(&client_of(address)).await,
        Some(413),
        "HTTP 413 with 0 bytes",
    );
    assert_eq!(read.all(), 0);
}

#[tokio::test]
async fn two_lengths_that_contradict_each_other_are_in_doubt() {
    let (address, read) = server(|mut stream, read| async move {
        enter(&mut stream, &read).await;
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 500\r\n\r\n";
        stream
            .write_all(format!("{head}{OK_BODY}").as_bytes())
            .await
            .unwrap();
    })
    .await;
    assert_eq!(classify(&ask(&client_of(address)).await), Class::InDoubt);
    assert_eq!(read.all(), 1);
}

#[tokio::test]
async fn a_second_answer_on_the_connection_is_not_taken_for_the_next_requests() {
    let (address, read) = server(|mut stream, read| async move {
        while enter(&mut stream, &read).await {
            let mut twice = response("200 OK", OK_BODY);
            twice.extend(response(
                "200 OK",
                r#"{"ActionStatus":"OK","ErrorCode":0,"Response":{"CallId":"another"}}"#,
            ));
            stream.write_all(&twice).await.unwrap();
        }
    })
    .await;
    let client = client_of(address);
    for _ in 0..50 {
        match ask(&client).await {
            Answer::Reply(reply) => assert_eq!(reply.call_id.as_deref(), Some("c-1")),
            answer => assert_eq!(classify(&answer), Class::InDoubt),
        }
    }
    assert!(read.all() <= 50);
}

/// What a server does with a kept connection once it has answered.
#[derive(Clone, Copy, Debug)]
enum Kept {
    Close,
    Reset,
    CloseSoon,
    ResetSoon,
    /// Reads the second request and closes.
    ReadAndClose,
    ReadAndReset,
}

/// As the requests of the table in which these were measured.
const POSTS: u32 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_on_a_kept_connection_is_read_twice_and_none_that_was_read_is_called_unsent() {
    for kept in [
        Kept::Close,
        Kept::Reset,
        Kept::CloseSoon,
        Kept::ResetSoon,
        Kept::ReadAndClose,
        Kept::ReadAndReset,
    ] {
        let (address, read) = server(move |mut stream, read| async move {
            if !enter(&mut stream, &read).await {
                return;
            }
            stream
                .write_all(&response("200 OK", OK_BODY))
                .await
                .unwrap();
            match kept {
                Kept::Close => {}
                Kept::Reset => reset(stream),
                Kept::CloseSoon => tokio::time::sleep(Duration::from_micros(200)).await,
                Kept::ResetSoon => {
                    tokio::time::sleep(Duration::from_micros(200)).await;
                    reset(stream);
                }
                Kept::ReadAndClose => {
                    enter(&mut stream, &read).await;
                }
                Kept::ReadAndReset => {
                    enter(&mut stream, &read).await;
                    reset(stream);
                }
            }
        })
        .await;
        let client = client_of(address);
        let mut accepted = 0;
        for random in 0..POSTS {
            let class = classify(&client.start_call_by_robot(&call(), random, NOW).await);
            let times = read.of(random);
            assert!(times <= 1, "{kept:?}: a request was read {times} times");
            match class {
                Class::Accepted => assert_eq!(times, 1, "{kept:?}"),
                Class::InDoubt => {}
                other => panic!("{kept:?}: {other:?} of a request that was read {times} times"),
            }
            accepted += u32::from(class == Class::Accepted);
        }
        assert!(accepted >= POSTS / 10, "{kept:?}: {accepted} were accepted");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used_again() {
    for resets in [false, true] {
        let (told, mut closed) = tokio::sync::mpsc::unbounded_channel();
        let (address, read) = server(move |mut stream, read| {
            let told = told.clone();
            async move {
                enter(&mut stream, &read).await;
                stream
                    .write_all(&response("200 OK", OK_BODY))
                    .await
                    .unwrap();
                if resets {
                    reset(stream);
                } else {
                    drop(stream);
                }
                told.send(()).unwrap();
            }
        })
        .await;
        let client = client_of(address);
        for _ in 0..10 {
            assert_eq!(
                classify(&ask(&client).await),
                Class::Accepted,
                "resets: {resets}"
            );
            closed.recv().await.unwrap();
            // The client's side hears of it in its own time.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(read.all(), 10);
    }
}

#[tokio::test]
async fn a_tls_handshake_that_is_cut_proves_that_nothing_was_sent() {
    for resets in [false, true] {
        let (address, _) = server(move |mut stream, _| async move {
            let mut hello = [0; 64];
            let _sent = stream.read(&mut hello).await;
            if resets {
                reset(stream);
            }
        })
        .await;
        match TencentClient::new(settings(&format!("https://{address}"))) {
            Ok(client) => assert_unreachable(&ask(&client).await),
            Err(error) => assert!(matches!(error, ClientError::NoCaCertificates), "{error}"),
        }
    }
}

/// A certificate for `localhost` and 127.0.0.1 that nobody has signed, and its key; until 2125.
const SELF_SIGNED: &str = include_str!("self_signed.pem");

#[tokio::test]
async fn a_certificate_that_nobody_has_signed_proves_that_nothing_was_sent() {
    let Ok(client) = TencentClient::new(settings("https://127.0.0.1:1")) else {
        // A machine without certificates has no https at all; another test looks at that.
        return;
    };
    drop(client);
    let certificate = CertificateDer::from_pem_slice(SELF_SIGNED.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(SELF_SIGNED.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate], key).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shaken = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut tls = rustls::ServerConnection::new(config).unwrap();
        // The client breaks it off; not a byte of a request comes.
        let mut plain = Vec::new();
        let mut tls = rustls::Stream::new(&mut tls, &mut stream);
        let _broken_off = std::io::Read::read_to_end(&mut tls, &mut plain);
        plain
    });
    let client = TencentClient::new(settings(&format!("https://{address}"))).unwrap();
    assert_unreachable(&ask(&client).await);
    assert!(shaken.join().unwrap().is_empty());
}
