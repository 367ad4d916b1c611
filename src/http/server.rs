//! Accepts connections, within a limit, and drains them when the server is told to stop.
//!
//! At the limit, each new connection replaces the one that has waited longest without a whole request. Clients that
//! open connections and send nothing therefore keep nobody out.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use super::app::App;
use super::connection::{Connection, Socket, UnderWay};
use super::head::HeadLimit;
use super::head_errors::HeadErrors;
use super::host::check_host;
use super::jobs::run_jobs;
use super::limits::ServerSettings;
use super::request_body::RequestBody;
use super::router;
use super::tls::Tls;
use super::tls_socket::TlsSocket;
use crate::system::live::Live;
use crate::system::metric_names::OPEN_CONNECTIONS;

/// Serves until `shutdown` resolves. Then it accepts no new connection. Requests under way have the grace period to finish; just
/// before its end, those that are not answered get 503.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    shutdown: impl Future<Output = ()> + Send,
    settings: impl Into<Arc<Live<ServerSettings>>>,
) {
    let connections = Arc::new(Connections::new(settings.into(), app.tls.clone()));
    let router = router(Arc::clone(&app));
    let jobs = tokio::spawn(run_jobs(Arc::clone(&app)));
    let (draining, _) = watch::channel(());
    let start = |stream| connections.start(stream, router.clone(), draining.subscribe());
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let stopped = match accepted {
            Ok((stream, _)) => {
                let stopped = tokio::select! {
                    () = connections.make_capacity() => false,
                    () = &mut shutdown => true,
                };
                start(stream);
                stopped
            }
            Err(error) => tokio::select! {
                () = connections.survive(&error) => false,
                () = &mut shutdown => true,
            },
        };
        if stopped {
            break;
        }
    }
    app.start_draining();
    // The system has accepted these for the server already.
    while let Some(Ok((stream, _))) = futures_util::FutureExt::now_or_never(listener.accept()) {
        start(stream);
    }
    drop(listener);
    drop(draining);
    drain(&app, &connections).await;
    // It saves what is answered, and a panic is in the log.
    let _ = jobs.await;
}

/// Waits until all connections are closed, for at most the grace period.
async fn drain(app: &App, connections: &Connections) {
    // Time to send the refusals.
    const MAX_MARGIN: Duration = Duration::from_secs(1);
    let grace_period = connections.settings.get().grace_period;
    let margin = (grace_period / 10).min(MAX_MARGIN);
    if tokio::time::timeout(grace_period - margin, connections.all_closed()).await.is_ok() {
        return;
    }
    app.cut_off();
    if tokio::time::timeout(margin, connections.all_closed()).await.is_err() {
        tracing::warn!(?grace_period, "requests under way were cut off");
        connections.close_all();
    }
}

/// The open connections.
struct Connections {
    /// New connections get the limits of now.
    settings: Arc<Live<ServerSettings>>,
    /// `None`: the connections are not encrypted.
    tls: Option<Arc<Tls>>,
    open: Mutex<Open>,
    /// Told when a connection is closed or has no request any more.
    changed: Arc<Notify>,
    is_full: AtomicBool,
    is_out_of_descriptors: AtomicBool,
}

#[derive(Default)]
struct Open {
    by_number: HashMap<u64, Arc<Connection>>,
    n_opened: u64,
}

impl Connections {
    fn new(settings: Arc<Live<ServerSettings>>, tls: Option<Arc<Tls>>) -> Self {
        Self {
            settings,
            tls,
            open: Mutex::default(),
            changed: Arc::default(),
            is_full: AtomicBool::new(false),
            is_out_of_descriptors: AtomicBool::new(false),
        }
    }

