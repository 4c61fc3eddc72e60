//! A page to see and teach the camera from a phone, and the API that it uses (`openapi.json`).
//!
//! ```text
//! Session --newest Seen--> Hub --server-sent events, JPEGs--> browsers
//!    ^-- teach, hold, undo, relabel: handlers, one request each --'
//! ```
//!
//! The server has a thread of its own that yields to the camera's; work on the samples is done where all of it is, between two frames
//! ([`Session`]). Whoever is slow misses frames and holds up nobody: nothing queues up.
//!
//! What comes over the network is untrusted: a bounded number of connections, bounded bodies, heads of requests within seconds, pictures
//! with a bounded number of pixels; `Host`, `Origin` and, where others than this machine can reach it, a token (`guard`).

mod access;
mod beside;
mod bodies;
mod budget;
mod classes;
mod error;
mod guard;
mod heads;
mod hub;
mod listen;
mod pending;
mod photos;
mod picture;
mod review;
mod routes;
mod samples;
mod settings;
mod state;
mod stream;
mod teaching;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::event::LiveEvent;
use super::session::Session;
use crate::trunk::Source;

pub use access::Token;
pub use settings::{WebFault, WebSettings};

/// How much longer than the camera's the server's thread waits for a processor, where both want it: of 19.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
/// Threads for work on the store and on photos.
const BLOCKING_THREADS: usize = 8;

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The settings mean nothing.
    #[error(transparent)]
    Settings(#[from] WebFault),
    /// The address cannot be listened at.
    #[error("{address}: {source}; give another address or port, or end the program that has it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no thread, no random numbers, or the samples cannot be read.
    #[error("the page cannot be served: {0}")]
    Start(String),
}

/// What the page says of the camera and the network.
pub struct About {
    /// Where frames come from, without passwords.
    pub camera: String,
    /// Opens the network's file, for who asks for trunk and head in one; or says why it cannot.
    pub source: Box<dyn Fn() -> Result<Source, String> + Send + Sync>,
}

/// The server. Dropping it ends it.
pub struct Server {
    address: SocketAddr,
    hub: Arc<hub::Hub>,
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens at the settings' address, and serves from then on.
    ///
    /// # Errors
    /// [`WebError`].
    pub fn start(session: &Arc<Session>, about: About, settings: &WebSettings) -> Result<Self, WebError> {
        settings.check()?;
        let address = settings.address()?;
        let access = access::Access::new(settings)?;
        let listen = |source| WebError::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let hub = Arc::new(hub::Hub::new(session.clone(), about).map_err(WebError::Start)?);
        let routes = routes::routes(hub.clone(), access);
        let (stop, stopped) = oneshot::channel();
        let mut server = Self { address, hub: hub.clone(), stop: Some(stop), threads: Vec::new() };
        let mut spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
            server.threads.push(thread.map_err(|error| WebError::Start(error.to_string()))?);
            Ok::<(), WebError>(())
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .on_thread_start(yield_to_the_camera)
            .build()
            .map_err(|error| WebError::Start(error.to_string()))?;
        spawn("web", Box::new(move || serve(runtime, listener, routes, stopped)))?;
        spawn("web-hub", Box::new(move || hub.run()))?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows an event on the pages.
    pub fn note(&self, event: &LiveEvent) {
        self.hub.note(event);
    }

    /// Requests that were refused since the last call, in words: each kind of them once an hour.
    pub fn refusals(&self) -> Vec<String> {
        self.hub.refusals.drain()
    }
}

fn serve(
    runtime: tokio::runtime::Runtime,
    listener: std::net::TcpListener,
    routes: axum::Router,
    stopped: oneshot::Receiver<()>,
) {
    yield_to_the_camera();
    runtime.block_on(async {
        if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
            listen::accept(listener, routes, stopped).await;
        }
    });
    // What waits for the head's thread gets an answer, or the session ends; a reader that is stuck is not waited for.
    runtime.shutdown_background();
}

fn yield_to_the_camera() {
    #[cfg(target_os = "linux")]
    {
        // On Linux this is one thread's, without a word where it is not allowed.
        let _ = rustix::process::setpriority_process(None, NICENESS);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.hub.end();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}
