//! The server under pages and API: HTTP/1.1, with or without TLS, each step of a connection within its time.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;

use super::pace::{Answered, Paced, Watched};
use super::tls::Certificates;
use crate::link::crowd::{Bounds, Crowd, Seat, descriptors_max};
use crate::link::door::{self, Visitor};

/// Time for a TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Time for the head of a request, and between one request and the next.
const HEAD_MAX: Duration = Duration::from_secs(15);
/// Largest head of a request, and what is read ahead of its body, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most lines in it.
const HEAD_LINES_MAX: usize = 64;
/// First byte of a TLS connection: a record with a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// Bytes that are read of a request without TLS.
const PLAIN_BYTES_READ: usize = 4_096;
/// The answer to who speaks without TLS to a port that has it.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
    x-content-type-options: nosniff\r\nconnection: close\r\n\r\n\
    \xc4\x90\xe1\xbb\x8ba ch\xe1\xbb\x89 trang n\xc3\xa0y b\xe1\xba\xaft \xc4\x91\xe1\xba\xa7u b\xe1\xba\xb1ng https://\n\
    The address of this page begins with https://\n";

/// The address of this server by which a connection came in.
#[derive(Debug, Clone, Copy)]
pub struct CameTo(pub Option<IpAddr>);

/// The parts that every connection is served with.
#[derive(Clone)]
struct Served {
    routes: TowerToHyperService<Router>,
    certificates: Option<Certificates>,
    stopping: watch::Receiver<bool>,
}

/// Answers requests until `stopped` resolves, and those that are open by then to their end.
pub async fn serve(
    listener: TcpListener,
    certificates: Option<Certificates>,
    routes: Router,
    proxies: Vec<IpAddr>,
    stopped: oneshot::Receiver<()>,
) {
    let crowd = Crowd::new(Bounds::of_pages(descriptors_max()), proxies);
    let (stop, stopping) = watch::channel(false);
    let stopped = async move {
        // A sender that is gone means the same.
        let _ = stopped.await;
        stop.send_replace(true);
    };
    let served = Served { routes: TowerToHyperService::new(routes), certificates, stopping };
    door::keep(listener, crowd, stopped, |visitor| visit(visitor, served.clone())).await;
}

async fn visit(visitor: Visitor, served: Served) {
    let Visitor { stream, from, seat } = visitor;
    // Without it, answers are only slower.
    let _ = stream.set_nodelay(true);
    let came_to = CameTo(stream.local_addr().ok().map(|address| address.ip()));
    let talk =
        Talk { from, came_to, seat: Arc::clone(&seat), routes: served.routes, stopping: served.stopping };
    let Some(certificates) = served.certificates else {
        return talk.over(Watched::new(stream, seat)).await;
    };
    let handshake = async {
        let stream = speaks_tls(stream).await?;
        let acceptor = TlsAcceptor::from(certificates.now());
        acceptor.accept(Watched::new(stream, seat)).await.ok()
    };
    if let Ok(Some(stream)) = tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
        talk.over(stream).await;
    }
}

/// Gives the connection back where it begins as TLS does; else tells whoever is there the right address.
async fn speaks_tls(mut stream: TcpStream) -> Option<TcpStream> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 1 && first[0] != TLS_HANDSHAKE {
        // Read first: a connection that is closed over unread bytes takes the answer with it.
        let mut request = [0; PLAIN_BYTES_READ];
        let _ = stream.read(&mut request).await;
        // Whoever is gone needs no answer.
        let _ = stream.write_all(SPEAK_TLS).await;
        return None;
    }
    Some(stream)
}

/// One connection on which requests come and are answered.
struct Talk {
    from: SocketAddr,
    came_to: CameTo,
    seat: Arc<Seat>,
    routes: TowerToHyperService<Router>,
    stopping: watch::Receiver<bool>,
}

impl Talk {
    async fn over(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { from, came_to, seat, routes, mut stopping } = self;
        let answer = service_fn(move |request: Request<Incoming>| {
            seat.set_busy(true);
            let mut request = request.map(|body| Body::new(Paced::new(body)));
            request.extensions_mut().insert(ConnectInfo(from));
            request.extensions_mut().insert(came_to);
            request.extensions_mut().insert(Arc::clone(&seat));
            let (answer, seat) = (routes.call(request), Arc::clone(&seat));
            async move {
                let Ok(response): Result<Response<Body>, Infallible> = answer.await;
                Ok::<_, Infallible>(response.map(|body| Answered::new(body, seat)))
            }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
        http.max_buf_size(HEAD_BYTES_MAX).max_headers(HEAD_LINES_MAX);
        let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), answer));
        tokio::select! {
            // However it ends, there is nobody to tell.
            _ = connection.as_mut() => return,
            // A sender that is gone means the same.
            _ = stopping.wait_for(|stop| *stop) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}