    /// Waits until there is capacity for one more connection.
    async fn make_capacity(&self) {
        self.is_out_of_descriptors.store(false, Ordering::Relaxed);
        loop {
            let max = self.settings.get().max_connections.max(1);
            if self.lock().by_number.len() < max {
                return;
            }
            if !self.is_full.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    max_connections = max,
                    "the limit of connections is reached; new ones replace those that wait longest without a request"
                );
            }
            self.close_longest_waiting();
            self.changed.notified().await;
        }
    }

    /// After a failed accept: frees descriptors where they are used up.
    async fn survive(&self, error: &io::Error) {
        const PAUSE: Duration = Duration::from_millis(50);
        if !matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)) {
            // The client left before it was accepted.
            return;
        }
        if !self.is_out_of_descriptors.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "a connection cannot be accepted; raise the limit of open files (ulimit -n), or lower --max-connections");
        }
        self.close_longest_waiting();
        tokio::time::sleep(PAUSE).await;
    }

    fn close_longest_waiting(&self) {
        let open = self.lock();
        let waiting = open.by_number.values().filter_map(|connection| Some((connection.waiting_since()?, connection)));
        if let Some((_, connection)) = waiting.min_by_key(|(since, _)| *since) {
            connection.close.notify_one();
        }
    }

    fn close_all(&self) {
        self.lock().by_number.values().for_each(|connection| connection.close.notify_one());
    }

    async fn all_closed(&self) {
        while !self.lock().by_number.is_empty() {
            self.changed.notified().await;
        }
    }

    /// Serves a connection in a task, until it ends or the server drains.
    fn start(self: &Arc<Self>, stream: TcpStream, router: Router, draining: watch::Receiver<()>) {
        // Parts of an answer must not wait for each other. Where it fails, they do.
        let _ = stream.set_nodelay(true);
        let connection = Arc::new(Connection::new(stream));
        let mut open = self.lock();
        let number = open.n_opened;
        open.n_opened += 1;
        open.by_number.insert(number, Arc::clone(&connection));
        metrics::gauge!(OPEN_CONNECTIONS.name).set(open.by_number.len() as f64);
        drop(open);
        let entry = Entry { connections: Arc::clone(self), number };
        tokio::spawn(async move {
            tokio::select! {
                () = serve_connection(Arc::clone(&connection), &entry.connections, router, draining) => {}
                () = connection.close.notified() => {}
            }
            drop(connection);
            drop(entry);
        });
    }

    fn closed(&self, number: u64) {
        let mut open = self.lock();
        let connection = open.by_number.remove(&number);
        metrics::gauge!(OPEN_CONNECTIONS.name).set(open.by_number.len() as f64);
        // Well below the limit, so that a server that stays near it does not log each connection.
        let (n, max) = (open.by_number.len(), self.settings.get().max_connections);
        let is_over = n == 0 || n + 1 + max / 8 < max;
        drop(open);
        drop(connection);
        if is_over && self.is_full.swap(false, Ordering::Relaxed) {
            tracing::info!("the number of connections is below its limit again");
        }
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in the list of the open ones.
struct Entry {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.closed(self.number);
    }
}

/// Serves a connection until it ends, its client is gone, or the server drains.
async fn serve_connection(
    connection: Arc<Connection>,
    connections: &Connections,
    router: Router,
    draining: watch::Receiver<()>,
) {
    let idle = Arc::clone(&connections.changed);
    let settings = connections.settings.get();
    let head_limit = HeadLimit(settings.max_head_bytes);
    let socket = Socket::new(Arc::clone(&connection), settings);
    let Some(tls) = &connections.tls else {
        let send = |_: &mut Context<'_>, bytes: &[u8]| connection.try_send(bytes);
        tokio::select! {
            () = serve_http(socket, Arc::clone(&connection), idle, (router, head_limit), draining) => {}
            () = connection.gone(send) => {}
        }
        return;
    };
    let socket = match tls.acceptor().accept(socket.under_tls()).await {
        Ok(stream) => TlsSocket::new(Arc::clone(&connection), stream),
        Err(error) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
    };
    let send = |context: &mut Context<'_>, bytes: &[u8]| socket.try_send(context, bytes);
    tokio::select! {
        () = serve_http(socket.clone(), Arc::clone(&connection), idle, (router, head_limit), draining) => {}
        () = connection.gone(send) => {}
    }
}

async fn serve_http(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send,
    connection: Arc<Connection>,
    idle: Arc<Notify>,
    (router, head_limit): (Router, HeadLimit),
    mut draining: watch::Receiver<()>,
) {
    let router = TowerToHyperService::new(router);
    let socket = HeadErrors::new(socket, Arc::clone(&connection), head_limit);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(head_limit);
        let under_way = connection.start_request(&idle);
        check_host(&mut request);
        let response = router.call(request.map(|body| RequestBody::new(body, Arc::clone(&connection))));
        async move {
            let Ok(response) = response.await;
            Ok::<Response<Body>, Infallible>(response.map(|body| Body::new(Counted { body, _under_way: under_way })))
        }
    });
    let mut builder = http1::Builder::new();
    // The socket has the time limits.
    builder.half_close(true).header_read_timeout(None);
    head_limit.apply(&mut builder);
    let mut served = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let result = tokio::select! {
        result = served.as_mut() => result,
        _ = draining.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended");
    }
}

/// The body of an answer; the request is under way until it is dropped.
struct Counted {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
