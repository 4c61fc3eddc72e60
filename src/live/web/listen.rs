//! Connections: how many, and how long who says nothing may hold one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use futures_util::future::{Either, select};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_io_timeout::TimeoutStream;

use super::budget::network;
use super::guard::Peer;

/// Connections at a time,
const CONNECTIONS: usize = 256;
/// and from one address. A browser has six for each page.
const CONNECTIONS_EACH: usize = 128;
/// How long the head of a request may take, and a connection lie idle before it.
const HEAD: Duration = Duration::from_secs(10);
/// How long who gets an answer may take nothing of it.
const STUCK: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const MAX_HEAD: usize = 32 * 1024;
/// How long to wait when the system gives no connection.
const AGAIN: Duration = Duration::from_millis(200);

/// Connections by address.
type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One of an address's connections.
struct Counted {
    counts: Counts,
    address: IpAddr,
}

impl Counted {
    fn new(counts: &Counts, address: IpAddr) -> Option<Self> {
        let mut by_address = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        (*count < CONNECTIONS_EACH).then(|| {
            *count += 1;
            Self { counts: counts.clone(), address }
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut by_address = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// Takes connections until it is stopped.
pub async fn accept(listener: TcpListener, routes: Router, stopped: oneshot::Receiver<()>) {
    let (places, counts) = (Arc::new(Semaphore::new(CONNECTIONS)), Counts::default());
    let mut stopped = pin!(stopped);
    loop {
        // Who comes when all places are taken waits in the system's queue.
        let accepted = pin!(async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        });
        let (place, accepted) = match select(accepted, &mut stopped).await {
            Either::Left((accepted, _)) => accepted,
            Either::Right(_) => return,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, peer))) => {
                if let Some(counted) = Counted::new(&counts, network(peer.ip())) {
                    tokio::spawn(serve(stream, peer.ip(), routes.clone(), place, counted));
                }
            }
            // Too many files are open, or it was gone before it was taken.
            _ => tokio::time::sleep(AGAIN).await,
        }
    }
}

async fn serve(stream: TcpStream, peer: IpAddr, routes: Router, place: OwnedSemaphorePermit, counted: Counted) {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STUCK));
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        routes.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD);
    // Who breaks off, or sends what is no HTTP, is told by hyper, or gone.
    let _ = http.serve_connection(TokioIo::new(Box::pin(stream)), service).await;
    drop((place, counted));
}
